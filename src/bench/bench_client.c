/* bench_client: see bench_client.h. */
#include "config.h"

#include "bench/bench_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench_token.h"

/*
 * Data of a message:  {"c":"~B" PPPPPPPP NNNNNNNN TTTTTTTTTTTTTTTT ","x":" ... "}
 * publisher, number and time in hexadecimal, then filler.
 */
#define DATA_HEAD "{\"c\":\"~B"
#define MARK "~B"
#define HEAD_LEN (sizeof(DATA_HEAD) - 1)
#define MARK_AT (HEAD_LEN - (sizeof(MARK) - 1))
#define STAMP_LEN 32
#define BODY_AT (HEAD_LEN + STAMP_LEN)
#define DATA_MID "\",\"x\":\""
#define DATA_END "\"}"

/* Ids of the first two commands; publications follow. */
#define ID_CONNECT 1
#define ID_SUBSCRIBE 2

void
bench_client_payload(struct bench *b, struct base_buf *out, size_t size)
{
	/* words, so that compression finds what it finds in chat */
	static const char *const words[] = {"the", "and", "you", "room", "later",
	    "today", "yes", "no", "maybe", "hello", "thanks", "see", "what", "when",
	    "about", "there", "again", "message", "looks", "good", "why", "server",
	    "lunch", "ok"};

	base_buf_str(out, DATA_HEAD);
	base_buf_str(out, "00000000000000000000000000000000" DATA_MID);
	while (out->len < size) {
		base_buf_str(out, words[bench_random(b) % BASE_COUNT(words)]);
		base_buf_byte(out, ' ');
	}
	out->len = size - (sizeof(DATA_END) - 1);
	base_buf_str(out, DATA_END);
}

struct base_slice
bench_client_room(const struct bench *b, uint32_t room)
{
	struct base_slice head = b->heads[room];
	size_t before = sizeof(BENCH_PUSH_HEAD) - 1,
	       after = sizeof(BENCH_PUSH_DATA) - 1;

	return (struct base_slice){head.p + before, head.len - before - after};
}

/* Sends b->text as one message. */
static void
send_text(struct bench *b, struct bench_conn *c)
{
	bench_ws_frame(&b->frame, BENCH_WS_TEXT,
	    (struct base_slice){b->text.p, b->text.len}, (uint32_t)bench_random(b));
	b->text.len = 0;
	bench_conn_send(b, c);
}

static void
send_hello(struct bench *b, struct bench_conn *c)
{
	struct base_buf *t = &b->text;
	struct base_slice name = bench_client_room(b, c->room);

	t->len = 0;
	base_buf_printf(t, "{\"id\":%d,\"connect\":{", ID_CONNECT);
	if (b->opt->token != NULL || b->opt->token_secret != NULL) {
		base_buf_str(t, "\"token\":\"");
		if (b->opt->token != NULL)
			base_buf_str(t, b->opt->token);
		else
			bench_token(t, b->opt->token_secret, b->first_user + c->num);
		base_buf_str(t, "\",");
	}
	base_buf_str(t, "\"name\":\"chatbench\"}}");
	c->cmd = ID_SUBSCRIBE;
	if (c->num < b->n_members)
		base_buf_printf(t, "\n{\"id\":%d,\"subscribe\":{\"channel\":\"%.*s\"}}",
		    ID_SUBSCRIBE, (int)name.len, name.p);
	send_text(b, c);
}

/* ---- publishing --------------------------------------------------------- */

static void
put_hex(char *p, unsigned digits, uint64_t v)
{
	while (digits-- > 0) {
		p[digits] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
}

bool
bench_client_publish(struct bench *b, struct bench_pub *pub, uint64_t now)
{
	struct bench_conn *c = &b->conns[pub->conn];
	struct base_slice name = bench_client_room(b, c->room);
	char *data = b->payload.p;

	if (c->state != BENCH_READY)
		return false;
	pub->seq++;
	put_hex(data + HEAD_LEN, 8, (uint64_t)c->pub);
	put_hex(data + HEAD_LEN + 8, 8, pub->seq);
	put_hex(data + HEAD_LEN + 16, 16, now);
	if (pub->n_sent > 0)
		pub->sent[pub->seq & (pub->n_sent - 1)] = now;
	b->text.len = 0;
	b->count.published++;
	if (b->opt->raw) {
		base_buf_add(&b->text, data, b->payload.len);
		/* there are no answers */
		b->count.answered++;
		pub->answered = pub->seq;
	} else {
		base_buf_printf(&b->text,
		    "{\"id\":%u,\"publish\":{\"channel\":\"%.*s\",\"data\":", ++c->cmd,
		    (int)name.len, name.p);
		base_buf_add(&b->text, data, b->payload.len);
		base_buf_str(&b->text, "}}");
	}
	send_text(b, c);
	return true;
}

/* ---- deliveries --------------------------------------------------------- */

/* One more than the value of each lower-case hexadecimal digit; 0: is none. */
static const uint8_t hex_value[256] = {
    ['0'] = 1,
    ['1'] = 2,
    ['2'] = 3,
    ['3'] = 4,
    ['4'] = 5,
    ['5'] = 6,
    ['6'] = 7,
    ['7'] = 8,
    ['8'] = 9,
    ['9'] = 10,
    ['a'] = 11,
    ['b'] = 12,
    ['c'] = 13,
    ['d'] = 14,
    ['e'] = 15,
    ['f'] = 16,
};

/* A digit that is none sets bits above the lowest four in BAD. */
static inline uint64_t
get_hex(const char *p, unsigned digits, unsigned *bad)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < digits; i++) {
		unsigned d = hex_value[(uint8_t)p[i]] - 1u;

		*bad |= d;
		v = v << 4 | (d & 15);
	}
	return v;
}

static void
damaged(struct bench *b, const struct bench_conn *c, const char *p, size_t n)
{
	b->count.damaged++;
	bench_note(b, "connection %u: a damaged message: %.*s", c->num,
	    (int)BASE_MIN(n, (size_t)120), p);
}

static void
count_latency(struct bench *b, const struct bench_conn *c, const struct bench_pub *pub,
    uint64_t ns)
{
	uint32_t from = b->conns[pub->conn].worker;

	bench_hist_add(&b->latency, ns);
	if (c->worker != 0 && from != 0)
		bench_hist_add(
		    c->worker == from ? &b->latency_within : &b->latency_across, ns);
}

/* True if it is the first, or late. */
static bool
count_seen(struct bench *b, enum bench_seen seen)
{
	switch (seen) {
	case BENCH_SEEN_AGAIN:
		b->count.duplicates++;
		return false;
	case BENCH_SEEN_EARLY:
		b->count.early++;
		return false;
	case BENCH_SEEN_OLD:
		b->count.reordered++;
		return false;
	case BENCH_SEEN_LATE:
		b->count.reordered++;
		break;
	case BENCH_SEEN_NEW:
		break;
	}
	b->count.unique++;
	return true;
}

/* A message's data, of which N bytes are there, has come to a connection. */
static void
delivery(struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	size_t size = b->payload.len;
	uint64_t number, sent;
	uint32_t seq, per_room;
	unsigned bad = 0;
	struct bench_pub *pub;

	if (n < size || memcmp(p, DATA_HEAD, HEAD_LEN) != 0 ||
	    memcmp(p + BODY_AT, b->payload.p + BODY_AT, size - BODY_AT) != 0) {
		damaged(b, c, p, n);
		return;
	}
	number = get_hex(p + HEAD_LEN, 8, &bad);
	seq = (uint32_t)get_hex(p + HEAD_LEN + 8, 8, &bad);
	sent = get_hex(p + HEAD_LEN + 16, 16, &bad);
	pub = number < b->n_pubs ? &b->pubs[number] : NULL;
	if (bad > 15 || pub == NULL || seq == 0 || seq > pub->seq) {
		damaged(b, c, p, n);
		return;
	}
	b->count.received++;
	per_room = b->n_pubs / b->n_rooms;
	if (c->tracks == NULL || number / per_room != c->room) {
		b->count.misrouted++;
		bench_note(b, "connection %u got a message of room %u", c->num,
		    (uint32_t)number / per_room);
		return;
	}
	if (count_seen(b,
		bench_track_take(
		    &c->tracks[number % per_room], pub, seq, &b->count.lost)) &&
	    sent >= b->win_from && sent < b->win_to)
		count_latency(b, c, pub, now > sent ? now - sent : 0);
}

/* ---- what the server says ----------------------------------------------- */

static bool
starts_with(const char *p, size_t n, const char *text, size_t len)
{
	return n >= len && memcmp(p, text, len) == 0;
}

#define STARTS_WITH(p, n, literal) starts_with(p, n, literal, sizeof(literal) - 1)
#define HAS(p, n, literal) (memmem(p, n, literal, sizeof(literal) - 1) != NULL)

static void
protocol_error(
    struct bench *b, struct bench_conn *c, const char *what, const char *p, size_t n)
{
	b->count.protocol_errors++;
	bench_note(b, "connection %u: %s: %.*s", c->num, what,
	    (int)BASE_MIN(n, (size_t)140), p);
}

/* A push that is not of the usual form: members in another order, or no message. */
static void
unusual_push(
    struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	struct base_slice name = bench_client_room(b, c->room);
	const char *mark;
	size_t before;

	if (HAS(p, n, "\"pub\":")) {
		/* name with its quotes */
		if (memmem(p, n, name.p - 1, name.len + 2) == NULL) {
			b->count.received++;
			b->count.misrouted++;
			bench_note(b, "connection %u: a push of another channel: %.*s",
			    c->num, (int)BASE_MIN(n, (size_t)120), p);
			return;
		}
		mark = memmem(p, n, MARK, sizeof(MARK) - 1);
		if (mark == NULL || (size_t)(mark - p) < MARK_AT) {
			damaged(b, c, p, n);
			return;
		}
		before = (size_t)(mark - p) - MARK_AT;
		delivery(b, c, p + before, n - before, now);
	} else if (HAS(p, n, "\"unsubscribe\":") || HAS(p, n, "\"disconnect\":")) {
		bench_conn_down(b, c, true, "the server took the subscription: %.*s",
		    (int)BASE_MIN(n, (size_t)120), p);
	} else {
		b->count.other_pushes++;
	}
}

static void
got_push(struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	struct base_slice head = b->heads[c->room];

	if (BASE_LIKELY(starts_with(p, n, head.p, head.len)))
		delivery(b, c, p + head.len, n - head.len, now);
	else
		unusual_push(b, c, p, n, now);
}

/* The unsigned number after TEXT in the line, or 0. */
static uint32_t
number_after(const char *p, size_t n, const char *text)
{
	const char *at = memmem(p, n, text, strlen(text)), *end = p + n;
	uint64_t v = 0;

	if (at == NULL)
		return 0;
	for (at += strlen(text); at < end && *at >= '0' && *at <= '9'; at++)
		if (v <= UINT32_MAX)
			v = v * 10 + (uint64_t)(*at - '0');
	return v <= UINT32_MAX ? (uint32_t)v : 0;
}

static void
session_starts(struct bench *b, struct bench_conn *c)
{
	uint32_t per_room = b->n_rooms > 0 ? b->n_pubs / b->n_rooms : 0;
	uint64_t *missed = c->t_cut != 0 ? &b->count.lost_cut : &b->count.left;

	if (c->pub >= 0)
		c->seq0 = b->pubs[c->pub].seq;
	for (uint32_t i = 0; c->tracks != NULL && i < per_room; i++) {
		struct bench_pub *pub = &b->pubs[c->room * per_room + i];

		/* what was published while it was away */
		bench_track_end(&c->tracks[i], pub, missed, missed);
		bench_track_start(&c->tracks[i], pub);
	}
	bench_conn_ready(b, c);
}

/* Connect and subscribe go out together, as the SDKs do it. */
void
bench_client_open(struct bench *b, struct bench_conn *c)
{
	if (b->opt->raw)
		session_starts(b, c);
	else
		send_hello(b, c);
}

static void
count_confirm(struct bench *b, const struct bench_pub *pub, uint32_t seq, uint64_t now)
{
	uint64_t sent = pub->sent[seq & (pub->n_sent - 1)];

	/* Written over when more were outstanding than there is room for. */
	if (pub->seq - seq < pub->n_sent && sent >= b->win_from && sent < b->win_to)
		bench_hist_add(&b->confirm, now > sent ? now - sent : 0);
}

static void
published_reply(struct bench *b, struct bench_conn *c, uint32_t id, const char *p,
    size_t n, bool error, uint64_t now)
{
	struct bench_pub *pub = c->pub >= 0 ? &b->pubs[c->pub] : NULL;
	uint32_t seq = id - ID_SUBSCRIBE + c->seq0;

	if (pub == NULL || id <= ID_SUBSCRIBE || id > c->cmd) {
		protocol_error(b, c, "a reply to no command", p, n);
		return;
	}
	if (!error && !HAS(p, n, "\"publish\":{"))
		protocol_error(b, c, "no result in the reply", p, n);
	if (seq <= pub->answered) {
		protocol_error(b, c, "a second reply, or one out of order", p, n);
		return;
	}
	b->count.answered++;
	if (error) {
		b->count.refused++;
		bench_pub_excuse(pub, seq, seq);
		bench_note(b, "a publication was refused: %.*s",
		    (int)BASE_MIN(n, (size_t)140), p);
	} else {
		count_confirm(b, pub, seq, now);
	}
	pub->answered = seq;
}

static void
got_reply(struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	uint32_t id = number_after(p, n, "\"id\":");
	bool error = HAS(p, n, "\"error\":{");

	if (c->state == BENCH_READY) {
		published_reply(b, c, id, p, n, error, now);
		return;
	}
	if (error) {
		/* 109, and what says that it is temporary: an SDK would try again */
		bench_conn_down(b, c,
		    HAS(p, n, "\"code\":109") || HAS(p, n, "\"temporary\":true"),
		    "the server refused: %.*s", (int)BASE_MIN(n, (size_t)120), p);
	} else if (id == ID_CONNECT && HAS(p, n, "\"connect\":")) {
		c->pong = HAS(p, n, "\"pong\":true");
		c->ping = number_after(p, n, "\"ping\":");
		c->worker = HAS(p, n, "\"worker\":")
		    ? number_after(p, n, "\"worker\":") + 1
		    : 0;
		if (c->num >= b->n_members)
			session_starts(b, c);
	} else if (id == ID_SUBSCRIBE && HAS(p, n, "\"subscribe\":")) {
		session_starts(b, c);
	} else {
		protocol_error(b, c, "a reply to no command", p, n);
	}
}

static void
got_line(struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	if (STARTS_WITH(p, n, "{\"push\":")) {
		got_push(b, c, p, n, now);
	} else if (n == 2 && p[0] == '{' && p[1] == '}') {
		b->count.pings++;
		if (c->pong) {
			b->text.len = 0;
			base_buf_str(&b->text, "{}");
			send_text(b, c);
		}
	} else if (STARTS_WITH(p, n, "{\"id\":")) {
		got_reply(b, c, p, n, now);
	} else {
		protocol_error(b, c, "not of the protocol", p, n);
	}
}

void
bench_client_message(
    struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	const char *end = p + n;

	if (n == 0) {
		protocol_error(b, c, "an empty message", p, n);
		return;
	}
	if (b->opt->raw) {
		if (n == b->payload.len)
			delivery(b, c, p, n, now);
		else
			damaged(b, c, p, n);
		return;
	}
	while (p < end && (c->state == BENCH_HELLO || c->state == BENCH_READY)) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (stop == NULL)
			stop = end;
		got_line(b, c, p, (size_t)(stop - p), now);
		p = stop + 1;
	}
}

/* ---- the account -------------------------------------------------------- */

void
bench_client_end(struct bench *b, struct bench_conn *c, bool cut)
{
	uint32_t per_room = b->n_pubs / b->n_rooms;

	if (c->pub >= 0) {
		struct bench_pub *pub = &b->pubs[c->pub];

		b->count.unsure += pub->seq - pub->answered;
		bench_pub_excuse(pub, pub->answered + 1, pub->seq);
		pub->answered = pub->seq;
	}
	for (uint32_t i = 0; c->tracks != NULL && i < per_room; i++)
		bench_track_end(&c->tracks[i], &b->pubs[c->room * per_room + i],
		    &b->count.lost, cut ? &b->count.lost_cut : &b->count.left);
}

void
bench_client_settle(struct bench *b)
{
	uint32_t per_room = b->n_pubs / b->n_rooms;

	b->count.unanswered = b->count.published - b->count.answered - b->count.unsure;
	for (uint32_t i = 0; i < b->n_members; i++) {
		struct bench_conn *c = &b->conns[i];
		uint64_t *tail = &b->count.lost_cut;

		if (c->state == BENCH_READY)
			tail = &b->count.lost;
		else if (c->left)
			tail = &b->count.left;
		for (uint32_t k = 0; c->tracks != NULL && k < per_room; k++)
			bench_track_end(&c->tracks[k], &b->pubs[c->room * per_room + k],
			    &b->count.lost, tail);
	}
}
