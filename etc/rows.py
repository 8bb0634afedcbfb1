#!/usr/bin/env python3
"""rows.py CHATD PLUGINS CONFIGURATION PID: shows the rows that come into the SQLite
database of a configuration, until the process PID ends."""
import os
import re
import sqlite3
import subprocess
import sys
import time


def database(chatd, plugins, conf):
    """Where its file is: sqlite.path, relative to state_dir."""
    shown = subprocess.run([chatd, '--plugin-dir', plugins, '-T', '-c', conf], check=True,
                           capture_output=True, text=True).stdout
    state = re.search(r'^state_dir = "(.*)"$', shown, re.M).group(1)
    path = re.search(r'^\s*path = "(.*)"$', shown, re.M).group(1)
    return os.path.join(os.path.dirname(os.path.abspath(conf)), state, path)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main():
    chatd, plugins, conf, pid = sys.argv[1:]
    path = database(chatd, plugins, conf)
    print('The rows of %s, as they come:' % path, flush=True)
    db = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=10)
    query = ('select rowid, strftime(\'%H:%M:%f\', time / 1e9, \'unixepoch\'), channel, '
             '"offset", data from chatd_messages where rowid > ? order by rowid')
    last = db.execute('select coalesce(max(rowid), 0) from chatd_messages').fetchone()[0]
    while alive(int(pid)):
        for last, when, channel, offset, data in db.execute(query, (last,)).fetchall():
            # Nothing in it may steer the terminal.
            text = ''.join(c if c.isprintable() else '?' for c in data)
            print('row %d  %s  %s %d  %s' % (last, when, channel, offset, text), flush=True)
        time.sleep(0.2)


if __name__ == '__main__':
    main()
