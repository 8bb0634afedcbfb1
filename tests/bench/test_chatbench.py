#!/usr/bin/env python3
"""chatbench counts exactly what a server does wrong, and says so.

Each test runs chatbench (CHATBENCH, or the one of the build) against a server
that counts its own faults.  Runs under pytest too.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
from fake_server import FakeServer  # noqa: E402

CHATBENCH = os.environ.get("CHATBENCH", "../src/chatbench")
MANUAL = HERE.parent.parent / "doc" / "chatbench.1"

FAST = ["--warmup", "0", "--settle", "0", "--drain", "1", "--duration", "0.4"]
LOAD = ["--rate", "100", "--members", "4", *FAST]


def start(*args):
    """Runs it; returns the finished process."""
    return subprocess.run([CHATBENCH, *args], capture_output=True, text=True, timeout=30,
                          check=False)


def bench(mode, *args):
    """Runs it with --json; returns its status and its report."""
    done = start(mode, "--json", "--quiet", *args)
    if not done.stdout:
        raise AssertionError(f"no report: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


class Right(unittest.TestCase):
    """Servers that do nothing wrong, each in its own way of writing."""

    def check(self, *args, mode="rate", load=tuple(LOAD), **how):
        with FakeServer(**how) as server:
            # the wait ends as soon as all is there
            status, r = bench(mode, "--url", server.url, *load, "--drain", "9", *args)
        self.assertEqual((status, r["ok"], r["error"]), (0, True, ""))
        for name in ("lost", "duplicates", "reordered", "misrouted", "damaged", "failed",
                     "cut", "refused", "unanswered", "protocol_errors", "early"):
            self.assertEqual(r[name], 0, name)
        self.assertEqual(r["unique"], server.did["sent"])
        self.assertEqual(r["published"], server.n)
        self.assertGreater(r["latency_us"]["n"], 0)
        return server, r

    def test_counts(self):
        server, r = self.check("--rooms", "3", "--publishers", "2")
        # 0.4 s of 6 publishers with 100 a second each: what a busy machine kept it
        # from sending is counted, too
        self.assertEqual(r["published"] + r["behind"], 240)
        self.assertEqual(r["late"], r["lag_us"]["p99"] > 5000 or
                         r["behind"] > r["published"] / 100)
        self.assertEqual(r["expected"], r["published"] * 4)
        self.assertEqual(server.did["connections"], 12)

    def test_publish(self):
        with FakeServer() as server:
            status, r = bench("publish", "--url", server.url, "--rooms", "2",
                              "--publishers", "3", "--window", "4", *FAST)
        self.assertEqual((status, r["ok"]), (0, True))
        self.assertEqual(server.did["connections"], 6)
        self.assertEqual(r["published"], server.n)
        self.assertEqual((r["expected"], r["unanswered"]), (0, 0))
        self.assertGreater(r["confirm_us"]["n"], 20)
        self.assertGreater(r["confirmed_per_s"], 20)

    def test_publish_keeps_to_the_window(self):
        with FakeServer(unanswered=1) as server:
            _, r = bench("publish", "--url", server.url, "--publishers", "3", "--window",
                         "5", *FAST, "--drain", "0.2")
        self.assertEqual((server.n, r["unanswered"]), (15, 15))

    def test_outside_publishers(self):
        server, r = self.check("--outside", "--publishers", "2")
        self.assertEqual(server.did["connections"], 6)
        self.assertEqual(r["unique"], r["published"] * 4)

    def test_fragments(self):
        self.check(fragments=3)

    def test_frames_in_pieces(self):
        self.check("--size", "500", pieces=1)

    def test_large(self):
        self.check("--size", "60000", "--rate", "20")

    def test_many_lines_in_a_message(self):
        self.check(batch=1)

    def test_members_in_another_order(self):
        self.check(reverse=1)

    def test_compression(self):
        _, plain = self.check("--compression", "--size", "1000")
        _, small = self.check("--compression", "--size", "1000", deflate=1)
        self.assertEqual((plain["compressed"], small["compressed"]), (0, 4))
        self.assertLess(small["bytes_per_delivery"], plain["bytes_per_delivery"] * 0.8)

    def test_compressed_fragments(self):
        self.check("--compression", deflate=1, fragments=2)

    def test_pings_are_answered(self):
        server, r = self.check(ping=1)
        self.assertEqual((r["pings"], server.did["pongs"]), (4, 4))

    def test_saturate(self):
        _, r = self.check("--window", "8", mode="saturate", load=("--members", "4", *FAST))
        self.assertGreater(r["published"], 8)

    def test_several_servers_share(self):
        with FakeServer() as one, FakeServer() as two:
            status, r = bench("idle", "--url", one.url, "--url", two.url,
                              "--connections", "10", "--settle", "0", "--duration", "0.1")
        self.assertEqual((status, r["connections"]), (0, 10))
        self.assertEqual(one.did["connections"], 5)
        self.assertEqual(two.did["connections"], 5)

    def test_churn(self):
        with FakeServer() as server:
            status, r = bench("rate", "--url", server.url, *LOAD, "--churn", "30")
        self.assertEqual((status, r["lost"], r["duplicates"], r["cut"]), (0, 0, 0, 0))
        self.assertGreater(r["churned"], 0)
        self.assertGreaterEqual(server.did["connections"], 4 + r["churned"])
        # 12 are due in 0.4 s
        self.assertLessEqual(server.did["connections"], 4 + 12)


class Wrong(unittest.TestCase):
    """What the server counts is what chatbench counts."""

    def check(self, name, *args, fault=None, status=1, **how):
        with FakeServer(**how) as server:
            got, r = bench("rate", "--url", server.url, *LOAD, *args)
        want = server.did[fault or name]
        self.assertGreater(want, 0)
        self.assertEqual(r[name], want)
        self.assertEqual((got, r["ok"]), (status, False))
        for other in ("lost", "duplicates", "reordered", "misrouted", "damaged", "cut"):
            if other != name:
                self.assertEqual(r[other], 0, other)
        return server, r

    def test_lost(self):
        server, r = self.check("lost", lose=7)
        self.assertEqual(r["expected"], server.n * 4)
        self.assertEqual(r["unique"], server.n * 4 - server.did["lost"])

    def test_lost_at_the_very_end(self):
        # only the last one: nothing comes after it that would show the gap
        with FakeServer(lose=3) as server:
            status, r = bench("rate", "--url", server.url, *LOAD, "--rate", "3",
                              "--duration", "0.95")
        self.assertEqual((server.n, r["lost"], status), (3, 1, 1))

    def test_duplicates(self):
        self.check("duplicates", double=6)

    def test_reordered(self):
        self.check("reordered", swap=5)

    def test_misrouted(self):
        self.check("misrouted", "--rooms", "2", misroute=9)

    def test_damaged(self):
        with FakeServer(damage=10) as server:
            status, r = bench("rate", "--url", server.url, *LOAD)
        self.assertEqual((status, r["damaged"]), (1, server.did["damaged"]))
        # what cannot be read did not arrive
        self.assertEqual(r["lost"], server.did["damaged"])

    def test_refused(self):
        server, r = self.check("refused", refuse=4)
        self.assertEqual(r["expected"], (server.n - server.did["refused"]) * 4)
        self.assertIn("too many requests", r["error"])

    def test_unanswered(self):
        self.check("unanswered", unanswered=7)

    def test_blank_lines(self):
        with FakeServer(blank=1) as server:
            status, r = bench("rate", "--url", server.url, *LOAD)
        self.assertEqual(status, 1)
        self.assertEqual(r["protocol_errors"], server.did["sent"])
        self.assertEqual(r["duplicates"], server.did["sent"])

    def test_masked_frame(self):
        with FakeServer(masked=1) as server:
            done = start("idle", "--url", server.url, "--connections", "3", "--quiet")
        self.assertEqual(done.returncode, 2)
        self.assertIn("masked", done.stderr)

    def test_stalls_are_counted(self):
        with FakeServer(lose=1) as server:
            status, r = bench("saturate", "--url", server.url, "--members", "4", *FAST,
                              "--window", "1", "--duration", "1.3")
        self.assertEqual(status, 1)
        self.assertEqual(r["lost"], server.did["lost"])
        self.assertGreaterEqual(r["stalls"], 1)


class Cuts(unittest.TestCase):
    """Connections that end, and come back."""

    def test_a_cut_is_wrong(self):
        with FakeServer(cut=10) as server:
            status, r = bench("rate", "--url", server.url, *LOAD)
        self.assertEqual((status, r["cut"], r["back"], r["lost"]), (1, 1, 0, 0))
        # the message of the cut and all after it
        self.assertEqual(r["lost_cut"], server.n - 9)

    def test_reconnect(self):
        with FakeServer(cut=10) as server:
            status, r = bench("rate", "--url", server.url, *LOAD, "--reconnect",
                              "--duration", "1.5")
        self.assertEqual((status, r["cut"], r["back"], r["away_at_end"]), (0, 1, 1, 0))
        self.assertEqual((r["lost"], r["duplicates"], r["reordered"]), (0, 0, 0))
        self.assertGreater(r["lost_cut"], 0)
        self.assertEqual(r["unique"] + r["lost_cut"], server.n * 4)
        # the SDKs' back-off: half a second to a second
        backoff = r["back_us"]["max"] - r["back_beyond_backoff_us"]["max"]
        self.assertTrue(500e3 <= round(backoff) <= 1000e3, backoff)

    def test_cut_publisher(self):
        with FakeServer(cut_publisher=10) as server:
            status, r = bench("rate", "--url", server.url, *LOAD, "--reconnect",
                              "--duration", "1.5")
        self.assertEqual((status, r["cut"], r["back"], r["lost"]), (0, 1, 1, 0))
        # what was on its way at the cut may not have reached the server, nor its
        # last answers the publisher: neither is a loss
        self.assertGreaterEqual(r["unsure"], r["published"] - server.did["answered"])
        self.assertGreaterEqual(r["unsure"], 1)
        self.assertGreaterEqual(r["published"], server.n)
        self.assertEqual(r["published"] + r["skipped"] + r["behind"], 150)
        self.assertGreater(r["skipped"], 0)

    def test_holes_are_lost_on_any_connection(self):
        with FakeServer(cut=30, lose=7) as server:
            status, r = bench("rate", "--url", server.url, *LOAD, "--reconnect",
                              "--duration", "1.5")
        self.assertEqual((status, r["cut"]), (1, 1))
        self.assertEqual(r["lost"], server.did["lost"])

    def test_terminal_code_ends_it(self):
        with FakeServer(close_code=3501) as server:
            done = start("idle", "--reconnect", "--url", server.url, "--connections", "2",
                         "--timeout", "2", "--quiet")
        self.assertEqual(done.returncode, 2)
        self.assertIn("3501 go", done.stderr)
        self.assertEqual(server.did["connections"], 2)

    def test_other_codes_are_retried(self):
        with FakeServer(close_code=3004) as server:
            done = start("idle", "--reconnect", "--url", server.url, "--connections", "2",
                         "--timeout", "1.2", "--quiet")
        self.assertEqual(done.returncode, 2)
        self.assertGreater(server.did["connections"], 2)


class Connecting(unittest.TestCase):
    """Handshakes, tokens, TLS, helper processes, the server's use of resources."""

    def test_bad_accept(self):
        with FakeServer(bad_accept=1) as server:
            done = start("connect", "--url", server.url, "--connections", "1", "--quiet")
        self.assertEqual(done.returncode, 2)
        self.assertIn("the response to the upgrade is not correct", done.stderr)

    def test_nobody_listens(self):
        done = start("idle", "--url", "ws://127.0.0.1:1/", "--quiet")
        self.assertEqual(done.returncode, 2)
        self.assertIn("Connection refused", done.stderr)

    def test_tokens(self):
        with FakeServer(secret=b"s3cret") as server:
            status, _ = bench("connect", "--url", server.url, "--connections", "5",
                              "--token-secret", "s3cret", "--settle", "0")
        self.assertEqual(status, 0)
        self.assertEqual(server.users, {f"chatbench-{i}" for i in range(5)})

    def test_wrong_token(self):
        with FakeServer(secret=b"s3cret") as server:
            done = start("connect", "--url", server.url, "--connections", "1",
                         "--token-secret", "wrong", "--quiet")
        self.assertEqual(done.returncode, 2)
        self.assertIn("3500 invalid token", done.stderr)

    def test_processes_and_usage(self):
        with FakeServer() as server:
            status, r = bench("idle", "--url", server.url, "--connections", "50",
                              "--processes", "3", "--settle", "0", "--duration", "0.2",
                              "--pid", str(os.getpid()))
        self.assertEqual((status, r["connections"], r["up_at_end"]), (0, 50, 50))
        self.assertEqual(server.did["connections"], 50)
        self.assertEqual(r["connect_us"]["n"], 50)
        # this very process is the server
        self.assertIn(os.getpid(), [p["pid"] for p in r["processes"]])
        self.assertGreater(r["cpu_us_per_connection"], 1)
        self.assertGreater(r["pss_before"], 1 << 20)
        self.assertGreaterEqual(r["pss_after"], r["pss_before"] // 2)

    def test_interrupt_ends_the_measurement(self):
        with FakeServer() as server:
            args = ["rate", "--json", "--url", server.url, *LOAD, "--duration", "60"]
            with subprocess.Popen([CHATBENCH, *args], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as child:
                # two lines of progress, a second apart
                lines = [child.stderr.readline() for _ in range(2)]
                child.send_signal(signal.SIGINT)
                out, _ = child.communicate(timeout=10)
        self.assertRegex(lines[1], r"^ +\d+ s  measuring   up 4  published \d+/s  delivered")
        r = json.loads(out)
        self.assertEqual((child.returncode, r["interrupted"], r["lost"]), (0, True, 0))
        self.assertTrue(1 < r["measured_s"] < 20)

    @unittest.skipUnless(shutil.which("openssl"), "needs the openssl command")
    def test_tls(self):
        with tempfile.TemporaryDirectory() as tmp:
            key, crt = f"{tmp}/key", f"{tmp}/crt"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                            "-out", crt], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(crt, key)
            with FakeServer(tls=context) as server:
                load = ["--url", server.url, *LOAD, "--size", "20000"]
                status, r = bench("rate", *load, "--insecure")
                self.assertEqual((status, r["unique"]), (0, server.did["sent"]))
                status, r = bench("rate", *load, "--ca", crt)
                self.assertEqual(status, 0)
                done = start("rate", *load, "--quiet")
                self.assertEqual(done.returncode, 2)
                self.assertIn("certificate", done.stderr)


class CommandLine(unittest.TestCase):
    """What is refused, and where it is written down."""

    def refused(self, *args):
        done = start(*args)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        return done.stderr

    def test_refused(self):
        self.assertIn("one mode", self.refused())
        self.assertIn("no such mode", self.refused("fast"))
        self.assertIn("--members 0: not within 1 to", self.refused("rate", "--members", "0"))
        self.assertIn("not a whole number", self.refused("rate", "--members", "1.5"))
        self.assertIn("not a number", self.refused("rate", "--rate", "1x"))
        self.assertIn("no meaning in mode idle", self.refused("idle", "--rate", "5"))
        self.assertIn("begin with ws://", self.refused("idle", "--url", "http://x/"))
        self.assertIn("not HOST", self.refused("idle", "--url", "ws://:80/"))
        self.assertIn("exclude", self.refused("idle", "--token", "a", "--token-secret", "b"))
        self.assertIn("not a process", self.refused("idle", "--pid", "0"))
        self.assertIn("no such process", self.refused("idle", "--pid", "999999999"))
        self.assertIn("NAME: VALUE", self.refused("idle", "--header", "a: b\r\nc: d"))
        self.assertIn("visible ASCII", self.refused("idle", "--channel-prefix", 'a"b'))
        self.assertIn("is not a token", self.refused("idle", "--token", 'a"b'))
        self.assertIn("do not publish",
                      self.refused("rate", "--members", "1", "--churn", "1"))

    def test_only_this_machine(self):
        text = self.refused("idle", "--url", "ws://192.0.2.1:8000/")
        self.assertIn("--allow-remote", text)

    def test_version(self):
        done = start("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^chatbench \d+\.\d+\.\d+\n$")

    def test_manual_has_all_options(self):
        helped = start("--help").stdout
        options = re.findall(r"^  --([a-z-]+)(?: ([A-Z]+))?  +", helped, re.M)
        self.assertGreater(len(options), 30)
        manual = MANUAL.read_text()
        documented = re.findall(r"^\.It Fl -([a-z-]+)(?: Ar (\S+))?", manual, re.M)
        self.assertEqual([(n, a.lower()) for n, a in options], documented)
        for name, default in re.findall(r"^  --([a-z-]+).*\(([^()]+)\)$", helped, re.M):
            about = manual.split(f".It Fl -{name}")[1].split("\n.It ")[0]
            self.assertIn(default, about, name)


def run_one(test):
    result = unittest.TestResult()
    test.run(result)
    return test, result


def main(module):
    """The tests wait much and compute little: several at a time."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module])
    tests = [test for group in suite for test in group]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for test, result in pool.map(run_one, tests):
            why = result.errors + result.failures
            failed += bool(why)
            print("skip" if result.skipped else "FAIL" if why else "ok", test.id())
            for _, text in why:
                print(text)
    print(f"{len(tests)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(__name__))
