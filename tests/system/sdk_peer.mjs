// sdk_peer.mjs URL OPTIONS: one client of the JavaScript SDK, driven from outside.
//
// Reads orders from standard input and writes what happens to standard output,
// each a line of JSON; sdk.py has the other end.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.CHATD_TEST_ENV}/`);
const { Centrifuge } = require('centrifuge');
const WebSocket = require('ws');

const [url, options] = process.argv.slice(2);
const tell = (event, fields = {}) =>
    process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const client = new Centrifuge(url, {
    websocket: WebSocket,
    minReconnectDelay: 50,
    maxReconnectDelay: 500,
    ...JSON.parse(options),
});
client.on('connected', (ctx) => tell('connected', { client: ctx.client, data: ctx.data }));
client.on('connecting', (ctx) => tell('connecting', { code: ctx.code }));
client.on('disconnected', (ctx) => tell('disconnected', { code: ctx.code }));
client.on('error', (ctx) => tell('error', { code: ctx.error.code }));

const person = (info) => ({
    client: info.client, user: info.user, conn_info: info.connInfo,
});

function listen(sub, channel) {
    sub.on('subscribed', (ctx) => tell('subscribed', {
        channel,
        recoverable: ctx.recoverable,
        positioned: ctx.positioned,
        position: ctx.streamPosition,
        was_recovering: ctx.wasRecovering,
        recovered: ctx.recovered,
    }));
    sub.on('subscribing', (ctx) => tell('subscribing', { channel, code: ctx.code }));
    sub.on('unsubscribed', (ctx) => tell('unsubscribed', { channel, code: ctx.code }));
    sub.on('publication', (ctx) => tell('publication', {
        channel, data: ctx.data, offset: ctx.offset,
    }));
    sub.on('join', (ctx) => tell('join', { channel, ...person(ctx.info) }));
    sub.on('leave', (ctx) => tell('leave', { channel, ...person(ctx.info) }));
    sub.on('error', (ctx) => tell('sub_error', { channel, code: ctx.error.code }));
}

function subscribe({ channel, options: wish = {} }) {
    const sub = client.getSubscription(channel) ?? client.newSubscription(channel, {
        minResubscribeDelay: 50,
        maxResubscribeDelay: 500,
        positioned: wish.positioned ?? false,
        recoverable: wish.recoverable ?? false,
        joinLeave: wish.join_leave ?? false,
        since: wish.since ?? null,
    });
    if (sub.listenerCount('subscribed') === 0) listen(sub, channel);
    sub.subscribe();
}

// Tells what ANSWER makes of the result, or the error's code.
const answer = (event, channel, promise, make) => promise.then(
    (result) => tell(event, { channel, ...make(result) }),
    (error) => tell(`${event}_error`, { channel, code: error.code }),
);

const orders = {
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    subscribe,
    unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
    publish: ({ channel, data }) => client.publish(channel, data).then(
        () => tell('published', { channel, data }),
        (error) => tell('publish_error', { channel, data, code: error.code }),
    ),
    history: ({ channel, limit, since, reverse }) => answer(
        'history', channel, client.history(channel, { limit, since, reverse }),
        (result) => ({
            offset: result.offset,
            epoch: result.epoch,
            publications: result.publications.map((pub) => [pub.offset, pub.data]),
        }),
    ),
    presence: ({ channel }) => answer(
        'presence', channel, client.presence(channel),
        (result) => ({
            clients: Object.fromEntries(Object.entries(result.clients).map(
                ([id, info]) => [id, person(info)],
            )),
        }),
    ),
    presence_stats: ({ channel }) => answer(
        'presence_stats', channel, client.presenceStats(channel),
        (result) => ({ clients: result.numClients, users: result.numUsers }),
    ),
    // The SDK lets nobody subscribe twice: it has to lose its memory first.
    forget: ({ channel }) => {
        client.getSubscription(channel).removeAllListeners();
        delete client._subs[channel];
    },
};

createInterface({ input: process.stdin })
    .on('line', (line) => {
        const { order, ...fields } = JSON.parse(line);
        orders[order](fields);
    })
    .on('close', () => process.exit(0));
tell('ready');
