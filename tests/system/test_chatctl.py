"""chatctl, as an operator runs it, against a daemon."""

import json
import os
import pathlib
import pwd
import re
import shlex
import socket
import sqlite3
import subprocess

import pytest

from daemon_util import Daemon, until
from server import PLUGINS, conf_value

CHATCTL = os.path.join(os.environ['CHATD_BUILDDIR'], 'src', 'chatctl')
SOURCES = pathlib.Path(os.environ['CHATD_SRCDIR'])

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

NAMESPACES = {
    '': {'subscribe': 'anyone', 'publish': 'anyone'},
    'chat': {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 100,
             'presence': True, 'archive': True},
    'mem': {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 10,
            'archive': True, 'ack': 'memory'},
}


def chatctl(server, *args, code=0):
    """What it prints; on standard error if CODE says that it fails."""
    done = subprocess.run([CHATCTL, '-c', str(server.conf), *PLUGINS, *args],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    if code == 0:
        assert done.stderr == ''
        return done.stdout
    return done.stderr


def as_json(server, *args):
    answer = json.loads(chatctl(server, '--json', *args))
    assert set(answer) == {'result'}
    return answer['result']


def rows(text):
    """The words of each line below the heads."""
    return [line.split() for line in text.splitlines()[1:]]


@pytest.fixture(name='server')
def archiving_server(make_server):
    server = make_server(start=False, workers=2, namespaces=NAMESPACES, store='sqlite',
                         store_batch_time='10ms')
    server.write_conf()
    chatctl(server, 'store', 'init')
    return server.start()


def database(server):
    return sqlite3.connect(os.path.join(server.options['state_dir'], 'chat.db'), timeout=10)


# ---- the command line ----------------------------------------------------------------


def words(*args):
    return subprocess.run([CHATCTL, *args], capture_output=True, text=True, timeout=20,
                          check=False)


@pytest.mark.parametrize('args', [
    [], ['nothing'], ['spool', 'nothing'], ['store'], ['status', 'x'], ['history'],
    ['history', 'a', 'b'], ['publish', 'a'], ['-x', 'status'], ['--limit', '1', 'status'],
    ['history', 'a', '--stats'], ['presence', 'a', '--limit', '1'], ['status', '--socket'],
    ['history', 'a', '--limit', 'x'], ['history', 'a', '--limit', '-2'],
    ['history', 'a', '--since', 'x'], ['history', 'a', '--since', ':e'],
    ['publish', 'a', 'no json'], ['publish', 'a', '{'], ['publish', 'a', '1 2'],
    ['spool', 'drop', 'x'], ['spool', 'drop', 'm'], ['spool', 'retry', '-1'],
    ['channels', b'\xff'], ['publish', b'\xff', '1'], ['publish', 'a', b'"\xff"']])
def test_bad_usage(args):
    done = words(*args)
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr


def test_help_has_all_commands():
    done = words('--help')
    assert (done.returncode, done.stderr) == (0, '')
    page = (SOURCES / 'doc' / 'chatctl.1').read_text()
    for name in re.findall(r'^\.It Cm ([a-z ]+?)(?: Ar| Op|$)', page, re.M):
        assert re.search(r'^  %s\b' % name, done.stdout, re.M), name
    for name in re.findall(r'^\.It .*?Fl -([a-z-]+)', page, re.M):
        assert '--' + name in done.stdout, name
    assert words('-h').stdout == done.stdout


def test_version():
    assert re.fullmatch(r'chatctl \d+\.\d+\.\d+\n', words('-V').stdout)


# ---- reaching the daemon -------------------------------------------------------------


def test_no_daemon(make_server):
    server = make_server(start=False)
    server.write_conf()
    said = chatctl(server, 'status', code=3)
    assert said.endswith('run/control.sock: No such file or directory\n')


def test_no_configuration():
    done = words('-c', '/nothing/chat.conf', 'status')
    assert done.returncode == 3
    assert '/nothing/chat.conf' in done.stderr


def test_a_socket_by_its_path(server):
    path = os.path.join(server.options['run_dir'], 'control.sock')
    done = words('--socket', path, '-c', '/nothing', 'status')
    assert (done.returncode, done.stderr) == (0, '')


def answering(tmp_path, text):
    """chatctl status, answered by somebody else."""
    path = str(tmp_path / 's')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with subprocess.Popen([CHATCTL, '--socket', path, 'status'], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with listener.accept()[0] as sock:
                while not sock.recv(65536).endswith(b'{}'):
                    pass
                sock.sendall(text)
            out, err = process.communicate(timeout=20)
    assert out == ''
    return process.returncode, err


@pytest.mark.parametrize('text, code', [
    (b'', 3), (b'HTTP/1.1 200 OK\r\n', 3), (b'SSH-2.0\r\n\r\n', 3),
    (b'HTTP/1.1 500 No\r\n\r\n', 3), (b'HTTP/1.1 403 No\r\n\r\n', 1),
    (b'HTTP/1.1 200 OK\r\n\r\n', 3), (b'HTTP/1.1 200 OK\r\n\r\n{"result', 3),
    (b'HTTP/1.1 200 OK\r\n\r\n[]', 3), (b'HTTP/1.1 200 OK\r\n\r\n{"error":7}', 1)])
def test_answers_that_are_none(tmp_path, text, code):
    got, said = answering(tmp_path, text)
    assert got == code
    assert said.startswith('chatctl: ')


@needs_root
def test_a_user_who_may_not(tmp_path):
    for directory in [tmp_path, *list(tmp_path.parents)[:2]]:
        directory.chmod(0o755)
    daemon = Daemon(tmp_path)
    daemon.write(control_mode='"0666"')
    try:
        daemon.start()
        done = subprocess.run(
            [CHATCTL, '--socket', daemon.run_dir / 'control.sock', 'status'], text=True,
            user=pwd.getpwnam('nobody').pw_uid, capture_output=True, check=False)
        assert done.returncode == 1
        assert 'does not take orders from this user' in done.stderr
    finally:
        daemon.clean()


# ---- what it shows -------------------------------------------------------------------


def test_status(server, client):
    client(server)
    until(lambda: 'database        up' in chatctl(server, 'status'), 5)
    text = chatctl(server, 'status')
    assert re.match(r'status +ok\nversion +\d+\.\d+\.\d+, up \d+', text)
    assert ' 1 clients, 0 subscriptions' in text
    assert rows(text[text.index('WORKER'):])[1][0] == '1'
    status = as_json(server, 'status')
    assert status['archive']['store'] == 'up' and len(status['workers']) == 2


def test_channels(server, client):
    one, two = client(server), client(server)
    one.subscribe('b', 'a')
    two.subscribe('a')
    assert chatctl(server, 'channels') == 'CHANNEL  CLIENTS\na              2\nb              1\n'
    assert rows(chatctl(server, 'channels', '[b-z]*')) == [['b', '1']]
    assert as_json(server, 'channels', 'a')['channels'] == {'a': {'num_clients': 2}}


def test_publish_and_history(server, client):
    one = client(server)
    one.call(subscribe={'channel': 'chat:a'})
    for n in range(5):
        assert f': offset {n + 1}, epoch ' in chatctl(server, 'publish', 'chat:a', str(n))
    assert [one.push()['pub']['data'] for _ in range(5)] == list(range(5))
    assert chatctl(server, 'publish', 'plain', '"x"') == 'published\n'
    text = chatctl(server, 'history', 'chat:a')
    assert rows(text)[:-1] == [[str(n + 1), str(n)] for n in range(5)]
    assert re.search(r'\nnewest offset 5, epoch [a-z]{8}\n$', text)
    short = rows(chatctl(server, 'history', 'chat:a', '--limit', '2', '--reverse'))
    assert short[:-1] == [['5', '4'], ['4', '3']]
    epoch = as_json(server, 'history', 'chat:a')['epoch']
    late = as_json(server, 'history', 'chat:a', '--since', '3:' + epoch)['publications']
    assert late == [{'data': n - 1, 'offset': n} for n in (4, 5)]
    before = as_json(server, 'history', 'chat:a', '--since', '3', '--reverse')
    assert [pub['offset'] for pub in before['publications']] == [2, 1]


def test_a_key_is_used_once(server):
    first = chatctl(server, 'publish', 'chat:k', '1', '--key', 'k')
    assert chatctl(server, 'publish', 'chat:k', '2', '--key', 'k') == first
    assert len(as_json(server, 'history', 'chat:k')['publications']) == 1


def test_presence(server, client):
    one = client(server)
    one.call(subscribe={'channel': 'chat:p'})
    until(lambda: rows(chatctl(server, 'presence', 'chat:p')) == [[one.info['client']]])
    assert chatctl(server, 'presence', 'chat:p', '--stats').split() == [
        'clients', '1', 'users', '1']
    assert one.info['client'] in as_json(server, 'presence', 'chat:p')['presence']


def test_errors_of_the_daemon(server):
    assert chatctl(server, 'history', 'no:such', code=1) == (
        'chatctl: error 102: unknown channel\n')
    done = words('-c', str(server.conf), '--json', 'history', 'plain')
    assert done.returncode == 1
    assert json.loads(done.stdout) == {'error': {'code': 108, 'message': 'not available'}}


def test_nothing_steers_the_terminal(server):
    for text in ('\x9b31m', '\x7f', 'a\tb', 'é €'):
        chatctl(server, 'publish', 'chat:t', json.dumps(text, ensure_ascii=False))
    out = chatctl(server, 'history', 'chat:t')
    assert not re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f]', out)
    assert 'é €' in out


# ---- spool and database --------------------------------------------------------------


def test_spool(server):
    chatctl(server, 'publish', 'chat:s', '1')
    until(lambda: as_json(server, 'spool')['archive']['archived'] == 1)
    until(lambda: as_json(server, 'spool')['spool']['records'] == 0)
    text = chatctl(server, 'spool')
    assert re.match(r'spool +takes messages\n  depth +0 messages, 0 B of 8\.0 GiB\n'
                    r'  dead letters +0\ndatabase ', text)


def refuse(server):
    """From now on the database refuses what says "bad"."""
    with database(server) as db:
        db.execute("create trigger no before insert on chatd_messages "
                   "when new.data like '%bad%' begin select raise(abort, 'no bad'); end")


def test_dead_letters(server):
    refuse(server)
    for channel in ('chat:d', 'mem:d'):
        for data in ('"good"', '"bad"', '"bad as well"'):
            chatctl(server, 'publish', channel, data)
    until(lambda: len(as_json(server, 'spool', 'dead')['dead']) == 4, 10)
    table = rows(chatctl(server, 'spool', 'dead'))
    assert [row[2:4] for row in table] == [
        ['chat:d', '2'], ['chat:d', '3'], ['mem:d', '2'], ['mem:d', '3']]
    assert all('no bad' in ' '.join(row) for row in table)
    assert [row[0][0] == 'm' for row in table] == [False, False, True, True]
    # One is dropped of each, then the others may go.
    assert chatctl(server, 'spool', 'drop', table[0][0]) == '1 forgotten\n'
    assert chatctl(server, 'spool', 'drop', table[2][0]) == '1 forgotten\n'
    assert 'there is no dead letter' in chatctl(
        server, 'spool', 'drop', table[0][0], code=1)
    with database(server) as db:
        db.execute('drop trigger no')
    assert chatctl(server, 'spool', 'retry', table[1][0]) == '1 put back into the spool\n'
    assert as_json(server, 'spool', 'retry')['done'] == 1
    query = 'select channel, offset, data from chatd_messages order by channel, offset'

    def archived():
        with database(server) as db:
            return db.execute(query).fetchall()
    until(lambda: len(archived()) == 4, 10)
    assert [row[:2] for row in archived()] == [
        ('chat:d', 1), ('chat:d', 3), ('mem:d', 1), ('mem:d', 3)]
    until(lambda: as_json(server, 'spool')['spool']['dead_letters'] == 0)


def test_drop_all(server):
    refuse(server)
    for _ in range(3):
        chatctl(server, 'publish', 'chat:d', '"bad"')
    until(lambda: as_json(server, 'spool')['spool']['dead_letters'] == 3, 10)
    assert chatctl(server, 'spool', 'drop', 'all') == '3 forgotten\n'
    assert chatctl(server, 'spool', 'dead').count('\n') == 1


def test_store(make_server):
    server = make_server(start=False, namespaces=NAMESPACES, store='sqlite')
    server.write_conf()
    said = chatctl(server, 'store', 'check', code=1)
    assert 'chatctl store init' in said
    done = words('-c', str(server.conf), *PLUGINS, '--json', 'store', 'check')
    assert json.loads(done.stdout) == {'result': {'store': 'sqlite', 'ready': False}}
    for _ in range(2):
        assert chatctl(server, 'store', 'init') == (
            'sqlite: the schema is there and up to date\n')
    assert as_json(server, 'store', 'check') == {'store': 'sqlite', 'ready': True}


def test_store_init_while_the_daemon_waits_for_it(make_server):
    server = make_server(namespaces=NAMESPACES, store='sqlite')
    server.allow('chatctl store init')
    chatctl(server, 'publish', 'chat:w', '1')
    until(lambda: 'waits for its schema' in chatctl(server, 'status'), 10)
    assert 'status          degraded' in chatctl(server, 'status')
    chatctl(server, 'store', 'init')
    until(lambda: as_json(server, 'spool')['archive']['archived'] == 1, 40)


def test_store_of_another_kind(make_server):
    for store, why in (('none', 'store: there is none'), ('nosuch', 'store_nosuch')):
        server = make_server(start=False, store=store)
        server.write_conf()
        assert why in chatctl(server, 'store', 'init', code=1)


@needs_root
def test_store_init_by_root_is_for_the_user(tmp_path):
    for directory in [tmp_path, *list(tmp_path.parents)[:2]]:
        directory.chmod(0o755)
    daemon = Daemon(tmp_path)
    daemon.write('namespace "aa" { archive = on }\n', user='"nobody"')
    nobody = pwd.getpwnam('nobody').pw_uid
    subprocess.run([CHATCTL, '-c', daemon.conf, *PLUGINS, 'store', 'init'], check=True,
                   capture_output=True)
    assert daemon.state_dir.stat().st_uid == nobody
    assert (daemon.state_dir / 'chat.db').stat().st_uid == nobody


# ---- the manual ----------------------------------------------------------------------


def test_examples_of_the_manual(server):
    page = (SOURCES / 'doc' / 'chatctl.1').read_text().replace('\\(dq', '"')
    examples = re.findall(r'^\.Dl \$ chatctl (.*)$', page, re.M)
    assert len(examples) >= 10
    for n in range(5):
        chatctl(server, 'publish', 'chat:lobby', str(n))
    for example in examples:
        assert chatctl(server, *shlex.split(example)), example


def test_sample_options_reach_the_socket(make_server):
    # Relative to the file, wherever chatctl is started.
    server = make_server(start=False)
    server.options['run_dir'] = 'run'
    server.start()
    assert conf_value('run') in server.conf.read_text()
    done = subprocess.run([CHATCTL, '-c', 'chat.conf', 'status'], cwd=server.directory,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
