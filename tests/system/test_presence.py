"""Who is present: across workers, and after the death of workers and the broker."""
import os
import signal

import pytest

import load
import tokens
from server import until
from test_fanout import spread

NAMESPACES = {
    'room': {'subscribe': 'anyone', 'publish': 'anyone', 'presence': True,
             'presence_for': 'anyone', 'join_leave': True},
    'quiet': {'subscribe': 'anyone', 'presence': True, 'presence_for': 'subscriber',
              'join_leave': 'optional'},
    'order': {'subscribe': 'anyone', 'publish': 'anyone', 'presence': True,
              'presence_for': 'anyone', 'join_leave': True, 'history_size': 10,
              'recover': True},
    'plain': {'subscribe': 'anyone', 'publish': 'anyone'},
}


@pytest.fixture
def server(make_server):
    return make_server(workers=2, namespaces=NAMESPACES, broker_timeout='2s')


def subscribe(client, channel, **wishes):
    reply = client.call(subscribe={'channel': channel, **wishes})
    assert 'subscribe' in reply, reply
    return client


def present(client, channel):
    """Client ids."""
    return set(client.call(presence={'channel': channel})['presence']['presence'])


def stats(client, channel):
    got = client.call(presence_stats={'channel': channel})['presence_stats']
    return got['num_clients'], got['num_users']


def who(push):
    """(join or leave, client id)."""
    (kind,) = {'join', 'leave'} & set(push)
    return kind, push[kind]['info']['client']


@pytest.mark.parametrize('channel', ['room:a', 'order:a'])
def test_all_workers_know_all(server, client, channel):
    one, two = spread(server, client)
    subscribe(one, channel)
    assert who(one.push()) == ('join', one.info['client'])
    subscribe(two, channel)
    for reader in (one, two):
        assert who(reader.push()) == ('join', two.info['client'])
        assert present(reader, channel) == {one.info['client'], two.info['client']}
    two.call(unsubscribe={'channel': channel})
    assert who(one.push()) == ('leave', two.info['client'])
    assert present(two, channel) == {one.info['client']}
    one.close()
    until(lambda: present(two, channel) == set())


def test_a_user_with_many_connections_counts_once(server, client):
    for number, user in enumerate(['u1', 'u1', 'u2', '']):
        token = {'token': tokens.hs256({'sub': user})} if user else {}
        subscribe(client(server, fields=token), 'room:users')
        assert stats(client(server), 'room:users')[0] == number + 1
    assert stats(client(server), 'room:users') == (4, 3)


def test_who_is_told_of_joins(server, client):
    asked, not_asked = client(server), client(server)
    subscribe(asked, 'quiet:j', join_leave=True)
    assert who(asked.push()) == ('join', asked.info['client'])
    subscribe(not_asked, 'quiet:j')
    assert who(asked.push()) == ('join', not_asked.info['client'])
    not_asked.close()
    assert who(asked.push()) == ('leave', not_asked.info['client'])
    assert present(asked, 'quiet:j') == {asked.info['client']}
    other = client(server)
    assert other.call(presence={'channel': 'quiet:j'})['error']['code'] == 103
    assert other.call(presence={'channel': 'plain:j'})['error']['code'] == 108
    assert other.call(presence={'channel': 'none:j'})['error']['code'] == 102


def test_publications_and_joins_keep_their_order(server, client):
    """What one client does in a row, others see in that order."""
    reader, actor = subscribe(client(server), 'order:o'), client(server)
    reader.push()
    for number in range(30):
        subscribe(actor, 'order:o')
        actor.call(publish={'channel': 'order:o', 'data': number})
        actor.call(unsubscribe={'channel': 'order:o'})
        kinds = [reader.push() for _ in range(3)]
        assert [sorted(push)[-1] for push in kinds] == ['join', 'pub', 'leave']
        assert kinds[1]['pub']['data'] == number
        actor.pushes.clear()


def test_the_death_of_a_worker(server, client):
    victim, stays = spread(server, client)
    subscribe(victim, 'room:w')
    subscribe(stays, 'room:w')
    more = [subscribe(one, 'room:w') for one in (client(server) for _ in range(8))]
    gone = {one.info['client'] for one in [victim, *more] if one.worker == victim.worker}
    while len(present(stays, 'room:w')) < 10:
        pass
    stays.pushes.clear()
    server.kill_worker(victim.worker)
    left = set()
    while left != gone:
        kind, name = who(stays.push())
        if kind == 'leave':
            left.add(name)
    assert present(stays, 'room:w') == {
        one.info['client'] for one in [stays, *more] if one.worker == stays.worker}


def test_the_death_of_the_broker(server, client):
    members = [subscribe(one, 'room:b') for one in (client(server) for _ in range(20))]
    names = {one.info['client'] for one in members}
    until(lambda: present(members[0], 'room:b') == names)
    server.kill_role('broker')
    until(lambda: present(members[0], 'room:b') == names)
    # Nobody is told of it.
    for one in members:
        one.call(unsubscribe={'channel': 'room:none'})
        seen = [who(push) for push in one.pushes]
        assert len(seen) == len(set(seen))
        assert not [name for kind, name in seen if kind == 'leave']
    members.pop().close()
    until(lambda: len(present(members[0], 'room:b')) == 19)


def test_who_left_while_there_was_no_broker(server, client):
    one, two = client(server), client(server)
    subscribe(one, 'room:l')
    subscribe(two, 'room:l')
    broker = server.role('broker')
    os.kill(broker, signal.SIGSTOP)
    two.close()
    until(lambda: load.total(server, 'clients') == 1)
    server.deaths_expected = True
    os.kill(broker, signal.SIGKILL)
    until(lambda: server.role('broker') not in (None, broker), 10)
    until(lambda: present(one, 'room:l') == {one.info['client']})


def test_joins_that_find_no_room_are_made_good(make_server, client):
    server = make_server(namespaces=NAMESPACES, max_message_size='1k', queue_size='64k',
                         max_frame_size='1k', ring_size='64k', max_subscriptions=2000)
    one = client(server)
    broker = server.role('broker')
    os.kill(broker, signal.SIGSTOP)
    try:
        for number in range(1500):
            one.call(subscribe={'channel': 'room:%d' % number})
        two = client(server)
        for number in range(10):
            subscribe(two, 'room:%d' % number)
        two.close()
        until(lambda: load.total(server, 'clients') == 1)
    finally:
        os.kill(broker, signal.SIGCONT)
    mine = {one.info['client']}
    reader = client(server)

    def is_there(number, names):
        # What has to be told may fill the queue for a moment.
        reply = reader.call(presence={'channel': 'room:%d' % number})
        return 'presence' in reply and set(reply['presence']['presence']) == names

    for number in (0, 5, 700, 1499):
        until(lambda n=number: is_there(n, mine))
    one.close()
    for number in (0, 5, 700, 1499):
        until(lambda n=number: is_there(n, set()))


def test_very_many(make_server, client):
    """An answer of many parts; and one that would be too large is refused."""
    server = make_server(namespaces=NAMESPACES, max_message_size='1k', queue_size='64k',
                         max_frame_size='1k', ring_size='64k', history_reply='64k')
    info = {'text': 'x' * 400}
    token = tokens.hs256({'sub': 'u', 'info': info})
    members = []

    def more(count):
        for _ in range(count):
            members.append(subscribe(client(server, fields={'token': token}), 'room:v'))

    more(100)
    reader = client(server)
    got = reader.call(presence={'channel': 'room:v'})['presence']['presence']
    assert got == {one.info['client']: {
        'user': 'u', 'client': one.info['client'], 'conn_info': info} for one in members}
    more(150)
    assert reader.call(presence={'channel': 'room:v'})['error']['code'] == 106
    assert stats(reader, 'room:v') == (250, 1)
