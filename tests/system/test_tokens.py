"""Who a client is: connection tokens, and what the user name opens."""
import time

import pytest

import tokens
import wire
from server import PATIENCE


def now():
    return int(time.time())


def test_user_and_info_come_from_the_token(make_server, client):
    server = make_server()
    token = tokens.hs256({'sub': 'u1', 'info': {'name': 'Ann', 'n': 2.50}})
    one = client(server, fields={'token': token}).subscribe('room')
    two = client(server).subscribe('room')
    one.publish('room', 1)
    info = two.push()['pub']['info']
    assert info == {'user': 'u1', 'client': one.info['client'],
                    'conn_info': {'name': 'Ann', 'n': 2.5}}
    assert 'expires' not in one.info


def test_namespaces_for_members(make_server, client):
    server = make_server()
    one = client(server, fields={'token': tokens.hs256({'sub': 'u1'})})
    one.subscribe('members:x')
    one.publish('members:x', 1)
    guest = client(server)
    assert guest.call(subscribe={'channel': 'members:x'})['error']['code'] == 103
    nameless = client(server, fields={'token': tokens.hs256({'sub': ''})})
    assert nameless.call(subscribe={'channel': 'members:x'})['error']['code'] == 103


def test_without_anonymous_a_token_is_needed(make_server, client):
    server = make_server(allow_anonymous=False)
    one = client(server, connect=False)
    one.send_command(connect={})
    assert one.closing() == (3501, 'bad request')
    client(server, fields={'token': tokens.hs256({'sub': 'u1'})}).subscribe('x')


INVALID = {
    'other secret': lambda: tokens.hs256({'sub': 'u'}, secret='other'),
    'none': lambda: tokens.signing_input({'sub': 'u'}, 'none') + '.',
    'no signature': lambda: tokens.hs256({'sub': 'u'}).rpartition('.')[0],
    'cut': lambda: tokens.hs256({'sub': 'u'})[:-3],
    'four parts': lambda: tokens.hs256({'sub': 'u'}) + '.x',
    'number as sub': lambda: tokens.hs256({'sub': 42}),
    'text as exp': lambda: tokens.hs256({'sub': 'u', 'exp': 'soon'}),
    'a channel claim': lambda: tokens.hs256({'sub': 'u', 'channel': 'c'}),
    'HS256 said, RS256 not set up': lambda: tokens.rs256({'sub': 'u'}, tokens.rsa_key()),
    'garbage': lambda: 'garbage',
}


@pytest.mark.parametrize('name', INVALID)
def test_invalid_tokens_close_with_3500(make_server, client, name):
    server = make_server()
    one = client(server, connect=False)
    one.send_command(connect={'token': INVALID[name]()})
    assert one.closing() == (3500, 'invalid token')


def test_an_expired_token_is_error_109(make_server, client):
    server = make_server(stale_timeout='1s')
    one = client(server, connect=False)
    reply = one.call(connect={'token': tokens.hs256({'sub': 'u', 'exp': now() - 10})})
    assert reply == {'id': 1, 'error': {'code': 109, 'message': 'token expired'}}
    one.send_text('{"id":5,"subscribe":{"channel":"x"}}')
    # Nothing is answered any more; the server closes on its own.
    assert one.closing() == (3502, 'stale')


def test_a_connection_ends_when_its_token_does(make_server, client):
    server = make_server(expired_close_delay='500ms')
    token = tokens.hs256({'sub': 'u', 'exp': now() + 2})
    one = client(server, fields={'token': token})
    assert one.info['expires'] is True and one.info['ttl'] in (1, 2)
    start = time.monotonic()
    assert one.closing(8) == (3005, 'connection expired')
    assert 0.8 < time.monotonic() - start < 5 * PATIENCE


@pytest.mark.parametrize('expire_at', [2**40, 2**62, 2**63 - 1])
def test_an_expiry_far_away_is_none(make_server, client, expire_at):
    server = make_server(expired_close_delay='100ms')
    token = tokens.hs256({'sub': 'u', 'exp': now() + 100, 'expire_at': expire_at})
    one = client(server, fields={'token': token})
    assert one.info['ttl'] == 365 * 86400
    time.sleep(0.5)
    assert one.call(refresh={'token': token})['refresh']['ttl'] == 365 * 86400
    one.subscribe('x')


def test_refresh(make_server, client):
    server = make_server(expired_close_delay='300ms')
    one = client(server, fields={'token': tokens.hs256({'sub': 'u', 'exp': now() + 2})})
    later = tokens.hs256({'sub': 'u', 'exp': now() + 100})
    reply = one.call(refresh={'token': later})['refresh']
    assert reply['expires'] is True and 98 <= reply['ttl'] <= 100
    past = tokens.hs256({'sub': 'u', 'exp': now() + 100, 'expire_at': now() - 1})
    assert one.call(refresh={'token': past})['error'] == {'code': 110, 'message': 'expired'}
    time.sleep(3)
    one.subscribe('still-here')
    never = tokens.hs256({'sub': 'u'})
    assert one.call(refresh={'token': never}) == {'id': 5, 'refresh': {}}
    one.send_command(refresh={'token': later})
    assert one.closing() == (3501, 'bad request')


def test_no_subscription_can_be_refreshed(make_server, client):
    server = make_server()
    one = client(server).subscribe('x')
    assert one.call(sub_refresh={'channel': 'y', 'token': 't'})['error']['code'] == 103
    assert one.call(sub_refresh={'channel': 'x'})['error']['code'] == 107
    one.send_command(sub_refresh={'channel': 'x', 'token': 't'})
    assert one.closing() == (3501, 'bad request')


@pytest.mark.parametrize('make_key, sign', [
    (tokens.rsa_key, tokens.rs256), (tokens.ec_key, tokens.es256)],
    ids=['RS256', 'ES256'])
def test_public_keys(make_server, client, tmp_path, make_key, sign):
    key = make_key()
    path = tmp_path / 'public.pem'
    path.write_bytes(tokens.public_pem(key))
    server = make_server(token_public_key=str(path), token_hmac_secret='')
    one = client(server, fields={'token': sign({'sub': 'u1'}, key)})
    one.subscribe('members:x')
    forged = client(server, connect=False)
    forged.send_command(connect={'token': sign({'sub': 'u1'}, make_key())})
    assert forged.closing() == (3500, 'invalid token')
    # The public key, taken for a shared secret, must not open anything.
    confused = client(server, connect=False)
    confused.send_command(connect={
        'token': tokens.hs256({'sub': 'u1'}, secret=path.read_text())})
    assert confused.closing() == (3500, 'invalid token')


def test_secret_and_public_key_together(make_server, client, tmp_path):
    key = tokens.ec_key()
    path = tmp_path / 'public.pem'
    path.write_bytes(tokens.public_pem(key))
    server = make_server(token_public_key=str(path))
    client(server, fields={'token': tokens.hs256({'sub': 'u1'})}).subscribe('members:x')
    client(server, fields={'token': tokens.es256({'sub': 'u1'}, key)}).subscribe('members:x')


def test_user_limited_channels(make_server, client):
    server = make_server(namespaces={
        '': {'subscribe': 'anyone', 'publish': 'subscriber', 'user_limited_channels': True}})
    one = client(server, fields={'token': tokens.hs256({'sub': 'u1'})})
    one.subscribe('dialog#u1,u2', '#u1')
    assert one.call(subscribe={'channel': 'dialog#u2,u3'})['error']['code'] == 103
    guest = client(server)
    assert guest.call(subscribe={'channel': 'dialog#'})['error']['code'] == 103


def test_secrets_are_not_in_the_log(make_server, client):
    server = make_server(log_level='debug', token_hmac_secret='very-secret-words')
    token = tokens.hs256({'sub': 'u1'}, secret='very-secret-words')
    client(server, fields={'token': token}).subscribe('x').publish('x', 'private-payload')
    bad = client(server, connect=False)
    bad.send_command(connect={'token': token + 'x'})
    with pytest.raises(wire.Closed):
        bad.next()
    server.reload(log_level='info')
    for word in ('very-secret-words', token, token.split('.')[2], 'private-payload'):
        assert word not in server.log()
