"""Starts chatd as an operator does, and looks at it from outside."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from server import PATIENCE, PLUGINS, free_port

CHATD = os.environ.get("CHATD", "chatd")


def has_failpoints():
    """Whether chatd was built with --enable-failpoints."""
    path = shutil.which(CHATD)
    return path is not None and b"CHATD_FAIL" in Path(path).read_bytes()


def until(what, timeout=5.0, message=""):
    """Calls WHAT until it returns something true, which is returned."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(message or f"not within {timeout} s: {what}")
        time.sleep(0.01)


def proc_stat(pid):
    """State, parent and session of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[3])


def alive(pid):
    stat = proc_stat(pid)
    return stat is not None and stat[0] not in "ZX"


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def session_of(pid):
    return proc_stat(pid)[2]


def session_members(session):
    """Processes of a session that run."""
    return [
        pid
        for pid in all_pids()
        if (stat := proc_stat(pid)) and stat[2] == session and stat[0] not in "ZX"
    ]


def title(pid):
    """What ps shows of a process; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().rstrip(b"\0").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors(pid):
    """Descriptor numbers of a process, with what they are."""
    result = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            result[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass
    return result


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


class Daemon:
    """One chatd with a directory of its own."""

    def __init__(self, directory, plugins=None):
        self.dir = directory
        self.plugins = plugins  # a directory of its own for them
        self.port = free_port()
        self.conf = directory / "chat.conf"
        self.log_path = directory / "chatd.log"
        self.run_dir = directory / "run"
        self.state_dir = directory / "state"
        self.process = None
        self.masters = set()
        # A daemon has no standard error that a sanitizer could write to.
        self.reports = directory / "sanitizer"
        options = os.environ.get("ASAN_OPTIONS", "")
        self.env = {
            **os.environ,
            "ASAN_OPTIONS": f"{options}:log_path={self.reports}".lstrip(":"),
        }
        self.write()

    def text(self, options=None):
        values = {
            "workers": "2",
            "run_dir": f'"{self.run_dir}"',
            "state_dir": f'"{self.state_dir}"',
            "log_target": f'"{self.log_path}"',
            "log_level": '"info"',
            "drain_time": '"500ms"',
            "close_timeout": '"500ms"',
            "ring_size": '"1m"',
            "max_connections": "1000",
        }
        values.update(options or {})
        lines = [f"{name} = {value}" for name, value in values.items()]
        lines.append(f'listen "public" {{ address = "127.0.0.1:{self.port}" }}')
        return "\n".join(lines) + "\n"

    def write(self, extra="", **options):
        # As an editor does it: whoever reads has the old or the new one.
        fresh = self.conf.with_suffix(".new")
        fresh.write_text(self.text(options) + extra)
        fresh.rename(self.conf)

    def command(self):
        plugins = ["--plugin-dir", str(self.plugins)] if self.plugins else PLUGINS
        return [CHATD, "-c", str(self.conf), *plugins]

    def run(self, *args, **kwargs):
        """Runs chatd and waits for it; as a daemon, for its start."""
        done = subprocess.run(
            [*self.command(), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30 * PATIENCE,
            env=self.env,
            **kwargs,
        )
        if self.pid_file().exists():
            self.masters.add(self.pid())
        return done

    def start(self):
        done = self.run()
        assert done.returncode == 0, done.stderr + self.log()
        return self.pid()

    def start_foreground(self, **kwargs):
        self.process = subprocess.Popen(
            [*self.command(), "-f"],
            stdin=subprocess.DEVNULL,
            env=self.env,
            **kwargs,
        )
        self.masters.add(self.process.pid)
        self.wait_log(r"master: up ")
        return self.process.pid

    def pid_file(self):
        return self.run_dir / "chatd.pid"

    def pid(self):
        return int(self.pid_file().read_text())

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def wait_log(self, pattern, timeout=10.0, count=1):
        def found():
            return len(re.findall(pattern, self.log())) >= count

        until(found, timeout, f"not in the log: {pattern}")

    def workers(self):
        """Slot to pid of the workers that run."""
        result = {}
        for pid in self.children():
            match = re.fullmatch(r"chatd: worker (\d+)", title(pid))
            if match:
                result[int(match.group(1))] = pid
        return result

    def children(self, master=None):
        """Processes that run and have the master as parent."""
        master = master or self.pid()
        return [
            pid
            for pid in all_pids()
            if (stat := proc_stat(pid)) and stat[1] == master and stat[0] not in "ZX"
        ]

    def signal(self, sig):
        os.kill(self.pid(), sig)

    def reload(self, wait=True):
        """Has it read the file again, and waits until all have it."""
        done = r"configuration \d+ in force in all workers"
        before = len(re.findall(done, self.log()))
        self.signal(signal.SIGHUP)
        if wait:
            self.wait_log(done, count=before + 1)

    def wait_gone(self, pid, timeout=10.0):
        if self.process is not None and self.process.pid == pid:
            self.process.wait(timeout)
        until(lambda: not alive(pid), timeout, f"process {pid} still runs")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def request(self, sock=None):
        """What a worker answers to a request for a page."""
        with sock or self.connect() as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return s.recv(4096)

    def clean(self):
        """Ends whatever of it still runs, and looks at what it left."""
        for master in filter(alive, self.masters):
            for pid in [master, *self.children(master)]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.process is not None:
            self.process.wait(10)
        reports = sorted(self.dir.glob("sanitizer*"))
        assert not reports, reports[0].read_text(errors="replace")
        assert not re.search("assertion|malformed|damaged", self.log()), self.log()
