/*
 * The JSON reader and writer.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_mem.h"
#include "proto/base64.h"
#include "proto/json_rd.h"
#include "proto/json_wr.h"

#ifdef HAVE_YAJL
#include "fuzz/json_oracle.h"
#include "test_rand.h"
#endif

/* A literal that may hold NULs. */
#define TEXT(s) {s, sizeof(s) - 1}
#define SLICE(s) ((struct base_slice)TEXT(s))

#define assert_slice(slice, expected)                               \
	do {                                                        \
		struct base_slice got_ = (slice);                   \
		struct base_slice want_ = TEXT(expected);           \
		assert_int_equal(got_.len, want_.len);              \
		assert_memory_equal(got_.p, want_.p, want_.len);    \
	} while (0)

/* Checked at the end of a heap block of its size, so that a sanitizer sees a read
 * behind it. */
static bool
valid(struct base_slice text)
{
	char *copy = malloc(text.len + 1), *p = copy + 1;
	bool ok;

	assert_non_null(copy);
	memcpy(p, text.p, text.len);
	ok = json_valid(p, text.len);
	free(copy);
	return ok;
}

static void
test_valid(void **state)
{
	static const struct base_slice rows[] = {
		TEXT("null"), TEXT("true"), TEXT("false"), TEXT("0"), TEXT("-0"),
		TEXT("-1.5e+10"), TEXT("1E5"), TEXT("0.0e-0"), TEXT("1e999"),
		TEXT("123456789012345678901234567890"), TEXT("\"\""), TEXT("\"a\""),
		TEXT("[]"), TEXT("{}"), TEXT("[[]]"), TEXT("[{}]"), TEXT("{\"\":{}}"),
		TEXT(" \t\r\n[ 1 , 2 ] \n"), TEXT(" { \"a\" : 1 , \"b\" : [ ] } "),
		TEXT("{\"a\":1,\"a\":2}"),
		TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\""),
		TEXT("\"\\ud83d\\ude00\""), TEXT("\"\\uDBFF\\uDFFF\""),
		TEXT("\"\\ud7ff\""),
		TEXT("\"\\ue000\""), TEXT("\"\x7f\""), TEXT("\"\xc2\x80\""),
		TEXT("\"\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
		TEXT("\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\""),
		TEXT("[1,2.50,\"\\u00e9\\n\",null,true,false,{\"x\":[[],{}]}]"),
		TEXT("\"a long text without any escape that fills several words\""),
		TEXT("{\"1234567\":\"12345678\",\"123456789\":\"1234567890123456\"}"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		if (!valid(rows[i]))
			fail_msg("refused: %.*s", (int)rows[i].len, rows[i].p);
	}
}

static void
test_invalid(void **state)
{
	static const struct base_slice rows[] = {
		TEXT(""), TEXT(" "), TEXT("\n"), TEXT("1 2"), TEXT("{} {}"),
		TEXT("{}x"),
		TEXT("[]]"), TEXT("{}}"), TEXT("[1,]"), TEXT("[,1]"), TEXT("[1 2]"),
		TEXT("[1,,2]"), TEXT("["), TEXT("[1"), TEXT("[1}"), TEXT("{"),
		TEXT("{\"a\""), TEXT("{\"a\":"), TEXT("{\"a\":1"), TEXT("{\"a\":1]"),
		TEXT("{\"a\":1,}"), TEXT("{,}"), TEXT("{\"a\" 1}"), TEXT("{\"a\":}"),
		TEXT("{a:1}"), TEXT("{1:1}"), TEXT("{\"a\":1 \"b\":2}"),
		TEXT("{\"a\",1}"),
		TEXT("01"), TEXT("-"), TEXT("-01"), TEXT("+1"), TEXT("1."), TEXT(".5"),
		TEXT("1.e1"), TEXT("1e"), TEXT("1e+"), TEXT("1.2.3"), TEXT("0x10"),
		TEXT("1_0"), TEXT("--1"), TEXT("NaN"), TEXT("Infinity"), TEXT("tru"),
		TEXT("truex"), TEXT("nul"), TEXT("True"), TEXT("'a'"), TEXT("\""),
		TEXT("\"a"), TEXT("\"\\"), TEXT("\"\\\""), TEXT("\"\\x41\""),
		TEXT("\"\\a\""), TEXT("\"\\u12\""), TEXT("\"\\u12g4\""), TEXT("\"\\u"),
		TEXT("\"\\u123"), TEXT("\"\\ud800\""), TEXT("\"\\udc00\""),
		TEXT("\"\\ud800\\ud800\""), TEXT("\"\\udc00\\udc00\""),
		TEXT("\"\\ud800\\ue000\""), TEXT("\"\\ud800x\""),
		TEXT("\"\\ud800\\n\""),
		TEXT("\"\\ud83d\\ude0\""), TEXT("\"\\ud800\\u0041\""),
		TEXT("\"\\ud83d\\"),
		TEXT("\"\x1f\""), TEXT("\"\n\""), TEXT("\"\t\""), TEXT("\"a\0b\""),
		TEXT("\0"), TEXT("1\0"), TEXT("{}\0"), TEXT("[1]\0 "), TEXT("\v1"),
		TEXT("\xef\xbb\xbf{}"), TEXT("\xc2\xa0{}"), TEXT("\"\x80\""),
		TEXT("\"\xc0\x80\""), TEXT("\"\xc1\xbf\""), TEXT("\"\xe0\x80\x80\""),
		TEXT("\"\xed\xa0\x80\""), TEXT("\"\xf0\x80\x80\x80\""),
		TEXT("\"\xf4\x90\x80\x80\""), TEXT("\"\xf8\x88\x80\x80\x80\""),
		TEXT("\"\xff\""), TEXT("\"\xc3\""), TEXT("\"\xe2\x82\""),
		TEXT("\"\xe2\x82\\n\xac\""), TEXT("{\"\xc3\":1}"), TEXT("\xc3\xa9"),
		TEXT("// c\n1"), TEXT("/**/1"), TEXT("[1,\xc3\xa9]"), TEXT("undefined"),
		TEXT("a string of ascii that hides \x80"),
		TEXT("\"0123456789abcdef\x80xyz\""),
		TEXT("{\"a\":\"\\u00e9\xff\"}"), TEXT("]"), TEXT("}"), TEXT(","),
		TEXT(":"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		if (valid(rows[i]))
			fail_msg("accepted row %zu: %.*s", i, (int)rows[i].len,
			    rows[i].p);
	}
}

/* Every place of a special byte in the words that the scanner takes at once. */
static void
test_string_offsets(void **state)
{
	static const char specials[] = "\"\\\x1f\0\n\x80\xff"; /* its NUL too */
	char text[64];
	size_t len, at, i;

	(void)state;
	for (len = 0; len < 40; len++) {
		text[0] = '"';
		text[len + 1] = '"';
		for (at = 0; at < len; at++) {
			memset(text + 1, 'x', len);
			assert_true(valid((struct base_slice){text, len + 2}));
			for (i = 0; i < sizeof(specials); i++) {
				text[at + 1] = specials[i];
				assert_false(valid((struct base_slice){text, len + 2}));
			}
			/* What the bit tricks could take for special. */
			memset(text + 1, '!', len);
			text[at + 1] = '#';
			assert_true(valid((struct base_slice){text, len + 2}));
			memset(text + 1, ']', len);
			text[at + 1] = '[';
			assert_true(valid((struct base_slice){text, len + 2}));
			memset(text + 1, ' ', len);
			assert_true(valid((struct base_slice){text, len + 2}));
		}
	}
}

static void
test_depth(void **state)
{
	static const char *const open[] = {"[", "{\"a\":", "[{\"a\":"};
	static const char *const close[] = {"]", "}", "}]"};
	static const int step[] = {1, 1, 2};
	struct base_buf b = {0};
	int depth, i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (depth = step[i]; depth <= 70; depth += step[i]) {
			b.len = 0;
			for (j = 0; j < depth; j += step[i])
				base_buf_str(&b, open[i]);
			base_buf_str(&b, "1");
			for (j = 0; j < depth; j += step[i])
				base_buf_str(&b, close[i]);
			assert_int_equal(
			    json_valid(b.p, b.len), depth <= JSON_MAX_DEPTH);
		}
	}
	/* Closing and opening again is not deep. */
	b.len = 0;
	base_buf_str(&b, "[");
	for (i = 0; i < 1000; i++)
		base_buf_str(&b, "[{}],");
	base_buf_str(&b, "1]");
	assert_true(json_valid(b.p, b.len));
	base_buf_free(&b);
}

static void
test_spans(void **state)
{
	static const struct {
		const char *text, *span;
		enum json_type type;
	} rows[] = {
		{" null ", "null", JSON_NULL},
		{"\ttrue", "true", JSON_TRUE},
		{"false\n", "false", JSON_FALSE},
		{" 2.50 ", "2.50", JSON_NUMBER},
		{" \"a\\\"b\" ", "\"a\\\"b\"", JSON_STRING},
		{" [ 1, 2 ] ", "[ 1, 2 ]", JSON_ARRAY},
		{" { \"z\" : 1 , \"a\":{} } ", "{ \"z\" : 1 , \"a\":{} }", JSON_OBJECT},
	};
	struct base_slice span;
	struct json_rd rd;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		json_rd_init(&rd, rows[i].text, strlen(rows[i].text));
		assert_int_equal(json_rd_value(&rd, &span), rows[i].type);
		assert_true(json_rd_end(&rd));
		assert_int_equal(span.len, strlen(rows[i].span));
		assert_memory_equal(span.p, rows[i].span, span.len);
	}
}

static void
test_walk(void **state)
{
	static const char text[] =
	    " { \"a\" : [ 1 , {\"x\":[]} , \"s\" ] , \"b\\\"\" : null } ";
	struct base_slice key, span;
	struct json_rd rd;
	bool first = true, first_element = true;
	int n = 0;

	(void)state;
	json_rd_init(&rd, text, sizeof(text) - 1);
	assert_true(json_rd_object(&rd));
	assert_true(json_rd_member(&rd, &first, &key));
	assert_slice(key, "a");
	assert_int_equal(json_rd_peek(&rd), JSON_ARRAY);
	assert_true(json_rd_array(&rd));
	while (json_rd_element(&rd, &first_element)) {
		assert_int_not_equal(json_rd_value(&rd, &span), JSON_BAD);
		n++;
	}
	assert_int_equal(n, 3);
	assert_slice(span, "\"s\"");
	assert_true(json_rd_member(&rd, &first, &key));
	assert_slice(key, "b\\\"");
	assert_int_equal(json_rd_value(&rd, &span), JSON_NULL);
	assert_false(json_rd_member(&rd, &first, &key));
	assert_true(json_rd_end(&rd));
}

static int
count_members(const char *text, struct json_rd *rd)
{
	struct base_slice key;
	bool first = true;
	int n = 0;

	json_rd_init(rd, text, strlen(text));
	if (!json_rd_object(rd))
		return -1;
	while (json_rd_member(rd, &first, &key)) {
		json_rd_value(rd, NULL);
		n++;
	}
	return json_rd_end(rd) ? n : -1;
}

/* An error sticks, and the cursor tells where it was. */
static void
test_walk_bad(void **state)
{
	static const struct {
		const char *text;
		int members;
		int place; /* of the error */
	} rows[] = {
		{"{}", 0, -1},
		{"{\"a\":1}", 1, -1},
		{"{\"a\":1,\"b\":2}", 2, -1},
		{"{\"a\":1,}", -1, 7},
		{"{,\"a\":1}", -1, 1},
		{"{\"a\":1 \"b\":2}", -1, 7},
		{"{\"a\" 1}", -1, 5},
		{"{\"a\":tru}", -1, 5},
		{"{\"a\":1", -1, 6},
		{"{\"\\q\":1}", -1, 2},
		{"[]", -1, 0},
		{"{}x", -1, -1},
		{"", -1, 0},
	};
	struct base_slice key;
	struct json_rd rd;
	bool first = true;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		assert_int_equal(count_members(rows[i].text, &rd), rows[i].members);
		assert_int_equal(rd.bad, rows[i].place >= 0);
		if (rows[i].place < 0)
			continue;
		assert_int_equal(rd.p - rows[i].text, rows[i].place);
		assert_int_equal(json_rd_value(&rd, NULL), JSON_BAD);
		assert_int_equal(json_rd_peek(&rd), JSON_BAD);
		assert_false(json_rd_object(&rd));
		assert_false(json_rd_array(&rd));
		assert_false(json_rd_member(&rd, &first, &key));
		assert_false(json_rd_element(&rd, &first));
		assert_false(json_rd_end(&rd));
	}
}

static void
test_text(void **state)
{
	static const struct {
		struct base_slice span, text;
	} rows[] = {
		{TEXT("\"\""), TEXT("")},
		{TEXT("\"abc\""), TEXT("abc")},
		{TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TEXT("\"\\/\b\f\n\r\t")},
		{TEXT("\"\\u0041\\u00e9x\""), TEXT("A\xc3\xa9x")},
		{TEXT("\"\\u00E9\\u07ff\\u0800\\uFFFF\""),
		    TEXT("\xc3\xa9\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
		{TEXT("\"\\u0000\""), TEXT("\0")},
		{TEXT("\"\\ud83d\\ude00!\""), TEXT("\xf0\x9f\x98\x80!")},
		{TEXT("\"\\udbff\\udfff\""), TEXT("\xf4\x8f\xbf\xbf")},
		{TEXT("\"\\\\u0041\""), TEXT("\\u0041")},
		{TEXT("\"\xc3\xa9\\n\xc3\xa9\""), TEXT("\xc3\xa9\n\xc3\xa9")},
	};
	struct base_buf scratch = {0};
	struct base_slice text[BASE_COUNT(rows)];
	size_t i, total = 0;
	const char *home;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++)
		total += rows[i].span.len;
	home = base_buf_room(&scratch, total);
	for (i = 0; i < BASE_COUNT(rows); i++)
		text[i] = json_text(rows[i].span, &scratch);
	assert_ptr_equal(scratch.p, home);
	for (i = 0; i < BASE_COUNT(rows); i++) {
		assert_int_equal(text[i].len, rows[i].text.len);
		assert_memory_equal(text[i].p, rows[i].text.p, text[i].len);
	}
	/* Without an escape nothing is copied. */
	assert_ptr_equal(text[1].p, rows[1].span.p + 1);
	base_buf_free(&scratch);
}

static void
test_key(void **state)
{
	char room[JSON_KEY_ROOM], longest[JSON_KEY_ROOM + 2];
	struct base_slice key;

	(void)state;
	assert_slice(json_key(SLICE("id"), room), "id");
	assert_slice(json_key(SLICE("\\u0069d"), room), "id");
	assert_slice(json_key(SLICE("\\u0069\\u0064"), room), "id");
	assert_slice(json_key(SLICE(""), room), "");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "\\u0069", 6);
	key = json_key((struct base_slice){longest, JSON_KEY_ROOM}, room);
	assert_int_equal(key.len, JSON_KEY_ROOM - 5);
	key = json_key((struct base_slice){longest, JSON_KEY_ROOM + 1}, room);
	assert_ptr_equal(key.p, longest);
}

static void
test_int(void **state)
{
	static const struct {
		struct base_slice span;
		int64_t min, max;
		bool ok;
		int64_t value;
	} rows[] = {
		{TEXT("0"), 0, 10, true, 0},
		{TEXT("-0"), 0, 10, true, 0},
		{TEXT("10"), 0, 10, true, 10},
		{TEXT("11"), 0, 10, false, 0},
		{TEXT("-1"), 0, 10, false, 0},
		{TEXT("-5"), -5, 10, true, -5},
		{TEXT("-6"), -5, 10, false, 0},
		{TEXT("1.0"), 0, 10, false, 0},
		{TEXT("1e0"), 0, 10, false, 0},
		{TEXT("9223372036854775807"), INT64_MIN, INT64_MAX, true, INT64_MAX},
		{TEXT("9223372036854775808"), INT64_MIN, INT64_MAX, false, 0},
		{TEXT("-9223372036854775808"), INT64_MIN, INT64_MAX, true, INT64_MIN},
		{TEXT("-9223372036854775809"), INT64_MIN, INT64_MAX, false, 0},
		{TEXT("18446744073709551616"), INT64_MIN, INT64_MAX, false, 0},
		{TEXT("99999999999999999999"), INT64_MIN, INT64_MAX, false, 0},
	};
	uint64_t u;
	int64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		n = 42;
		assert_int_equal(json_int(rows[i].span, rows[i].min, rows[i].max, &n),
		    rows[i].ok);
		assert_true(n == (rows[i].ok ? rows[i].value : 42));
	}
	assert_true(json_uint(SLICE("18446744073709551615"), UINT64_MAX, &u));
	assert_true(u == UINT64_MAX);
	assert_false(json_uint(SLICE("18446744073709551616"), UINT64_MAX, &u));
	assert_true(json_uint(SLICE("4294967295"), UINT32_MAX, &u));
	assert_false(json_uint(SLICE("4294967296"), UINT32_MAX, &u));
	assert_false(json_uint(SLICE("-1"), UINT32_MAX, &u));
	assert_false(json_uint(SLICE("-0"), UINT32_MAX, &u));
	assert_false(json_uint(SLICE("1.5"), UINT32_MAX, &u));
}

static void
test_write(void **state)
{
	struct base_buf out = {0}, scratch = {0};
	struct base_slice text, back;
	char all[0x80];
	int i;

	(void)state;
	json_wr_string(&out, SLICE("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9"));
	assert_slice(((struct base_slice){out.p, out.len}),
	    "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"");
	out.len = 0;
	json_wr_string(&out, (struct base_slice){NULL, 0});
	json_wr_uint(&out, 0);
	json_wr_uint(&out, UINT64_MAX);
	json_wr_raw(&out, SLICE("[\n1,\n\n 2\n]\n"));
	json_wr_raw(&out, SLICE("{\"a\": 2.50}"));
	json_wr_raw(&out, (struct base_slice){NULL, 0});
	assert_slice(((struct base_slice){out.p, out.len}),
	    "\"\"018446744073709551615[1, 2]{\"a\": 2.50}");
	/* All of ASCII there and back. */
	for (i = 0; i < 0x80; i++)
		all[i] = (char)i;
	text = (struct base_slice){all, sizeof(all)};
	out.len = 0;
	json_wr_string(&out, text);
	assert_true(json_valid(out.p, out.len));
	assert_null(memchr(out.p, '\n', out.len));
	back = json_text((struct base_slice){out.p, out.len}, &scratch);
	assert_int_equal(back.len, text.len);
	assert_memory_equal(back.p, text.p, text.len);
	base_buf_free(&out);
	base_buf_free(&scratch);
}

static void
test_base64(void **state)
{
	static const struct {
		enum base64_kind kind;
		struct base_slice text;
		bool ok;
		struct base_slice bytes;
	} rows[] = {
		{BASE64_STD, TEXT(""), true, TEXT("")},
		{BASE64_STD, TEXT("Zg=="), true, TEXT("f")},
		{BASE64_STD, TEXT("Zm8="), true, TEXT("fo")},
		{BASE64_STD, TEXT("Zm9v"), true, TEXT("foo")},
		{BASE64_STD, TEXT("Zm9vYmFy"), true, TEXT("foobar")},
		{BASE64_STD, TEXT("+/+/"), true, TEXT("\xfb\xff\xbf")},
		{BASE64_STD, TEXT("Zg"), false, TEXT("")},
		{BASE64_STD, TEXT("Zg="), false, TEXT("")},
		{BASE64_STD, TEXT("Zh=="), false, TEXT("")},
		{BASE64_STD, TEXT("Z==="), false, TEXT("")},
		{BASE64_STD, TEXT("===="), false, TEXT("")},
		{BASE64_STD, TEXT("Zg==Zg=="), false, TEXT("")},
		{BASE64_STD, TEXT("Zm9\n"), false, TEXT("")},
		{BASE64_STD, TEXT("-_-_"), false, TEXT("")},
		{BASE64_URL, TEXT("Zg"), true, TEXT("f")},
		{BASE64_URL, TEXT("Zm8"), true, TEXT("fo")},
		{BASE64_URL, TEXT("-_-_"), true, TEXT("\xfb\xff\xbf")},
		{BASE64_URL, TEXT("+/+/"), false, TEXT("")},
		{BASE64_URL, TEXT("Zg=="), false, TEXT("")},
		{BASE64_URL, TEXT("Zh"), false, TEXT("")},
		{BASE64_URL, TEXT("Zm9vY"), false, TEXT("")},
		{BASE64_URL, TEXT("Zm9vA"), false, TEXT("")},
		{BASE64_URL, TEXT("Zm\x80v"), false, TEXT("")},
	};
	struct base_buf out = {0};
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		out.len = 0;
		assert_int_equal(
		    base64_decode(rows[i].kind, rows[i].text, &out), rows[i].ok);
		if (rows[i].ok) {
			assert_int_equal(out.len, rows[i].bytes.len);
			assert_memory_equal(out.p, rows[i].bytes.p, out.len);
		}
	}
	base_buf_free(&out);
}

#ifdef HAVE_YAJL

/* Changes, drops, doubles or puts in bytes, most of them such as JSON is made of. */
static void
mutate(struct base_buf *b)
{
	static const char bytes[] = "{}[]:,\"\\u0123456789abdeflnrstE+-. \t\n\r\0"
	    "\x80\xc3\xa9\xed\xa0\xe2\x82\xac\xf0\x9f\x98\x80\xff";
	uint64_t r = test_rand64();
	size_t at, n;
	char c = bytes[r % (sizeof(bytes) - 1)];

	at = b->len > 0 ? (r >> 16) % b->len : 0;
	n = b->len - at;
	switch ((r >> 8) % 4) {
	case 0:
		if (n > 0)
			b->p[at] = c;
		break;
	case 1:
		if (n > 0) {
			memmove(b->p + at, b->p + at + 1, n - 1);
			b->len--;
		}
		break;
	case 2:
		base_buf_room(b, 1);
		memmove(b->p + at + 1, b->p + at, n);
		b->p[at] = c;
		b->len++;
		break;
	default:
		n = BASE_MIN(n, (r >> 40) % 8);
		base_buf_room(b, n);
		base_buf_add(b, b->p + at, n);
		break;
	}
}

static void
test_oracle(void **state)
{
	static const char *const seeds[] = {
		"{\"id\":3,\"publish\":{\"channel\":\"chat:1\",\"data\":"
		"{\"a\":[1,2.50,-1e9]}}}",
		"[\"\\u00e9\\ud83d\\ude00\\n\\\"\", {}, "
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
		" [ true , false,null , 0,-0.5e-1,[[ ]],{\"\":{}} ] ",
		"\"plain text that is longer than a word\"",
		"-120.5E+3",
	};
	int accepted = 0;
	struct base_buf b = {0};
	bool ours, theirs;
	int i, n;

	(void)state;
	for (i = 0; i < 200000; i++) {
		b.len = 0;
		base_buf_str(&b, seeds[i % BASE_COUNT(seeds)]);
		for (n = (int)test_rand(4); n >= 0; n--)
			mutate(&b);
		ours = json_valid(b.p, b.len);
		theirs = json_oracle_accepts(b.p, b.len);
		accepted += ours;
		if (ours != theirs && (ours || !json_oracle_is_lax(b.p, b.len)))
			fail_msg("run %d: we say %d, yajl says %d: %.*s", i, ours,
			    theirs, (int)b.len, b.p);
	}
	/* Both verdicts were seen often. */
	assert_in_range(accepted, 20000, 180000);
	base_buf_free(&b);
}

#else

static void
test_oracle(void **state)
{
	(void)state;
	print_message("built without yajl\n");
	skip();
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_string_offsets),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_bad),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
