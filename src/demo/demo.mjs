/*
 * demo: the chat page.  A room is two channels:
 *
 * chat:<room>  what is said: in order, kept, written to the database; the server says
 *              who is there.  {kind: "text", id, name, worker, text, mid, time}; mid is
 *              how its sender knows it again, and its idempotency key.
 * who:<room>   what those who are there are called, which nobody keeps:
 *              {kind, id, name, worker}
 *              hello  somebody came in, or back, or has another name; everybody answers
 *              here   somebody is there
 *
 * id stands for a page while it is open.  The id of a connection, which the server
 * puts in and nobody can choose, tells which publications are our own.  What came
 * over the wire reaches the document through textContent alone.
 *
 * Where the server keeps nothing or does not say who is there, the page does without.
 */
import { People } from "./people.mjs";
import { MAX_NAME, MAX_TEXT, cleanLine, cleanRoom, forever, make, makeMessage,
    paintAvatar, readPublication, seconds, store, thisTab } from "./parts.mjs";
import { Wire } from "./wire.mjs";

const MAX_ROOMS = 20;
const MAX_MESSAGES = 1000; /* shown of each room */
const OLDER = 30; /* messages that are loaded at once */
const GROUP_MS = 5 * 60000; /* one person's messages within this share a head */
const FIRST_ROOMS = ["lobby", "random"];
const TALK = "chat:";
const WHO = "who:";

const ui = {}; /* elements by their id, room-list as roomList */
for (const element of document.querySelectorAll("[id]"))
	ui[element.id.replace(/-(.)/g, (_, c) => c.toUpperCase())] = element;

const me = { id: crypto.getRandomValues(new Uint32Array(3)).join("-"), name: "" };
const myClients = new Set(); /* ids of all connections that this page had */
const rooms = new Map(); /* name -> room, in the order of the list */
let current = null; /* the room that is shown */
let wire = null;
let state = { name: "connecting" }; /* of the connection */
let lostAt = 0; /* when it was lost, or 0 */
let messages = 0; /* that this page sent */

/* ---- what comes and goes over the wire ---- */

/* The room that CHANNEL belongs to, if it begins with PREFIX. */
function roomOf(channel, prefix) {
	return channel.startsWith(prefix) ? rooms.get(channel.slice(prefix.length)) :
	    undefined;
}

/* What this page is called; not worth an error: whoever comes next asks again. */
function mention(room, kind) {
	if (room.named && state.name === "connected")
		wire.publish(WHO + room.name, { kind, id: me.id, name: me.name,
		    worker: state.data?.worker }).catch(() => {});
}

/* Publishes a message that stands in the log already. */
function sendText(room, message) {
	const sentAt = performance.now();
	message.sentAt = sentAt;
	setDelivery(message, "sending");
	wire.publish(TALK + room.name, { kind: "text", id: me.id, name: me.name,
	    worker: state.data?.worker, text: message.text, mid: message.mid,
	    time: message.time }, message.mid).catch((error) => {
		/* It may have arrived, and only the answer been lost. */
		if (message.delivery === "sending" && message.sentAt === sentAt)
			setDelivery(message, "failed", error.message);
	});
}

/* Null, too, for somebody who claims to be this page. */
function read(pub) {
	const got = readPublication(pub, myClients);
	return got && got.id === me.id && !got.mine ? null : got;
}

function onPublication(channel, pub) {
	const talk = roomOf(channel, TALK);
	const who = roomOf(channel, WHO);
	const got = read(pub);
	if (talk && got && got.text !== "")
		onText(talk, got);
	else if (who && got?.client && (got.kind === "hello" || got.kind === "here"))
		onName(who, got);
}

function onText(room, got) {
	const echo = got.mine && room.log.find((m) => m.mine && m.mid === got.mid);
	if (echo) {
		echo.offset = got.offset;
		setDelivery(echo, "sent");
		showRoundTrip(performance.now() - echo.sentAt);
		moveToEnd(room, echo);
		return;
	}
	/* Programs say what they are called only there. */
	if (room.people.has(got.client))
		room.people.named(got.client, got);
	addToLog(room, { ...got, delivery: "sent" });
	if (!got.mine && (room !== current || document.hidden)) {
		room.unread++;
		showUnread();
	}
}

function onName(room, got) {
	room.people.named(got.client, got, got.kind === "hello");
	/* All answer at once otherwise, in a big room. */
	if (!got.mine && got.kind === "hello")
		setTimeout(() => mention(room, "here"),
		    Math.random() * Math.min(3000, 40 * room.people.list().length));
}

function onSubscribed(channel, how) {
	const who = roomOf(channel, WHO);
	const room = roomOf(channel, TALK);
	if (who) {
		who.named = true;
		mention(who, "hello");
	}
	if (!room)
		return;
	room.joined = true;
	const gap = how.again && how.ordered && !how.complete;
	if (gap)
		forgetLog(room);
	if (!how.again || gap)
		loadOlder(room);
	/* Who came and went while we were away. */
	wire.presence(channel).then(
	    ({ presence }) => room.people.reset(Object.keys(presence)), () => {});
	showConnection();
}

function onRefused(channel, error) {
	const room = roomOf(channel, TALK);
	if (!room)
		return;
	room.joined = false;
	addNote(room, `This room cannot be joined: ${error.message} (${error.code})`);
	showConnection();
}

/* ---- older messages ---- */

/* The newest that are not there yet, before the oldest that is. */
async function loadOlder(room) {
	const before = room.log.find((m) => m.offset)?.offset;
	if (room.loading)
		return;
	room.loading = true;
	showOlder(room);
	let got = [];
	try {
		got = (await wire.older(TALK + room.name, OLDER, before)).publications;
		room.older = got.length > 0 && got.at(-1).offset > 1;
	} catch (error) {
		/* The server keeps nothing, or does not show it; or it is for later. */
		room.older = Boolean(error.temporary) || error.code < 100;
	}
	room.loading = false;
	if (rooms.get(room.name) === room)
		addOlder(room, got);
}

function addOlder(room, publications) {
	const first = room.log.find((m) => m.offset)?.offset ?? Infinity;
	const texts = publications.filter((pub) => pub.offset < first)
		.map(read)
		.filter((got) => got && got.text !== "").reverse();
	for (const message of texts)
		message.element = makeMessage(message);
	room.log.unshift(...texts);
	if (room !== current)
		return;
	const below = ui.log.scrollHeight - ui.log.scrollTop;
	const follow = atEnd();
	showLog(room);
	ui.log.scrollTop = ui.log.scrollHeight - below;
	keepEnd(follow);
}

/* Too much was missed for the rest to be in order behind what is there. */
function forgetLog(room) {
	room.log = room.log.filter((m) => m.delivery === "failed");
	addNote(room, "Too much was said meanwhile; here is the newest of it");
	if (room === current)
		showLog(room);
}

/* ---- connection state ---- */

function onState(next) {
	const before = state.name;
	state = next;
	if (next.name === "connected") {
		myClients.add(next.client);
		if (lostAt) {
			const where = next.data.worker === undefined ? "" :
			    `, now on worker ${next.data.worker}`;
			for (const room of rooms.values())
				addNote(room, `Connected again after ${seconds(Date.now() -
				    lostAt)}${where}`);
		}
		lostAt = 0;
	} else {
		if (before === "connected")
			lostAt = Date.now();
		for (const room of rooms.values())
			room.joined = room.named = false;
	}
	showConnection();
}

const STATE_TEXT = { connecting: "Connecting", connected: "Connected",
	waiting: "Reconnecting", closed: "Disconnected" };

function showConnection() {
	ui.connection.dataset.state = state.name;
	ui.connectionText.textContent = STATE_TEXT[state.name];
	const worker = state.data?.worker;
	ui.worker.hidden = worker === undefined;
	ui.worker.textContent = `worker ${worker}`;
	ui.rtt.hidden = state.name !== "connected" || ui.rtt.textContent === "";
	ui.send.disabled = !current?.joined;
	/* The banner takes room from the log. */
	const follow = atEnd();
	ui.banner.hidden = state.name !== "waiting" && state.name !== "closed";
	showCountdown();
	keepEnd(follow);
}

function showCountdown() {
	/* The codes below 3000 that a browser makes up say nothing to a reader. */
	const why = state.reason ? `: ${state.reason} (${state.code})` : "";
	if (state.name === "waiting") {
		ui.bannerText.textContent = `Connection lost${why}. Next attempt in ` +
		    `${seconds(state.until - Date.now())}.`;
		ui.retry.textContent = "Try now";
	} else if (state.name === "closed") {
		ui.bannerText.textContent = `The server ended the connection${why}.`;
		ui.retry.textContent = "Connect again";
	}
}

function showRoundTrip(ms) {
	ui.rtt.textContent = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
	ui.rtt.hidden = false;
}

/* ---- the log of a room ---- */

function addNote(room, text) {
	addToLog(room, { note: true, text, time: Date.now() });
}

/* What is in the log of ROOM, and nothing else. */
function showLog(room) {
	ui.log.replaceChildren(...room.log.map((m) => m.element));
	room.log.forEach((_, index) => group(room, index));
	showOlder(room);
}

function showOlder(room) {
	if (room !== current)
		return;
	ui.older.hidden = !room.older || ui.log.scrollTop > 200;
	ui.older.disabled = Boolean(room.loading);
	ui.older.textContent = room.loading ? "Loading" : "Load older messages";
}

function addToLog(room, message) {
	room.log.push(message);
	message.element = message.note ? make("p", "note", message.text) :
	    makeMessage(message);
	const dropped = room.log.length > MAX_MESSAGES ? room.log.shift() : null;
	/* It can be loaded again. */
	room.older = room.older || Boolean(dropped?.offset);
	if (room !== current)
		return;
	const follow = atEnd() || message.mine;
	dropped?.element.remove();
	showOlder(room);
	ui.log.append(message.element);
	group(room, room.log.length - 1);
	keepEnd(follow);
}

function setDelivery(message, delivery, why) {
	message.delivery = delivery;
	message.element.dataset.delivery = delivery;
	message.status.textContent = "";
	if (delivery !== "failed")
		return;
	message.status.textContent = `Not sent: ${why}. `;
	const again = make("button", "quiet", "Send again");
	again.type = "button";
	again.addEventListener("click", () => {
		const room = [...rooms.values()].find((r) => r.log.includes(message));
		if (room?.joined)
			sendText(room, message);
	});
	message.status.append(again);
}

/* The log has the order of arrival: our own message takes its place in it. */
function moveToEnd(room, message) {
	const index = room.log.indexOf(message);
	if (index === room.log.length - 1)
		return;
	room.log.push(...room.log.splice(index, 1));
	if (room !== current)
		return;
	const follow = atEnd();
	ui.log.append(message.element);
	group(room, index);
	group(room, room.log.length - 1);
	keepEnd(follow);
}

/* Hides the head of a message that follows another of the same person. */
function group(room, index) {
	const message = room.log[index];
	const before = room.log[index - 1];
	message.element.classList.toggle("follows", Boolean(before && !before.note &&
	    !message.note && before.id === message.id && before.name === message.name &&
	    message.time - before.time < GROUP_MS));
}

function atEnd() {
	return ui.log.scrollHeight - ui.log.scrollTop - ui.log.clientHeight < 80;
}

function keepEnd(follow) {
	if (follow)
		ui.log.scrollTop = ui.log.scrollHeight;
	ui.toEnd.hidden = atEnd();
}

/* ---- rooms and people ---- */

function addRoom(name) {
	if (rooms.has(name))
		return;
	const room = { name, log: [], unread: 0, joined: false, named: false, older: false,
		loading: false };
	room.people = new People(() => showPeople(room), (text) => addNote(room, text));
	rooms.set(name, room);
	wire.subscribe(TALK + name);
	wire.subscribe(WHO + name);
	saveRooms();
}

function leaveRoom(room) {
	wire.unsubscribe(TALK + room.name);
	wire.unsubscribe(WHO + room.name);
	room.people.close();
	rooms.delete(room.name);
	saveRooms();
	if (room === current)
		openRoom(rooms.values().next().value);
	else
		showRooms();
}

function saveRooms() {
	store.set(forever, "chatd.rooms", JSON.stringify([...rooms.keys()]));
}

function savedRooms() {
	let names = null;
	try {
		names = JSON.parse(store.get(forever, "chatd.rooms"));
	} catch {
		/* Somebody else's text. */
	}
	if (!Array.isArray(names))
		return FIRST_ROOMS;
	names = names.map((n) => cleanRoom(String(n))).filter(Boolean).slice(0, MAX_ROOMS);
	return names.length > 0 ? names : FIRST_ROOMS;
}

function openRoom(room) {
	current = room;
	room.unread = 0;
	history.replaceState(null, "", `#${room.name}`);
	ui.roomTitle.textContent = `# ${room.name}`;
	ui.message.placeholder = `Message #${room.name}`;
	/* Changing rooms is no news to read out. */
	ui.log.setAttribute("aria-live", "off");
	showLog(room);
	keepEnd(true);
	setTimeout(() => ui.log.setAttribute("aria-live", "polite"));
	showRooms();
	showPeople(room);
	showConnection();
	showPanel(null);
}

function showRooms() {
	ui.rooms.replaceChildren(...[...rooms.values()].map((room) => {
		const item = make("li");
		const open = make("button", "room");
		open.type = "button";
		open.append(make("span", "hash", "#"), make("span", "name", room.name));
		if (room === current)
			open.setAttribute("aria-current", "true");
		if (room.unread > 0) {
			const badge = make("span", "badge", room.unread > 99 ? "99+" :
			    room.unread);
			badge.setAttribute("aria-label", `${room.unread} unread`);
			open.append(badge);
		}
		open.addEventListener("click", () => openRoom(room));
		item.append(open);
		if (rooms.size > 1) {
			const leave = make("button", "icon leave", "\u00d7");
			leave.type = "button";
			leave.setAttribute("aria-label", `Leave ${room.name}`);
			leave.addEventListener("click", () => leaveRoom(room));
			item.append(leave);
		}
		return item;
	}));
	showTitle();
}

function showTitle() {
	let unread = 0;
	for (const room of rooms.values())
		unread += room.unread;
	ui.menuUnread.hidden = unread === 0;
	document.title = `${unread ? `(${unread}) ` : ""}${current?.name || ""} \u00b7 chatd`;
}

function showUnread() {
	/* A focused entry must not be replaced under somebody's fingers. */
	const focus = [...ui.rooms.querySelectorAll("button")].indexOf(document.activeElement);
	showRooms();
	if (focus >= 0)
		ui.rooms.querySelectorAll("button")[focus]?.focus();
}

function showPeople(room) {
	if (room !== current)
		return;
	const people = room.people.list().sort((p, q) => myClients.has(q.client) -
	    myClients.has(p.client) || p.name.localeCompare(q.name));
	ui.people.replaceChildren(...people.map((person) => {
		const item = make("li");
		const avatar = make("span", "avatar");
		avatar.setAttribute("aria-hidden", "true");
		paintAvatar(avatar, person.name);
		const where = [];
		if (myClients.has(person.client))
			where.push("you");
		if (person.worker !== null)
			where.push(`worker ${person.worker}`);
		const text = make("div", "person");
		text.append(make("bdi", "name", person.name),
		    make("span", "muted", where.join(" \u00b7 ")));
		item.append(avatar, text);
		return item;
	}));
	ui.roomCount.textContent = people.length === 0 ? "" :
	    people.length === 1 ? "1 person" : `${people.length} people`;
	ui.peopleCount.textContent = people.length;
}

/* On a narrow screen the panels lie over the talk: shows "rooms", "people" or none. */
function showPanel(which) {
	const before = ui.app.dataset.panel;
	ui.app.dataset.panel = which || "";
	ui.showRooms.setAttribute("aria-expanded", which === "rooms");
	ui.showPeople.setAttribute("aria-expanded", which === "people");
	if (which)
		ui[`${which}Panel`].querySelector(".close-panel").focus();
	else if (before)
		ui[before === "rooms" ? "showRooms" : "showPeople"].focus();
}

/* ---- what the user does ---- */

function submitMessage(event) {
	event.preventDefault();
	const text = ui.message.value.trim().slice(0, MAX_TEXT);
	if (text === "" || !current.joined)
		return;
	const message = { id: me.id, name: me.name, mine: true, text, time: Date.now(),
		mid: `${me.id}-${++messages}`, delivery: "sending" };
	addToLog(current, message);
	sendText(current, message);
	ui.message.value = "";
	fitMessage();
}

function fitMessage() {
	ui.message.style.height = "auto";
	ui.message.style.height = `${ui.message.scrollHeight + 2}px`;
}

function submitRoom(event) {
	event.preventDefault();
	const name = cleanRoom(ui.roomInput.value);
	ui.roomError.textContent = "";
	if (name === "") {
		ui.roomError.textContent = "Letters, digits, dots and hyphens, up to 40.";
		return;
	}
	if (!rooms.has(name) && rooms.size >= MAX_ROOMS) {
		ui.roomError.textContent = `${MAX_ROOMS} rooms are enough; leave one first.`;
		return;
	}
	addRoom(name);
	ui.roomInput.value = "";
	openRoom(rooms.get(name));
	ui.message.focus();
}

function submitName(event) {
	event.preventDefault();
	const name = cleanLine(ui.nameInput.value, MAX_NAME);
	if (name === "")
		return;
	store.set(forever, "chatd.name", name);
	store.set(thisTab, "chatd.name", name);
	enter(name);
}

function askName() {
	ui.nameInput.value = me.name || store.get(forever, "chatd.name") || "";
	ui.app.hidden = true;
	ui.welcome.hidden = false;
	ui.nameInput.select();
	ui.nameInput.focus();
}

/* Shows the chat to NAME; connects if this is the first time. */
function enter(name) {
	me.name = name;
	paintAvatar(ui.myAvatar, name);
	ui.myName.textContent = name;
	ui.welcome.hidden = true;
	ui.app.hidden = false;
	if (rooms.size > 0) {
		for (const room of rooms.values())
			mention(room, "hello");
	} else {
		savedRooms().forEach(addRoom);
		const wanted = cleanRoom(location.hash);
		if (wanted)
			addRoom(wanted);
		openRoom(rooms.get(wanted) || rooms.values().next().value);
		wire.connect();
	}
	ui.message.focus();
}

function onKey(event) {
	if (event.key === "Escape" && ui.app.dataset.panel)
		showPanel(null);
	if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown"))
		return;
	event.preventDefault();
	const list = [...rooms.values()];
	const step = event.key === "ArrowUp" ? list.length - 1 : 1;
	openRoom(list[(list.indexOf(current) + step) % list.length]);
}

function listen() {
	ui.nameForm.addEventListener("submit", submitName);
	ui.roomForm.addEventListener("submit", submitRoom);
	ui.composer.addEventListener("submit", submitMessage);
	ui.rename.addEventListener("click", askName);
	ui.retry.addEventListener("click", () => wire.connect());
	ui.toEnd.addEventListener("click", () => keepEnd(true));
	ui.log.addEventListener("scroll", () => {
		showOlder(current);
		ui.toEnd.hidden = atEnd();
	});
	ui.message.addEventListener("input", fitMessage);
	ui.message.addEventListener("keydown", (event) => {
		if (event.key === "Enter" && !event.shiftKey && !event.isComposing)
			submitMessage(event);
	});
	ui.showRooms.addEventListener("click", () => showPanel("rooms"));
	ui.showPeople.addEventListener("click", () => showPanel("people"));
	ui.shade.addEventListener("click", () => showPanel(null));
	for (const button of document.querySelectorAll(".close-panel"))
		button.addEventListener("click", () => showPanel(null));
	document.addEventListener("keydown", onKey);
	document.addEventListener("visibilitychange", () => {
		if (document.hidden || !current || current.unread === 0)
			return;
		current.unread = 0;
		showUnread();
	});
	addEventListener("online", () => {
		if (state.name === "waiting")
			wire.connect();
	});
	/* The page ends, or is put aside and may come back. */
	addEventListener("pagehide", () => wire.close());
	addEventListener("pageshow", (event) => {
		if (event.persisted && me.name)
			wire.connect();
	});
	ui.older.addEventListener("click", () => loadOlder(current));
	setInterval(showCountdown, 500);
}

wire = new Wire(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}` +
    "/connection/websocket", { state: onState, subscribed: onSubscribed,
	refused: onRefused, publication: onPublication,
	join: (channel, info) => roomOf(channel, TALK)?.people.join(info.client),
	leave: (channel, info) => roomOf(channel, TALK)?.people.leave(info.client) });
listen();
const known = store.get(thisTab, "chatd.name");
if (known)
	enter(known);
else
	askName();
