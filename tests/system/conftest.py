"""Fixtures of the system tests: a server, and clients of it."""
import importlib
import os
import pathlib
import re
import sys

import pytest

import daemon_util
import sdk
import server as server_module
import wire

SOURCE = pathlib.Path(os.environ.get('CHATD_SRCDIR',
                                     pathlib.Path(__file__).resolve().parents[2]))
LONG = os.environ.get('CHATD_TEST_LONG') == 'yes'


def pytest_configure(config):
    config.addinivalue_line('markers', 'long: runs in make check-long only')
    config.addinivalue_line('markers', 'failpoints: runs with --enable-failpoints only')


def belongs(item, failpoints):
    """Each run and each build has its own tests; none is a skipped test of another."""
    if bool(item.get_closest_marker('long')) != LONG:
        return False
    return failpoints or not item.get_closest_marker('failpoints')


def pytest_collection_modifyitems(config, items):
    failpoints = daemon_util.has_failpoints()
    chosen = [item for item in items if belongs(item, failpoints)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture
def make_server(tmp_path):
    """make_server(workers=2, ...): a started chatd, checked at the test's end."""
    made = []

    def make(start=True, **how):
        directory = tmp_path / ('chatd%d' % len(made))
        directory.mkdir()
        one = server_module.Server(directory, **how)
        made.append(one)
        if start:
            try:
                one.start()
            except AssertionError:
                one.kill()
                raise
        return one
    yield make
    errors = []
    for one in made:
        try:
            one.stop()
        except AssertionError as error:
            errors.append(error)
        finally:
            one.kill()
            print('---- log of %s\n%s' % (one.directory, one.log()))
    for error in errors:
        raise error


@pytest.fixture(scope='module')
def shared_server(tmp_path_factory):
    """shared_server(...): a chatd for all tests of a file that kill nothing."""
    made = []

    def make(start=True, **how):
        made.append(server_module.Server(tmp_path_factory.mktemp('shared'), **how))
        return made[-1].start() if start else made[-1]
    yield make
    for one in made:
        try:
            one.stop()
        finally:
            one.kill()
            print('---- log of %s\n%s' % (one.directory, one.log()))


@pytest.fixture
def at(request):
    """at('log:x'): a channel like that, for this test alone."""
    own = re.sub(r'\W+', '-', request.node.name)
    return lambda channel: '%s-%s' % (channel, own)


@pytest.fixture(name='postgres_server', scope='session')
def make_postgres():
    """The PostgreSQL of all tests that want one."""
    sys.path.insert(0, str(SOURCE / 'tests' / 'fixtures'))
    postgres = importlib.import_module('postgres')
    if postgres.binaries() is None:
        pytest.skip('PostgreSQL is not installed')
    one = postgres.Postgres()
    yield one
    one.close()


@pytest.fixture
def postgres(postgres_server):
    """It as it was at first, without the tables of another test."""
    postgres_server.sql('DROP TABLE IF EXISTS chatd_messages, chatd_schema')
    return postgres_server


@pytest.fixture
def client():
    """client(server, ...): a connection after its handshake."""
    made = []

    def make(server, connect=True, **how):
        fields = how.pop('fields', {})
        one = wire.Client(how.pop('address', server.address), **how)
        made.append(one)
        server.clients.append(one)
        return one.connect(**fields) if connect else one
    yield make
    for one in made:
        one.close()


@pytest.fixture(scope='session')
def sdk_host():
    """sdk_host('js'): the process of that SDK."""
    made = {}

    def find(kind):
        if kind not in made or made[kind].process.poll() is not None:
            made[kind] = sdk.Host(kind)
        return made[kind]
    yield find
    for one in made.values():
        one.end()


@pytest.fixture
def peer(sdk_host):
    """peer('js', server, ...): a client of an SDK, connected."""
    made = []

    def make(kind, server, connect=True, **options):
        one = sdk.Peer(sdk_host(kind), server, **options)
        made.append(one)
        if connect:
            one.connect()
        return one
    yield make
    for one in made:
        one.end()


@pytest.fixture
def line():
    """line(server): what a peer connects to in its place, and the test can cut."""
    made = []

    def make(server):
        made.append(sdk.Line(server))
        return made[-1]
    yield make
    for one in made:
        one.close()
