#!/usr/bin/env python3
"""Measures what order, history and durability cost, and writes tables.

    make && make -C tests bench/limit
    tests/bench/durable.py --build BUILD-DIRECTORY [--update doc/performance.md]

The disk is measured by itself in each round, right before chatd: so many writes of one
message a second, each followed by fdatasync, and how long that takes.  The state
directory of chatd lies on the same file system (--scratch).
"""
import argparse
import io
import os
import statistics
import sys
import tempfile
import time

import compare

MESSAGE = 300  # bytes that are written and synced at a time
BEGIN, END = '<!-- begin: durable.py -->\n', '<!-- end: durable.py -->\n'
NAMESPACES = '''store = "none"
namespace "hist" {
	subscribe = anyone
	publish = anyone
	history_size = 100
	recover = on
}
namespace "spool" {
	subscribe = anyone
	publish = anyone
	history_size = 100
	recover = on
	ack = spool
}
'''


class Ordered(compare.Chatd):
    """chatd, with channels of one namespace."""

    def __init__(self, name, prefix, workers=1):
        super().__init__(name, workers, alone=False)
        self.client = ['--channel-prefix', prefix]

    def command(self, where, port):
        command = super().command(where, port)
        conf = where.scratch / 'chat.conf'
        conf.write_text(NAMESPACES + conf.read_text(encoding='utf-8'))
        return command


PLAIN, HIST, SPOOL = (Ordered('plain', 'bench'), Ordered('ack = memory', 'hist:'),
                      Ordered('ack = spool', 'spool:'))


def loads(o):
    seconds = ['--duration', str(o.duration), '--warmup', str(min(2, o.duration)),
               '--settle', str(min(1, o.duration)), '--drain', '20']
    return [
        compare.Load('fanout', '1 channel of 1000, 50 messages/s', [PLAIN, HIST, SPOOL],
                     'rate', '--outside', '--members', '1000', '--rate', '50', *seconds),
        compare.Load('confirm', '256 publishers, 16 channels, 1 message each ahead',
                     [SPOOL, HIST, PLAIN], 'publish', '--rooms', '16', '--publishers',
                     '16', '--window', '1', *seconds),
        compare.Load('ahead', '256 publishers, 16 channels, 16 messages each ahead',
                     [SPOOL, HIST, PLAIN], 'publish', '--rooms', '16', '--publishers',
                     '16', '--window', '16', *seconds),
        compare.Load('delay', '100 messages/s', [SPOOL, HIST, PLAIN], 'rate',
                     '--members', '1', '--publishers', '1', '--rooms', '10', '--rate',
                     '10', *seconds),
    ]


def disk(directory, seconds):
    """{per_s, p50, p99}: one message written and synced at a time; times in us."""
    data = os.urandom(MESSAGE)
    times = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        end = time.perf_counter() + seconds
        start = now = time.perf_counter()
        while now < end:
            os.write(file.fileno(), data)
            os.fdatasync(file.fileno())
            then, now = now, time.perf_counter()
            times.append((now - then) * 1e6)
        taken = now - start
    times.sort()
    return {'per_s': len(times) / taken, 'p50': times[len(times) // 2],
            'p99': times[len(times) * 99 // 100]}


def run_all(o, where):
    chosen = [load for load in loads(o) if load.name in o.loads.split(',')]
    results = {load.name: {s.name: [] for s in load.servers} for load in chosen}
    disks = []
    for turn in range(o.rounds):
        compare.wait_quiet(o)
        disks.append(disk(where.scratch, min(3, o.duration)))
        for load in chosen:
            at = turn % len(load.servers)
            for server in load.servers[at:] + load.servers[:at]:
                results[load.name][server.name].append(
                    compare.measure(o, where, load, server))
        print('round %d of %d' % (turn + 1, o.rounds), file=sys.stderr)
    return chosen, results, disks


def over_disk(reports, disks, path, member):
    return statistics.median(compare.pick(r, path) / d[member]
                             for r, d in zip(reports, disks))


def targets(results, disks):
    if 'fanout' in results:
        for name in ('ack = memory', 'ack = spool'):
            v = compare.ratio(results['fanout'][name], results['fanout']['plain'],
                              'cpu_us_per_delivery')
            yield ('ordered fan-out, %s: CPU a delivery' % name, '≤ 1.15 × plain',
                   '%.2f' % v, v <= 1.15)
    if 'confirm' in results:
        v = over_disk(results['confirm']['ack = spool'], disks, 'confirmed_per_s', 'per_s')
        yield ('ack = spool, 256 publishers, 1 ahead: confirmed/s',
               '≥ 20 × one fdatasync a message', '%.1f' % v, v >= 20)
    if 'ahead' in results:
        v = over_disk(results['ahead']['ack = spool'], disks, 'confirmed_per_s', 'per_s')
        yield ('ack = spool, 256 publishers, 16 ahead: confirmed/s',
               '≥ 20 × one fdatasync a message', '%.1f' % v, v >= 20)
    if 'delay' in results:
        v = over_disk(results['delay']['ack = spool'], disks, 'confirm_us.p99', 'p99')
        yield ('ack = spool at 100 messages/s: p99 of the answer',
               '≤ 3 × p99 of fdatasync', '%.2f' % v, v <= 3)


def show(out, o, where, chosen, results, disks):
    compare.show_machine(out, o, where, results)
    print('The disk by itself: %s writes of %d bytes a second, each with fdatasync, which '
          'took %.3f ms (p50) and %.3f ms (p99).\n' % (
              compare.number(statistics.median(d['per_s'] for d in disks)), MESSAGE,
              statistics.median(d['p50'] for d in disks) / 1e3,
              statistics.median(d['p99'] for d in disks) / 1e3), file=out)
    compare.table(out, ['target', 'is', 'measured', 'met'],
                  [[what, want, got, 'yes' if met else 'no']
                   for what, want, got, met in targets(results, disks)])
    for load in chosen:
        if load.name == 'fanout':
            compare.show_messages(out, [load], results)
    rows = []
    for load in chosen:
        if load.name != 'fanout':
            for server in load.servers:
                reports = results[load.name][server.name]
                rows.append([load.text, server.name,
                             compare.spread(reports, 'confirmed_per_s'),
                             *(compare.number(compare.median(reports, 'confirm_us.' + q) /
                                              1e3) for q in ('p50', 'p99', 'p999')),
                             compare.spread(reports, 'server_cpu_pct'),
                             compare.wrong(reports)])
    if rows:
        compare.table(out, ['load', 'channels', 'confirmed/s', 'p50 ms', 'p99 ms',
                            'p99.9 ms', 'CPU % of chatd', 'wrong'], rows)


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--build', default='.', help='directory in which make was run')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--duration', type=float, default=5, help='seconds of a measurement')
    p.add_argument('--loads', default='fanout,confirm,ahead,delay')
    p.add_argument('--quiet-wait', type=float, default=30,
                   help='seconds to wait for a quiet machine')
    p.add_argument('--no-pin', action='store_true', help='bind nothing to a core')
    p.add_argument('--scratch', help='directory on the disk to measure')
    p.add_argument('--update', help='write the tables into this file')
    o = p.parse_args()
    o.scale = 1
    with tempfile.TemporaryDirectory(dir=o.scratch) as scratch:
        where = compare.Where(o, scratch)
        chosen, results, disks = run_all(o, where)
        out = io.StringIO()
        show(out, o, where, chosen, results, disks)
    if not o.update:
        print(out.getvalue())
        return
    compare.update(o.update, out.getvalue(), BEGIN, END)


if __name__ == '__main__':
    main()
