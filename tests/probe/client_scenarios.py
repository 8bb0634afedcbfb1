"""Scenarios of the client protocol over WebSocket."""
import json

from session import jwt, now


async def connect_anonymous(s):
    await (await s.conn()).close()


async def connect_all_fields(s):
    client = await s.conn(name='js', version='1.2', data={'a': 1}, headers={'x': 'y'},
                          subs={}, flag=1)
    await client.close()


async def connect_token(s):
    for claims in ({}, {'exp': now() + 100, 'info': {'n': 1}},
                   {'exp': now() + 100, 'expire_at': 0}):
        await (await s.conn(token=jwt({'sub': 'u1', **claims}))).close()


async def connect_token_expired(s):
    client = await s.conn(token=jwt({'sub': 'u1', 'exp': now() - 10}))
    await client.recv(2.5)
    await client.close()


async def connect_token_invalid(s):
    for token in (jwt({'sub': 'u1'}, key='other'), 'garbage',
                  jwt({'sub': 'u1', 'channel': 'x'})):
        await (await s.conn(token=token)).close()


async def connect_token_subs(s):
    client = await s.conn(token=jwt(
        {'sub': 'u1', 'channels': ['plain:a' + s.run, 'rec:a' + s.run]}))
    await client.close()
    channel = 'open:s' + s.run
    client = await s.conn(token=jwt(
        {'sub': 'u1', 'subs': {channel: {'data': {'d': 1}, 'info': {'i': 2}}}}))
    await client.recv(0.3)
    await s.api('publish', {'channel': channel, 'data': {'x': 1}})
    await client.recv(0.3)
    await client.close()
    client = await s.conn(token=jwt({'sub': 'u1', 'channels': ['nosuch:a']}))
    await client.close()


async def connect_twice(s):
    client = await s.conn()
    await client.connect()
    await client.close()


async def command_before_connect(s):
    client = await s.open()
    await client.do(subscribe={'channel': 'plain:x'})
    await client.close()
    client = await s.open()
    await client.raw('{}')
    await client.recv()
    await client.close()


MALFORMED = [
    '', '\n', 'garbage', '{"id":1', '[]', 'null', '"x"', '{"id":1,"connect":{}}\n',
    '{"id":1,"connect":{}}\n\n{"id":2,"subscribe":{"channel":"plain:x"}}',
    '{"id":-1,"connect":{}}', '{"id":1.5,"connect":{}}', '{"id":4294967296,"connect":{}}',
    '{"id":1,"connect":null}', '{"id":1,"connect":{},"unknown":{"a":1}}',
    '{"connect":{}}']


async def malformed_frames(s):
    for message in MALFORMED:
        client = await s.open()
        await client.raw(message)
        await client.recv(0.3)
        await client.close()


async def batch_frame(s):
    client = await s.open()
    await client.raw('{"id":1,"connect":{}}\n'
                     '{"id":2,"subscribe":{"channel":"plain:b"}}\n'
                     '{"id":3,"subscribe":{"channel":"closed:b"}}')
    await client.recv()
    await client.close()
    client = await s.open()
    await client.raw('{"id":1,"connect":{"token":"%s"}}\n'
                     '{"id":2,"subscribe":{"channel":"plain:b"}}' % jwt(
                         {'sub': 'u', 'exp': 1}))
    await client.recv(0.5)
    await client.send(subscribe={'channel': 'plain:z'})
    await client.recv(0.5)
    await client.close()


async def unknown_and_missing(s):
    for message in ('{"id":5,"nosuch":{}}', '{"id":5}',
                    '{"subscribe":{"channel":"plain:x"}}'):
        client = await s.conn()
        await client.raw(message)
        await client.recv()
        await client.close()
    for command in ({'subscribe': {}}, {'unsubscribe': {}}, {'publish': {'data': {}}},
                    {'history': {}}, {'presence': {}}, {'presence_stats': {}},
                    {'ping': {}}):
        client = await s.conn()
        await client.do(**command)
        await client.close()


CHANNELS = ['nosuch:x', 'closed:x', 'a' * 256, 'plain:' + 'a' * 249, 'plain:\u00e9',
            '$plain:x', '$x', '#u1', 'x#u1', 'lim:x#u1', 'closed:x', ':x', 'plain:',
            'a:b:c', 'plain:b:c', 'plain:x y', 'map:x']


async def subscribe_errors(s):
    client = await s.conn()
    for channel in CHANNELS:
        await client.do(0.15, subscribe={'channel': channel})
    for _ in range(2):
        await client.do(subscribe={'channel': 'plain:x'})
    await client.close()


async def subscribe_limit(s):
    client = await s.conn()
    for number in range(22):
        await client.do(0.05, subscribe={'channel': 'plain:l%d' % number})
    await client.close()


async def user_limited(s):
    client = await s.conn(token=jwt({'sub': 'u1'}))
    for channel in ('#u1', '#u2', 'x#u2,u1', 'lim:x#u1', 'lim:x#u2', 'lim:x',
                    'closed:x#u1', 'x#y#u1'):
        await client.do(0.15, subscribe={'channel': channel})
    await client.close()


async def sub_token(s):
    def for_channel(channel, **claims):
        return {'channel': channel,
                'token': jwt({'sub': 'u1', 'channel': channel, **claims})}

    client = await s.conn(token=jwt({'sub': 'u1'}))
    await client.do(subscribe=for_channel('closed:t'))
    await client.do(subscribe=for_channel(
        '$closed:t', exp=now() + 100, info={'a': 1}, data={'b': 2},
        override={'presence': {'value': True}, 'force_recovery': {'value': True}}))
    await client.do(subscribe=for_channel('closed:e', exp=1))
    await client.do(subscribe={'channel': 'closed:i', 'token': 'garbage'})
    await client.do(subscribe={'channel': 'closed:n', 'token': jwt({'sub': 'u1'})})
    await client.do(subscribe={
        'channel': 'closed:m', 'token': jwt({'sub': 'u1', 'channel': 'closed:other'})})
    await client.close()
    for claims in ({'sub': 'u2', 'channel': 'closed:m'},
                   {'sub': 'u1', 'client': 'zz', 'channel': 'closed:m'}):
        client = await s.conn(token=jwt({'sub': 'u1'}))
        await client.do(subscribe={'channel': 'closed:m', 'token': jwt(claims)})
        await client.close()


async def publish(s):
    a = await s.conn('a', token=jwt({'sub': 'u1', 'info': {'name': 'A'}}))
    b = await s.conn('b')
    channel = 'open:p' + s.run
    await a.do(subscribe={'channel': channel})
    await b.do(subscribe={'channel': channel})
    await a.recv(0.2)
    await a.do(publish={'channel': channel, 'data': {'x': 1}})
    await b.recv(0.2)
    for text in ('{"id":50,"publish":{"channel":"%s","data":null}}',
                 '{"id":51,"publish":{"channel":"%s"}}',
                 '{"id":52,"publish":{"channel":"%s","data":"s"}}',
                 '{"id":53,"publish":{"channel":"%s","data":[1, 2.50, "\\u00e9\\n"]}}'):
        await a.raw(text % channel)
        await a.recv(0.2)
    await b.recv(0.2)
    for refused in ('closed:x', 'nosuch:x', 'plain:notsub'):
        await a.do(publish={'channel': refused, 'data': {}})
    await b.do(unsubscribe={'channel': channel})
    await a.recv(0.2)
    await a.close()
    await b.close()


async def unsubscribe(s):
    client = await s.conn()
    for channel in ('plain:never', 'nosuch:never'):
        await client.do(unsubscribe={'channel': channel})
    await client.do(subscribe={'channel': 'plain:q'})
    await client.do(unsubscribe={'channel': 'plain:q'})
    await client.do(subscribe={'channel': 'plain:q'})
    await client.close()


def history_queries(epoch):
    def since(offset, **more):
        return {'since': {'offset': offset, 'epoch': epoch}, **more}

    return [
        {'limit': -1}, {'limit': 2}, {'limit': 2, 'reverse': True},
        {'limit': -1, 'reverse': True}, {'limit': 2, **since(4)}, {'limit': 10, **since(0)},
        {'limit': 10, **since(7)}, {'limit': 10, **since(70)},
        {'limit': 10, 'since': {'offset': 5, 'epoch': 'zzz'}},
        {'limit': 10, 'since': {'offset': 5}}, {'limit': 2, **since(6, reverse=True)},
        {'limit': 2, **since(0, reverse=True)}, {'limit': 2, **since(2, reverse=True)},
        since(3)]


async def history(s):
    client = await s.conn()
    channel = 'open:h' + s.run
    await client.do(history={'channel': channel})
    await client.do(history={'channel': channel, 'limit': 10})
    for number in range(7):
        await s.api('publish', {'channel': channel, 'data': {'i': number}},
                    show=number == 0)
    replies = await client.do(history={'channel': channel})
    for query in history_queries(json.loads(replies[0])['history']['epoch']):
        await client.do(0.12, history={'channel': channel, **query})
    for refused in ('plain:x', 'closed:x', 'nosuch:x'):
        await client.do(history={'channel': refused, 'limit': 1})
    await client.close()


async def presence(s):
    a = await s.conn('a', token=jwt({'sub': 'u1', 'info': {'n': 1}}))
    channel = 'open:pr' + s.run
    await a.do(presence={'channel': channel})
    await a.do(presence_stats={'channel': channel})
    await a.do(subscribe={'channel': channel})
    await a.do(presence={'channel': channel})
    await a.do(presence_stats={'channel': channel})
    for refused in ('plain:x', 'closed:x', 'nosuch:x'):
        await a.do(presence={'channel': refused})
    await a.close()


async def recovery(s):
    a = await s.conn('a')
    channel = 'rec:r' + s.run

    async def ask(*queries):
        for query in queries:
            b = await s.conn('b')
            await b.do(subscribe={'channel': channel, **query})
            await b.close()

    async def fill(count):
        for number in range(count):
            await s.api('publish', {'channel': channel, 'data': {'i': number}}, show=False)

    at = {'recover': True}
    replies = await a.do(subscribe={'channel': channel})
    await fill(2)
    await a.recv(0.2)
    epoch = json.loads(replies[0])['subscribe']['epoch']
    await ask(*({**at, 'offset': offset, 'epoch': epoch} for offset in (0, 1, 2, 5)),
              {**at, 'offset': 1, 'epoch': 'wrong'}, {**at, 'offset': 1}, at,
              {'offset': 1, 'epoch': epoch})
    await fill(4)
    await ask({**at, 'offset': 2, 'epoch': epoch}, {**at, 'offset': 3, 'epoch': epoch},
              {**at, 'offset': 2, 'epoch': epoch, 'flag': 2})
    await s.api('history_remove', {'channel': channel})
    await ask({**at, 'offset': 4, 'epoch': epoch}, {**at, 'offset': 6, 'epoch': epoch})
    await a.close()


async def positioning_and_optional(s):
    client = await s.conn()
    for channel, wishes in (
            ('pos:x', {}), ('opt:a', {}), ('opt:b', {'positioned': True}),
            ('opt:c', {'recoverable': True, 'join_leave': True}),
            ('plain:d', {'recoverable': True, 'join_leave': True, 'recover': True})):
        await client.do(subscribe={'channel': channel + s.run, **wishes})
    await client.close()


async def cache_recovery(s):
    channel = 'cache:c' + s.run

    async def ask(**wishes):
        client = await s.conn()
        replies = await client.do(subscribe={'channel': channel, **wishes})
        return client, json.loads(replies[0])['subscribe'].get('epoch')

    client, _ = await ask(recover=True)
    await s.api('publish', {'channel': channel, 'data': {'v': 1}}, show=False)
    await client.recv(0.2)
    await client.close()
    client, epoch = await ask(recover=True)
    await client.close()
    for wishes in ({}, {'recover': True, 'offset': 1, 'epoch': epoch},
                   {'recover': True, 'offset': 9, 'epoch': 'zz'}):
        await (await ask(**wishes))[0].close()


async def join_leave(s):
    a = await s.conn('a')
    channel = 'opt:j' + s.run
    await a.do(subscribe={'channel': channel, 'join_leave': True})
    b = await s.conn('b', token=jwt({'sub': 'u2', 'info': {'z': 1}}))
    await b.do(subscribe={'channel': channel})
    await a.recv(0.2)
    await b.do(unsubscribe={'channel': channel})
    await a.recv(0.2)
    await b.do(subscribe={'channel': channel})
    await b.close()
    await a.recv(0.3)
    await a.close()


async def rpc_send(s):
    client = await s.conn()
    for request in ({'method': 'ping', 'data': {}}, {'method': 'x', 'data': {}},
                    {'data': {}}):
        await client.do(rpc=request)
    await client.raw('{"send":{"data":{}}}')
    await client.recv()
    await client.close()


async def ping_pong(s):
    client = await s.conn()
    client.autopong = False
    await client.recv(3.4, count=1)
    for _ in range(2):
        await client.raw('{}')
        await client.recv(0.5)
    await client.close()
    client = await s.conn()
    client.autopong = False
    await client.recv(3.4, count=1)
    await client.recv(3)
    await client.close()
    client = await s.open(url=s.url + '?cf_ws_frame_ping_pong=true')
    await client.connect()
    await client.close()


async def stale(s):
    client = await s.open()
    await client.recv(4)
    await client.close()


async def refresh(s):
    async def begin(seconds=50):
        return await s.conn(token=jwt({'sub': 'u1', 'exp': now() + seconds}))

    client = await begin()
    for claims in ({'exp': now() + 100}, {}, {'exp': 1}):
        await client.do(refresh={'token': jwt({'sub': 'u1', **claims})})
    await client.close()
    for request in ({'token': jwt({'sub': 'u2'})}, {'token': 'bad'}, {}):
        client = await begin()
        await client.do(refresh=request)
        await client.close()
    client = await begin(1)
    await client.recv(4)
    await client.close()


async def sub_refresh(s):
    def token(**claims):
        return jwt({'sub': 'u1', 'channel': 'closed:r', **claims})

    async def begin(seconds):
        client = await s.conn(token=jwt({'sub': 'u1'}))
        await client.do(subscribe={'channel': 'closed:r', 'token': token(
            exp=now() + seconds)})
        return client

    client = await begin(50)
    for request in ({'channel': 'closed:r', 'token': token(exp=now() + 100)},
                    {'channel': 'closed:r', 'token': token()},
                    {'channel': 'closed:r', 'token': token(exp=1)},
                    {'channel': 'closed:r'},
                    {'channel': 'closed:nosub', 'token': token()}, {'token': token()}):
        await client.do(sub_refresh=request)
    await client.close()
    client = await begin(50)
    await client.do(sub_refresh={'channel': 'closed:r', 'token': 'bad'})
    await client.close()
    client = await begin(1)
    await client.recv(5, count=3)
    await client.close()


async def delta(s):
    channel = 'delta:d' + s.run
    client = await s.conn()
    replies = await client.do(subscribe={'channel': channel, 'delta': 'fossil'})
    epoch = json.loads(replies[0])['subscribe']['epoch']
    for number in range(3):
        await s.api('publish', {'channel': channel, 'data': {
            'text': 'x' * 200, 'n': number}}, show=False)
    await client.recv(0.3)
    await client.close()
    for request in ({'channel': channel, 'delta': 'fossil', 'recover': True, 'offset': 1,
                     'epoch': epoch},
                    {'channel': channel, 'delta': 'nosuch'},
                    {'channel': 'plain:nodelta', 'delta': 'fossil'}):
        client = await s.conn()
        await client.do(subscribe=request)
        await client.close()


async def tags_filter(s):
    channel = 'tags:f' + s.run
    equal = {'key': 'a', 'cmp': 'eq', 'val': '1'}
    client = await s.conn()
    await client.do(subscribe={'channel': channel, 'tf': equal})
    for number in (1, 2):
        await s.api('publish', {'channel': channel, 'data': number,
                                'tags': {'a': str(number)}}, show=False)
    await client.recv(0.3)
    await client.do(subscribe={'channel': channel + 'x', 'tf': {'cmp': 'zz'}})
    await client.do(subscribe={'channel': 'plain:tf', 'tf': equal})
    await client.close()


async def channel_compaction(s):
    channel = 'plain:cc' + s.run
    client = await s.conn()
    await client.do(subscribe={'channel': channel, 'flag': 1})
    await s.api('publish', {'channel': channel, 'data': {'x': 1}}, show=False)
    await client.recv(0.3)
    await client.close()


async def big_message(s):
    client = await s.conn()
    await client.socket.send(
        '{"id":9,"publish":{"channel":"open:x","data":"%s"}}' % ('a' * 70000))
    await client.recv(0.5)
    await client.close()
    client = await s.conn()
    await client.socket.send(b'{"id":2,"subscribe":{"channel":"plain:bin"}}')
    await client.recv(0.5)
    await client.close()
