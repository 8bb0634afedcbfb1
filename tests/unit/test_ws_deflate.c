/*
 * test_ws_deflate: the examples of RFC 7692 section 7.2.3, damage, bounds, and round
 * trips with zlib as the other side.
 */
#include "config.h"

#include "proto/ws_deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#include "proto/ws_frame.h"
#include "test_rand.h"

#define NO_LIMIT ((size_t)1 << 24)

static struct ws_deflate *d;

static struct base_slice
slice(const char *p, size_t n)
{
	return (struct base_slice){p, n};
}

static struct base_slice
whole(const struct base_buf *b)
{
	return (struct base_slice){b->p, b->len};
}

static int
setup(void **state)
{
	(void)state;
	d = ws_deflate_new(6);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ws_deflate_free(d);
	return 0;
}

static void
examples(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
		const char *text;
	} rows[] = {
	    /* 7.2.3.1 */
	    {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 0, "Hello"},
	    /* 7.2.3.3: not compressed */
	    {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, 0, "Hello"},
	    /* 7.2.3.4: BFINAL */
	    {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, 0, "Hello"},
	    /* 7.2.3.5: two blocks */
	    {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, 0, "Hello"},
	    /* 7.2.3.6: empty */
	    {"\x00", 1, 0, ""},
	    /* Nothing at all is taken for an empty message too. */
	    {"", 0, 0, ""},
	    /* Fixed codes and nothing else */
	    {"\x02\x00", 2, 0, ""},
	    /* the tail was left on */
	    {"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", 11, 0, "Hello"},
	    /* BFINAL without the block after it, then two such blocks */
	    {"\xf3\x48\xcd\xc9\xc9\x07\x00", 7, 0, "Hello"},
	    {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00", 14, 0,
		"HelloHello"},
	    {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", 14, 0,
		"HelloHello"},

	    /* 7.2.3.2: leans on the message before, which we never agree to */
	    {"\xf2\x00\x11\x00\x00", 5, -WS_CODE_DATA, NULL},
	    /* cut short */
	    {"\xf2\x48\xcd\xc9\xc9\x07", 6, -WS_CODE_DATA, NULL},
	    {"\xf2\x48\xcd\xc9", 4, -WS_CODE_DATA, NULL},
	    {"\xf2", 1, -WS_CODE_DATA, NULL},
	    {"\x00\x05\x00\xfa\xff\x48\x65\x6c", 8, -WS_CODE_DATA, NULL},
	    {"\x00\x05\x00", 3, -WS_CODE_DATA, NULL},
	    /* no block type 3, lengths that do not fit, a distance too far */
	    {"\x07\x00", 2, -WS_CODE_DATA, NULL},
	    {"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00", 11, -WS_CODE_DATA, NULL},
	    {"\x4b\x04\x62\x00", 4, -WS_CODE_DATA, NULL},
	    {"Hello", 5, -WS_CODE_DATA, NULL},
	};
	struct base_buf out = {0};
	unsigned i;
	int rc;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		base_buf_str(&out, "left over");
		rc = ws_inflate_message(d, slice(rows[i].bytes, rows[i].len),
		    NO_LIMIT, &out);
		if (rc != rows[i].result)
			fail_msg("row %u: %d instead of %d", i, rc, rows[i].result);
		if (rc == 0 && (out.len != strlen(rows[i].text) ||
				   memcmp(out.p, rows[i].text, out.len) != 0))
			fail_msg("row %u: '%.*s'", i, (int)out.len, out.p);
	}
	base_buf_free(&out);
}

/* What we send for the RFC's text, and for an empty message. */
static void
compressed_form(void **state)
{
	struct base_buf out = {0};

	(void)state;
	base_buf_str(&out, "ab");
	ws_deflate_message(d, 15, slice("Hello", 5), &out);
	assert_int_equal(out.len, 2 + 7);
	assert_memory_equal(out.p, "ab\xf2\x48\xcd\xc9\xc9\x07\x00", 9);
	/* The same again: nothing is remembered of the first. */
	ws_deflate_message(d, 15, slice("Hello", 5), &out);
	assert_int_equal(out.len, 2 + 14);
	assert_memory_equal(out.p + 9, out.p + 2, 7);
	out.len = 0;
	ws_deflate_message(d, 15, slice(NULL, 0), &out);
	assert_int_equal(out.len, 1);
	assert_memory_equal(out.p, "\0", 1);
	base_buf_free(&out);
}

/* Text that repeats itself, noise, or a mix, by ROUND. */
static void
fill(char *p, size_t n, int round)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (round % 3 == 0 || (round % 3 == 1 && test_rand(50) != 0 && i > 0))
			p[i] = round % 3 == 0 ? (char)test_rand64() : p[test_rand(i)];
		else
			p[i] = "{\"push\":{}}"[i % 11];
}

/* zlib inflates IN, with the tail, by a window of BITS: equal to TEXT? */
static void
check_zlib_reads(unsigned bits, struct base_buf *in, const char *text, size_t n)
{
	z_stream z = {0};
	char *back = malloc(n + 64);

	assert_non_null(back);
	base_buf_add(in, "\x00\x00\xff\xff", 4);
	assert_int_equal(inflateInit2(&z, -(int)bits), Z_OK);
	z.next_in = (Bytef *)in->p;
	z.avail_in = (uInt)in->len;
	z.next_out = (Bytef *)back;
	z.avail_out = (uInt)(n + 64);
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(n + 64 - z.avail_out, n);
	if (n > 0)
		assert_memory_equal(back, text, n);
	inflateEnd(&z);
	free(back);
	in->len -= 4;
}

/* As a client's zlib would: another level and strategy, in several flushed steps. */
static void
zlib_writes(unsigned bits, int round, char *text, size_t n, struct base_buf *out)
{
	z_stream z = {0};
	size_t step = n / (size_t)(1 + round % 3), room = n + n / 8 + 256;

	assert_int_equal(deflateInit2(&z, round % 10, Z_DEFLATED, -(int)bits,
			     1 + round % 9, round % 5),
	    Z_OK);
	out->len = 0;
	z.next_in = (Bytef *)text;
	z.next_out = (Bytef *)base_buf_room(out, room);
	z.avail_out = (uInt)room;
	if (step > 0 && round % 3 > 0) {
		z.avail_in = (uInt)step;
		assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
	}
	z.avail_in = (uInt)(text + n - (char *)z.next_in);
	deflate(&z, Z_SYNC_FLUSH);
	assert_int_equal(z.avail_in, 0);
	out->len = room - z.avail_out - 4;
	assert_memory_equal(out->p + out->len, "\x00\x00\xff\xff", 4);
	deflateEnd(&z);
}

static void
check_inflates(struct base_slice in, const char *text, size_t n, struct base_buf *out)
{
	assert_int_equal(ws_inflate_message(d, in, n, out), 0); /* n is enough */
	assert_int_equal(out->len, n);
	if (n > 0) {
		assert_memory_equal(out->p, text, n);
		assert_int_equal(ws_inflate_message(d, in, n - 1, out),
		    -WS_CODE_TOO_BIG);
	}
}

static void
round_trips(void **state)
{
	static char text[100000];
	struct base_buf packed = {0}, out = {0};
	unsigned bits;
	size_t n;
	int round;

	(void)state;
	for (round = 0; round < 600; round++) {
		n = test_rand(round % 20 == 0 ? sizeof(text) : 3000);
		if (round < 10)
			n = (size_t)round;
		fill(text, n, round);
		bits = 9 + (unsigned)test_rand(7);
		if (round % 50 == 0)
			ws_deflate_set_level(d, round / 50 % 10);
		packed.len = 0;
		ws_deflate_message(d, bits, slice(text, n), &packed);
		check_zlib_reads(bits, &packed, text, n);
		check_inflates(whole(&packed), text, n, &out);
		zlib_writes(bits, round, text, n, &packed);
		check_inflates(whole(&packed), text, n, &out);
	}
	base_buf_free(&packed);
	base_buf_free(&out);
}

/* Memory follows the limit, not what the message would come to. */
static void
bomb(void **state)
{
	size_t n = 50u << 20, max = 64 << 10;
	char *zeros = calloc(1, n);
	struct base_buf packed = {0}, out = {0};

	(void)state;
	assert_non_null(zeros);
	ws_deflate_set_level(d, 6);
	ws_deflate_message(d, 15, slice(zeros, n), &packed);
	assert_true(packed.len < n / 900);
	assert_int_equal(ws_inflate_message(d, whole(&packed),
			     max, &out),
	    -WS_CODE_TOO_BIG);
	assert_true(out.cap <= 2 * max);
	/* And the stream is as good as new. */
	packed.len = 0;
	ws_deflate_message(d, 15, slice("Hello", 5), &packed);
	check_inflates(whole(&packed), "Hello", 5, &out);
	assert_int_equal(ws_inflate_message(d, slice("\x00", 1), 0, &out), 0);
	assert_int_equal(ws_inflate_message(d, whole(&packed),
			     0, &out),
	    -WS_CODE_TOO_BIG);
	free(zeros);
	base_buf_free(&packed);
	base_buf_free(&out);
}

/* A stream for each window that was asked for, and no more with more messages. */
static void
memory(void **state)
{
	struct ws_deflate *own = ws_deflate_new(1);
	struct base_buf out = {0};
	size_t first, all;
	unsigned bits, i;

	(void)state;
	assert_int_equal(ws_deflate_bytes(own), 0);
	ws_deflate_message(own, 15, slice("a", 1), &out);
	first = ws_deflate_bytes(own);
	assert_true(first > (200 << 10) && first < (280 << 10));
	for (bits = 9; bits <= 15; bits++)
		ws_deflate_message(own, bits, slice("a", 1), &out);
	assert_int_equal(
	    ws_inflate_message(own, slice("\x4a\x04\x00", 3), 9, &out), 0);
	assert_int_equal(out.len, 1);
	all = ws_deflate_bytes(own);
	assert_true(all > first && all < (7 * 280 << 10));
	for (i = 0; i < 1000; i++)
		ws_deflate_message(own, 9 + i % 7, slice("abc", 3), &out);
	assert_int_equal(ws_deflate_bytes(own), all);
	ws_deflate_set_level(own, 9); /* those of the old level are given back */
	assert_true(ws_deflate_bytes(own) < (50 << 10));
	ws_deflate_free(own);
	ws_deflate_free(NULL);
	base_buf_free(&out);
}

static void
level(void **state)
{
	struct base_buf out = {0};
	size_t stored, fast, best;
	static char text[20000];

	(void)state;
	test_rand_state = 7;
	fill(text, sizeof(text), 1);
	ws_deflate_set_level(d, 0);
	ws_deflate_message(d, 15, slice(text, sizeof(text)), &out);
	stored = out.len;
	out.len = 0;
	ws_deflate_set_level(d, 1);
	ws_deflate_message(d, 15, slice(text, sizeof(text)), &out);
	fast = out.len;
	out.len = 0;
	ws_deflate_set_level(d, 9);
	ws_deflate_message(d, 15, slice(text, sizeof(text)), &out);
	best = out.len;
	assert_true(stored > sizeof(text));
	assert_true(fast < stored);
	assert_true(best < fast);
	base_buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(examples),
	    cmocka_unit_test(compressed_form),
	    cmocka_unit_test(round_trips),
	    cmocka_unit_test(bomb),
	    cmocka_unit_test(memory),
	    cmocka_unit_test(level),
	};

	test_rand_state = 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
