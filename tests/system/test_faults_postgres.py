"""What can befall PostgreSQL while messages are published that it is to keep.

The publishers notice nothing: as many acknowledgements a second, and as soon, as
before.  What they were told is in the database afterwards, once and in order.
"""
import contextlib
import threading
import time

import pytest

import faults
import ledger
from faults import Sampler, gauge, wait_drained
from server import PATIENCE, until

RATE = 400              # messages a second
QUIET = 1.2             # seconds before the fault
OUTAGE = 2.2            # longer than a batch and than store_timeout
SAFE_RATE = 1500        # store_rate
PUBLISHERS = ('--publishers', 40, '--rate', RATE, '--size', 120, '--channels', 8)
OPTIONS = {'store_rate': SAFE_RATE, 'store_batch': 200, 'store_timeout': '1s',
           'store_retry_max': '300ms'}


@pytest.fixture(name='server')
def start(make_server, postgres):
    server = faults.start_postgres(make_server, postgres, **OPTIONS)
    server.allow(r'archiver: store postgres')
    server.allow(r'archiver: .*PostgreSQL')
    return server


@contextlib.contextmanager
def stopped(postgres):
    postgres.stop()
    yield
    postgres.start()


@contextlib.contextmanager
def killed(postgres):
    """In the middle of a transaction: it waits for a table that is locked."""
    with postgres.locked():
        time.sleep(0.3)
        postgres.kill()
    yield
    postgres.start()


@contextlib.contextmanager
def session_killed(postgres):
    """The server ends all sessions and recovers from its log."""
    with postgres.locked():
        time.sleep(0.3)
        postgres.kill_session()
    yield
    postgres.wait_up()


@contextlib.contextmanager
def frozen(postgres):
    postgres.freeze()
    yield
    postgres.thaw()


@contextlib.contextmanager
def refusing(postgres):
    postgres.refuse()
    yield
    postgres.admit()


@contextlib.contextmanager
def out_of_connections(postgres):
    postgres.exhaust()
    yield
    postgres.release()


@contextlib.contextmanager
def other_password(postgres):
    postgres.password('another')
    yield
    postgres.password('secret')


FAULTS = {'stopped': stopped, 'killed': killed, 'session killed': session_killed,
          'frozen': frozen, 'refusing': refusing,
          'out of connections': out_of_connections, 'other password': other_password,
          'locked': lambda postgres: postgres.locked()}


def check_course(book, before, outage):
    """Rate and latency of the outage, beside those before it."""
    assert book.rate(*outage) > 0.9 * book.rate(*before), (
        book.rate(*before), book.rate(*outage))
    usual, now = book.latency(*before), book.latency(*outage)
    print('p99 before %.1f ms, during %.1f ms' % (usual * 1e3, now * 1e3))
    assert now < max(3 * usual, 0.1 * PATIENCE)


@pytest.mark.parametrize('fault', FAULTS)
def test_publishers_do_not_notice(server, postgres, tmp_path, fault):
    with ledger.Ledger(server, tmp_path / 'book', *PUBLISHERS) as running:
        start = time.monotonic()
        time.sleep(QUIET)
        before = start + 0.3, time.monotonic()
        with FAULTS[fault](postgres):
            began = time.monotonic()
            time.sleep(OUTAGE)
            waiting = gauge(server, 'spool_records')
            outage = began, time.monotonic()
        wait_drained(server, but=RATE // 4)
        drained = time.monotonic() - outage[1]
        report, book = running.end(stop=True)
    print(report, 'waiting %d, drained in %.1f s' % (waiting, drained))
    assert report['refused'] == report['unknown'] == 0
    # The spool has what was published in the outage, but for what went before it began.
    if fault != 'session killed':
        assert waiting > 0.7 * RATE * OUTAGE
    check_course(book, before, outage)
    wait_drained(server)
    rows = faults.postgres_check(postgres, book)
    assert len(rows) == report['acked'] == report['messages']
    assert gauge(server, 'dead_letters') == 0


def test_the_spool_drains_at_the_safe_rate(server, postgres, tmp_path):
    """As the database counts it; what is published meanwhile goes on as fast."""
    with ledger.Ledger(server, tmp_path / 'book', *PUBLISHERS) as running:
        time.sleep(0.5)
        postgres.freeze()
        time.sleep(5)
        postgres.thaw()
        rows = Sampler(lambda: ledger.postgres_count(postgres))
        until(lambda: rows() and gauge(server, 'spool_records') < RATE // 4, 15)
        _, book = running.end(stop=True)
    print(rows.seen)
    # It takes what it is let to, and not more than a batch beyond that.
    assert rows.seen[-1][1] > 2000
    assert SAFE_RATE * 0.6 < rows.fastest(0.5) < SAFE_RATE + OPTIONS['store_batch'] / 0.5
    wait_drained(server)
    faults.postgres_check(postgres, book)


def test_the_new_password_is_taken_by_reload(server, postgres, tmp_path):
    with ledger.Ledger(server, tmp_path / 'book', *PUBLISHERS) as running:
        time.sleep(0.3)
        postgres.password('another')
        try:
            until(lambda: gauge(server, 'spool_records') > RATE)
            server.sections['postgres']['dsn'] = postgres.dsn(password='another')
            server.reload()
            wait_drained(server, but=RATE // 4)
        finally:
            postgres.password('secret')
        _, book = running.end(stop=True)
    server.sections['postgres']['dsn'] = postgres.dsn()
    server.reload()
    wait_drained(server)
    assert len(faults.postgres_check(postgres, book)) == len(book.messages)


def test_the_archiver_is_killed_while_the_database_fails(server, postgres, tmp_path):
    """Each new one begins where the last left off, and all of it is there once."""
    with ledger.Ledger(server, tmp_path / 'book', *PUBLISHERS, '--keys',
                       '--retry') as running:
        stop = threading.Event()
        killer = threading.Thread(target=kill_archivers, args=(server, stop))
        killer.start()
        try:
            for fault in ('locked', 'frozen', 'stopped'):
                time.sleep(0.5)
                with FAULTS[fault](postgres):
                    time.sleep(0.7)
        finally:
            stop.set()
            killer.join()
        _, book = running.end(stop=True)
    wait_drained(server)
    assert len(faults.postgres_check(postgres, book)) == len(book.messages)


def kill_archivers(server, stop):
    while not stop.wait(0.3):
        faults.kill_role(server, 'archiver')
