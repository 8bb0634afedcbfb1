"""A client that follows a channel by its position, as SDKs do, and checks the order."""
import asyncio
import base64
import json
import os

import wire
from server import PATIENCE

STREAM = {'subscribe': 'anyone', 'publish': 'anyone', 'history_size': 1000,
          'history_for': 'anyone', 'recover': True}


class Follower:
    """What it was told of a channel: all publications since it came, once and in order,
    or that it has lost its position."""

    def __init__(self, channel):
        self.channel = channel
        self.client = None
        self.epoch = None
        self.offset = 0
        self.data = []
        self.lost = 0
        self.reply = None

    def come(self, client, **wishes):
        """Subscribes; what it knows of its position is recovered from."""
        self.client = client
        request = {'channel': self.channel, **wishes}
        if self.epoch:
            request.update(recover=True, offset=self.offset, epoch=self.epoch)
        self.reply = client.call(subscribe=request)['subscribe']
        self._subscribed(self.reply)
        for push in client.pushes:
            assert push['channel'] != self.channel, 'a push before the reply'
        return self

    def _subscribed(self, reply):
        assert reply['positioned']
        if self.epoch and reply.get('recovered'):
            assert reply['epoch'] == self.epoch
            assert reply.get('offset', 0) == self.offset
            for pub in reply.get('publications', []):
                self._take(pub)
        else:
            self.epoch = reply['epoch']
            self.offset = reply.get('offset', 0)

    def _take(self, pub):
        assert pub['offset'] == self.offset + 1, (pub, self.offset)
        self.offset = pub['offset']
        self.data.append(pub['data'])

    def next(self, timeout=5.0):
        """Takes the next push; false if it says that the position is lost."""
        push = self.client.push(timeout)
        assert push['channel'] == self.channel
        if 'pub' in push:
            self._take(push['pub'])
            return True
        assert push['unsubscribe'] == {'code': 2500, 'reason': 'insufficient state'}
        self.lost += 1
        return False

    def until(self, data, timeout=10.0):
        """Reads until DATA was published; comes again when it has lost its position."""
        while not self.data or self.data[-1] != data:
            if not self.next(timeout):
                self.come(self.client)
        return self


# ---- very many of them ----------------------------------------------------------------

class Crowd:
    """COUNT connections to a server that follow one channel, in one event loop."""

    def __init__(self, server, channel, count):
        self.server = server
        self.channel = channel
        self.count = count
        self.known = [None] * count  # (epoch, offset)
        self.links = []
        self.recovered = 0

    async def _open(self):
        reader, writer = await asyncio.open_connection(*self.server.address)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(wire.request_head(key=key))
        head = await reader.readuntil(b'\r\n\r\n')
        assert b' 101 ' in head.split(b'\r\n')[0], head
        return reader, writer

    @staticmethod
    async def _message(reader):
        head = await reader.readexactly(2)
        assert head[0] == 0x80 | wire.TEXT, head
        size = head[1]
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), 'big')
        elif size == 127:
            size = int.from_bytes(await reader.readexactly(8), 'big')
        return [json.loads(line) for line in
                (await reader.readexactly(size)).decode().split('\n') if line != '{}']

    async def _come(self, number, gate):
        """Connects, and subscribes; leaves the position that it then has."""
        request = {'channel': self.channel}
        if self.known[number]:
            epoch, offset = self.known[number]
            request.update(recover=True, epoch=epoch, offset=offset)
        async with gate:
            reader, writer = await self._open()
            self.links[number] = reader, writer
            text = '{"id":1,"connect":{}}\n' + json.dumps({'id': 2, 'subscribe': request})
            writer.write(wire.frame(wire.TEXT, text))
            reply = None
            while not reply:
                for got in await self._message(reader):
                    if got.get('id') == 2:
                        reply = got['subscribe']
        offset = reply.get('offset', 0)
        if self.known[number]:
            assert reply.get('recovered'), reply
            assert offset == self.known[number][1], reply
            self.recovered += 1
        for pub in reply.get('publications', []):
            assert pub['offset'] == offset + 1, (pub['offset'], offset)
            offset += 1
        self.known[number] = reply['epoch'], offset

    async def _read(self, number, last):
        """Follows until the publication whose data is LAST."""
        reader, _ = self.links[number]
        epoch, offset = self.known[number]
        data = None
        while data != last:
            for got in await self._message(reader):
                pub = got['push']['pub']
                assert pub['offset'] == offset + 1, (pub['offset'], offset)
                offset, data = pub['offset'], pub['data']
        self.known[number] = epoch, offset

    async def _all(self, make, timeout):
        await asyncio.wait_for(
            asyncio.gather(*(make(number) for number in range(self.count))),
            timeout * PATIENCE)

    async def come(self, timeout=60, at_a_time=256):
        gate = asyncio.Semaphore(at_a_time)
        self.links = [None] * self.count
        await self._all(lambda number: self._come(number, gate), timeout)

    async def read(self, last, timeout=60):
        await self._all(lambda number: self._read(number, last), timeout)

    def go(self):
        """Cuts all connections at once."""
        for _, writer in self.links:
            writer.transport.abort()
        self.links = []
