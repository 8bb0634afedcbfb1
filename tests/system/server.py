"""A chatd of a test's own: its chat.conf, its processes, its end.

Server.stop() is where much of the checking happens: exit code, processes and
descriptors left over, and what the log must not say.
"""
import collections
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

BIN = os.environ.get('CHATD', 'chatd')

# Where the plugins of the tree that is tested are; installed ones are found without.
PLUGINS = (['--plugin-dir', os.environ['CHATD_PLUGINS']]
           if 'CHATD_PLUGINS' in os.environ else [])

# Built with a sanitizer or run on a busy machine, things take their time.
PATIENCE = float(os.environ.get('CHATD_TEST_PATIENCE', '1'))

NEVER = re.compile(
    r'assertion|Sanitizer|runtime error:|damaged|lost wake-up|WARNING: \w+San', re.I)

DEFAULTS = {
    'workers': 1,
    'allow_anonymous': True,
    'token_hmac_secret': 'secret',
    'demo': True,
    'drain_time': '200ms',
    'close_timeout': '1s',
    'ring_size': '2m',
    'interest_buckets': 1024,
    'max_connections': 2000,
    'log_level': 'info',
}
NAMESPACES = {
    '': {'subscribe': 'anyone', 'publish': 'subscriber'},
    'open': {'subscribe': 'anyone', 'publish': 'anyone'},
    'members': {'subscribe': 'authenticated', 'publish': 'authenticated'},
    'closed': {},
}


def free_port():
    """A port that no outgoing connection can take while the server is down."""
    while True:
        port = random.randint(20000, 31999)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        return port


def until(what, timeout=5.0, message=None):
    """Calls WHAT until it is true, and returns what it then gave."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            text = message() if callable(message) else message
            raise AssertionError(text or 'not within %s s' % timeout)
        time.sleep(0.01)


def conf_value(value):
    if isinstance(value, bool):
        return 'on' if value else 'off'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return '{%s}' % ', '.join(conf_value(item) for item in value)
    return '"%s"' % str(value).replace('\\', '\\\\').replace('"', '\\"')


def conf_lines(options, indent=''):
    return ''.join('%s%s = %s\n' % (indent, name, conf_value(value))
                   for name, value in options.items())


def stat_of(pid):
    """(state, parent, session) of a process, or None if there is none."""
    try:
        raw = pathlib.Path('/proc/%d/stat' % pid).read_text(errors='replace')
    except OSError:
        return None
    fields = raw.rpartition(')')[2].split()
    return fields[0], int(fields[1]), int(fields[3])


def processes():
    """{pid: (state, parent, session)} of all that run and are no zombies."""
    found = {}
    for name in os.listdir('/proc'):
        stat = stat_of(int(name)) if name.isdigit() else None
        if stat and stat[0] not in 'ZX':
            found[int(name)] = stat
    return found


class Server:
    """Started by start(), at one or more listeners; written for one test."""

    def __init__(self, directory, namespaces=None, listeners=None, env=None,
                 sections=None, **options):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.options = {
            **DEFAULTS, 'run_dir': str(self.directory / 'run'),
            'state_dir': str(self.directory / 'state'), **options}
        self.namespaces = dict(NAMESPACES if namespaces is None else namespaces)
        self.listeners = listeners or {
            'public': {'address': '127.0.0.1:%d' % self.port,
                       'serve': ['client', 'metrics']}}
        self.sections = sections or {}      # of plugins
        self.env = env or {}
        self.conf = self.directory / 'chat.conf'
        self.log_path = self.directory / 'chatd.log'
        self.process = None
        self.clients = []
        self.deaths_expected = False
        self.allowed = []

    # ---- configuration ---------------------------------------------------

    def write_conf(self, extra=''):
        """As an editor does it: a reader has the old file or the new one."""
        body = conf_lines(self.options)
        for kind, sections in (('listen', self.listeners), ('namespace', self.namespaces)):
            for name, options in sections.items():
                body += '%s "%s" {\n%s}\n' % (kind, name, conf_lines(options, '\t'))
        for name, options in self.sections.items():
            body += '%s {\n%s}\n' % (name, conf_lines(options, '\t'))
        fresh = self.directory / 'chat.conf.new'
        fresh.write_text(body + extra)
        fresh.rename(self.conf)

    def reload(self, namespaces=None, extra='', wait=True, **options):
        """Changes the file, sends SIGHUP, and waits until all workers have it."""
        self.options.update(options)
        self.namespaces.update(namespaces or {})
        self.write_conf(extra)
        done = re.compile(r'configuration \d+ in force in all workers')
        before = len(done.findall(self.log()))
        os.kill(self.pid, signal.SIGHUP)
        if wait:
            until(lambda: len(done.findall(self.log())) > before, 10,
                  lambda: 'the reload is not in force:\n' + self.log())

    # ---- processes -------------------------------------------------------

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return '127.0.0.1', self.port

    def url(self, path='/connection/websocket'):
        return 'ws://127.0.0.1:%d%s' % (self.port, path)

    def start(self):
        self.write_conf()
        before = len(self.log())
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                [BIN, '-f', '-c', str(self.conf), *PLUGINS], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.env})
        ready = re.compile(r'master: up ')
        until(lambda: ready.search(self.log()[before:]) or self.process.poll() is not None,
              20, lambda: 'not up:\n' + self.log())
        assert self.process.poll() is None, 'chatd does not start:\n' + self.log()
        self.first_workers = self.workers()
        self.first_fds = {pid: self.descriptors(pid) for pid in self.all_pids()}
        return self

    def all_pids(self):
        """The master and all that it started."""
        return [pid for pid, stat in processes().items()
                if pid == self.pid or stat[2] == self.pid]

    @staticmethod
    def title(pid):
        """What ps shows of a process; empty if it is gone."""
        try:
            text = pathlib.Path('/proc/%d/cmdline' % pid).read_text(errors='replace')
        except OSError:
            return ''
        return text.rstrip('\0')

    def workers(self):
        """{number: pid} of the workers that run."""
        found = {}
        for pid, stat in processes().items():
            if stat[1] != self.pid:
                continue
            match = re.match(r'chatd: worker (\d+)', self.title(pid))
            if match:
                found[int(match.group(1))] = pid
        return found

    def role(self, name):
        """pid of the broker or the archiver."""
        for pid, stat in processes().items():
            try:
                title = pathlib.Path('/proc/%d/cmdline' % pid).read_text(errors='replace')
            except OSError:
                continue
            if stat[1] == self.pid and re.match(r'chatd: %s\b' % name, title):
                return pid
        return None

    def kill_role(self, name, sig=signal.SIGKILL):
        """Ends the broker or the archiver, and waits until its successor runs."""
        self.deaths_expected = True
        old = self.role(name)
        os.kill(old, sig)
        until(lambda: self.role(name) not in (None, old), 10,
              lambda: 'no new %s:\n%s' % (name, self.log()))

    @staticmethod
    def descriptors(pid):
        """What the descriptors of a process are, counted by kind."""
        kinds = collections.Counter()
        try:
            for name in os.listdir('/proc/%d/fd' % pid):
                try:
                    target = os.readlink('/proc/%d/fd/%s' % (pid, name))
                except OSError:
                    continue
                kinds[re.sub(r'\[\d+\]|\d+', '', target)] += 1
        except OSError:
            pass
        return kinds

    def memory(self, pid=None, field='Pss'):
        """Bytes of a field of smaps_rollup, of one process or of all."""
        total = 0
        for one in [pid] if pid else self.all_pids():
            try:
                text = pathlib.Path('/proc/%d/smaps_rollup' % one).read_text()
            except OSError:
                continue
            total += int(re.search(r'^%s:\s+(\d+) kB' % field, text, re.M).group(1)) * 1024
        return total

    def kill_worker(self, number, sig=signal.SIGKILL):
        """Ends a worker and waits for its successor; returns that one's pid."""
        self.deaths_expected = True
        back = re.compile(r'worker %d is back' % number)
        before = len(back.findall(self.log()))
        old = self.workers()[number]
        os.kill(old, sig)
        until(lambda: len(back.findall(self.log())) > before, 10,
              lambda: 'worker %d is not back:\n%s' % (number, self.log()))
        new = until(lambda: self.workers().get(number))
        assert new != old
        return new

    # ---- log -------------------------------------------------------------

    def log(self):
        try:
            return self.log_path.read_text(errors='replace')
        except FileNotFoundError:
            return ''

    def wait_log(self, pattern, timeout=5.0, count=1):
        until(lambda: len(re.findall(pattern, self.log())) >= count, timeout,
              lambda: 'not in the log: %s\n%s' % (pattern, self.log()))

    def allow(self, pattern):
        """An error line with PATTERN is what the test is about."""
        self.allowed.append(re.compile(pattern))

    def _expected(self, line):
        if any(pattern.search(line) for pattern in self.allowed):
            return True
        return self.deaths_expected and re.search(
            r'(worker \d+|broker|archiver) |: the master is gone', line)

    def check_log(self):
        for line in self.log().splitlines():
            if self._expected(line):
                continue
            assert not NEVER.search(line), line
            assert not re.search(r'\] ERROR ', line, re.I), 'an error in the log: ' + line

    # ---- end -------------------------------------------------------------

    def _leaked(self):
        """What long-lived processes hold more than at the start."""
        # After a reload the master keeps the file for workers that it starts later.
        spare = collections.Counter({'/memfd:chatd-conf (deleted)': 1})
        # What lies in state_dir is opened when it is needed, and twice by readers.
        state = str(self.options['state_dir'])
        for pid, first in self.first_fds.items():
            if not stat_of(pid):
                continue
            more = self.descriptors(pid) - first - spare
            more = {name: n for name, n in more.items()
                    if n > 2 or not name.startswith(re.sub(r'\d+', '', state))}
            if more:
                return '%d holds more than at the start: %s' % (pid, dict(more))
        return None

    def check_alive(self):
        """Before the end: nobody died unasked, and nothing is left behind."""
        assert self.process.poll() is None, 'chatd died:\n' + self.log()
        if not self.deaths_expected:
            assert self.workers() == self.first_workers, 'a worker died:\n' + self.log()
        for client in self.clients:
            client.close()
        self.clients.clear()
        until(lambda: not self._leaked(), 8, self._leaked)

    def stop(self, idle=True):
        """Ends it in order, with all checks; IDLE False: clients are still there."""
        if self.process is None:
            return
        try:
            if idle:
                self.check_alive()
            members = self.all_pids()
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(20 * PATIENCE)
            assert code == 0, 'exit code %d:\n%s' % (code, self.log())
            until(lambda: not set(members) & set(processes()), 5, 'a process is left over')
            self.check_log()
        finally:
            self.kill()

    def kill(self):
        """Ends whatever still runs, without a word."""
        if self.process is None:
            return
        for pid, stat in processes().items():
            if pid == self.pid or stat[2] == self.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait()
        self.process = None
