#!/usr/bin/env python3
"""Measures chatd beside the least that a server can do, and writes tables.

    make && make -C tests bench/limit
    tests/bench/compare.py --build BUILD-DIRECTORY [--update doc/performance.md]

Each run starts a fresh server on one core and chatbench on another.  In a round all
servers have their turn at a load within a minute, in an order that changes from round
to round; ratios are taken within a round.  Given are medians over the rounds.
"""
import argparse
import contextlib
import datetime
import io
import json
import os
import pathlib
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CONF = '''workers = {workers}
run_dir = "{dir}/run"
state_dir = "{dir}/state"
log_level = warn
drain_time = 0s
allow_anonymous = true
{more}
listen "bench" {{
	address = "127.0.0.1:{port}"
{tls}}}
namespace "" {{
	subscribe = anyone
	publish = anyone
}}
'''
BEGIN, END = '<!-- begin: compare.py -->\n', '<!-- end: compare.py -->\n'

# What is not 0 in a report is told beside the figures.
WRONG = ('failed', 'cut', 'protocol_errors', 'refused', 'unanswered', 'lost',
         'duplicates', 'reordered', 'misrouted', 'damaged', 'stalls')


class Limit:
    """tests/bench/limit."""

    def __init__(self, name, *arguments):
        self.name, self.arguments, self.alone = name, arguments, True
        self.client = ['--raw']

    def command(self, where, port):
        return [where.limit, '-p', str(port), *self.arguments]

    def url(self, port):
        return 'ws://127.0.0.1:%d' % port


class Chatd:
    """chatd; not ALONE: on both cores."""

    def __init__(self, name, workers=1, tls=False, demo=False, alone=True):
        self.name, self.workers, self.tls, self.alone = name, workers, tls, alone
        self.demo = demo
        self.client = ['--insecure'] if tls else []

    def command(self, where, port):
        conf = where.scratch / 'chat.conf'
        tls = ''
        if self.tls:
            pem, key = certificate(where.scratch)
            tls = '\ttls_certificate = "%s"\n\ttls_key = "%s"\n' % (pem, key)
        conf.write_text(CONF.format(
            dir=where.scratch, workers=self.workers, port=port, tls=tls,
            more='demo = on' if self.demo else ''))
        return [where.chatd, '-f', '-c', str(conf)]

    def url(self, port):
        return '%s://127.0.0.1:%d' % ('wss' if self.tls else 'ws', port)


def certificate(directory):
    pem, key = directory / 'cert.pem', directory / 'key.pem'
    if not pem.exists():
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost', '-days', '2',
             '-keyout', str(key), '-out', str(pem)], check=True, capture_output=True)
    return pem, key


class Load:
    """Arguments of chatbench, and the servers that get it; the first is 1.00."""

    def __init__(self, name, text, servers, *arguments):
        self.name, self.text, self.servers = name, text, servers
        self.arguments = list(arguments)


def loads(o):
    """All of them; sizes are those of the targets, times --scale."""
    def scaled(n):
        return str(max(2, round(n * o.scale)))
    # a client that the rest of the machine held up still gets all
    drain = ['--drain', '20']
    rest = ['--settle', str(min(1, o.duration))]
    seconds = ['--duration', str(o.duration), '--warmup', str(min(2, o.duration)),
               *rest, *drain]
    fast = ['--duration', str(o.duration / 2), '--warmup', str(min(2, o.duration) / 2),
            *rest, *drain]
    members, many = scaled(1000), scaled(20000)
    hold = ['--connections', many, '--rooms', scaled(2000), '--prime', scaled(200),
            '--processes', '2', '--timeout', '120',
            '--duration', str(min(3, o.duration)), '--settle', str(min(3, o.duration))]
    limit, one = Limit('limit'), Chatd('chatd')
    return [
        Load('fanout', '1 room of %s, 50 messages/s' % members, [limit, one],
             'rate', '--outside', '--members', members, '--rate', '50', *seconds),
        Load('rooms', '%s rooms of 10, 10 messages/s each' % scaled(100), [limit, one],
             'rate', '--outside', '--rooms', scaled(100), '--members', '10', '--rate',
             '10', *seconds),
        Load('saturate', '1 room of %s, 32 messages ahead' % members,
             [Limit('limit -c', '-c'), limit, one],
             'saturate', '--outside', '--members', members, '--window', '32', *fast),
        Load('connect', '%s connections, 64 at a time' % scaled(5000), [limit, one],
             'connect', '--connections', scaled(5000), '--prime', scaled(200), *rest),
        Load('idle', '%s idle clients' % many,
             [Limit('limit, 2 processes', '-w', '2'), Chatd('chatd, 2 workers', 2)],
             'idle', *hold),
        Load('tls', '%s idle clients with TLS' % many,
             [Chatd('chatd, 2 workers', 2, tls=True)], 'idle', *hold),
        Load('workers', 'fanout, on both cores',
             [Chatd('chatd, 1 worker', 1, demo=True, alone=False),
              Chatd('chatd, 2 workers', 2, demo=True, alone=False)],
             'rate', '--outside', '--members', members, '--rate', '50', *seconds),
    ]


# ---- running ----------------------------------------------------------------

def free_port():
    """Below those of outgoing connections, which chatbench makes many of."""
    while True:
        port = random.randint(20000, 31999)
        with socket.socket() as s:
            with contextlib.suppress(OSError):
                s.bind(('127.0.0.1', port))
                return port


def busy():
    """Seconds that all cores together have worked since the machine's start."""
    with open('/proc/stat', encoding='ascii') as stat:
        v = [int(n) for n in stat.readline().split()[1:9]]
    return (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / os.sysconf('SC_CLK_TCK')


def wait_quiet(o):
    """Until the rest of the machine uses less than 40 % of a core."""
    end = time.monotonic() + o.quiet_wait
    while time.monotonic() < end:
        before = busy()
        time.sleep(0.5)
        if busy() - before < 0.2:
            break


class Where:
    """Programs, cores, and a directory for what servers write."""

    def __init__(self, o, scratch):
        build = pathlib.Path(o.build).resolve()
        self.chatd = str(build / 'src' / 'chatd')
        self.chatbench = str(build / 'src' / 'chatbench')
        self.limit = str(build / 'tests' / 'bench' / 'limit')
        self.scratch = pathlib.Path(scratch)
        self.cores = sorted(os.sched_getaffinity(0))
        if len(self.cores) < 2 or o.no_pin:
            self.cores = None
        for program in (self.chatd, self.chatbench, self.limit):
            if not os.access(program, os.X_OK):
                sys.exit('compare.py: %s is not there: make; make -C tests bench/limit' % program)

    def pin(self, *which):
        """For preexec_fn: binds the process to the WHICH-th of our cores."""
        if self.cores is None:
            return None
        return lambda: os.sched_setaffinity(0, {self.cores[i] for i in which})


@contextlib.contextmanager
def running(where, server, port):
    """A fresh server, that listens."""
    log = where.scratch / 'log'
    with open(log, 'wb') as out:
        process = subprocess.Popen(
            server.command(where, port), stdout=out, stderr=out,
            preexec_fn=where.pin(0) if server.alone else where.pin(0, 1))
    try:
        for _ in range(200):
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                socket.create_connection(('127.0.0.1', port), 1).close()
                time.sleep(0.3)
                break
            time.sleep(0.05)
        if process.poll() is not None:
            sys.exit('compare.py: %s ended:\n%s' % (server.name, log.read_text()))
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(o, where, load, server):
    """The report of one run."""
    port = free_port()
    wait_quiet(o)
    with running(where, server, port) as pid:
        done = subprocess.run(
            [where.chatbench, *load.arguments, *server.client, '--url', server.url(port),
             '--pid', str(pid), '--poll-us', '100', '--json', '--quiet',
             '--label', '%s/%s' % (load.name, server.name)],
            preexec_fn=where.pin(1), capture_output=True, text=True, check=False)
    if not done.stdout:
        sys.exit('compare.py: %s of %s: %s' % (load.name, server.name, done.stderr))
    return json.loads(done.stdout)


def run_all(o, where, chosen):
    """{load: {server: [a report for each round]}}"""
    results = {load.name: {s.name: [] for s in load.servers} for load in chosen}
    for turn in range(o.rounds):
        for load in chosen:
            at = turn % len(load.servers)
            for server in load.servers[at:] + load.servers[:at]:
                report = measure(o, where, load, server)
                results[load.name][server.name].append(report)
                if o.reports:
                    with open(o.reports, 'a', encoding='ascii') as out:
                        out.write(json.dumps(report) + '\n')
        print('round %d of %d' % (turn + 1, o.rounds), file=sys.stderr)
    return results


# ---- tables -----------------------------------------------------------------

def pick(report, path):
    for part in path.split('.'):
        report = report[part]
    return report


def median(reports, path):
    return statistics.median(pick(r, path) for r in reports)


def ratio(reports, base, path):
    """Median of the ratios within a round."""
    return statistics.median(
        pick(a, path) / max(pick(b, path), 1e-9) for a, b in zip(reports, base))


def number(v):
    return '{:,.0f}'.format(v) if v >= 100 else '%.3g' % v


def spread(reports, path, unit=1.0):
    values = sorted(pick(r, path) * unit for r in reports)
    text = number(statistics.median(values))
    if len(values) > 1:
        text += ' (%s–%s)' % (number(values[0]), number(values[-1]))
    return text


def wrong(reports):
    """What went wrong, over all rounds."""
    found = ['%s %d' % (name, n) for name in WRONG
             for n in [sum(r.get(name, 0) for r in reports)] if n]
    found += ['chatbench late'] if any(r['late'] for r in reports) else []
    return ', '.join(found) or 'none'


def table(out, head, rows):
    print('| ' + ' | '.join(head) + ' |', file=out)
    print('|' + ' --- |' * len(head), file=out)
    for row in rows:
        print('| ' + ' | '.join(row) + ' |', file=out)
    print(file=out)


def load_rows(load, results):
    """A row for each server."""
    by = results[load.name]
    base = by[load.servers[0].name]
    for server in load.servers:
        yield server.name, by[server.name], base


def show_messages(out, chosen, results):
    rows = []
    for load in chosen:
        key = 'deliveries_per_s' if load.name == 'saturate' else 'cpu_us_per_delivery'
        for name, reports, base in load_rows(load, results):
            rows.append([
                load.text, name, spread(reports, 'cpu_us_per_delivery'),
                number(median(reports, 'deliveries_per_s')),
                '%.2f' % ratio(reports, base, key),
                *(number(median(reports, 'latency_us.' + q) / 1e3)
                  for q in ('p50', 'p99')),
                wrong(reports)])
    table(out, ['load', 'server', 'CPU µs/delivery', 'deliveries/s', 'ratio', 'p50 ms',
                'p99 ms', 'wrong'], rows)


def show_connect(out, chosen, results):
    for load in chosen:
        table(out, ['load', 'server', 'connections/s', 'ratio', 'CPU µs/connection',
                    'wrong'],
              [[load.text, name, spread(reports, 'connections_per_s'),
                '%.2f' % ratio(reports, base, 'connections_per_s'),
                spread(reports, 'cpu_us_per_connection'), wrong(reports)]
               for name, reports, base in load_rows(load, results)])


def show_idle(out, chosen, results):
    table(out, ['load', 'server', 'PSS bytes/client', 'kernel bytes/connection',
                'CPU % while idle', 'wrong'],
          [[load.text, name, spread(reports, 'pss_per_connection'),
            spread(reports, 'kernel_per_connection'),
            number(median(reports, 'server_cpu_pct')), wrong(reports)]
           for load in chosen for name, reports, _ in load_rows(load, results)])


def show_workers(out, chosen, results):
    def p99(reports, name):
        v = [r[name]['p99'] / 1e3 for r in reports if r[name]['n']]
        return number(statistics.median(v)) if v else '–'
    for load in chosen:
        table(out, ['load', 'server', 'CPU µs/delivery', 'ratio', 'p99 ms within a worker',
                    'p99 ms across two', 'wrong'],
              [[load.text, name, spread(reports, 'cpu_us_per_delivery'),
                '%.2f' % ratio(reports, base, 'cpu_us_per_delivery'),
                p99(reports, 'latency_within_us'), p99(reports, 'latency_across_us'),
                wrong(reports)]
               for name, reports, base in load_rows(load, results)])


def targets(results):
    """(what, target, measured, met) of each that was measured."""
    def of(load, name, base=None, path='cpu_us_per_delivery'):
        reports = results[load][name]
        return ratio(reports, results[load][base], path) if base else median(reports, path)
    if 'fanout' in results:
        v = of('fanout', 'chatd', 'limit')
        yield 'fan-out: CPU a delivery', '≤ 1.15 × limit', '%.2f' % v, v <= 1.15
    if 'rooms' in results:
        v = of('rooms', 'chatd', 'limit')
        yield 'rooms: CPU a delivery', '≤ 1.30 × limit', '%.2f' % v, v <= 1.30
    if 'saturate' in results:
        v = of('saturate', 'chatd', 'limit -c', 'deliveries_per_s')
        yield 'saturation: deliveries/s', '≥ 0.8 × limit -c', '%.2f' % v, v >= 0.8
    if 'connect' in results:
        v = of('connect', 'chatd', None, 'connections_per_s')
        w = of('connect', 'chatd', 'limit', 'connections_per_s')
        yield ('connections/s on one core', '≥ 12,000, or ≥ 0.6 × limit',
               '%s; %.2f' % (number(v), w), v >= 12000 or w >= 0.6)
    for load, bytes_ in (('idle', 1024), ('tls', 16384)):
        if load in results:
            v = of(load, 'chatd, 2 workers', None, 'pss_per_connection')
            yield ('PSS of an idle client' + (', TLS' if load == 'tls' else ''),
                   '≤ %s bytes' % number(bytes_), number(v), v <= bytes_)
    if 'workers' in results:
        two, one = 'chatd, 2 workers', 'chatd, 1 worker'
        v = of('workers', two, one)
        yield 'two workers: CPU a delivery', '≤ 1.1 × one', '%.2f' % v, v <= 1.1
        v = statistics.median((r['latency_across_us']['p99'] -
                               r['latency_within_us']['p99']) / 1e3
                              for r in results['workers'][two])
        yield 'p99 across workers, beyond within', '≤ 1 ms', '%.2f ms' % v, v <= 1


def show_machine(out, o, where, results):
    reports = [r for by in results.values() for rs in by.values() for r in rs]
    with open('/proc/cpuinfo', encoding='utf-8') as info:
        model = next((line.split(':', 1)[1].strip() for line in info
                      if line.startswith('model name')), platform.machine())
    print('%s; %d cores (%s); Linux %s; %s.  %d rounds; the server %s.  The rest of the '
          'machine used %s %% of a core (median over the runs), at most %s %%.\n' % (
              datetime.date.today().isoformat(), os.cpu_count(), model,
              platform.release(), '%s %s' % platform.libc_ver(), o.rounds,
              'and chatbench bound to a core each' if where.cores else
              'and chatbench not bound to cores',
              number(median(reports, 'other_cpu_pct')),
              number(max(r['other_cpu_pct'] for r in reports))), file=out)


def show(out, o, where, chosen, results):
    show_machine(out, o, where, results)
    table(out, ['target', 'is', 'measured', 'met'],
          [[what, want, got, 'yes' if met else 'no']
           for what, want, got, met in targets(results)])
    for names, what in ((('fanout', 'rooms', 'saturate'), show_messages),
                        (('connect',), show_connect), (('idle', 'tls'), show_idle),
                        (('workers',), show_workers)):
        these = [load for load in chosen if load.name in names]
        if these:
            what(out, these, results)


def update(path, text, begin=BEGIN, end=END):
    """Puts the tables into a document, between its two marks."""
    old = pathlib.Path(path).read_text(encoding='utf-8')
    before, found_begin, rest = old.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        sys.exit('%s has no lines "%s" and "%s"' % (path, begin.strip(), end.strip()))
    pathlib.Path(path).write_text(before + begin + text + end + after, encoding='utf-8')


def options():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('--build', default='.', help='build directory (.)')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--duration', type=float, default=8, help='of a run, seconds (8)')
    p.add_argument('--loads', help='of %s: with commas (all)' % 'fanout, rooms, '
                   'saturate, connect, idle, tls, workers')
    p.add_argument('--scale', type=float, default=1, help='of rooms and connections (1)')
    p.add_argument('--no-pin', action='store_true', help='do not bind to cores')
    p.add_argument('--quiet-wait', type=float, default=20,
                   help='seconds to wait for a quiet machine before each run (20)')
    p.add_argument('--reports', help='append the reports of chatbench to this file')
    p.add_argument('--update', help='put the tables into this document')
    return p.parse_args()


def main():
    o = options()
    every = loads(o)
    names = o.loads.split(',') if o.loads else [load.name for load in every]
    unknown = set(names) - {load.name for load in every}
    if unknown:
        sys.exit('compare.py: no load %s' % ', '.join(sorted(unknown)))
    chosen = [load for load in every if load.name in names]
    with tempfile.TemporaryDirectory(prefix='compare-') as scratch:
        where = Where(o, scratch)
        results = run_all(o, where, chosen)
        text = io.StringIO()
        show(text, o, where, chosen, results)
    if o.update:
        update(o.update, text.getvalue())
    else:
        print(text.getvalue(), end='')
    bad = {name for by in results.values() for name, reports in by.items()
           if wrong(reports) not in ('none', 'chatbench late')}
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
