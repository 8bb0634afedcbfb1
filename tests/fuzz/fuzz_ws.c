/*
 * fuzz_ws: frames of a client.  The first byte chooses the limits, the rest is what
 * comes in.
 *
 * However the bytes are cut, the events are the same; a model that reads one byte at a
 * time and knows no limits of speed agrees with each of them; no message is over the
 * limit, and none is text that is not UTF-8.
 */
#include "config.h"

#include "fuzz.h"
#include "proto/utf8.h"
#include "proto/ws_frame.h"

/* What a run came to: a digest of its events, and how it ended. */
struct result {
	uint64_t digest;
	unsigned events;
	struct ws_event last;
};

/* The message so far, as the model sees it. */
struct model {
	uint8_t opcode;
	bool compressed;
	struct base_buf msg;
};

static void
note(struct result *r, const struct ws_event *ev)
{
	uint64_t salt = r->digest ^ (uint64_t)ev->kind << 32 ^
	    (uint64_t)ev->code << 16 ^ ev->opcode ^ (ev->compressed ? 0x8000u : 0u);

	r->digest = fuzz_hash((const uint8_t *)ev->data, ev->len, salt);
	r->events++;
	r->last = *ev;
	r->last.data = NULL;
}

static bool
is_end(const struct ws_event *ev)
{
	return ev->kind == WS_EV_ERROR || ev->kind == WS_EV_CLOSE;
}

/* Where the payload of the frame at P begins, and its length. */
static size_t
model_head(const uint8_t *p, uint64_t *len_r)
{
	unsigned i, ext = (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0;

	*len_r = ext > 0 ? 0 : p[1] & 0x7f;
	for (i = 0; i < ext; i++)
		*len_r = *len_r << 8 | p[2 + i];
	return 2 + ext + 4;
}

static void
check_payload(const struct ws_event *ev, const struct base_buf *want, size_t skip)
{
	FUZZ_CHECK(ev->len == want->len - skip);
	FUZZ_CHECK(ev->len == 0 || memcmp(ev->data, want->p + skip, ev->len) == 0);
}

/* The frame of USED bytes that P was before it was read gives the event EV. */
static void
check_event(struct model *m, const struct ws_limits *limits, const uint8_t *p,
    size_t used, const struct ws_event *ev)
{
	struct base_buf control = {0}, *to;
	uint64_t len, i;
	size_t at = model_head(p, &len);

	FUZZ_CHECK(used == at + len && (p[1] & 0x80) != 0);
	to = (p[0] & 8) != 0 ? &control : &m->msg;
	for (i = 0; i < len; i++)
		base_buf_byte(to, (char)(p[at + i] ^ p[at - 4 + i % 4]));
	if ((p[0] & 8) == 0 && (p[0] & 15) != 0) {
		FUZZ_CHECK(m->opcode == 0);
		m->opcode = p[0] & 15;
		m->compressed = (p[0] & WS_RSV1) != 0;
	}
	switch (ev->kind) {
	case WS_EV_PING:
	case WS_EV_PONG:
	case WS_EV_CLOSE:
		FUZZ_CHECK((p[0] & 15) == (ev->kind == WS_EV_PING ? WS_PING
				: ev->kind == WS_EV_PONG          ? WS_PONG
								  : WS_CLOSE));
		check_payload(ev, &control, ev->kind == WS_EV_CLOSE && len > 0 ? 2 : 0);
		FUZZ_CHECK(ev->kind != WS_EV_CLOSE || utf8_valid(ev->data, ev->len));
		break;
	case WS_EV_MESSAGE:
		FUZZ_CHECK((p[0] & WS_FIN) != 0 && ev->opcode == m->opcode);
		FUZZ_CHECK(ev->compressed == m->compressed);
		FUZZ_CHECK(!ev->compressed || limits->deflate);
		check_payload(ev, &m->msg, 0);
		FUZZ_CHECK(ev->len <= limits->message);
		FUZZ_CHECK(ev->opcode != WS_TEXT || ev->compressed ||
		    utf8_valid(ev->data, ev->len));
		m->opcode = 0;
		m->msg.len = 0;
		break;
	default:
		FUZZ_CHECK(ev->kind == WS_EV_PART && (p[0] & (WS_FIN | 8)) == 0);
		break;
	}
	base_buf_free(&control);
}

/* All at once, each event held against the model. */
static struct result
run_whole(const struct ws_limits *limits, const uint8_t *data, size_t n)
{
	uint8_t *in = fuzz_copy(data, n);
	struct result r = {0};
	struct model m = {0};
	struct ws_event ev = {.kind = WS_EV_MORE};
	struct ws_rx rx = {0};
	size_t used = 0, got;

	while (!is_end(&ev)) {
		got = ws_rx_next(&rx, limits, in + used, n - used, &ev);
		if (ev.kind == WS_EV_MORE) {
			FUZZ_CHECK(got == 0);
			FUZZ_CHECK(n == used ||
			    memcmp(in + used, data + used, n - used) == 0);
			break;
		}
		if (ev.kind == WS_EV_ERROR)
			FUZZ_CHECK(got == n - used);
		else
			check_event(&m, limits, data + used, got, &ev);
		note(&r, &ev);
		FUZZ_CHECK(rx.msg.cap <= limits->message);
		used += got;
	}
	ws_rx_free(&rx);
	base_buf_free(&m.msg);
	free(in);
	return r;
}

/* In pieces whose sizes come from SALT, keeping what was not used. */
static struct result
run_pieces(const struct ws_limits *limits, const uint8_t *data, size_t n, uint64_t salt)
{
	struct result r = {0};
	struct ws_event ev = {.kind = WS_EV_MORE};
	struct ws_rx rx = {0};
	size_t begin = 0, end = 0, used;
	uint8_t *in;

	while (end < n && !is_end(&ev)) {
		end += 1 + fuzz_hash(data + end, n - end > 8, salt) % 24;
		end = BASE_MIN(end, n);
		in = fuzz_copy(data + begin, end - begin);
		for (used = 0; !is_end(&ev);) {
			used += ws_rx_next(&rx, limits, in + used,
			    end - begin - used, &ev);
			if (ev.kind == WS_EV_MORE)
				break;
			note(&r, &ev);
			if (ev.kind == WS_EV_MESSAGE && salt % 2 == 0)
				ws_rx_done(&rx);
		}
		begin += used;
		free(in);
	}
	ws_rx_free(&rx);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = {0, 125, 300, 65536};
	struct ws_limits limits;
	struct result whole, pieces;
	unsigned i;

	if (size == 0)
		return 0;
	limits.deflate = (data[0] & 1) != 0;
	limits.frame = sizes[data[0] >> 1 & 3];
	limits.message = sizes[data[0] >> 3 & 3];
	data++;
	size--;
	whole = run_whole(&limits, data, size);
	for (i = 0; i < 2; i++) {
		pieces = run_pieces(&limits, data, size, i);
		FUZZ_CHECK(pieces.events == whole.events);
		FUZZ_CHECK(pieces.digest == whole.digest);
		FUZZ_CHECK(pieces.last.kind == whole.last.kind);
		FUZZ_CHECK(pieces.last.code == whole.last.code);
	}
	return 0;
}
