"""The SDKs that applications use: JavaScript and Python, each with the other."""
import os
import signal
import time

import pytest

import tokens
from sdk import COMMANDS
from server import until
from test_fanout import spread


@pytest.fixture
def server(make_server, peer):
    # Depends on peer, so that the peers are gone before the server is checked.
    return make_server(workers=2)


@pytest.mark.parametrize('first', COMMANDS)
@pytest.mark.parametrize('second', COMMANDS)
def test_two_clients_talk_both_ways(server, peer, first, second):
    one, two = peer(first, server), peer(second, server)
    for each in (one, two):
        each.subscribe('room')
    one.publish('room', {'text': 'h\u00e9llo', 'n': 1})
    two.expect('publication', channel='room', data={'text': 'h\u00e9llo', 'n': 1})
    two.publish('room', {'text': 'and back'})
    one.expect('publication', channel='room', data={'text': 'and back'})


@pytest.mark.parametrize('kind', COMMANDS)
def test_order_of_many_messages(server, peer, client, kind):
    one = peer(kind, server)
    one.subscribe('open:order')
    writer = client(server)
    for number in range(500):
        writer.publish('open:order', number)
    for number in range(500):
        assert one.expect('publication')['data'] == number


@pytest.mark.parametrize('kind', COMMANDS)
def test_refused_subscription_and_publication(server, peer, kind):
    one = peer(kind, server)
    one.order('subscribe', channel='closed:x')
    one.expect('unsubscribed', channel='closed:x', code=103)
    one.order('publish', channel='closed:x', data=1)
    one.expect('publish_error', code=103)
    one.order('publish', channel='nosuch:x', data=1)
    one.expect('publish_error', code=102)
    one.subscribe('still-connected')


@pytest.mark.parametrize('kind', COMMANDS)
def test_subscribed_already(server, peer, kind):
    one = peer(kind, server)
    one.subscribe('room')
    one.order('forget', channel='room')
    one.order('subscribe', channel='room')
    one.expect('unsubscribed', channel='room', code=105)


@pytest.mark.parametrize('kind', COMMANDS)
def test_clean_unsubscribe(server, peer, client, kind):
    one = peer(kind, server)
    one.subscribe('room')
    writer = client(server).subscribe('room')
    writer.publish('room', 1)
    one.expect('publication', data=1)
    one.order('unsubscribe', channel='room')
    one.expect('unsubscribed', channel='room', code=0)
    # The SDK says so before the server has heard of it.
    one.publish('open:x', 0)
    writer.publish('room', 2)
    one.subscribe('room')
    writer.publish('room', 3)
    assert one.expect('publication')['data'] == 3


@pytest.mark.parametrize('kind', COMMANDS)
def test_connect_with_a_token(server, peer, client, kind):
    one = peer(kind, server, token=tokens.hs256({'sub': 'u7', 'info': {'a': 1}}))
    one.subscribe('members:x')
    other = client(server, fields={'token': tokens.hs256({'sub': 'u8'})})
    other.subscribe('members:x')
    one.publish('members:x', 'hello')
    info = other.push()['pub']['info']
    assert (info['user'], info['conn_info']) == ('u7', {'a': 1})


@pytest.mark.parametrize('kind', COMMANDS)
def test_an_invalid_token_is_final(server, peer, kind):
    one = peer(kind, server, connect=False, token='garbage')
    one.order('connect')
    one.expect('disconnected', code=3500)


@pytest.mark.parametrize('kind', COMMANDS)
def test_restart_of_the_server(server, peer, client, kind):
    one = peer(kind, server)
    one.subscribe('room')
    server.stop(idle=False)
    one.expect('connecting', code=3001)
    server.start()
    one.expect('connected', timeout=20)
    one.expect('subscribed', channel='room')
    client(server).subscribe('room').publish('room', 'again')
    one.expect('publication', data='again')


@pytest.mark.parametrize('kind', COMMANDS)
def test_sigkill_of_its_worker(server, peer, client, kind):
    one = peer(kind, server, connect=False)
    worker = one.connect()['data']['worker']
    one.subscribe('room')
    server.deaths_expected = True
    os.kill(server.workers()[worker], signal.SIGKILL)
    one.expect('connected', timeout=4)
    one.expect('subscribed', channel='room')
    until(lambda: len(server.workers()) == 2, 10)
    for writer in spread(server, client):
        writer.subscribe('room')
        writer.publish('room', 'from worker %d' % writer.worker)
        one.expect('publication', data='from worker %d' % writer.worker)


def test_pings_keep_an_idle_client(make_server, peer):
    server = make_server(ping_interval='1s', pong_timeout='500ms')
    peers = [peer(kind, server) for kind in COMMANDS]
    for one in peers:
        one.subscribe('room')
        one.waiting.clear()
    time.sleep(4)
    for one in peers:
        assert one.all('connecting') == []
        one.publish('room', one.kind)
        one.expect('publication', data=one.kind)
