"""SIGHUP: what changes at once, for clients that stay."""
import os
import re
import signal
import time

import pytest

import wire
from server import PATIENCE, until


@pytest.fixture
def server(make_server):
    return make_server(workers=2)


def test_namespaces_apply_to_clients_that_are_there(server, client):
    clients = [client(server).subscribe('room') for _ in range(10)]
    assert clients[0].call(subscribe={'channel': 'later:x'})['error']['code'] == 102
    server.reload(namespaces={'later': {'subscribe': 'anyone', 'publish': 'anyone'},
                              '': {'subscribe': 'anyone', 'publish': 'nobody'}})
    for one in clients:
        one.subscribe('later:x')
        assert one.call(publish={'channel': 'room', 'data': 1})['error']['code'] == 103
    clients[0].publish('later:x', 'now')
    for one in clients:
        assert one.push()['pub']['data'] == 'now'


def test_limits_apply_to_clients_that_are_there(server, client):
    one = client(server).subscribe('a', 'b')
    server.reload(max_subscriptions=2, publish_rate=1, publish_burst=1,
                  max_message_size=2000, max_frame_size=2000)
    assert one.call(subscribe={'channel': 'c'})['error']['code'] == 106
    replies = [one.call(publish={'channel': 'a', 'data': 1}) for _ in range(4)]
    assert any(reply.get('error', {}).get('code') == 111 for reply in replies)
    server.reload(max_subscriptions=10, publish_rate=0, publish_burst=0)
    one.subscribe('c')
    one.send_text('{"id":900,"publish":{"channel":"a","data":"%s"}}' % ('x' * 3000))
    assert one.closing()[0] == 1009


def test_clients_keep_the_pings_that_were_announced_to_them(server, client):
    server.reload(ping_interval='1s', pong_timeout='500ms')
    one = client(server)
    server.reload(ping_interval='5s', pong_timeout='4s')
    other = client(server)
    assert (one.info['ping'], other.info['ping']) == (1, 5)
    # Three of its pings take 3 s and a few ticks, three of the other's 12 s.
    end = time.monotonic() + 6
    while one.pings < 3:
        assert time.monotonic() < end
        one.silent(0.2)
    one.autopong = False
    start = time.monotonic()
    assert one.closing() == (3012, 'no pong')
    assert time.monotonic() - start < 2.2 * PATIENCE


def test_log_level(server, client):
    client(server)
    assert ' DEBUG ' not in server.log().upper()
    server.reload(log_level='debug')
    client(server).subscribe('x')
    server.reload(log_level='debug', max_subscriptions=99)
    before = len(re.findall(r'\] DEBUG ', server.log(), re.I))
    assert before > 0
    server.reload(log_level='warn', wait=False)
    until(lambda: server.workers(), 1)


def test_nobody_is_dropped_by_many_reloads(server, client):
    clients = [client(server).subscribe('room') for _ in range(20)]
    workers = server.workers()
    for number in range(20):
        server.reload(max_subscriptions=100 + number)
        clients[number].publish('room', number)
    for one in clients:
        assert one.publications(20) == list(range(20))
    assert server.workers() == workers


BAD = {
    'unknown option': 'no_such_option = 3\n',
    'wrong type': 'max_subscriptions = "many"\n',
    'out of range': 'max_channel_length = 99999\n',
    'syntax': 'namespace "x" {\n',
    'bad value of a section': 'namespace "x" { subscribe = "everybody" }\n',
}


@pytest.mark.parametrize('name', BAD)
def test_a_bad_file_changes_nothing_and_says_where(server, client, name):
    server.allow(r'configuration not changed|chat\.conf:\d+')
    one = client(server).subscribe('room')
    server.options['max_subscriptions'] = 1
    server.write_conf(BAD[name])
    text = server.conf.read_text()
    line = text.count('\n', 0, text.rindex(BAD[name])) + 1
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: 'configuration not changed' in server.log(), 5, server.log)
    where = re.search(r'chat\.conf:(\d+)', server.log())
    assert where, server.log()
    assert int(where.group(1)) in (line, line + 1), server.log()
    one.subscribe('more', 'and-more')
    one.publish('room', 'still here')
    client(server).subscribe('a', 'b')


def test_what_needs_a_restart_is_said(server, client):
    one = client(server).subscribe('room')
    server.reload(workers=3, ring_size='4m', max_subscriptions=1)
    assert re.search(r'workers', server.log().split('reading the configuration')[-1])
    assert len(server.workers()) == 2
    assert one.call(subscribe={'channel': 'more'})['error']['code'] == 106


def test_origins_and_anonymous_apply_at_once(server, client):
    with pytest.raises(wire.Refused):
        client(server, headers={'Origin': 'http://a.example'})
    server.reload(allowed_origins=['http://a.example'], allow_anonymous=False)
    one = client(server, connect=False, headers={'Origin': 'http://a.example'})
    one.send_command(connect={})
    assert one.closing() == (3501, 'bad request')


def test_demo_page_can_be_switched(server, client):
    def status():
        stream = wire.Stream(server.address)
        stream.send(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        answer = wire.read_response(stream)[0]
        stream.close()
        return answer
    assert status() == 200
    server.reload(demo=False)
    assert status() == 404
    assert 'data' not in client(server).info
