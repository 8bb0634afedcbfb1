/*
 * json_rd: see the header.
 *
 * One pass, no recursion and no allocation: what is open is a bit for each level.
 */
#include "config.h"

#include "proto/json_rd.h"

#include "base/base_assert.h"
#include "proto/json_scan.h"
#include "proto/utf8.h"

_Static_assert(JSON_MAX_DEPTH <= 64, "a level is a bit of a uint64_t");

/* Leaves the cursor where the text went wrong. */
static bool
fail(struct json_rd *rd)
{
	rd->bad = true;
	return false;
}

static inline void
skip_blanks(struct json_rd *rd)
{
	const char *p = rd->p;

	while (p < rd->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	rd->p = p;
}

static inline bool
at(const struct json_rd *rd, char c)
{
	return rd->p < rd->end && *rd->p == c;
}

static inline bool
expect(struct json_rd *rd, char c)
{
	if (!at(rd, c))
		return fail(rd);
	rd->p++;
	return true;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; -1 if they are not that. */
static int
hex_unit(const char *p, const char *end)
{
	int i, digit, unit = 0;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		digit = hex_digit(p[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/*
 * The character of the \u escape at P (which points to its backslash), and in LEN_R
 * how many bytes it takes: 12 for a pair of surrogates, else 6.  -1: none, or half
 * of a pair.
 */
static int32_t
escaped_char(const char *p, const char *end, size_t *len_r)
{
	int32_t high, low;

	high = hex_unit(p + 2, end);
	*len_r = 6;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
		return -1;
	low = hex_unit(p + 8, end);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*len_r = 12;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static bool
skip_escape(struct json_rd *rd)
{
	size_t len;

	if (rd->end - rd->p < 2)
		return fail(rd);
	switch (rd->p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		rd->p += 2;
		return true;
	case 'u':
		if (escaped_char(rd->p, rd->end, &len) < 0)
			return fail(rd);
		rd->p += len;
		return true;
	default:
		return fail(rd);
	}
}

/* From the opening quote to behind the closing one. */
static inline bool
skip_string(struct json_rd *rd)
{
	const char *start = rd->p + 1;
	uint64_t high = 0;

	rd->p = start;
	for (;;) {
		rd->p = json_scan_plain(rd->p, rd->end, &high);
		if (at(rd, '"'))
			break;
		if (!at(rd, '\\'))
			return fail(rd);
		if (!skip_escape(rd))
			return false;
	}
	if ((high & JSON_SCAN_HIGH) != 0 && !utf8_valid(start, (size_t)(rd->p - start)))
		return fail(rd);
	rd->p++;
	return true;
}

/* One digit or more. */
static inline bool
skip_digits(struct json_rd *rd)
{
	const char *p = rd->p;

	while (p < rd->end && is_digit(*p))
		p++;
	if (p == rd->p)
		return fail(rd);
	rd->p = p;
	return true;
}

static bool
skip_number(struct json_rd *rd)
{
	if (at(rd, '-'))
		rd->p++;
	if (at(rd, '0'))
		rd->p++;
	else if (!skip_digits(rd))
		return false;
	if (at(rd, '.')) {
		rd->p++;
		if (!skip_digits(rd))
			return false;
	}
	if (at(rd, 'e') || at(rd, 'E')) {
		rd->p++;
		if (at(rd, '+') || at(rd, '-'))
			rd->p++;
		if (!skip_digits(rd))
			return false;
	}
	return true;
}

static bool
skip_word(struct json_rd *rd, const char *word, size_t n)
{
	if ((size_t)(rd->end - rd->p) < n || memcmp(rd->p, word, n) != 0)
		return fail(rd);
	rd->p += n;
	return true;
}

enum json_type
json_rd_peek(const struct json_rd *rd)
{
	if (rd->bad || rd->p == rd->end)
		return JSON_BAD;
	switch (*rd->p) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 'n':
		return JSON_NULL;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	default:
		return *rd->p == '-' || is_digit(*rd->p) ? JSON_NUMBER : JSON_BAD;
	}
}

static inline bool
skip_scalar(struct json_rd *rd, enum json_type type)
{
	switch (type) {
	case JSON_STRING:
		return skip_string(rd);
	case JSON_NUMBER:
		return skip_number(rd);
	case JSON_NULL:
		return skip_word(rd, "null", 4);
	case JSON_TRUE:
		return skip_word(rd, "true", 4);
	case JSON_FALSE:
		return skip_word(rd, "false", 5);
	default:
		return fail(rd);
	}
}

/* A member's name and colon, up to its value. */
static inline bool
skip_key(struct json_rd *rd)
{
	if (!at(rd, '"'))
		return fail(rd);
	if (!skip_string(rd))
		return false;
	skip_blanks(rd);
	if (!expect(rd, ':'))
		return false;
	skip_blanks(rd);
	return true;
}

/* What is open inside the value that is read: the lowest bit is the innermost. */
struct nest {
	uint64_t objects;
	unsigned depth;
};

/*
 * Behind a value: closes what ends here.  True with the cursor before the next value,
 * or with depth 0 behind the outermost one.
 */
static bool
skip_to_next(struct json_rd *rd, struct nest *nest)
{
	bool object;

	while (nest->depth > 0) {
		object = nest->objects & 1;
		skip_blanks(rd);
		if (at(rd, ',')) {
			rd->p++;
			skip_blanks(rd);
			return object ? skip_key(rd) : true;
		}
		if (!expect(rd, object ? '}' : ']'))
			return false;
		nest->objects >>= 1;
		nest->depth--;
	}
	return true;
}

/* Enters an object or array and stands before its first value; if it has none, then
 * behind it, before the next value. */
static bool
skip_open(struct json_rd *rd, struct nest *nest, bool object)
{
	if (nest->depth == JSON_MAX_DEPTH)
		return fail(rd);
	nest->objects = nest->objects << 1 | object;
	nest->depth++;
	rd->p++;
	skip_blanks(rd);
	if (at(rd, object ? '}' : ']'))
		return skip_to_next(rd, nest);
	return object ? skip_key(rd) : true;
}

static bool
skip_nested(struct json_rd *rd)
{
	struct nest nest = {0};
	enum json_type type;

	do {
		type = json_rd_peek(rd);
		if (type == JSON_OBJECT || type == JSON_ARRAY) {
			if (!skip_open(rd, &nest, type == JSON_OBJECT))
				return false;
		} else if (!skip_scalar(rd, type) || !skip_to_next(rd, &nest)) {
			return false;
		}
	} while (nest.depth > 0);
	return true;
}

enum json_type
json_rd_value(struct json_rd *rd, struct base_slice *span_r)
{
	enum json_type type;
	const char *start;
	bool ok;

	skip_blanks(rd);
	start = rd->p;
	type = json_rd_peek(rd);
	if (type == JSON_OBJECT || type == JSON_ARRAY)
		ok = skip_nested(rd);
	else
		ok = skip_scalar(rd, type);
	if (!ok)
		return JSON_BAD;
	if (span_r != NULL)
		*span_r = (struct base_slice){start, (size_t)(rd->p - start)};
	skip_blanks(rd);
	return type;
}

static bool
enter(struct json_rd *rd, char open)
{
	skip_blanks(rd);
	if (rd->bad || !expect(rd, open))
		return fail(rd);
	skip_blanks(rd);
	return true;
}

bool
json_rd_object(struct json_rd *rd)
{
	return enter(rd, '{');
}

bool
json_rd_array(struct json_rd *rd)
{
	return enter(rd, '[');
}

/* True before another member or element, false at CLOSE or on an error. */
static inline bool
next(struct json_rd *rd, bool *first, char close)
{
	if (rd->bad)
		return false;
	skip_blanks(rd);
	if (at(rd, close)) {
		rd->p++;
		skip_blanks(rd);
		return false;
	}
	if (!*first) {
		if (!expect(rd, ','))
			return false;
		skip_blanks(rd);
	}
	*first = false;
	return true;
}

bool
json_rd_member(struct json_rd *rd, bool *first, struct base_slice *key)
{
	const char *start;

	if (!next(rd, first, '}'))
		return false;
	start = rd->p + 1;
	if (!at(rd, '"') || !skip_string(rd))
		return fail(rd);
	*key = (struct base_slice){start, (size_t)(rd->p - 1 - start)};
	skip_blanks(rd);
	if (!expect(rd, ':'))
		return false;
	skip_blanks(rd);
	return true;
}

bool
json_rd_element(struct json_rd *rd, bool *first)
{
	return next(rd, first, ']');
}

bool
json_rd_end(struct json_rd *rd)
{
	skip_blanks(rd);
	return !rd->bad && rd->p == rd->end;
}

bool
json_valid(const char *p, size_t n)
{
	struct json_rd rd;

	json_rd_init(&rd, p, n);
	return json_rd_value(&rd, NULL) != JSON_BAD && json_rd_end(&rd);
}

static char *
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

static char
short_escape(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return c;
	}
}

/* Decodes TEXT, which was read by skip_string, to OUT, which has room for as many
 * bytes; returns how many it wrote. */
static size_t
decode(struct base_slice text, char *out)
{
	const char *p = text.p, *end = text.p + text.len, *back;
	char *start = out;
	int32_t c;
	size_t n;

	while (p < end) {
		back = memchr(p, '\\', (size_t)(end - p));
		n = (size_t)((back != NULL ? back : end) - p);
		memcpy(out, p, n);
		out += n;
		p += n;
		if (back == NULL)
			break;
		if (p[1] == 'u') {
			c = escaped_char(p, end, &n);
			base_assert(c >= 0);
			out = put_utf8(out, (uint32_t)c);
			p += n;
		} else {
			*out++ = short_escape(p[1]);
			p += 2;
		}
	}
	return (size_t)(out - start);
}

struct base_slice
json_text(struct base_slice span, struct base_buf *scratch)
{
	struct base_slice text = {span.p + 1, span.len - 2};
	char *out;

	base_assert(span.len >= 2 && span.p[0] == '"');
	if (text.len == 0 || memchr(text.p, '\\', text.len) == NULL)
		return text;
	out = base_buf_room(scratch, text.len);
	text.len = decode(text, out);
	text.p = out;
	scratch->len += text.len;
	return text;
}

struct base_slice
json_key(struct base_slice key, char room[JSON_KEY_ROOM])
{
	if (key.len == 0 || key.len > JSON_KEY_ROOM ||
	    memchr(key.p, '\\', key.len) == NULL)
		return key;
	return (struct base_slice){room, decode(key, room)};
}

/* The digits P..END as a number; false if there is anything else, or it is too big. */
static bool
digits(const char *p, const char *end, uint64_t *out)
{
	uint64_t n = 0;

	if (p == end)
		return false;
	for (; p < end; p++) {
		if (!is_digit(*p) || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	}
	*out = n;
	return true;
}

bool
json_uint(struct base_slice span, uint64_t max, uint64_t *out)
{
	uint64_t n;

	if (!digits(span.p, span.p + span.len, &n) || n > max)
		return false;
	*out = n;
	return true;
}

bool
json_int(struct base_slice span, int64_t min, int64_t max, int64_t *out)
{
	bool minus = span.len > 0 && span.p[0] == '-';
	uint64_t n;
	int64_t value;

	if (!digits(span.p + minus, span.p + span.len, &n) ||
	    n > (uint64_t)INT64_MAX + minus)
		return false;
	value = minus ? (int64_t)(0 - n) : (int64_t)n;
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}
