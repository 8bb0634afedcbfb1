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
const { People } = await from("people.mjs");

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
		subscribed: (c, how) => events.push({ subscribed: c, how }),
		refused: (c, e) => events.push({ refused: c, code: e.code }),
		publication: (c, p) => events.push({ channel: c, pub: p }),
		join: (c, i) => events.push({ join: c, client: i.client }),
		leave: (c, i) => events.push({ leave: c, client: i.client }),
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
		worker: null, text: "", mid: "", offset: 0, time: 0 });
	clock.tick(5000);
	const at = (time) => read({ data: { time }, offset: 7 }).time;
	assert.deepEqual([at(3), at(60000 + 5000), at("4"), at(-1), at(1.5), at(null)],
	    [3, 5000, 5000, 5000, 5000, 5000]);
	assert.equal(read({ data: {}, offset: 7 }).offset, 7);
	assert.equal(read({ data: { id: "x" } }).name, "Somebody");
	assert.equal(read({ data: {}, info: { client: "me" } }).mine, true);
	assert.equal(read({ data: { text: "x".repeat(9999) } }).text.length, 2000);
});

/* A channel with an order, subscribed to at PLACE. */
function ordered(place) {
	const socket = connected();
	wire.subscribe("o");
	socket.say({ id: socket.last("subscribe").id,
		subscribe: { recoverable: true, positioned: true, ...place } });
	return socket;
}

/* Comes back after a loss; the reply to subscribe is REPLY.  Returns what was asked. */
function comeBack(reply) {
	sockets.at(-1).end(3001);
	clock.tick(750);
	const socket = sockets.at(-1);
	socket.open();
	socket.say({ id: socket.last("connect").id, connect: { client: "c2" } });
	const { id, subscribe } = socket.last("subscribe");
	socket.say({ id, subscribe: reply });
	return subscribe;
}

test("who comes back asks for what it missed, and gets it first", () => {
	const socket = ordered({ epoch: "e", offset: 4 });
	assert.deepEqual(events.at(-1).how, { again: false, ordered: true, complete: false });
	socket.say({ push: { channel: "o", pub: { data: 5, offset: 5 } } });
	const before = events.length;
	assert.deepEqual(comeBack({ recoverable: true, epoch: "e", offset: 5,
		recovered: true, was_recovering: true,
		publications: [{ data: 6, offset: 6 }, { data: 7, offset: 7 }] }),
	{ channel: "o", recover: true, epoch: "e", offset: 5 });
	assert.deepEqual(events.slice(before).map((e) => e.pub?.data ?? e.name ?? e.how),
	    ["waiting", "connecting", "connected", 6, 7,
		{ again: true, ordered: true, complete: true }]);
	assert.equal(comeBack({ recoverable: true, epoch: "f", offset: 1,
		was_recovering: true }).offset, 7);
	assert.deepEqual(events.at(-1).how, { again: true, ordered: true, complete: false });
	assert.deepEqual(comeBack({}), { channel: "o", recover: true, epoch: "f", offset: 1 });
});

test("a channel without an order has no place", () => {
	connected("a");
	assert.deepEqual(comeBack({}), { channel: "a" });
	assert.deepEqual(events.at(-1).how, { again: true, ordered: false, complete: false });
});

test("a place is forgotten with its channel", () => {
	const socket = ordered({ epoch: "e", offset: 4 });
	wire.unsubscribe("o");
	wire.subscribe("o");
	assert.deepEqual(socket.last("subscribe").subscribe, { channel: "o" });
});

test("insufficient state: subscribes again from its place", () => {
	const socket = ordered({ epoch: "e" });
	socket.say({ push: { channel: "o", unsubscribe: { code: 2500, reason: "r" } } });
	assert.deepEqual(socket.last("subscribe").subscribe,
	    { channel: "o", recover: true, epoch: "e", offset: 0 });
});

test("who comes and goes is told", () => {
	const socket = connected("a");
	socket.say({ push: { channel: "a", join: { info: { client: "x" } } } },
	    { push: { channel: "a", leave: { info: { client: "y" } } } },
	    { push: { channel: "b", join: { info: { client: "z" } } } });
	assert.deepEqual(events.slice(-2), [{ join: "a", client: "x" },
		{ leave: "a", client: "y" }]);
});

test("history, presence and keys", async () => {
	const socket = connected("a");
	const older = wire.older("a", 30, 8);
	assert.deepEqual(socket.last("history").history, { channel: "a", limit: 30,
		reverse: true, since: { offset: 8, epoch: "" } });
	socket.say({ id: socket.last("history").id, history: { publications: [1] } });
	assert.deepEqual((await older).publications, [1]);
	wire.older("a", 30).catch(() => {});
	assert.deepEqual(socket.last("history").history, { channel: "a", limit: 30,
		reverse: true });
	const presence = wire.presence("a");
	socket.say({ id: socket.last("presence").id, presence: { presence: { x: {} } } });
	assert.deepEqual(await presence, { presence: { x: {} } });
	wire.publish("a", 1, "key").catch(() => {});
	assert.deepEqual(socket.last("publish").publish,
	    { channel: "a", data: 1, idempotency_key: "key" });
	wire.close();
	await assert.rejects(wire.older("a", 1), { code: 2 });
	await assert.rejects(wire.presence("a"), { code: 2 });
});

/* People whose notes go to NOTES. */
function room() {
	const notes = [];
	return { notes, people: new People(() => {}, (text) => notes.push(text)) };
}

const names = (people) => people.list().map((p) => p.name);
const person = (name, id = name) => ({ id, name, worker: 1 });

test("those who are there from the start are no news", () => {
	const { people, notes } = room();
	people.reset(["a", "b"]);
	people.named("a", person("Ada"));
	assert.deepEqual([names(people), notes], [["Ada", "Somebody"], []]);
	people.named("a", person("Countess", "Ada"));
	assert.deepEqual([people.list()[0], notes], [
		{ client: "a", name: "Countess", worker: 1 }, ["Ada is now Countess"]]);
});

test("who joins has a name first, in whichever order it is heard", () => {
	const { people, notes } = room();
	people.join("a");
	assert.deepEqual(notes, []);
	people.named("a", person("Ada"), true);
	people.named("b", person("Bob"), true);
	people.join("b");
	people.named("b", person("Bob"), true);
	people.join("me");
	people.named("me", { ...person("Me"), mine: true }, true);
	assert.deepEqual(notes, ["Ada joined", "Bob joined"]);
});

test("who leaves is gone after a moment, and who has no name without a word", () => {
	const { people, notes } = room();
	people.reset(["a", "b", "c"]);
	people.named("a", person("Ada"));
	people.reset(["a"]);
	people.leave("a");
	people.leave("unknown");
	clock.tick(2499);
	assert.equal(people.list().length, 3);
	clock.tick(1);
	assert.deepEqual([names(people), notes], [[], ["Ada left"]]);
});

test("a page that comes back with another connection never left", () => {
	const { people, notes } = room();
	people.reset(["a1", "b1"]);
	people.named("a1", person("Ada"));
	people.named("b1", person("Bob"));
	people.leave("a1");
	people.join("a2");
	people.named("a2", person("Ada"), true);
	/* And one that is heard before the loss of the old one is. */
	people.named("b2", person("Bob"), true);
	people.leave("b1");
	clock.tick(10000);
	assert.deepEqual([names(people), notes], [["Ada", "Bob"], []]);
	people.leave("a2");
	people.close();
	clock.tick(10000);
	assert.deepEqual(notes, []);
});

test("a crowd is not known to the last", () => {
	const { people } = room();
	people.reset(Array.from({ length: 600 }, (_, i) => `c${i}`));
	people.named("late", person("Late"), true);
	assert.equal(people.list().length, 500);
});
