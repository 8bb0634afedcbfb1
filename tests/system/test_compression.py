"""permessage-deflate: negotiation, contents, what all share, limits."""
import asyncio
import json
import zlib

import pytest
import websockets

import wire
from wire import TEXT

OFFER = 'permessage-deflate; client_max_window_bits'


@pytest.fixture
def server(make_server):
    return make_server(workers=2, compression=True)


def packed(text):
    """TEXT as a compressed message's payload."""
    deflate = zlib.compressobj(wbits=-15)
    out = deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return out[:-4]


def test_off_by_default(make_server, client):
    server = make_server()
    one = client(server, deflate=OFFER)
    assert one.extensions == ''
    one.send_frame(TEXT, packed('{"id":9,"subscribe":{"channel":"x"}}'), rsv=4)
    assert one.closing()[0] == 1002


def test_only_for_those_who_offer(server, client):
    assert client(server).extensions == ''
    one = client(server, deflate=OFFER)
    assert 'permessage-deflate' in one.extensions


@pytest.mark.parametrize('offer', [
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; client_max_window_bits=10; server_max_window_bits=10',
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    'x-unknown, permessage-deflate',
    'permessage-deflate; unknown=1, permessage-deflate'])
def test_offers(server, client, offer):
    one = client(server, deflate=offer)
    assert 'permessage-deflate' in one.extensions
    one.subscribe('x')
    one.publish('x', 'y' * 3000)
    assert one.push()['pub']['data'] == 'y' * 3000


@pytest.mark.parametrize('offer', [
    'permessage-deflate; unknown', 'permessage-deflate; server_max_window_bits=99',
    'permessage-deflate; client_no_context_takeover=1', 'permessage-deflate-x'])
def test_offers_that_cannot_be_taken(server, client, offer):
    one = client(server, deflate=offer)
    assert one.extensions == ''
    one.subscribe('x')


def test_both_ways(server, client):
    one = client(server, deflate=OFFER).subscribe('room')
    two = client(server).subscribe('room')
    for number in range(20):
        text = json.dumps({'id': 500 + number, 'publish': {
            'channel': 'room', 'data': [number, 'text ' * 200]}})
        one.send_frame(TEXT, packed(text), rsv=4)
    for number in range(20):
        assert two.push()['pub']['data'] == [number, 'text ' * 200]
        assert one.reply(500 + number)['publish'] == {}
    assert one.publications(20) == [[number, 'text ' * 200] for number in range(20)]


def test_a_fan_out_frame_is_compressed_once_for_all(server, client):
    readers = [client(server, deflate=OFFER).subscribe('open:big') for _ in range(20)]
    plain = client(server).subscribe('open:big')
    writer = client(server)
    text = 'the same words again and again ' * 100
    writer.publish('open:big', text)
    frames = set()
    for reader in readers:
        opcode, fin, rsv, payload = reader.recv_frame()
        assert (opcode, fin, rsv) == (TEXT, True, 4)
        assert len(payload) < len(text) / 5
        frames.add(payload)
    assert plain.push()['pub']['data'] == text
    if 'server_no_context_takeover' in readers[0].extensions:
        assert len(frames) == 1


def test_small_messages_stay_as_they_are(server, client):
    one = client(server, deflate=OFFER)
    one.send_text('{"id":5,"subscribe":{"channel":"s"}}')
    assert one.recv_frame()[2] == 0


def test_a_bomb_is_refused(server, client):
    one = client(server, deflate=OFFER)
    one.send_frame(TEXT, packed('x' * 50_000_000), rsv=4)
    assert one.closing()[0] == 1009
    assert server.memory(field='Pss') < 200 << 20


@pytest.mark.parametrize('payload', [b'\xff\xff\xff', b'\x07', b'\x00\x01'])
def test_data_that_does_not_inflate(server, client, payload):
    one = client(server, deflate=OFFER)
    one.send_frame(TEXT, payload, rsv=4)
    assert one.closing()[0] in (1002, 1003, 1007, 3501)
    client(server, deflate=OFFER).subscribe('others')


def test_fragments_and_a_plain_message_between(server, client):
    one = client(server, deflate=OFFER)
    body = packed('{"id":6,"subscribe":{"channel":"f"}}')
    one.send_frame(TEXT, body[:5], rsv=4, fin=False)
    one.send_frame(wire.PING, b'p')
    one.send_frame(0, body[5:])
    assert one.reply(6)['subscribe'] == {}
    one.send_text('{"id":7,"subscribe":{"channel":"g"}}')
    assert one.reply(7)['subscribe'] == {}
    one.send_frame(0, body, rsv=4)
    assert one.closing()[0] == 1002


def test_with_another_library(server):
    """The `websockets` package, which compresses whatever it sends."""
    def connect():
        # Without a bound: what nobody reads must not hold up the closing.
        return websockets.connect(server.url(), compression='deflate', max_queue=None)

    async def chat():
        async with connect() as one, connect() as two:
            assert 'permessage-deflate' in one.response.headers['Sec-WebSocket-Extensions']
            for each in (one, two):
                await each.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"r"}}')
                seen = ''
                while '"id":2' not in seen:
                    seen += await asyncio.wait_for(each.recv(), 5)
            for number in range(200):
                await one.send(json.dumps({'id': 10 + number, 'publish': {
                    'channel': 'r', 'data': [number, 'word ' * (number * 5)]}}))
            expected = 0
            while expected < 200:
                message = await asyncio.wait_for(two.recv(), 5)
                for line in message.split('\n'):
                    if line == '{}':
                        continue
                    data = json.loads(line)['push']['pub']['data']
                    assert data == [expected, 'word ' * (expected * 5)]
                    expected += 1
    asyncio.run(chat())


def test_memory_of_many_compressed_clients(server, client):
    before = server.memory()
    clients = [client(server, deflate=OFFER).subscribe('open:m') for _ in range(200)]
    writer = client(server)
    for number in range(20):
        writer.publish('open:m', [number, 'text ' * 1000])
    for one in clients:
        assert [data[0] for data in one.publications(20)] == list(range(20))
    # A window of its own for each would be 200 times 256 KiB.
    assert server.memory() - before < 20 << 20
