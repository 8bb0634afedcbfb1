/*
 * test_utf8: the validator against a decoder written the other way round.
 */
#include "config.h"

#include "proto/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test_rand.h"

/* Writes code point C as RFC 3629 has it; returns the length. */
static size_t
encode(uint32_t c, uint8_t out[4])
{
	static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

	for (i = len; i-- > 1; c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(first[len] | c);
	return len;
}

/* Oracle: the bytes are UTF-8 if some code points encode to them. */
static bool
naive_valid(const uint8_t *p, size_t n)
{
	uint8_t again[4];
	size_t len, i;
	uint32_t c;

	for (; n > 0; p += len, n -= len) {
		len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
		if (len > n)
			return false;
		c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
		for (i = 1; i < len; i++)
			c = c << 6 | (p[i] & 0x3f);
		if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
		if (encode(c, again) != len || memcmp(again, p, len) != 0)
			return false;
	}
	return true;
}

static void
check_same(const uint8_t *p, size_t n)
{
	if (utf8_valid(p, n) != naive_valid(p, n))
		fail_msg("%02x %02x %02x %02x: utf8_valid says %d", p[0], p[1], p[2],
		    p[3], utf8_valid(p, n));
}

static void
short_sequences(void **state)
{
	uint8_t b[4] = {0};
	uint32_t i;

	(void)state;
	for (i = 0; i < 0x10000; i++) {
		b[0] = (uint8_t)(i >> 8);
		b[1] = (uint8_t)i;
		check_same(b, 1);
		check_same(b, 2);
		b[2] = 0x80;
		check_same(b, 3);
		b[2] = 0x7f;
		check_same(b, 3);
		b[2] = 0xbf;
		b[3] = (uint8_t)(0x40 + i % 0xc0);
		check_same(b, 4);
	}
}

static void
every_code_point(void **state)
{
	uint8_t b[4];
	uint32_t c;
	size_t n;

	(void)state;
	for (c = 0; c <= 0x10ffff; c++) {
		n = encode(c, b);
		if (utf8_valid(b, n) != (c < 0xd800 || c > 0xdfff))
			fail_msg("U+%04X", c);
	}
}

static void
table(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool valid, begins;
		unsigned tail;
	} rows[] = {
	    {"", 0, true, true, 0},
	    {"plain", 5, true, true, 0},
	    {"\0", 1, true, true, 0},
	    {"12345678\xc3\xa9", 10, true, true, 0},
	    {"1234567\xc3\xa9", 9, true, true, 0},
	    {"12345678\xc3", 9, false, true, 1},
	    {"\xe2\x82", 2, false, true, 2},
	    {"\xf0\x9f\x98", 3, false, true, 3},
	    {"\xf0\x9f\x98\x80", 4, true, true, 0},
	    {"\xf4\x8f\xbf\xbf", 4, true, true, 0},
	    {"\xf4\x90", 2, false, false, 0},
	    {"\xf5", 1, false, false, 0},
	    {"\xed\xa0", 2, false, false, 0},
	    {"\xed\x9f\xbf", 3, true, true, 0},
	    {"\xc0\x80", 2, false, false, 0},
	    {"\xc1", 1, false, false, 0},
	    {"\xe0\x9f", 2, false, false, 0},
	    {"\xf0\x8f", 2, false, false, 0},
	    {"\x80", 1, false, false, 0},
	    {"\xff", 1, false, false, 0},
	    {"ab\xe2\x28\xa1", 5, false, false, 0},
	    {"\xe2\x82\x28", 3, false, false, 0},
	};
	unsigned i, tail;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		assert_int_equal(utf8_valid(rows[i].text, rows[i].len), rows[i].valid);
		assert_int_equal(utf8_begins(rows[i].text, rows[i].len, &tail),
		    rows[i].begins);
		if (rows[i].begins)
			assert_int_equal(tail, rows[i].tail);
	}
	assert_true(utf8_valid(NULL, 0));
}

/* Mixed text at every offset and length, so that words meet it in every way. */
static void
random_text(void **state)
{
	uint8_t text[96], *exact;
	uint32_t pick;
	size_t n, i;
	int round;

	(void)state;
	test_rand_state = 1;
	for (round = 0; round < 200000; round++) {
		for (n = 0; n < 64;) {
			pick = (uint32_t)test_rand64();
			if (pick % 3 != 0)
				text[n++] = (uint8_t)(pick >> 8 & 0x7f);
			else
				n += encode((pick >> 8) % 0x110000, text + n);
		}
		if (round % 2 != 0)
			text[test_rand(64)] = (uint8_t)test_rand64();
		i = test_rand(16);
		n = i + test_rand(48);
		exact = malloc(n - i + 1); /* so that a sanitizer sees the end */
		assert_non_null(exact);
		memcpy(exact, text + i, n - i);
		assert_int_equal(utf8_valid(exact, n - i), naive_valid(exact, n - i));
		free(exact);
	}
}

static void
cut(void **state)
{
	const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
	size_t n;

	(void)state;
	for (n = 0; n < BASE_COUNT(expected); n++)
		assert_int_equal(utf8_cut(text, n), expected[n]);
	/* What is not UTF-8 is cut anywhere, and nothing is read before it. */
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80", 5), 5);
	assert_int_equal(utf8_cut("\x80", 1), 1);
	assert_int_equal(utf8_cut("a\xff", 2), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(short_sequences),
	    cmocka_unit_test(every_code_point),
	    cmocka_unit_test(random_text),
	    cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
