/*
 * mutate: see the header.
 */
#include "config.h"

#include "mutate.h"

#include <zlib.h>

#include "base/base_assert.h"
#include "test_rand.h"

/* No case grows beyond that by a repetition. */
#define ENOUGH (64u << 10)

#define FIN 0x80
#define RSV1 0x40

enum { CONTINUATION, TEXT, BINARY, CLOSE = 8, PING, PONG };

struct words {
	const char *const *v;
	size_t n;
};
#define WORDS(array)                     \
	{                                \
		array, BASE_COUNT(array) \
	}

static bool
one_in(size_t n)
{
	return test_rand(n) == 0;
}

/* In [0, BELOW), and not more than MAX. */
static size_t
at_most(size_t max, size_t below)
{
	size_t n = test_rand(below);

	return BASE_MIN(max, n);
}

static const char *
pick(const struct words *w)
{
	return w->v[test_rand(w->n)];
}

/* ---- bytes ---- */

static void
insert(struct base_buf *b, size_t at, const void *p, size_t n)
{
	struct base_buf copy = {0};

	base_buf_add(&copy, p, n); /* P may lie in B */
	base_buf_room(b, n);
	memmove(b->p + at + n, b->p + at, b->len - at);
	if (n > 0)
		memcpy(b->p + at, copy.p, n);
	b->len += n;
	base_buf_free(&copy);
}

static void
cut(struct base_buf *b, size_t at, size_t n)
{
	memmove(b->p + at, b->p + at + n, b->len - at - n);
	b->len -= n;
}

static void
insert_noise(struct base_buf *b, size_t at)
{
	uint64_t noise[4];

	for (size_t i = 0; i < BASE_COUNT(noise); i++)
		noise[i] = test_rand64();
	insert(b, at, noise, 1 + test_rand(sizeof(noise)));
}

static void
insert_repeated(struct base_buf *b, size_t at, const char *word)
{
	struct base_buf many = {0};
	size_t n = (size_t)1 << test_rand(14);

	while (n-- > 0 && many.len < ENOUGH)
		base_buf_str(&many, word);
	if (b->len < ENOUGH)
		insert(b, at, many.p, many.len);
	base_buf_free(&many);
}

/* One mutation of B behind its first FROM bytes, of which there are some. */
static void
mutate_once(struct base_buf *b, size_t from, const struct words *words)
{
	static const char odd[] = {0, 1, '\n', '\r', '"', '\\', 0x7f, -128, -1, -64};
	size_t at = from + test_rand(b->len - from), left = b->len - at;
	const char *word = pick(words);

	switch (test_rand(10)) {
	case 0:
		b->p[at] = (char)(b->p[at] ^ 1 << test_rand(8));
		break;
	case 1:
		b->p[at] = (char)test_rand(256);
		break;
	case 2:
		b->p[at] = odd[test_rand(sizeof(odd))];
		break;
	case 3:
		cut(b, at, at_most(left, 17));
		break;
	case 4:
		b->len = at + 1;
		break;
	case 5:
		insert_noise(b, at);
		break;
	case 6:
		insert(b, at, word, strlen(word));
		break;
	case 7:
		memcpy(b->p + at, word, BASE_MIN(left, strlen(word)));
		break;
	case 8:
		insert(b, from + test_rand(b->len - from + 1), b->p + at,
		    1 + test_rand(left));
		break;
	case 9:
		insert_repeated(b, at, word);
		break;
	}
}

static void
mutate_some(struct base_buf *b, size_t from, const struct words *words)
{
	for (size_t n = one_in(2) ? 1 + test_rand(4) : 1; n > 0 && b->len > from; n--)
		mutate_once(b, from, words);
}

/* ---- frames ---- */

static void
add_head(struct base_buf *out, unsigned first, unsigned mask, uint64_t len, int wide)
{
	unsigned code = wide == 0 ? (unsigned)len : wide == 2 ? 126 : 127;

	base_buf_byte(out, (char)first);
	base_buf_byte(out, (char)(mask | code));
	while (wide-- > 0)
		base_buf_byte(out, (char)(len >> 8 * wide));
}

static void
add_masked(struct base_buf *out, const char *p, size_t n)
{
	uint64_t key = test_rand64();

	for (int i = 0; i < 4; i++)
		base_buf_byte(out, (char)(key >> 8 * i));
	for (size_t i = 0; i < n; i++)
		base_buf_byte(out, (char)(p[i] ^ (char)(key >> 8 * (i % 4))));
}

static void
add_frame(struct base_buf *out, unsigned first, const void *p, size_t n)
{
	add_head(out, first, 0x80, n, n < 126 ? 0 : n < 65536 ? 2 : 8);
	add_masked(out, p, n);
}

/* Whatever a head can say: about a frame that may be another one. */
static void
add_odd_frame(struct base_buf *out, unsigned first, const void *p, size_t n)
{
	static const uint64_t lengths[] = {0, 1, 2, 125, 126, 127, 128, 65535, 65536,
	    65537, 1 << 20, INT32_MAX, UINT32_MAX, INT64_MAX, (uint64_t)1 << 63,
	    UINT64_MAX};
	static const int widths[] = {0, 2, 8};
	uint64_t len = n;
	int wide = n < 126 ? 0 : n < 65536 ? 2 : 8;

	if (one_in(2))
		first = (unsigned)test_rand(256);
	if (one_in(4))
		len = lengths[test_rand(BASE_COUNT(lengths))];
	if (one_in(4))
		len += test_rand(3) - 1;
	if (one_in(4))
		wide = widths[test_rand(BASE_COUNT(widths))];
	add_head(out, first, one_in(8) ? 0 : 0x80, wide == 0 ? len & 127 : len, wide);
	add_masked(out, p, n);
}

static void
add_packed(struct base_buf *out, unsigned first, const struct base_buf *text)
{
	struct base_buf packed = {0};
	z_stream z = {0};
	uLong bound;

	base_assert(deflateInit2(&z, 1, Z_DEFLATED, -9, 1, Z_DEFAULT_STRATEGY) == Z_OK);
	bound = deflateBound(&z, text->len) + 16;
	z.next_in = (Bytef *)text->p;
	z.avail_in = (uInt)text->len;
	z.next_out = (Bytef *)base_buf_room(&packed, bound);
	z.avail_out = (uInt)bound;
	base_assert(deflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0);
	packed.len = bound - z.avail_out;
	deflateEnd(&z);
	/* RFC 7692 section 7.2.1: the last four bytes are always the same. */
	packed.len -= BASE_MIN(packed.len, 4);
	if (one_in(4) && packed.len > 0)
		packed.p[test_rand(packed.len)] = (char)test_rand(256);
	add_frame(out, first | RSV1, packed.p, packed.len);
	base_buf_free(&packed);
}

/* A message in up to four frames, with a control frame between them at times. */
static void
add_message(struct base_buf *out, unsigned opcode, const struct base_buf *text)
{
	size_t at = 0, parts = one_in(3) ? 1 + test_rand(4) : 1;

	if (one_in(8)) {
		add_packed(out, FIN | opcode, text);
		return;
	}
	for (; parts > 1; parts--) {
		size_t n = test_rand(text->len - at + 1);

		add_frame(out, opcode, text->p + at, n);
		at += n;
		opcode = CONTINUATION;
		if (one_in(4))
			add_frame(out, FIN | PONG, "between", 7);
	}
	add_frame(out, FIN | opcode, text->p + at, text->len - at);
}

void
mutate_ping(struct base_buf *out, uint64_t number)
{
	char payload[8];

	for (int i = 0; i < 8; i++)
		payload[i] = (char)(number >> 8 * (7 - i));
	add_frame(out, FIN | PING, payload, sizeof(payload));
}

/* ---- commands ---- */

/* '@' stands for a token, '#' for one of 16 channels. */
static const char *const commands[] = {
    "{\"id\":1,\"connect\":{}}",
    "{\"id\":2,\"connect\":{\"token\":\"@\",\"data\":{\"a\":[1,2.5e3,null,true]},"
    "\"name\":\"js\",\"version\":\"5.0.0\",\"subs\":{\"open:#\":{\"recover\":true}}}}",
    "{\"id\":3,\"subscribe\":{\"channel\":\"open:#\"}}",
    "{\"id\":4,\"subscribe\":{\"channel\":\"#\",\"recover\":true,\"epoch\":\"abcd\","
    "\"offset\":18446744073709551615,\"token\":\"@\",\"flag\":1,\"delta\":\"fossil\"}}",
    "{\"id\":5,\"unsubscribe\":{\"channel\":\"open:#\"}}",
    "{\"id\":6,\"publish\":{\"channel\":\"open:#\",\"data\":{\"text\":"
    "\"h\\u00e9llo \\ud83d\\ude00 \xc3\xa9\\n\",\"n\":[-0.1E-7,0,1e99]}}}",
    "{\"id\":7,\"publish\":{\"channel\":\"#\",\"data\":\"plain\"}}",
    "{\"id\":8,\"presence\":{\"channel\":\"open:#\"}}",
    "{\"id\":9,\"presence_stats\":{\"channel\":\"open:#\"}}",
    "{\"id\":10,\"history\":{\"channel\":\"open:#\",\"limit\":-1,\"since\":"
    "{\"offset\":1,\"epoch\":\"x\"},\"reverse\":true}}",
    "{\"id\":11,\"rpc\":{\"method\":\"m\",\"data\":{}}}",
    "{\"id\":12,\"refresh\":{\"token\":\"@\"}}",
    "{\"id\":13,\"sub_refresh\":{\"channel\":\"#\",\"token\":\"@\"}}",
    "{\"id\":14,\"ping\":{}}",
    "{\"id\":15,\"method\":1,\"params\":{\"channel\":\"open:#\"}}",
    "{\"send\":{\"data\":{\"x\":\"y\"}}}",
    "{}",
};
static const char *const json_words[] = {"{", "}", "[", "]", "\"", ":", ",", "\n", "\\",
    "\\u0000", "\\ud800", "\\udfff", "\\u", "null", "true", "-", "0", "1e309", "-0",
    "99999999999999999999999999", "4294967296", "\"id\":0", "\"id\":-1,", "\"id\":1.5",
    "\"channel\":\"\"", "\"channel\":[]", "\"data\":", "\"connect\":{}",
    "\"publish\":", "\"subscribe\":{",
    "{\"id\":1,\"publish\":{\"channel\":\"open:1\",\"data\":1}}\n", " ", "\t", "\xff",
    "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xef\xbb\xbf", "open:", "$", "#",
    "\x7f", "[[[[[[[[", "{\"a\":{\"a\":", "aaaaaaaaaaaaaaaa"};
static const struct words command_list = WORDS(commands);
static const struct words json_list = WORDS(json_words);

static void
add_command(const struct mutate *m, struct base_buf *out)
{
	for (const char *p = pick(&command_list); *p != 0; p++) {
		if (*p == '@')
			base_buf_str(out, m->token);
		else if (*p == '#')
			base_buf_byte(out, "0123456789abcdef"[test_rand(16)]);
		else
			base_buf_byte(out, *p);
	}
}

/* Other bytes in the string at P, which ends at END, if it is no name. */
static void
mutate_string(char *p, const char *end)
{
	size_t rarely = 1 + test_rand(32);

	for (; p < end && end[1] != ':'; p++)
		if (*p >= 'a' && *p <= 'z' && one_in(rarely))
			*p = (char)('$' + test_rand('[' - '$'));
}

/* What stays JSON: other strings and numbers as values. */
static void
mutate_softly(struct base_buf *b)
{
	char *p, *end;

	base_buf_byte(b, 0);
	for (p = b->p; *p != 0; p++) {
		if (*p >= '1' && *p <= '9')
			*p = (char)('1' + test_rand(9));
		if (*p != '"' || (end = strchr(p + 1, '"')) == NULL)
			continue;
		mutate_string(p + 1, end);
		p = end;
	}
	b->len--;
}

static void
make_commands(const struct mutate *m, struct base_buf *out)
{
	struct base_buf text = {0};
	size_t n = one_in(4) ? 1 + test_rand(8) : 1;

	while (n-- > 0) {
		add_command(m, &text);
		if (n > 0)
			base_buf_byte(&text, '\n');
	}
	if (one_in(2))
		mutate_softly(&text);
	else
		mutate_some(&text, 0, &json_list);
	if (text.len == 0)
		base_buf_byte(&text, '\n');
	add_message(out, one_in(8) ? BINARY : TEXT, &text);
	base_buf_free(&text);
}

static void
make_frames(const struct mutate *m, struct base_buf *out)
{
	static const char *const heads[] = {"\x81\xfe", "\x81\xff", "\x01\x80",
	    "\x89\x80", "\x88\x82", "\xc1\x80", "\x80\x80",
	    "\xff\xff\xff\xff\xff\xff\xff\xff", "\x81"};
	static const struct words head_list = WORDS(heads);
	static const uint8_t opcodes[] = {
	    CONTINUATION, TEXT, TEXT, TEXT, BINARY, CLOSE, PING, PONG};
	struct base_buf text = {0};
	size_t from = out->len;
	bool odd = false;

	for (size_t n = 1 + test_rand(4); n > 0; n--) {
		uint8_t opcode = opcodes[test_rand(sizeof(opcodes))];

		text.len = 0;
		if (opcode == CLOSE)
			base_buf_add(&text, (char[]){3, (char)test_rand(256)}, 2);
		add_command(m, &text);
		if (opcode >= CLOSE)
			text.len = at_most(text.len, 126);
		if (one_in(3)) {
			add_odd_frame(out, FIN | opcode, text.p, text.len);
			odd = true;
		} else if (opcode == TEXT || opcode == BINARY) {
			add_message(out, opcode, &text);
		} else {
			add_frame(out, FIN | opcode, text.p, text.len);
		}
	}
	if (!odd || one_in(3))
		mutate_some(out, from, &head_list);
	base_buf_free(&text);
}

/* ---- requests ---- */

#define SHAKE                                                  \
	"GET /connection/websocket HTTP/1.1\r\n"               \
	"Host: localhost\r\nUpgrade: websocket\r\n"            \
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
#define DEFLATE                                                    \
	"Sec-WebSocket-Extensions: permessage-deflate; "           \
	"client_no_context_takeover; server_no_context_takeover; " \
	"client_max_window_bits; server_max_window_bits=12\r\n"

static const char *const requests[] = {
    SHAKE "\r\n",
    SHAKE DEFLATE "\r\n",
    SHAKE
    "Sec-WebSocket-Protocol: x, centrifuge-json\r\nOrigin: http://a.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "GET /metrics?x=%41 HTTP/1.0\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
    "POST /connection/websocket HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /chat.mjs HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
};
static const char *const http_words[] = {"\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":",
    ": ", ",", ";", "=", "\"", "%00", "%", "..", "//", "?", "#", "HTTP/1.1", "HTTP/0.9",
    "HTTP/99.1", "HTTP/1.", "GET ", "CONNECT a:1 ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http://a/", "Host: b\r\n", "Host:\r\n", "Content-Length: 1\r\n",
    "Content-Length: -1\r\n", "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n",
    "Connection: close\r\n", "Connection: keep-alive, Upgrade\r\n", "Upgrade: h2c\r\n",
    "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Key: x\r\n", DEFLATE,
    "permessage-deflate", "server_max_window_bits=8", "client_max_window_bits=99999999",
    "?cf_ws_frame_ping_pong=true", " folded\r\n", "X: y\r\n", "\x80", "\xff\xfe",
    "aaaaaaaaaaaaaaaa"};
static const struct words request_list = WORDS(requests);
static const struct words http_list = WORDS(http_words);

static void
make_http(struct base_buf *out)
{
	size_t from = out->len;

	base_buf_str(out, pick(&request_list));
	if (one_in(8))
		base_buf_str(out, pick(&request_list));
	mutate_some(out, from, &http_list);
}

void
mutate_handshake(struct base_buf *out, bool deflate)
{
	base_buf_str(out, deflate ? SHAKE DEFLATE "\r\n" : SHAKE "\r\n");
}

void
mutate_login(struct base_buf *out)
{
	static const char text[] = "{\"id\":1,\"connect\":{}}\n"
				   "{\"id\":2,\"subscribe\":{\"channel\":\"open:0\"}}";

	add_frame(out, FIN | TEXT, text, sizeof(text) - 1);
}

/* ---- cases ---- */

enum mutate_kind
mutate_case(const struct mutate *m, uint64_t number, struct base_buf *out)
{
	size_t kind;

	/* Far apart, so that no case continues the numbers of another. */
	test_rand_state = m->seed << 48 ^ number * 0xd1342543de82ef95u;
	kind = test_rand(8);
	if (kind == 0) {
		make_http(out);
		return MUTATE_HTTP;
	}
	if (kind < 4) {
		make_frames(m, out);
		return MUTATE_FRAMES;
	}
	make_commands(m, out);
	return MUTATE_COMMANDS;
}
