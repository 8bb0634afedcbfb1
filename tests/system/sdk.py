"""Clients of SDKs in processes of their own, and what may come between them and chatd.

A process of an SDK (sdk_peer.mjs, sdk_peer.py) has any number of clients.  It reads
orders and tells what happens, a line of JSON each; here is the other end.
"""
import itertools
import json
import pathlib
import queue
import socket
import struct
import subprocess
import sys
import threading
import time

from server import PATIENCE

HERE = pathlib.Path(__file__).resolve().parent
COMMANDS = {'js': ['node', str(HERE / 'sdk_peer.mjs')],
            'python': [sys.executable, str(HERE / 'sdk_peer.py')]}


class Host:
    """The process of one SDK."""

    def __init__(self, kind):
        self.kind = kind
        self.process = subprocess.Popen(
            COMMANDS[kind], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.numbers = itertools.count(1)
        self.events = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            got = json.loads(line)
            self.events[got.pop('who')].put(got)

    def tell(self, who, order, **fields):
        self.process.stdin.write(
            json.dumps({'who': who, 'order': order, **fields}) + '\n')
        self.process.stdin.flush()

    def end(self):
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


class Peer:
    """A client; SERVER is what has a url(): a server, or a Line to one."""

    def __init__(self, host, server, **options):
        self.host, self.kind = host, host.kind
        self.who = next(host.numbers)
        self.events = host.events[self.who] = queue.Queue()
        self.waiting = []
        self.order('make', url=server.url(), options=options)
        self.expect('ready', timeout=20)

    def order(self, order, **fields):
        self.host.tell(self.who, order, **fields)

    def expect(self, event, timeout=10, **fields):
        """Takes the first event that fits, waiting for it; others stay in line."""
        wanted = {'event': event, **fields}
        end = time.monotonic() + timeout * PATIENCE
        while True:
            for got in self.waiting:
                if wanted.items() <= got.items():
                    self.waiting.remove(got)
                    return got
            try:
                self.waiting.append(
                    self.events.get(timeout=max(0.01, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError('%s: no %s, but %s' % (
                    self.kind, wanted, self.waiting)) from None

    def all(self, event, **fields):
        """All that fit and have come, without waiting."""
        wanted = {'event': event, **fields}
        while not self.events.empty():
            self.waiting.append(self.events.get())
        return [got for got in self.waiting if wanted.items() <= got.items()]

    def connect(self):
        self.order('connect')
        return self.expect('connected')

    def subscribe(self, channel, **options):
        self.order('subscribe', channel=channel, options=options)
        return self.expect('subscribed', channel=channel)

    def publish(self, channel, data, timeout=10):
        self.order('publish', channel=channel, data=data)
        self.expect('published', channel=channel, data=data, timeout=timeout)

    def ask(self, order, channel, **fields):
        """The answer to history, presence or presence_stats."""
        self.order(order, channel=channel, **fields)
        return self.expect(order, channel=channel)

    def publications(self, channel, count, timeout=10):
        """The next COUNT publications of CHANNEL, in the order in which they came."""
        return [self.expect('publication', channel=channel, timeout=timeout)
                for _ in range(count)]

    def end(self):
        self.order('disconnect')


class Line:
    """A line between a client and a server that can be cut: TCP, byte for byte."""

    def __init__(self, server):
        self.server = server
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open = True
        self.pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path='/connection/websocket'):
        return 'ws://127.0.0.1:%d%s' % (self.port, path)

    @staticmethod
    def _reset(sock):
        """Ends it as a lost network does: without a word of the protocol."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            # close() alone would leave it open to a thread that reads from it.
            sock.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        sock.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.open:
                    self._reset(near)
                    continue
                try:
                    far = socket.create_connection(self.server.address)
                except OSError:
                    self._reset(near)
                    continue
                self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(
                    target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        self._reset(source)
        self._reset(sink)

    def cut(self):
        """Ends all connections, and lets none through until mend."""
        with self.lock:
            self.open = False
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for sock in pair:
                self._reset(sock)

    def mend(self):
        with self.lock:
            self.open = True

    def close(self):
        self.cut()
        self.listener.close()
