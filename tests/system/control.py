"""A client of the control socket, and of any HTTP listener, byte by byte."""

import json
import os
import socket

HEAD_END = b'\r\n\r\n'


def connect(path):
    """A socket connected to PATH, however long that is."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    directory = os.open(os.path.dirname(path), os.O_PATH)
    try:
        sock.connect('/proc/self/fd/%d/%s' % (directory, os.path.basename(path)))
    finally:
        os.close(directory)
    return sock


def request(path, body=b'{}', method='POST', extra=''):
    """The bytes of a request; BODY is sent as it is, or as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    head = '%s %s HTTP/1.1\r\nHost: chatd\r\nContent-Length: %d\r\n%s\r\n' % (
        method, path, len(body), extra)
    return head.encode() + body


class Reader:
    """Answers, one after the other, on one connection."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b''

    def more(self):
        data = self.sock.recv(65536)
        self.rest += data
        return data

    def answer(self):
        """(status, headers, body); None at the end of the connection."""
        while HEAD_END not in self.rest:
            if not self.more():
                assert not self.rest
                return None
        head, _, self.rest = self.rest.partition(HEAD_END)
        lines = head.decode().split('\r\n')
        headers = {name.lower(): value for name, _, value in
                   (line.partition(': ') for line in lines[1:])}
        length = int(headers.get('content-length', 0))
        while len(self.rest) < length:
            assert self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(lines[0].split()[1]), headers, body


def call(path, method, args=None):
    """What the control socket at PATH answers to METHOD, as a dictionary."""
    with connect(str(path)) as sock:
        sock.sendall(request(method, args or {}))
        status, _, body = Reader(sock).answer()
    assert status == 200, body
    return json.loads(body)
