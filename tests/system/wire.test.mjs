/*
 * The demo page's connection and its readers of foreign data, without a browser:
 * node --test wire.test.mjs, with CHATD_SRC naming the source tree's src/.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";

const from = (name) => import(pathToFileURL(`${process.env.CHATD_SRC}/demo/${name}`));
const { Wire, backoff, isTerminal } = await from("wire.mjs");
const { cleanLine, cleanRoom, readPublication, seconds } = await from("parts.mjs");

let sockets, events, wire, clock;

/* Time that passes when a test says so; Node's own cannot do it before version 20. */
class FakeClock {
	constructor() {
		this.now = 0;
		this.timers = new Map();
		this.real = [globalThis.setTimeout, globalThis.clearTimeout, Date.now];
		globalThis.setTimeout = (run, ms) => {
			const timer = {};
			this.timers.set(timer, { at: this.now + ms, run });
			return timer;
		};
		globalThis.clearTimeout = (timer) => this.timers.delete(timer);
		Date.now = () => this.now;
	}
	next(end) {
		return [...this.timers].filter(([, t]) => t.at <= end)
			.sort(([, a], [, b]) => a.at - b.at)[0];
	}
	tick(ms) {
		const end = this.now + ms;
		for (let due = this.next(end); due; due = this.next(end)) {
			this.timers.delete(due[0]);
			this.now = due[1].at;
			due[1].run();
		}
		this.now = end;
	}
	reset() {
		[globalThis.setTimeout, globalThis.clearTimeout, Date.now] = this.real;
	}
}

class FakeSocket {
	constructor(url) {
		this.url = url;
		this.readyState = 0;
		this.sent = []; /* commands, of all frames */
		this.frames = 0;
		sockets.push(this);
	}
	send(text) {
		assert.equal(this.readyState, 1);
		this.frames++;
		this.sent.push(...text.split("\n").map((line) => JSON.parse(line)));
	}
	close() {
		this.readyState = 3;
	}
	open() {
		this.readyState = 1;
		this.onopen();
	}
	say(...replies) {
		this.onmessage({ data: replies.map((r) => JSON.stringify(r)).join("\n") });
	}
	end(code, reason = "") {
		this.readyState = 3;
		this.onclose({ code, reason });
	}
	/* The last command of that name. */
	last(name) {
		return this.sent.filter((c) => c[name]).at(-1);
	}
}

beforeEach(() => {
	clock = new FakeClock();
	sockets = [];
	events = [];
	wire = new Wire("ws://here/", {
		state: (s) => events.push(s),
		subscribed: (c) => events.push({ subscribed: c }),
		refused: (c, e) => events.push({ refused: c, code: e.code }),
		publication: (c, p) => events.push({ channel: c, pub: p }),
	}, { WebSocket: FakeSocket, random: () => 0.5 });
});
afterEach(() => clock.reset());

function connected(...channels) {
	channels.forEach((c) => wire.subscribe(c));
	wire.connect();
	const socket = sockets.at(-1);
	socket.open();
	socket.say({ id: socket.sent[0].id, connect: { client: "c1", ping: 25, pong: true,
		data: { worker: 3 } } });
	for (const command of socket.sent.slice(1))
		socket.say({ id: command.id, subscribe: {} });
	return socket;
}

test("connect and all subscribes leave in one frame", () => {
	const socket = connected("a", "b");
	assert.equal(socket.frames, 1);
	assert.deepEqual(socket.sent.map((c) => Object.keys(c)[1]),
	    ["connect", "subscribe", "subscribe"]);
	assert.equal(new Set(socket.sent.map((c) => c.id)).size, 3);
	assert.deepEqual(events.map((e) => e.name || e.subscribed),
	    ["connecting", "connected", "a", "b"]);
	assert.equal(events[1].data.worker, 3);
});

test("several replies in one message, a ping among them", () => {
	const socket = connected("a");
	socket.say({ push: { channel: "a", pub: { data: 1 } } }, {},
	    { push: { channel: "a", pub: { data: 2 } } },
	    { push: { channel: "not ours", pub: { data: 3 } } });
	assert.deepEqual(events.filter((e) => e.pub).map((e) => e.pub.data), [1, 2]);
	assert.deepEqual(socket.sent.at(-1), {});
});

test("publish resolves, and rejects with the server's code", async () => {
	const socket = connected("a");
	const good = wire.publish("a", { x: 1 });
	assert.deepEqual(socket.last("publish").publish, { channel: "a", data: { x: 1 } });
	socket.say({ id: socket.last("publish").id, publish: {} });
	await good;
	const bad = wire.publish("a", 2);
	socket.say({ id: socket.last("publish").id,
		error: { code: 103, message: "permission denied" } });
	await assert.rejects(bad, { code: 103, message: "permission denied" });
	const slow = wire.publish("a", 3);
	clock.tick(5000);
	await assert.rejects(slow, { code: 1 });
	const lost = wire.publish("a", 4);
	socket.end(1006);
	await assert.rejects(lost, { code: 2 });
	await assert.rejects(wire.publish("a", 5), { code: 2 });
});

test("a lost connection comes back with its channels", () => {
	connected("a").end(3001, "shutdown");
	const waiting = events.at(-1);
	assert.deepEqual([waiting.name, waiting.code, waiting.reason],
	    ["waiting", 3001, "shutdown"]);
	assert.equal(waiting.until, Date.now() + 750);
	clock.tick(749);
	assert.equal(sockets.length, 1);
	clock.tick(1);
	assert.equal(sockets.length, 2);
	sockets[1].open();
	assert.equal(sockets[1].last("subscribe").subscribe.channel, "a");
});

test("each failed attempt waits longer, success starts anew", () => {
	const waits = [];
	wire.connect();
	for (let i = 0; i < 8; i++) {
		sockets.at(-1).end(1006);
		waits.push(events.at(-1).until - Date.now());
		clock.tick(waits.at(-1));
	}
	assert.deepEqual(waits, [750, 1250, 2250, 4250, 8250, 10250, 10250, 10250]);
	sockets.at(-1).open();
	sockets.at(-1).say({ id: sockets.at(-1).sent[0].id, connect: { client: "c" } });
	sockets.at(-1).end(1006);
	assert.equal(events.at(-1).until - Date.now(), 750);
});

test("the wait stays within half a second and twenty", () => {
	for (let attempt = 0; attempt < 2000; attempt++)
		for (const random of [() => 0, () => 0.999999]) {
			const wait = backoff(attempt, random);
			assert.ok(wait >= 500 && wait <= 20000, `${attempt}: ${wait}`);
		}
});

test("terminal close codes end it until connect is called", () => {
	for (const code of [1009, 3500, 3999, 4500, 4999])
		assert.ok(isTerminal(code), code);
	for (const code of [1000, 1006, 1012, 3000, 3499, 4000, 4499, 5000])
		assert.ok(!isTerminal(code), code);
	connected().end(3500, "invalid token");
	assert.deepEqual(events.at(-1), { name: "closed", code: 3500,
		reason: "invalid token" });
	clock.tick(60000);
	assert.equal(sockets.length, 1);
	wire.connect();
	assert.equal(sockets.length, 2);
});

test("an error to connect is final unless it is temporary", () => {
	for (const [error, name] of [[{ code: 103, message: "m" }, "closed"],
	    [{ code: 109, message: "m" }, "waiting"],
	    [{ code: 100, message: "m", temporary: true }, "waiting"]]) {
		wire.connect();
		const socket = sockets.at(-1);
		socket.open();
		socket.say({ id: socket.sent[0].id, error });
		assert.equal(events.at(-1).name, name);
		assert.equal(socket.readyState, 3);
		wire.close();
	}
});

test("a server that does not answer, or falls silent, is left", () => {
	wire.connect();
	clock.tick(5000);
	assert.equal(events.at(-1).name, "waiting");
	wire.close();
	connected();
	clock.tick(30000);
	sockets.at(-1).say({});
	clock.tick(34999);
	assert.equal(events.at(-1).name, "connected");
	clock.tick(1);
	assert.deepEqual([events.at(-1).name, events.at(-1).reason], ["waiting", "no ping"]);
});

test("a socket that was left has no say any more", () => {
	wire.connect();
	clock.tick(5000);
	const n = events.length;
	sockets[0].onopen();
	sockets[0].onmessage({ data: "{}" });
	sockets[0].onclose({ code: 3500, reason: "late" });
	assert.equal(events.length, n);
	assert.equal(sockets[0].sent.length, 0);
});

test("refused subscriptions: some for good, some for now", () => {
	const socket = connected();
	wire.subscribe("a");
	socket.say({ id: socket.last("subscribe").id, error: { code: 103, message: "m" } });
	assert.deepEqual(events.at(-1), { refused: "a", code: 103 });
	wire.subscribe("b");
	socket.say({ id: socket.last("subscribe").id,
		error: { code: 100, message: "m", temporary: true } });
	const before = socket.sent.length;
	clock.tick(750);
	assert.equal(socket.sent.length, before + 1);
	assert.equal(socket.last("subscribe").subscribe.channel, "b");
});

test("unsubscribed by the server", () => {
	const socket = connected("a", "b");
	const before = socket.sent.length;
	socket.say({ push: { channel: "a", unsubscribe: { code: 2500, reason: "r" } } });
	assert.equal(socket.sent.length, before + 1);
	socket.say({ push: { channel: "b", unsubscribe: { code: 2000, reason: "r" } } });
	assert.deepEqual(events.at(-1), { refused: "b", code: 2000 });
});

test("what is no reply makes it connect anew", () => {
	for (const data of ["no JSON", "null", "1", ""]) {
		connected().onmessage({ data });
		assert.equal(events.at(-1).name, "waiting", data);
		wire.close();
	}
});

test("names and rooms are cleaned", () => {
	assert.equal(cleanLine("  Ada\n\tLovelace\u0007 ", 32), "Ada Lovelace");
	assert.equal(cleanLine("a\u202eb\u200bc", 32), "abc");
	assert.equal(cleanLine("\u{1f600}\u{1f601}\u{1f602}", 2), "\u{1f600}\u{1f601}");
	assert.equal(cleanLine(7, 32), "");
	assert.equal(cleanRoom(" #Tea  Room "), "tea-room");
	for (const bad of ["", "#", "-a", "a:b", "a$", "\u00e4", "a".repeat(41)])
		assert.equal(cleanRoom(bad), "", bad);
	assert.equal(seconds(20), "1 s");
});

test("foreign publications are read with care", () => {
	const read = (pub) => readPublication(pub, new Set(["me"]));
	assert.equal(read({ data: null }), null);
	assert.equal(read({ data: "text" }), null);
	const odd = read({ data: { kind: 1, id: {}, name: [], worker: "9", text: 5, mid: 6 },
		info: { user: "u1", client: "c" } });
	assert.deepEqual(odd, { client: "c", mine: false, kind: "text", id: "c", name: "u1",
		worker: null, text: "", mid: "" });
	assert.equal(read({ data: { id: "x" } }).name, "Somebody");
	assert.equal(read({ data: {}, info: { client: "me" } }).mine, true);
	assert.equal(read({ data: { text: "x".repeat(9999) } }).text.length, 2000);
});
