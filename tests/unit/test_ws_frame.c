/*
 * test_ws_frame: the frame reader.  Every input is fed whole, byte by byte and in
 * random pieces, and has to give the same events.
 */
#include "config.h"

#include "proto/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test_rand.h"

#define FIN  WS_FIN
#define RSV1 WS_RSV1
#define CONT 0

static const struct ws_limits wide = {1 << 20, 1 << 20, true};
static const struct ws_limits plain = {1 << 20, 1 << 20, false};

/* Appends a masked frame as a client sends it, in the LEN_FORM 7, 16 or 64. */
static void
add_frame_as(struct base_buf *b, unsigned len_form, uint8_t first, const void *payload,
    size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	const uint8_t *p = payload;
	unsigned shift;
	size_t i;

	base_buf_byte(b, (char)first);
	if (len_form == 7)
		base_buf_byte(b, (char)(0x80 | len));
	else
		base_buf_byte(b, (char)(0x80 | (len_form == 16 ? 126 : 127)));
	for (shift = len_form == 7 ? 0 : len_form; shift > 0; shift -= 8)
		base_buf_byte(b, (char)((uint64_t)len >> (shift - 8)));
	base_buf_add(b, mask, 4);
	for (i = 0; i < len; i++)
		base_buf_byte(b, (char)(p[i] ^ mask[i % 4]));
}

static void
add_frame(struct base_buf *b, uint8_t first, const void *payload, size_t len)
{
	add_frame_as(b, len < 126 ? 7 : len < 65536 ? 16 : 64, first, payload, len);
}

/* "TEXT:Hello " and so on; long data as its length and a sum. */
static void
log_event(struct base_buf *log, const struct ws_event *ev)
{
	static const char *const names[] = {
	    [WS_EV_PART] = "PART", [WS_EV_MESSAGE] = "MESSAGE", [WS_EV_PING] = "PING",
	    [WS_EV_PONG] = "PONG", [WS_EV_CLOSE] = "CLOSE", [WS_EV_ERROR] = "ERROR"};
	const char *name = names[ev->kind];
	uint64_t sum = 0;
	size_t i;

	if (ev->kind == WS_EV_MESSAGE)
		name = ev->opcode == WS_TEXT ? "TEXT" : "BINARY";
	base_buf_printf(log, "%s%s", ev->compressed ? "Z" : "", name);
	if (ev->code != 0)
		base_buf_printf(log, "%u", ev->code);
	if (ev->kind != WS_EV_PART && ev->kind != WS_EV_ERROR)
		base_buf_byte(log, ':');
	if (ev->len > 64) {
		for (i = 0; i < ev->len; i++)
			sum = sum * 31 + (uint8_t)ev->data[i];
		base_buf_printf(log, "%zu/%llx", ev->len, (unsigned long long)sum);
	} else {
		base_buf_add(log, ev->data, ev->len);
	}
	base_buf_byte(log, ' ');
}

/*
 * Feeds BYTES in pieces: of STEP bytes, or random ones when it is 0.  The log is what
 * came out, terminated; the caller frees it.  Checks what the header promises about
 * returned lengths.
 */
static char *
feed(const struct ws_limits *limits, const struct base_buf *bytes, size_t step)
{
	struct base_buf log = {0};
	struct ws_event ev = {.kind = WS_EV_MORE};
	struct ws_rx rx = {0};
	size_t given = 0, kept = 0, used, n, need;
	uint8_t *in;

	while (given < bytes->len && ev.kind != WS_EV_ERROR && ev.kind != WS_EV_CLOSE) {
		n = step != 0 ? step : 1 + test_rand(40 + bytes->len / 40);
		n = BASE_MIN(n, bytes->len - given);
		in = malloc(kept + n); /* exact, so that a sanitizer sees the end */
		assert_non_null(in);
		given += n;
		memcpy(in, bytes->p + given - kept - n, kept + n);
		n += kept;
		for (used = 0;;) {
			kept = n - used;
			used += ws_rx_next(&rx, limits, in + used, kept, &ev);
			if (ev.kind == WS_EV_MORE) {
				assert_int_equal(n - used, kept);
				need = ws_frame_need(in + used, kept);
				assert_true(need == 0 ? kept < 14 : need > kept);
				break;
			}
			log_event(&log, &ev);
			if (ev.kind == WS_EV_ERROR)
				assert_int_equal(used, n);
			if (ev.kind == WS_EV_MESSAGE)
				ws_rx_done(&rx);
			if (ev.kind == WS_EV_ERROR || ev.kind == WS_EV_CLOSE)
				break;
		}
		kept = n - used;
		/* What is not used yet was not unmasked either. */
		assert_memory_equal(in + used, bytes->p + given - kept, kept);
		free(in);
	}
	assert_true(rx.msg.cap <= limits->message);
	ws_rx_free(&rx);
	base_buf_byte(&log, 0);
	return log.p;
}

static void
expect_events(const struct ws_limits *limits, struct base_buf *bytes,
    const char *expected)
{
	char *got;
	size_t step;
	int round;

	for (round = 0; round < 12; round++) {
		step = round == 0 ? bytes->len : round == 1 ? 1 : round == 2 ? 3 : 0;
		if (step == 1 && bytes->len > 4096)
			continue; /* each step copies what waits */
		got = feed(limits, bytes, step);
		if (strcmp(got, expected) != 0)
			fail_msg("round %d: '%s', not '%s'", round, got, expected);
		free(got);
	}
	base_buf_free(bytes);
}

struct row {
	const char *expected;
	struct {
		uint8_t first;
		const char *payload;
	} frames[6]; /* to the first without a payload */
};

static const struct row rows[] = {
    {"TEXT:Hello ", {{FIN | WS_TEXT, "Hello"}}},
    {"BINARY:\xff\xfe ", {{FIN | WS_BINARY, "\xff\xfe"}}},
    {"TEXT: BINARY: ", {{FIN | WS_TEXT, ""}, {FIN | WS_BINARY, ""}}},
    {"PING:Hello PONG:x PING: ",
	{{FIN | WS_PING, "Hello"}, {FIN | WS_PONG, "x"}, {FIN | WS_PING, ""}}},

    /* fragments (5.4) */
    {"PART TEXT:Hello ", {{WS_TEXT, "Hel"}, {FIN, "lo"}}},
    {"PART PART PART TEXT:Hello ",
	{{WS_TEXT, ""}, {CONT, "Hello"}, {CONT, ""}, {FIN, ""}}},
    {"PART PART TEXT:Hello ", {{WS_TEXT, ""}, {CONT, ""}, {FIN, "Hello"}}},
    {"PART TEXT: PART BINARY: ",
	{{WS_TEXT, ""}, {FIN, ""}, {WS_BINARY, ""}, {FIN, ""}}},
    {"PART PING:p PART PONG: BINARY:abc ",
	{{WS_BINARY, "a"}, {FIN | WS_PING, "p"}, {CONT, "b"}, {FIN | WS_PONG, ""},
	    {FIN, "c"}}},
    {"PART CLOSE1000: ", {{WS_TEXT, "a"}, {FIN | WS_CLOSE, "\x03\xe8"}, {FIN, "b"}}},
    {"PART TEXT:ab PART TEXT:cd ",
	{{WS_TEXT, "a"}, {FIN, "b"}, {WS_TEXT, "c"}, {FIN, "d"}}},
    {"ERROR1002 ", {{FIN, "a"}}},
    {"ERROR1002 ", {{CONT, "a"}}},
    {"TEXT:a ERROR1002 ", {{FIN | WS_TEXT, "a"}, {FIN, "b"}}},
    {"PART ERROR1002 ", {{WS_TEXT, "a"}, {FIN | WS_TEXT, "b"}}},
    {"PART ERROR1002 ", {{WS_TEXT, "a"}, {WS_BINARY, "b"}}},
    {"PART TEXT:ab ERROR1002 ", {{WS_TEXT, "a"}, {FIN, "b"}, {FIN, "c"}}},

    /* control frames (5.5) */
    {"ERROR1002 ", {{WS_PING, "a"}}},
    {"ERROR1002 ", {{WS_PONG, "a"}}},
    {"ERROR1002 ", {{WS_CLOSE, ""}}},
    {"PART ERROR1002 ", {{WS_TEXT, "a"}, {WS_PING, "b"}}},

    /* reserved bits and opcodes (5.2) */
    {"ZTEXT:\xff ", {{FIN | RSV1 | WS_TEXT, "\xff"}}},
    {"PART ZBINARY:ab ", {{RSV1 | WS_BINARY, "a"}, {FIN, "b"}}},
    {"PART ZTEXT:\xff\xff TEXT:a ",
	{{RSV1 | WS_TEXT, "\xff"}, {FIN, "\xff"}, {FIN | WS_TEXT, "a"}}},
    {"PART ERROR1002 ", {{RSV1 | WS_TEXT, "a"}, {FIN | RSV1, "b"}}},
    {"ERROR1002 ", {{FIN | RSV1 | WS_PING, "a"}}},
    {"ERROR1002 ", {{FIN | 0x20 | WS_TEXT, "a"}}},
    {"ERROR1002 ", {{FIN | 0x10 | WS_TEXT, "a"}}},
    {"ERROR1002 ", {{FIN | RSV1 | 0x20 | WS_TEXT, "a"}}},
    {"ERROR1002 ", {{FIN | 0x10 | WS_PONG, "a"}}},
    {"ERROR1002 ", {{FIN | 0x10 | WS_CLOSE, ""}}},
    {"TEXT:a ERROR1002 ", {{FIN | WS_TEXT, "a"}, {FIN | 3, ""}}},
    {"ERROR1002 ", {{FIN | 4, ""}}},
    {"ERROR1002 ", {{FIN | 5, ""}}},
    {"ERROR1002 ", {{FIN | 6, ""}}},
    {"ERROR1002 ", {{FIN | 7, ""}}},
    {"ERROR1002 ", {{FIN | 11, ""}}},
    {"ERROR1002 ", {{FIN | 12, ""}}},
    {"ERROR1002 ", {{FIN | 13, ""}}},
    {"ERROR1002 ", {{FIN | 14, ""}}},
    {"ERROR1002 ", {{FIN | 15, ""}}},

    /* UTF-8 (8.1), also across fragments */
    {"TEXT:\xce\xba\xe1\xbd\xb9 ", {{FIN | WS_TEXT, "\xce\xba\xe1\xbd\xb9"}}},
    {"PART PART TEXT:\xf0\x9f\x98\x80! ",
	{{WS_TEXT, "\xf0"}, {CONT, "\x9f\x98"}, {FIN, "\x80!"}}},
    {"PART PART PART PING: TEXT:a\xe2\x82\xac ",
	{{WS_TEXT, "a\xe2"}, {CONT, ""}, {CONT, "\x82"}, {FIN | WS_PING, ""},
	    {FIN, "\xac"}}},
    {"ERROR1007 ", {{FIN | WS_TEXT, "a\xff"}}},
    {"ERROR1007 ", {{FIN | WS_TEXT, "\xed\xa0\x80"}}},
    {"ERROR1007 ", {{FIN | WS_TEXT, "\xc0\xaf"}}},
    {"ERROR1007 ", {{FIN | WS_TEXT, "a\xe2\x82"}}},
    {"PART ERROR1007 ", {{WS_TEXT, "a\xe2"}, {FIN, "\x82"}}},
    {"PART ERROR1007 ", {{WS_TEXT, "a\xe2"}, {FIN, ""}}},
    {"PART ERROR1007 ", {{WS_TEXT, "a\xe2"}, {CONT, "a"}, {FIN, "a"}}},
    {"PART ERROR1007 ", {{WS_TEXT, "\xf4"}, {CONT, "\x90"}, {FIN, "\x80\x80"}}},
    {"ERROR1007 ", {{WS_TEXT, "\x80"}, {FIN, "a"}}},
    {"PART BINARY:\xe2\xe2 TEXT:a ",
	{{WS_BINARY, "\xe2"}, {FIN, "\xe2"}, {FIN | WS_TEXT, "a"}}},

    /* close (5.5.1) */
    {"CLOSE1005: ", {{FIN | WS_CLOSE, ""}, {FIN | WS_TEXT, "not read"}}},
    {"CLOSE1000:bye ", {{FIN | WS_CLOSE, "\x03\xe8" "bye"}}},
    {"CLOSE1001:\xc3\xa9 ", {{FIN | WS_CLOSE, "\x03\xe9\xc3\xa9"}}},
    {"ERROR1007 ", {{FIN | WS_CLOSE, "\x03\xe8\xc3"}}},
    {"ERROR1002 ", {{FIN | WS_CLOSE, "\x03"}}},
};

static void
sequences(void **state)
{
	struct base_buf b = {0};
	unsigned i, j;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		for (j = 0; j < 6 && rows[i].frames[j].payload != NULL; j++)
			add_frame(&b, rows[i].frames[j].first,
			    rows[i].frames[j].payload,
			    strlen(rows[i].frames[j].payload));
		expect_events(&wide, &b, rows[i].expected);
	}
}

/* RFC 6455 section 5.7, as bytes. */
static void
rfc_examples(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *expected;
	} examples[] = {
	    {"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, "TEXT:Hello "},
	    {"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, "PONG:Hello "},
	    /* Those of a server are not masked, which a client must not send. */
	    {"\x81\x05\x48\x65\x6c\x6c\x6f", 7, "ERROR1002 "},
	    {"\x01\x03\x48\x65\x6c", 5, "ERROR1002 "},
	    {"\x89\x05\x48\x65\x6c\x6c\x6f", 7, "ERROR1002 "},
	    {"\x82\x7e\x01\x00", 4, "ERROR1002 "},
	    {"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10, "ERROR1002 "},
	};
	struct base_buf b = {0};
	unsigned i;

	(void)state;
	for (i = 0; i < BASE_COUNT(examples); i++) {
		base_buf_add(&b, examples[i].bytes, examples[i].len);
		expect_events(&plain, &b, examples[i].expected);
	}
}

static void
compression_not_agreed(void **state)
{
	struct base_buf b = {0};

	(void)state;
	add_frame(&b, FIN | RSV1 | WS_TEXT, "a", 1);
	expect_events(&plain, &b, "ERROR1002 ");
	add_frame(&b, RSV1 | WS_BINARY, "a", 1);
	expect_events(&plain, &b, "ERROR1002 ");
}

static void
close_codes(void **state)
{
	struct base_buf b = {0};
	char expected[32];
	uint8_t payload[2];
	unsigned code;
	bool ok;

	(void)state;
	for (code = 0; code <= 0xffff; code += code < 5100 ? 1 : 997) {
		ok = (code >= 3000 && code <= 4999) ||
		    (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
			code != 1006);
		payload[0] = (uint8_t)(code >> 8);
		payload[1] = (uint8_t)code;
		add_frame(&b, FIN | WS_CLOSE, payload, 2);
		if (ok)
			snprintf(expected, sizeof(expected), "CLOSE%u: ", code);
		else
			snprintf(expected, sizeof(expected), "ERROR1002 ");
		expect_events(&wide, &b, expected);
	}
}

/* Payloads around the places where the form of the length changes. */
static void
lengths(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 124, 125,
	    126, 127, 128, 255, 256, 65535, 65536, 65537};
	struct base_buf b = {0}, log = {0};
	struct ws_event ev = {.kind = WS_EV_MESSAGE, .opcode = WS_BINARY};
	unsigned i, form;
	uint8_t *data;
	size_t j;

	(void)state;
	for (i = 0; i < BASE_COUNT(sizes); i++) {
		data = malloc(sizes[i] + 1);
		assert_non_null(data);
		for (j = 0; j < sizes[i]; j++)
			data[j] = (uint8_t)test_rand64();
		ev.data = (char *)data;
		ev.len = sizes[i];
		for (form = 7; form <= 64; form = form == 7 ? 16 : form + 48) {
			if ((form == 7 && sizes[i] > 125) ||
			    (form == 16 && sizes[i] > 65535))
				continue;
			log.len = 0;
			log_event(&log, &ev);
			base_buf_byte(&log, 0);
			add_frame_as(&b, form, FIN | WS_BINARY, data, sizes[i]);
			expect_events(&wide, &b, log.p);
		}
		free(data);
	}
	base_buf_free(&log);
}

static void
long_control(void **state)
{
	struct base_buf b = {0}, log = {0};
	uint8_t data[126];
	struct ws_event close = {
	    .kind = WS_EV_CLOSE, .code = 4000, .data = (char *)data + 2, .len = 123};

	(void)state;
	memset(data, 'a', sizeof(data));
	add_frame(&b, FIN | WS_PING, data, 126);
	expect_events(&wide, &b, "ERROR1002 ");
	add_frame_as(&b, 16, FIN | WS_PONG, data, 3);
	expect_events(&wide, &b, "ERROR1002 ");
	add_frame_as(&b, 64, FIN | WS_CLOSE, data, 3);
	expect_events(&wide, &b, "ERROR1002 ");
	data[0] = 0x0f;
	data[1] = 0xa0;
	add_frame(&b, FIN | WS_CLOSE, data, 125);
	log_event(&log, &close);
	base_buf_byte(&log, 0);
	expect_events(&wide, &b, log.p);
	base_buf_free(&log);
}

/* Only the head is sent: the limit is held before any payload comes. */
static void
frame_limit(void **state)
{
	static const struct ws_limits small = {100, 150, false};
	struct base_buf b = {0};
	uint8_t data[200];

	(void)state;
	memset(data, 'a', sizeof(data));
	add_frame(&b, FIN | WS_TEXT, data, 101);
	b.len = 2;
	expect_events(&small, &b, "ERROR1009 ");
	add_frame_as(&b, 16, FIN | WS_TEXT, data, 101);
	b.len = 4;
	expect_events(&small, &b, "ERROR1009 ");
	base_buf_add(&b, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
	expect_events(&wide, &b, "ERROR1009 ");
	base_buf_add(&b, "\x81\xff\x80", 3); /* 5.2: the highest bit is 0 */
	expect_events(&wide, &b, "ERROR1002 ");
}

/* Fragments count together, control frames between them do not. */
static void
message_limit(void **state)
{
	static const struct ws_limits small = {100, 150, false};
	struct base_buf b = {0}, log = {0};
	char data[150];
	struct ws_event ping = {.kind = WS_EV_PING, .data = data, .len = 125};
	struct ws_event msg = {
	    .kind = WS_EV_MESSAGE, .opcode = WS_BINARY, .data = data, .len = 150};

	(void)state;
	memset(data, 'a', sizeof(data));
	add_frame(&b, WS_BINARY, data, 100);
	add_frame(&b, CONT, data, 40);
	add_frame(&b, FIN | WS_PING, data, 125);
	add_frame(&b, FIN, data, 11);
	b.len -= 11 + 4; /* its head says it */
	base_buf_str(&log, "PART PART ");
	log_event(&log, &ping);
	base_buf_str(&log, "ERROR1009 ");
	base_buf_byte(&log, 0);
	expect_events(&small, &b, log.p);

	add_frame(&b, WS_BINARY, data, 100);
	add_frame(&b, CONT, data, 40);
	add_frame(&b, FIN, data, 10);
	log.len = 0;
	base_buf_str(&log, "PART PART ");
	log_event(&log, &msg);
	base_buf_byte(&log, 0);
	expect_events(&small, &b, log.p);
	base_buf_free(&log);
}

/* A reload lowers the limit while a message is under way. */
static void
lowered_limit(void **state)
{
	struct ws_limits limits = {100, 150, false};
	struct base_buf b = {0};
	struct ws_rx rx = {0};
	struct ws_event ev;
	char data[100] = {0};

	(void)state;
	add_frame(&b, WS_BINARY, data, 100);
	ws_rx_next(&rx, &limits, (uint8_t *)b.p, b.len, &ev);
	assert_int_equal(ev.kind, WS_EV_PART);
	limits.message = 50;
	b.len = 0;
	add_frame(&b, CONT, data, 10);
	ws_rx_next(&rx, &limits, (uint8_t *)b.p, b.len, &ev);
	assert_int_equal(ev.kind, WS_EV_ERROR);
	assert_int_equal(ev.code, WS_CODE_TOO_BIG);
	ws_rx_free(&rx);
	base_buf_free(&b);
}

/* A message in one frame is not copied, and nothing is allocated for it. */
static void
in_place(void **state)
{
	struct base_buf b = {0};
	struct ws_rx rx = {0};
	struct ws_event ev;

	(void)state;
	add_frame(&b, FIN | WS_TEXT, "Hello", 5);
	assert_int_equal(ws_rx_next(&rx, &wide, (uint8_t *)b.p, b.len, &ev), b.len);
	assert_int_equal(ev.kind, WS_EV_MESSAGE);
	assert_ptr_equal(ev.data, b.p + 6);
	assert_null(rx.msg.p);
	ws_rx_done(&rx);
	base_buf_free(&b);
}

/* A million of one byte, without ws_rx_done: seconds if it were quadratic. */
static void
tiny_fragments(void **state)
{
	static const uint8_t tiny[] = {0x00, 0x81, 0, 0, 0, 0, 'a'};
	static const uint8_t empty[] = {0x00, 0x80, 0, 0, 0, 0};
	struct ws_rx rx = {0};
	struct ws_event ev;
	uint8_t frame[sizeof(tiny)];
	size_t i;

	(void)state;
	for (i = 0; i < wide.message; i++) {
		memcpy(frame, tiny, sizeof(tiny));
		frame[0] = i == 0 ? WS_TEXT : i == wide.message - 1 ? FIN : 0;
		assert_int_equal(ws_rx_next(&rx, &wide, frame, sizeof(tiny), &ev), 7);
		if (i == wide.message - 1)
			break;
		assert_int_equal(ev.kind, WS_EV_PART);
		memcpy(frame, empty, sizeof(empty));
		assert_int_equal(ws_rx_next(&rx, &wide, frame, sizeof(empty), &ev), 6);
		assert_int_equal(ev.kind, WS_EV_PART);
	}
	assert_int_equal(ev.kind, WS_EV_MESSAGE);
	assert_int_equal(ev.len, wide.message);
	assert_true(rx.msg.cap <= wide.message);
	/* The next call lets go of what was given out. */
	memcpy(frame, tiny, sizeof(tiny));
	frame[0] = FIN | WS_TEXT;
	ws_rx_next(&rx, &wide, frame, sizeof(frame), &ev);
	assert_int_equal(ev.kind, WS_EV_MESSAGE);
	assert_int_equal(ev.len, 1);
	assert_null(rx.msg.p);
}

/* Random valid conversations against what was put into them. */
static void
random_messages(void **state)
{
	struct base_buf b = {0}, log = {0}, msg = {0};
	struct ws_event ev, ping = {.kind = WS_EV_PING};
	char piece[300];
	size_t n, i, j, parts;
	int round;

	(void)state;
	for (round = 0; round < 500; round++) {
		log.len = msg.len = 0;
		ev = (struct ws_event){.kind = WS_EV_MESSAGE, .opcode = WS_BINARY};
		ev.compressed = test_rand(4) == 0;
		parts = 1 + test_rand(5);
		for (i = 1; i <= parts; i++) {
			n = test_rand(sizeof(piece));
			for (j = 0; j < n; j++)
				piece[j] = (char)test_rand64();
			base_buf_add(&msg, piece, n);
			add_frame(&b,
			    (uint8_t)((i == parts ? FIN : 0) |
				(i > 1                ? 0
					: ev.compressed ? RSV1 | WS_BINARY
							: WS_BINARY)),
			    piece, n);
			if (i < parts)
				base_buf_str(&log, "PART ");
			if (i < parts && test_rand(2) == 0) {
				ping.data = piece;
				ping.len = BASE_MIN(n, (size_t)125);
				add_frame(&b, FIN | WS_PING, piece, ping.len);
				log_event(&log, &ping);
			}
		}
		ev.data = msg.p;
		ev.len = msg.len;
		log_event(&log, &ev);
		base_buf_byte(&log, 0);
		expect_events(&wide, &b, log.p);
	}
	base_buf_free(&log);
	base_buf_free(&msg);
}

static void
sent_heads(void **state)
{
	static const struct {
		uint64_t len;
		uint8_t n, head[WS_HEAD_MAX];
	} heads[] = {
	    {0, 2, {0x81, 0}},
	    {5, 2, {0x81, 5}},
	    {125, 2, {0x81, 125}},
	    {126, 4, {0x81, 126, 0, 126}},
	    {256, 4, {0x81, 126, 1, 0}},
	    {65535, 4, {0x81, 126, 0xff, 0xff}},
	    {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	    {0x123456789abc, 10, {0x81, 127, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc}},
	};
	uint8_t out[WS_HEAD_MAX];
	unsigned i;

	(void)state;
	for (i = 0; i < BASE_COUNT(heads); i++) {
		assert_int_equal(ws_frame_head(out, WS_FIN | WS_TEXT, heads[i].len),
		    heads[i].n);
		assert_memory_equal(out, heads[i].head, heads[i].n);
		assert_int_equal(ws_frame_sent_len(out), heads[i].n + heads[i].len);
	}
}

static void
sent_close(void **state)
{
	uint8_t out[WS_CLOSE_MAX];
	char reason[201];

	(void)state;
	assert_int_equal(ws_frame_close(out, 3501, "bad request"), 15);
	assert_memory_equal(out, "\x88\x0d\x0d\xad" "bad request", 15);
	assert_int_equal(ws_frame_close(out, 1000, ""), 4);
	assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
	assert_int_equal(ws_frame_close(out, WS_CODE_NONE, "no"), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	/* 61 characters of two bytes: the 62nd would end at byte 124. */
	memset(reason, 0, sizeof(reason));
	for (size_t i = 0; i < 200; i += 2)
		memcpy(reason + i, "\xc3\xa9", 2);
	assert_int_equal(ws_frame_close(out, 3000, reason), 4 + 122);
	assert_memory_equal(out, "\x88\x7c\x0b\xb8", 4);
	assert_memory_equal(out + 4, reason, 122);
	memset(reason, 'x', 200);
	assert_int_equal(ws_frame_close(out, 3000, reason), WS_CLOSE_MAX);
	assert_int_equal(ws_frame_sent_len(out), WS_CLOSE_MAX);
}

static void
need(void **state)
{
	static const uint8_t small[] = {0x81, 0x85, 1, 2, 3, 4};
	static const uint8_t large[] = {0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4};
	size_t n;

	(void)state;
	for (n = 0; n <= sizeof(small); n++)
		assert_int_equal(ws_frame_need(small, n), n < 6 ? 0 : 11);
	for (n = 0; n <= sizeof(large); n++)
		assert_int_equal(ws_frame_need(large, n), n < 14 ? 0 : 14 + 65536);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sequences),
	    cmocka_unit_test(rfc_examples),
	    cmocka_unit_test(compression_not_agreed),
	    cmocka_unit_test(close_codes),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(long_control),
	    cmocka_unit_test(frame_limit),
	    cmocka_unit_test(message_limit),
	    cmocka_unit_test(lowered_limit),
	    cmocka_unit_test(in_place),
	    cmocka_unit_test(tiny_fragments),
	    cmocka_unit_test(random_messages),
	    cmocka_unit_test(sent_heads),
	    cmocka_unit_test(sent_close),
	    cmocka_unit_test(need),
	};

	test_rand_state = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
