"""Memory of broker and archiver while many messages pass, and while many wait."""
import os
import re
import subprocess

import pytest

import load
import wire
from server import PATIENCE, PLUGINS, until

CHATCTL = str(load.BUILD / 'src' / 'chatctl')
# What may be added after the first tenth: buffers that grow to the largest batch.
GROWTH_KIB = 48 * 1024 if load.sanitized() else 12 * 1024
NAMESPACES = {'arch': {'subscribe': 'anyone', 'publish': 'anyone', 'archive': True,
                       'ack': 'memory'}}
COUNTS = [50_000, pytest.param(5_000_000, marks=pytest.mark.long)]


def gauge(server, name):
    """A number of broker or archiver."""
    stream = wire.Stream(server.address)
    stream.send(b'GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    _, _, body = wire.read_response(stream)
    stream.close()
    return int(re.search(r'^chatd_%s (\d+)$' % name, body.decode(), re.M).group(1))


def anonymous(server):
    """KiB that are no file's: LMDB's pages are the kernel's to take back."""
    return {name: load.status_kib(server.role(name), 'RssAnon')
            for name in ('broker', 'archiver')}


def publish(server, count):
    """Publishes at least COUNT, and looks at memory after a tenth and at the end."""
    early, largest = None, {}
    with load.Bench(server, 'publish', '--channel-prefix', 'arch:', '--rooms', 50,
                    '--publishers', 2, '--window', 16, '--size', 200, '--warmup', 0,
                    '--duration', 3600) as bench:
        def enough():
            nonlocal early
            assert bench.process.poll() is None
            done = gauge(server, 'broker_published_total')
            now = anonymous(server)
            if early is None and done > count // 10:
                early = now
            for name, kib in now.items():
                largest[name] = max(kib, largest.get(name, 0))
            return done >= count

        until(enough, 60 + count / 2000)
        report = bench.right(timeout=60, interrupt=True)
    assert report['confirmed_per_s'] > 0
    for name, kib in early.items():
        assert largest[name] - kib < GROWTH_KIB, (name, early, largest)
    return report['published']


@pytest.mark.parametrize('count', COUNTS)
def test_while_messages_pass(make_server, count):
    server = make_server(start=False, namespaces=NAMESPACES, env=load.FREED_IS_FREE)
    server.write_conf()
    subprocess.run([CHATCTL, '-c', str(server.conf), *PLUGINS, 'store', 'init'],
                   check=True, timeout=30 * PATIENCE)
    server.start()
    published = publish(server, count)
    until(lambda: gauge(server, 'archived_total') >= published, 60 + count / 2000)
    until(lambda: gauge(server, 'spool_records') == 0, 10)
    # What was deleted is used again: the file is not as large as all that passed.
    size = os.stat(server.directory / 'state' / 'history' / 'data.mdb').st_size
    assert size < 256 << 20 or size < published * 100, size


@pytest.mark.parametrize('count', COUNTS)
def test_while_messages_wait(make_server, count):
    server = make_server(start=False, namespaces=NAMESPACES, env=load.FREED_IS_FREE,
                         store='postgres', spool_size='8g')
    server.allowed.append(re.compile('messages wait in the spool'))
    write = server.write_conf
    # Nobody listens there.
    server.write_conf = lambda: write('postgres { dsn = "host=127.0.0.1 port=1" }\n')
    server.start()
    published = publish(server, count)
    until(lambda: gauge(server, 'spool_records') == published)
    assert gauge(server, 'archived_total') == 0
