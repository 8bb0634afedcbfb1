// sdk_peer.mjs URL OPTIONS: one client of the JavaScript SDK, driven from outside.
//
// Reads orders from standard input and writes what happens to standard output,
// each a line of JSON; test_sdk.py has the other end.
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

function subscribe({ channel }) {
    const sub = client.getSubscription(channel) ?? client.newSubscription(channel, {
        minResubscribeDelay: 50, maxResubscribeDelay: 500,
    });
    if (sub.listenerCount('subscribed') === 0) {
        sub.on('subscribed', () => tell('subscribed', { channel }));
        sub.on('subscribing', (ctx) => tell('subscribing', { channel, code: ctx.code }));
        sub.on('unsubscribed', (ctx) => tell('unsubscribed', { channel, code: ctx.code }));
        sub.on('publication', (ctx) => tell('publication', { channel, data: ctx.data }));
        sub.on('error', (ctx) => tell('sub_error', { channel, code: ctx.error.code }));
    }
    sub.subscribe();
}

const orders = {
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    subscribe,
    unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
    publish: ({ channel, data }) => client.publish(channel, data).then(
        () => tell('published', { channel }),
        (error) => tell('publish_error', { channel, code: error.code }),
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
