"""Scenarios of the server API, of other transports and other encodings."""
import asyncio
import json
import re
import urllib.parse

from session import jwt, now

KEY = 'dGhlIHNhbXBsZSBub25jZQ=='


async def server_api_errors(s):
    data = {'channel': 'x', 'data': {}}
    unknown = {'channel': 'nosuch:x', 'data': {}}
    for body in ({}, {'channel': 'x'}, unknown):
        await s.api('publish', body)
    await s.api('publish', data, key='bad')
    await s.api('publish', data, key=None)
    await s.api('publish', data, key=None, headers={'Authorization': 'apikey api_key'})
    await s.api('publish?api_key=api_key', data, key=None)
    await s.api('publish', None, raw=b'{bad')
    await s.api('publish', None, raw=b'')
    await s.api('nosuch', {})
    await s.api('publish', unknown, headers={'X-Centrifugo-Error-Mode': 'transport'})
    await s.api('publish', None, http='GET', raw=b'')
    for method, body in (
            ('history', {'channel': 'plain:x'}), ('presence', {'channel': 'plain:x'}),
            ('history', {}), ('presence_stats', {}), ('subscribe', {}),
            ('broadcast', {'channels': [], 'data': {}}),
            ('broadcast', {'channels': ['x', 'nosuch:x', ''], 'data': {}}),
            ('rpc', {'method': 'x', 'params': {}}), ('rpc', {})):
        await s.api(method, body)
    await s.api('', None, path='/api',
                raw=b'{"method":"publish","params":{"channel":"x","data":{}}}')
    for method, body in (
            ('unsubscribe', {}), ('disconnect', {}), ('refresh', {}), ('channels', {}),
            ('history_remove', {'channel': 'plain:x'}), ('batch', {}),
            ('batch', {'commands': [{}, {'nosuch': {}}, {'publish': data}]})):
        await s.api(method, body)


async def server_api_ok(s):
    channel = 'open:api' + s.run

    async def push(**fields):
        await s.api('publish', {'channel': channel, **fields})

    await push(data={'a': 1}, tags={'t': 'v'})
    await push(b64data='eyJ4IjoxfQ==')
    await push(data={'a': 2}, skip_history=True)
    for _ in range(2):
        await push(data={}, idempotency_key='k')
    await s.api('publish', {'channel': 'x', 'data': 1})
    for _ in range(2):
        await push(data={}, version=5)
    await push(data={}, version=4, version_epoch='b')
    for query in ({'limit': 2}, {}, {'limit': 2, 'reverse': True},
                  {'limit': 2, 'since': {'offset': 1, 'epoch': 'bad'}}):
        await s.api('history', {'channel': channel, **query})
    await s.api('broadcast', {'channels': [channel, 'x'], 'data': {'b': 1}})
    await s.api('history_remove', {'channel': channel})
    await s.api('history', {'channel': channel, 'limit': 10})
    await s.api('presence', {'channel': channel})
    await s.api('presence_stats', {'channel': channel})
    a = await s.conn('a', token=jwt({'sub': 'u1' + s.run, 'info': {'n': 1}}))
    await a.do(subscribe={'channel': channel})
    await s.api('presence', {'channel': channel})
    await s.api('presence_stats', {'channel': channel})
    for pattern in ('open:api*', 'open:*' + s.run, 'zzz'):
        await s.api('channels', {'pattern': pattern})
    await s.api('batch', {'commands': [
        {'publish': {'channel': channel, 'data': {}}},
        {'presence_stats': {'channel': channel}}, {'history': {'channel': channel}},
        {'presence': {'channel': 'plain:x'}}], 'parallel': True})
    await a.recv(0.2)
    await a.close()
    info = json.loads(await s.api('info', {}, show=False))
    s.out('  info keys', sorted(info['result']['nodes'][0]))


async def _subscribed_by_the_server(s, user, channel):
    a = await s.conn('a', token=jwt({'sub': user}))
    await s.api('subscribe', {'user': user, 'channel': channel, 'data': {'d': 1},
                              'info': {'i': 1}})
    await a.recv(0.3)
    await s.api('publish', {'channel': channel, 'data': {'x': 1}}, show=False)
    await a.recv(0.2)
    await a.do(subscribe={'channel': channel})
    await a.do(publish={'channel': channel, 'data': {'y': 1}})
    await s.api('unsubscribe', {'user': user, 'channel': channel})
    await a.recv(0.3)
    await a.do(subscribe={'channel': channel})
    await s.api('unsubscribe', {'user': user, 'channel': ''})
    await a.recv(0.3)
    await s.api('refresh', {'user': user, 'expire_at': now() + 100})
    await a.recv(0.3)
    await s.api('subscribe', {'user': user, 'channel': 'plain:w' + s.run,
                              'client': 'nosuch'})
    await a.recv(0.2)
    await s.api('disconnect', {'user': user, 'whitelist': [a.id]})
    await a.recv(0.2)
    await s.api('disconnect', {'user': user})
    await a.recv(0.3)
    await a.close()


async def server_subscribe_unsubscribe_disconnect(s):
    user = 'us' + s.run
    await _subscribed_by_the_server(s, user, 'open:srv' + s.run)
    for method, body in (
            ('disconnect', {'disconnect': {'code': 4000, 'reason': 'custom'}}),
            ('refresh', {'expired': True}), ('refresh', {'expire_at': 1})):
        a = await s.conn('a', token=jwt({'sub': user}))
        await s.api(method, {'user': user, **body})
        await a.recv(0.3)
        await a.close()
    a = await s.conn('a')
    await s.api('disconnect', {'user': '', 'client': a.id})
    await a.recv(0.3)
    await a.close()


async def server_side_recovery(s):
    channel = 'rec:ssr' + s.run
    token = jwt({'sub': 'ur' + s.run, 'channels': [channel]})
    a = await s.open('a')
    replies = await a.connect(token=token)
    epoch = json.loads(replies[0])['connect']['subs'][channel]['epoch']
    await a.close()
    for number in range(2):
        await s.api('publish', {'channel': channel, 'data': {'i': number}}, show=False)
    at = {'recover': True, 'offset': 0}
    for fields in (
            {'token': token, 'subs': {channel: {**at, 'epoch': epoch}}},
            {'token': token, 'subs': {channel: {**at, 'epoch': 'bad'},
                                      'plain:requested': {}}},
            {'subs': {'plain:requested': {}, 'closed:requested': {}}}):
        await (await s.conn('a', **fields)).close()


async def _speak_protobuf(s, client):
    await client.raw(bytes.fromhex('04' '0801' '2200'))
    message = await asyncio.wait_for(client.socket.recv(), 1)
    s.out('  c <', type(message).__name__, 'len', len(message) > 40)
    await client.raw(bytes.fromhex('0d' '0802' '2a09' '0a07') + b'plain:p')
    await client.recv(0.3)
    await s.api('publish', {'channel': 'plain:p', 'data': {'x': 1}}, show=False)
    await client.recv(0.3)
    await client.recv(3.2, count=1)


async def protobuf(s):
    for url, protocols in (
            (s.url, ['centrifuge-protobuf']), (s.url + '?format=protobuf', None),
            (s.url + '?cf_protocol=protobuf', None), (s.url, ['centrifuge-json']),
            (s.url, ['other'])):
        client = await s.open(url=url, subprotocols=protocols)
        s.out('  negotiated', client.socket.subprotocol)
        if protocols in (['centrifuge-json'], ['other']):
            await client.connect()
        else:
            await _speak_protobuf(s, client)
        await client.close()


def in_query(command):
    return '/connection/sse?cf_connect=' + urllib.parse.quote(command)


async def emulation_sse(s):
    received, stream = await s.http('GET', in_query('{"id":1,"connect":{}}'))
    reply = json.loads(re.search(rb'data: (\{.*\})', received).group(1))['connect']
    session, node = reply['session'], reply['node']
    await s.emulate('emulation', {
        'session': session, 'node': node,
        'data': '{"id":2,"subscribe":{"channel":"plain:em"}}'})
    stream.settimeout(1)
    s.out('  sse <', stream.recv(65536))
    stream.close()
    await s.emulate('emulation bad session', {
        'session': 'nosuch', 'node': node, 'data': '{}'})
    await s.emulate('emulation bad node', {
        'session': 'nosuch', 'node': 'nosuch', 'data': '{}'})
    await s.show('GET', '/connection/sse')
    await s.show('GET', in_query('{"id":1,"connect":{"token":"bad"}}'))
    await s.show('GET', in_query(json.dumps(
        {'id': 1, 'connect': {'token': jwt({'sub': 'u', 'exp': 1})}})))


async def emulation_http_stream(s):
    path = '/connection/http_stream'
    for body in (b'{"id":1,"connect":{}}', b'{"id":1,"connect":{"token":"bad"}}', b''):
        await s.show('POST', path, body, {'Content-Type': 'application/json'})
    await s.show('GET', path)
    await s.show('OPTIONS', path, None, {
        'Origin': 'http://x.com', 'Access-Control-Request-Headers': 'content-type'})
    await s.show('OPTIONS', '/emulation')


async def unidirectional(s):
    user, channel = 'uu' + s.run, 'rec:uni' + s.run
    token = jwt({'sub': user, 'channels': [channel]})
    query = urllib.parse.quote(json.dumps({'token': token}))
    await s.show('GET', '/connection/uni_sse?cf_connect=' + query, seconds=3.6)
    for body in (json.dumps({'token': token}).encode(), b'{"token":"bad"}'):
        await s.show('POST', '/connection/uni_http_stream', body)
    await s.show('GET', '/connection/uni_sse')
    url = 'ws://%s/connection/uni_websocket' % s.host
    client = await s.open(url=url)
    await client.raw(json.dumps({'token': token}))
    await client.recv(0.3)
    await s.api('publish', {'channel': channel, 'data': {'x': 1}}, show=False)
    await client.recv(0.3)
    await s.api('disconnect', {'user': user})
    await client.recv(0.3)
    await client.close()
    client = await s.open(url=url)
    await client.raw(json.dumps({'token': 'bad'}))
    await client.recv(0.5)
    await client.close()


async def handshake_http(s):
    upgrade = {'Connection': 'Upgrade', 'Upgrade': 'websocket'}
    path = '/connection/websocket'
    await s.show('GET', path, seconds=0.5)
    for version, origin in (('8', None), ('13', 'http://evil.example'),
                            ('13', 'http://' + s.host)):
        headers = {**upgrade, 'Sec-WebSocket-Version': version, 'Sec-WebSocket-Key': KEY}
        if origin:
            headers['Origin'] = origin
        await s.show('GET', path, None, headers, 0.5)
    for path in ('/health', '/'):
        await s.show('GET', path, seconds=0.5)


async def map_subscription(s):
    channel = 'map:m' + s.run
    whole = {'type': 1, 'phase': 2}
    client = await s.conn()
    await client.do(subscribe={'channel': channel, **whole})
    for key, value in (('k1', 1), ('k2', 2)):
        await client.do(publish={'channel': channel, 'type': 1, 'key': key,
                                 'data': {'v': value}})
    await client.do(publish={'channel': channel, 'type': 1, 'key': 'k1', 'removed': True})
    await client.close()
    client = await s.conn()
    replies = await client.do(subscribe={'channel': channel, **whole})
    epoch = json.loads(replies[0])['subscribe'].get('epoch')
    await client.close()
    for value in (epoch, 'bad'):
        client = await s.conn()
        await client.do(subscribe={'channel': channel, 'type': 1, 'phase': 1,
                                   'recover': True, 'offset': 1, 'epoch': value})
        await client.close()
    client = await s.conn()
    await client.do(subscribe={'channel': 'mape:m' + s.run, **whole})
    await client.do(publish={'channel': 'mape:m' + s.run, 'type': 1, 'key': 'k1',
                             'data': {'v': 1}})
    await client.close()
    for method, fields in (
            ('map_publish', {'key': 'z', 'data': {'q': 1}}), ('map_read_state', {}),
            ('map_read_stream', {'limit': -1}), ('map_stats', {}),
            ('map_remove', {'key': 'z'}), ('map_remove', {'key': 'nosuch'}),
            ('map_clear', {}), ('publish', {'data': {}})):
        await s.api(method, {'channel': channel, **fields})
