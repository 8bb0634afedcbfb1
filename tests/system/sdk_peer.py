"""sdk_peer.py: clients of the Python SDK, driven from outside.

Reads orders from standard input and writes what happens to standard output, each
a line of JSON with the number of the client; sdk.py has the other end.
"""
import asyncio
import json
import sys

import centrifuge


def person(info):
    return {'client': info.client, 'user': info.user, 'conn_info': info.conn_info}


class ClientEvents(centrifuge.ClientEventHandler):
    def __init__(self, tell):
        self.tell = tell

    async def on_connected(self, ctx):
        self.tell('connected', client=ctx.client, data=ctx.data)

    async def on_connecting(self, ctx):
        self.tell('connecting', code=ctx.code)

    async def on_disconnected(self, ctx):
        self.tell('disconnected', code=ctx.code)

    async def on_error(self, ctx):
        self.tell('error', code=ctx.code)


class SubscriptionEvents(centrifuge.SubscriptionEventHandler):
    def __init__(self, channel, tell):
        self.channel = channel
        self.tell = tell

    async def on_subscribed(self, ctx):
        position = ctx.stream_position
        self.tell('subscribed', channel=self.channel, recoverable=ctx.recoverable,
                  positioned=ctx.positioned, position=position and vars(position),
                  was_recovering=ctx.was_recovering, recovered=ctx.recovered)

    async def on_subscribing(self, ctx):
        self.tell('subscribing', channel=self.channel, code=ctx.code)

    async def on_unsubscribed(self, ctx):
        self.tell('unsubscribed', channel=self.channel, code=ctx.code)

    async def on_publication(self, ctx):
        self.tell('publication', channel=self.channel, data=ctx.pub.data,
                  offset=ctx.pub.offset)

    async def on_join(self, ctx):
        self.tell('join', channel=self.channel, **person(ctx.info))

    async def on_leave(self, ctx):
        self.tell('leave', channel=self.channel, **person(ctx.info))

    async def on_error(self, ctx):
        self.tell('sub_error', channel=self.channel, code=ctx.code)


class Orders:
    """What a client can be told to do."""

    def __init__(self, who, url, options):
        self.who = who
        self.client = centrifuge.Client(
            url, events=ClientEvents(self.tell), token=options.get('token', ''),
            min_reconnect_delay=0.05, max_reconnect_delay=0.5, proxy=None)
        self.tell('ready')

    def tell(self, event, **fields):
        print(json.dumps({'who': self.who, 'event': event, **fields}), flush=True)

    async def connect(self):
        await self.client.connect()

    async def disconnect(self):
        await self.client.disconnect()

    async def subscribe(self, channel, options=None):
        subscription = self.client.get_subscription(channel)
        if subscription is None:
            subscription = self.client.new_subscription(
                channel, events=SubscriptionEvents(channel, self.tell),
                min_resubscribe_delay=0.05, max_resubscribe_delay=0.5, **(options or {}))
        await subscription.subscribe()

    async def unsubscribe(self, channel):
        await self.client.get_subscription(channel).unsubscribe()

    async def publish(self, channel, data):
        code = await self._answer(self.client.publish(channel, data))
        if code is None:
            self.tell('published', channel=channel, data=data)
        else:
            self.tell('publish_error', channel=channel, data=data, code=code)

    async def _answer(self, call, told=None):
        """None, or the code of what it failed with; TOLD gets the result."""
        try:
            result = await call
        except centrifuge.ReplyError as error:
            return error.code
        except centrifuge.CentrifugeError:
            return 0
        if told:
            told(result)
        return None

    async def _ask(self, event, channel, call, make):
        code = await self._answer(
            call, lambda result: self.tell(event, channel=channel, **make(result)))
        if code is not None:
            self.tell(event + '_error', channel=channel, code=code)

    async def history(self, channel, limit=0, since=None, reverse=False):
        since = since and centrifuge.StreamPosition(**since)
        await self._ask(
            'history', channel, self.client.history(channel, limit, since, reverse),
            lambda result: {
                'offset': result.offset, 'epoch': result.epoch,
                'publications': [[pub.offset, pub.data] for pub in result.publications]})

    async def presence(self, channel):
        await self._ask(
            'presence', channel, self.client.presence(channel),
            lambda result: {
                'clients': {key: person(info) for key, info in result.clients.items()}})

    async def presence_stats(self, channel):
        await self._ask(
            'presence_stats', channel, self.client.presence_stats(channel),
            lambda result: {'clients': result.num_clients, 'users': result.num_users})

    async def forget(self, channel):
        """The SDK lets nobody subscribe twice: it has to lose its memory first."""
        del self.client._subs[channel]


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    clients, tasks = {}, set()
    while line := await lines.readline():
        fields = json.loads(line)
        who, order = fields.pop('who'), fields.pop('order')
        if order == 'make':
            clients[who] = Orders(who, **fields)
            continue
        task = asyncio.create_task(getattr(clients[who], order)(**fields))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == '__main__':
    asyncio.run(main())
