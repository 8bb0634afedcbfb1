"""A load on a server, and what the server says and takes meanwhile."""
import json
import os
import pathlib
import re
import signal
import subprocess

import wire
from server import BIN, PATIENCE

BUILD = pathlib.Path(os.environ.get('CHATD_BUILDDIR', pathlib.Path(BIN).parent.parent))
CHATBENCH = str(BUILD / 'src' / 'chatbench')
TICK = os.sysconf('SC_CLK_TCK')


class Bench:
    """A chatbench that runs beside the test."""

    def __init__(self, server, mode, *options, url=None):
        command = [CHATBENCH, mode, '--url', url or server.url(), '--json', '--quiet',
                   *(str(option) for option in options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, timeout=60, interrupt=False):
        """(exit code, report), when it is over or, at INTERRUPT, now."""
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=timeout * PATIENCE)
        assert out, 'chatbench has no report: ' + errors
        return self.process.returncode, json.loads(out)

    def right(self, timeout=60, interrupt=False):
        """The report of a run in which nothing was wrong."""
        code, report = self.end(timeout, interrupt)
        assert code == 0 and report['ok'], report
        return report


def metrics_text(server, stream=None):
    """What /metrics says, on a new connection or on STREAM."""
    own = stream or wire.Stream(server.address)
    own.send(b'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n')
    status, _, body = wire.read_response(own)
    if not stream:
        own.close()
    assert status == 200
    return body.decode()


def metrics(server, stream=None):
    """{name: {worker: value}} of the workers.  The names are those of stat_list.h."""
    found = {}
    for name, worker, value in re.findall(
            r'^chatd_(\w+?)(?:_total)?\{worker="(\d+)"\} (\d+)$',
            metrics_text(server, stream), re.M):
        found.setdefault(name, {})[int(worker)] = int(value)
    return found


def singles(server, stream=None):
    """{name: value} of the broker and the archiver."""
    return {name: int(value) for name, value in re.findall(
        r'^chatd_(\w+?)(?:_total)? (\d+)$', metrics_text(server, stream), re.M)}


def total(server, name):
    return sum(metrics(server)[name].values())


def status_kib(pid, field):
    """A field of /proc/PID/status, in KiB."""
    text = pathlib.Path('/proc/%d/status' % pid).read_text(errors='replace')
    return int(re.search(r'^%s:\s+(\d+) kB' % field, text, re.M).group(1))


def cpu_seconds(pid):
    fields = pathlib.Path('/proc/%d/stat' % pid).read_text(errors='replace')
    fields = fields.rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


# For the environment of a server whose memory is measured: AddressSanitizer keeps what
# was freed, by default 256 MiB of it.
FREED_IS_FREE = {'ASAN_OPTIONS': ':'.join(
    filter(None, [os.environ.get('ASAN_OPTIONS'), 'quarantine_size_mb=1']))}


def sanitized():
    """Whether the chatd under test was built with AddressSanitizer."""
    return b'__asan_init' in pathlib.Path(BIN).read_bytes()
