#!/usr/bin/env python3
"""probe.py ADDRESS:PORT [WORD...]: plays wire scenarios and prints what happened.

Only scenarios whose name has one of the words, or all.  reference.txt beside this
file is the transcript that clients expect; tests/system/test_probe.py has the
configuration that goes with it, and what of it chatd plays today.
"""
import asyncio
import inspect
import pathlib
import re
import sys

import client_scenarios
import server_scenarios
from session import Session

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 60


def scenarios():
    """{name: function}, in the order of the reference."""
    found = {}
    for module in (client_scenarios, server_scenarios):
        for name, function in vars(module).items():
            if inspect.iscoroutinefunction(function) and not name.startswith('_'):
                found[name] = function
    return {name: found[name] for name in reference()}


def reference():
    """{name of a scenario: its lines}."""
    text = (HERE / 'reference.txt').read_text(encoding='utf-8')
    parts = re.split(r'^## (\w+)\n', text, flags=re.M)
    return {name: body.split('\n')[:-1] for name, body in zip(parts[1::2], parts[2::2])}


def play(name, host, api=None):
    """The lines of one scenario; API as of Session."""
    session = Session(host, api)

    async def run():
        try:
            await asyncio.wait_for(scenarios()[name](session), LIMIT)
        except Exception as error:  # pylint: disable=broad-except
            session.out('  EXC', type(error).__name__, error)

    asyncio.run(run())
    return session.lines


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    words = sys.argv[2:] or ['']
    for name in scenarios():
        if any(word in name for word in words):
            print('## ' + name, *play(name, sys.argv[1]), sep='\n', flush=True)


if __name__ == '__main__':
    main()
