"""What publishers were told, and whether the database and the subscribers agree.

Ledger runs the program of that name (ledger.c says what its book holds), Book reads the
book, and check_rows() and check_subscribers() return what is wrong as lines of text.
"""
import bisect
import collections
import dataclasses
import json
import os
import pathlib
import signal
import sqlite3
import subprocess

from load import BUILD
from server import PATIENCE

PROGRAM = BUILD / 'tests' / 'system' / 'ledger'
SHOWN = 20      # lines of what is wrong

# A row of the database, of whatever kind.
Row = collections.namedtuple('Row', 'channel epoch offset id data')


@dataclasses.dataclass
class Message:
    """What a publisher knows of a message; times are lines of the book."""
    channel: int
    conn: int
    keyed: bool
    data: str
    sent: int
    tries: int = 1
    acked: int = None       # the first time
    acks: int = 0
    refused: list = dataclasses.field(default_factory=list)
    unknown: int = 0


class Book:
    """The lines of a book."""

    def __init__(self, lines):
        self.messages = {}              # by (publisher, number)
        self.acks = []                  # (seconds, how many it took), in order
        self.sent = []                  # seconds
        self.refusals = []              # (seconds, code)
        self.seen = {}                  # subscriber: its lines, split
        self.prefix = None
        self.finished = False
        for number, line in enumerate(lines):
            self._take(number, line.rstrip('\n'))

    @classmethod
    def read(cls, path):
        with open(path, encoding='utf-8', newline='\n') as book:
            return cls(book)

    def _take(self, number, line):
        kind, _, rest = line.partition(' ')
        if kind == 'H':
            self.prefix = rest.split(' ')[1]
        elif kind == 'M':
            when, p, n, channel, conn, keyed, data = rest.split(' ', 6)
            self.sent.append(int(when) / 1e6)
            self.messages[int(p), int(n)] = Message(
                int(channel), int(conn), keyed == '1', data, number)
        elif kind in 'TARU':
            self._take_outcome(number, kind, rest.split(' '))
        elif kind in 'SDXB':
            fields = rest.split(' ')
            self.seen.setdefault(int(fields[1]), []).append((kind, fields[2:]))
        elif kind == 'Z':
            self.finished = True

    def _take_outcome(self, number, kind, fields):
        message = self.messages[int(fields[1]), int(fields[2])]
        when = int(fields[0]) / 1e6
        if kind == 'T':
            message.tries += 1
        elif kind == 'A':
            message.acks += 1
            if message.acked is None:
                message.acked = number
            self.acks.append((when, int(fields[3]) / 1e6))
        elif kind == 'R':
            message.refused.append(int(fields[3]))
            self.refusals.append((when, int(fields[3])))
        else:
            message.unknown += 1

    def name(self, channel):
        return '%s%d' % (self.prefix, channel)

    def acked(self):
        return [key for key, message in self.messages.items() if message.acks]

    # ---- how it went, between two moments of time.monotonic() ---------------

    def rate(self, start, end):
        """Acknowledgements a second."""
        first = bisect.bisect_left(self.acks, (start,))
        last = bisect.bisect_left(self.acks, (end,))
        return (last - first) / (end - start)

    def latency(self, start, end, share=0.99):
        """What that share of the acknowledgements took at most, in seconds."""
        first = bisect.bisect_left(self.acks, (start,))
        last = bisect.bisect_left(self.acks, (end,))
        took = sorted(took for _, took in self.acks[first:last])
        assert took, 'nothing was acknowledged'
        return took[min(len(took) - 1, int(len(took) * share))]

    def longest_silence(self, start, end):
        """The longest time without an acknowledgement."""
        moments = [start, *(when for when, _ in self.acks if start < when < end), end]
        return max(b - a for a, b in zip(moments, moments[1:]))


def key_of(data):
    """(publisher, number) that a message carries, or None if it is of nobody."""
    try:
        fields = json.loads(data)
        return int(fields['p']), int(fields['n'])
    except (ValueError, KeyError, TypeError):
        return None


def streams_of(rows):
    """{channel: rows in their order}: epochs by their first id, then offsets."""
    streams = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        streams[row.channel][row.epoch].append(row)
    ordered = {}
    for channel, epochs in streams.items():
        parts = [sorted(part, key=lambda row: row.offset) for part in epochs.values()]
        ordered[channel] = [row for part in sorted(parts, key=lambda part: part[0].id)
                            for row in part]
    return ordered


def check_rows(book, rows, gaps=False, dead=(), after=0):
    """What is wrong with the rows, given what the publishers were told.

    GAPS: offsets need not follow one upon the other.  DEAD: (publisher, number) of
    what the database refused: not to be there.  AFTER: offsets begin behind this one.
    """
    wrong = []
    count = collections.Counter()
    for row in rows:
        key = key_of(row.data)
        message = book.messages.get(key)
        if message is None:
            wrong.append('nobody published %r' % (row,))
            continue
        count[key] += 1
        if row.data != message.data:
            wrong.append('%s: other data: %r for %r' % (key, row.data, message.data))
        if row.channel != book.name(message.channel):
            wrong.append('%s is in %s' % (key, row.channel))
    for key, message in book.messages.items():
        if count[key] > 1:
            wrong.append('%s is there %d times' % (key, count[key]))
        if message.acks > (1 if message.keyed else message.tries):
            wrong.append('%s was acknowledged %d times' % (key, message.acks))
        if message.acks and not count[key] and key not in dead:
            wrong.append('%s was acknowledged and is not there' % (key,))
        if key in dead and count[key]:
            wrong.append('%s is a dead letter and is there' % (key,))
    if not wrong:
        for channel, stream in streams_of(rows).items():
            wrong += check_order(book, channel, stream, gaps or bool(dead), after)
    return wrong[:SHOWN]


def check_order(book, channel, stream, gaps, after=0):
    """One channel: places, ids, and who came before whom."""
    wrong = []
    ids = collections.Counter(row.id for row in stream)
    wrong += ['%s: id %s is there %d times' % (channel, one, number)
              for one, number in ids.items() if number > 1]
    before = None
    for row in stream:
        fresh = before is None or row.epoch != before.epoch
        expected = after + 1 if fresh else before.offset + 1
        if row.offset < expected or (row.offset > expected and not gaps):
            wrong.append('%s: %s where %d is next' % (channel, row, expected))
        if before is not None and not row.id > before.id:
            wrong.append('%s: the id of %s is not behind %s' % (channel, row, before))
        before = row
    return wrong + check_times(book, channel, stream)


def check_times(book, channel, stream):
    """Acknowledged before the other was sent: it stands before it, whoever sent it.

    And what one connection sent once stands in the order of sending.
    """
    wrong = []
    first_ack, first_key = float('inf'), None
    last_sent = {}
    for row in reversed(stream):
        key = key_of(row.data)
        message = book.messages[key]
        if message.sent > first_ack:
            wrong.append('%s: %s stands before %s, which was acknowledged before it '
                         'was sent' % (channel, key, first_key))
        if message.acked is not None and message.acked < first_ack:
            first_ack, first_key = message.acked, key
        if message.tries == 1:
            if message.sent > last_sent.get(message.conn, float('inf')):
                wrong.append('%s: %s stands before what its connection sent before'
                             % (channel, key))
            last_sent[message.conn] = message.sent
    return wrong


def check_subscribers(book, rows=None, lossless=True, complete=True):
    """What is wrong with what the subscribers saw.

    ROWS: all that they saw is in the database, in that place.  LOSSLESS: each time
    they came back they recovered.  COMPLETE: at the end they have all that was
    acknowledged.
    """
    places = rows if rows is None else {
        (row.channel, row.epoch, row.offset): key_of(row.data) for row in rows}
    tops = {}
    if complete:
        for key in book.acked():
            tops.setdefault(book.messages[key].channel, set()).add(key)
    wrong = []
    for subscriber, lines in book.seen.items():
        wrong += check_subscriber(book, subscriber, lines, places, lossless, tops)
    return wrong[:SHOWN]


class Follower:
    """What a subscriber saw of one channel."""

    def __init__(self, who):
        self.who = who
        self.place, self.epoch = None, None
        self.fresh = True
        self.seen = collections.Counter()
        self.wrong = []

    def say(self, text, *values):
        self.wrong.append('%s: ' % self.who + text % values)

    def subscribed(self, offset, recovered, was, epoch, lossless):
        if was and not recovered:
            if lossless:
                self.say('not recovered at %s', offset)
            self.fresh = True
        elif recovered and (self.place != offset or self.epoch != epoch):
            self.say('recovered at %s of %s, was at %s of %s', offset, epoch, self.place,
                     self.epoch)
        elif not was and self.place is not None and self.place != offset:
            if lossless:
                self.say('came back at %s, was at %s', offset, self.place)
            self.fresh = True
        self.place, self.epoch = offset, epoch

    def publication(self, offset, key, good):
        if self.place is None or offset != self.place + 1:
            self.say('%s after %s', offset, self.place)
        if not good:
            self.say('%s has other data', key)
        self.place = offset
        self.seen[key] += 1


def check_subscriber(book, subscriber, lines, places, lossless, tops):
    follows = {}
    wrong = []
    for kind, fields in lines:
        if kind == 'B':
            continue
        channel = int(fields[0])
        follow = follows.setdefault(
            channel, Follower('subscriber %d of %s' % (subscriber, book.name(channel))))
        if kind == 'S':
            follow.subscribed(int(fields[1]), fields[2] == '1', fields[3] == '1',
                              fields[4], lossless)
        elif kind == 'D':
            offset, key = int(fields[1]), (int(fields[2]), int(fields[3]))
            follow.publication(offset, key, fields[4] == '1')
            there = places and places.get((book.name(channel), follow.epoch, offset))
            if places is not None and key != (-1, -1) and there != key:
                follow.say('saw %s at %d, where the database has %s', key, offset, there)
    for channel, follow in follows.items():
        wrong += follow.wrong
        wrong += ['%s: %s came %d times' % (follow.who, key, number)
                  for key, number in follow.seen.items()
                  if number > 1 and key != (-1, -1)]
        missing = tops.get(channel, set()) - set(follow.seen)
        if missing:
            wrong.append('%s: %d are missing, as %s' % (follow.who, len(missing),
                                                       min(missing)))
    return wrong


# ---- the database ------------------------------------------------------------------


def sqlite_rows(path, like='%'):
    """Rows of the channels whose name is LIKE that; none when there is no schema."""
    if not os.path.exists(path):
        return []
    base = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=30)
    base.text_factory = bytes
    try:
        found = base.execute(
            'SELECT channel, epoch, "offset", id, data FROM chatd_messages '
            'WHERE channel LIKE ?', (like,)).fetchall()
    except sqlite3.OperationalError as error:
        if 'no such table' in str(error):
            return []
        raise
    finally:
        base.close()
    return [Row(channel.decode(), epoch.decode(), offset, one.decode(), data.decode())
            for channel, epoch, offset, one, data in found]


def sqlite_count(path):
    base = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=30)
    try:
        return base.execute('SELECT count(*) FROM chatd_messages').fetchone()[0]
    finally:
        base.close()


def postgres_rows(server, like='%'):
    found = server.sql(
        'SELECT channel, epoch, "offset", id, '
        "coalesce(data::text, convert_from(bytes, 'UTF8')) FROM chatd_messages "
        "WHERE channel LIKE '%s'" % like)
    return [Row(channel, epoch, int(offset), one, data)
            for channel, epoch, offset, one, data in found]


def postgres_count(server):
    return int(server.sql('SELECT count(*) FROM chatd_messages')[0][0])


# ---- the program -------------------------------------------------------------------


class Ledger:
    """A ledger program that runs beside the test."""

    def __init__(self, server, book, *options, port=None):
        self.path = pathlib.Path(book)
        command = [str(PROGRAM), '--port', str(port or server.port), '--book', str(book),
                   *(str(option) for option in options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, timeout=60, stop=False):
        """(report, book) when it is over; STOP: begins no more messages."""
        if stop:
            self.process.send_signal(signal.SIGTERM)
        out, errors = self.process.communicate(timeout=timeout * PATIENCE)
        assert self.process.returncode == 0, out + errors
        report, book = json.loads(out), Book.read(self.path)
        assert book.finished and report['messages'] == len(book.messages), report
        assert report['acked'] == sum(m.acks for m in book.messages.values())
        return report, book
