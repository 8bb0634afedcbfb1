#!/usr/bin/env python3
"""How fast a full spool drains into PostgreSQL, against plain COPY of the same rows.

    drain.py [--rows N] [--rounds N] [--option "store_batch = 2000"]... BUILD-DIRECTORY

In each round a spool is filled, chatd is started with it, and the time from its start
to the last row is taken; then the same rows, from files in the binary and in the text
format, go by one COPY each into tables of the same form.  The rates and their medians
are printed.  By hand: it takes a minute, and wants a machine that does nothing else.
"""
import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'fixtures'))
import postgres  # noqa: E402  (the line before makes it known)

CONF = '''
workers = 1
state_dir = "{dir}/state"
run_dir = "{dir}/run"
listen "none" {{ address = "127.0.0.1:{port}" }}
store = "postgres"
postgres {{ dsn = "{dsn}" }}
namespace "chat" {{ archive = on subscribe = "anyone" publish = "anyone" }}
{options}
'''


class Session:
    """psql that stays, so that looking costs little."""

    def __init__(self, server):
        self.process = subprocess.Popen(
            [server.bin / 'psql', '-qXAt', server.dsn()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def ask(self, text):
        self.process.stdin.write(text + ';\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(*command, **how):
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdout=subprocess.PIPE, **how).stdout.strip()


def wait_for(session, query):
    while session.ask('SELECT ' + query) != 't':
        time.sleep(0.02)
    return time.monotonic()


def used_by(pid):
    """Seconds of processor time, and MiB of memory, of the children of PID, by name."""
    found = {}
    tick = os.sysconf('SC_CLK_TCK')
    for child in pathlib.Path('/proc/%d/task/%d/children' % (pid, pid)).read_text().split():
        fields = pathlib.Path('/proc/%s/stat' % child).read_text().rpartition(')')[2].split()
        name = pathlib.Path('/proc/%s/cmdline' % child).read_bytes().split(b'\0')[0]
        status = pathlib.Path('/proc/%s/status' % child).read_text()
        found[name.decode().split(': ')[-1]] = (
            (int(fields[11]) + int(fields[12])) / tick,
            int(re.search(r'RssAnon:\s*(\d+)', status)[1]) / 1024)
    return found


def drain(args, server, session, directory):
    """Rows a second of chatd."""
    build = pathlib.Path(args.build)
    shutil.rmtree(directory / 'state', ignore_errors=True)
    (directory / 'state').mkdir()
    last = run(build / 'tests/bench/spool_fill', directory / 'state' / 'spool', args.rows,
               args.channels)
    session.ask('TRUNCATE chatd_messages; CHECKPOINT; SELECT 1')
    conf = directory / 'chat.conf'
    conf.write_text(CONF.format(dir=directory, port=postgres.free_port(),
                                dsn=server.dsn(), options='\n'.join(args.option)))
    begin = time.monotonic()
    with open(directory / 'log', 'a') as log:
        chatd = subprocess.Popen(
            [build / 'src/chatd', '-f', '-c', conf, '--plugin-dir',
             build / 'plugins/.libs'], stdout=log, stderr=log)
    first = wait_for(session, 'EXISTS (SELECT FROM chatd_messages)')
    end = wait_for(session, "EXISTS (SELECT FROM chatd_messages WHERE id = '%s')" % last)
    used = used_by(chatd.pid)
    chatd.terminate()
    chatd.wait()
    assert session.ask('SELECT count(*) FROM chatd_messages') == str(args.rows)
    assert session.ask(
        'SELECT count(*) FROM (SELECT FROM chatd_messages GROUP BY channel HAVING '
        'max("offset") <> count(*)) AS incomplete') == '0'
    print('  started in %.2f s, drained in %.2f s; %s' % (
        first - begin, end - first,
        ', '.join('%s %.2f s %.1f MiB' % (name, *both)
                  for name, both in sorted(used.items()))))
    return args.rows / (end - first)


def copy(args, server, session, path, form):
    """Rows a second of psql's COPY from a file."""
    session.ask('DROP TABLE IF EXISTS plain; CREATE TABLE plain (LIKE chatd_messages '
                'INCLUDING ALL); CHECKPOINT; SELECT 1')
    begin = time.monotonic()
    run(server.bin / 'psql', '-qX', server.dsn(), '-c',
        "\\copy plain FROM '%s' (FORMAT %s)" % (path, form))
    took = time.monotonic() - begin
    assert session.ask('SELECT count(*) FROM plain') == str(args.rows)
    return args.rows / took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--rows', type=int, default=300000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--channels', type=int, default=500)
    parser.add_argument('--option', action='append', default=[])
    args = parser.parse_args()
    server = postgres.Postgres(max_wal_size="'8GB'", shared_buffers="'256MB'")
    directory = pathlib.Path(tempfile.mkdtemp(prefix='chatd-drain-'))
    results = {'drain': [], 'binary': [], 'text': []}
    try:
        server.sql('GRANT pg_checkpoint TO chatd')
        run(pathlib.Path(args.build) / 'tests/plugin/store_drive', 'store_postgres',
            'dsn = "%s"' % server.dsn(), input='migrate\n',
            env={**os.environ,
                 'CHATD_PLUGIN_DIR': str(pathlib.Path(args.build) / 'plugins/.libs')})
        session = Session(server)
        for _ in range(args.rounds):
            results['drain'].append(drain(args, server, session, directory))
            for form in ('binary', 'text'):
                path = directory / form
                run(server.bin / 'psql', '-qX', server.dsn(), '-c',
                    "\\copy (SELECT * FROM chatd_messages ORDER BY ctid) TO '%s' "
                    '(FORMAT %s)' % (path, form))
                results[form].append(copy(args, server, session, path, form))
            print('  ' + ', '.join('%s %.0f/s' % (name, values[-1])
                                   for name, values in results.items()), flush=True)
        session.close()
    finally:
        server.close()
        print((directory / 'log').read_text(), file=sys.stderr)
        shutil.rmtree(directory)
    medians = {name: statistics.median(values) for name, values in results.items()}
    print('medians of %d rounds of %d rows: %s' % (args.rounds, args.rows, ', '.join(
        '%s %.0f/s' % item for item in medians.items())))
    print('drain / plain COPY: binary %.2f, text %.2f' % (
        medians['drain'] / medians['binary'], medians['drain'] / medians['text']))


if __name__ == '__main__':
    main()
