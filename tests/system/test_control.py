"""The control socket: who may use it, and the requests that it takes."""

import grp
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import textwrap
import time

import pytest

import control
from daemon_util import Daemon, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')


def path_of(server):
    return os.path.join(server.options['run_dir'], 'control.sock')


def call(server, method, args=None):
    return control.call(path_of(server), method, args)


@pytest.fixture(name='server')
def one_server(make_server):
    return make_server()


@pytest.fixture(name='open_daemon')
def make_open_daemon(tmp_path):
    """In a directory that every user may enter."""
    for directory in [tmp_path, *list(tmp_path.parents)[:2]]:
        directory.chmod(0o755)
    one = Daemon(tmp_path)
    yield one
    one.clean()


# ---- the socket ----------------------------------------------------------------------


def test_it_is_there_while_the_daemon_is(make_server):
    server = make_server()
    made = os.stat(path_of(server))
    assert stat.S_ISSOCK(made.st_mode)
    assert stat.S_IMODE(made.st_mode) == 0o600
    server.stop()
    assert not os.path.exists(path_of(server))


def test_a_stale_one_is_replaced(make_server):
    server = make_server(start=False)
    os.mkdir(server.options['run_dir'])
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path_of(server))
    server.start()
    assert call(server, '/api/info')['result']['nodes']


def fails(server, why):
    server.write_conf()
    done = subprocess.run([os.environ['CHATD'], '-f', '-c', server.conf],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert why in done.stderr


def test_a_live_one_of_another_is_left_alone(make_server):
    server = make_server(start=False)
    os.mkdir(server.options['run_dir'])
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path_of(server))
        other.listen()
        fails(server, '%s: process %d listens there' % (path_of(server), os.getpid()))
        assert os.path.exists(path_of(server))


def test_another_kind_of_file_is_left_alone(make_server):
    server = make_server(start=False)
    os.mkdir(server.options['run_dir'])
    with open(path_of(server), 'w', encoding='ascii') as file:
        file.write('mine')
    fails(server, 'stands there and is no socket')
    with open(path_of(server), encoding='ascii') as file:
        assert file.read() == 'mine'


def test_a_path_that_no_address_can_hold(make_server, tmp_path):
    deep = tmp_path / ('d' * 100)
    deep.mkdir()
    server = make_server(run_dir=str(deep / 'run'))
    assert len(path_of(server)) > 108
    assert call(server, '/api/info')['result']['nodes']


def test_an_unknown_group_stops_the_start(make_server):
    server = make_server(start=False, control_group='no-such-group')
    fails(server, 'control_group: no-such-group: there is no such group')


# ---- who may -------------------------------------------------------------------------

TRY = textwrap.dedent('''
    import os, sys
    sys.path.insert(0, sys.argv[1])
    import control
    uid, gid, more = (int(x) for x in sys.argv[3:])
    os.setgroups([more] if more >= 0 else [])
    os.setgid(gid)
    os.setuid(uid)
    try:
        with control.connect(sys.argv[2]) as sock:
            sock.sendall(control.request('/api/info'))
            print(control.Reader(sock).answer()[0])
    except PermissionError:
        print('permission')
''')


def try_as(daemon, uid, gid, more=-1):
    """What a process of that user, group and other group gets."""
    done = subprocess.run(
        [sys.executable, '-c', TRY, os.path.dirname(control.__file__),
         daemon.run_dir / 'control.sock', str(uid), str(gid), str(more)],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_root
def test_the_file_is_for_its_owner_alone(open_daemon):
    open_daemon.write(user='"nobody"')
    open_daemon.start()
    nobody = pwd.getpwnam('nobody')
    assert try_as(open_daemon, 0, 0) == '200'
    assert try_as(open_daemon, nobody.pw_uid, nobody.pw_gid) == '200'
    assert try_as(open_daemon, 12345, 12345) == 'permission'


@needs_root
def test_members_of_the_group_may(open_daemon):
    group = grp.getgrnam('games').gr_gid
    open_daemon.write(control_group='"games"', control_mode='"0660"')
    open_daemon.start()
    made = os.stat(open_daemon.run_dir / 'control.sock')
    assert (made.st_gid, stat.S_IMODE(made.st_mode)) == (group, 0o660)
    assert try_as(open_daemon, 12345, group) == '200'
    assert try_as(open_daemon, 12345, 12345, group) == '200'
    assert try_as(open_daemon, 12345, 12345) == 'permission'


@needs_root
def test_a_file_open_to_all_lets_nobody_else_in(open_daemon):
    open_daemon.write(control_mode='"0666"')
    open_daemon.start()
    assert try_as(open_daemon, 0, 0) == '200'
    assert try_as(open_daemon, 12345, 12345) == '403'
    open_daemon.wait_log('refused at the control socket uid=12345 ')


# ---- requests ------------------------------------------------------------------------


@pytest.fixture(name='sock')
def one_sock(server):
    with control.connect(path_of(server)) as sock:
        yield sock


def answer(sock):
    return control.Reader(sock).answer()


def test_a_body_in_pieces(sock):
    for byte in control.request('/admin/spool', b'{ "x" : [1, 2] }'):
        sock.sendall(bytes([byte]))
    status, headers, body = answer(sock)
    assert (status, headers['content-type']) == (200, 'application/json')
    assert json.loads(body)['result']['spool']['state'] == 'ok'


def test_requests_one_behind_the_other(sock):
    sock.sendall(control.request('/api/info') * 3 + control.request('/none', b'') +
                 control.request('/admin/spool'))
    reader = control.Reader(sock)
    assert [reader.answer()[0] for _ in range(5)] == [200, 200, 200, 404, 200]


def test_a_peer_that_closes_its_direction_is_answered(sock):
    sock.sendall(control.request('/api/info'))
    sock.shutdown(socket.SHUT_WR)
    reader = control.Reader(sock)
    assert reader.answer()[0] == 200
    assert reader.answer() is None


def test_a_body_that_is_announced(sock):
    whole = control.request('/api/info', extra='Expect: 100-continue\r\n')
    sock.sendall(whole[:-2])
    reader = control.Reader(sock)
    assert reader.answer()[0] == 100
    sock.sendall(whole[-2:])
    assert reader.answer()[0] == 200


@pytest.mark.parametrize('body', [
    b'', b'x', b'[]', b'{', b'{}{}', b'{"a":1,}', b'"\xff"', b'{"\xff":1}'])
def test_a_body_that_is_no_object(sock, body):
    sock.sendall(control.request('/api/info', body))
    assert answer(sock)[0::2] == (400, b'Bad Request\n')


@pytest.mark.parametrize('method', ['GET', 'HEAD', 'PUT', 'post'])
def test_another_method(sock, method):
    sock.sendall(control.request('/api/info', b'', method))
    status, headers, _ = answer(sock) if method != 'HEAD' else (405, {'allow': 'POST'}, 0)
    assert (status, headers['allow']) == (405, 'POST')


def test_a_refused_method_with_a_body_ends_the_connection(sock):
    # Its body must not be taken for a request.
    sock.sendall(control.request('/api/info', control.request('/api/info'), 'PUT'))
    reader = control.Reader(sock)
    status, headers, _ = reader.answer()
    assert (status, headers['connection']) == (405, 'close')
    assert reader.answer() is None


def test_a_body_that_is_too_large(server, sock):
    limit = 2 * 65536 + 8192
    sock.sendall(control.request('/api/info', b'{}' + b' ' * (limit - 2)))
    assert answer(sock)[0] == 200
    head = 'POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' % (limit + 1)
    sock.sendall(head.encode())
    assert answer(sock)[0] == 413
    assert call(server, '/api/info')['result']


@pytest.mark.parametrize('expect, status', [('x', 417), ('100-continue', 413)])
def test_what_is_expected_in_vain(sock, expect, status):
    head = ('POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n'
            'Expect: %s\r\n\r\n')
    if status == 417:
        head = head.replace('99999999', '10')
    sock.sendall((head % expect).encode())
    assert answer(sock)[0] == status


def test_chunks_are_not_taken(sock):
    sock.sendall(b'POST /api/info HTTP/1.1\r\nHost: a\r\n'
                 b'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')
    assert answer(sock)[0] == 501


def test_a_body_that_does_not_come(make_server):
    server = make_server(handshake_timeout='300ms')
    with control.connect(path_of(server)) as sock:
        begin = time.monotonic()
        sock.sendall(control.request('/api/info')[:-1])
        assert sock.recv(100) == b''
        assert time.monotonic() - begin < 5


def test_it_is_not_on_other_listeners(make_server):
    server = make_server()
    with socket.create_connection(server.address) as sock:
        for path in ('/api/info', '/admin/status'):
            sock.sendall(control.request(path, b''))
            assert control.Reader(sock).answer()[0] == 404


def test_other_pages_are_not_on_it(sock):
    for path in ('/', '/health', '/metrics', '/connection/websocket'):
        sock.sendall(control.request(path, b'', 'GET'))
        assert answer(sock)[0] == 404


def test_it_survives_a_reload_and_the_death_of_its_workers(make_server):
    server = make_server(workers=2)
    server.reload(drain_time='300ms')
    assert call(server, '/admin/status')['result']['status'] == 'ok'
    for number in (0, 1):
        server.kill_worker(number)
    assert call(server, '/admin/status')['result']['status'] == 'ok'


# ---- what it tells -------------------------------------------------------------------


def get(server, path):
    with socket.create_connection(server.address) as sock:
        sock.sendall(control.request(path, b'', 'GET'))
        return answer(sock)


def test_status(make_server, client):
    server = make_server(workers=2)
    client(server)
    status = call(server, '/admin/status')['result']
    assert status['version'] and status['uptime_s'] >= 0
    assert status['connections']['clients'] == 1
    assert sum(worker['clients'] for worker in status['workers']) == 1
    assert [worker['worker'] for worker in status['workers']] == [0, 1]
    assert status['memory']['output']['limit_bytes'] == 256 << 20
    node, = call(server, '/api/info')['result']['nodes']
    assert node['name'] == socket.gethostname() and node['num_clients'] == 1


def test_health_tells_the_same(server):
    code, headers, body = get(server, '/health')
    assert (code, headers['content-type']) == (200, 'application/json')
    health = json.loads(body)
    assert (health['status'], health['reasons']) == ('ok', [])
    status = call(server, '/admin/status')['result']
    assert set(status) - set(health) == {'version', 'uptime_s', 'workers'}
    assert health['spool'] == status['spool']


def test_health_names_processes_that_hang(make_server):
    server = make_server(workers=2)
    broker, = [pid for pid in server.all_pids() if server.title(pid) == 'chatd: broker']
    os.kill(broker, 19)
    try:
        def degraded():
            code, _, body = get(server, '/health')
            assert code == 200
            return 'the broker does not move' in json.loads(body)['reasons']
        until(degraded, 12)
    finally:
        os.kill(broker, 18)
    until(lambda: json.loads(get(server, '/health')[2])['status'] == 'ok', 5)


def test_metrics_have_the_pages_of_all_processes(make_server):
    server = make_server(workers=2)
    text = get(server, '/metrics')[2].decode()
    for line in ('chatd_connections{worker="0"} ', 'chatd_connections{worker="1"} ',
                 'chatd_spool_records 0', 'chatd_store_state 0',
                 'chatd_broker_published_total 0', '# TYPE chatd_archived_total counter',
                 '# HELP chatd_dead_letters '):
        assert '\n' + line in '\n' + text, line
    names = [line.split()[2] for line in text.splitlines() if line.startswith('# TYPE')]
    assert len(names) == len(set(names))


# ---- the API -------------------------------------------------------------------------

ORDERED = {
    '': {'subscribe': 'anyone', 'publish': 'anyone'},
    'log': {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 5,
            'history_for': 'anyone'},
    'room': {'subscribe': 'anyone', 'presence': True, 'presence_for': 'anyone'},
}


@pytest.fixture(name='ordered')
def ordered_server(make_server):
    return make_server(workers=2, namespaces=ORDERED)


def result(server, method, **args):
    reply = call(server, '/api/' + method, args)
    assert set(reply) == {'result'}, reply
    return reply['result']


def error(server, method, **args):
    reply = call(server, '/api/' + method, args)
    assert set(reply) == {'error'}, reply
    assert set(reply['error']) == {'code', 'message'}
    return reply['error']['code']


@pytest.mark.parametrize('channel', ['plain', 'log:a'])
def test_publish_reaches_the_subscribers(ordered, client, channel):
    clients = [client(ordered) for _ in range(3)]
    for one in clients:
        one.subscribe(channel)
    place = result(ordered, 'publish', channel=channel, data={'x': [1, 'é']})
    assert set(place) == (set() if channel == 'plain' else {'offset', 'epoch'})
    for one in clients:
        pub = one.push()['pub']
        assert pub['data'] == {'x': [1, 'é']} and 'info' not in pub


def test_publish_keeps_the_bytes(ordered, client):
    one = client(ordered)
    one.subscribe('a')
    with control.connect(path_of(ordered)) as sock:
        sock.sendall(control.request('/api/publish',
                                     b'{"channel":"a", "data": {"a" :1.50e0}}'))
        assert answer(sock)[2] == b'{"result":{}}'
    one.push()
    assert '"data":{"a" :1.50e0}' in one.last_line


def test_publish_in_base64(ordered, client):
    one = client(ordered)
    one.subscribe('a')
    result(ordered, 'publish', channel='a', b64data='eyJhIjoyfQ==', data=1)
    assert one.push()['pub']['data'] == {'a': 2}
    assert error(ordered, 'publish', channel='a', b64data='///=') == 107
    assert error(ordered, 'publish', channel='a', b64data='e30') == 107
    assert error(ordered, 'publish', channel='a', b64data='eyJh') == 107


def test_null_is_data(ordered, client):
    one = client(ordered)
    one.subscribe('a')
    assert result(ordered, 'publish', channel='a', data=None) == {}
    assert one.push()['pub']['data'] is None


@pytest.mark.parametrize('channel', ['plain', 'log:k'])
def test_an_idempotency_key_is_used_once(ordered, client, channel):
    one = client(ordered)
    one.subscribe(channel)
    args = {'channel': channel, 'idempotency_key': 'k1'}
    first = result(ordered, 'publish', **args, data=1)
    assert result(ordered, 'publish', **args, data=2) == first
    result(ordered, 'publish', channel=channel, data=3)
    got = [one.push()['pub']['data'] for _ in range(2)]
    # Without a key a plain one takes another lane: they have no common order.
    assert (sorted(got) if channel == 'plain' else got) == [1, 3]


def test_history(ordered):
    places = [result(ordered, 'publish', channel='log:h', data=n) for n in range(7)]
    top = {'offset': 7, 'epoch': places[0]['epoch']}
    assert places[-1] == top

    def history(**args):
        got = result(ordered, 'history', channel='log:h', **args)
        assert {'offset': got['offset'], 'epoch': got['epoch']} == top
        assert all(pub['data'] == pub['offset'] - 1 for pub in got['publications'])
        return [pub['offset'] for pub in got['publications']]
    assert history() == []
    assert history(limit=-1) == [3, 4, 5, 6, 7]
    assert history(limit=2) == [3, 4]
    assert history(limit=2, reverse=True) == [7, 6]
    since = {'offset': 5, 'epoch': top['epoch']}
    assert history(limit=10, since=since) == [6, 7]
    assert history(limit=10, since=since, reverse=True) == [4, 3]


def test_presence(ordered, client):
    ids = [client(ordered).do('subscribe', channel='room:a') and client for _ in range(0)]
    assert not ids
    clients = [client(ordered) for _ in range(3)]
    for one in clients:
        one.subscribe('room:a')

    def both():
        return (result(ordered, 'presence', channel='room:a')['presence'],
                result(ordered, 'presence_stats', channel='room:a'))
    until(lambda: len(both()[0]) == 3, 5)
    present, stats = both()
    assert all(info['client'] == name for name, info in present.items())
    assert stats == {'num_clients': 3, 'num_users': 1}
    assert result(ordered, 'presence', channel='room:none') == {'presence': {}}


def test_channels(ordered, client):
    first, second = client(ordered), client(ordered)
    for channel in ('a', 'b', 'log:x'):
        first.subscribe(channel)
    second.subscribe('a')
    assert result(ordered, 'channels') == {'channels': {
        'a': {'num_clients': 2}, 'b': {'num_clients': 1}, 'log:x': {'num_clients': 1}}}
    assert set(result(ordered, 'channels', pattern='l*')['channels']) == {'log:x'}
    assert result(ordered, 'channels', pattern='zz') == {'channels': {}}


@pytest.mark.parametrize('method, args, code', [
    ('publish', {}, 107), ('publish', {'channel': 'a'}, 107),
    ('publish', {'data': 1}, 107), ('publish', {'channel': '', 'data': 1}, 107),
    ('publish', {'channel': 'no:such', 'data': 1}, 102),
    ('publish', {'channel': 'x' * 256, 'data': 1}, 107),
    ('publish', {'channel': 'a', 'data': 1, 'idempotency_key': 'k' * 129}, 107),
    ('publish', {'channel': 'a', 'data': 'x' * 65536}, 106),
    ('history', {}, 107), ('history', {'channel': 'a'}, 108),
    ('history', {'channel': 'no:such'}, 102),
    ('history', {'channel': 'log:a', 'since': {'offset': 0, 'epoch': 'x'},
                 'reverse': True}, 107),
    ('presence', {}, 107), ('presence', {'channel': 'a'}, 108),
    ('presence_stats', {'channel': 'log:a'}, 108),
])
def test_errors(ordered, method, args, code):
    assert error(ordered, method, **args) == code


@pytest.mark.parametrize('body', [
    {'channel': 1, 'data': 1}, {'channel': 'log:a', 'limit': '1'},
    {'channel': 'log:a', 'limit': 1.5}, {'channel': 'log:a', 'reverse': 1},
    {'channel': 'log:a', 'since': 1}, {'channel': 'log:a', 'since': {'offset': -1}},
    b'{"channel":"log:a","channel":"log:a"}'])
def test_members_of_a_wrong_kind(ordered, body):
    with control.connect(path_of(ordered)) as sock:
        sock.sendall(control.request('/api/history', body))
        assert answer(sock)[0] == 400


def test_who_asks_and_goes_leaves_nothing(ordered):
    broker, = [pid for pid in ordered.all_pids() if ordered.title(pid) == 'chatd: broker']
    os.kill(broker, 19)
    try:
        for _ in range(50):
            with control.connect(path_of(ordered)) as sock:
                sock.sendall(control.request('/api/history', {'channel': 'log:a'}))
    finally:
        os.kill(broker, 18)
    assert result(ordered, 'history', channel='log:a')['publications'] == []


def test_a_broker_that_is_silent_is_not_waited_for(make_server):
    server = make_server(namespaces=ORDERED, broker_timeout='300ms')
    broker, = [pid for pid in server.all_pids() if server.title(pid) == 'chatd: broker']
    os.kill(broker, 19)
    try:
        with control.connect(path_of(server)) as sock:
            # What comes behind it is taken up after it.
            sock.sendall(control.request('/api/publish', {'channel': 'log:a', 'data': 1}) +
                         control.request('/api/info'))
            reader = control.Reader(sock)
            assert json.loads(reader.answer()[2])['error']['code'] == 100
            assert reader.answer()[0] == 200
    finally:
        os.kill(broker, 18)


def test_a_peer_that_floods_while_it_waits_is_dropped(make_server):
    server = make_server(namespaces=ORDERED)
    broker, = [pid for pid in server.all_pids() if server.title(pid) == 'chatd: broker']
    os.kill(broker, 19)
    try:
        with control.connect(path_of(server)) as sock:
            sock.sendall(control.request('/api/history', {'channel': 'log:a'}))
            with pytest.raises(OSError):
                for _ in range(1000):
                    sock.sendall(b'x' * 4096)
    finally:
        os.kill(broker, 18)


def test_dead_letters_of_which_there_are_none(ordered):
    for memory in (False, True):
        assert call(ordered, '/admin/dead', {'memory': memory}) == {'result': {'dead': []}}
        for method in ('dead_retry', 'dead_drop'):
            assert call(ordered, '/admin/' + method, {'number': 0, 'memory': memory}) == {
                'result': {'done': 0}}
    assert call(ordered, '/admin/dead_drop')['error']['code'] == 107
