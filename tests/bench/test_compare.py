#!/usr/bin/env python3
"""The reference server, chatbench --raw, and the script that compares: do they work?

No time is judged here, save that chatd does not need twice what the least needs.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
import compare  # noqa: E402
from fake_server import Client, FakeServer  # noqa: E402
from test_chatbench import FAST, bench, main, start  # noqa: E402

BUILD = pathlib.Path(os.environ.get('CHATD_BUILDDIR', '..')).resolve()
LIMIT = str(BUILD / 'tests' / 'bench' / 'limit')
RAW = ['--raw', '--outside', '--rate', '100', '--members', '4', *FAST]
SANITIZED = b'__asan_init' in pathlib.Path(LIMIT).read_bytes() or \
    b'__tsan_init' in pathlib.Path(LIMIT).read_bytes()


class Requests:
    """A reader that shows the request to who asks."""

    def __init__(self, reader):
        self.reader, self.head = reader, b''
        self.readexactly = reader.readexactly

    async def readuntil(self, end):
        self.head = await self.reader.readuntil(end)
        return self.head


class RawServer(FakeServer):
    """The same faults, without the protocol."""

    @property
    def url(self):
        return 'ws://127.0.0.1:%d/ignored' % self.port

    async def client(self, reader, writer):
        await super().client(Requests(reader), writer)

    async def upgrade(self, reader, c):
        await super().upgrade(reader, c)
        path = reader.head.split(b' ')[1].decode()
        room = path[1:].removesuffix('?pub')
        if path.endswith('?pub'):
            c.pub = room
        else:
            c.channel = room
            self.rooms[room].append(c)

    def command(self, c, cmd):
        self.n += 1
        # as the data was: json.loads undone
        self.deliver(c.pub, compare.json.dumps(cmd, separators=(',', ':')).encode())


class Raw(unittest.TestCase):
    def test_counts(self):
        with RawServer() as server:
            status, r = bench('rate', '--url', server.url, *RAW, '--rooms', '2')
        self.assertEqual((status, r['error'], r['raw']), (0, '', True))
        self.assertEqual(r['published'], server.n)
        self.assertEqual(r['unique'], server.n * 4)
        self.assertEqual(sorted(room for room in server.rooms if room),
                         ['bench0', 'bench1'])

    def fault(self, name, **how):
        with RawServer(**how) as server:
            status, r = bench('rate', '--url', server.url, *RAW, '--rooms', '2')
        self.assertGreater(server.did[name], 0)
        self.assertEqual((status, r[name]), (1, server.did[name]))

    def test_faults(self):
        self.fault('lost', lose=7)
        self.fault('duplicates', double=6)
        self.fault('reordered', swap=9)
        self.fault('damaged', damage=5)
        self.fault('misrouted', misroute=5)

    def test_too_long_is_damaged(self):
        class Longer(RawServer):
            def send_one(self, c: Client, data):
                super().send_one(c, data + b' ')
        with Longer() as server:
            _, r = bench('rate', '--url', server.url, *RAW)
        self.assertEqual((r['damaged'], r['received']), (server.did['sent'], 0))

    def test_what_it_excludes(self):
        for arguments, why in ((['rate', '--raw'], '--outside'),
                               (['idle', '--raw', '--token', 'a'], 'no tokens')):
            done = start(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(why, done.stderr)


@contextlib.contextmanager
def limit(*arguments):
    """A running reference server; its port."""
    port = compare.free_port()
    with subprocess.Popen([LIMIT, '-p', str(port), *arguments]) as process:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    compare.socket.create_connection(('127.0.0.1', port), 1).close()
                    break
                time.sleep(0.05)
            yield 'ws://127.0.0.1:%d' % port
        finally:
            process.terminate()


class Limit(unittest.TestCase):
    def check(self, *arguments, mode=('rate', *RAW)):
        with limit(*arguments) as url:
            status, r = bench(*mode, '--rooms', '3', '--url', url)
        self.assertEqual((status, r['ok'], r['error']), (0, True, ''))
        self.assertEqual(r['unique'], r['published'] * 4)
        self.assertGreater(r['published'], 2)

    def test_plain(self):
        self.check()

    def test_coalescing(self):
        self.check('-c')
        self.check('-c', mode=('saturate', '--raw', '--outside', '--members', '4', *FAST))

    def test_processes(self):
        self.check('-w', '2')

    def test_large_and_churn(self):
        self.check(mode=('rate', *RAW, '--size', '60000', '--rate', '10'))
        with limit() as url:
            status, r = bench('rate', *RAW, '--url', url, '--churn', '30')
        self.assertEqual((status, r['lost'], r['duplicates']), (0, 0, 0))
        self.assertGreater(r['churned'], 6)

    def test_bad_arguments(self):
        for arguments in (['-p', '0'], ['-p', '1x'], ['-w', '9'], ['-z']):
            done = subprocess.run([LIMIT, *arguments], capture_output=True, check=False,
                                  timeout=10)
            self.assertEqual(done.returncode, 2, arguments)


class Compare(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run(
            [sys.executable, str(HERE / 'compare.py'), '--build', str(BUILD), '--rounds',
             '1', '--duration', '0.4', '--quiet-wait', '0', *arguments],
            capture_output=True, text=True, check=False, timeout=120)

    def test_tables(self):
        done = self.run_it('--scale', '0.2', '--loads', 'fanout,connect,workers')
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        rows = [line.split(' | ') for line in done.stdout.splitlines()
                if re.match(r'\| .* (limit|chatd)', line)]
        wrong = [row[-1] for row in rows if row[-1] not in ('none |', 'chatbench late |')]
        self.assertEqual([w for w in wrong if w not in ('yes |', 'no |')], [])
        cost = {row[1]: float(row[4]) for row in rows if len(row) == 8}
        self.assertEqual(sorted(cost), ['chatd', 'limit'])
        self.assertEqual(cost['limit'], 1)
        if not SANITIZED:
            self.assertLess(cost['chatd'], 2)
        self.assertRegex(done.stdout, r'p99 across workers.* ms \| (yes|no)')

    def test_update(self):
        with compare.tempfile.TemporaryDirectory() as scratch:
            page = pathlib.Path(scratch) / 'page.md'
            page.write_text('a\n%sold\n%sb\n' % (compare.BEGIN, compare.END))
            compare.update(page, 'new\n')
            self.assertEqual(page.read_text(),
                             'a\n%snew\n%sb\n' % (compare.BEGIN, compare.END))
            page.write_text('a\n')
            with self.assertRaises(SystemExit):
                compare.update(page, 'new\n')

    def test_unknown_load(self):
        self.assertIn('no load nonsense', self.run_it('--loads', 'nonsense').stderr)


if __name__ == '__main__':
    sys.exit(main(__name__))
