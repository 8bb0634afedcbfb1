/*
 * people: who is in a room, without the page.
 *
 * The server says which connections are there; what the people behind them are called
 * they tell each other (demo.mjs).  A page keeps its id when its connection is lost
 * and another one comes: then nobody left.
 */

/* Time in which somebody who left may come back without a word about it. */
const GRACE_MS = 2500;
const MAX_PEOPLE = 500; /* known of each room */

export class People {
	/* CHANGED() after each change; NOTE(text) of what is worth a line. */
	constructor(changed, note) {
		this.changed = changed;
		this.note = note;
		this.clients = new Map(); /* client -> {id, name, worker, fresh, timer} */
	}

	/* CLIENTS, and nobody else, are there. */
	reset(clients) {
		const there = new Set(clients);
		for (const client of [...this.clients.keys()])
			if (!there.has(client))
				this.leave(client);
		for (const client of there)
			this.#add(client, false);
		this.changed();
	}

	join(client) {
		this.#add(client, true);
		this.changed();
	}

	leave(client) {
		const person = this.clients.get(client);
		if (!person || person.timer)
			return;
		person.timer = setTimeout(() => this.#forget(client), GRACE_MS);
	}

	/* CLIENT says what it is called; HELLO: as it comes in, which may be heard before
	 * the server says so.  That we are there ourselves is no news to us. */
	named(client, { id, name, worker, mine }, hello = false) {
		this.#add(client, hello);
		const person = this.clients.get(client);
		if (!person)
			return;
		const { fresh, name: before } = person;
		Object.assign(person, { id, name, worker, fresh: false });
		const back = this.#cameBack(client, id);
		if (before !== undefined && before !== name)
			this.note(`${before} is now ${name}`);
		else if (fresh && !back && !mine)
			this.note(`${name} joined`);
		this.changed();
	}

	has(client) {
		return this.clients.has(client);
	}

	list() {
		return [...this.clients].map(([client, { name = "Somebody", worker = null }]) =>
		    ({ client, name, worker }));
	}

	close() {
		for (const person of this.clients.values())
			clearTimeout(person.timer);
		this.clients.clear();
	}

	#add(client, fresh) {
		const person = this.clients.get(client);
		if (person) {
			clearTimeout(person.timer);
			person.timer = null;
		} else if (this.clients.size < MAX_PEOPLE) {
			this.clients.set(client, { fresh, timer: null });
		}
	}

	/* Whether the page ID was there with another connection, which ends here. */
	#cameBack(client, id) {
		let back = false;
		for (const [other, person] of this.clients) {
			if (other === client || person.id !== id)
				continue;
			back = true;
			clearTimeout(person.timer);
			this.clients.delete(other);
		}
		return back;
	}

	#forget(client) {
		const { name } = this.clients.get(client);
		this.clients.delete(client);
		if (name !== undefined)
			this.note(`${name} left`);
		this.changed();
	}
}
