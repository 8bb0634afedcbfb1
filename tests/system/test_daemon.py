"""chatd as a daemon: start, signals, supervision, stop."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from daemon_util import (
    CHATD,
    Daemon,
    alive,
    descriptors,
    session_members,
    session_of,
    status,
    title,
    until,
)

needs_failpoints = pytest.mark.failpoints
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path)
    yield d
    d.clean()


@pytest.fixture
def open_daemon():
    """In a directory that other users may enter."""
    directory = Path(tempfile.mkdtemp(prefix="chatd-test-"))
    directory.chmod(0o755)
    d = Daemon(directory)
    yield d
    d.clean()
    shutil.rmtree(directory)


def kill_worker(daemon, slot, sig=signal.SIGKILL):
    """Ends a worker, and returns the pid of its successor when that is ready."""
    old = daemon.workers()[slot]
    ready = len(re.findall(rf"worker {slot} is back", daemon.log()))
    os.kill(old, sig)
    daemon.wait_log(rf"worker {slot} is back", count=ready + 1)
    new = until(lambda: daemon.workers().get(slot))
    assert new != old
    return new


# ---- the command line ------------------------------------------------------


def test_help_shows_options_and_signals():
    out = subprocess.run([CHATD, "-h"], capture_output=True, text=True, check=True)
    for option in ("-c", "-f", "-t", "-T", "-V", "-h"):
        assert re.search(rf"^  {option}\b", out.stdout, re.M)
    assert "\n  --plugin-dir DIR\n" in out.stdout
    for name in ("HUP", "TERM", "INT", "QUIT", "USR1", "USR2"):
        assert re.search(rf"^  {name} ", out.stdout, re.M)


def test_manual_has_all_options_and_signals():
    page = (Path(__file__).parents[2] / "doc/chatd.8").read_text()
    out = subprocess.run([CHATD, "-h"], capture_output=True, text=True, check=True)
    options = re.findall(r"^  -(\w)", out.stdout, re.M)
    signals = re.findall(r"^  ([A-Z0-9]+)  ", out.stdout, re.M)
    assert sorted(re.findall(r"^\.It Fl (\w)", page, re.M)) == sorted(options)
    assert re.findall(r"^\.It Dv (\w+)", page, re.M) == signals
    assert len(options) == 6 and len(signals) == 6


def test_version_names_the_libraries():
    out = subprocess.run([CHATD, "-V"], capture_output=True, text=True, check=True)
    assert re.match(r"chatd \d+\.\d+\.\d+\n", out.stdout)
    for library in ("libevent_core", "libconfuse", "libjwt", "zlib", "openssl"):
        assert re.search(rf"\b{library} \d", out.stdout)


@pytest.mark.parametrize("args", [["-x"], ["-c"], ["extra"]])
def test_bad_arguments(args):
    out = subprocess.run([CHATD, *args], capture_output=True, text=True, check=False)
    assert out.returncode == 1
    assert "usage: chatd" in out.stderr
    assert out.stdout == ""


def test_check_of_a_good_file(daemon):
    done = daemon.run("-t")
    assert (done.returncode, done.stdout) == (0, f"{daemon.conf}: ok\n")
    assert done.stderr == ""
    assert not daemon.run_dir.exists()


def test_shown_configuration_is_one(daemon):
    daemon.write('token_hmac_secret = "do not tell"\n')
    shown = daemon.run("-T")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"# {daemon.conf}: ok\nworkers = ")
    assert "\nring_size = " in shown.stdout
    assert "\n# not shown: token_hmac_secret" in shown.stdout
    assert "do not tell" not in shown.stdout
    daemon.conf.write_text(shown.stdout)
    again = daemon.run("-T")
    assert again.returncode == 0
    hidden = shown.stdout.replace("# not shown: ", "").replace('"..."', '""')
    assert again.stdout == hidden


def test_check_of_a_bad_file_names_the_line(daemon):
    daemon.write("no_such_option = 1\n")
    line = daemon.conf.read_text().count("\n")
    done = daemon.run("-t")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{daemon.conf}:{line}: " in done.stderr
    assert "no_such_option" in done.stderr


def test_check_of_a_file_that_is_not_there(daemon):
    daemon.conf.unlink()
    done = daemon.run("-t")
    assert done.returncode == 1
    assert str(daemon.conf) in done.stderr


# ---- start -----------------------------------------------------------------


def test_daemon_detaches(daemon):
    # That run() returns shows that nobody holds on to our pipes.
    pid = daemon.start()
    assert "master: up workers=2" in daemon.log()
    assert session_of(pid) not in (session_of(os.getpid()), pid)
    for process in [pid, *daemon.workers().values()]:
        for fd in range(3):
            assert descriptors(process)[fd] == "/dev/null"
    assert daemon.request().startswith(b"HTTP/1.1 ")


def test_start_inherits_no_descriptor(daemon):
    r, w = os.pipe()
    ours = {os.readlink(f"/proc/self/fd/{fd}") for fd in (r, w)}
    pid_before = daemon.run(pass_fds=(r, w))
    assert pid_before.returncode == 0
    for process in [daemon.pid(), *daemon.workers().values()]:
        assert not ours & set(descriptors(process).values())
    os.close(r)
    os.close(w)


def test_titles(daemon):
    pid = daemon.start()
    assert title(pid) == "chatd: master (chat.conf)"
    assert sorted(daemon.workers()) == [0, 1]
    for slot, worker in daemon.workers().items():
        assert status(worker)["Name"] == f"chatd-worker{slot}"


def test_a_worker_has_only_its_own_descriptors(daemon):
    pid = daemon.start()
    theirs = descriptors(pid)
    for worker in daemon.workers().values():
        mine = descriptors(worker).values()
        assert str(daemon.pid_file()) in theirs.values()
        assert str(daemon.pid_file()) not in mine
        assert "anon_inode:[signalfd]" not in mine
        # Of the master's socket pairs, and of those of its siblings, none.
        shared = {x for x in mine if x.startswith("socket:")} & set(theirs.values())
        assert shared == {x for x in theirs.values() if is_listening(x)}
        # The address of the configuration, and the control socket.
        assert len(shared) == 2


def is_listening(link):
    with open("/proc/net/tcp", encoding="ascii") as f:
        tcp = [row[9] for row in map(str.split, f) if row[3] == "0A"]
    with open("/proc/net/unix", encoding="ascii") as f:
        unix = [row[6] for row in map(str.split, f) if row[3] == "00010000"]
    return link in (f"socket:[{inode}]" for inode in tcp + unix)


def test_port_in_use_is_told_to_whoever_starts(daemon):
    with socket.create_server(("127.0.0.1", daemon.port)):
        done = daemon.run()
    assert done.returncode == 1
    line = daemon.conf.read_text().count("\n")
    assert f"{daemon.conf}:{line}: " in done.stderr
    assert f"127.0.0.1:{daemon.port}" in done.stderr
    assert "Address already in use" in done.stderr
    assert not daemon.pid_file().exists()


def test_bad_file_stops_the_start(daemon):
    daemon.write("no_such_option = 1\n")
    done = daemon.run()
    assert done.returncode == 1
    assert "no_such_option" in done.stderr
    assert not daemon.run_dir.exists()


def test_log_that_cannot_be_opened_stops_the_start(daemon):
    daemon.write(log_target=f'"{daemon.dir}/none/chatd.log"')
    done = daemon.run()
    assert done.returncode == 1
    assert f"{daemon.dir}/none/chatd.log" in done.stderr


@pytest.mark.skipif(
    os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") > 62 << 30,
    reason="this machine holds the largest ring that can be configured",
)
def test_huge_ring_is_refused_at_start(daemon):
    daemon.write(ring_size='"1g"', workers="62")
    done = daemon.run()
    assert done.returncode == 1
    assert "ring_size" in done.stderr
    assert not daemon.pid_file().exists()


def test_second_start_is_refused(daemon):
    pid = daemon.start()
    workers = daemon.workers()
    done = daemon.run()
    assert done.returncode == 1
    assert f"already running with pid {pid}" in done.stderr
    assert daemon.pid() == pid
    assert daemon.workers() == workers
    assert daemon.request().startswith(b"HTTP/1.1 ")


def test_stale_pid_file_is_no_hindrance(daemon):
    daemon.run_dir.mkdir()
    daemon.pid_file().write_text(f"{os.getpid()}\n")
    assert daemon.start() != os.getpid()


def test_relative_path_is_found_again_by_a_reload(daemon):
    cwd = daemon.dir
    done = subprocess.run(
        [CHATD, "-c", "chat.conf"],
        cwd=cwd,
        env=daemon.env,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    daemon.masters.add(daemon.pid())
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")


@needs_root
def test_privileges_are_dropped_by_workers(open_daemon):
    daemon = open_daemon
    user = pwd.getpwnam("nobody")
    daemon.write(user='"nobody"')
    pid = daemon.start()
    assert status(pid)["Uid"].split() == ["0"] * 4
    groups = {str(g) for g in os.getgrouplist("nobody", user.pw_gid)}
    workers = daemon.workers()
    workers[0] = kill_worker(daemon, 0)
    for worker in workers.values():
        s = status(worker)
        assert s["Uid"].split() == [str(user.pw_uid)] * 4
        assert s["Gid"].split() == [str(user.pw_gid)] * 4
        assert set(s["Groups"].split()) == groups
        assert s["NoNewPrivs"] == "1"
        assert int(s["CapEff"], 16) == 0
        # Supervision by the kernel must survive the change of user.
        assert alive(worker)
    assert daemon.log_path.stat().st_uid == user.pw_uid


@needs_root
def test_unknown_user_stops_the_start(daemon):
    daemon.write(user='"no-such-user-here"')
    done = daemon.run()
    assert done.returncode == 1
    assert "no-such-user-here" in done.stderr


@needs_root
@needs_failpoints
def test_a_worker_that_cannot_ever_start_stops_the_start(open_daemon):
    daemon = open_daemon
    daemon.write(user='"nobody"')
    daemon.env["CHATD_FAIL"] = "ipc.user=fail"
    done = daemon.run()
    assert done.returncode == 1
    assert "cannot start" in done.stderr
    assert str(daemon.log_path) in done.stderr
    assert "cannot become user nobody" in daemon.log()
    assert not daemon.pid_file().exists()


@needs_failpoints
def test_a_start_without_processes_to_spare_goes_on_trying(daemon):
    daemon.env["CHATD_FAIL"] = "master.fork=fail@2"
    daemon.process = subprocess.Popen(
        [CHATD, "-f", "-c", str(daemon.conf)], env=daemon.env
    )
    begin = time.monotonic()
    daemon.wait_log("cannot start worker 1", count=6)
    assert time.monotonic() - begin > 1.4
    assert "up workers" not in daemon.log()
    assert sorted(daemon.workers()) == [0]
    daemon.process.terminate()
    # It never was up: whoever waited for that must not read success.
    assert daemon.process.wait(10) == 1


def test_foreground_stays_and_stops_by_int(daemon):
    pid = daemon.start_foreground()
    assert session_of(pid) == session_of(os.getpid())
    assert daemon.pid() == pid
    os.kill(pid, signal.SIGINT)
    assert daemon.process.wait(10) == 0


# ---- reload ----------------------------------------------------------------


def test_good_reload_reaches_all_workers(daemon):
    daemon.start()
    workers = daemon.workers()
    daemon.write(log_level='"debug"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")
    assert daemon.workers() == workers


def test_bad_reload_changes_nothing_and_says_where(daemon):
    daemon.start()
    workers = daemon.workers()
    daemon.write("no_such_option = 1\n", log_level='"error"')
    line = daemon.conf.read_text().count("\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration not changed")
    assert re.search(rf"{daemon.conf}:{line}: .*no_such_option", daemon.log())
    assert daemon.workers() == workers
    assert daemon.request().startswith(b"HTTP/1.1 ")
    # log_level = "error" of the bad file is not in force: this line is "info".
    daemon.write()
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")


def test_reload_says_what_needs_a_restart(daemon):
    daemon.start()
    daemon.write(workers="1")
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")
    assert re.search(r"warn conf: .*workers.*restart", daemon.log())
    assert sorted(daemon.workers()) == [0, 1]


def test_reload_moves_the_log(daemon):
    pid = daemon.start()
    old, daemon.log_path = daemon.log_path, daemon.dir / "other.log"
    daemon.write()
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")
    for process in [pid, *daemon.workers().values()]:
        assert log_is(process, daemon.log_path) and not log_is(process, old)
    size = old.stat().st_size
    for slot in daemon.workers():
        kill_worker(daemon, slot)
    assert old.stat().st_size == size


def test_many_reloads_leak_nothing(daemon):
    pid = daemon.start()
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")
    processes = [pid, *daemon.workers().values()]
    before = [len(descriptors(p)) for p in processes]
    for n in range(3, 13):
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(f"configuration {n} in force in all workers")
    assert [len(descriptors(p)) for p in processes] == before


def test_a_burst_of_reloads_ends_with_the_last_file(daemon):
    pid = daemon.start()
    for n in range(20):
        daemon.log_path = daemon.dir / f"{n}.log"
        daemon.write()
        daemon.signal(signal.SIGHUP)
    for process in [pid, *daemon.workers().values()]:
        until(lambda p=process: log_is(p, daemon.log_path))
    assert len(daemon.workers()) == 2


def test_a_worker_that_does_not_read_holds_up_nobody(daemon):
    daemon.start()
    workers = daemon.workers()
    os.kill(workers[0], signal.SIGSTOP)
    for n in range(2, 5):
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(f"configuration {n} taken over")
    assert "in force" not in daemon.log()
    assert kill_worker(daemon, 1) != workers[1]
    os.kill(workers[0], signal.SIGCONT)
    daemon.wait_log("configuration 4 in force in all workers")


def test_a_successor_has_the_configuration_of_now(daemon):
    daemon.start()
    daemon.write(log_level='"debug"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 2 in force in all workers")
    kill_worker(daemon, 0)
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration 3 in force in all workers")


def checker(daemon):
    """The process that checks a changed configuration, if there is one."""
    for pid in daemon.children():
        if title(pid) == "chatd: configuration check":
            return pid
    return None


@needs_failpoints
def test_a_check_that_hangs_holds_up_nobody(daemon):
    daemon.env["CHATD_FAIL"] = "master.check=stop"
    pid = daemon.start()
    session = session_of(pid)
    daemon.signal(signal.SIGHUP)
    hung = until(lambda: checker(daemon))
    until(lambda: status(hung)["State"].startswith("T"))
    kill_worker(daemon, 0)
    daemon.signal(signal.SIGUSR1)
    daemon.wait_log("the log was opened again")
    # It holds nothing that could keep the address or the pid file.
    assert not set(map(is_listening, descriptors(hung).values())) - {False}
    daemon.signal(signal.SIGTERM)
    daemon.wait_gone(pid)
    assert_nothing_left(daemon, session)


@needs_failpoints
def test_a_check_that_dies_changes_nothing(daemon):
    daemon.env["CHATD_FAIL"] = "master.check=kill"
    pid = daemon.start()
    before = len(descriptors(pid))
    workers = daemon.workers()
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration not changed: signal 9 killed its check")
    assert daemon.workers() == workers
    assert len(descriptors(pid)) == before


@needs_failpoints
def test_a_configuration_that_cannot_be_passed_on_changes_nothing(daemon):
    daemon.env["CHATD_FAIL"] = "master.pack=fail"
    pid = daemon.start()
    before = len(descriptors(pid))
    daemon.write(log_level='"error"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("configuration not changed: cannot pass it on")
    daemon.signal(signal.SIGUSR1)
    daemon.wait_log("info master: the log was opened again")
    assert len(descriptors(pid)) == before


# ---- logs ------------------------------------------------------------------


def log_is(pid, path):
    return str(path) in descriptors(pid).values()


@needs_root
def test_usr1_opens_the_log_again_in_all_processes(open_daemon):
    daemon = open_daemon
    daemon.dir.chmod(0o755)
    daemon.write(user='"nobody"')
    pid = daemon.start()
    moved = daemon.dir / "chatd.log.1"
    daemon.log_path.rename(moved)
    daemon.signal(signal.SIGUSR1)
    daemon.wait_log("the log was opened again")
    for process in [pid, *daemon.workers().values()]:
        until(lambda p=process: log_is(p, daemon.log_path))
        assert not log_is(process, moved)
    assert daemon.log_path.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert daemon.log_path.stat().st_mode & 0o777 == 0o640


def test_usr2_says_that_it_is_not_available(daemon):
    daemon.start()
    workers = daemon.workers()
    daemon.signal(signal.SIGUSR2)
    daemon.wait_log("not available")
    assert daemon.workers() == workers


# ---- supervision -----------------------------------------------------------


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGABRT])
def test_a_killed_worker_is_replaced(daemon, sig):
    daemon.start()
    for slot in (0, 1):
        old = daemon.workers()[slot]
        other = daemon.workers()[1 - slot]
        kill_worker(daemon, slot, sig)
        assert daemon.workers()[1 - slot] == other
        assert re.search(
            rf"error master: worker {slot} was killed by signal {int(sig)} "
            rf"\({sig.name}\).* pid={old} .*restart_in_ms=0",
            daemon.log(),
        )
    assert daemon.request().startswith(b"HTTP/1.1 ")


def test_a_worker_that_keeps_dying_is_slowed_down(daemon):
    daemon.start()
    times = []
    for _ in range(7):
        begin = time.monotonic()
        kill_worker(daemon, 0)
        times.append(time.monotonic() - begin)
    delays = [int(d) for d in re.findall(r"worker 0 was .*restart_in_ms=(\d+)", daemon.log())]
    assert delays == [0, 100, 200, 400, 800, 1000, 1000]
    assert times[4] >= 0.8 > times[0]
    # The other one is not punished for it.
    kill_worker(daemon, 1)
    assert re.search(r"worker 1 was .*restart_in_ms=0", daemon.log())


def test_killed_workers_leave_nothing_in_the_master(daemon):
    pid = daemon.start()
    before = len(descriptors(pid))
    for _ in range(3):
        kill_worker(daemon, 0)
        kill_worker(daemon, 1)
    assert len(descriptors(pid)) == before


def test_a_connection_in_the_backlog_survives_its_worker(daemon):
    daemon.write(workers="1")
    daemon.start()
    worker = daemon.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    until(lambda: status(worker)["State"].startswith("T"))
    sock = daemon.connect()
    os.kill(worker, signal.SIGKILL)
    assert daemon.request(sock).startswith(b"HTTP/1.1 ")


def test_workers_do_not_outlive_a_killed_master(daemon):
    pid = daemon.start()
    session = session_of(pid)
    assert len(session_members(session)) == 4
    os.kill(pid, signal.SIGKILL)
    until(lambda: not session_members(session), 2.0, "workers outlive the master")
    # What it left behind does not hinder the next start.
    assert daemon.pid_file().exists()
    assert daemon.start() != pid


# ---- stop ------------------------------------------------------------------


def assert_nothing_left(daemon, session):
    assert session_members(session) == []
    assert not daemon.pid_file().exists()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", daemon.port))


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_stop_leaves_nothing(daemon, sig):
    pid = daemon.start()
    session = session_of(pid)
    os.kill(pid, sig)
    daemon.wait_gone(pid)
    assert_nothing_left(daemon, session)
    assert daemon.log().rstrip().endswith("master: stopped")
    assert "killing" not in daemon.log()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_exit_code_of_a_stop_is_0(daemon, sig):
    pid = daemon.start_foreground()
    os.kill(pid, sig)
    assert daemon.process.wait(10) == 0


def test_a_worker_that_does_not_stop_is_killed(daemon):
    pid = daemon.start()
    session = session_of(pid)
    worker = daemon.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    daemon.wait_gone(pid)
    # drain_time, close_timeout and 2 s.
    assert 2.5 < time.monotonic() - begin < 6
    assert f"worker 0 does not stop: killing it pid={worker}" in daemon.log()
    assert_nothing_left(daemon, session)


def test_second_term_hurries(daemon):
    daemon.write(drain_time='"60s"')
    pid = daemon.start()
    worker = daemon.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    daemon.wait_log("stopping signal=SIGTERM")
    os.kill(pid, signal.SIGTERM)
    daemon.wait_gone(pid, 8)


def test_a_killed_worker_is_not_replaced_while_stopping(daemon):
    pid = daemon.start()
    session = session_of(pid)
    workers = daemon.workers()
    os.kill(workers[0], signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    daemon.wait_log("worker 1 ended")
    os.kill(workers[0], signal.SIGKILL)
    daemon.wait_gone(pid)
    assert_nothing_left(daemon, session)
    assert "is back" not in daemon.log()
