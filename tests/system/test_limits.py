"""What one client, or all together, may take: time, bytes, connections, rates."""
import json
import os
import time

import pytest

import wire
from server import PATIENCE
from wire import TEXT


def cpu_seconds(pid):
    """Processor time of a process so far."""
    with open('/proc/%d/stat' % pid, encoding='ascii', errors='replace') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def elapsed_until_end(stream, drip=b'', timeout=6.0):
    """Seconds until the server ends the stream, while bytes of DRIP are sent."""
    start = time.monotonic()
    drip = list(drip)
    while time.monotonic() - start < timeout * PATIENCE:
        if stream.ended(0.1):
            return time.monotonic() - start
        if drip:
            try:
                stream.send(bytes([drip.pop(0)]))
            except (BrokenPipeError, ConnectionResetError):
                return time.monotonic() - start
    raise AssertionError('the connection was not cut')


@pytest.mark.parametrize('sent, drip', [
    (b'', b''),
    (b'GET /connection/websocket HTTP/1.1\r\nHost: a\r\n', b''),
    (b'GET /connection/websocket HTTP/1.1\r\n', b'X-Header: ' + b'a' * 1000),
], ids=['nothing', 'half a head', 'a head byte by byte'])
def test_half_a_handshake_is_cut(make_server, sent, drip):
    server = make_server(handshake_timeout='600ms')
    stream = wire.Stream(server.address)
    if sent:
        stream.send(sent)
    assert 0.4 < elapsed_until_end(stream, drip) < 3 * PATIENCE
    stream.close()


@pytest.mark.parametrize('drip', [b'', b' ' * 900], ids=['silent', 'byte by byte'])
def test_half_a_frame_is_cut(make_server, client, drip):
    server = make_server(handshake_timeout='600ms', ping_interval='60s')
    one = client(server)
    time.sleep(0.8)
    one.subscribe('idle-for-longer-than-the-limit')
    one.stream.send(wire.frame(TEXT, b'{"id":9,"subscribe":{"channel":"' + b'x' * 2000)[:50])
    assert 0.4 < elapsed_until_end(one.stream, drip) < 3 * PATIENCE


def test_a_message_whose_fragments_stop_is_cut(make_server, client):
    server = make_server(handshake_timeout='600ms', ping_interval='60s')
    one = client(server)
    one.send_frame(TEXT, b'{"id":', fin=False)
    assert elapsed_until_end(one.stream) < 3 * PATIENCE


def test_whoever_is_always_in_the_middle_of_a_frame_is_not_cut(make_server, client):
    """Each frame has its own time, also when no read ends where a frame does."""
    server = make_server(handshake_timeout='600ms', ping_interval='60s')
    one = client(server)
    text = [wire.frame(TEXT, json.dumps({'id': 100 + i, 'rpc': {'method': 'x'}}))
            for i in range(30)]
    one.stream.send(text[0][:5])
    for before, after in zip(text, text[1:]):
        time.sleep(0.1)
        one.stream.send(before[5:] + after[:5])
    one.stream.send(text[-1][5:])
    for i in range(30):
        assert one.reply(100 + i)['error']['code'] == 104


def test_a_slow_message_in_fragments_is_not_cut(make_server, client):
    server = make_server(handshake_timeout='600ms', ping_interval='60s')
    one = client(server)
    one.send_frame(TEXT, b'{"id":9,"rpc":{"method":"', fin=False)
    for _ in range(15):
        time.sleep(0.15)
        one.send_frame(0, b'x' * 1000, fin=False)
        one.send_frame(wire.PING, b'between')
    one.send_frame(0, b'"}}')
    assert one.reply(9)['error']['code'] == 104


@pytest.mark.parametrize('payload', [b'', b'x'], ids=['empty', 'a byte'])
def test_fragments_without_an_end_are_cut(make_server, client, payload):
    server = make_server(handshake_timeout='600ms', ping_interval='60s')
    one = client(server)
    one.send_frame(TEXT, b'{"id":9,"rpc":{"method":"', fin=False)
    start = time.monotonic()
    while time.monotonic() - start < 6 * PATIENCE:
        try:
            one.send_frame(0, payload, fin=False)
            one.send_frame(wire.PING, b'busy')
            if one.stream.ended(0.05):
                break
        except (BrokenPipeError, ConnectionResetError):
            break
    assert 0.4 < time.monotonic() - start < 3 * PATIENCE


def test_a_large_frame_in_small_pieces_costs_little(make_server, client):
    """What came before is not moved with each piece."""
    server = make_server(max_frame_size='4m', max_message_size='4m', ring_size='64m',
                         queue_size='64m', history_reply='4m',
                         handshake_timeout='60s', ping_interval='60s')
    one = client(server)
    data = wire.frame(TEXT, b'{"id":9,"rpc":{"method":"' + b'x' * 4000000 + b'"}}')
    worker = server.workers()[0]
    one.stream.send(data[:3500000])
    time.sleep(0.2)
    before, start = cpu_seconds(worker), time.monotonic()
    for at in range(3500000, 3500500):
        one.stream.send(data[at:at + 1])
        time.sleep(0.002)
    share = (cpu_seconds(worker) - before) / (time.monotonic() - start)
    one.stream.send(data[3500500:])
    assert one.reply(9)['error']['code'] == 104
    assert share < 0.06, 'took %.2f of a processor' % share


def test_no_connect_command_is_stale(make_server, client):
    server = make_server(stale_timeout='500ms')
    one = client(server, connect=False)
    start = time.monotonic()
    assert one.closing() == (3502, 'stale')
    assert 0.3 < time.monotonic() - start < 3 * PATIENCE


def test_a_client_that_does_not_answer_a_close_is_cut(make_server, client):
    server = make_server(close_timeout='500ms')
    one = client(server)
    one.send_text('garbage')
    assert one.closing() == (3501, 'bad request')
    # The close frame is not answered; the socket stays open on our side.
    assert one.stream.ended(3)


def test_one_connection_too_many_gets_503(make_server, client):
    server = make_server(max_connections=5)
    clients = [client(server) for _ in range(5)]
    with pytest.raises(wire.Refused) as refused:
        client(server)
    assert refused.value.status == 503
    clients.pop().close()
    deadline = time.monotonic() + 3 * PATIENCE
    while True:
        try:
            client(server)
            break
        except wire.Refused:
            assert time.monotonic() < deadline, 'the place of a client that left is lost'
            time.sleep(0.05)
    for one in clients:
        one.subscribe('still-served')


@pytest.mark.parametrize('workers', [1, 2])
def test_the_limit_of_connections_is_of_all_workers(make_server, client, workers):
    server = make_server(workers=workers, max_connections=8)
    clients, refused = [], 0
    for _ in range(12):
        try:
            clients.append(client(server))
        except wire.Refused as error:
            assert error.status == 503
            refused += 1
    assert len(clients) <= 8 and refused >= 4


def test_a_frame_larger_than_allowed(make_server, client):
    server = make_server(max_frame_size=1000, max_message_size=4000)
    one = client(server)
    one.send_text('{"id":9,"send":{"data":"%s"}}' % ('x' * 1000))
    assert one.closing()[0] == 1009


def test_the_announcement_of_a_frame_is_enough(make_server, client):
    server = make_server(max_frame_size=1000, max_message_size=4000)
    one = client(server)
    one.stream.send(wire.frame(TEXT, b'x' * 5000)[:14])
    assert one.closing()[0] == 1009


def test_a_message_of_fragments_larger_than_allowed(make_server, client):
    server = make_server(max_frame_size=1000, max_message_size=2500)
    one = client(server)
    for _ in range(3):
        one.send_frame(TEXT if _ == 0 else 0, b'x' * 900, fin=False)
    assert one.closing()[0] == 1009


def test_a_message_of_exactly_the_limit(make_server, client):
    server = make_server(max_frame_size=1000, max_message_size=1000)
    one = client(server)
    head = '{"id":9,"subscribe":{"channel":"c","x":"'
    one.send_text(head + 'x' * (1000 - len(head) - 3) + '"}}')
    assert one.reply(9) == {'id': 9, 'subscribe': {}}


def test_a_head_larger_than_allowed(make_server):
    server = make_server(max_request_size=1024)
    stream = wire.Stream(server.address)
    stream.send(wire.request_head(headers={'X-Long': 'x' * 2000}))
    assert wire.read_response(stream)[0] in (400, 413, 431)
    assert stream.ended()
    stream.close()


def test_length_of_a_channel(make_server, client):
    server = make_server(max_channel_length=20)
    one = client(server).subscribe('x' * 20)
    reply = one.call(subscribe={'channel': 'x' * 21})
    assert reply['error'] == {'code': 107, 'message': 'bad request'}


def test_number_of_subscriptions(make_server, client):
    server = make_server(max_subscriptions=3)
    one = client(server).subscribe('a', 'b', 'c')
    assert one.call(subscribe={'channel': 'd'})['error'] == {
        'code': 106, 'message': 'limit exceeded'}
    one.call(unsubscribe={'channel': 'a'})
    one.subscribe('d')


def test_rate_of_publications(make_server, client):
    server = make_server(publish_rate=10, publish_burst=5)
    one = client(server).subscribe('fast')
    replies = [one.call(publish={'channel': 'fast', 'data': i}) for i in range(10)]
    refused = [reply['error'] for reply in replies if 'error' in reply]
    assert 3 <= len(refused) <= 5
    assert refused[0] == {'code': 111, 'message': 'too many requests', 'temporary': True}
    other = client(server).subscribe('fast')
    other.publish('fast', 'each client has its own')
    time.sleep(0.3)
    one.publish('fast', 'again')
    one.subscribe('no-publication')


ORIGINS = ['https://chat.example.com', 'https://*.example.org', 'HTTP://Upper.example']


@pytest.mark.parametrize('origins, origin, status', [
    ([], None, 101),
    ([], 'http://localhost', 403),
    (ORIGINS, None, 101),
    (ORIGINS, 'https://chat.example.com', 101),
    (ORIGINS, 'https://CHAT.example.com', 101),
    (ORIGINS, 'http://upper.example', 101),
    (ORIGINS, 'https://a.example.org', 101),
    (ORIGINS, 'https://example.org', 403),
    (ORIGINS, 'http://a.example.org', 403),
    (ORIGINS, 'https://a.example.org.evil.example', 403),
    (ORIGINS, 'https://chat.example.com:444', 403),
    (ORIGINS, 'null', 403),
    (['*'], 'null', 101)])
def test_origins(make_server, client, origins, origin, status):
    server = make_server(allowed_origins=origins)
    headers = {'Origin': origin} if origin else {}
    if status == 101:
        client(server, headers=headers).subscribe('x')
        return
    with pytest.raises(wire.Refused) as refused:
        client(server, headers=headers)
    assert refused.value.status == status


def flood(publisher, channel, count, size):
    """Publishes COUNT numbered messages; the replies are read as they come."""
    payload = 'x' * size
    for number in range(count):
        publisher.send_text(json.dumps({
            'id': 10000 + number,
            'publish': {'channel': channel, 'data': [number, payload]}}))
        publisher.reply(10000 + number)


def test_a_slow_client_is_cut_off_once_and_delays_nobody(make_server, client):
    server = make_server(output_buffer='64k', ping_interval='60s', close_timeout='20s')
    slow = client(server, rcvbuf=4096).subscribe('open:flood')
    fast = [client(server).subscribe('open:flood') for _ in range(3)]
    publisher = client(server)
    worst = 0.0
    count = 1500
    for number in range(count):
        start = time.monotonic()
        publisher.publish('open:flood', [number, 'x' * 4000])
        for one in fast:
            assert one.push()['pub']['data'][0] == number
        worst = max(worst, time.monotonic() - start)
    assert worst < 1.0 * PATIENCE
    last = -1
    with pytest.raises(wire.Closed) as closed:
        while True:
            number = slow.push()['pub']['data'][0]
            assert number == last + 1, 'a message is missing before the cut'
            last = number
    assert (closed.value.code, closed.value.reason) == (3008, 'slow')
    slow.send_frame(wire.CLOSE, wire.close_payload(3008))
    assert slow.stream.ended()
    assert 0 <= last < count - 1


def test_what_waits_for_all_clients_is_bounded(make_server, client):
    server = make_server(output_buffer='1m', output_total='4m', ping_interval='60s',
                         close_timeout='20s')
    slow = [client(server, rcvbuf=4096).subscribe('open:flood') for _ in range(20)]
    fast = client(server).subscribe('open:flood')
    publisher = client(server)
    before = server.memory()
    peak = 0
    # Each gets bytes of its own, so that nothing is shared between them.
    for number in range(20):
        slow[number].subscribe('open:own%d' % number)
    # The kernel takes some megabytes for each before anything waits in chatd.
    for number in range(2400):
        publisher.publish('open:own%d' % (number % 20), 'x' * 60000)
        if number % 100 == 0:
            publisher.publish('open:flood', number)
            assert fast.push()['pub']['data'] == number
            peak = max(peak, server.memory() - before)
    assert peak < 16 << 20, 'memory grew by %d bytes' % peak
    cut = 0
    for one in slow:
        try:
            assert one.closing(0.3)[0] == 3008
            cut += 1
        except TimeoutError:
            # Nothing waits for this one any more: it was spared, and is served.
            one.publish('open:own0', 'still here')
    # 4 MiB of what waits, and what the kernel holds for each, leave no room for all.
    assert 10 <= cut <= 20


def test_unfinished_messages_of_all_clients_are_bounded(make_server, client):
    server = make_server(input_total='1m', max_frame_size='256k', max_message_size='256k',
                         ring_size='4m', queue_size='4m', handshake_timeout='20s')
    clients = [client(server) for _ in range(20)]
    before = server.memory()
    for one in clients:
        try:
            one.stream.send(wire.frame(TEXT, b'x' * 250000)[:240000])
        except OSError:
            continue
    time.sleep(0.5)
    assert server.memory() - before < 8 << 20
    fresh = client(server).subscribe('others')
    fresh.publish('others', 'are served')
    alive = sum(1 for one in clients if not one.stream.ended(0.02))
    assert alive <= 5, 'held %d times 240000 bytes' % alive
