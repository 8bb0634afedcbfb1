"""Workers that are killed, again and again, under load."""
import collections
import os
import pathlib
import re
import signal
import time

import pytest

import load
from server import PATIENCE, until

# Steps of the ring in which a worker dies (src/ring/ring_fail.h), and at
# which pass: late enough that it has come up and serves.
STEPS = {
    'ring.put.before_intent': 200, 'ring.put.after_intent': 200,
    'ring.put.after_head': 200, 'ring.put.mid_copy': 200, 'ring.put.before_seq': 200,
    'ring.put.before_tail': 200, 'ring.put.after_tail': 200, 'ring.put.after_pad': 3,
    'ring.wake.before': 100, 'ring.wake.after_take': 50, 'ring.wake.after_write': 50,
    'ring.arm.after_flag': 300, 'ring.arm.before_sleep': 300,
    'ring.read.before_head': 1000, 'ring.read.after_head': 300,
    'ring.read.mid_copy': 300, 'ring.read.before_check': 300,
    'ring.read.after_check': 300, 'ring.interest.add': 14, 'ring.interest.del': 3,
}

# What `make check` does of them; each takes some seconds.
OFTEN = ('ring.put.mid_copy', 'ring.put.after_pad', 'ring.wake.after_take',
         'ring.arm.before_sleep', 'ring.read.mid_copy')


def shared_memory(server):
    """{name and inode: bytes} of the shared memory that the processes have mapped."""
    found = {}
    for pid in server.all_pids():
        text = pathlib.Path('/proc/%d/maps' % pid).read_text(errors='replace')
        for start, end, inode, name in re.findall(
                r'^(\w+)-(\w+) \S+ \w+ \S+ (\d+) +(/memfd:\S+|/dev/shm\S+)',
                text, re.M):
            key = pid, name, inode
            found[key] = found.get(key, 0) + int(end, 16) - int(start, 16)
    # One segment is the same in all of them.
    return {key[1:]: size for key, size in found.items()}


def holdings(server):
    """What could leak: descriptors by kind of master and workers, shared memory."""
    kinds = {'master': server.descriptors(server.pid), 'memory': shared_memory(server)}
    for number, pid in server.workers().items():
        kinds[number] = server.descriptors(pid)
    return kinds


def check_ring(server):
    now = load.metrics(server)
    for name in ('ring_damaged', 'ring_missed', 'ring_lost'):
        assert sum(now[name].values()) == 0, (name, now[name])


def check_report(report, downtime=2.0):
    """The others lost nothing, and the clients of the dead are back in time."""
    assert report['ok'], report
    for name in ('lost', 'duplicates', 'reordered', 'misrouted', 'damaged', 'refused',
                 'unanswered', 'protocol_errors', 'failed'):
        assert report[name] == 0, (name, report)
    assert report['away_at_end'] == 0, report
    assert report['cut'] == report['back'] > 0, report
    assert report['back_beyond_backoff_us']['max'] < downtime * 1e6 * PATIENCE, report
    assert report['unique'] > 1000


def kill_each_second(server, seconds):
    """Kills a worker each second, in turn; how many."""
    killed = 0
    end = time.monotonic() + seconds
    while time.monotonic() + 1 < end:
        time.sleep(1)
        victim = server.workers().get(killed % len(server.first_workers))
        # One that died a second ago and waits for its start is spared.
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
            killed += 1
    return killed


def at_rest(server):
    """What they hold once the connections that asked for the counters are closed."""
    seen = [holdings(server)]

    def same():
        time.sleep(0.3)
        seen.append(holdings(server))
        return seen[-1] == seen[-2]

    until(same, 10)
    return seen[-1]


def settled(server, number):
    """All workers are up and none has a client."""
    return len(server.workers()) == number and \
        load.total(server, 'connections') == 1


@pytest.mark.parametrize('seconds', [10, pytest.param(60, marks=pytest.mark.long)])
def test_a_worker_dies_each_second(make_server, seconds):
    server = make_server(workers=3, ring_size='2m')
    server.deaths_expected = True
    # Whatever is made at first use is there before it is counted.
    with load.Bench(server, 'rate', '--members', 30, '--publishers', 30, '--rate', 10,
                    '--warmup', 0, '--settle', 0, '--duration', 1) as bench:
        bench.right()
    until(lambda: settled(server, 3), 10)
    before, anonymous = at_rest(server), load.status_kib(server.pid, 'RssAnon')
    assert len(before['memory']) == 1, before
    with load.Bench(server, 'rate', '--rooms', 20, '--members', 10, '--rate', 20,
                    '--reconnect', '--warmup', 0, '--settle', 0, '--drain', 3,
                    '--duration', seconds) as bench:
        until(lambda: load.total(server, 'subscriptions') == 200, 10)
        killed = kill_each_second(server, seconds - 1)
        _, report = bench.end()
    print(report)
    assert killed >= seconds * 0.7
    check_report(report)
    until(lambda: settled(server, 3), 10)
    check_ring(server)
    until(lambda: holdings(server) == before, 10,
          lambda: 'before %s\nafter %s' % (before, holdings(server)))
    assert load.status_kib(server.pid, 'RssAnon') - anonymous < 256
    assert len(re.findall(r'worker \d is back', server.log())) == killed


@pytest.mark.failpoints
@pytest.mark.parametrize('step', [
    pytest.param(step, marks=() if step in OFTEN else pytest.mark.long)
    for step in STEPS])
def test_workers_die_in_a_step_of_the_ring(make_server, step):
    """Each worker dies at that step, is followed by one that does so too, ..."""
    server = make_server(workers=2, ring_size='64k', max_message_size='4k',
                         max_frame_size='4k',
                         env={'CHATD_FAIL': '%s=kill@%d' % (step, STEPS[step])})
    server.deaths_expected = True
    with load.Bench(server, 'rate', '--rooms', 10, '--members', 4, '--rate', 50,
                    '--size', 1000, '--churn', 100, '--reconnect', '--warmup', 0,
                    '--settle', 0, '--drain', 4, '--duration', 2) as bench:
        _, report = bench.end()
    deaths = collections.Counter(re.findall(r'worker (\d) was killed', server.log()))
    print(deaths, report)
    assert deaths, 'nobody died:\n' + server.log()
    for name in ('lost', 'duplicates', 'reordered', 'misrouted', 'damaged',
                 'protocol_errors'):
        assert report[name] == 0, (name, report)
    until(lambda: settled(server, 2), 15)
    now = load.metrics(server)
    assert sum(now['ring_damaged'].values()) == 0
    server.first_workers = server.workers()
