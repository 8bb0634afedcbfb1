"""Death and end: killed workers, shutdown, what their clients see."""
import os
import signal
import time

import pytest

import wire
from server import PATIENCE, processes, until
from test_fanout import spread


def test_clients_of_other_workers_lose_nothing(make_server, client):
    server = make_server(workers=2)
    victim, stays = spread(server, client)
    if victim.worker != 0:
        victim, stays = stays, victim
    reader = None
    while reader is None:
        candidate = client(server)
        reader = candidate if candidate.worker == stays.worker else None
    reader.subscribe('open:load')
    sent = 0
    for number in range(600):
        stays.publish('open:load', number)
        sent += 1
        if number == 200:
            server.deaths_expected = True
            os.kill(server.workers()[victim.worker], signal.SIGKILL)
    assert reader.publications(sent) == list(range(sent))
    with pytest.raises(wire.Closed):
        victim.next()
    server.wait_log(r'worker %d is back' % victim.worker)
    again = client(server)
    again.subscribe('open:load')
    stays.publish('open:load', 'after')
    assert again.push()['pub']['data'] == 'after'


def test_messages_of_a_killed_worker_arrive_up_to_a_point(make_server, client):
    """What it acknowledged is there, in order, and nothing is there twice."""
    server = make_server(workers=2)
    one, two = spread(server, client)
    two.subscribe('open:from')
    acknowledged = -1
    for number in range(300):
        one.publish('open:from', number)
        acknowledged = number
    server.kill_worker(one.worker)
    seen = two.publications(acknowledged + 1)
    assert seen == list(range(acknowledged + 1))
    assert two.silent(0.2)


def test_a_successor_goes_on_in_the_ring(make_server, client):
    server = make_server(workers=2, ring_size='2m')
    for round_number in range(5):
        server.kill_worker(0)
        one, two = spread(server, client)
        one.subscribe('open:ring')
        two.subscribe('open:ring')
        for number in range(200):
            one.publish('open:ring', [round_number, number])
            two.publish('open:ring', [round_number, -number])
        for reader in (one, two):
            seen = [n for _, n in reader.publications(400)]
            assert [n for n in seen if n > 0] == list(range(1, 200))


def test_all_workers_killed_at_once(make_server, client):
    server = make_server(workers=2)
    one = client(server)
    server.deaths_expected = True
    for pid in server.workers().values():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(wire.Closed):
        one.next()
    # Connections wait in the backlog, which is the master's, until a worker is back.
    fresh = client(server)
    fresh.subscribe('room')
    fresh.publish('room', 1)


def test_a_connection_that_waits_is_not_lost_with_a_worker(make_server):
    server = make_server(workers=1)
    server.deaths_expected = True
    pid = server.workers()[0]
    os.kill(pid, signal.SIGSTOP)
    streams = [wire.Stream(server.address) for _ in range(20)]
    for stream in streams:
        stream.send(wire.request_head())
    os.kill(pid, signal.SIGKILL)
    for stream in streams:
        assert wire.read_response(stream, 10)[0] == 101
        stream.close()


@pytest.mark.parametrize('sig', [signal.SIGTERM, signal.SIGINT])
def test_shutdown_tells_the_clients(make_server, client, sig):
    server = make_server(workers=2, drain_time='1s')
    clients = [client(server) for _ in range(20)]
    start = time.monotonic()
    os.kill(server.pid, sig)
    for one in clients:
        assert one.closing(8) == (3001, 'shutdown')
        one.close()
    assert server.process.wait(10 * PATIENCE) == 0
    assert time.monotonic() - start < 6 * PATIENCE
    server.check_log()
    server.process = None


def test_clients_that_do_not_answer_hold_up_no_others_place(make_server, client):
    """Told one after the other over drain_time, whoever is silent."""
    server = make_server(drain_time='2s', close_timeout='5s')
    silent = [client(server) for _ in range(12)]
    others = [client(server) for _ in range(12)]
    os.kill(server.pid, signal.SIGTERM)
    start, told = time.monotonic(), []
    for one in others:
        assert one.closing(8) == (3001, 'shutdown')
        told.append(time.monotonic() - start)
        one.close()
    assert told[-1] - told[0] > 0.4, 'all at once: %s' % told
    for one in silent:
        one.close()
    assert server.process.wait(10 * PATIENCE) == 0
    server.process = None


def connections_of(server, worker):
    stream = wire.Stream(server.address)
    stream.send(b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    text = wire.read_response(stream)[2].decode()
    stream.close()
    mark = 'chatd_connections{worker="%d"} ' % worker
    return int(text.partition(mark)[2].split('\n')[0])


def test_clients_of_a_dead_worker_do_not_count(make_server, client):
    server = make_server(workers=2)
    server.deaths_expected = True
    seen = []
    # From death to death it takes longer until there is a successor.
    for number in range(5):
        server.wait_log('worker 0 is back', count=number)
        until(lambda: client(server).worker == 0)
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_log('worker 0 was killed', count=number + 1)
        count = connections_of(server, 0)
        if 0 not in server.workers():
            seen.append(count)
    assert seen and not any(seen), seen
    server.wait_log('worker 0 is back', count=5)


def test_during_shutdown_nobody_new_comes_in(make_server, client):
    server = make_server(drain_time='2s')
    staying = [client(server) for _ in range(5)]
    os.kill(server.pid, signal.SIGTERM)
    until(lambda: 'stopping' in server.log())
    time.sleep(0.1)
    with pytest.raises((OSError, wire.Refused, wire.Closed)):
        client(server)
    assert {one.closing(8)[0] for one in staying} == {3001}
    for one in staying:
        one.close()
    assert server.process.wait(10 * PATIENCE) == 0
    server.process = None


def test_shutdown_does_not_wait_for_the_silent(make_server, client):
    server = make_server(drain_time='100ms', close_timeout='500ms')
    one = client(server)
    stuck = wire.Stream(server.address)
    stuck.send(b'GET /conn')
    os.kill(server.pid, signal.SIGTERM)
    assert server.process.wait(8 * PATIENCE) == 0
    assert one.closing()[0] == 3001
    stuck.close()
    server.process = None


def test_at_the_masters_death_the_workers_leave(make_server, client):
    server = make_server(workers=2)
    one = client(server)
    members = server.all_pids()
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    until(lambda: not set(members) & set(processes()), 8, 'a worker stays')
    with pytest.raises(wire.Closed):
        while True:
            one.next()
    server.process = None


def test_restart_on_the_same_port(make_server, client):
    server = make_server()
    client(server).subscribe('x')
    server.stop()
    server.start()
    client(server).subscribe('x')


@pytest.mark.long
def test_a_minute_of_kills_under_load(make_server, client):
    server = make_server(workers=2)
    one, two = spread(server, client)
    stays = one if one.worker == 1 else two
    stays.subscribe('open:load')
    end = time.monotonic() + 60
    next_kill = time.monotonic() + 1
    expected = 0
    while time.monotonic() < end:
        stays.publish('open:load', expected)
        assert stays.push()['pub']['data'] == expected
        expected += 1
        if time.monotonic() > next_kill:
            victim = server.workers().get(0)
            if victim:
                server.deaths_expected = True
                os.kill(victim, signal.SIGKILL)
            next_kill += 1
    until(lambda: len(server.workers()) == 2, 15)
    server.first_workers = server.workers()
