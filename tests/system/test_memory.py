"""What an idle client costs: memory of all processes of chatd, each page once."""
import pytest

import certs
import load
from server import free_port, until

# Bytes for each connected client with one subscription; AddressSanitizer surrounds
# each piece with others.
PLAIN, TLS = (3072, 48 * 1024) if load.sanitized() else (1024, 16 * 1024)
# Clients that come before the measurement: what is made once is not for each.
PRIME = 200

def cost(server, connections, processes, *options, url=None):
    with load.Bench(server, 'idle', '--connections', connections + PRIME, '--prime',
                    PRIME, '--processes', processes, '--pid', server.pid, '--duration',
                    1, *options, url=url) as bench:
        report = bench.right()
    assert report['connections'] == connections
    print(report)
    until(lambda: load.total(server, 'connections') == 1, 20)
    return report['pss_per_connection']


@pytest.mark.parametrize('count, processes', [
    (5000, 1), pytest.param(20_000, 4, marks=pytest.mark.long)])
def test_idle_clients(make_server, count, processes):
    server = make_server(workers=2, max_connections=count + 2 * PRIME, ring_size='8m',
                         ping_interval='120s', env=load.FREED_IS_FREE)
    first = cost(server, count, processes)
    assert 0 < first <= PLAIN
    # What they had is used again by the next ones.
    before = server.memory()
    cost(server, count, processes)
    assert server.memory() - before < count * PLAIN // 10


def test_idle_clients_with_tls(make_server, tmp_path):
    certificate, key = certs.write(tmp_path, 'idle')
    port, tls_port = free_port(), free_port()
    server = make_server(start=False, workers=2, ping_interval='120s',
                         env=load.FREED_IS_FREE, listeners={
        'public': {'address': '127.0.0.1:%d' % port, 'serve': ['client', 'metrics']},
        'secure': {'address': '127.0.0.1:%d' % tls_port, 'tls_certificate': certificate,
                   'tls_key': key}})
    server.port = port
    server.start()
    assert 0 < cost(server, 1000, 1, '--insecure',
                    url='wss://127.0.0.1:%d/connection/websocket' % tls_port) <= TLS
