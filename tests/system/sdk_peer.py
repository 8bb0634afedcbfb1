"""sdk_peer.py URL OPTIONS: one client of the Python SDK, driven from outside.

Reads orders from standard input and writes what happens to standard output, each
a line of JSON; test_sdk.py has the other end.
"""
import asyncio
import json
import sys

import centrifuge


def tell(event, **fields):
    print(json.dumps({'event': event, **fields}), flush=True)


class ClientEvents(centrifuge.ClientEventHandler):
    async def on_connected(self, ctx):
        tell('connected', client=ctx.client, data=ctx.data)

    async def on_connecting(self, ctx):
        tell('connecting', code=ctx.code)

    async def on_disconnected(self, ctx):
        tell('disconnected', code=ctx.code)

    async def on_error(self, ctx):
        tell('error', code=ctx.code)


class SubscriptionEvents(centrifuge.SubscriptionEventHandler):
    def __init__(self, channel):
        self.channel = channel

    async def on_subscribed(self, ctx):
        tell('subscribed', channel=self.channel)

    async def on_subscribing(self, ctx):
        tell('subscribing', channel=self.channel, code=ctx.code)

    async def on_unsubscribed(self, ctx):
        tell('unsubscribed', channel=self.channel, code=ctx.code)

    async def on_publication(self, ctx):
        tell('publication', channel=self.channel, data=ctx.pub.data)

    async def on_error(self, ctx):
        tell('sub_error', channel=self.channel, code=ctx.code)


class Orders:
    def __init__(self, url, options):
        self.client = centrifuge.Client(
            url, events=ClientEvents(), token=options.get('token', ''),
            min_reconnect_delay=0.05, max_reconnect_delay=0.5, proxy=None)

    async def connect(self):
        await self.client.connect()

    async def disconnect(self):
        await self.client.disconnect()

    async def subscribe(self, channel):
        subscription = self.client.get_subscription(channel)
        if subscription is None:
            subscription = self.client.new_subscription(
                channel, events=SubscriptionEvents(channel),
                min_resubscribe_delay=0.05, max_resubscribe_delay=0.5)
        await subscription.subscribe()

    async def unsubscribe(self, channel):
        await self.client.get_subscription(channel).unsubscribe()

    async def publish(self, channel, data):
        try:
            await self.client.publish(channel, data)
        except centrifuge.ReplyError as error:
            tell('publish_error', channel=channel, code=error.code)
        except centrifuge.CentrifugeError:
            tell('publish_error', channel=channel, code=0)
        else:
            tell('published', channel=channel)

    async def forget(self, channel):
        """The SDK lets nobody subscribe twice: it has to lose its memory first."""
        del self.client._subs[channel]


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    orders = Orders(sys.argv[1], json.loads(sys.argv[2]))
    tasks = set()
    tell('ready')
    while line := await lines.readline():
        fields = json.loads(line)
        task = asyncio.create_task(getattr(orders, fields.pop('order'))(**fields))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == '__main__':
    asyncio.run(main())
