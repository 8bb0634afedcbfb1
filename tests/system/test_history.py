"""The history command, by clients."""
import os
import signal

import pytest

import tokens
from server import until

STREAM = {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 100}
NAMESPACES = {
    'all': {**STREAM, 'history_for': 'anyone'},
    'sub': {**STREAM, 'history_for': 'subscriber'},
    'known': {**STREAM, 'history_for': 'authenticated'},
    'both': {**STREAM, 'history_for': 'authenticated_subscriber'},
    'closed': STREAM,
    'short': {**STREAM, 'history_for': 'anyone', 'history_ttl': '1s'},
    'plain': {'subscribe': 'anyone', 'publish': 'anyone', 'history_for': 'anyone'},
}


@pytest.fixture
def server(make_server):
    return make_server(workers=2, namespaces=NAMESPACES, history_limit=20)


def history(client, channel, **query):
    reply = client.call(history={'channel': channel, **query})
    return reply.get('history') or reply['error']['code']


def offsets(client, channel, **query):
    return [pub['offset'] for pub in history(client, channel, **query)['publications']]


def test_pages(server, client):
    one = client(server)
    for number in range(1, 51):
        one.publish('all:h', number)
    got = history(one, 'all:h')
    assert got['offset'] == 50 and got['publications'] == []
    epoch = got['epoch']
    assert len(epoch) == 8

    def since(offset, **more):
        return {'since': {'offset': offset, 'epoch': epoch}, **more}

    assert offsets(one, 'all:h', limit=3) == [1, 2, 3]
    assert offsets(one, 'all:h', limit=-1) == list(range(1, 21))
    assert offsets(one, 'all:h', limit=1000) == list(range(1, 21))
    assert offsets(one, 'all:h', limit=3, reverse=True) == [50, 49, 48]
    assert offsets(one, 'all:h', limit=3, **since(48)) == [49, 50]
    assert offsets(one, 'all:h', limit=3, **since(48, reverse=True)) == [47, 46, 45]
    assert history(one, 'all:h', limit=3, **since(0, reverse=True)) == 107
    assert history(one, 'all:h', limit=3, since={'offset': 1, 'epoch': 'another'}) == 112
    assert offsets(one, 'all:h', limit=2, since={'offset': 1}) == [2, 3]
    pub = history(one, 'all:h', limit=1)['publications'][0]
    assert pub == {'data': 1, 'offset': 1, 'info': {
        'user': '', 'client': one.info['client']}, **{
            key: value for key, value in pub.items() if key == 'epoch'}}


def test_a_page_is_bounded_by_its_bytes(make_server, client):
    server = make_server(namespaces=NAMESPACES, history_reply='64k')
    one = client(server)
    for number in range(20):
        one.publish('all:b', [number, 'x' * 10000])
    got = history(one, 'all:b', limit=-1)['publications']
    assert [pub['data'][0] for pub in got] == list(range(len(got)))
    assert 5 <= len(got) <= 7
    # From there on.
    more = history(one, 'all:b', limit=-1, since={'offset': len(got)})['publications']
    assert more[0]['data'][0] == len(got)


def test_who_may_read(server, client):
    token = {'token': tokens.hs256({'sub': 'u'})}
    stranger, known = client(server), client(server, fields=token)
    sees = {'stranger': stranger, 'known': known}

    def readers(channel):
        return {name for name, one in sees.items()
                if isinstance(history(one, channel, limit=1), dict)}

    assert readers('all:x') == {'stranger', 'known'}
    assert readers('sub:x') == set()
    assert readers('known:x') == {'known'}
    assert readers('both:x') == set()
    for one in sees.values():
        for channel in ('sub:x', 'both:x', 'closed:x'):
            assert 'subscribe' in one.call(subscribe={'channel': channel})
    assert readers('sub:x') == {'stranger', 'known'}
    assert readers('both:x') == {'known'}
    assert readers('closed:x') == set()
    assert history(stranger, 'closed:x') == 103
    assert history(stranger, 'plain:x') == 108
    assert history(stranger, 'none:x') == 102
    assert history(stranger, 'all:' + 'x' * 300) == 107


def test_a_reader_may_wish_for_positions(server, client):
    """... where the namespace has none of its own."""
    one = client(server)
    wish = {'positioned': True, 'recoverable': True}
    reply = one.call(subscribe={'channel': 'all:p', **wish})['subscribe']
    assert reply['positioned'] and reply['recoverable']
    assert one.call(subscribe={'channel': 'closed:p', **wish})['subscribe'] == {}
    assert one.call(subscribe={'channel': 'sub:p', **wish})['subscribe']['positioned']
    assert one.call(subscribe={'channel': 'both:p', **wish})['subscribe'] == {}
    assert one.call(subscribe={'channel': 'plain:p', **wish})['subscribe'] == {}


def test_history_ends(server, client):
    one = client(server)
    one.publish('short:h', 'a')
    before = history(one, 'short:h', limit=10)
    assert len(before['publications']) == 1
    until(lambda: history(one, 'short:h', limit=10)['publications'] == [])
    assert history(one, 'short:h')['epoch'] == before['epoch']
    assert history(one, 'short:h')['offset'] == 1


def test_the_order_of_many_publishers(server, client):
    writers = [client(server) for _ in range(8)]
    sent = [[one.send_command(publish={'channel': 'all:w', 'data': [who, number]})
             for number in range(10)] for who, one in enumerate(writers)]
    for one, numbers in zip(writers, sent):
        for number in numbers:
            assert one.reply(number) == {'id': number, 'publish': {}}
    seen, at = [], 0
    while at < 80:
        page = history(writers[0], 'all:w', limit=20, since={'offset': at})['publications']
        seen += [pub['data'] for pub in page]
        at = page[-1]['offset']
    for who in range(8):
        assert [n for w, n in seen if w == who] == list(range(10))


def test_commands_in_flight_have_a_bound(server, client):
    one = client(server)
    broker = server.role('broker')
    os.kill(broker, signal.SIGSTOP)
    try:
        for _ in range(50):
            one.send_text('\n'.join(
                '{"id":%d,"history":{"channel":"all:f"}}' % (number + 1)
                for number in range(100)))
        first = one.next()
        assert first['error']['code'] in (100, 111) and first['error']['temporary']
    finally:
        os.kill(broker, signal.SIGCONT)
    answers = [one.next() for _ in range(4999)]
    assert sum('history' in answer for answer in answers) > 1000
