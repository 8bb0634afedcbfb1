"""Wire scenarios against the reference transcript (tests/probe), line by line."""
import difflib
import json
import os
import pathlib
import re
import sys

import pytest

import control

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'probe'))
import probe  # noqa: E402  (the folder has to be in the path first)

PLAYED = [
    'connect_anonymous', 'connect_all_fields', 'connect_token', 'connect_token_expired',
    'connect_token_invalid', 'connect_twice', 'command_before_connect',
    'malformed_frames', 'batch_frame', 'unknown_and_missing', 'subscribe_errors',
    'subscribe_limit', 'user_limited', 'publish', 'unsubscribe', 'history', 'presence',
    'recovery', 'positioning_and_optional', 'cache_recovery', 'join_leave', 'ping_pong',
    'stale', 'big_message', 'handshake_http',
]

# Scenarios that are played up to a line that begins so, and what comes there.
UP_TO = {
    'recovery': '  API history_remove',  # the server API
}

# Scenarios for what chatd does not have yet, and what that is.
LATER = {
    'connect_token_subs': 'server-side subscriptions, history, join and leave',
    'sub_token': 'subscription tokens',
    'server_side_recovery': 'server-side subscriptions',
    'rpc_send': 'a method that is set up to answer',
    'refresh': 'refresh of a token', 'sub_refresh': 'subscription tokens',
    'server_api_errors': 'the server API', 'server_api_ok': 'the server API',
    'server_subscribe_unsubscribe_disconnect': 'the server API',
    'channel_compaction': 'the server API', 'delta': 'deltas', 'tags_filter': 'tags',
    'protobuf': 'the protobuf encoding',
    'emulation_sse': 'other transports', 'emulation_http_stream': 'other transports',
    'unidirectional': 'other transports', 'map_subscription': 'map subscriptions',
}

ALL = {'subscribe': 'anyone'}
STREAM = {**ALL, 'history_size': 5, 'history_ttl': '300s'}
NAMESPACES = {
    '': {**ALL, 'user_limited_channels': True},
    'open': {**STREAM, 'publish': 'anyone', 'recover': True, 'history_for': 'anyone',
             'presence': True, 'presence_for': 'anyone', 'join_leave': True},
    'plain': {**ALL, 'publish': 'subscriber'},
    'pos': {**STREAM, 'publish': 'anyone', 'position': True},
    'rec': {**STREAM, 'publish': 'anyone', 'recover': True, 'history_size': 3},
    'cache': {**STREAM, 'recover': True, 'cache_recovery': True, 'history_size': 1},
    'opt': {**STREAM, 'recover': 'optional', 'position': 'optional', 'presence': True,
            'presence_for': 'subscriber', 'join_leave': 'optional'},
    'delta': {**STREAM, 'recover': True}, 'tags': ALL,
    'lim': {'user_limited_channels': True},
    'closed': {'history_size': 5, 'history_ttl': '300s', 'presence': True},
    # Where a subscription of another type is expected, a plain one is refused.
    'map': {}, 'mape': {},
}


@pytest.fixture
def server(make_server):
    return make_server(
        demo=False, namespaces=NAMESPACES, ping_interval='3s', pong_timeout='1s',
        max_subscriptions=20, stale_timeout='2s', expired_close_delay='1s')


def api_of(server):
    """The server API as the control socket has it."""
    path = os.path.join(server.options['run_dir'], 'control.sock')

    def post(where, body):
        with control.connect(path) as sock:
            sock.sendall(control.request(where, body))
            status, _, answer = control.Reader(sock).answer()
        return status, answer.decode()

    return post


def test_the_lists_cover_all_scenarios():
    assert sorted([*PLAYED, *LATER]) == sorted(probe.scenarios())
    assert len(probe.scenarios()) == 42
    assert list(probe.scenarios()) == list(probe.reference())


def without_our_health(lines):
    """Our /health says how chatd fares, the reference's says nothing: {}."""
    at = next((i for i, line in enumerate(lines) if 'GET /health ->' in line), None)
    if at is None:
        return lines
    body = next(i for i in range(at, len(lines)) if lines[i].lstrip().startswith('| {'))
    assert json.loads(lines[body].lstrip(' |'))['status'] == 'ok'
    length = next(i for i in range(at, body) if 'content-length: ' in lines[i])
    return [re.sub(r': \d+$', ': 2', line) if i == length else
            re.sub(r'{.*', '{}', line) if i == body else line
            for i, line in enumerate(lines)]


def up_to(name, lines):
    ends = [number for number, line in enumerate(lines)
            if name in UP_TO and line.startswith(UP_TO[name])]
    return lines[:ends[0]] if ends else lines


@pytest.mark.parametrize('name', PLAYED)
def test_scenario(server, name):
    expected = probe.reference()[name]
    played = without_our_health(
        probe.play(name, '127.0.0.1:%d' % server.port, api_of(server)))
    expected, played = up_to(name, expected), up_to(name, played)
    differences = list(difflib.unified_diff(expected, played, 'reference', 'chatd',
                                            lineterm='', n=1))
    if differences:
        pytest.fail('\n'.join(differences), pytrace=False)
    assert played
