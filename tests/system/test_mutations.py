"""Input that no client sends on purpose, very much of it (mutator.c, mutate.c)."""
import json
import socket
import subprocess
import threading

import pytest

import load
import tokens
from server import PATIENCE, until

MUTATOR = str(load.BUILD / 'tests' / 'system' / 'mutator')
GAUGES = ('clients', 'subscriptions', 'channels', 'input_bytes', 'output_bytes')
# What freed memory that is not given back at once may amount to, for each worker;
# AddressSanitizer also keeps where each piece was freed.
GROWTH_KIB = 8192 if load.sanitized() else 512


def mutate(port, first, count, seed=1):
    """Sends the cases; how many had which outcome."""
    done = subprocess.run(
        [MUTATOR, '--port', str(port), '--first', str(first), '--count', str(count),
         '--seed', str(seed), '--token', tokens.hs256({'sub': 'mallory'})],
        capture_output=True, text=True, timeout=300 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def is_idle(server, base):
    """All that a connection took is given back; this question is a connection."""
    now = load.metrics(server)
    return all(sum(now[name].values()) == base.get(name, 0) for name in GAUGES) and \
        sum(now['connections'].values()) == base.get('connections', 0) + 1


def check_mutations(server, count):
    calm = {'connections': 20, 'clients': 20, 'subscriptions': 20}
    memory = []
    outcomes = dict.fromkeys(('cases', 'frames', 'commands', 'http', 'alive', 'closed',
                              'silent'), 0)
    with load.Bench(server, 'rate', '--rooms', 2, '--members', 10, '--rate', 20,
                    '--channel-prefix', 'calm', '--warmup', 0, '--settle', 0,
                    '--duration', 3600) as bench:
        until(lambda: load.total(server, 'subscriptions') == 20, 10)
        calm['channels'] = load.total(server, 'channels')
        for tenth in range(10):
            got = mutate(server.port, tenth * count // 10, count // 10)
            for name in outcomes:
                outcomes[name] += got[name]
            until(lambda: _calm(server, calm), 10,
                  lambda: 'not given back: %s' % load.metrics(server))
            memory.append({pid: load.status_kib(pid, 'RssAnon')
                           for pid in server.workers().values()})
        assert server.workers() == server.first_workers, server.log()
        report = bench.right(interrupt=True)
    assert report['cut'] == report['lost'] == 0 and report['published'] > 0, report
    until(lambda: is_idle(server, {}), 10,
          lambda: 'not given back: %s' % load.metrics(server))
    return outcomes, memory


def _calm(server, calm):
    now = load.metrics(server)
    # What the calm clients are just sent may wait for a moment.
    return all(sum(now[name].values()) == value + (name == 'connections')
               for name, value in calm.items()) and \
        sum(now['input_bytes'].values()) == 0


@pytest.mark.parametrize('count', [
    50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_mutations(make_server, count):
    server = make_server(workers=2, compression=True, env=load.FREED_IS_FREE)
    outcomes, memory = check_mutations(server, count)
    print(outcomes, memory)
    assert outcomes['cases'] == count
    # The mutator meets all that it is meant to meet.
    assert outcomes['alive'] > count // 50
    assert outcomes['closed'] > count // 50
    assert outcomes['silent'] > count // 100
    for kind in ('frames', 'commands', 'http'):
        assert outcomes[kind] > count // 20
    for pid, last in memory[-1].items():
        grown = last - memory[0][pid]
        assert grown < GROWTH_KIB, 'worker %d grew by %d KiB' % (pid, grown)


def sent(first, count, seed):
    """The bytes of some cases, each on a connection of its own."""
    found = []

    def take(listener):
        for _ in range(count):
            stream, _ = listener.accept()
            with stream:
                found.append(b''.join(iter(lambda: stream.recv(65536), b'')))

    with socket.create_server(('127.0.0.1', 0)) as listener:
        taker = threading.Thread(target=take, args=(listener,))
        taker.start()
        for number in range(first, first + count):
            mutate(listener.getsockname()[1], number, 1, seed)
        taker.join()
    return found


def test_a_case_can_be_sent_again():
    """The same seed and number are the same bytes; others are not."""
    once = sent(1000, 20, seed=1)
    assert sent(1000, 20, seed=1) == once
    assert len(set(once)) == 20
    assert not set(sent(1000, 20, seed=2)) & set(once)
