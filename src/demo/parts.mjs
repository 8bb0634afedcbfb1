/*
 * parts: pieces of the page that keep no state: what is read from the wire and from
 * the user, and elements made of it.
 */

export const MAX_TEXT = 2000;
export const MAX_NAME = 32;

/* A browser may refuse storage; then the page forgets, and works. */
export const store = {
	get(where, key) {
		try {
			return where().getItem(key);
		} catch {
			return null;
		}
	},
	set(where, key, value) {
		try {
			where().setItem(key, value);
		} catch {
			/* Nothing depends on it. */
		}
	},
};
export const forever = () => localStorage;
export const thisTab = () => sessionStorage;

export function make(tag, className, text) {
	const element = document.createElement(tag);
	if (className)
		element.className = className;
	if (text !== undefined)
		element.textContent = text;
	return element;
}

/* What a name could hide in, or turn the text around it with. */
const INVISIBLE = /[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/* One line of at most MAX characters, or "". */
export function cleanLine(value, max) {
	if (typeof value !== "string")
		return "";
	const line = value.replace(INVISIBLE, "").replace(/[\s\p{Cc}]+/gu, " ").trim();
	return [...line].slice(0, max).join("");
}

export function paintAvatar(element, name) {
	let hue = 0;
	for (const c of name)
		hue = (hue * 31 + c.codePointAt(0)) % 360;
	element.textContent = ([...name][0] || "?").toUpperCase();
	element.style.setProperty("--hue", hue);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit",
	minute: "2-digit" });

export function seconds(ms) {
	return `${Math.max(1, Math.round(ms / 1000))} s`;
}

/* The name of a room as TEXT means it, or "". */
export function cleanRoom(text) {
	const name = text.trim().toLowerCase().replace(/^#/, "").replace(/\s+/g, "-");
	return /^[a-z0-9][a-z0-9._-]{0,39}$/.test(name) ? name : "";
}

/* When somebody says that it was, if that can be. */
function readTime(ms) {
	const now = Date.now();
	return Number.isInteger(ms) && ms > 0 && ms < now + 60000 ? ms : now;
}

/*
 * A publication as the page understands it, or null.  MYCLIENTS are the ids of all
 * connections that the page had.  What anybody else publishes in a room shows as a
 * message when it has a text.
 */
export function readPublication(pub, myClients) {
	const { data, info } = pub;
	if (typeof data !== "object" || data === null)
		return null;
	const client = info?.client || "";
	return {
		client,
		mine: myClients.has(client),
		kind: typeof data.kind === "string" ? data.kind : "text",
		id: cleanLine(data.id, 64) || client,
		name: cleanLine(data.name, MAX_NAME) || cleanLine(info?.user, MAX_NAME) ||
		    "Somebody",
		worker: Number.isInteger(data.worker) ? data.worker : null,
		text: typeof data.text === "string" ? data.text.slice(0, MAX_TEXT) : "",
		mid: cleanLine(data.mid, 64),
		offset: pub.offset || 0,
		time: readTime(data.time),
	};
}

/* The element of a message; message.status is where its delivery is told. */
export function makeMessage(message) {
	const element = make("article", message.mine ? "message mine" : "message");
	const avatar = make("span", "avatar");
	avatar.setAttribute("aria-hidden", "true");
	paintAvatar(avatar, message.name);
	const head = make("header", "head");
	const author = make("bdi", "author", message.mine ? "You" : message.name);
	const time = make("time", "muted", clock.format(message.time));
	time.dateTime = new Date(message.time).toISOString();
	head.append(author, time);
	const text = make("p", "text", message.text);
	text.dir = "auto";
	text.title = time.textContent;
	element.append(avatar, head, text);
	if (message.mine) {
		message.status = make("p", "delivery");
		element.append(message.status);
	}
	return element;
}
