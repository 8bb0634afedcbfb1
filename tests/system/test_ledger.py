"""The checker of test_faults_*.py finds what it is there to find."""
import copy

import pytest

import ledger

CHANNELS = 2


def data_of(p, n):
    return '{"r":1,"p":%d,"n":%d,"x":"ab"}' % (p, n)


def book_lines():
    """Two publishers, each with a connection of its own, one message after the other."""
    lines = ['H 1 log:c']
    for n in range(6):
        for p in range(2):
            time = 1000 * (10 * n + p)
            lines.append('M %d %d %d %d %d 0 %s' % (
                time, p, n, (p + n) % CHANNELS, p, data_of(p, n)))
            lines.append('A %d %d %d 200' % (time + 200, p, n))
    return lines + ['Z 99999']


def rows_of(book):
    rows, tops = [], {}
    for (p, n), message in book.messages.items():
        top = tops[message.channel] = tops.get(message.channel, 0) + 1
        rows.append(ledger.Row(book.name(message.channel), 'epochepo', top,
                               '018f-%04d' % len(rows), data_of(p, n)))
    return rows


@pytest.fixture(name='lines')
def make_lines():
    return book_lines()


@pytest.fixture(name='rows')
def make_rows(lines):
    return rows_of(ledger.Book(lines))


def complaints(lines, rows, **how):
    return ledger.check_rows(ledger.Book(lines), rows, **how)


def index_of(lines, start):
    return next(i for i, line in enumerate(lines) if line.startswith(start))


def replaced(rows, index, **fields):
    rows = copy.copy(rows)
    rows[index] = rows[index]._replace(**fields)
    return rows


# ---- rows --------------------------------------------------------------------------


def test_what_is_right_is_right(lines, rows):
    assert len(rows) == 12
    assert complaints(lines, rows) == []


def test_one_that_was_acknowledged_is_missing(lines, rows):
    (line,) = complaints(lines, rows[:-1])
    assert 'was acknowledged and is not there' in line


def test_one_that_was_not_acknowledged_may_be_missing(lines, rows):
    lines[index_of(lines, 'A 51200 1 5')] = 'U 51200 1 5'
    assert complaints(lines, rows[:-1]) == []
    assert complaints(lines, rows) == []


def test_nor_does_it_leave_a_gap(lines, rows):
    lines[index_of(lines, 'A 200 0 0')] = 'U 200 0 0'
    found = complaints(lines, rows[1:])
    assert found and 'where 1 is next' in found[0]
    assert complaints(lines, rows[1:], gaps=True) == []


@pytest.mark.parametrize('outcome', ['A 51200 1 5 200', 'U 51200 1 5', 'R 51200 1 5 100'])
def test_one_is_there_twice(lines, rows, outcome):
    lines[index_of(lines, 'A 51200 1 5')] = outcome
    again = rows[-1]._replace(offset=rows[-1].offset + 1, id='018f-9999')
    assert '(1, 5) is there 2 times' in complaints(lines, rows + [again])


def test_one_with_a_key_is_there_twice_after_a_retry(lines, rows):
    i = index_of(lines, 'M 51000 1 5')
    lines[i] = lines[i].replace(' 1 0 {', ' 1 1 {')
    lines[i + 1:i + 1] = ['U 51050 1 5', 'T 51060 1 5 7']
    assert complaints(lines, rows) == []
    again = rows[-1]._replace(offset=rows[-1].offset + 1, id='018f-9999')
    assert '(1, 5) is there 2 times' in complaints(lines, rows + [again])


def test_one_without_a_key_may_be_acknowledged_as_often_as_it_was_sent(lines, rows):
    lines[-1:-1] = ['A 60000 1 5 300']
    assert '(1, 5) was acknowledged 2 times' in complaints(lines, rows)


def test_one_that_nobody_published(lines, rows):
    stray = rows[-1]._replace(offset=99, data='{"p":7,"n":7}')
    assert 'nobody published' in complaints(lines, rows + [stray])[0]
    stray = rows[-1]._replace(offset=99, data='no JSON')
    assert 'nobody published' in complaints(lines, rows + [stray])[0]


def test_other_data(lines, rows):
    text = rows[4].data.replace('"ab"', '"ab" ')
    assert 'other data' in complaints(lines, replaced(rows, 4, data=text))[0]


def test_another_channel(lines, rows):
    assert 'is in log:c7' in complaints(lines, replaced(rows, 4, channel='log:c7'))[0]


def test_an_offset_is_there_twice(lines, rows):
    assert complaints(lines, replaced(rows, 4, offset=rows[4].offset + 1))


def test_two_change_places(lines, rows):
    """They were sent one after the other, by different publishers."""
    same = [i for i, row in enumerate(rows) if row.channel == rows[0].channel]
    a, b = same[2], same[3]
    swapped = replaced(replaced(rows, a, data=rows[b].data), b, data=rows[a].data)
    assert 'acknowledged before it was sent' in complaints(lines, swapped)[0]


def test_two_that_were_under_way_together_may_change_places(lines, rows):
    """Of two publishers; those of one connection may not."""
    same = [i for i, row in enumerate(rows) if row.channel == rows[0].channel]
    a, b = same[2], same[3]
    keys = [ledger.key_of(rows[i].data) for i in (a, b)]
    for p, n in keys:       # acknowledged at the end
        i = next(i for i, line in enumerate(lines)
                 if line.startswith('A') and line.split()[2:4] == [str(p), str(n)])
        lines.insert(len(lines) - 1, lines.pop(i))
    swapped = replaced(replaced(rows, a, data=rows[b].data), b, data=rows[a].data)
    assert complaints(lines, swapped) == []
    i = index_of(lines, 'M %d %d %d ' % (
        1000 * (10 * keys[1][1] + keys[1][0]), *keys[1]))
    fields = lines[i].split(' ')
    fields[5] = str(keys[0][0])         # now of the same connection
    lines[i] = ' '.join(fields)
    assert 'what its connection sent before' in complaints(lines, swapped)[0]


def test_an_id_that_is_not_behind_the_one_before(lines, rows):
    assert 'is not behind' in complaints(lines, replaced(rows, 8, id='018e'))[0]


def test_a_second_epoch(lines, rows):
    """Offsets begin anew, and all else holds."""
    same = [i for i, row in enumerate(rows) if row.channel == rows[0].channel]
    for number, i in enumerate(same[3:]):
        rows[i] = rows[i]._replace(epoch='another1', offset=number + 1)
    assert complaints(lines, rows) == []
    assert complaints(lines, replaced(rows, same[4], offset=5))


def test_a_dead_letter(lines, rows):
    dead = [ledger.key_of(rows[3].data)]
    assert complaints(lines, rows[:3] + rows[4:], dead=dead) == []
    assert 'is a dead letter and is there' in complaints(lines, rows, dead=dead)[0]


# ---- subscribers -------------------------------------------------------------------


def follower(rows, channel=0, cut=None, since=None):
    """Lines of a subscriber of a channel, that comes back after CUT of them."""
    own = [row for row in rows if row.channel == 'log:c%d' % channel]
    lines = ['S 0 3 %d 0 0 0 epochepo' % channel]
    for number, row in enumerate(own):
        if number == cut:
            lines += ['B 5 3', 'S 6 3 %d %d 1 1 epochepo' % (
                channel, number if since is None else since)]
        lines.append('D 7 3 %d %d %d %d 1' % (
            channel, row.offset, *ledger.key_of(row.data)))
    return lines


def seen(lines, rows, more, **how):
    return ledger.check_subscribers(ledger.Book(lines[:-1] + more), rows, **how)


def test_a_subscriber_that_saw_all(lines, rows):
    assert seen(lines, rows, follower(rows)) == []
    assert seen(lines, rows, follower(rows, cut=3)) == []


@pytest.mark.parametrize('which', [1, 3, 6])
def test_a_subscriber_that_lost_one(lines, rows, which):
    more = follower(rows)
    del more[which]
    assert seen(lines, rows, more)


def test_a_subscriber_that_lost_one_between_recovery_and_live(lines, rows):
    more = follower(rows, cut=3)
    del more[6]
    assert seen(lines, rows, more)


def test_a_subscriber_that_saw_one_twice(lines, rows):
    more = follower(rows)
    more.insert(4, more[3])
    assert seen(lines, rows, more)


def test_a_subscriber_that_did_not_recover(lines, rows):
    more = [line.replace('1 1 epochepo', '0 1 epochepo')
            for line in follower(rows, cut=3)]
    assert 'not recovered' in seen(lines, rows, more)[0]
    assert seen(lines, rows, more, lossless=False) == []


def test_a_subscriber_that_is_told_another_place(lines, rows):
    assert 'recovered at 2' in seen(lines, rows, follower(rows, cut=3, since=2))[0]


def test_a_subscriber_that_saw_other_data(lines, rows):
    more = follower(rows)
    more[2] = more[2][:-1] + '0'
    assert 'other data' in seen(lines, rows, more)[0]


def test_a_subscriber_that_saw_what_the_database_does_not_have(lines, rows):
    more = follower(rows)
    lines[index_of(lines, 'A 50200 0 5')] = 'U 50200 0 5'
    short = [row for row in rows if ledger.key_of(row.data) != (0, 5)]
    channel = 'log:c0' if (0 + 5) % 2 == 0 else 'log:c1'
    more = follower(rows, channel=int(channel[-1]))
    assert 'where the database has None' in seen(lines, short, more)[0]
