"""The SDKs load older messages: what history has dropped comes from the database, by
the same calls.
"""
import os
import sqlite3
import subprocess

import pytest

from sdk import COMMANDS
from server import PLUGINS, until
from test_sdk_order import Flood

CHATCTL = os.path.join(os.environ['CHATD_BUILDDIR'], 'src', 'chatctl')
NAMESPACES = {
    'kept': {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 10,
             'recover': 'on', 'history_for': 'anyone', 'archive': True},
    'all': {'subscribe': 'anyone', 'publish': 'anyone', 'history_for': 'anyone',
            'archive': True},
}

each_kind = pytest.mark.parametrize('kind', COMMANDS)


def with_tables(server):
    server.write_conf()
    subprocess.run([CHATCTL, '-c', str(server.conf), *PLUGINS, 'store', 'init'],
                   check=True, timeout=20)
    return server.start()


@pytest.fixture(scope='module')
def server(shared_server):
    return with_tables(
        shared_server(start=False, workers=2, namespaces=NAMESPACES, store='sqlite'))


@pytest.fixture
def own_server(make_server, peer):
    return with_tables(
        make_server(start=False, workers=2, namespaces=NAMESPACES, store='sqlite'))


def rows(server, channel):
    """Offsets of the channel's rows in the database."""
    with sqlite3.connect(server.directory / 'state' / 'chat.db') as database:
        return [offset for offset, in database.execute(
            'SELECT "offset" FROM chatd_messages WHERE channel = ? ORDER BY "offset"',
            (channel,))]


def filled(server, client, channel, count):
    writer = client(server)
    for number in range(1, count + 1):
        writer.publish(channel, number)
    until(lambda: len(rows(server, channel)) == count, 5, lambda: rows(server, channel))


def pages(one, channel, reverse, since=None):
    """All publications, by pages of 7, until there are no more."""
    found = []
    while True:
        got = one.ask('history', channel, limit=7, since=since, reverse=reverse)
        if not got['publications']:
            return found
        found += got['publications']
        if found[-1][0] == 1:
            return found  # SINCE of 1 could follow, but not of 0
        since = {'offset': found[-1][0], 'epoch': got['epoch']}


@each_kind
@pytest.mark.parametrize('like', ['kept:pages', 'all:pages'])
def test_page_by_page_past_history(server, peer, client, kind, like, at):
    channel = at(like)
    filled(server, client, channel, 60)
    one = peer(kind, server)
    expected = [[number, number] for number in range(1, 61)]
    assert pages(one, channel, True) == expected[::-1]
    epoch = one.ask('history', channel)['epoch']
    assert pages(one, channel, False, {'offset': 1, 'epoch': epoch}) == expected[1:]


@each_kind
def test_a_page_across_the_seam(server, peer, client, kind, at):
    channel = at('kept:seam')
    filled(server, client, channel, 30)
    one = peer(kind, server)
    epoch = one.ask('history', channel)['epoch']

    def offsets(offset, **fields):
        got = one.ask('history', channel, since={'offset': offset, 'epoch': epoch},
                      **fields)
        assert got['offset'] == 30
        return [number for number, _ in got['publications']]
    assert offsets(15, limit=10) == list(range(16, 26))
    assert offsets(24, limit=10, reverse=True) == list(range(23, 13, -1))
    assert offsets(15, limit=-1) == list(range(16, 31))
    assert offsets(21, limit=5, reverse=True) == [20, 19, 18, 17, 16]
    assert offsets(21, limit=5) == [22, 23, 24, 25, 26]
    one.order('history', channel=channel, limit=5,
              since={'offset': 3, 'epoch': 'nonesuch'})
    one.expect('history_error', code=112)


@each_kind
def test_what_a_publisher_is_told_is_in_the_database_once(
        own_server, peer, client, kind):
    one = peer(kind, own_server)
    one.subscribe('kept:x')
    one.waiting.clear()
    flood = Flood(client(own_server), 'kept:x')
    for role in ('archiver', 'broker', 'archiver'):
        more = flood.done + 30
        until(lambda: flood.done > more)
        own_server.kill_role(role)
    more = flood.done + 30
    until(lambda: flood.done > more)
    count = flood.stop()
    until(lambda: len(rows(own_server, 'kept:x')) >= count, 10,
          lambda: (count, rows(own_server, 'kept:x')))
    assert rows(own_server, 'kept:x') == list(range(1, count + 1))
    assert [got['offset'] for got in one.publications('kept:x', count)] == list(
        range(1, count + 1))
    assert one.all('subscribing') == one.all('connecting') == []
    assert pages(one, 'kept:x', True) == [
        [number, number] for number in range(count, 0, -1)]


@each_kind
def test_a_database_that_is_locked_is_not_waited_for(own_server, peer, client, kind):
    filled(own_server, client, 'kept:l', 30)
    one = peer(kind, own_server)
    one.subscribe('kept:l')
    path = own_server.directory / 'state' / 'chat.db'
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute('BEGIN EXCLUSIVE')
    for number in range(31, 51):
        one.publish('kept:l', number, timeout=2)
    assert [offset for offset, _ in one.ask(
        'history', 'kept:l', limit=5, reverse=True)['publications']] == [
            50, 49, 48, 47, 46]
    assert max(rows(own_server, 'kept:l')) == 30
    lock.rollback()
    lock.close()
    until(lambda: rows(own_server, 'kept:l') == list(range(1, 51)), 10,
          lambda: rows(own_server, 'kept:l'))
