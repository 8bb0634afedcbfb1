"""TLS listeners: service, time limit, a changed certificate at SIGHUP."""
import os
import signal
import ssl
import time

import pytest

import certs
import wire
from server import PATIENCE, free_port, until


@pytest.fixture
def tls_server(make_server, tmp_path):
    """A server with a plain and a TLS listener; .tls makes a client's options."""
    certificate, key = certs.write(tmp_path, 'first', 'first')
    port, tls_port = free_port(), free_port()
    server = make_server(start=False, workers=2, handshake_timeout='700ms', listeners={
        'public': {'address': '127.0.0.1:%d' % port, 'serve': ['client', 'metrics']},
        'secure': {'address': '127.0.0.1:%d' % tls_port, 'tls_certificate': certificate,
                   'tls_key': key}})
    server.port = port
    server.tls_address = ('127.0.0.1', tls_port)
    server.certificate, server.key = certificate, key
    server.tls = lambda: {'address': server.tls_address, 'tls': certs.trust(certificate)}
    return server.start()


def test_chat_between_tls_and_plain(tls_server, client):
    secure = client(tls_server, **tls_server.tls()).subscribe('room')
    plain = client(tls_server).subscribe('room')
    secure.publish('room', 'from tls')
    assert plain.push()['pub']['data'] == 'from tls'
    plain.publish('room', 'from plain')
    assert secure.publications(2) == ['from tls', 'from plain']


def test_large_messages_through_tls(tls_server, client):
    one = client(tls_server, **tls_server.tls()).subscribe('big')
    two = client(tls_server, **tls_server.tls()).subscribe('big')
    for number in range(50):
        one.publish('big', [number, 'x' * 60000])
    for number in range(50):
        assert two.push()['pub']['data'] == [number, 'x' * 60000]


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(tls_server, client, version):
    options = tls_server.tls()
    options['tls'].minimum_version = options['tls'].maximum_version = version
    client(tls_server, **options).subscribe('x')


def test_old_versions_are_refused(tls_server, client):
    options = tls_server.tls()
    options['tls'].minimum_version = ssl.TLSVersion.TLSv1
    options['tls'].maximum_version = ssl.TLSVersion.TLSv1_1
    options['tls'].set_ciphers('ALL:@SECLEVEL=0')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        client(tls_server, **options)


@pytest.mark.parametrize('sent', [b'', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc', b'\x16'])
def test_a_hello_that_does_not_come_is_cut(tls_server, sent):
    stream = wire.Stream(tls_server.tls_address)
    if sent:
        stream.send(sent)
    start = time.monotonic()
    assert stream.ended(5)
    assert 0.4 < time.monotonic() - start < 4 * PATIENCE
    stream.close()


def test_silence_after_the_tls_handshake_is_cut(tls_server):
    stream = wire.Stream(tls_server.tls_address, certs.trust(tls_server.certificate))
    assert stream.ended(5)
    stream.close()


def test_plain_http_at_a_tls_listener(tls_server, client):
    stream = wire.Stream(tls_server.tls_address)
    stream.send(wire.request_head())
    assert stream.ended(5)
    stream.close()
    client(tls_server, **tls_server.tls()).subscribe('still-served')


def test_slow_client_of_tls(tls_server, client):
    tls_server.reload(output_buffer='64k', ping_interval='60s')
    slow = client(tls_server, rcvbuf=4096, **tls_server.tls()).subscribe('open:flood')
    fast = client(tls_server, **tls_server.tls()).subscribe('open:flood')
    publisher = client(tls_server)
    for number in range(1500):
        publisher.publish('open:flood', [number, 'x' * 4000])
        assert fast.push()['pub']['data'][0] == number
    assert slow.closing(10)[0] in (3008, None)


def test_a_new_certificate_for_new_connections(tls_server, client, tmp_path):
    old = client(tls_server, **tls_server.tls()).subscribe('room')
    fresh, fresh_key = certs.write(tmp_path, 'second', 'second')
    os.replace(fresh, tls_server.certificate)
    os.replace(fresh_key, tls_server.key)
    tls_server.reload()

    new = client(tls_server, **tls_server.tls()).subscribe('room')
    assert certs.common_name(new.stream) == 'second'
    assert certs.common_name(old.stream) == 'first'
    new.publish('room', 'x')
    assert old.push()['pub']['data'] == 'x'


def test_a_bad_certificate_changes_nothing(tls_server, client):
    tls_server.allow(r'tls_certificate|certificate|configuration not changed')
    good = tls_server.certificate.read_bytes()
    tls_server.certificate.write_text('nonsense\n')
    tls_server.write_conf()
    os.kill(tls_server.pid, signal.SIGHUP)
    until(lambda: 'configuration not changed' in tls_server.log(), 5, tls_server.log)
    tls_server.certificate.write_bytes(good)
    one = client(tls_server, **tls_server.tls()).subscribe('x')
    assert certs.common_name(one.stream) == 'first'


def test_shutdown_tells_tls_clients_too(tls_server, client):
    one = client(tls_server, **tls_server.tls())
    os.kill(tls_server.pid, signal.SIGTERM)
    assert one.closing() == (3001, 'shutdown')
    one.send_frame(wire.CLOSE, wire.close_payload(3001))
    assert tls_server.process.wait(10) == 0
    tls_server.process = None
