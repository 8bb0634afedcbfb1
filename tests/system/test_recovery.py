"""Positions and recovery: nobody who follows a channel misses or doubles anything."""
import asyncio
import os
import signal
import threading
import time

import pytest

import load
from follow import STREAM, Crowd, Follower
from server import PATIENCE, until
from test_fanout import spread
from test_frozen import on_worker

SMALL = {'max_message_size': '4k', 'max_frame_size': '4k', 'ring_size': '64k',
         'queue_size': '64k'}


@pytest.fixture
def streams(make_server):
    """streams(...): a server with the namespace st, whose options may be changed."""
    def make(stream=None, namespaces=None, **options):
        return make_server(namespaces={
            'st': {**STREAM, **(stream or {})},
            'plain': {'subscribe': 'anyone', 'publish': 'anyone'},
            **(namespaces or {})}, **options)
    return make


def fill(client, channel, data):
    for one in data:
        client.publish(channel, one)


# ---- coming back ----------------------------------------------------------------------

@pytest.mark.parametrize('workers', [1, 2], ids=['one worker', 'two workers'])
def test_nothing_is_missed_or_doubled_under_load(streams, client, workers):
    server = streams(workers=workers)
    count = 1500
    followers = [Follower('st:load').come(client(server)) for _ in range(6)]

    def publish():
        writer = client(server)
        fill(writer, 'st:load', range(count))

    thread = threading.Thread(target=publish)
    thread.start()
    turns = 0
    while thread.is_alive():
        one = followers[turns % len(followers)]
        for _ in range(turns % 7):
            one.next()
        one.client.close()
        one.come(client(server))
        turns += 1
    thread.join()
    assert turns > 10
    for one in followers:
        one.until(count - 1)
        assert one.data == list(range(count))
        assert one.lost == 0
    assert load.total(server, 'unrecovered') == 0
    assert load.total(server, 'insufficient') == 0


def test_what_is_no_longer_there_is_said(streams, client):
    server = streams({'history_size': 3})
    writer = client(server)
    one = Follower('st:few').come(client(server))
    one.client.close()
    fill(writer, 'st:few', range(3))
    one.come(client(server))
    assert one.data == [0, 1, 2]
    one.client.close()
    fill(writer, 'st:few', range(4))
    one.come(client(server))
    assert one.reply['was_recovering'] and 'recovered' not in one.reply
    assert one.reply['offset'] == 7 and 'publications' not in one.reply
    # Who wants an error rather than that gets it, and is not subscribed.
    again = client(server)
    wish = {'channel': 'st:few', 'recover': True, 'offset': 1, 'epoch': one.epoch, 'flag': 2}
    assert again.call(subscribe=wish)['error']['code'] == 112
    assert again.call(subscribe={'channel': 'st:few'})['subscribe']['offset'] == 7


def test_more_than_a_reply_may_hold(streams, client):
    server = streams(history_limit=10)
    one = Follower('st:many').come(client(server))
    one.client.close()
    writer = client(server)
    fill(writer, 'st:many', range(10))
    one.come(client(server))
    assert one.data == list(range(10))
    one.client.close()
    fill(writer, 'st:many', range(11))
    one.come(client(server))
    assert 'recovered' not in one.reply and one.reply['offset'] == 21


def test_history_survives_a_restart(streams, client):
    server = streams()
    one = Follower('st:keep').come(client(server))
    fill(client(server), 'st:keep', range(5))
    one.until(1)
    server.stop(idle=False)
    server.start()
    one.come(client(server))
    one.until(4)
    assert one.data == list(range(5)) and one.reply['recovered']


def test_the_tail_expires_with_history(streams, client):
    server = streams({'history_ttl': '1s'})
    one = Follower('st:ttl').come(client(server))
    two = Follower('st:ttl').come(client(server))
    fill(client(server), 'st:ttl', range(3))
    one.until(0)
    two.until(2)
    one.client.close()
    time.sleep(1.5)
    # Somebody is there all the time; a client that comes back is not better off here
    # than anywhere else.
    one.come(client(server))
    assert 'recovered' not in one.reply and one.reply['offset'] == 3


def test_the_newest_one_alone(streams, client):
    server = streams({'cache_recovery': True, 'history_size': 1})
    writer = client(server)
    first = client(server).call(subscribe={'channel': 'st:cache', 'recover': True})
    assert 'publications' not in first['subscribe']
    fill(writer, 'st:cache', ['a', 'b', 'c'])
    for one in (client(server), client(server)):
        reply = one.call(subscribe={'channel': 'st:cache', 'recover': True})['subscribe']
        assert [pub['data'] for pub in reply['publications']] == ['c']
        assert reply['recovered'] and 'offset' not in reply


# ---- a storm --------------------------------------------------------------------------

def storm(server, count, writer):
    """All come, all are cut off, all come back while publications go on."""
    crowd = Crowd(server, 'st:storm', count)
    stop = threading.Event()
    last = []

    def publish():
        number = 100
        while not stop.is_set():
            writer.publish('st:storm', number)
            number += 1
            time.sleep(0.005)
        writer.publish('st:storm', 'last')
        last.append(number - 100 + 1)

    async def play():
        await crowd.come()
        fill(writer, 'st:storm', range(10))
        await crowd.read(9)
        crowd.go()
        fill(writer, 'st:storm', range(10, 30))
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            await crowd.come()
        finally:
            stop.set()
            await asyncio.to_thread(thread.join)
        await crowd.read('last')
        crowd.go()

    asyncio.run(play())
    assert crowd.recovered == count
    assert {offset for _, offset in crowd.known} == {30 + last[0]}


@pytest.mark.parametrize('count', [
    400, pytest.param(5000, marks=pytest.mark.long)])
def test_a_storm_is_served_by_the_workers(streams, client, count):
    server = streams(workers=2, max_connections=count + 100, ping_interval='60s',
                     stale_timeout='60s')
    writer = client(server)
    storm(server, count, writer)
    assert load.total(server, 'recovered') == count
    assert load.total(server, 'unrecovered') == 0
    assert load.total(server, 'recovered_here') > count * 0.99


def test_a_storm_on_workers_that_know_nothing(streams, client):
    """They share questions."""
    count = 300
    server = streams(workers=2, max_connections=count + 100, tail_total=0)
    writer = client(server)
    storm(server, count, writer)
    assert load.total(server, 'recovered') == count
    assert load.total(server, 'tail_bytes') < 64 << 10


# ---- gaps -----------------------------------------------------------------------------

def lapped(server, client, channel, count):
    """A follower on worker 0, which sleeps while COUNT publications of 1 kB come."""
    one = Follower(channel).come(on_worker(server, client, 0, 1)[0])
    writer = on_worker(server, client, 1, 1)[0]
    frozen = server.workers()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        for number in range(count):
            writer.publish(channel, [number, 'x' * 1000])
    finally:
        os.kill(frozen, signal.SIGCONT)
    return one, writer


def test_a_gap_is_filled_from_history(streams, client):
    server = streams(workers=2, **SMALL)
    one, _ = lapped(server, client, 'st:gap', 200)
    one.until([199, 'x' * 1000])
    assert [number for number, _ in one.data] == list(range(200))
    assert one.lost == 0
    assert load.total(server, 'ring_lost') > 0
    assert load.total(server, 'healed') > 0


def test_a_gap_that_history_does_not_fill_is_told(streams, client):
    server = streams({'history_size': 20}, workers=2, **SMALL)
    one, writer = lapped(server, client, 'st:hole', 200)
    while one.next():
        pass
    assert one.lost == 1
    one.come(one.client)
    assert one.reply['was_recovering'] and 'recovered' not in one.reply
    assert one.reply['offset'] == 200
    writer.publish('st:hole', 'on')
    one.until('on')
    assert load.total(server, 'insufficient') == 1


def test_another_epoch(streams, client):
    server = streams({'history_ttl': '1s', 'history_meta_ttl': '1s'})
    writer = client(server)
    one = Follower('st:epoch').come(client(server))
    writer.publish('st:epoch', 'old')
    one.until('old')
    epoch = one.epoch
    time.sleep(2.5)
    writer.publish('st:epoch', 'new')
    assert not one.next()
    one.come(one.client)
    assert one.epoch != epoch
    assert one.reply['was_recovering'] and 'recovered' not in one.reply
    writer.publish('st:epoch', 'newer')
    one.until('newer')
    assert one.data == ['old', 'newer'] and one.offset == 2


# ---- the broker is slow, or dies ------------------------------------------------------

class Frozen:
    """The broker does not run inside."""

    def __init__(self, server):
        self.pid = server.role('broker')

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def test_unsubscribe_while_subscribe_waits(streams, client):
    server = streams()
    one = client(server)
    with Frozen(server):
        numbers = [
            one.send_command(subscribe={'channel': 'st:u'}),
            one.send_command(unsubscribe={'channel': 'st:u'}),
            one.send_command(subscribe={'channel': 'st:u'})]
        for number, kind in zip(numbers, ('subscribe', 'unsubscribe')):
            got = one.next()
            assert got == {'id': number, kind: {}}
        assert one.silent()
    assert one.next() == {'id': numbers[2], 'subscribe': {
        'recoverable': True, 'positioned': True, 'epoch': one_epoch(server, client)}}
    assert one.call(subscribe={'channel': 'st:u'})['error']['code'] == 105


def one_epoch(server, client):
    return client(server).call(history={'channel': 'st:u'})['history']['epoch']


def test_clients_that_go_while_they_wait(streams, client):
    server = streams()
    with Frozen(server):
        for _ in range(20):
            one = client(server)
            one.send_command(subscribe={'channel': 'st:g'})
            one.send_command(publish={'channel': 'st:g', 'data': 1})
            one.send_command(history={'channel': 'st:g', 'limit': 1})
            one.close()
        until(lambda: load.total(server, 'clients') == 0)
        assert load.total(server, 'subscriptions') == 0
    # What they asked for and did not wait to be told was done all the same.
    until(lambda: client(server).call(
        history={'channel': 'st:g'})['history']['offset'] == 20)


def test_time_out(streams, client):
    server = streams(broker_timeout='500ms')
    one, two = client(server), client(server)
    late = {'code': 100, 'message': 'internal server error', 'temporary': True}
    with Frozen(server):
        numbers = [one.send_command(subscribe={'channel': 'st:t'}),
                   one.send_command(publish={'channel': 'st:t', 'data': 1}),
                   one.send_command(history={'channel': 'st:t'}),
                   two.send_command(subscribe={'channel': 'st:t'})]
        for number in numbers[:3]:
            assert one.reply(number)['error'] == late
        assert two.reply(numbers[3])['error'] == late
        # Plain channels do not mind.
        one.subscribe('plain:x')
        one.publish('plain:x', 'now')
        assert one.push()['pub']['data'] == 'now'
    assert load.total(server, 'ask_timeouts') >= 3
    reply = one.call(subscribe={'channel': 'st:t'})['subscribe']
    assert reply['positioned'] and reply['offset'] == 1
    # The answer that came late is passed over.
    one.publish('st:t', 2)
    assert one.push()['pub'] == {
        'data': 2, 'offset': 2, 'info': {'user': '', 'client': one.info['client']}}


def test_a_full_queue_refuses(streams, client):
    server = streams(**SMALL)
    one = client(server)
    with Frozen(server):
        numbers = [one.send_command(publish={'channel': 'st:f', 'data': 'x' * 2000})
                   for _ in range(100)]
        refused = one.next()
        assert refused['error']['code'] == 100 and refused['error']['temporary']
    answers = [one.next() for _ in numbers[1:]]
    done = [answer for answer in answers if 'publish' in answer]
    assert 10 < len(done) < 60
    assert load.total(server, 'ask_refused') == 100 - len(done)
    assert one.call(history={'channel': 'st:f'})['history']['offset'] == len(done)


def test_the_death_of_the_broker(streams, client):
    server = streams(workers=2)
    followers = [Follower('st:kill').come(one) for one in spread(server, client)]
    writer = client(server)
    fill(writer, 'st:kill', range(50))
    numbers = [writer.send_command(publish={
        'channel': 'st:kill', 'data': number, 'idempotency_key': 'k%d' % number})
        for number in range(50, 150)]
    server.kill_role('broker')
    for number in numbers:
        assert writer.reply(number, 10) == {'id': number, 'publish': {}}
    writer.publish('st:kill', 'end')
    for one in followers:
        one.until('end')
        assert one.data == [*range(150), 'end'] and one.lost == 0


# ---- publish --------------------------------------------------------------------------

@pytest.mark.parametrize('channel', ['st:key', 'plain:key'])
def test_idempotency_key(streams, client, channel):
    server = streams()
    one, two = client(server), client(server)
    assert 'subscribe' in two.call(subscribe={'channel': channel})

    def publish(data, key):
        return one.call(publish={'channel': channel, 'data': data, 'idempotency_key': key})

    for _ in range(3):
        assert 'publish' in publish(1, 'a')
    assert 'publish' in publish(2, 'b' * 128)
    for bad in ('', 'b' * 129):
        assert publish(3, bad)['error']['code'] == 107
    assert 'publish' in publish(4, None)
    assert two.publications(3) == [1, 2, 4]
    assert two.silent()
    malformed = client(server)
    malformed.send_command(publish={
        'channel': channel, 'data': 1, 'idempotency_key': 5})
    assert malformed.closing()[0] == 3501


def test_a_push_comes_before_its_reply(streams, client):
    server = streams()
    one = client(server)
    for channel in ('plain:own', 'st:own'):
        one.call(subscribe={'channel': channel})
        for number in range(20):
            assert 'publish' in one.call(publish={'channel': channel, 'data': number})
            assert one.pushes.pop()['pub']['data'] == number
            assert not one.pushes


def test_a_subscribe_reply_comes_before_its_pushes(streams, client):
    """... even behind a publish, whose reply would rather wait for its push."""
    server = streams()
    one = client(server)
    one.send_text('\n'.join([
        '{"id":50,"publish":{"channel":"plain:s","data":1}}',
        '{"id":51,"subscribe":{"channel":"plain:s"}}',
        '{"id":52,"publish":{"channel":"plain:s","data":2}}']))
    assert [sorted(one.next())[-1] for _ in range(4)] == [
        'publish', 'subscribe', 'push', 'publish']


def test_both_kinds_of_subscribers_get_all(streams, client):
    server = streams({'recover': 'optional'})
    plain, placed = client(server), Follower('st:both')
    assert plain.call(subscribe={'channel': 'st:both'})['subscribe'] == {}
    writer = client(server)
    fill(writer, 'st:both', range(5))
    placed.come(client(server), recoverable=True)
    fill(writer, 'st:both', range(5, 10))
    placed.until(9)
    assert plain.publications(10) == list(range(10))
    assert placed.data == list(range(5, 10))
    assert plain.silent()


def test_a_worker_forgets_a_channel_after_a_while(streams, client):
    server = streams(tail_linger='300ms')
    one = Follower('st:linger').come(client(server))
    fill(client(server), 'st:linger', range(3))
    one.until(2)
    assert load.total(server, 'streams_followed') == 1
    assert load.total(server, 'tail_bytes') > 0
    one.client.close()
    until(lambda: load.total(server, 'streams_followed') == 0, 5 * PATIENCE)
    assert load.total(server, 'tail_bytes') == 0
    one.come(client(server))
    assert one.reply['recovered']
