"""The Autobahn test suite against our connection layer.

The suite's own runner needs Python 2; `kosoku` runs the same case files.  The
server under test is tests/system/ws_echo: the frames, handshake and connections of
chatd with an echo on top, because the suite wants one.
"""
import asyncio
import os
import pathlib
import signal
import socket
import subprocess
import threading

import kosoku
import pytest
import websockets.sync.server

from server import free_port, until

ECHO = pathlib.Path(os.environ.get('CHATD_BUILDDIR', '.')) / 'tests' / 'system' / 'ws_echo'
GOOD = {'OK', 'NON-STRICT', 'INFORMATIONAL'}

# Which cases, and how many there are.  Of 12 and 13, which take minutes, a part.
QUICK = {'1.*': 16, '2.*': 11, '3.*': 7, '4.*': 10, '5.*': 20, '6.*': 145, '7.*': 37,
         '10.*': 1, '12.1.*': 18}
EACH_PARAMETER = ['13.%d.%d' % (kind, size) for kind in range(1, 8) for size in (1, 3)]
LONG = {'9.*': 54, '12.*': 90, '13.*': 126}


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


@pytest.fixture(scope='module')
def echo():
    """Port of a running ws_echo."""
    port = free_port()
    process = subprocess.Popen([str(ECHO), str(port), 'deflate'],
                               stdin=subprocess.DEVNULL)
    until(lambda: accepts(port) or process.poll() is not None, 10)
    assert process.poll() is None, 'ws_echo does not start'
    yield port
    assert process.poll() is None, 'ws_echo died'
    process.terminate()
    assert process.wait(10) in (0, -signal.SIGTERM)


def run_cases(port, cases, concurrency=4):
    """All results; a case that did not pass raises no exception here."""
    try:
        return asyncio.run(kosoku.run_fuzzingclient(
            'ws://127.0.0.1:%d/connection/websocket' % port, cases, concurrency=concurrency))
    except kosoku.FailureError as failure:
        return failure.results


def bad(results):
    """What failed, in words; at most a page of it."""
    return ['%s: %s, closing %s: %s; %s' % (
        one.case_id, one.behavior.value, one.behavior_close.value, one.result,
        one.result_close) for one in results
        if one.behavior.value not in GOOD or one.behavior_close.value not in GOOD][:20]


def fail_if(lines):
    if lines:
        pytest.fail('\n'.join(lines), pytrace=False)


@pytest.mark.parametrize('cases', QUICK)
def test_cases(echo, cases):
    results = run_cases(echo, [cases])
    assert len(results) == QUICK[cases]
    fail_if(bad(results))


def test_each_parameter_of_compression(echo):
    results = run_cases(echo, EACH_PARAMETER)
    assert len(results) == len(EACH_PARAMETER)
    fail_if(bad(results))


@pytest.mark.long
@pytest.mark.parametrize('cases', LONG)
def test_long_cases(echo, cases):
    results = run_cases(echo, [cases], concurrency=2)
    assert len(results) == LONG[cases]
    fail_if(bad(results))


def test_the_runner_sees_a_wrong_echo():
    def wrong(connection):
        for message in connection:
            connection.send(message[::-1])

    port = free_port()
    with websockets.sync.server.serve(wrong, '127.0.0.1', port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        results = run_cases(port, ['6.2.1', '6.2.2'])
        server.shutdown()
    assert [one.behavior.value for one in results] == ['FAILED', 'FAILED']
    assert len(bad(results)) == 2
