"""Processes that are killed at random times under load, and what the database has then.

The ledger of the publishers decides: what was acknowledged is there once, in order,
what was not is there once or not at all, and what was sent again under its key is
there once.
"""
import contextlib
import random
import time

import pytest

import faults
import ledger
import load
from faults import kill_all, kill_role, wait_drained

VICTIMS = ('broker', 'broker', 'archiver', 'worker 0', 'worker 1', 'all')
ROUNDS = 20

# Three kinds of publishers at once: with keys and retries, with neither, and in a
# namespace whose acknowledgement does not wait for the disk.
LOADS = {
    'keyed': ('--prefix', 'log:k', '--channels', 7, '--publishers', 25, '--rate', 300,
              '--keys', '--retry', '--subscribers', 12, '--each', 2, '--recover'),
    'plain': ('--prefix', 'log:p', '--channels', 5, '--publishers', 20, '--rate', 200,
              '--window', 4, '--subscribers', 10, '--recover'),
    'memory': ('--prefix', 'mem:k', '--channels', 5, '--publishers', 20, '--rate', 200,
               '--keys', '--retry', '--subscribers', 10, '--recover'),
}


@contextlib.contextmanager
def loads(server, tmp_path):
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(
            ledger.Ledger(server, tmp_path / name, *options, '--size', 100))
            for name, options in LOADS.items()}


def one_round(server, victim):
    if victim == 'all':
        kill_all(server)
        server.start()
        return True
    return kill_role(server, victim)


def rounds(server, dice, number):
    """Kills NUMBER times; how often whom."""
    killed = dict.fromkeys(VICTIMS, 0)
    for _ in range(number):
        time.sleep(dice.uniform(0.05, 0.7))
        victim = dice.choice(VICTIMS)
        while not one_round(server, victim):
            time.sleep(0.05)
        killed[victim] += 1
    return killed


def check(server, running, rows_check):
    """What was told against what is there."""
    wrong = []
    for name, one in running.items():
        report, book = one.end(stop=True)
        print(name, report)
        wait_drained(server)
        rows = rows_check(book)
        assert len(rows) >= len(book.acked()) > 100
        if name != 'plain':
            assert len(rows) == len(book.messages), 'one with a key is missing'
        wrong += ledger.check_subscribers(book, rows)
    assert not wrong, '\n'.join(wrong)


def run(server, tmp_path, seed, rows_check):
    server.deaths_expected = True
    dice = random.Random(seed)
    with loads(server, tmp_path) as running:
        time.sleep(1)
        print(rounds(server, dice, ROUNDS))
        check(server, running, rows_check)
    assert load.total(server, 'ring_damaged') == 0
    assert faults.gauge(server, 'dead_letters') == 0
    assert faults.gauge(server, 'journals_set_aside') == 0


@pytest.mark.parametrize('seed', [1, *(pytest.param(seed, marks=pytest.mark.long)
                                       for seed in range(2, 8))])
def test_kills_with_sqlite(make_server, tmp_path, seed):
    server = faults.start_sqlite(make_server)
    run(server, tmp_path, seed, lambda book: faults.sqlite_check(server, book))


@pytest.mark.long
@pytest.mark.parametrize('seed', range(11, 15))
def test_kills_with_postgres(make_server, tmp_path, postgres, seed):
    server = faults.start_postgres(make_server, postgres)
    run(server, tmp_path, seed, lambda book: faults.postgres_check(postgres, book))
