"""What scenarios are made of: clients, HTTP requests, and the transcript.

A transcript has no value that changes from run to run: ids, epochs, times and
tokens are replaced by names.  So transcripts of two runs, or of two servers, can be
compared line by line.
"""
import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import time
import urllib.error
import urllib.request

import websockets

UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')
RULES = [
    (re.compile(r'"epoch":"[A-Za-z0-9_-]+"'), '"epoch":"EPOCH"'),
    (re.compile(r'"time":\d{13}'), '"time":TIME'),
    (re.compile(r'"version":"[^"]*"'), '"version":"VERSION"'),
    (re.compile(r'eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+'), 'JWT'),
    (re.compile(r'"expire_at": ?\d{10}'), '"expire_at":T'),
    (re.compile(r'"ttl":(?:49|50)\b'), '"ttl":50'),
    (re.compile(r'"ttl":(?:99|100)\b'), '"ttl":100'),
]
SECRET = 'secret'
API_KEY = 'api_key'


def now():
    return int(time.time())


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def jwt(claims, key=SECRET):
    """A token with these claims, signed with HS256."""
    head = b64url(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())
    text = head + '.' + b64url(json.dumps(claims).encode())
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return text + '.' + b64url(digest)


def canonical(message):
    """JSON lines with sorted members and without spaces; other lines as they are."""
    lines = []
    for line in message.split('\n'):
        try:
            line = json.dumps(json.loads(line), sort_keys=True, ensure_ascii=False,
                              separators=(',', ':'))
        except ValueError:
            pass
        lines.append(line)
    return '\n'.join(lines)


class Session:
    """One scenario against the server at HOST ("address:port").

    API: a function that makes a request to the server API in another way than over
    HTTP at that address; it takes the path and the body, and returns status and text.
    """

    def __init__(self, host, api=None):
        self.host = host
        self.post = api
        self.url = 'ws://%s/connection/websocket' % host
        self.run = '%x' % (int(time.time() * 1000) % 10**9)
        self.names = {}
        self.lines = []

    # ---- transcript ------------------------------------------------------

    def _normal(self, text):
        text = UUID.sub(lambda match: self.names.setdefault(
            match.group(0), 'UUID%d' % (len(self.names) + 1)), text)
        for pattern, name in RULES:
            text = pattern.sub(name, text)
        return text.replace(self.run, 'RUN')

    def out(self, *words):
        text = ' '.join(self._normal(str(word)) for word in words)
        self.lines.extend(line.rstrip() for line in text.split('\n'))

    # ---- clients ---------------------------------------------------------

    async def open(self, tag='c', url=None, **how):
        """A connection without a connect command."""
        client = Client(self, tag, autopong='uni_' not in (url or ''))
        client.socket = await websockets.connect(
            url or self.url, compression=None, ping_interval=None, proxy=None, **how)
        return client

    async def conn(self, tag='c', **fields):
        """A connection that has sent its connect command."""
        client = await self.open(tag)
        replies = await client.connect(**fields)
        try:
            client.id = json.loads(replies[0].split('\n')[0])['connect']['client']
        except (LookupError, ValueError):
            client.id = ''
        return client

    # ---- HTTP ------------------------------------------------------------

    def _post(self, path, body, key, headers, method):
        request = urllib.request.Request(
            'http://%s%s' % (self.host, path), data=body, method=method)
        if key is not None:
            request.add_header('X-API-Key', key)
        request.add_header('Content-Type', 'application/json')
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def api(self, method, body, show=True, key=API_KEY, headers=None, raw=None,
                  path=None, http='POST'):
        """A request to the server API; returns the text of the answer."""
        data = json.dumps(body).encode() if raw is None else raw
        if self.post:
            how = self.post, path or '/api/' + method, data
        else:
            how = self._post, path or '/api/' + method, data, key, headers, http
        status, text = await asyncio.to_thread(*how)
        if show:
            self.out('  API', method, json.dumps(body)[:300], '->', status,
                     canonical(text.strip())[:900])
        return text

    async def emulate(self, what, body):
        status, text = await asyncio.to_thread(
            self._post, '/emulation', json.dumps(body).encode(), None, None, 'POST')
        self.out('  ' + what, status, text)

    def _exchange(self, head, body, seconds):
        host, port = self.host.split(':')
        stream = socket.create_connection((host, int(port)))
        stream.sendall(head + (body or b''))
        received, end = b'', time.time() + seconds
        try:
            while True:
                stream.settimeout(max(0.01, end - time.time()))
                data = stream.recv(65536)
                if not data:
                    received += b'<EOF>'
                    break
                received += data
        except TimeoutError:
            pass
        return received, stream

    async def http(self, method, path, body=None, headers=None, seconds=1.2):
        """A request on a socket of its own; (all that came, the open socket)."""
        fields = {'Host': self.host, **(headers or {})}
        if body is not None:
            fields['Content-Length'] = str(len(body))
        head = '%s %s HTTP/1.1\r\n%s\r\n' % (method, path, ''.join(
            '%s: %s\r\n' % field for field in fields.items()))
        received, stream = await asyncio.to_thread(
            self._exchange, head.encode(), body, seconds)
        self.out('  HTTP', method, path[:100], '->')
        self._show_answer(received.decode('utf8', 'replace'))
        return received, stream

    def _show_answer(self, text):
        head, _, body = text.replace('\r', '').partition('\n\n')
        first, *fields = head.split('\n')
        names = sorted(field.lower() for field in fields)
        for line in [first, *(n for n in names if not n.startswith('date:')), '']:
            self.out('    |', line)
        for line in body.split('\n'):
            if line and not re.fullmatch('[0-9a-f]{1,3}', line):
                self.out('    |', canonical(re.sub('^data: ', '', line)))

    async def show(self, *args, **kwargs):
        """http(), and the socket is closed."""
        (await self.http(*args, **kwargs))[1].close()


class Client:
    """A WebSocket connection; what it sends and gets stands in the transcript."""

    def __init__(self, session, tag, autopong):
        self.session = session
        self.tag = tag
        self.number = 0
        self.autopong = autopong
        self.socket = None

    async def raw(self, message):
        shown = message if isinstance(message, str) else message.hex()
        self.session.out('  %s >' % self.tag, shown)
        await self.socket.send(message)

    async def send(self, **command):
        self.number += 1
        await self.raw(json.dumps({'id': self.number, **command}, separators=(',', ':')))

    def _show(self, message):
        mark = '  %s <' % self.tag
        if not isinstance(message, str):
            self.session.out(mark, message.hex())
            return
        for line in canonical(message).split('\n'):
            self.session.out(mark, line)

    async def recv(self, seconds=0.35, count=99):
        """What comes until nothing comes for so long; at most COUNT messages."""
        got = []
        for _ in range(count):
            try:
                message = await asyncio.wait_for(self.socket.recv(), seconds)
            except asyncio.TimeoutError:
                break
            except websockets.ConnectionClosed as closed:
                end = closed.rcvd
                self.session.out('  %s < CLOSE' % self.tag, end.code if end else None,
                                 end.reason if end else None)
                break
            if message == '{}' and self.autopong:
                await self.socket.send('{}')
                continue
            self._show(message)
            got.append(message)
        return got

    async def do(self, seconds=0.3, **command):
        await self.send(**command)
        return await self.recv(seconds)

    async def connect(self, **fields):
        return await self.do(connect=fields)

    async def close(self):
        try:
            await self.socket.close()
        except (OSError, websockets.WebSocketException):
            pass
