/*
 * ws_frame: see the header.  Section numbers are those of RFC 6455.
 */
#include "config.h"

#include "proto/ws_frame.h"

#include <endian.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "proto/utf8.h"

#define WS_CONTINUATION 0
#define WS_RSV23        0x30
#define WS_OPCODE       0x0f
#define WS_CONTROL      0x08 /* the bit that control opcodes have */
#define WS_MASKED       0x80
#define WS_CONTROL_MAX  125
#define WS_MASK_LEN     4

struct head {
	uint8_t first; /* FIN, RSV, opcode */
	bool masked;
	unsigned len; /* of the head itself, with the mask */
	uint64_t payload;
};

/* False when N bytes are not the whole head; then the two first may be there. */
static bool
head_read(const uint8_t *p, size_t n, struct head *h)
{
	uint16_t l16;
	uint64_t l64;
	unsigned ext;

	h->first = p[0];
	if (n < 2)
		return false;
	h->masked = (p[1] & WS_MASKED) != 0;
	h->payload = p[1] & 0x7f;
	ext = h->payload == 127 ? 8 : h->payload == 126 ? 2 : 0;
	h->len = 2 + ext + (h->masked ? WS_MASK_LEN : 0);
	if (n < 2 + ext)
		return false;
	if (ext == 2) {
		memcpy(&l16, p + 2, 2);
		h->payload = be16toh(l16);
	} else if (ext == 8) {
		memcpy(&l64, p + 2, 8);
		h->payload = be64toh(l64);
	}
	return n >= h->len;
}

/* What the first byte must be, given what came before (5.2, 5.4, 5.5). */
static bool
first_ok(const struct ws_rx *rx, const struct ws_limits *limits, uint8_t first)
{
	switch (first & WS_OPCODE) {
	case WS_TEXT:
	case WS_BINARY:
		return rx->opcode == 0 && (first & WS_RSV23) == 0 &&
		    ((first & WS_RSV1) == 0 || limits->deflate);
	case WS_CONTINUATION:
		return rx->opcode != 0 && (first & (WS_RSV1 | WS_RSV23)) == 0;
	case WS_CLOSE:
	case WS_PING:
	case WS_PONG:
		return (first & ~WS_OPCODE) == WS_FIN;
	default:
		return false;
	}
}

/*
 * 0 if the frame may go on, else the code to close with.  Each rule is applied as
 * soon as the bytes are there that it is about, and in the order of the bytes, so
 * that the outcome does not depend on how they arrive.
 */
static unsigned
head_check(const struct ws_rx *rx, const struct ws_limits *limits, const uint8_t *p,
    size_t n)
{
	struct head h;
	unsigned len7;
	size_t ext;

	if (!first_ok(rx, limits, p[0]))
		return WS_CODE_PROTOCOL;
	if (n < 2)
		return 0;
	len7 = p[1] & 0x7f;
	if ((p[1] & WS_MASKED) == 0) /* 5.1 */
		return WS_CODE_PROTOCOL;
	if ((p[0] & WS_CONTROL) != 0) {
		if (len7 > WS_CONTROL_MAX ||
		    ((p[0] & WS_OPCODE) == WS_CLOSE && len7 == 1)) /* 5.5, 5.5.1 */
			return WS_CODE_PROTOCOL;
		return 0;
	}
	ext = len7 == 127 ? 8 : len7 == 126 ? 2 : 0;
	if (ext == 8 && n > 2 && (p[2] & 0x80) != 0) /* 5.2 */
		return WS_CODE_PROTOCOL;
	if (n < 2 + ext)
		return 0;
	head_read(p, n, &h);
	if (h.payload > limits->frame || h.payload + rx->msg.len > limits->message)
		return WS_CODE_TOO_BIG;
	return 0;
}

/* 5.3, in words; the mask stays aligned because a word is two masks long. */
static void
unmask(uint8_t *p, size_t n, const uint8_t mask[WS_MASK_LEN])
{
	uint64_t word, key;
	uint32_t half;
	size_t i;

	memcpy(&half, mask, sizeof(half));
	key = (uint64_t)half << 32 | half;
	for (i = 0; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		word ^= key;
		memcpy(p + i, &word, sizeof(word));
	}
	for (; i < n; i++)
		p[i] ^= mask[i % WS_MASK_LEN];
}

/* Codes that a client may send (7.4, and the registry up to 1014). */
static bool
close_code_ok(unsigned code)
{
	if (code >= 3000)
		return code <= 4999;
	return code >= 1000 && code <= 1014 && code != 1004 && code != WS_CODE_NONE &&
	    code != 1006;
}

static void
take_error(struct ws_event *ev, unsigned code)
{
	*ev = (struct ws_event){.kind = WS_EV_ERROR, .code = (uint16_t)code};
}

static void
take_close(struct ws_event *ev, uint8_t *p, size_t n)
{
	unsigned code;

	ev->kind = WS_EV_CLOSE;
	ev->code = WS_CODE_NONE;
	if (n == 0)
		return;
	code = (unsigned)p[0] << 8 | p[1];
	if (!close_code_ok(code)) {
		take_error(ev, WS_CODE_PROTOCOL);
	} else if (!utf8_valid(p + 2, n - 2)) {
		take_error(ev, WS_CODE_DATA);
	} else {
		ev->code = (uint16_t)code;
		ev->data += 2;
		ev->len -= 2;
	}
}

static void
take_control(struct ws_event *ev, uint8_t opcode, uint8_t *p, size_t n)
{
	if (opcode == WS_CLOSE)
		take_close(ev, p, n);
	else
		ev->kind = opcode == WS_PING ? WS_EV_PING : WS_EV_PONG;
}

/* Doubles like base_buf, but never past the limit, which the head was held to. */
static void
add_piece(struct ws_rx *rx, const struct ws_limits *limits, const uint8_t *p, size_t n)
{
	struct base_buf *msg = &rx->msg;
	size_t need = msg->len + n, cap;

	if (need > msg->cap) {
		cap = BASE_MAX(BASE_MAX(msg->cap * 2, need), (size_t)256);
		cap = BASE_MIN(cap, limits->message);
		msg->p = base_realloc(msg->p, cap, 1);
		msg->cap = cap;
	}
	base_buf_add(msg, p, n);
}

/* Text so far, from the character that the last piece left open. */
static bool
text_ok(struct ws_rx *rx, const char *p, size_t n, bool fin)
{
	unsigned tail;

	if (!utf8_begins(p, n, &tail) || (fin && tail > 0))
		return false;
	rx->tail = (uint8_t)tail;
	return true;
}

static void
take_data(struct ws_rx *rx, const struct ws_limits *limits, uint8_t first,
    struct ws_event *ev)
{
	bool fin = (first & WS_FIN) != 0;
	size_t old = rx->msg.len - rx->tail;

	if ((first & WS_OPCODE) != WS_CONTINUATION) {
		rx->opcode = first & WS_OPCODE;
		rx->compressed = (first & WS_RSV1) != 0;
		rx->tail = 0;
		old = 0;
	}
	if (!fin || rx->msg.len > 0) {
		add_piece(rx, limits, (uint8_t *)ev->data, ev->len);
		if (rx->msg.len > 0) {
			ev->data = rx->msg.p;
			ev->len = rx->msg.len;
		}
	}
	if (rx->opcode == WS_TEXT && !rx->compressed &&
	    !text_ok(rx, ev->data + old, ev->len - old, fin)) {
		take_error(ev, WS_CODE_DATA);
	} else if (fin) {
		ev->kind = WS_EV_MESSAGE;
		ev->opcode = rx->opcode;
		ev->compressed = rx->compressed;
		rx->opcode = 0;
	} else {
		*ev = (struct ws_event){.kind = WS_EV_PART};
	}
}

size_t
ws_rx_next(struct ws_rx *rx, const struct ws_limits *limits, uint8_t *p, size_t n,
    struct ws_event *ev)
{
	struct head h;
	unsigned code;
	uint8_t *payload;

	*ev = (struct ws_event){.kind = WS_EV_MORE};
	if (rx->opcode == 0 && rx->msg.p != NULL)
		ws_rx_done(rx);
	if (n == 0)
		return 0;
	code = head_check(rx, limits, p, n);
	if (code != 0) {
		take_error(ev, code);
		return n;
	}
	if (!head_read(p, n, &h) || n - h.len < h.payload)
		return 0;
	payload = p + h.len;
	unmask(payload, h.payload, payload - WS_MASK_LEN);
	ev->data = (char *)payload;
	ev->len = h.payload;
	if ((h.first & WS_CONTROL) != 0)
		take_control(ev, h.first & WS_OPCODE, payload, h.payload);
	else
		take_data(rx, limits, h.first, ev);
	return ev->kind == WS_EV_ERROR ? n : h.len + h.payload;
}

void
ws_rx_done(struct ws_rx *rx)
{
	base_assert(rx->opcode == 0);
	ws_rx_free(rx);
}

void
ws_rx_free(struct ws_rx *rx)
{
	base_buf_free(&rx->msg);
	*rx = (struct ws_rx){0};
}

size_t
ws_frame_need(const uint8_t *p, size_t n)
{
	struct head h;

	if (n == 0 || !head_read(p, n, &h))
		return 0;
	return h.len + h.payload;
}

size_t
ws_frame_head(uint8_t out[WS_HEAD_MAX], uint8_t first, uint64_t len)
{
	uint16_t l16 = htobe16((uint16_t)len);
	uint64_t l64 = htobe64(len);

	out[0] = first;
	if (len < 126) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len <= UINT16_MAX) {
		out[1] = 126;
		memcpy(out + 2, &l16, 2);
		return 4;
	}
	out[1] = 127;
	memcpy(out + 2, &l64, 8);
	return 10;
}

size_t
ws_frame_close(uint8_t out[WS_CLOSE_MAX], uint16_t code, const char *reason)
{
	size_t len;

	if (code == WS_CODE_NONE)
		return ws_frame_head(out, WS_FIN | WS_CLOSE, 0);
	len = utf8_cut(reason, strnlen(reason, WS_CONTROL_MAX - 2));
	ws_frame_head(out, WS_FIN | WS_CLOSE, 2 + len);
	out[2] = (uint8_t)(code >> 8);
	out[3] = (uint8_t)code;
	memcpy(out + 4, reason, len);
	return 4 + len;
}

size_t
ws_frame_sent_len(const uint8_t *p)
{
	struct head h;
	bool whole = head_read(p, WS_HEAD_MAX, &h);

	base_assert(whole && !h.masked);
	return h.len + h.payload;
}
