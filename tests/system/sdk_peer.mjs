// sdk_peer.mjs: clients of the JavaScript SDK, driven from outside.
//
// Reads orders from standard input and writes what happens to standard output,
// each a line of JSON with the number of the client; sdk.py has the other end.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.CHATD_TEST_ENV}/`);
const { Centrifuge } = require('centrifuge');
const WebSocket = require('ws');

const person = (info) => ({
    client: info.client, user: info.user, conn_info: info.connInfo,
});

function listenToClient(client, tell) {
    client.on('connected', (ctx) => tell('connected', {
        client: ctx.client, data: ctx.data,
    }));
    client.on('connecting', (ctx) => tell('connecting', { code: ctx.code }));
    client.on('disconnected', (ctx) => tell('disconnected', { code: ctx.code }));
    client.on('error', (ctx) => tell('error', { code: ctx.error.code }));
}

function listenToSubscription(sub, channel, tell) {
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

// What a client can be told to do.
function makeOrders(client, tell) {
    // Tells what MAKE makes of the result, or the error's code.
    const answer = (event, channel, promise, make) => promise.then(
        (result) => tell(event, { channel, ...make(result) }),
        (error) => tell(`${event}_error`, { channel, code: error.code }),
    );
    return {
        connect: () => client.connect(),
        disconnect: () => client.disconnect(),
        subscribe: ({ channel, options = {} }) => {
            const sub = client.getSubscription(channel) ?? client.newSubscription(
                channel,
                {
                    minResubscribeDelay: 50,
                    maxResubscribeDelay: 500,
                    positioned: options.positioned ?? false,
                    recoverable: options.recoverable ?? false,
                    joinLeave: options.join_leave ?? false,
                    since: options.since ?? null,
                },
            );
            if (sub.listenerCount('subscribed') === 0)
                listenToSubscription(sub, channel, tell);
            sub.subscribe();
        },
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
}

const clients = new Map();

function makeClient(who, { url, options }) {
    const tell = (event, fields = {}) =>
        process.stdout.write(`${JSON.stringify({ who, event, ...fields })}\n`);
    const client = new Centrifuge(url, {
        websocket: WebSocket,
        minReconnectDelay: 50,
        maxReconnectDelay: 500,
        ...options,
    });
    listenToClient(client, tell);
    clients.set(who, makeOrders(client, tell));
    tell('ready');
}

createInterface({ input: process.stdin })
    .on('line', (line) => {
        const { who, order, ...fields } = JSON.parse(line);
        if (order === 'make') makeClient(who, fields);
        else clients.get(who)[order](fields);
    })
    .on('close', () => process.exit(0));
