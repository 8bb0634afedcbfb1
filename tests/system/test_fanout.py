"""Publications: to whom, in which order, across workers."""
import json

import pytest


def spread(server, client, workers=2, tries=60, **how):
    """One client on each worker, and the others that it took."""
    found = {}
    for _ in range(tries):
        one = client(server, **how)
        if one.worker not in found:
            found[one.worker] = one
        if len(found) == workers:
            return [found[number] for number in sorted(found)]
    raise AssertionError('after %d connections only workers %s serve' % (
        tries, sorted(found)))


@pytest.fixture(params=[1, 2], ids=['one worker', 'two workers'])
def server(request, make_server):
    return make_server(workers=request.param)


def test_who_gets_a_publication(server, client):
    one = client(server).subscribe('room')
    two = client(server).subscribe('room')
    three = client(server).subscribe('other')
    one.publish('room', {'text': 'hello'})
    for reader in (one, two):
        push = reader.push()
        assert push['channel'] == 'room'
        assert push['pub']['data'] == {'text': 'hello'}
        assert push['pub']['info'] == {'user': '', 'client': one.info['client']}
    assert three.silent()


def test_unsubscribe_ends_it(server, client):
    one = client(server).subscribe('room')
    two = client(server).subscribe('room', 'more')
    one.publish('room', 1)
    assert two.push()['pub']['data'] == 1
    assert two.call(unsubscribe={'channel': 'room'})['unsubscribe'] == {}
    one.publish('room', 2)
    assert two.silent()
    two.subscribe('room')
    one.publish('room', 3)
    assert two.push()['pub']['data'] == 3


def test_who_may_publish(server, client):
    one = client(server)
    assert one.call(publish={'channel': 'room', 'data': 1})['error']['code'] == 103
    one.subscribe('room')
    one.publish('room', 1)
    one.publish('open:x', 1)
    assert one.call(publish={'channel': 'closed:x', 'data': 1})['error']['code'] == 103
    assert one.call(publish={'channel': 'members:x', 'data': 1})['error']['code'] == 103
    assert one.call(publish={'channel': 'nosuch:x', 'data': 1})['error']['code'] == 102
    assert one.call(publish={'channel': 'room'})['error']['code'] == 107


def test_channel_names_are_escaped(server, client):
    name = 'a"b\\c/d\x7f e{}'
    one = client(server).subscribe(name)
    two = client(server).subscribe(name)
    one.publish(name, 1)
    assert two.push()['channel'] == name
    assert two.silent(0.05)
    assert '\n' not in two.last_line


def test_many_subscribers(server, client):
    readers = [client(server).subscribe('big') for _ in range(60)]
    writer = client(server).subscribe('big')
    for number in range(50):
        writer.publish('big', number)
    for reader in readers + [writer]:
        assert reader.publications(50) == list(range(50))


def test_order_of_each_publisher(server, client):
    writers = [client(server) for _ in range(4)]
    readers = [client(server).subscribe('open:order') for _ in range(4)]
    for number in range(200):
        for index, writer in enumerate(writers):
            writer.send_command(publish={'channel': 'open:order', 'data': [index, number]})
    for reader in readers:
        seen = reader.publications(800)
        for index in range(4):
            assert [n for i, n in seen if i == index] == list(range(200))
    for writer in writers:
        for number in range(200):
            assert writer.next()['publish'] == {}


def test_messages_of_all_sizes(server, client):
    writer = client(server)
    reader = client(server).subscribe('open:sizes')
    for size in (0, 1, 40, 63, 64, 65, 120, 125, 126, 127, 1000, 4096, 30000, 65300):
        writer.publish('open:sizes', 'x' * size)
        assert reader.push()['pub']['data'] == 'x' * size


def test_clients_of_different_workers_talk(make_server, client):
    server = make_server(workers=2)
    one, two = spread(server, client)
    one.subscribe('across')
    two.subscribe('across')
    for number in range(100):
        one.publish('across', number)
        two.publish('across', -number)
    for reader, own in ((one, False), (two, False)):
        seen = reader.publications(200)
        assert [n for n in seen if n > 0] == list(range(1, 100))
        assert [n for n in seen if n < 0] == list(range(-1, -100, -1))


def test_the_same_user_on_two_connections(make_server, client):
    server = make_server(workers=2)
    one, two = spread(server, client)
    assert one.info['client'] != two.info['client']
    for each in (one, two):
        each.subscribe('mine')
    one.publish('mine', 'x')
    assert two.push()['pub']['info']['client'] == one.info['client']


def test_a_crowd_in_many_rooms(make_server, client):
    """Each of 30 clients is in 10 of 30 rooms; none gets what is not for it."""
    server = make_server(workers=2)
    clients = [client(server) for _ in range(30)]
    rooms = {i: [(i + step) % 30 for step in range(10)] for i in range(30)}
    for number, one in enumerate(clients):
        one.send_text('\n'.join(
            json.dumps({'id': 1000 + room, 'subscribe': {'channel': 'room%d' % room}})
            for room in rooms[number]))
        for room in rooms[number]:
            assert one.reply(1000 + room)['subscribe'] == {}
    for number, one in enumerate(clients):
        one.publish('room%d' % number, number)
    for number, one in enumerate(clients):
        assert sorted(one.publications(10)) == sorted(rooms[number])
        assert one.silent(0.01)
