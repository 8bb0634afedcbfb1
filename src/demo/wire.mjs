/*
 * wire: one connection to chatd, in the Centrifuge client protocol (JSON over
 * WebSocket).  It keeps itself connected and its channels subscribed; it knows
 * nothing of the page, so that node can test it.
 *
 * Where a channel has an order, it knows its place there: when it comes back, it gets
 * what was published meanwhile.
 *
 * A frame holds one or more JSON objects, one a line.  Commands carry an id and
 * are answered in a reply with the same id; a reply without one is a push, and an
 * empty one is a ping that wants an empty command back.
 */

const COMMAND_TIMEOUT_MS = 5000;
/* A server that was silent for its ping interval and this is gone. */
const PING_GRACE_MS = 10000;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20000;

/* Close codes after which connecting again cannot help. */
export function isTerminal(code) {
	return code === 1009 || (code >= 3500 && code < 4000) ||
	    (code >= 4500 && code < 5000);
}

/*
 * How long to wait before the attempt that follows ATTEMPT failed ones, in ms: a
 * random time under a ceiling that doubles, so that the clients of a server that
 * went away do not all come back in the same instant.
 */
export function backoff(attempt, random = Math.random) {
	const ceiling = Math.min(BACKOFF_MAX_MS,
	    BACKOFF_MIN_MS * 2 ** Math.min(attempt + 1, 16));
	return BACKOFF_MIN_MS + Math.floor(random() * (ceiling - BACKOFF_MIN_MS));
}

export class WireError extends Error {
	constructor(code, message) {
		super(message);
		this.code = code;
	}
}

/*
 * Callbacks, all of which must be given:
 *   state(s)                   s.name is connecting, connected (client, data),
 *                              waiting (until, code, reason) or closed (code,
 *                              reason)
 *   subscribed(channel, how)   after each subscribe that succeeded.  how.again: not
 *                              the first time; how.ordered: the channel has an order;
 *                              how.complete: nothing was missed, as what was published
 *                              meanwhile has been given out
 *   refused(channel, error)    the channel is not subscribed to, for good
 *   publication(channel, pub)
 *   join(channel, info), leave(channel, info)
 */
export class Wire {
	constructor(url, on, { WebSocket = globalThis.WebSocket,
	    random = Math.random } = {}) {
		this.url = url;
		this.on = on;
		this.WebSocket = WebSocket;
		this.random = random;
		this.socket = null;
		this.client = null; /* our id while we are connected */
		this.lastId = 0;
		this.attempts = 0;
		this.pending = new Map(); /* id -> {resolve, reject, timer} */
		this.channels = new Map(); /* name -> {attempts, timer, again, place} */
		this.timer = null; /* of the next attempt, or of the watchdog */
		this.pingMs = 0;
	}

	/* Connects now, also when an attempt was due later. */
	connect() {
		if (this.socket)
			return;
		clearTimeout(this.timer);
		this.on.state({ name: "connecting" });
		const socket = new this.WebSocket(this.url);
		this.socket = socket;
		this.timer = setTimeout(() => this.#lost(1, "timeout"), COMMAND_TIMEOUT_MS);
		socket.onopen = () => {
			if (this.socket === socket)
				this.#opened();
		};
		socket.onmessage = (event) => {
			if (this.socket === socket)
				this.#message(event.data);
		};
		socket.onclose = (event) => {
			if (this.socket === socket)
				this.#lost(event.code, event.reason);
		};
	}

	/* Closes, and stays closed until connect(). */
	close() {
		this.#lost(0, "closed", true);
	}

	/* Keeps CHANNEL subscribed, across reconnections, until unsubscribe. */
	subscribe(channel) {
		if (this.channels.has(channel))
			return;
		this.channels.set(channel, { attempts: 0, timer: null, again: false,
		    place: null });
		if (this.client)
			this.#send([this.#subscribeCommand(channel)]);
	}

	unsubscribe(channel) {
		const entry = this.channels.get(channel);
		if (!entry)
			return;
		clearTimeout(entry.timer);
		this.channels.delete(channel);
		if (this.client)
			this.#command("unsubscribe", { channel }).catch(() => {});
	}

	/*
	 * Resolves when the server has taken it; rejects with a WireError.  It is done
	 * once, however often it is sent with the same KEY.
	 */
	publish(channel, data, key) {
		return this.#ask("publish", { channel, data, idempotency_key: key });
	}

	/* {publications, epoch, offset}: the newest LIMIT before the offset BEFORE. */
	older(channel, limit, before) {
		return this.#ask("history", { channel, limit, reverse: true,
		    since: before && { offset: before, epoch: "" } });
	}

	/* {presence: {client: info}} */
	presence(channel) {
		return this.#ask("presence", { channel });
	}

	#ask(name, request) {
		if (!this.client)
			return Promise.reject(new WireError(2, "not connected"));
		return this.#command(name, request);
	}

	#opened() {
		const connect = this.#expect("connect", {},
		    (result) => this.#connected(result),
		    (error) => this.#refusedConnect(error));
		const channels = [...this.channels.keys()];
		this.#send([connect, ...channels.map((c) => this.#subscribeCommand(c))]);
	}

	#connected(result) {
		this.client = result.client;
		this.attempts = 0;
		this.pingMs = (result.ping || 0) * 1000;
		this.pong = result.pong === true;
		this.#watch();
		this.on.state({ name: "connected", client: result.client,
		    data: result.data || {} });
	}

	#refusedConnect(error) {
		if (error.code < 100 || error.code === 109 || error.temporary)
			this.#lost(error.code, error.message);
		else
			this.#lost(error.code, error.message, true);
	}

	#subscribeCommand(channel) {
		const { place } = this.channels.get(channel);
		return this.#expect("subscribe",
		    place ? { channel, recover: true, ...place } : { channel },
		    (result) => this.#subscribed(channel, result),
		    (error) => this.#refusedSubscribe(channel, error));
	}

	#subscribed(channel, result) {
		const entry = this.channels.get(channel);
		if (!entry)
			return;
		const { again } = entry;
		entry.again = true;
		entry.attempts = 0;
		entry.place = result.recoverable ?
		    { epoch: result.epoch || "", offset: result.offset || 0 } : null;
		for (const pub of result.publications || [])
			this.#publication(channel, entry, pub);
		this.on.subscribed(channel, { again, ordered: entry.place !== null,
		    complete: result.recovered === true });
	}

	#publication(channel, entry, pub) {
		if (entry.place && pub.offset)
			entry.place.offset = pub.offset;
		this.on.publication(channel, pub);
	}

	#refusedSubscribe(channel, error) {
		const entry = this.channels.get(channel);
		/* When the connection went, the next one subscribes again. */
		if (!entry || error.code === 2)
			return;
		if (error.code < 100 || error.temporary) {
			entry.timer = setTimeout(() => {
				if (this.client)
					this.#send([this.#subscribeCommand(channel)]);
			}, backoff(entry.attempts++, this.random));
			return;
		}
		this.channels.delete(channel);
		this.on.refused(channel, error);
	}

	/* A command object whose reply will reach RESOLVE or REJECT. */
	#expect(name, request, resolve, reject) {
		const id = ++this.lastId;
		const timer = setTimeout(() => {
			this.pending.delete(id);
			reject(new WireError(1, "timeout"));
		}, COMMAND_TIMEOUT_MS);
		this.pending.set(id, { name, resolve, reject, timer });
		return { id, [name]: request };
	}

	#command(name, request) {
		return new Promise((resolve, reject) =>
		    this.#send([this.#expect(name, request, resolve, reject)]));
	}

	#send(commands) {
		this.socket.send(commands.map((c) => JSON.stringify(c)).join("\n"));
	}

	#message(text) {
		this.#watch();
		for (const line of text.trim().split("\n")) {
			/* A callback may have closed the connection. */
			if (!this.socket)
				return;
			let reply = null;
			try {
				reply = JSON.parse(line);
			} catch {
				/* As bad as what is no object. */
			}
			if (typeof reply !== "object" || reply === null) {
				this.#lost(3, "bad reply");
				return;
			}
			this.#reply(reply);
		}
	}

	#reply(reply) {
		if (reply.id) {
			const waiting = this.pending.get(reply.id);
			if (!waiting)
				return;
			clearTimeout(waiting.timer);
			this.pending.delete(reply.id);
			if (reply.error)
				waiting.reject(Object.assign(
				    new WireError(reply.error.code, reply.error.message),
				    { temporary: reply.error.temporary === true }));
			else
				waiting.resolve(reply[waiting.name] || {});
		} else if (reply.push) {
			this.#push(reply.push);
		} else if (this.pong) {
			this.#send([{}]);
		}
	}

	#push(push) {
		const entry = this.channels.get(push.channel);
		if (!entry)
			return;
		if (push.pub) {
			this.#publication(push.channel, entry, push.pub);
		} else if (push.join) {
			this.on.join(push.channel, push.join.info);
		} else if (push.leave) {
			this.on.leave(push.channel, push.leave.info);
		} else if (push.unsubscribe) {
			const { code, reason } = push.unsubscribe;
			if (code >= 2500) {
				this.#send([this.#subscribeCommand(push.channel)]);
				return;
			}
			this.channels.delete(push.channel);
			this.on.refused(push.channel, new WireError(code, reason));
		}
	}

	/* Starts the wait for the next sign of life again. */
	#watch() {
		if (!this.client)
			return;
		clearTimeout(this.timer);
		if (this.pingMs > 0)
			this.timer = setTimeout(() => this.#lost(4, "no ping"),
			    this.pingMs + PING_GRACE_MS);
	}

	/* The connection is no more, or of no use; unless FINAL another attempt follows. */
	#lost(code, reason, final = false) {
		const socket = this.socket;
		this.socket = null;
		this.client = null;
		clearTimeout(this.timer);
		if (socket && socket.readyState <= 1)
			socket.close();
		for (const entry of this.channels.values())
			clearTimeout(entry.timer);
		const pending = [...this.pending.values()];
		this.pending.clear();
		for (const waiting of pending) {
			clearTimeout(waiting.timer);
			if (waiting.name !== "connect")
				waiting.reject(new WireError(2, "connection lost"));
		}
		if (final || isTerminal(code)) {
			this.on.state({ name: "closed", code, reason });
			return;
		}
		const wait = backoff(this.attempts++, this.random);
		this.timer = setTimeout(() => this.connect(), wait);
		this.on.state({ name: "waiting", until: Date.now() + wait, code, reason });
	}
}
