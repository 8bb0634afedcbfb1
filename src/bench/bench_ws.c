/* bench_ws: see bench_ws.h. */
#include "config.h"

#include "bench/bench_ws.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/base_assert.h"

#define FIN  0x80
#define RSV1 0x40

#define KEY_LEN    24 /* 16 bytes in base64 */
#define ACCEPT_LEN 28 /* 20 bytes in base64 */
#define HEAD_MAX   16384

/* ---- handshake ---------------------------------------------------------- */

static void
make_key(uint64_t nonce, char key[KEY_LEN + 1])
{
	uint64_t raw[2] = {nonce, nonce * 0x9e3779b97f4a7c15u + 1};

	EVP_EncodeBlock((unsigned char *)key, (unsigned char *)raw, sizeof(raw));
}

/* RFC 6455 section 4.2.2, point 5.4. */
static void
make_accept(uint64_t nonce, char accept[ACCEPT_LEN + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char sum[SHA_DIGEST_LENGTH];
	char text[KEY_LEN + sizeof(guid)];

	make_key(nonce, text);
	memcpy(text + KEY_LEN, guid, sizeof(guid));
	SHA1((unsigned char *)text, sizeof(text) - 1, sum);
	EVP_EncodeBlock((unsigned char *)accept, sum, sizeof(sum));
}

void
bench_ws_request(struct base_buf *out, const struct bench_url *url,
    const struct bench_list *headers, bool deflate, uint64_t nonce)
{
	char key[KEY_LEN + 1];

	make_key(nonce, key);
	base_buf_printf(out,
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: "
	    "Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
	    url->path, url->authority, key);
	if (deflate)
		base_buf_str(out,
		    "Sec-WebSocket-Extensions: permessage-deflate; "
		    "client_no_context_takeover; server_no_context_takeover\r\n");
	for (unsigned i = 0; i < headers->n; i++)
		base_buf_printf(out, "%s\r\n", headers->v[i]);
	base_buf_str(out, "\r\n");
}

/* The value of the header NAME in a complete head; p is NULL when it is absent. */
static struct base_slice
find_header(const char *head, size_t n, const char *name)
{
	size_t len = strlen(name);
	const char *end = head + n, *line = memmem(head, n, "\r\n", 2);

	while (line != NULL && (size_t)(end - line) > len + 3) {
		const char *v = line + 2,
			   *stop = memmem(v, (size_t)(end - v), "\r\n", 2);

		if (stop == NULL)
			break;
		if ((size_t)(stop - v) > len && strncasecmp(v, name, len) == 0 &&
		    v[len] == ':') {
			v += len + 1;
			while (v < stop && *v == ' ')
				v++;
			while (stop > v && stop[-1] == ' ')
				stop--;
			return (struct base_slice){v, (size_t)(stop - v)};
		}
		line = stop;
	}
	return (struct base_slice){NULL, 0};
}

static bool
slice_is(struct base_slice s, const char *text)
{
	return s.p != NULL && s.len == strlen(text) &&
	       strncasecmp(s.p, text, s.len) == 0;
}

/* The piece of S up to SEP, without blanks around it; S becomes the rest. */
static struct base_slice
next_piece(struct base_slice *s, char sep)
{
	const char *at = memchr(s->p, sep, s->len);
	struct base_slice piece = {s->p, at != NULL ? (size_t)(at - s->p) : s->len};
	size_t used = at != NULL ? piece.len + 1 : piece.len;

	s->p += used;
	s->len -= used;
	while (piece.len > 0 && *piece.p == ' ') {
		piece.p++;
		piece.len--;
	}
	while (piece.len > 0 && piece.p[piece.len - 1] == ' ')
		piece.len--;
	return piece;
}

/* What the server made of our offer: NULL, or why it is wrong (RFC 7692 7.1). */
static const char *
check_extensions(struct base_slice value, bool offered, bool *deflate_r)
{
	struct base_slice piece;
	bool no_takeover = false;

	*deflate_r = false;
	if (value.p == NULL)
		return NULL;
	if (!offered)
		return "the server chose an extension that was not offered";
	if (!slice_is(next_piece(&value, ';'), "permessage-deflate"))
		return "the server chose an unknown extension";
	while (value.len > 0) {
		piece = next_piece(&value, ';');
		if (slice_is(piece, "server_no_context_takeover"))
			no_takeover = true;
		else if (!slice_is(piece, "client_no_context_takeover") &&
			 (piece.len < 23 ||
			     strncasecmp(piece.p, "server_max_window_bits=", 23) != 0))
			return "the server answered with an unknown parameter of "
			       "permessage-deflate";
	}
	if (!no_takeover)
		return "the server did not agree to server_no_context_takeover";
	*deflate_r = true;
	return NULL;
}

ssize_t
bench_ws_response(const char *p, size_t n, uint64_t nonce, bool offered,
    bool *deflate_r, char *err, size_t errlen)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4), *why;
	char accept[ACCEPT_LEN + 1];
	struct base_slice got;
	size_t head;

	if (end == NULL) {
		if (n <= HEAD_MAX)
			return 0;
		snprintf(err, errlen, "the response to the upgrade does not end");
		return -1;
	}
	head = (size_t)(end - p) + 2;
	if (head < 13 || memcmp(p, "HTTP/1.1 101 ", 13) != 0) {
		size_t line = (size_t)((const char *)memchr(p, '\r', head) - p);

		snprintf(err, errlen, "the upgrade was refused: %.*s",
		    (int)BASE_MIN(line, (size_t)100), p);
		return -1;
	}
	make_accept(nonce, accept);
	got = find_header(p, head, "Sec-WebSocket-Accept");
	if (got.p == NULL || got.len != ACCEPT_LEN ||
	    memcmp(got.p, accept, got.len) != 0 ||
	    !slice_is(find_header(p, head, "Upgrade"), "websocket") ||
	    !slice_is(find_header(p, head, "Connection"), "upgrade")) {
		snprintf(err, errlen, "the response to the upgrade is not correct");
		return -1;
	}
	why = check_extensions(
	    find_header(p, head, "Sec-WebSocket-Extensions"), offered, deflate_r);
	if (why != NULL) {
		snprintf(err, errlen, "%s", why);
		return -1;
	}
	return (ssize_t)head + 2;
}

/* ---- frames that are sent ----------------------------------------------- */

void
bench_ws_frame(
    struct base_buf *out, uint8_t opcode, struct base_slice data, uint32_t mask)
{
	unsigned char head[14], *to;
	size_t h = 2, i;

	head[0] = FIN | opcode;
	if (data.len < 126) {
		head[1] = 0x80 | (unsigned char)data.len;
	} else {
		base_assert(data.len < 65536);
		head[1] = 0x80 | 126;
		head[2] = (unsigned char)(data.len >> 8);
		head[3] = (unsigned char)data.len;
		h = 4;
	}
	memcpy(head + h, &mask, 4);
	h += 4;
	base_buf_add(out, head, h);
	to = (unsigned char *)base_buf_room(out, data.len);
	for (i = 0; i + 4 <= data.len; i += 4) {
		uint32_t word;

		memcpy(&word, data.p + i, 4);
		word ^= mask;
		memcpy(to + i, &word, 4);
	}
	for (; i < data.len; i++)
		to[i] = (unsigned char)data.p[i] ^ head[h - 4 + (i & 3)];
	out->len += data.len;
}

/* ---- frames that are received ------------------------------------------- */

static void
bad(struct bench_ws_event *ev, const char *why)
{
	ev->kind = BENCH_WS_BAD;
	ev->why = why;
}

/* Inflates a message into a buffer that all connections share. */
static bool
inflate_message(const char *p, size_t n, struct bench_ws_event *ev)
{
	static const unsigned char tail[4] = {0, 0, 0xff, 0xff};
	static z_stream z;
	static struct base_buf out;
	static bool ready;
	bool in_tail = false;
	int rc;

	if (!ready)
		base_assert(inflateInit2(&z, -15) == Z_OK);
	else
		base_assert(inflateReset(&z) == Z_OK);
	ready = true;
	out.len = 0;
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	for (;;) {
		z.next_out = (Bytef *)base_buf_room(&out, 16384);
		z.avail_out = 16384;
		rc = inflate(&z, Z_SYNC_FLUSH);
		out.len += 16384 - z.avail_out;
		if ((rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END) ||
		    out.len > BENCH_WS_MESSAGE_MAX)
			return false;
		if (rc == Z_STREAM_END)
			break;
		if (z.avail_out > 0 && z.avail_in == 0) {
			if (in_tail)
				break;
			in_tail = true;
			z.next_in = (Bytef *)(uintptr_t)tail;
			z.avail_in = sizeof(tail);
		}
	}
	ev->data = out.p;
	ev->len = out.len;
	return true;
}

/* A whole message, perhaps compressed. */
static void
message(bool compressed, const char *p, size_t n, struct bench_ws_event *ev)
{
	ev->kind = BENCH_WS_MESSAGE;
	ev->data = p;
	ev->len = n;
	if (compressed && !inflate_message(p, n, ev))
		bad(ev, "a compressed message is damaged");
}

static void
control(unsigned first, const char *p, size_t n, struct bench_ws_event *ev)
{
	unsigned op = first & 15;

	ev->data = p;
	ev->len = n;
	if ((first & FIN) == 0 || n > 125) {
		bad(ev, "a control frame is fragmented or too long");
	} else if (op == 9) {
		ev->kind = BENCH_WS_GOT_PING;
	} else if (op == 10) {
		ev->kind = BENCH_WS_GOT_PONG;
	} else if (op == 8) {
		ev->kind = BENCH_WS_GOT_CLOSE;
		ev->code = 1005;
		if (n >= 2) {
			ev->code = (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
			ev->data = p + 2;
			ev->len = n - 2;
		}
	} else {
		bad(ev, "a frame has an unknown opcode");
	}
}

static void
data_frame(struct bench_ws_rx *rx, unsigned first, const char *p, size_t n,
    struct bench_ws_event *ev)
{
	unsigned op = first & 15;
	bool compressed = (first & RSV1) != 0;

	if (op > 2) {
		bad(ev, "a frame has an unknown opcode");
		return;
	}
	if ((op == 0) != (rx->opcode != 0) || (op == 0 && compressed)) {
		bad(ev, "fragments are out of order");
		return;
	}
	if (op != 0 && (first & FIN) != 0) {
		message(compressed, p, n, ev);
		return;
	}
	if (op != 0) {
		rx->msg.len = 0;
		rx->opcode = (uint8_t)op;
		rx->compressed = compressed;
	}
	if (rx->msg.len + n > BENCH_WS_MESSAGE_MAX) {
		bad(ev, "a message is too long");
		return;
	}
	base_buf_add(&rx->msg, p, n);
	ev->kind = BENCH_WS_PART;
	if ((first & FIN) != 0) {
		rx->opcode = 0;
		message(rx->compressed, rx->msg.p, rx->msg.len, ev);
	}
}

/* Reads a head: its length, or 0 if more bytes are needed. */
static size_t
read_head(const unsigned char *p, size_t n, uint64_t *len_r)
{
	uint64_t len;

	if (n < 2)
		return 0;
	len = p[1] & 127;
	if (len < 126) {
		*len_r = len;
		return 2;
	}
	if (len == 126) {
		if (n < 4)
			return 0;
		*len_r = (uint64_t)p[2] << 8 | p[3];
		return 4;
	}
	if (n < 10)
		return 0;
	len = 0;
	for (int i = 2; i < 10; i++)
		len = len << 8 | p[i];
	*len_r = len;
	return 10;
}

size_t
bench_ws_next(struct bench_ws_rx *rx, bool deflate, const char *p, size_t n,
    struct bench_ws_event *ev)
{
	const unsigned char *u = (const unsigned char *)p;
	uint64_t len = 0;
	size_t head = read_head(u, n, &len);

	ev->kind = BENCH_WS_MORE;
	ev->why = NULL;
	if (head == 0)
		return 0;
	if ((u[1] & 0x80) != 0)
		bad(ev, "a frame of the server is masked");
	else if ((u[0] & 0x70) != 0 &&
		 ((u[0] & 0x70) != RSV1 || !deflate || (u[0] & 8) != 0))
		bad(ev, "a reserved bit is set");
	else if ((head == 4 && len < 126) || (head == 10 && len < 65536))
		bad(ev, "a length is not in its shortest form");
	else if (len > BENCH_WS_MESSAGE_MAX)
		bad(ev, "a frame is too long");
	if (ev->kind == BENCH_WS_BAD || n - head < len)
		return 0;
	if ((u[0] & 8) != 0)
		control(u[0], p + head, (size_t)len, ev);
	else
		data_frame(rx, u[0], p + head, (size_t)len, ev);
	return head + (size_t)len;
}

void
bench_ws_rx_free(struct bench_ws_rx *rx)
{
	base_buf_free(&rx->msg);
	memset(rx, 0, sizeof(*rx));
}
