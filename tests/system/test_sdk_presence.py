"""The SDKs: who is there, who comes, who goes."""
import os
import signal

import pytest

import tokens
from sdk import COMMANDS
from server import until

WHO = {'subscribe': 'anyone', 'publish': 'anyone', 'presence': True,
       'presence_for': 'anyone'}
NAMESPACES = {
    'room': {**WHO, 'join_leave': 'on'},
    'wish': {**WHO, 'join_leave': 'optional'},
    'quiet': WHO,
    'private': {**WHO, 'presence_for': 'subscriber'},
    'log': {**WHO, 'join_leave': 'on', 'history_size': 100, 'recover': 'on'},
}

each_kind = pytest.mark.parametrize('kind', COMMANDS)


@pytest.fixture(scope='module')
def server(shared_server):
    return shared_server(workers=2, namespaces=NAMESPACES)


@pytest.fixture
def own_server(make_server, peer, line):
    # Depends on peer and line: those are gone before the server is checked.
    return make_server(workers=2, namespaces=NAMESPACES)


@pytest.fixture(params=['room:x', 'log:x'])
def room(request, at):
    """A channel without and one with an order."""
    return at(request.param)


@pytest.fixture
def person(server, peer):
    """person(kind, user): a connected client that knows its .id and .user."""
    def make(kind, user, where=None):
        one = peer(kind, where or server, connect=False,
                   token=tokens.hs256({'sub': user, 'info': {'name': user}}))
        connected = one.connect()
        one.id, one.user = connected['client'], user
        one.worker = connected['data']['worker']
        return one
    return make


def who(one, channel):
    return {(key, info['user'])
            for key, info in one.ask('presence', channel)['clients'].items()}


def stats(one, channel):
    got = one.ask('presence_stats', channel)
    return got['clients'], got['users']


@each_kind
def test_presence(person, kind, room):
    ann, bob, twin = (person(kind, user) for user in ('ann', 'bob', 'ann'))
    assert who(ann, room) == set() and stats(ann, room) == (0, 0)
    for each in (ann, bob, twin):
        each.subscribe(room)
    assert who(ann, room) == {
        (ann.id, 'ann'), (bob.id, 'bob'), (twin.id, 'ann')}
    assert ann.ask('presence', room)['clients'][bob.id] == {
        'client': bob.id, 'user': 'bob', 'conn_info': {'name': 'bob'}}
    assert stats(bob, room) == (3, 2)
    twin.order('unsubscribe', channel=room)
    until(lambda: stats(bob, room) == (2, 2))
    ann.order('disconnect')
    until(lambda: who(bob, room) == {(bob.id, 'bob')})


@each_kind
def test_join_and_leave(person, kind, room):
    ann = person(kind, 'ann')
    ann.subscribe(room)
    ann.expect('join', channel=room, client=ann.id, user='ann')
    bob = person(kind, 'bob')
    bob.subscribe(room)
    joined = ann.expect('join', channel=room, client=bob.id)
    assert (joined['user'], joined['conn_info']) == ('bob', {'name': 'bob'})
    bob.order('unsubscribe', channel=room)
    ann.expect('leave', channel=room, client=bob.id, user='bob')
    bob.subscribe(room)
    ann.expect('join', channel=room, client=bob.id)
    bob.order('disconnect')
    ann.expect('leave', channel=room, client=bob.id)


@each_kind
def test_only_who_wishes_hears_of_it(person, kind, at):
    ann, bob, eve = (person(kind, user) for user in ('ann', 'bob', 'eve'))
    ann.subscribe(at('wish:x'), join_leave=True)
    bob.subscribe(at('wish:x'))
    ann.expect('join', client=bob.id)
    eve.subscribe(at('quiet:x'), join_leave=True)
    ann.subscribe(at('quiet:x'), join_leave=True)
    bob.publish(at('wish:x'), 1)
    bob.publish(at('quiet:x'), 1)
    bob.expect('publication', channel=at('wish:x'))
    eve.expect('publication', channel=at('quiet:x'))
    assert bob.all('join') == eve.all('join') == []


@each_kind
def test_presence_of_what_one_is_not_subscribed_to(person, kind, at):
    ann = person(kind, 'ann')
    for order in ('presence', 'presence_stats'):
        ann.order(order, channel=at('private:x'))
        ann.expect(order + '_error', code=103)
    ann.subscribe(at('private:x'))
    assert who(ann, at('private:x')) == {(ann.id, 'ann')}
    assert stats(ann, at('private:x')) == (1, 1)


@each_kind
def test_a_line_that_is_cut(server, person, line, kind, at):
    ann = person(kind, 'ann')
    ann.subscribe(at('room:cut'))
    wire = line(server)
    bob = person(kind, 'bob', wire)
    bob.subscribe(at('room:cut'))
    ann.expect('join', client=bob.id)
    wire.cut()
    ann.expect('leave', client=bob.id)
    wire.mend()
    fresh = bob.expect('connected')['client']
    ann.expect('join', client=fresh)
    assert who(ann, at('room:cut')) == {(ann.id, 'ann'), (fresh, 'bob')}


@each_kind
def test_death_of_a_worker(own_server, person, kind, room):
    people = [person(kind, user, own_server) for user in ('ann', 'bob', 'cyd', 'dan', 'eve', 'fay')]
    for each in people:
        each.subscribe(room)
    lost = people[0].worker
    gone = [each for each in people if each.worker == lost]
    left = [each for each in people if each.worker != lost]
    if not left:
        left = [person(kind, 'gil', own_server)]
        left[0].subscribe(room)
    until(lambda: len(who(left[0], room)) == len(gone + left))
    left[0].expect('join', client=left[0].id)
    own_server.deaths_expected = True
    os.kill(own_server.workers()[lost], signal.SIGKILL)
    for each in gone:
        left[0].expect('leave', client=each.id, user=each.user)
        each.id = each.expect('connected')['client']
        left[0].expect('join', client=each.id, user=each.user)
    everybody = {(each.id, each.user) for each in gone + left}
    until(lambda: who(left[0], room) == everybody, 5,
          lambda: (who(left[0], room), everybody))
    until(lambda: len(own_server.workers()) == 2, 10)


@each_kind
def test_death_of_the_broker(own_server, person, kind, room):
    ann, bob = person(kind, 'ann', own_server), person(kind, 'bob', own_server)
    for each in (ann, bob):
        each.subscribe(room)
    # In no order, for they may be in two workers.
    ann.expect('join', client=ann.id)
    ann.expect('join', client=bob.id)
    ann.waiting.clear()
    own_server.kill_role('broker')
    everybody = {(ann.id, 'ann'), (bob.id, 'bob')}
    until(lambda: who(ann, room) == everybody, 5, lambda: who(ann, room))
    # Nobody has come or gone, so nobody hears that one has.
    cyd = person(kind, 'cyd', own_server)
    cyd.subscribe(room)
    ann.expect('join', client=cyd.id)
    assert ann.all('join') == ann.all('leave') == []
    cyd.order('unsubscribe', channel=room)
    ann.expect('leave', client=cyd.id)
    for event in ('connecting', 'subscribing', 'unsubscribed'):
        assert ann.all(event) == []
