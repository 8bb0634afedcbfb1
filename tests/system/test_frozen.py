"""A worker that does not run for seconds: nobody waits for it."""
import os
import signal
import time

import load
from server import PATIENCE, until

LOAD = ('--rooms', 10, '--members', 10, '--rate', 40, '--size', 2000, '--warmup', 0,
        '--settle', 0, '--channel-prefix', 'open:load')


def on_worker(server, client, number, count):
    """COUNT clients of that worker; those that others took are closed."""
    found = []
    for _ in range(200):
        one = client(server)
        if one.worker == number:
            found.append(one)
        else:
            one.close()
        if len(found) == count:
            return found
    raise AssertionError('worker %d has only %d clients' % (number, len(found)))


def test_a_frozen_worker_delays_nobody(make_server, client):
    server = make_server(workers=2, ring_size='1m', ping_interval='60s')
    sleepers = [one.subscribe('open:f') for one in on_worker(server, client, 0, 4)]
    publisher = on_worker(server, client, 1, 1)[0].subscribe('open:f')
    with load.Bench(server, 'rate', *LOAD, '--duration', 3) as bench:
        usual = bench.right()
    # What the frozen one's clients are sent first, and will be overwritten.
    frozen = server.workers()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        for number in range(50):
            publisher.publish('open:f', number)
        assert publisher.publications(50) == list(range(50))
        # 3.2 MB through a ring of 1 MiB.  A wait for the frozen one would be one of
        # seconds, each time; a machine that others use is slow at times.
        limit = max(2 * usual['latency_us']['p99'], 20_000 * PATIENCE)
        for attempt in range(3):
            with load.Bench(server, 'rate', *LOAD, '--duration', 4) as bench:
                meanwhile = bench.right()
            assert meanwhile['connections'] == meanwhile['up_at_end'] == 100
            print(attempt, usual['latency_us'], meanwhile['latency_us'])
            if meanwhile['latency_us']['p99'] < limit:
                break
        assert meanwhile['latency_us']['p99'] < limit
        assert sum(load.metrics(server)['ring_lost'].values()) == 0
    finally:
        os.kill(frozen, signal.SIGCONT)

    until(lambda: load.metrics(server)['ring_lost'][0] > 0, 5)
    publisher.publish('open:f', 'after')
    for one in sleepers:
        seen = []
        while not seen or seen[-1] != 'after':
            seen.append(one.push()['pub']['data'])
        # Of what was published meanwhile nothing comes twice or in another order.
        assert seen[:-1] == sorted(set(seen[:-1])) and len(seen) < 51
        one.publish('open:f', 'awake')
        one.subscribe('more')
    now = load.metrics(server)
    for name in ('ring_damaged', 'ring_missed'):
        assert sum(now[name].values()) == 0, (name, now[name])
    assert now['ring_lost'][1] == 0
    assert server.workers()[0] == frozen


def test_a_worker_that_stops_again_and_again(make_server):
    """Not for long enough to lose anything, but at any place in the code."""
    server = make_server(workers=2, ring_size='8m')
    with load.Bench(server, 'rate', '--rooms', 10, '--members', 10, '--rate', 40,
                    '--warmup', 0, '--settle', 0, '--drain', 10,
                    '--duration', 4) as bench:
        until(lambda: load.total(server, 'subscriptions') == 100, 10)
        end, number = time.monotonic() + 3, 0
        workers = list(server.workers().values())
        while time.monotonic() < end:
            victim = workers[number % 2]
            number += 1
            os.kill(victim, signal.SIGSTOP)
            time.sleep(0.01)
            os.kill(victim, signal.SIGCONT)
            time.sleep(0.003)
        report = bench.right()
    assert report['unique'] == report['expected'] > 10_000
    now = load.metrics(server)
    for name in ('ring_damaged', 'ring_missed', 'ring_lost'):
        assert sum(now[name].values()) == 0, (name, now[name])
