"""Descriptors, disk and file sizes that come to an end; the chat goes on."""
import os
import re
import resource
import shlex
import signal
import time

import pytest

import certs
import load
import server as server_module
import wire
from server import PATIENCE, stat_of, until


def limit(pid, which, value):
    """Sets the soft limit; the hard one stays, so that it can be undone."""
    hard = resource.prlimit(pid, which)[1]
    resource.prlimit(pid, which, (value, hard))


def limit_files(pid, more=0, hard=False):
    """So that it can open MORE descriptors, and then none."""
    taken = {int(name) for name in os.listdir('/proc/%d/fd' % pid)}
    number = 0
    while number in taken or more > 0:
        more -= number not in taken
        number += 1
    limit(pid, resource.RLIMIT_NOFILE, number)
    if hard:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, number))


def unlimit(pid, which):
    limit(pid, which, resource.prlimit(pid, which)[1])


def opened(streams):
    """Those of the streams whose handshake was answered."""
    found = []
    for stream in streams:
        if stream.buffer or stream._readable(0):
            assert wire.read_response(stream)[0] == 101
            found.append(stream)
    return found


def exhausted(server, spare=10):
    """A worker that may open SPARE more, and 40 connections that want in."""
    worker = server.workers()[0]
    limit_files(worker, spare)
    server.allow('cannot accept connections')
    streams = [wire.Stream(server.address) for _ in range(40)]
    for stream in streams:
        stream.send(wire.request_head())
    server.wait_log('cannot accept connections')
    return worker, streams


def test_a_worker_without_descriptors(make_server, client):
    server = make_server(workers=1, handshake_timeout='60s', stale_timeout='60s')
    one, two = client(server).subscribe('open:x'), client(server).subscribe('open:x')
    asker = wire.Stream(server.address)
    load.metrics(server, asker)
    worker, waiting = exhausted(server)
    errors = load.metrics(server, asker)['accept_errors'][0]
    cpu = load.cpu_seconds(worker)
    for number in range(20):
        time.sleep(0.1)
        one.publish('open:x', number)
    assert two.publications(20) == list(range(20))
    assert load.cpu_seconds(worker) - cpu < 0.3 * PATIENCE
    assert 1 <= load.metrics(server, asker)['accept_errors'][0] - errors < 60
    # One line says so, not one for each try.
    assert len(re.findall('cannot accept', server.log())) == 1

    # As some go, as many others come in.
    rounds = 0
    while waiting:
        inside = until(lambda: opened(waiting), 5, 'nobody else comes in')
        assert len(inside) <= 10
        for stream in inside:
            waiting.remove(stream)
            stream.close()
        rounds += 1
    assert rounds >= 4
    asker.close()


@pytest.fixture
def humble(tmp_path, monkeypatch):
    """Servers of this test may not raise hard limits, not even as root."""
    if os.geteuid() == 0:
        script = tmp_path / 'humble-chatd'
        script.write_text('#!/bin/sh\nexec setpriv --bounding-set=-sys_resource %s "$@"\n'
                          % shlex.quote(os.path.abspath(server_module.BIN)))
        script.chmod(0o755)
        monkeypatch.setattr(server_module, 'BIN', str(script))


def test_a_reload_without_descriptors(humble, make_server, client):
    """A worker takes a configuration over and opens its log again all the same."""
    server = make_server(workers=1, stale_timeout='60s', handshake_timeout='60s')
    log = server.directory / 'worker.log'
    server.reload(log_target=str(log), wait=False)
    until(lambda: log.exists() and 'in force' in log.read_text())
    one = client(server).subscribe('room')
    worker = server.workers()[0]
    limit_files(worker, hard=True)
    server.reload({'': {'subscribe': 'nobody', 'publish': 'nobody'}}, wait=False)
    until(lambda: log.read_text().count('in force in all') == 2, 5,
          lambda: 'the configuration is not in force:\n' + log.read_text())
    assert one.call(subscribe={'channel': 'other'})['error']['code'] == 103
    log.rename(server.directory / 'old.log')
    os.kill(server.pid, signal.SIGUSR1)
    until(lambda: log.exists() and open_logs(worker) == [str(log)], 5,
          lambda: 'still open: %s' % open_logs(worker))
    server.reload(log_target='stderr')


def open_logs(pid):
    links = [os.readlink('/proc/%d/fd/%s' % (pid, name))
             for name in os.listdir('/proc/%d/fd' % pid) if int(name) > 2]
    return [link for link in links if link.endswith('.log')]


def test_a_master_without_descriptors(make_server, client):
    server = make_server(workers=2)
    server.allow('cannot start worker')
    server.deaths_expected = True
    limit_files(server.pid)
    dead = server.workers()[0]
    cpu = load.cpu_seconds(server.pid)
    os.kill(dead, signal.SIGKILL)
    server.wait_log('cannot start worker 0', count=3)
    assert 0 not in server.workers()
    one = client(server).subscribe('room')
    one.publish('room', 1)
    assert one.push()['pub']['data'] == 1
    assert load.cpu_seconds(server.pid) - cpu < 0.2 * PATIENCE
    unlimit(server.pid, resource.RLIMIT_NOFILE)
    server.wait_log('worker 0 is back')


@pytest.fixture
def talkative(make_server, tmp_path):
    """A server whose workers log each TLS handshake that fails, at .tls_address."""
    certificate, key = certs.write(tmp_path, 'own')
    port, tls_port = server_module.free_port(), server_module.free_port()
    server = make_server(start=False, workers=2, log_level='debug', listeners={
        'public': {'address': '127.0.0.1:%d' % port, 'serve': ['client', 'metrics']},
        'secure': {'address': '127.0.0.1:%d' % tls_port, 'tls_certificate': certificate,
                   'tls_key': key}})
    server.port = port
    server.tls_address = ('127.0.0.1', tls_port)
    return server.start()


def chat_goes_on(server, client):
    one, two = client(server).subscribe('open:x'), client(server).subscribe('open:x')
    for number in range(20):
        # Each of these is a line in the log.
        stream = wire.Stream(server.tls_address)
        stream.send(b'no TLS at all')
        assert stream.ended()
        stream.close()
        one.publish('open:x', number)
    assert two.publications(20) == list(range(20))


def test_a_full_disk(talkative, client):
    server = talkative
    server.reload(log_target='/dev/full', wait=False)
    until(lambda: all('/dev/full' in map_fds(server, pid) for pid in server.all_pids()))
    before = len(server.log())
    chat_goes_on(server, client)
    assert len(server.log()) == before
    server.reload(log_target='stderr')
    chat_goes_on(server, client)
    assert server.log()[before:].count('handshake failed') == 20


def map_fds(server, pid):
    return set(server.descriptors(pid))


def test_a_log_that_may_not_grow(talkative, client):
    """At the limit of a file's size the kernel sends SIGXFSZ, which kills."""
    server = talkative
    size = server.log_path.stat().st_size
    for pid in server.all_pids():
        limit(pid, resource.RLIMIT_FSIZE, size + 200)
    chat_goes_on(server, client)
    os.kill(server.pid, signal.SIGUSR1)
    # What fits is written, and no more.
    assert server.log_path.stat().st_size <= size + 200
    assert stat_of(server.pid)
    for pid in server.all_pids():
        unlimit(pid, resource.RLIMIT_FSIZE)
    chat_goes_on(server, client)
    assert server.log_path.stat().st_size > size + 200
