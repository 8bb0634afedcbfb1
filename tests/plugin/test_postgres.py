"""store_postgres and what can happen to a database."""
import contextlib
import itertools
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'fixtures'))
import postgres  # noqa: E402  (the line before makes it known)

BUILD = pathlib.Path(os.environ['CHATD_BUILDDIR'])
PATIENCE = float(os.environ.get('CHATD_TEST_PATIENCE', '1'))
AGAIN, UNAVAIL, TIMEOUT, TOOBIG, BADMSG, DENIED, VERSION = -1, -2, -3, -11, -12, -13, -32
DOWN, CONNECTING, UP, DEGRADED = range(4)
RETRY = (UNAVAIL, TIMEOUT)
LONG = os.environ.get('CHATD_TEST_LONG') == 'yes'

pytestmark = pytest.mark.skipif(
    postgres.binaries() is None, reason='PostgreSQL is not installed')


class Store:
    """store_drive with store_postgres."""

    def __init__(self, server, table, failing=False, **options):
        self.table = table
        environment = {**os.environ, 'CHATD_PLUGIN_DIR': os.environ['CHATD_PLUGINS']}
        if failing:
            environment['LD_PRELOAD'] = str(BUILD / 'tests/plugin/.libs/fail_calls.so')
        values = {'dsn': server.dsn(), 'table': table, **options}
        text = ' '.join('%s = %s' % (name, value if name == 'copy' or
                                     name.endswith('timeout') else '"%s"' % value)
                        for name, value in values.items())
        self.process = subprocess.Popen(
            [BUILD / 'tests' / 'plugin' / 'store_drive', 'store_postgres', text],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding='utf-8',
            env=environment)

    def tell(self, *words):
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, 'store_drive ended: %s' % self.process.wait(5)
        return json.loads(line)

    def do(self, *words):
        self.tell(*words)
        return self.answer()

    def write(self, channel, first, n):
        return self.do('write', channel, first, n)

    def good(self, channel, first, n):
        answer = self.write(channel, first, n)
        assert answer['code'] == 0 and answer['refused'] == [], answer

    def until(self, code, *words, timeout=10):
        """Repeats a command until it has this code."""
        end = time.monotonic() + timeout * PATIENCE
        while True:
            answer = self.do(*words)
            if answer['code'] == code:
                return answer
            assert time.monotonic() < end, answer
            time.sleep(0.05)

    def close(self):
        assert self.do('state')['why'] == ''
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(20 * PATIENCE) == 0


@pytest.fixture(scope='module')
def server():
    one = postgres.Postgres(max_connections=20, restart_after_crash='on')
    yield one
    one.close()


numbers = itertools.count()


@pytest.fixture
def make(server):
    """make(**options): a started store with a table of this test."""
    made = []
    table = 'm%d' % next(numbers)

    def one(start=True, migrate=True, **options):
        store = Store(server, **{'table': table, **options})
        made.append(store)
        if migrate:
            assert store.do('migrate')['code'] == 0
            server.sql('ALTER TABLE %s ADD IF NOT EXISTS inserted bigserial'
                       % store.table.replace('Messages', '"Messages"'))
        if start:
            assert store.do('start')['code'] == 0
            store.do('time', int(20000 * PATIENCE))
        return store
    yield one
    with contextlib.suppress(Exception):
        server.thaw()
    for store in made:
        if store.process.poll() is None:
            store.close()


@pytest.fixture
def store(make):
    return make()


def offsets(server, store, channel):
    """Those in the table, in the order in which they were inserted."""
    return [int(row[0]) for row in server.sql(
        "SELECT \"offset\" FROM %s WHERE channel = '%s' ORDER BY inserted"
        % (store.table, channel))]


def span(first, n):
    return list(range(first, first + n))


# ---- how it writes ----

def test_copy_is_for_rows_that_are_new(server, store):
    store.good('a', 1, 100)
    assert store.do('stats')['copies'] == 0     # the first batch of a session
    store.good('a', 101, 1000)
    store.good('a', 1101, 1000)
    stats = store.do('stats')
    assert stats['copies'] == 2 and stats['inserts'] == 1
    assert offsets(server, store, 'a') == span(1, 2100)


def test_rows_that_are_there(server, store):
    store.good('a', 1, 100)
    store.good('a', 101, 100)
    store.good('a', 150, 100)                   # half of them
    stats = store.do('stats')
    assert stats['copies'] == 1 and stats['copies_refused'] == 1
    store.good('a', 200, 50)                    # all of them: no COPY was tried
    assert store.do('stats')['copies_refused'] == 1
    store.good('a', 250, 10)
    store.good('a', 260, 10)
    assert store.do('stats')['copies'] == 2
    assert offsets(server, store, 'a') == span(1, 269)


def test_columns(server, store):
    store.do('set', 'data', b'{"a": [1, 2 ],"\\u0000":"\\u00e4"}'.hex())
    store.do('set', 'user', b'a\\b\tc\n'.hex())
    store.do('set', 'info', '-')
    store.good('ch\\N', 7, 1)
    # The same by COPY.
    store.do('set', 'data', b'{"a": [1, 2 ],"\\u0000":"\\u00e4"}'.hex())
    store.do('set', 'user', b'a\\b\tc\n'.hex())
    store.do('set', 'info', '-')
    store.good('ch\\N', 8, 1)
    assert store.do('stats')['copies'] == 1
    rows = server.sql(
        'SELECT channel, epoch, "offset", extract(epoch FROM time)::text, user_id, client, '
        'info IS NULL, data, bytes IS NULL FROM %s ORDER BY "offset"' % store.table)
    for offset, row in zip((7, 8), rows, strict=True):
        assert row == ['ch\\N', 'abcdefgh', str(offset), '1700000000.00000%d' % offset,
                       'a\\b\tc\n', 'c%d' % offset, 't',
                       '{"a": [1, 2 ],"\\u0000":"\\u00e4"}', 't']


def test_large_rows_and_batches(server, store):
    data = b'"' + b'x' * (16 << 20) + b'"'
    for offset in (1, 2):                       # INSERT, then COPY
        store.do('set', 'data', data.hex())
        store.good('a', offset, 1)
    store.good('b', 1, 20000)
    store.good('b', 20001, 20000)
    assert store.do('stats')['copies'] == 3
    assert server.sql("SELECT count(*), max(length(data::text)) FROM %s WHERE channel = "
                      "'a'" % store.table) == [['2', str(len(data))]]
    assert offsets(server, store, 'b') == span(1, 40000)


def test_copy_that_cannot_be(server, store):
    """A column of another type: INSERT converts, COPY's binary form does not."""
    server.sql('ALTER TABLE %s ALTER data TYPE jsonb' % store.table)
    for i in range(8):
        store.good('a', 1 + 10 * i, 10)
    stats = store.do('stats')
    assert stats['copies'] == 0 and stats['copies_refused'] == 3
    assert offsets(server, store, 'a') == span(1, 80)
    assert store.do('read', 'a', 0, 3, 0, 0)['offsets'] == [1, 2, 3]


def test_without_copy(server, make):
    store = make(copy='off')
    for i in range(3):
        store.good('a', 1 + 10 * i, 10)
    assert store.do('stats')['copies'] == 0
    assert offsets(server, store, 'a') == span(1, 30)


def test_synchronous_commit_is_not_off(server, make):
    server.sql('ALTER ROLE chatd SET synchronous_commit = off')
    try:
        store = make()
        store.good('a', 1, 1)
        # What a session's parameters are, only that session can tell: by a trigger.
        server.sql("CREATE FUNCTION tell_sync() RETURNS trigger LANGUAGE plpgsql AS $$"
                   "BEGIN NEW.client = current_setting('synchronous_commit'); "
                   "RETURN NEW; END $$; CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH "
                   "ROW EXECUTE FUNCTION tell_sync()" % store.table)
        store.good('a', 2, 1)
        store.good('a', 3, 1)
        assert server.sql('SELECT DISTINCT client FROM %s WHERE "offset" > 1'
                          % store.table) == [['on']]
    finally:
        server.sql('ALTER ROLE chatd RESET synchronous_commit')


# ---- rows that are refused ----

REFUSE = '''CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW."offset" %% 100 = 7 THEN RAISE EXCEPTION 'seven is not welcome'; END IF;
    RETURN NEW;
END $$; CREATE %s TRIGGER t %s INSERT ON %s %s FOR EACH ROW EXECUTE FUNCTION refuse()'''


@pytest.mark.parametrize('deferred', (False, True))
def test_rows_that_a_trigger_refuses(server, store, deferred):
    store.good('a', 1, 1)
    store.good('a', 2, 1)
    server.sql(REFUSE % (('CONSTRAINT', 'AFTER', store.table,
                          'DEFERRABLE INITIALLY DEFERRED') if deferred
                         else ('', 'BEFORE', store.table, '')))
    answer = store.write('a', 3, 1000)
    assert answer['code'] == 0
    assert [(i, code) for i, code, _ in answer['refused']] == [
        (100 * i + 4, DENIED) for i in range(10)]
    for _, _, why in answer['refused']:
        assert why == 'seven is not welcome (SQLSTATE P0001)'
    assert offsets(server, store, 'a') == [n for n in span(1, 1002) if n % 100 != 7]


def test_rows_that_a_constraint_refuses(server, store):
    store.good('a', 1, 1)
    server.sql('ALTER TABLE %s ADD CONSTRAINT few CHECK ("offset" < 12)' % store.table)
    answer = store.write('a', 2, 20)
    assert [(i, code) for i, code, _ in answer['refused']] == [
        (i, DENIED) for i in range(10, 20)]
    assert '"few"' in answer['refused'][0][2] and '23514' in answer['refused'][0][2]
    assert offsets(server, store, 'a') == span(1, 11)
    server.sql('ALTER TABLE %s DROP CONSTRAINT few' % store.table)
    store.good('a', 12, 10)


def test_another_message_at_a_place(server, store):
    store.good('a', 1, 10)
    store.do('set', 'id', bytes(range(16)).hex())
    answer = store.write('a', 5, 10)
    assert [(i, code) for i, code, _ in answer['refused']] == [(0, DENIED)]
    assert '23505' in answer['refused'][0][2]
    assert offsets(server, store, 'a') == span(1, 14)


@pytest.mark.parametrize('field, value, state', (
    ('data', b'{"a":', '22P02'), ('info', b'nonsense', '22P02'),
    ('data', b'"\xff"', '22021'), ('user', b'\xc3', '22021'),
    ('user', b'a\0b', 'NUL'), ('data', b'"\0"', 'NUL'),
    ('data', b'[' * 100000 + b']' * 100000, '54001')))
@pytest.mark.parametrize('trusted', (False, True))
def test_rows_that_are_no_good(server, store, field, value, state, trusted):
    if trusted:
        store.good('b', 1, 1)
    store.do('set', field, value.hex())
    answer = store.write('a', 1, 64)
    assert answer['code'] == 0
    assert [i for i, _, _ in answer['refused']] == [0]
    assert answer['refused'][0][1] == (TOOBIG if state == '54001' else BADMSG)
    assert state in answer['refused'][0][2]
    assert offsets(server, store, 'a') == span(2, 63)


def test_all_rows_are_refused(server, store):
    server.sql('ALTER TABLE %s ADD CHECK (false)' % store.table)
    answer = store.write('a', 1, 200)
    assert answer['code'] == 0 and len(answer['refused']) == 200
    server.sql('ALTER TABLE %s DROP CONSTRAINT %s_check' % (store.table, store.table))
    store.good('a', 201, 200)


# ---- a database that fails ----

def test_lock(server, store):
    store.good('a', 1, 10)
    store.good('a', 11, 10)
    store.do('time', 1000)
    for _ in range(2):                          # COPY waits; then INSERT
        with server.locked(store.table):
            answer = store.write('a', 21, 10)
        assert answer['code'] == TIMEOUT and 600 < answer['ms'] < 1000 * PATIENCE, answer
    store.do('time', int(20000 * PATIENCE))
    store.good('a', 21, 10)
    # The session was kept: nobody is left waiting for the lock.
    assert store.do('stats')['connects'] == 1
    assert offsets(server, store, 'a') == span(1, 30)


def test_what_waits_fails_with_it(server, store):
    """Messages of a channel must not overtake those of the batch before."""
    store.good('a', 1, 10)
    store.do('time', 1000)
    with server.locked(store.table):
        tokens = [store.do('send', 'a', 11 + 10 * i, 10)['token'] for i in range(4)]
        first = store.do('wait', tokens[0])
    assert first['code'] == TIMEOUT
    assert all(store.do('wait', token)['code'] in RETRY for token in tokens)
    assert offsets(server, store, 'a') == span(1, 10)
    store.good('a', 11, 40)


def test_time_of_a_batch_is_its_own(server, store):
    """A short one does not make the next one short."""
    store.do('time', 300)
    store.good('a', 1, 10)
    store.do('time', int(20000 * PATIENCE))
    with server.locked(store.table):
        store.tell('write', 'a', 11, 10)
        time.sleep(0.8)
    answer = store.answer()
    assert answer['code'] == 0 and answer['ms'] > 500


def test_frozen(server, store):
    store.good('a', 1, 10)
    store.good('a', 11, 10)
    store.do('time', 1000)
    server.freeze()
    try:
        answer = store.write('a', 21, 10)
        assert answer['code'] == TIMEOUT and 900 <= answer['ms'] < 1000 + 500 * PATIENCE
        # A connection is not made either.
        answer = store.write('a', 21, 10)
        assert answer['code'] in RETRY and answer['ms'] < 1000 + 500 * PATIENCE
    finally:
        server.thaw()
    store.do('time', int(20000 * PATIENCE))
    store.until(0, 'write', 'a', 21, 10)
    assert offsets(server, store, 'a') == span(1, 30)


def test_killed_in_mid_batch(server, store):
    store.good('a', 1, 10)
    store.good('a', 11, 10)
    with server.locked(store.table):
        store.tell('write', 'a', 21, 10)
        time.sleep(0.3)
        server.kill()
    assert store.answer()['code'] == UNAVAIL
    assert store.write('a', 21, 10)['code'] == UNAVAIL
    server.start()
    store.until(0, 'write', 'a', 21, 10)
    assert store.do('stats')['connects'] == 2
    assert offsets(server, store, 'a') == span(1, 30)


def test_session_killed(server, store):
    """The server ends all sessions and recovers."""
    for i in range(3):
        store.until(0, 'write', 'a', 1 + 10 * i, 10)
        with server.locked(store.table):
            store.tell('write', 'a', 11 + 10 * i, 10)
            time.sleep(0.2)
            server.kill_session()
            assert store.answer()['code'] == UNAVAIL
    server.wait_up()
    store.until(0, 'write', 'a', 1, 40)
    assert offsets(server, store, 'a') == span(1, 40)


def test_stopped_and_started(server, store):
    store.good('a', 1, 10)
    server.stop()
    assert store.do('turn', 200)['code'] == DOWN
    answer = store.write('a', 11, 10)
    assert answer['code'] == UNAVAIL and 'refused' in answer['why']
    server.start()
    store.good('a', 11, 10)
    assert store.do('turn', 1)['code'] == UP
    assert offsets(server, store, 'a') == span(1, 20)


def test_comes_back_for_a_ping(server, store):
    server.stop('immediate')
    store.do('turn', 200)
    assert store.do('ping')['code'] == UNAVAIL
    server.start()
    assert store.do('ping')['code'] == 0
    assert store.do('turn', 1)['code'] == UP


def test_takes_no_sessions(server, store):
    store.good('a', 1, 10)
    server.refuse()
    try:
        store.until(UNAVAIL, 'write', 'a', 11, 10)
        answer = store.write('a', 11, 10)
        assert answer['code'] == UNAVAIL
        assert 'not currently accepting connections' in answer['why']
    finally:
        server.admit()
    store.good('a', 11, 10)


def test_no_more_connections(server, store):
    store.good('a', 1, 10)
    server.exhaust()
    try:
        store.until(UNAVAIL, 'write', 'a', 11, 10)
        answer = store.write('a', 11, 10)
        assert answer['code'] == UNAVAIL and 'connection' in answer['why']
    finally:
        server.release()
    store.until(0, 'write', 'a', 11, 10)


def test_another_password(server, store):
    store.good('a', 1, 10)
    server.password('changed')
    try:
        store.until(UNAVAIL, 'write', 'a', 11, 10)
        answer = store.write('a', 11, 10)
        assert answer['code'] == UNAVAIL
        assert 'password authentication failed' in answer['why']
        assert postgres.PASSWORD not in answer['why']
    finally:
        server.password(postgres.PASSWORD)
    store.until(0, 'write', 'a', 11, 10)


def test_rights_taken_away(server, store):
    store.good('a', 1, 10)
    store.good('a', 11, 10)
    server.sql('ALTER TABLE %s OWNER TO postgres' % store.table)
    server.sql('REVOKE ALL ON %s FROM chatd' % store.table)
    answer = store.write('a', 21, 10)
    assert answer['code'] == UNAVAIL and 'permission denied' in answer['why']
    server.sql('GRANT INSERT, SELECT ON %s TO chatd' % store.table)
    server.sql('GRANT USAGE ON %s_inserted_seq TO chatd' % store.table)
    store.good('a', 21, 10)
    assert offsets(server, store, 'a') == span(1, 30)


def test_read_only(server, store):
    store.good('a', 1, 10)
    server.sql('ALTER ROLE chatd SET default_transaction_read_only = on')
    try:
        server.password(postgres.PASSWORD)      # sessions begin anew
        store.until(UNAVAIL, 'write', 'a', 11, 10)
        assert '25006' in store.write('a', 11, 10)['why']
    finally:
        server.sql('ALTER ROLE chatd RESET default_transaction_read_only')
        server.password(postgres.PASSWORD)
    store.until(0, 'write', 'a', 11, 10)


def test_queue_is_bounded(server, store):
    store.good('a', 1, 10)
    with server.locked(store.table):
        answers = [store.do('send', 'a', 11 + i, 1) for i in range(9)]
        assert [a['code'] for a in answers] == [0] * 8 + [AGAIN]
    for answer in answers[:8]:
        assert store.do('wait', answer['token'])['code'] == 0
    assert offsets(server, store, 'a') == span(1, 18)


@pytest.mark.parametrize('frozen', (False, True))
def test_stop(server, store, frozen):
    """It ends in time with batches that cannot be written."""
    store.good('a', 1, 10)
    with contextlib.ExitStack() as stack:
        if frozen:
            server.freeze()
            stack.callback(server.thaw)
        else:
            stack.enter_context(server.locked(store.table))
        tokens = [store.do('send', 'a', 11 + i, 1)['token'] for i in range(3)]
        answer = store.do('stop', 500)
        assert answer['code'] == 0 and answer['ms'] <= 500 + 200 * PATIENCE
        for token in tokens:
            assert store.do('wait', token)['code'] in RETRY
    assert store.do('start')['code'] == 0
    store.until(0, 'write', 'a', 11, 3)
    assert offsets(server, store, 'a') == span(1, 13)


def test_unreachable(make):
    """An address that does not answer."""
    store = make(start=False, migrate=False, connect_timeout='500ms',
                 dsn='host=192.0.2.1 port=1 dbname=chat user=chatd')
    store.do('start')
    answer = store.write('a', 1, 1)
    assert answer['code'] == UNAVAIL and answer['ms'] < 1000 + 500 * PATIENCE
    assert store.do('stop', 500)['code'] == 0


def test_name_that_nobody_knows(make):
    store = make(start=False, migrate=False, connect_timeout='5s',
                 dsn='host=nowhere.invalid dbname=chat user=chatd')
    store.do('start')
    answer = store.write('a', 1, 1)
    assert answer['code'] == UNAVAIL and answer['ms'] < 5000 + 500 * PATIENCE
    assert 'nowhere.invalid' in answer['why'] or 'took too long' in answer['why']


@pytest.mark.parametrize('hosts', ('localhost', '/nowhere,localhost',
                                   'nowhere.invalid,localhost', '127.0.0.1,localhost'))
def test_hosts_by_name(server, make, hosts):
    """Those of a list are tried one after the other; the first here has no server."""
    ports = [postgres.free_port()] * hosts.count(',') + [server.port]
    store = make(dsn='host=%s port=%s dbname=chat user=chatd password=%s' % (
        hosts, ','.join(map(str, ports)), postgres.PASSWORD))
    store.good('a', 1, 10)
    assert store.do('read', 'a', 0, 3, 0, 0)['offsets'] == [1, 2, 3]


def test_first_host_does_not_answer(server, make):
    """Each attempt begins with another one."""
    make(start=False)
    store = make(start=False, migrate=False, connect_timeout='500ms',
                 dsn='host=192.0.2.1,127.0.0.1 port=1,%d dbname=chat user=chatd '
                     'password=%s' % (server.port, postgres.PASSWORD))
    store.do('start')
    store.until(0, 'write', 'a', 1, 10)


# ---- the schema ----

def test_no_schema(server, make):
    store = make(start=False, migrate=False)
    assert store.do('migrate', 'check')['code'] == VERSION
    assert store.do('start')['code'] == 0
    store.do('time', 5000)
    answer = store.write('a', 1, 10)
    assert answer['code'] == VERSION and store.table in answer['why']
    assert store.do('turn', 1)['code'] == DEGRADED
    assert store.do('read', 'a', 0, 10, 0, 0)['code'] == VERSION
    assert store.do('ping')['code'] == VERSION
    make(start=False).close()
    store.good('a', 1, 10)
    assert store.do('turn', 1)['code'] == UP
    assert store.do('read', 'a', 0, 10, 0, 0)['offsets'] == span(1, 10)


def test_another_version(server, make):
    store = make(start=False)
    server.sql("UPDATE chatd_schema SET version = 99 WHERE name = '%s'" % store.table)
    for command in ('migrate check', 'migrate'):
        answer = store.do(command)
        assert answer['code'] == VERSION and '99' in answer['why']
    store.do('start')
    assert store.write('a', 1, 1)['code'] == VERSION


def test_a_table_of_somebody_else(server, make):
    store = make(start=False, migrate=False)
    server.sql('CREATE TABLE %s (x int)' % store.table)
    answer = store.do('migrate')
    assert answer['code'] not in (0, VERSION) and 'already exists' in answer['why']
    assert store.do('migrate', 'check')['code'] == VERSION


def test_table_dropped_meanwhile(server, make):
    store = make()
    store.good('a', 1, 10)
    store.good('a', 11, 10)
    server.sql('DROP TABLE %s' % store.table)
    assert store.write('a', 21, 10)['code'] == UNAVAIL
    server.sql("DELETE FROM chatd_schema WHERE name = '%s'" % store.table)
    store.until(VERSION, 'write', 'a', 21, 10)
    make(start=False).close()
    store.until(0, 'write', 'a', 21, 10)


def test_schema_of_its_own(server, make):
    server.sql('CREATE SCHEMA IF NOT EXISTS own AUTHORIZATION chatd')
    store = make(table='own.Messages')
    store.good('a', 1, 10)
    assert server.sql('SELECT count(*) FROM own."Messages"') == [['10']]
    assert server.sql('SELECT name, version FROM own.chatd_schema') == [['Messages', '1']]


def test_migrations_at_the_same_time(server, make):
    server.sql('DROP TABLE IF EXISTS chatd_schema')
    stores = [make(start=False, migrate=False) for _ in range(5)]
    for store in stores:
        store.tell('migrate')
    assert [store.answer()['code'] for store in stores] == [0] * 5


@pytest.mark.parametrize('options, word', (
    ('table = "a b"', 'table'), ('table = "a.b.c"', 'table'), ('table = "1"', 'table'),
    ('table = ".a"', 'table'), ('table = "%s"' % ('x' * 64), 'table'),
    ('dsn = "host=x hunter2"', 'dsn'), ('connect_timeout = 1ms', 'connect_timeout')))
def test_bad_options(options, word):
    done = subprocess.run(
        [BUILD / 'tests' / 'plugin' / 'store_drive', 'store_postgres', options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, 'CHATD_PLUGIN_DIR': os.environ['CHATD_PLUGINS']})
    assert done.returncode == 2 and word in done.stderr
    assert 'hunter2' not in done.stderr


# ---- reading ----

def test_read_is_bounded_in_time(server, store):
    store.good('a', 1, 10)
    assert store.do('read', 'a', 0, 5, 0, 0)['offsets'] == span(1, 5)
    store.do('time', 500)
    with server.locked(store.table):
        answer = store.do('read', 'a', 0, 5, 0, 0)
    assert answer['code'] == TIMEOUT and 300 < answer['ms'] < 500 + 300 * PATIENCE
    store.do('time', int(20000 * PATIENCE))
    assert store.do('read', 'a', 0, 5, 0, 0)['offsets'] == span(1, 5)


def test_read_while_frozen(server, store):
    store.good('a', 1, 10)
    store.do('time', 500)
    server.freeze()
    try:
        answer = store.do('read', 'a', 0, 5, 0, 0)
        assert answer['code'] in RETRY and answer['ms'] < 500 + 300 * PATIENCE
    finally:
        server.thaw()
    store.do('time', int(20000 * PATIENCE))
    store.until(0, 'read', 'a', 0, 5, 0, 0)


def test_read_while_a_batch_waits(server, store):
    """A lock against writers does not hold up readers."""
    store.good('a', 1, 10)
    with server.locked(store.table, 'EXCLUSIVE'):
        token = store.do('send', 'a', 11, 10)['token']
        assert store.do('read', 'a', 0, 20, 0, 0)['offsets'] == span(1, 10)
    assert store.do('wait', token)['code'] == 0


def test_read_after_a_crash(server, store):
    store.good('a', 1, 10)
    assert store.do('read', 'a', 0, 5, 0, 0)['code'] == 0
    server.kill()
    assert store.do('read', 'a', 0, 5, 0, 0)['code'] == UNAVAIL
    server.start()
    assert store.do('read', 'a', 0, 5, 0, 0)['offsets'] == span(1, 5)


def test_read_uses_the_index(server, store):
    for i in range(4):
        store.good('a', 1 + 5000 * i, 5000)
        store.good('b%d' % i, 1, 5000)
    server.sql('ANALYZE %s' % store.table)
    server.sql('ALTER ROLE chatd SET log_min_duration_statement = 0')
    try:
        answer = store.do('read', 'a', 19999, 10, 1000000, 1)
    finally:
        server.sql('ALTER ROLE chatd RESET log_min_duration_statement')
    assert answer['offsets'] == span(19989, 10)[::-1]
    plan = server.sql('EXPLAIN SELECT * FROM (SELECT *, sum("offset") OVER (ORDER BY '
                      '"offset" DESC) FROM (SELECT * FROM %s WHERE channel = \'a\' AND '
                      'epoch = \'abcdefgh\' AND "offset" < 19999 ORDER BY "offset" DESC '
                      'LIMIT 10) q) r' % store.table)
    assert any('Index Scan Backward' in row[0] for row in plan)


# ---- each call fails ----

PROGRAM = (BUILD / 'tests' / 'plugin' / 'store_drive').read_bytes()
THREADS_CHECKED = b'__tsan_init' in PROGRAM
SANITIZED = THREADS_CHECKED or b'__asan_init' in PROGRAM


BATCHES = ((1, 20), (21, 200), (121, 200), (321, 20))


def some_life(store, channel):
    """A session from its begin to its end; the answers."""
    answers = [store.do('start')]
    if answers[0]['code']:
        answers.append(store.do('start'))
        assert answers[1]['code'] == 0
    store.do('time', 2000)
    answers += [store.write(channel, *batch) for batch in BATCHES]
    answers += [store.do('ping'), store.do('read', channel, 0, 50, 0, 0)]
    assert store.do('stop', int(1000 * PATIENCE))['code'] == 0
    return answers[-len(BATCHES) - 2:]


def test_each_call_fails(server, make):
    """What fails is tried again; what was said to be written is there, once."""
    store = make(start=False, failing=True, connect_timeout='1s')
    some_life(store, 'c0')
    store.do('fail', 1 << 60)
    assert all(answer['code'] == 0 for answer in some_life(store, 'c0b'))
    calls = store.do('fail', 0)['calls']
    assert calls > 100
    numbers = range(1, calls + 1, 1 if LONG else 9)
    failures = 0
    for n in numbers:
        channel = 'c%d' % n
        store.do('fail', n)
        answers = some_life(store, channel)
        if store.do('fail', 0)['calls'] < n:
            break                               # a life with fewer calls than others
        assert all(answer['code'] in (0, *RETRY) for answer in answers), answers
        failures += any(answer['code'] for answer in answers)
        told = set().union(*(span(*batch) for batch, answer in zip(BATCHES, answers)
                             if answer['code'] == 0))
        there = offsets(server, store, channel)
        assert there == sorted(set(there)) and told <= set(there), n
        if answers[-1]['code'] == 0:
            assert answers[-1]['offsets'] == there[:50]
    assert failures > len(numbers) / 4


if SANITIZED:                                   # its allocator is not to be had
    del test_each_call_fails
if THREADS_CHECKED:            # crashes in a thread that the C library starts itself
    del test_name_that_nobody_knows, test_hosts_by_name
