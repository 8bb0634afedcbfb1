"""A little server of the client protocol that does wrong what it is told to.

It exists to prove that chatbench sees what it claims to see: it counts what it
loses, doubles, swaps and so on, and the tests compare.  It runs in a thread.
"""
import asyncio
import base64
import collections
import hashlib
import hmac
import json
import logging
import threading
import zlib

# A client that is gone is nothing to report.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(data, opcode=1, fin=True, rsv1=False):
    """One unmasked frame."""
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    n = len(data)
    if n < 126:
        return bytes([first, n]) + data
    if n < 65536:
        return bytes([first, 126]) + n.to_bytes(2, "big") + data
    return bytes([first, 127]) + n.to_bytes(8, "big") + data


def token_user(token, secret):
    """The user of an HS256 token, or None when it is not right."""
    head, claims, signature = token.split(".")
    want = hmac.new(secret, f"{head}.{claims}".encode(), hashlib.sha256).digest()
    pad = "=" * (-len(signature) % 4)
    if not hmac.compare_digest(want, base64.urlsafe_b64decode(signature + pad)):
        return None
    pad = "=" * (-len(claims) % 4)
    return json.loads(base64.urlsafe_b64decode(claims + pad))["sub"]


class Client:
    """One connection."""

    def __init__(self, writer):
        self.writer = writer
        self.channel = None
        self.deflate = False
        self.published = False
        self.doomed = False

    def text(self, data, fragments=1):
        """Sends a message, in several frames when that is wanted."""
        if self.deflate:
            z = zlib.compressobj(wbits=-15)
            data = z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH)
            data = data[:-4]
        step = -(-len(data) // fragments)
        for at in range(0, len(data), step):
            self.writer.write(frame(data[at:at + step], 1 if at == 0 else 0,
                                    at + step >= len(data), self.deflate and at == 0))

    def json(self, value):
        self.text(json.dumps(value, separators=(",", ":")).encode())


class FakeServer:
    """Faults are given by name: every N-th publication is treated so.

    lose, double, swap, misroute, damage, refuse, unanswered: see publish().
    cut: at that publication (once) a listener's connection breaks;
    cut_publisher: its own publisher's does, after delivery and before the answer.
    Ways to write what is right: fragments=N, pieces, batch, reverse, deflate.
    Others: bad_accept, close_code, ping, secret, masked, blank, tls.
    """

    def __init__(self, **how):
        self.how = collections.defaultdict(int, how)
        self.did = collections.Counter()
        self.users = set()
        self.rooms = collections.defaultdict(list)
        self.n = 0
        self.held = None
        self.port = None
        self.lines = collections.defaultdict(list)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.started = threading.Event()

    def __enter__(self):
        self.thread.start()
        self.started.wait(5)
        return self

    def __exit__(self, *exc):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    @property
    def url(self):
        scheme = "wss" if self.how["tls"] else "ws"
        return f"{scheme}://127.0.0.1:{self.port}/connection/websocket"

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(
            self.client, "127.0.0.1", 0, ssl=self.how["tls"] or None))
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def due(self, fault):
        """Whether this publication is treated so."""
        every = self.how[fault]
        return every and self.n % every == 0

    # ---- one connection

    async def client(self, reader, writer):
        c = Client(writer)
        self.did["connections"] += 1
        try:
            await self.upgrade(reader, c)
            while True:
                opcode, data = await self.read_frame(reader)
                if opcode == 8:
                    writer.write(frame(data, 8))
                    break
                if opcode == 1:
                    for line in data.split(b"\n"):
                        self.command(c, json.loads(line))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            if c in self.rooms[c.channel]:
                self.rooms[c.channel].remove(c)
            writer.close()

    async def upgrade(self, reader, c):
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        accept = base64.b64encode(
            hashlib.sha1(fields[b"Sec-WebSocket-Key"] + GUID).digest())
        if self.how["bad_accept"]:
            accept = b"A" * 27 + b"="
        c.deflate = bool(self.how["deflate"] and
                         b"permessage-deflate" in fields.get(b"Sec-WebSocket-Extensions", b""))
        extension = b""
        if c.deflate:
            extension = (b"Sec-WebSocket-Extensions: permessage-deflate; "
                         b"server_no_context_takeover; client_no_context_takeover\r\n")
        c.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n" +
                       extension + b"\r\n")

    async def read_frame(self, reader):
        head = await reader.readexactly(2)
        assert head[0] & 0xf0 == 0x80, "not a single frame"
        assert head[1] & 0x80, "a client has to mask"
        n = head[1] & 127
        if n == 126:
            n = int.from_bytes(await reader.readexactly(2), "big")
        mask = await reader.readexactly(4)
        data = await reader.readexactly(n)
        return head[0] & 15, bytes(b ^ mask[i & 3] for i, b in enumerate(data))

    # ---- commands

    def command(self, c, cmd):
        if cmd == {}:
            self.did["pongs"] += 1
        elif "connect" in cmd:
            self.connect(c, cmd)
        elif "subscribe" in cmd:
            c.channel = cmd["subscribe"]["channel"]
            self.rooms[c.channel].append(c)
            c.json({"id": cmd["id"], "subscribe": {}})
        else:
            self.publish(c, cmd["id"], cmd["publish"])

    def connect(self, c, cmd):
        token = cmd["connect"].get("token")
        if self.how["secret"]:
            user = token_user(token, self.how["secret"]) if token else None
            if user is None:
                c.writer.write(frame((3500).to_bytes(2, "big") + b"invalid token", 8))
                return
            self.users.add(user)
        if self.how["close_code"]:
            c.writer.write(frame(self.how["close_code"].to_bytes(2, "big") + b"go", 8))
            return
        result = {"client": "x", "version": "0"}
        if self.how["ping"]:
            result.update(ping=1, pong=True)
        c.json({"id": cmd["id"], "connect": result})
        if self.how["ping"]:
            c.text(b"{}")
        if self.how["masked"]:
            c.writer.write(b"\x81\x82\0\0\0\0{}")

    def publish(self, c, ident, cmd):
        self.n += 1
        c.published = True
        if self.due("refuse"):
            self.did["refused"] += 1
            c.json({"id": ident, "error": {"code": 111, "message": "too many requests"}})
            return
        push = {"data": cmd["data"]}
        push = {"pub": push, "channel": cmd["channel"]} if self.how["reverse"] else {
            "channel": cmd["channel"], "pub": push}
        self.deliver(cmd["channel"],
                     json.dumps({"push": push}, separators=(",", ":")).encode())
        if self.how["cut_publisher"] == self.n:
            self.did["cut"] += 1
            c.doomed = True
            # after what was written is on its way
            self.loop.call_later(0.05, c.writer.transport.abort)
        elif self.due("unanswered") or c.doomed:
            self.did["unanswered"] += 1
        else:
            self.did["answered"] += 1
            c.json({"id": ident, "publish": {}})

    # ---- deliveries

    def deliver(self, channel, data):
        if self.how["cut"] == self.n:
            self.cut(channel)
        if self.due("damage"):
            data = data.replace(b"\"x\":\"", b"\"x\":\"?", 1)
            self.did["damaged"] += len(self.rooms[channel])
        if self.due("misroute"):
            for other in list(self.rooms):
                if other not in (channel, None):
                    self.rooms[other][0].text(data)
                    self.did["misrouted"] += 1
        if self.due("swap") and self.held is None:
            self.held = (channel, data)
            self.loop.call_later(0.2, self.let_go)
            return
        self.send(channel, data)
        if self.held is not None and self.held[0] == channel:
            self.did["reordered"] += len(self.rooms[channel])
            self.let_go()

    def let_go(self):
        if self.held is not None:
            channel, data = self.held
            self.held = None
            self.send(channel, data)

    def cut(self, channel):
        for c in self.rooms[channel]:
            if not c.published:
                self.did["cut"] += 1
                self.rooms[channel].remove(c)
                c.writer.transport.abort()
                return

    def send(self, channel, data):
        to = list(self.rooms[channel])
        if self.due("lose"):
            to.pop(0)
            self.did["lost"] += 1
        for c in to:
            self.send_one(c, data)
            if self.due("double"):
                self.send_one(c, data)
                self.did["duplicates"] += 1

    def send_one(self, c, data):
        self.did["sent"] += 1
        if self.how["batch"]:
            self.lines[c].append(data)
            if len(self.lines[c]) == 1:
                self.loop.call_later(0.03, self.send_batch, c)
        elif self.how["pieces"]:
            # the head byte for byte, the rest in two
            whole = frame(data)
            for a, z in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 100), (100, None)):
                c.writer.write(whole[a:z])
        elif self.how["blank"]:
            c.text(data + b"\n\n" + data)
        else:
            c.text(data, self.how["fragments"] or 1)

    def send_batch(self, c):
        c.text(b"\n".join(self.lines.pop(c)))
