"""RFC 6455 as a client sees it, and the framing of commands in messages."""
import json
import time

import pytest

import wire
from server import PATIENCE
from wire import BINARY, CLOSE, PING, PONG, TEXT, close_payload


@pytest.fixture
def server(make_server):
    return make_server(close_timeout='300ms')


def test_fragments_with_a_ping_between(server, client):
    one = client(server)
    text = json.dumps({'id': 7, 'subscribe': {'channel': 'frag'}}).encode()
    one.send_frame(TEXT, text[:9], fin=False)
    one.send_frame(PING, b'between')
    one.send_frame(0, text[9:20], fin=False)
    one.send_frame(0, b'', fin=False)
    one.send_frame(0, text[20:])
    assert one.reply(7) == {'id': 7, 'subscribe': {}}
    assert one.control == [(PONG, b'between')]


def test_ping_is_answered_with_its_payload(server, client):
    one = client(server)
    for payload in (b'', b'x' * 125, bytes(range(100))):
        one.send_frame(PING, payload)
        assert one.recv_frame() == (PONG, True, 0, payload)
    one.send_frame(PONG, b'unasked')
    one.subscribe('still-there')


@pytest.mark.parametrize('payload, code', [
    (b'', 1005), (close_payload(1000), 1000), (close_payload(1001, 'away'), 1001),
    (close_payload(3000), 3000), (close_payload(4999, 'x' * 123), 4999)])
def test_close_is_answered_and_the_connection_ends(server, client, payload, code):
    one = client(server)
    one.send_frame(CLOSE, payload)
    opcode, _, _, answer = one.recv_frame()
    assert opcode == CLOSE
    assert (int.from_bytes(answer[:2], 'big') if answer else 1005) == code or code == 1005
    assert one.stream.ended()


BAD_FRAMES = {
    'unmasked': wire.frame(TEXT, b'{}', mask=False),
    'rsv1 without an extension': wire.frame(TEXT, b'{}', rsv=4),
    'rsv2': wire.frame(TEXT, b'{}', rsv=2),
    'rsv3': wire.frame(TEXT, b'{}', rsv=1),
    'opcode 3': wire.frame(3, b'{}'),
    'opcode 11': wire.frame(11, b''),
    'long ping': wire.frame(PING, b'x' * 126),
    'fragmented ping': wire.frame(PING, b'', fin=False),
    'continuation of nothing': wire.frame(0, b'x'),
    'message within a message': wire.frame(TEXT, b'{', fin=False) + wire.frame(TEXT, b'{}'),
    'close of one byte': wire.frame(CLOSE, b'\3'),
    'close 1005': wire.frame(CLOSE, close_payload(1005)),
    'close 999': wire.frame(CLOSE, close_payload(999)),
    'close 65535': wire.frame(CLOSE, close_payload(65535)),
    'length with the top bit': b'\x81\xff\x80\0\0\0\0\0\0\1\0\0\0\0{',
}


@pytest.mark.parametrize('name', BAD_FRAMES)
def test_protocol_errors_close_with_1002(server, client, name):
    one = client(server)
    one.stream.send(BAD_FRAMES[name])
    code, _ = one.closing()
    assert code in ((1002, 1009) if name == 'length with the top bit' else (1002,))
    assert one.stream.ended()


@pytest.mark.parametrize('raw', [
    b'\xff', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'{"id":1,"x":"\xe2\x82"}'])
def test_text_that_is_not_utf8_closes_with_1007(server, client, raw):
    one = client(server)
    one.send_frame(TEXT, raw)
    assert one.closing()[0] == 1007


def test_a_code_point_may_span_fragments(server, client):
    one = client(server).subscribe('utf8')
    text = '{"id":5,"publish":{"channel":"utf8","data":"\u20ac\U0001f600"}}'.encode()
    cut = text.index('\u20ac'.encode()) + 1
    one.send_frame(TEXT, text[:cut], fin=False)
    one.send_frame(0, text[cut:cut + 3], fin=False)
    one.send_frame(0, text[cut + 3:])
    assert one.reply(5) == {'id': 5, 'publish': {}}
    assert one.push()['pub']['data'] == '\u20ac\U0001f600'


def test_binary_messages_carry_json_too(server, client):
    one = client(server)
    one.send_frame(BINARY, b'{"id":3,"subscribe":{"channel":"b"}}')
    opcode, payload = one.recv_message()
    assert opcode == TEXT
    assert json.loads(payload) == {'id': 3, 'subscribe': {}}


def test_a_command_in_single_bytes(server, client):
    one = client(server)
    for byte in wire.frame(TEXT, b'{"id":4,"subscribe":{"channel":"slowly"}}'):
        one.stream.send(bytes([byte]))
        time.sleep(0.001)
    assert one.reply(4) == {'id': 4, 'subscribe': {}}


def test_frames_in_the_packet_of_the_handshake(server):
    stream = wire.Stream(server.address)
    stream.send(wire.request_head() + wire.frame(TEXT, b'{"id":1,"connect":{}}') +
                wire.frame(TEXT, b'{"id":2,"subscribe":{"channel":"early"}}'))
    status, _, _ = wire.read_response(stream)
    assert status == 101
    deadline = time.monotonic() + 5
    assert b'"connect"' in stream.until(b'}}', deadline)
    stream.until(b'"id":2', deadline)
    stream.close()


def test_many_commands_in_a_frame_are_answered_in_order(server, client):
    one = client(server)
    count = 100
    lines = ['{"id":%d,"subscribe":{"channel":"many%d"}}' % (100 + i, i) for i in range(count)]
    lines += ['{"id":%d,"unsubscribe":{"channel":"many%d"}}' % (300 + i, i)
              for i in range(count)]
    one.send_text('\n'.join(lines) + '\n')
    got = [one.next()['id'] for _ in range(2 * count)]
    assert got == list(range(100, 100 + count)) + list(range(300, 300 + count))


def test_commands_before_a_malformed_one_are_answered(server, client):
    one = client(server)
    one.send_text('{"id":8,"subscribe":{"channel":"a"}}\n{"id":9,"subscr')
    assert one.next() == {'id': 8, 'subscribe': {}}
    assert one.closing() == (3501, 'bad request')


DATA = [
    '{"a": 1,   "b":2.50, "c":1E400}', '"\\u00e9\\n\\/"', 'null', '[ ]', '{"a":1,"a":2}',
    '-0.0', '123456789012345678901234567890', '"\x7f\u00e9\u20ac"', 'true',
    '{ "deep": %s1%s }' % ('[' * 20, ']' * 20)]


@pytest.mark.parametrize('data', DATA)
def test_data_passes_byte_for_byte(server, client, data):
    one = client(server).subscribe('raw')
    two = client(server).subscribe('raw')
    one.send_text('{"id":77,"publish":{"channel":"raw","data":%s}}' % data)
    assert one.reply(77) == {'id': 77, 'publish': {}}
    two.push()
    assert '"data":%s' % data in two.last_line


def test_the_publisher_gets_its_own_publication(server, client):
    one = client(server).subscribe('own')
    number = one.send_command(publish={'channel': 'own', 'data': 1})
    assert one.reply(number) == {'id': number, 'publish': {}}
    assert one.push()['pub']['data'] == 1
    assert one.silent(0.1)


@pytest.mark.parametrize('offer, chosen', [
    (None, None), ('centrifuge-json', 'centrifuge-json'), ('other', None),
    ('other, centrifuge-json', 'centrifuge-json')])
def test_subprotocols(server, client, offer, chosen):
    one = client(server, headers={'Sec-WebSocket-Protocol': offer} if offer else {})
    assert one.headers.get('sec-websocket-protocol') == chosen
    one.subscribe('x')


@pytest.mark.parametrize('path, status', [
    ('/connection/websocket/', 404), ('/', 200), ('/nosuch', 404), ('/health', 200)])
def test_other_paths(server, path, status):
    stream = wire.Stream(server.address)
    stream.send(('GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % path).encode())
    assert wire.read_response(stream)[0] == status
    stream.close()


def ask(stream, method, path='/health', extra=''):
    stream.send(('%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n' % (method, path, extra)).encode())


@pytest.mark.parametrize('path, status', [('/', 200), ('/health', 200), ('/nosuch', 404)])
def test_head_is_answered_without_a_body(server, path, status):
    """A client reads the next answer right behind the headers."""
    stream = wire.Stream(server.address)
    ask(stream, 'GET', path)
    expected, headers, body = wire.read_response(stream)
    assert (expected, int(headers['content-length'])) == (status, len(body))
    ask(stream, 'HEAD', path)
    ask(stream, 'OPTIONS')
    deadline = time.monotonic() + 5 * PATIENCE
    first = stream.until(b'\r\n\r\n', deadline)
    assert first.startswith(b'HTTP/1.1 %d ' % status)
    assert b'Content-Length: %d\r\n' % len(body) in first
    got, headers, _ = wire.read_response(stream)
    assert (got, headers['allow']) == (405, 'GET, HEAD')
    stream.close()


@pytest.mark.parametrize('method, extra', [
    ('GET', 'Connection: close\r\n'), ('GET', 'Content-Length: 5\r\n'),
    ('POST', 'Content-Length: 5\r\n')])
def test_an_answer_that_is_the_last_one_says_so(server, method, extra):
    stream = wire.Stream(server.address)
    ask(stream, method, extra=extra)
    stream.send(b'hello')
    _, headers, _ = wire.read_response(stream)
    assert headers.get('connection') == 'close'
    assert stream.ended()
    stream.close()


def test_pipelined_requests_are_answered_in_order(server):
    stream = wire.Stream(server.address)
    for path in ('/health', '/nosuch', '/', '/health'):
        ask(stream, 'GET', path)
    assert [wire.read_response(stream)[0] for _ in range(4)] == [200, 404, 200, 200]
    stream.close()


def test_a_very_long_origin(server):
    for size in (256, 257, 6000):
        stream = wire.Stream(server.address)
        stream.send(wire.request_head(headers={'Origin': 'http://' + 'x' * size}))
        assert wire.read_response(stream)[0] == 403
        stream.close()


BAD_HEADS = {
    'no host': wire.request_head(headers={'Host': None}),
    'two hosts': wire.request_head(headers={'Host': 'a\r\nHost: b'}),
    'no upgrade': wire.request_head(headers={'Upgrade': None}),
    'other upgrade': wire.request_head(headers={'Upgrade': 'h2c'}),
    'no connection': wire.request_head(headers={'Connection': 'close'}),
    'version 8': wire.request_head(headers={'Sec-WebSocket-Version': '8'}),
    'no key': wire.request_head(headers={'Sec-WebSocket-Key': None}),
    'short key': wire.request_head(headers={'Sec-WebSocket-Key': 'c2hvcnQ='}),
    'POST': wire.request_head().replace(b'GET', b'POST', 1),
    'bare newlines': wire.request_head().replace(b'\r\n', b'\n'),
    'space before the colon': wire.request_head().replace(b'Host:', b'Host :'),
    'a NUL': wire.request_head(headers={'X': 'a\0b'}),
    'garbage': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
}


@pytest.mark.parametrize('name', BAD_HEADS)
def test_bad_handshakes_are_refused(server, name):
    stream = wire.Stream(server.address)
    stream.send(BAD_HEADS[name])
    try:
        status, headers, _ = wire.read_response(stream)
    except wire.Closed:
        pytest.fail('closed without an answer')
    assert status in (400, 405, 426)
    if name == 'version 8':
        assert headers['sec-websocket-version'] == '13'
    if headers.get('connection') == 'close':
        assert stream.ended()
    stream.close()
