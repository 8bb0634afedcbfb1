/*
 * demo: the chat page.  Rooms are channels chat:<room>.  What people say and who is
 * there both travel as publications, so that the page needs nothing from the server
 * but subscribe and publish:
 *
 *   {kind, id, name, worker, ...}
 *   hello  somebody came in, or back; everybody answers with here
 *   here   somebody is still in; also sent now and then, as a sign of life
 *   bye    somebody left
 *   text   a message: text, and mid, by which its sender knows it again
 *
 * id stands for a page while it is open.  The id of a connection, which the server
 * puts in and nobody can choose, tells which publications are our own.  What came
 * over the wire reaches the document through textContent alone.
 */
import { MAX_NAME, MAX_TEXT, cleanLine, cleanRoom, forever, make, makeMessage,
    paintAvatar, readPublication, seconds, store, thisTab } from "./parts.mjs";
import { Wire } from "./wire.mjs";

const MAX_ROOMS = 20;
const MAX_MESSAGES = 200; /* kept of each room */
const MAX_PEOPLE = 500; /* known of each room */
const HERE_EVERY_MS = 30000;
const HERE_EXPIRES_MS = 75000;
const GROUP_MS = 5 * 60000; /* one person's messages within this share a head */
const FIRST_ROOMS = ["lobby", "random"];
const CHANNEL_PREFIX = "chat:";

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

function say(room, kind, more = {}) {
	return wire.publish(CHANNEL_PREFIX + room.name, { kind, id: me.id, name: me.name,
	    worker: state.data?.worker, ...more });
}

/* For what is not worth an error: the next sign of life mends it. */
function mention(room, kind) {
	if (room.joined && state.name === "connected")
		say(room, kind).catch(() => {});
}

/* Publishes a message that stands in the log already. */
function sendText(room, message) {
	const sentAt = performance.now();
	message.sentAt = sentAt;
	setDelivery(message, "sending");
	say(room, "text", { text: message.text, mid: message.mid }).catch((error) => {
		/* It may have arrived, and only the answer been lost. */
		if (message.delivery === "sending" && message.sentAt === sentAt)
			setDelivery(message, "failed", error.message);
	});
}

function onPublication(channel, pub) {
	const room = rooms.get(channel.slice(CHANNEL_PREFIX.length));
	const got = readPublication(pub, myClients);
	if (!room || !got)
		return;
	/* Somebody who claims to be this page. */
	if (got.id === me.id && !got.mine)
		return;
	if (got.kind === "text")
		onText(room, got);
	else if (got.kind === "bye")
		onBye(room, got);
	else if (got.kind === "hello" || got.kind === "here")
		onPresent(room, got);
}

function onText(room, got) {
	if (got.text === "")
		return;
	const echo = got.mine && room.log.find((m) => m.mine && m.mid === got.mid);
	if (echo) {
		setDelivery(echo, "sent");
		showRoundTrip(performance.now() - echo.sentAt);
		moveToEnd(room, echo);
		return;
	}
	addToLog(room, { ...got, time: Date.now(), delivery: "sent" });
	if (!got.mine && (room !== current || document.hidden)) {
		room.unread++;
		showUnread();
	}
}

function onPresent(room, got) {
	const known = room.people.get(got.id);
	if (!known && room.people.size >= MAX_PEOPLE)
		return;
	room.people.set(got.id, { name: got.name, client: got.client, worker: got.worker,
	    seen: Date.now() });
	if (!got.mine && got.kind === "hello") {
		if (!known)
			addNote(room, `${got.name} joined`);
		/* All answer at once otherwise, in a big room. */
		setTimeout(() => mention(room, "here"),
		    Math.random() * Math.min(3000, 40 * room.people.size));
	}
	if (known && known.name !== got.name)
		addNote(room, `${known.name} is now ${got.name}`);
	showPeople(room);
}

function onBye(room, got) {
	const known = room.people.get(got.id);
	if (got.mine || known?.client !== got.client)
		return;
	removePerson(room, got.id);
}

function removePerson(room, id) {
	const { name } = room.people.get(id);
	room.people.delete(id);
	addNote(room, `${name} left`);
	showPeople(room);
}

/* People whose page ended without a word. */
function expirePeople() {
	for (const room of rooms.values()) {
		if (!room.joined)
			continue;
		for (const [id, person] of room.people)
			if (id !== me.id && Date.now() - person.seen > HERE_EXPIRES_MS)
				removePerson(room, id);
	}
}

function onSubscribed(channel) {
	const room = rooms.get(channel.slice(CHANNEL_PREFIX.length));
	if (!room)
		return;
	/* Who does not answer soon has left while we were away. */
	for (const person of room.people.values())
		person.seen = Math.min(person.seen, Date.now() - HERE_EXPIRES_MS + 5000);
	room.joined = true;
	mention(room, "hello");
	showConnection();
}

function onRefused(channel, error) {
	const room = rooms.get(channel.slice(CHANNEL_PREFIX.length));
	if (!room)
		return;
	room.joined = false;
	addNote(room, `This room cannot be joined: ${error.message} (${error.code})`);
	showConnection();
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
				    lostAt)}${where}; what was said meanwhile is not here`);
		}
		lostAt = 0;
	} else {
		if (before === "connected")
			lostAt = Date.now();
		for (const room of rooms.values())
			room.joined = false;
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

function addToLog(room, message) {
	room.log.push(message);
	message.element = message.note ? make("p", "note", message.text) :
	    makeMessage(message);
	const dropped = room.log.length > MAX_MESSAGES ? room.log.shift() : null;
	if (room !== current)
		return;
	const follow = atEnd() || message.mine;
	dropped?.element.remove();
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
	rooms.set(name, { name, log: [], people: new Map(), unread: 0, joined: false });
	wire.subscribe(CHANNEL_PREFIX + name);
	saveRooms();
}

function leaveRoom(room) {
	mention(room, "bye");
	wire.unsubscribe(CHANNEL_PREFIX + room.name);
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
	ui.log.replaceChildren(...room.log.map((m) => m.element));
	room.log.forEach((_, index) => group(room, index));
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
	const people = [...room.people].sort(([a, p], [b, q]) =>
	    (b === me.id) - (a === me.id) || p.name.localeCompare(q.name));
	ui.people.replaceChildren(...people.map(([id, person]) => {
		const item = make("li");
		const avatar = make("span", "avatar");
		avatar.setAttribute("aria-hidden", "true");
		paintAvatar(avatar, person.name);
		const where = [];
		if (id === me.id)
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
	addEventListener("pagehide", () => {
		for (const room of rooms.values())
			mention(room, "bye");
		wire.close();
	});
	addEventListener("pageshow", (event) => {
		if (event.persisted && me.name)
			wire.connect();
	});
	setInterval(() => {
		for (const room of rooms.values())
			mention(room, "here");
	}, HERE_EVERY_MS);
	setInterval(() => {
		expirePeople();
		showCountdown();
	}, 500);
}

wire = new Wire(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}` +
    "/connection/websocket", { state: onState, subscribed: onSubscribed,
	refused: onRefused, publication: onPublication });
listen();
const known = store.get(thisTab, "chatd.name");
if (known)
	enter(known);
else
	askName();
