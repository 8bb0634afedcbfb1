"""The SDKs in channels with history: nothing is lost, doubled or out of order for an
application, whatever is cut, frozen or killed.
"""
import os
import random
import signal
import threading
import time

import pytest

import wire
from sdk import COMMANDS
from server import until
from test_fanout import spread

LOG = {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 100,
       'recover': 'on', 'history_for': 'anyone', 'ack': 'spool'}
NAMESPACES = {
    'log': LOG,
    'short': {**LOG, 'history_size': 5},
    'place': {**LOG, 'recover': 'off', 'position': 'on', 'ack': 'memory'},
    'wish': {**LOG, 'recover': 'optional', 'position': 'optional', 'ack': 'memory'},
    'last': {**LOG, 'cache_recovery': True, 'ack': 'memory'},
    'private': {**LOG, 'history_for': 'subscriber', 'ack': 'memory'},
}

each_kind = pytest.mark.parametrize('kind', COMMANDS)


@pytest.fixture(scope='module')
def server(shared_server):
    return shared_server(workers=2, namespaces=NAMESPACES)


@pytest.fixture
def own_server(make_server, peer, line):
    # Depends on peer and line: those are gone before the server is checked.
    return make_server(workers=2, namespaces=NAMESPACES)


def places(publications):
    return [(got['offset'], got['data']) for got in publications]


def numbered(first, last):
    return [(number, number) for number in range(first, last + 1)]


def fill(writer, channel, first, last):
    for number in range(first, last + 1):
        writer.publish(channel, number)


class Flood:
    """Publishes numbers from 1 on, each when the one before is acknowledged."""

    def __init__(self, writer, channel):
        self.writer, self.channel = writer, channel
        self.done, self.slowest, self.error = 0, 0, None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.stopping.is_set():
                began = time.monotonic()
                self.writer.publish(self.channel, self.done + 1)
                self.done += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                time.sleep(0.002)
        except Exception as error:  # told where the test looks
            self.error = error

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert self.error is None, self.error
        return self.done


def check_all(one, channel, count):
    """Numbers 1 to COUNT came, once each and in their order, and nothing else."""
    assert places(one.publications(channel, count)) == numbered(1, count)
    time.sleep(0.1)
    assert one.all('publication') == []


# ---- recovery --------------------------------------------------------------------


@each_kind
def test_what_was_missed_while_the_line_was_cut(server, peer, line, client, kind, at):
    wire = line(server)
    one = peer(kind, wire)
    first = one.subscribe(at('log:a'))
    assert (first['recoverable'], first['was_recovering']) == (True, False)
    assert first['position']['offset'] == 0 and len(first['position']['epoch']) == 8
    writer = client(server)
    fill(writer, at('log:a'), 1, 3)
    assert places(one.publications(at('log:a'), 3)) == numbered(1, 3)
    wire.cut()
    one.expect('connecting')
    fill(writer, at('log:a'), 4, 60)
    wire.mend()
    again = one.expect('subscribed', channel=at('log:a'))
    assert (again['was_recovering'], again['recovered']) == (True, True)
    assert again['position']['epoch'] == first['position']['epoch']
    assert places(one.publications(at('log:a'), 57)) == numbered(4, 60)
    fill(writer, at('log:a'), 61, 62)
    assert places(one.publications(at('log:a'), 2)) == numbered(61, 62)
    assert one.all('publication') == []


@each_kind
def test_nothing_was_missed(server, peer, line, client, kind, at):
    wire = line(server)
    one = peer(kind, wire)
    one.subscribe(at('log:b'))
    fill(client(server), at('log:b'), 1, 2)
    one.publications(at('log:b'), 2)
    for _ in range(3):
        wire.cut()
        one.expect('connecting')
        wire.mend()
        again = one.expect('subscribed', channel=at('log:b'))
        assert (again['was_recovering'], again['recovered']) == (True, True)
    assert one.all('publication') == []


@each_kind
def test_more_was_missed_than_history_has(server, peer, line, client, kind, at):
    wire = line(server)
    one = peer(kind, wire)
    one.subscribe(at('short:a'))
    writer = client(server)
    fill(writer, at('short:a'), 1, 1)
    one.publications(at('short:a'), 1)
    wire.cut()
    one.expect('connecting')
    fill(writer, at('short:a'), 2, 9)
    wire.mend()
    again = one.expect('subscribed', channel=at('short:a'))
    assert (again['was_recovering'], again['recovered']) == (True, False)
    assert again['position']['offset'] == 9
    fill(writer, at('short:a'), 10, 10)
    assert places(one.publications(at('short:a'), 1)) == numbered(10, 10)


@each_kind
def test_just_as_much_was_missed_as_history_has(server, peer, line, client, kind, at):
    wire = line(server)
    one = peer(kind, wire)
    one.subscribe(at('short:b'))
    wire.cut()
    one.expect('connecting')
    fill(client(server), at('short:b'), 1, 5)
    wire.mend()
    assert one.expect('subscribed', channel=at('short:b'))['recovered'] is True
    check_all(one, at('short:b'), 5)


@each_kind
def test_the_newest_alone_where_history_is_a_cache(server, peer, line, client, kind, at):
    wire = line(server)
    one = peer(kind, wire)
    one.subscribe(at('last:a'))
    writer = client(server)
    fill(writer, at('last:a'), 1, 2)
    one.publications(at('last:a'), 2)
    wire.cut()
    one.expect('connecting')
    fill(writer, at('last:a'), 3, 8)
    wire.mend()
    again = one.expect('subscribed', channel=at('last:a'))
    assert (again['was_recovering'], again['recovered']) == (True, True)
    assert places(one.publications(at('last:a'), 1)) == numbered(8, 8)
    fill(writer, at('last:a'), 9, 9)
    assert places(one.publications(at('last:a'), 1)) == numbered(9, 9)
    assert one.all('publication') == []


def test_the_newest_at_the_first_subscription(server, peer, client, at):
    fill(client(server), at('last:b'), 1, 4)
    one = peer('js', server)
    first = one.subscribe(at('last:b'), since={})
    assert (first['was_recovering'], first['recovered']) == (True, True)
    assert places(one.publications(at('last:b'), 1)) == numbered(4, 4)


def test_from_a_place_that_the_application_remembers(server, peer, client, at):
    fill(client(server), at('log:since'), 1, 10)
    one = peer('js', server)
    place = one.ask('history', at('log:since'))
    one.subscribe(at('log:since'), since={'offset': 6, 'epoch': place['epoch']})
    assert places(one.publications(at('log:since'), 4)) == numbered(7, 10)
    two = peer('js', server)
    first = two.subscribe(at('log:since'), since={'offset': 6, 'epoch': 'nonesuch'})
    assert (first['was_recovering'], first['recovered']) == (True, False)


@each_kind
def test_many_channels_at_once(server, peer, line, client, kind, at):
    wire = line(server)
    one = peer(kind, wire)
    channels = [at('log:many%d' % number) for number in range(30)]
    for channel in channels:
        one.subscribe(channel)
    wire.cut()
    one.expect('connecting')
    writer = client(server)
    for channel in channels:
        fill(writer, channel, 1, 5)
    wire.mend()
    for channel in channels:
        assert one.expect('subscribed', channel=channel)['recovered'] is True
        assert places(one.publications(channel, 5)) == numbered(1, 5)


# ---- positions -------------------------------------------------------------------


@each_kind
def test_a_position_without_recovery(server, peer, client, kind, at):
    one = peer(kind, server)
    first = one.subscribe(at('place:a'))
    assert (first['positioned'], first['recoverable']) == (True, False)
    fill(client(server), at('place:a'), 1, 3)
    check_all(one, at('place:a'), 3)


@each_kind
def test_only_who_wishes_has_a_position(server, peer, kind, at):
    one, two, three = peer(kind, server), peer(kind, server), peer(kind, server)
    first = one.subscribe(at('wish:a'))
    assert (first['positioned'], first['recoverable']) == (False, False)
    assert two.subscribe(at('wish:a'), positioned=True)['positioned'] is True
    assert three.subscribe(at('wish:a'), recoverable=True)['recoverable'] is True
    one.publish(at('wish:a'), 1)
    for each in (one, two, three):
        assert places(each.publications(at('wish:a'), 1)) == numbered(1, 1)


# ---- gaps ------------------------------------------------------------------------


def frozen_meanwhile(own_server, client, one, channel, count):
    """COUNT publications, more than the ring has, while ONE's worker is frozen."""
    worker = one.connect()['data']['worker']
    one.subscribe(channel)
    one.waiting.clear()
    writer = spread(own_server, client)[1 - worker]
    pid = own_server.workers()[worker]
    os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(1, count + 1):
            writer.publish(channel, [number, 'x' * 1000])
    finally:
        os.kill(pid, signal.SIGCONT)
    return writer


@pytest.fixture
def small_server(make_server, peer):
    return make_server(workers=2, namespaces=NAMESPACES, ring_size='64k',
                       max_message_size=4096)


@each_kind
def test_a_gap_is_filled_unnoticed(small_server, peer, client, kind):
    one = peer(kind, small_server, connect=False)
    frozen_meanwhile(small_server, client, one, 'log:gap', 90)
    got = one.publications('log:gap', 90)
    assert [number for number, _ in (each['data'] for each in got)] == list(range(1, 91))
    assert one.all('subscribing') == one.all('publication') == []


@each_kind
def test_a_gap_that_cannot_be_filled_is_told(small_server, peer, client, kind):
    one = peer(kind, small_server, connect=False)
    writer = frozen_meanwhile(small_server, client, one, 'short:gap', 90)
    one.expect('subscribing', code=2500)
    again = one.expect('subscribed', channel='short:gap')
    assert (again['was_recovering'], again['recovered']) == (True, False)
    assert again['position']['offset'] == 90
    one.all('publication')
    one.waiting.clear()
    writer.publish('short:gap', 'on')
    assert places(one.publications('short:gap', 1)) == [(91, 'on')]
    assert one.all('publication') == []


# ---- deaths ----------------------------------------------------------------------


@each_kind
def test_sigkill_of_its_worker_under_load(own_server, peer, client, kind):
    one = peer(kind, own_server, connect=False)
    worker = one.connect()['data']['worker']
    one.subscribe('log:kill')
    flood = Flood(spread(own_server, client)[1 - worker], 'log:kill')
    until(lambda: flood.done > 20)
    own_server.kill_worker(worker)
    again = one.expect('subscribed', channel='log:kill')
    assert (again['was_recovering'], again['recovered']) == (True, True)
    more = flood.done + 20
    until(lambda: flood.done > more)
    check_all(one, 'log:kill', flood.stop())


@each_kind
def test_sigkill_of_the_broker_under_load(own_server, peer, client, kind):
    one, two = peer(kind, own_server), peer(kind, own_server)
    for each in (one, two):
        each.subscribe('log:broker')
        each.waiting.clear()
    flood = Flood(client(own_server), 'log:broker')
    for _ in range(3):
        more = flood.done + 20
        until(lambda: flood.done > more)
        own_server.kill_role('broker')
    more = flood.done + 20
    until(lambda: flood.done > more)
    count = flood.stop()
    assert flood.slowest < 4
    for each in (one, two):
        check_all(each, 'log:broker', count)
        for event in ('connecting', 'subscribing', 'unsubscribed', 'error'):
            assert each.all(event) == []


@each_kind
def test_an_acknowledged_publication_survives_all(own_server, peer, kind):
    one = peer(kind, own_server)
    place = one.subscribe('log:all')['position']
    for number in range(1, 11):
        one.publish('log:all', number)
    one.publications('log:all', 10)
    own_server.allow('the master is gone')
    own_server.kill()
    one.expect('connecting')
    own_server.start()
    again = one.expect('subscribed', channel='log:all', timeout=20)
    assert (again['was_recovering'], again['recovered']) == (True, True)
    assert again['position']['epoch'] == place['epoch']
    one.publish('log:all', 11)
    assert places(one.publications('log:all', 1)) == numbered(11, 11)
    assert one.ask('history', 'log:all', limit=50)['publications'] == [
        [number, number] for number in range(1, 12)]


@each_kind
def test_no_acknowledgement_before_the_broker_has_it(own_server, peer, kind):
    one = peer(kind, own_server)
    one.subscribe('log:late')
    broker = own_server.role('broker')
    os.kill(broker, signal.SIGSTOP)
    try:
        one.order('publish', channel='log:late', data='late')
        time.sleep(0.4)
        assert one.all('published') == one.all('publication') == []
    finally:
        os.kill(broker, signal.SIGCONT)
    one.expect('published', channel='log:late')
    one.expect('publication', channel='log:late', data='late')


class Stubborn(threading.Thread):
    """Publishes numbers, each until it is told that it was: by any worker, with the
    same idempotency key."""

    def __init__(self, server, channel):
        super().__init__()
        self.server, self.channel = server, channel
        self.done, self.error = 0, None
        self.stopping = threading.Event()
        self.client = None

    def _publish(self):
        try:
            if self.client is None:
                self.client = wire.Client(self.server.address).connect()
            reply = self.client.call(publish={
                'channel': self.channel, 'data': self.done + 1,
                'idempotency_key': '%d' % (self.done + 1)})
        except (OSError, wire.Closed, wire.Refused, TimeoutError):
            self.client = None
            time.sleep(0.05)
            return
        if 'publish' in reply:
            self.done += 1
            time.sleep(0.005)
        else:
            assert reply['error']['code'] == 100, reply
            time.sleep(0.05)

    def run(self):
        try:
            while not self.stopping.is_set():
                self._publish()
        except Exception as error:  # told where the test looks
            self.error = error

    def stop(self):
        self.stopping.set()
        self.join()
        assert self.error is None, self.error
        return self.done


@pytest.mark.long
def test_sigkill_of_anybody_again_and_again(make_server, peer):
    server = make_server(
        workers=2, namespaces={'log': {**LOG, 'history_size': 10000}})
    channels = ['log:chaos%d' % number for number in range(3)]
    peers = [peer(kind, server) for kind in COMMANDS for _ in range(3)]
    for one in peers:
        for channel in channels:
            one.subscribe(channel)
    writers = [Stubborn(server, channel) for channel in channels]
    for writer in writers:
        writer.start()
    chance = random.Random(4)
    for _ in range(25):
        time.sleep(chance.uniform(0.05, 1))
        victim = chance.choice(['broker', 'worker', 'worker'])
        if victim == 'broker':
            server.kill_role('broker')
        else:
            server.kill_worker(chance.randrange(2))
    counts = [writer.stop() for writer in writers]
    for one in peers:
        for channel, count in zip(channels, counts):
            assert places(one.publications(channel, count)) == numbered(1, count)
    time.sleep(1)
    for one in peers:
        assert one.all('publication') == []
        assert all(got['recovered'] for got in one.all('subscribed')
                   if got['was_recovering'])


# ---- reload ----------------------------------------------------------------------


@each_kind
def test_a_reload_that_moves_a_channel_is_told(own_server, peer, client, kind):
    """By its ack a channel is in one journal or the other, each with an order."""
    one = peer(kind, own_server)
    epoch = one.subscribe('place:moved')['position']['epoch']
    writer = client(own_server)
    fill(writer, 'place:moved', 1, 10)
    one.publications('place:moved', 10)
    for ack, count in (('spool', 2), ('memory', 1), ('spool', 1), ('memory', 1)):
        own_server.reload({'place': {**NAMESPACES['place'], 'ack': ack}})
        fill(writer, 'place:moved', 1, count)
        one.expect('subscribing', code=2500)
        position = one.expect('subscribed', channel='place:moved')['position']
        assert position['epoch'] != epoch
        epoch = position['epoch']
        writer.publish('place:moved', ack)
        one.expect('publication', data=ack)


# ---- history ---------------------------------------------------------------------


@each_kind
def test_history(server, peer, client, kind, at):
    fill(client(server), at('log:h'), 1, 10)
    one = peer(kind, server)
    place = one.ask('history', at('log:h'))
    assert (place['offset'], place['publications']) == (10, [])

    def history(**fields):
        got = one.ask('history', at('log:h'), **fields)
        assert (got['offset'], got['epoch']) == (10, place['epoch'])
        return [offset for offset, _ in got['publications']]

    def since(offset, epoch=place['epoch']):
        return {'offset': offset, 'epoch': epoch}
    assert history(limit=3) == [1, 2, 3]
    assert history(limit=3, reverse=True) == [10, 9, 8]
    assert history(limit=-1) == list(range(1, 11))
    assert history(limit=3, since=since(4)) == [5, 6, 7]
    assert history(limit=3, since=since(4), reverse=True) == [3, 2, 1]
    assert history(limit=3, since=since(9)) == [10]
    assert history(limit=3, since=since(10)) == []
    assert history(limit=3, since=since(4, '')) == [5, 6, 7]
    one.order('history', channel=at('log:h'), limit=3, since=since(4, 'nonesuch'))
    one.expect('history_error', code=112)
    one.order('history', channel=at('log:h'), limit=3, since=since(0), reverse=True)
    one.expect('history_error', code=107)


@each_kind
@pytest.mark.parametrize('reverse', [False, True])
def test_page_by_page(server, peer, client, kind, reverse, at):
    fill(client(server), at('log:pages'), 1, 95)
    one = peer(kind, server)
    found, since = [], None
    while True:
        got = one.ask('history', at('log:pages'), limit=10, since=since, reverse=reverse)
        found += got['publications']
        if len(got['publications']) < 10:
            break
        since = {'offset': found[-1][0], 'epoch': got['epoch']}
    expected = [[number, number] for number in range(1, 96)]
    assert found == (expected[::-1] if reverse else expected)


@each_kind
def test_history_of_what_one_is_not_subscribed_to(server, peer, kind, at):
    one = peer(kind, server)
    one.order('history', channel=at('private:x'), limit=5)
    one.expect('history_error', code=103)
    one.subscribe(at('private:x'))
    one.publish(at('private:x'), 'mine')
    assert one.ask('history', at('private:x'), limit=5)['publications'] == [[1, 'mine']]
