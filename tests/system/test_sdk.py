"""The SDKs that applications use: JavaScript and Python, each with the other.

A peer is a process with one SDK client (sdk_peer.mjs, sdk_peer.py); here are its
orders and what it tells.
"""
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

import pytest

import tokens
from server import PATIENCE, until
from test_fanout import spread

HERE = pathlib.Path(__file__).resolve().parent
COMMANDS = {'js': ['node', str(HERE / 'sdk_peer.mjs')],
            'python': [sys.executable, str(HERE / 'sdk_peer.py')]}


class Peer:
    def __init__(self, kind, server, **options):
        self.kind = kind
        self.process = subprocess.Popen(
            [*COMMANDS[kind], server.url(), json.dumps(options)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events = queue.Queue()
        self.waiting = []
        threading.Thread(target=self._read, daemon=True).start()
        self.expect('ready', timeout=20)

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def order(self, order, **fields):
        self.process.stdin.write(json.dumps({'order': order, **fields}) + '\n')
        self.process.stdin.flush()

    def expect(self, event, timeout=10, **fields):
        """Takes the first event that fits, waiting for it; others stay in line."""
        wanted = {'event': event, **fields}
        end = time.monotonic() + timeout * PATIENCE
        while True:
            for got in self.waiting:
                if wanted.items() <= got.items():
                    self.waiting.remove(got)
                    return got
            try:
                self.waiting.append(
                    self.events.get(timeout=max(0.01, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError('%s: no %s, but %s' % (
                    self.kind, wanted, self.waiting)) from None

    def connect(self):
        self.order('connect')
        return self.expect('connected')

    def subscribe(self, channel):
        self.order('subscribe', channel=channel)
        self.expect('subscribed', channel=channel)

    def publish(self, channel, data):
        self.order('publish', channel=channel, data=data)
        self.expect('published', channel=channel)

    def end(self):
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


@pytest.fixture
def peer():
    made = []

    def make(kind, server, connect=True, **options):
        one = Peer(kind, server, **options)
        made.append(one)
        if connect:
            one.connect()
        return one
    yield make
    for one in made:
        one.end()


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


@pytest.mark.parametrize('kind', COMMANDS)
def test_pings_keep_an_idle_client(make_server, peer, kind):
    server = make_server(ping_interval='1s', pong_timeout='500ms')
    one = peer(kind, server)
    one.subscribe('room')
    one.waiting.clear()
    with pytest.raises(AssertionError):
        one.expect('connecting', timeout=4 / PATIENCE)
    one.publish('room', 1)
    one.expect('publication', data=1)
