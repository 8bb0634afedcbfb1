"""A chatd that archives, what befalls its processes, and how its spool fares."""
import os
import pathlib
import re
import signal
import subprocess
import time

import ledger
import load
from server import PATIENCE, PLUGINS, processes, until

CHATCTL = str(load.BUILD / 'src' / 'chatctl')

FOR_ALL = {'subscribe': 'anyone', 'publish': 'anyone'}
HISTORY = {**FOR_ALL, 'history_size': 100000, 'position': True, 'recover': True}
NAMESPACES = {
    'log': {**HISTORY, 'archive': True},                        # acknowledged when on disk
    'mem': {**HISTORY, 'archive': True, 'ack': 'memory'},       # when in memory
    'hot': HISTORY,                                             # history alone
    'open': FOR_ALL,                                            # neither
}

# Fast enough for a test of seconds.
OPTIONS = {'workers': 2, 'namespaces': NAMESPACES, 'max_connections': 10000,
           'store_batch_time': '20ms', 'store_timeout': '2s', 'store_retry_max': '500ms',
           'ring_size': '4m'}


def init_store(server):
    """As an operator does it before the first start."""
    server.write_conf()
    done = subprocess.run([CHATCTL, '-c', str(server.conf), *PLUGINS, 'store', 'init'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def start(server):
    """And waits until the archiver has the database open."""
    init_store(server)
    server.start()
    until(lambda: gauge(server, 'store_state') == 3, 20, server.log)
    server.first_fds = {pid: server.descriptors(pid) for pid in server.all_pids()}
    return server


def start_sqlite(make_server, directory=None, **options):
    """A chatd with a SQLite database, in its state_dir or in DIRECTORY."""
    server = make_server(start=False, **{**OPTIONS, **options}, store='sqlite')
    server.database = server.directory / 'state' / 'chat.db'
    if directory is not None:
        server.database = pathlib.Path(directory) / 'chat.db'
        server.sections = {'sqlite': {'path': str(server.database)}}
    return start(server)


def start_postgres(make_server, postgres, **options):
    server = make_server(start=False, **{**OPTIONS, **options}, store='postgres',
                         sections={'postgres': {'dsn': postgres.dsn()}})
    return start(server)


def roles(server):
    """{title: pid} of the processes that the master started."""
    found = {}
    for pid, stat in processes().items():
        if stat[1] != server.pid:
            continue
        try:
            title = pathlib.Path('/proc/%d/cmdline' % pid).read_text(errors='replace')
        except OSError:
            continue
        match = re.match(r'chatd: (\w+ ?\d*)', title)
        if match:
            found[match.group(1).strip()] = pid
    return found


def kill_role(server, name):
    """SIGKILL to it; False: it is not there just now."""
    server.deaths_expected = True
    pid = roles(server).get(name)
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def kill_all(server):
    """SIGKILL to the whole tree, in no order; it is gone then."""
    members = server.all_pids()
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    server.process.wait()
    until(lambda: not set(members) & set(processes()), 5, 'a process is left over')


def gauge(server, name):
    return load.singles(server)[name]


def wait_drained(server, timeout=20, but=0):
    """Until the database has all that was spooled, but for that many."""
    time.sleep(0.25)        # the broker shows its figures ten times a second
    until(lambda: gauge(server, 'spool_records') <= but, timeout,
          lambda: 'the spool does not drain: %s\n%s' % (load.singles(server),
                                                        server.log()[-3000:]))


class Sampler:
    """How a number grows: called now and then, it remembers (moment, number)."""

    def __init__(self, number):
        self.number = number
        self.seen = []

    def __call__(self):
        self.seen.append((time.monotonic(), self.number()))
        return self.seen[-1][1]

    def fastest(self, over):
        """The highest rate a second in any stretch that is that long."""
        best = 0
        for i, (start, first) in enumerate(self.seen):
            later = [(when, last) for when, last in self.seen[i + 1:]
                     if when - start >= over]
            if later:
                best = max(best, (later[0][1] - first) / (later[0][0] - start))
        return best


def sqlite_check(server, book, **how):
    rows = ledger.sqlite_rows(server.database, book.prefix + '%')
    wrong = ledger.check_rows(book, rows, **how)
    assert not wrong, '\n'.join(wrong)
    return rows


def postgres_check(postgres, book, **how):
    rows = ledger.postgres_rows(postgres, book.prefix + '%')
    wrong = ledger.check_rows(book, rows, **how)
    assert not wrong, '\n'.join(wrong)
    return rows


def subscribers_check(book, rows=None, **how):
    wrong = ledger.check_subscribers(book, rows, **how)
    assert not wrong, '\n'.join(wrong)
