"""Wire scenarios against the reference transcript (tests/probe), line by line."""
import difflib
import json
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'probe'))
import probe  # noqa: E402  (the folder has to be in the path first)

PLAYED = [
    'connect_anonymous', 'connect_all_fields', 'connect_token', 'connect_token_expired',
    'connect_token_invalid', 'connect_twice', 'command_before_connect',
    'malformed_frames', 'batch_frame', 'unknown_and_missing', 'subscribe_errors',
    'subscribe_limit', 'user_limited', 'unsubscribe', 'ping_pong', 'stale', 'big_message',
    'handshake_http',
]

# Scenarios for what chatd does not have yet, and what that is.
LATER = {
    'connect_token_subs': 'server-side subscriptions, history, join and leave',
    'sub_token': 'subscription tokens',
    'publish': 'a channel with history, join and leave',
    'history': 'history', 'recovery': 'history', 'cache_recovery': 'history',
    'positioning_and_optional': 'history', 'server_side_recovery': 'history',
    'presence': 'presence', 'join_leave': 'join and leave',
    'rpc_send': 'a method that is set up to answer',
    'refresh': 'refresh of a token', 'sub_refresh': 'subscription tokens',
    'server_api_errors': 'the server API', 'server_api_ok': 'the server API',
    'server_subscribe_unsubscribe_disconnect': 'the server API',
    'channel_compaction': 'the server API', 'delta': 'deltas', 'tags_filter': 'tags',
    'protobuf': 'the protobuf encoding',
    'emulation_sse': 'other transports', 'emulation_http_stream': 'other transports',
    'unidirectional': 'other transports', 'map_subscription': 'map subscriptions',
}

EVERYBODY = {'subscribe': 'anyone'}
NAMESPACES = {
    '': {'subscribe': 'anyone', 'user_limited_channels': True},
    'open': {'subscribe': 'anyone', 'publish': 'anyone'},
    'plain': {'subscribe': 'anyone', 'publish': 'subscriber'},
    'pos': EVERYBODY, 'rec': EVERYBODY, 'cache': EVERYBODY, 'opt': EVERYBODY,
    'delta': EVERYBODY, 'tags': EVERYBODY, 'lim': {'user_limited_channels': True},
    'closed': {},
    # Where a subscription of another type is expected, a plain one is refused.
    'map': {}, 'mape': {},
}


@pytest.fixture
def server(make_server):
    return make_server(
        demo=False, namespaces=NAMESPACES, ping_interval='3s', pong_timeout='1s',
        max_subscriptions=20, stale_timeout='2s', expired_close_delay='1s')


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


@pytest.mark.parametrize('name', PLAYED)
def test_scenario(server, name):
    expected = probe.reference()[name]
    played = without_our_health(probe.play(name, '127.0.0.1:%d' % server.port))
    differences = list(difflib.unified_diff(expected, played, 'reference', 'chatd',
                                            lineterm='', n=1))
    if differences:
        pytest.fail('\n'.join(differences), pytrace=False)
    assert played
