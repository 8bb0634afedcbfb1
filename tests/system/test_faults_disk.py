"""A spool that is full, a disk that is, and files that are damaged.

Publishers of archived channels get an error that tells them to try again; everybody
else notices nothing, and when there is room all goes on by itself.
"""
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import time

import pytest

import faults
import ledger
from faults import gauge, kill_role, wait_drained
from server import until

TEMPORARY = 100         # internal server error: later, perhaps
SMALL = {**faults.NAMESPACES, 'log': {**faults.NAMESPACES['log'], 'history_size': 20}}
ARCHIVED = ('--prefix', 'log:c', '--publishers', 20, '--keys', '--retry')
# Who does not archive, at a hundred messages a second.
OTHERS = {'hot': ('--prefix', 'hot:c', '--publishers', 5, '--rate', 100,
                  '--subscribers', 5, '--recover'),
          'open': ('--prefix', 'open:c', '--publishers', 5, '--rate', 100)}


@contextlib.contextmanager
def busy(server):
    """Somebody else writes to the database for as long as this lasts."""
    base = sqlite3.connect(server.database, isolation_level=None, timeout=30)
    try:
        base.execute('BEGIN IMMEDIATE')
        yield
    finally:
        base.close()


@contextlib.contextmanager
def others(server, tmp_path):
    """Channels that are not archived are not refused, nor late."""
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(ledger.Ledger(server, tmp_path / name, *options))
                   for name, options in OTHERS.items()]
        yield
        for one in running:
            report, book = one.end(stop=True)
            print(report, book.latency(0, float('inf')))
            assert report['refused'] == report['unknown'] == 0
            assert report['acked'] == report['messages'] > 50
            assert book.latency(0, float('inf')) < 1
            faults.subscribers_check(book)


@pytest.fixture(name='disk')
def small_disk(tmp_path):
    """mount(size): a directory of that size of its own.

    To be asked for before the server, which is to end first.
    """
    place = tmp_path / 'disk'

    def mount(size):
        place.mkdir()
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%s' % size, 'none',
                               place], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip('nothing can be mounted here: ' + done.stderr)
        return place
    yield mount
    if os.path.ismount(place):
        subprocess.run(['umount', '-l', place], check=True)


def free_bytes(directory):
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def refuses(server, state):
    """Waits until archived publications are refused for that reason."""
    until(lambda: gauge(server, 'spool_state') == state, 20, lambda: str(
        faults.load.singles(server)))


def check_refusals(book):
    assert book.refusals, 'nothing was refused'
    assert {code for _, code in book.refusals} == {TEMPORARY}


def test_a_full_spool(make_server, tmp_path):
    server = faults.start_sqlite(make_server, spool_size='1m')
    server.allow('store sqlite|spool')
    with ledger.Ledger(server, tmp_path / 'book', *ARCHIVED, '--rate', 1500, '--size',
                       900) as running, others(server, tmp_path):
        with busy(server):
            refuses(server, 1)
            time.sleep(1)
            assert gauge(server, 'spool_bytes') <= gauge(server, 'spool_limit_bytes')
        until(lambda: gauge(server, 'spool_state') == 0)
        report, book = running.end(stop=True)
    print(report)
    check_refusals(book)
    wait_drained(server)
    assert len(faults.sqlite_check(server, book)) == len(book.messages)


def test_a_full_disk(disk, make_server, tmp_path):
    """The spool takes all of it, as the database takes nothing."""
    state = disk('48m')
    server = faults.start_sqlite(make_server, state_dir=str(state), directory=tmp_path,
                                 namespaces=SMALL)
    server.allow('store sqlite|spool|history')
    with ledger.Ledger(server, tmp_path / 'book', *ARCHIVED, '--rate', 3000, '--size',
                       4000) as running, others(server, tmp_path):
        with busy(server):
            refuses(server, 2)
            time.sleep(1)
            waiting = gauge(server, 'spool_records')
        until(lambda: gauge(server, 'spool_records') < waiting / 2, 20)
        report, book = running.end(stop=True)
    print(report, waiting)
    check_refusals(book)
    wait_drained(server)
    assert len(faults.sqlite_check(server, book)) == len(book.messages)


def test_a_disk_that_others_fill(disk, make_server, tmp_path):
    """So that neither spool nor database have room, until those remove their file."""
    state = disk('48m')
    server = faults.start_sqlite(make_server, state_dir=str(state), namespaces=SMALL)
    server.database = state / 'chat.db'
    server.allow('store sqlite|spool|history')
    with ledger.Ledger(server, tmp_path / 'book', *ARCHIVED, '--rate', 500, '--size',
                       1000) as running, others(server, tmp_path):
        time.sleep(0.3)
        with open(state / 'other', 'wb') as other:
            with contextlib.suppress(OSError):
                while True:
                    other.write(b'x' * 65536)
                    other.flush()
        refuses(server, 2)
        time.sleep(1)
        os.unlink(state / 'other')
        until(lambda: gauge(server, 'spool_state') == 0, 10)
        report, book = running.end(stop=True)
    print(report)
    check_refusals(book)
    wait_drained(server)
    assert gauge(server, 'dead_letters') == 0
    assert len(faults.sqlite_check(server, book)) == len(book.messages)


def test_the_map_grows(make_server, tmp_path):
    """Beyond what is mapped at first, while messages come and are read."""
    server = faults.start_sqlite(make_server)
    server.allow('store sqlite')
    with busy(server):
        with ledger.Ledger(server, tmp_path / 'book', '--prefix', 'log:c',
                           '--publishers', 20, '--size', 12000, '--count', 170,
                           '--window', 2, '--subscribers', 2, '--recover') as running:
            report, book = running.end()
        assert (server.directory / 'state' / 'spool' / 'data.mdb').stat().st_size \
            > 70 << 20
    print(report, book.longest_silence(book.sent[0], book.sent[-1]))
    assert report['acked'] == report['messages'] == 3400
    wait_drained(server)
    faults.subscribers_check(book, faults.sqlite_check(server, book))


# ---- rows that the database refuses --------------------------------------------------


REFUSED = 10            # one message in so many


def publish_some(server, tmp_path):
    with ledger.Ledger(server, tmp_path / 'book', '--prefix', 'log:c', '--publishers', 10,
                       '--count', 50, '--rate', 1000) as running:
        report, book = running.end()
    assert report['acked'] == 500
    return book, [(p, n) for p, n in book.messages if n % REFUSED == 7]


def check_dead_letters(server, tmp_path, check, allow):
    """One in ten is refused, the others are there; when they may, these are too."""
    book, dead = publish_some(server, tmp_path)
    wait_drained(server)
    assert gauge(server, 'dead_letters') == len(dead) == 50
    check(book, dead=dead)
    allow()
    done = subprocess.run([faults.CHATCTL, '-c', str(server.conf), 'spool', 'retry'],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: gauge(server, 'dead_letters') == 0)
    wait_drained(server)
    assert len(check(book)) == 500


def test_rows_that_sqlite_refuses(make_server, tmp_path):
    server = faults.start_sqlite(make_server)
    server.allow('refuses')
    with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as base:
        base.execute('CREATE TRIGGER sevens BEFORE INSERT ON chatd_messages '
                     "WHEN json_extract(CAST(NEW.data AS TEXT), '$.n') %% %d = 7 BEGIN "
                     "SELECT RAISE(ABORT, 'no sevens'); END" % REFUSED)
        base.commit()

        def allow():
            base.execute('DROP TRIGGER sevens')
            base.commit()
        check_dead_letters(server, tmp_path, lambda book, **how: faults.sqlite_check(
            server, book, **how), allow)


def test_rows_that_postgres_refuses(make_server, tmp_path, postgres):
    server = faults.start_postgres(make_server, postgres)
    server.allow('refuses')
    postgres.sql('ALTER TABLE chatd_messages ADD CONSTRAINT no_sevens '
                 "CHECK ((data->>'n')::int %% %d <> 7)" % REFUSED)
    check_dead_letters(
        server, tmp_path,
        lambda book, **how: faults.postgres_check(postgres, book, **how),
        lambda: postgres.sql('ALTER TABLE chatd_messages DROP CONSTRAINT no_sevens'))


# ---- damage --------------------------------------------------------------------------


def first_pages(path):
    with open(path, 'r+b') as file:
        file.write(random.Random(1).randbytes(8192))


def cut_off(path):
    os.truncate(path, 65536)


def all_but_two_pages(path):
    """Any fewer may be those that are free, which nobody minds."""
    dice = random.Random(2)
    with open(path, 'r+b') as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(dice.randbytes(4096))


def nothing_left(path):
    os.truncate(path, 0)


@pytest.mark.parametrize('journal', ['spool', 'history'])
@pytest.mark.parametrize('damage', [first_pages, cut_off, all_but_two_pages, nothing_left])
def test_a_bad_journal_is_set_aside(make_server, tmp_path, damage, journal):
    """With an alarm, and all goes on in a new one."""
    name = 'log' if journal == 'spool' else 'mem'
    server = faults.start_sqlite(make_server)
    options = ('--publishers', 20, '--rate', 1000, '--duration', 0.5, '--keys')
    with ledger.Ledger(server, tmp_path / 'a', '--prefix', name + ':a',
                       *options) as running:
        _, before = running.end()
    wait_drained(server)
    server.stop()
    data = server.directory / 'state' / journal / 'data.mdb'
    size = data.stat().st_size
    damage(data)
    damaged = shutil.copy(data, tmp_path / 'damaged')
    server.start()
    server.allow('set aside|spool|history')
    assert gauge(server, 'journals_set_aside') == 1
    (aside,) = (server.directory / 'state').glob(journal + '.aside-*')
    assert (aside / 'data.mdb').read_bytes() == damaged.read_bytes(), size
    with ledger.Ledger(server, tmp_path / 'b', '--prefix', name + ':b',
                       *options) as running:
        _, after = running.end()
    wait_drained(server)
    faults.sqlite_check(server, before)
    faults.sqlite_check(server, after)


@pytest.mark.parametrize('killed', [False, True])
def test_a_journal_goes_bad_while_it_is_in_use(make_server, tmp_path, killed):
    """The broker dies of it or notices, and a successor sets it aside."""
    server = faults.start_sqlite(make_server)
    server.deaths_expected = True
    server.allow('set aside|spool|damaged')
    with ledger.Ledger(server, tmp_path / 'a', '--prefix', 'log:a', '--publishers', 20,
                       '--rate', 500, '--keys', '--retry', '--patience', 1) as running:
        time.sleep(0.5)
        all_but_two_pages(server.directory / 'state' / 'spool' / 'data.mdb')
        if killed:
            kill_role(server, 'broker')
        until(lambda: gauge(server, 'journals_set_aside') == 1, 10)
        running.end(stop=True)
    with ledger.Ledger(server, tmp_path / 'b', '--prefix', 'log:b', '--publishers', 20,
                       '--rate', 500, '--keys', '--retry', '--duration',
                       0.5) as running:
        report, book = running.end()
    assert report['acked'] > 100
    wait_drained(server)
    faults.sqlite_check(server, book)
