"""A WebSocket client that can do wrong: every bit of a frame is at hand.

It has no thread and no event loop: it reads when the test asks.
"""
import base64
import hashlib
import itertools
import json
import os
import select
import socket
import struct
import time
import zlib

from server import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'


class Closed(Exception):
    """The server closed; code None: without a close frame."""

    def __init__(self, code, reason):
        super().__init__('closed: %s %s' % (code, reason))
        self.code = code
        self.reason = reason


class Refused(Exception):
    """The handshake got another answer than 101."""

    def __init__(self, status, headers, body):
        super().__init__('status %d' % status)
        self.status = status
        self.headers = headers
        self.body = body


def mask_bytes(payload, key):
    size = len(payload)
    pattern = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, 'big') ^ int.from_bytes(pattern, 'big')).to_bytes(
        size, 'big')


def frame(opcode, payload=b'', fin=True, rsv=0, mask=True):
    """The bytes of one frame of a client."""
    if isinstance(payload, str):
        payload = payload.encode()
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit, size = (0x80 if mask else 0), len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack('!BH', bit | 126, size)
    else:
        head += struct.pack('!BQ', bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + mask_bytes(payload, key)


def close_payload(code, reason=''):
    return struct.pack('!H', code) + reason.encode()


class Stream:
    """A socket with a buffer, and deadlines instead of blocking."""

    def __init__(self, address, tls=None, rcvbuf=None, server_hostname='localhost',
                 source=None):
        family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        raw = socket.socket(family)
        raw.settimeout(10 * PATIENCE)
        if rcvbuf:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            raw.bind((source, 0))
        raw.connect(address)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = tls.wrap_socket(raw, server_hostname=server_hostname) if tls else raw
        self.tls = bool(tls)
        self.buffer = bytearray()

    def send(self, data):
        self.sock.settimeout(10 * PATIENCE)
        self.sock.sendall(data)

    def _readable(self, timeout):
        if self.tls and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], max(0, timeout))[0])

    def fill(self, deadline):
        """Reads once.  False at the end of the stream, TimeoutError if late."""
        if not self._readable(deadline - time.monotonic()):
            raise TimeoutError('nothing came')
        try:
            data = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self.buffer += data
        return bool(data)

    def take(self, size, deadline):
        while len(self.buffer) < size:
            if not self.fill(deadline):
                raise Closed(None, 'end of the stream')
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def until(self, mark, deadline):
        while mark not in self.buffer:
            if not self.fill(deadline):
                raise Closed(None, 'end of the stream')
        size = self.buffer.index(mark) + len(mark)
        return self.take(size, deadline)

    def ended(self, timeout=5.0):
        """Waits for the end of the stream; what came before is thrown away."""
        deadline = time.monotonic() + timeout * PATIENCE
        try:
            while self.fill(deadline):
                self.buffer.clear()
        except TimeoutError:
            return False
        return True

    def close(self):
        self.sock.close()


def request_head(path='/connection/websocket', host='localhost', headers=(), key=None):
    """A handshake's request; HEADERS replace or, with None, remove others."""
    fields = {
        'Host': host, 'Upgrade': 'websocket', 'Connection': 'Upgrade',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key or base64.b64encode(os.urandom(16)).decode()}
    fields.update(dict(headers))
    lines = ['%s: %s' % item for item in fields.items() if item[1] is not None]
    return ('GET %s HTTP/1.1\r\n%s\r\n\r\n' % (path, '\r\n'.join(lines))).encode()


def read_response(stream, timeout=5.0):
    """(status, headers with small names, body) of one HTTP answer."""
    deadline = time.monotonic() + timeout * PATIENCE
    head = stream.until(b'\r\n\r\n', deadline).decode('latin-1')
    first, *lines = head.split('\r\n')
    headers = {}
    for line in lines:
        name, found, value = line.partition(':')
        if found:
            headers[name.strip().lower()] = value.strip()
    status = int(first.split()[1])
    size = int(headers.get('content-length', 0)) if status != 101 else 0
    return status, headers, stream.take(size, deadline)


class Client:
    """One connection; made by the `client` fixture, closed at the test's end."""

    def __init__(self, address, path='/connection/websocket', headers=(), tls=None,
                 rcvbuf=None, source=None, deflate=None):
        self.stream = Stream(address, tls, rcvbuf, source=source)
        self.ids = itertools.count(1)
        self.lines = []
        self.pushes = []
        self.autopong = True
        self.pings = 0
        self.control = []
        self.closed = None
        self.inflater = None
        headers = dict(headers)
        if deflate:
            headers['Sec-WebSocket-Extensions'] = deflate
        self._handshake(path, headers)

    def _handshake(self, path, headers):
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.send(request_head(path, headers=headers, key=key))
        status, self.headers, body = read_response(self.stream)
        if status != 101:
            self.stream.close()
            raise Refused(status, self.headers, body)
        accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        assert self.headers['sec-websocket-accept'] == accept
        self.extensions = self.headers.get('sec-websocket-extensions', '')
        if 'permessage-deflate' in self.extensions:
            self.inflater = zlib.decompressobj(-15)

    # ---- frames ----------------------------------------------------------

    def send_frame(self, opcode, payload=b'', **how):
        self.stream.send(frame(opcode, payload, **how))

    def send_text(self, text):
        self.send_frame(TEXT, text)

    def recv_frame(self, timeout=5.0):
        """(opcode, fin, rsv, payload) of the next frame."""
        deadline = time.monotonic() + timeout * PATIENCE
        # Looked at first, taken when whole: a time-out loses nothing.
        buffer = self.stream.buffer
        while True:
            size, head = self._frame_size(buffer)
            if size is not None and len(buffer) >= size:
                break
            if not self.stream.fill(deadline):
                raise Closed(None, 'end of the stream')
        data = self.stream.take(size, deadline)
        assert not data[1] & 0x80, 'a server does not mask'
        return data[0] & 15, bool(data[0] & 0x80), data[0] >> 4 & 7, data[head:]

    @staticmethod
    def _frame_size(buffer):
        if len(buffer) < 2:
            return None, 0
        short = buffer[1] & 0x7f
        head = {126: 4, 127: 10}.get(short, 2)
        if len(buffer) < head:
            return None, head
        size = short if head == 2 else int.from_bytes(buffer[2:head], 'big')
        return head + size, head

    def recv_message(self, timeout=5.0):
        """(opcode, payload) of the next message; control frames go to .control."""
        parts, kind, packed = [], None, False
        while True:
            opcode, fin, rsv, payload = self.recv_frame(timeout)
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], 'big') if payload else 1005
                self.closed = Closed(code, payload[2:].decode())
                raise self.closed
            if opcode >= 8:
                self.control.append((opcode, payload))
                continue
            if opcode:
                kind, packed = opcode, bool(rsv & 4)
            parts.append(payload)
            if fin:
                return kind, self._inflated(b''.join(parts)) if packed else b''.join(parts)

    def _inflated(self, payload):
        text = self.inflater.decompress(payload + b'\0\0\xff\xff')
        if 'server_no_context_takeover' in self.extensions:
            self.inflater = zlib.decompressobj(-15)
        return text

    # ---- the client protocol ---------------------------------------------

    def next(self, timeout=5.0):
        """The next reply or push; pings are answered on the way."""
        end = time.monotonic() + timeout * PATIENCE
        while True:
            while not self.lines:
                left = max(0.0, end - time.monotonic()) / PATIENCE
                _, payload = self.recv_message(left)
                self.lines = payload.decode().split('\n')
                assert all(self.lines), 'an empty line in a message'
            line = self.lines.pop(0)
            if line != '{}':
                self.last_line = line
                return json.loads(line)
            self.pings += 1
            if self.autopong:
                self.send_text('{}')

    def send_command(self, **command):
        number = next(self.ids)
        self.send_text(json.dumps({'id': number, **command}, separators=(',', ':')))
        return number

    def reply(self, number, timeout=5.0):
        """The reply to a command; pushes that come before go to .pushes."""
        while True:
            got = self.next(timeout)
            if got.get('id') == number:
                return got
            assert 'push' in got, got
            self.pushes.append(got['push'])

    def call(self, timeout=5.0, **command):
        return self.reply(self.send_command(**command), timeout)

    def connect(self, **fields):
        self.info = self.call(connect=fields)['connect']
        return self

    @property
    def worker(self):
        return self.info['data']['worker']

    def subscribe(self, *channels):
        for channel in channels:
            reply = self.call(subscribe={'channel': channel})
            assert reply.get('subscribe') == {}, reply
        return self

    def publish(self, channel, data):
        reply = self.call(publish={'channel': channel, 'data': data})
        assert reply.get('publish') == {}, reply

    def push(self, timeout=5.0):
        """The next push."""
        if self.pushes:
            return self.pushes.pop(0)
        got = self.next(timeout)
        assert 'push' in got, got
        return got['push']

    def publications(self, count, timeout=5.0):
        """Data of the next COUNT publications."""
        return [self.push(timeout)['pub']['data'] for _ in range(count)]

    def silent(self, seconds=0.3):
        """True if nothing but pings comes within that time."""
        try:
            self.pushes.append(self.next(seconds))
        except TimeoutError:
            return True
        return False

    def closing(self, timeout=5.0):
        """(code, reason) with which the server closes, whatever comes before."""
        try:
            while True:
                self.lines.clear()
                self.next(timeout)
        except Closed as closed:
            return closed.code, closed.reason

    def close(self):
        self.stream.close()
