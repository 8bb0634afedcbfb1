/*
 * http_parse: one pass over the head, byte classes from a table.
 *
 * Section numbers are those of RFC 9110 (semantics) and RFC 9112 (HTTP/1.1).
 */
#include "config.h"

#include "proto/http_parse.h"

#include <strings.h>

/* Byte classes. */
#define TOKEN  0x01 /* tchar, 9110 5.6.2 */
#define VALUE  0x02 /* in a field value: VCHAR, obs-text, SP, HTAB; 9110 5.5 */
#define TARGET 0x04 /* in a path or query that we take */
#define HOST   0x08 /* in a Host: no blank, list, path, user or quote */
#define DIGIT  0x10

#define T TOKEN
#define V VALUE
#define G TARGET
#define H HOST
#define D DIGIT
/*
 * TARGET is wider than RFC 3986, because browsers send ^ | ` { } as they are; what
 * would end a target elsewhere ('#', blanks) or hurt in HTML (quotes, <>) is out.
 */
static const uint8_t byte_class[256] = {
    ['\t'] = V, [' '] = V,
    ['!'] = T | V | G | H, ['"'] = V, ['#'] = T | V, ['$'] = T | V | G | H,
    ['%'] = T | V | G | H, ['&'] = T | V | G | H, ['\''] = T | V | G | H,
    ['('] = V | G | H, [')'] = V | G | H, ['*'] = T | V | G | H,
    ['+'] = T | V | G | H, [','] = V | G, ['-'] = T | V | G | H,
    ['.'] = T | V | G | H, ['/'] = V | G,
    ['0' ... '9'] = T | V | G | H | D,
    [':'] = V | G | H, [';'] = V | G | H, ['<'] = V, ['='] = V | G | H,
    ['>'] = V, ['?'] = V | G, ['@'] = V | G,
    ['A' ... 'Z'] = T | V | G | H,
    ['['] = V | G | H, ['\\'] = V | G, [']'] = V | G | H, ['^'] = T | V | G,
    ['_'] = T | V | G | H, ['`'] = T | V | G,
    ['a' ... 'z'] = T | V | G | H,
    ['{'] = V | G, ['|'] = T | V | G, ['}'] = V | G, ['~'] = T | V | G | H,
    [0x80 ... 0xff] = V,
};
#undef T
#undef V
#undef G
#undef H
#undef D

/* Headers that say where a request ends or whom it is for, as seen so far. */
struct seen {
	unsigned hosts, lengths, codings;
};

static bool
is(char c, uint8_t class)
{
	return (byte_class[(uint8_t)c] & class) != 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
skip(const char *p, const char *end, uint8_t class)
{
	while (p < end && is(*p, class))
		p++;
	return p;
}

#define EACH(byte) (0x0101010101010101u * (byte))

/*
 * Values are most of a head, so they go eight bytes at a time: the words without a
 * control character.  (A byte below 0x20, or one that is 0x7f, borrows from its high
 * bit; a borrow from the byte below it can only send us to the table without need.)
 */
static const char *
skip_value(const char *p, const char *end)
{
	uint64_t word, low, del;

	for (; end - p >= 8; p += 8) {
		memcpy(&word, p, 8);
		low = (word - EACH(0x20)) & ~word;
		del = word ^ EACH(0x7f);
		del = (del - EACH(0x01)) & ~del;
		if (((low | del) & EACH(0x80)) != 0)
			break;
	}
	return skip(p, end, VALUE);
}

static bool
all(struct base_slice s, uint8_t class)
{
	return skip(s.p, s.p + s.len, class) == s.p + s.len;
}

static struct base_slice
slice(const char *p, const char *end)
{
	return (struct base_slice){p, (size_t)(end - p)};
}

/*
 * The steps below read at *P and move it on.  They return 1 when they are done, 0
 * when bytes are missing, or a negative status.
 */

/* As far as the bytes go, TEXT must be there. */
static int
expect(const char **p, const char *end, const char *text, int status)
{
	for (; *text != 0; text++, (*p)++) {
		if (*p == end)
			return 0;
		if (**p != *text)
			return status;
	}
	return 1;
}

static int
read_target(const char **p, const char *end, struct http_request *req)
{
	const char *start = *p, *q = *p, *mark = NULL;

	if (q < end && *q != '/')
		return -400;
	for (; q < end && is(*q, TARGET); q++) {
		if (*q == '?' && mark == NULL)
			mark = q;
		if (*q == '\\' && mark == NULL) /* some make it a '/' */
			return -400;
	}
	*p = q;
	if (q == end)
		return 0;
	if (*q != ' ')
		return -400;
	req->path = slice(start, mark != NULL ? mark : q);
	req->query = mark != NULL ? slice(mark + 1, q) : slice(q, q);
	++*p;
	return 1;
}

static int
read_version(const char **p, const char *end, struct http_request *req)
{
	int rc = expect(p, end, "HTTP/", -400);
	const char *v = *p;

	if (rc <= 0)
		return rc;
	if (v < end && !is(v[0], DIGIT))
		return -400;
	if (end - v > 1 && v[1] != '.')
		return -400;
	if (end - v > 2 && !is(v[2], DIGIT))
		return -400;
	if (end - v < 3)
		return 0;
	if (v[0] != '1' || v[2] > '1')
		return -505;
	req->minor = v[2] - '0';
	*p = v + 3;
	return expect(p, end, "\r\n", -400);
}

static int
read_request_line(const char **p, const char *end, struct http_request *req)
{
	const char *start = *p;
	int rc;

	*p = skip(*p, end, TOKEN);
	if (*p == end)
		return 0;
	if (**p != ' ' || *p == start)
		return -400;
	req->method = slice(start, *p);
	++*p;
	rc = read_target(p, end, req);
	return rc > 0 ? read_version(p, end, req) : rc;
}

/* 9110 8.6: digits and nothing else, so no sign and no list. */
static bool
read_length(struct base_slice value, uint64_t *out)
{
	size_t i;

	*out = 0;
	if (value.len == 0 || !all(value, DIGIT))
		return false;
	for (i = 0; i < value.len; i++)
		if (__builtin_mul_overflow(*out, 10u, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(value.p[i] - '0'), out))
			return false;
	return true;
}

/* False for a header that makes the request ambiguous by itself or by its number. */
static bool
note_header(const struct http_header *h, struct seen *seen, struct http_request *req)
{
	switch (h->name.len) {
	case 4:
		if (!http_slice_is(h->name, "host"))
			return true;
		return ++seen->hosts == 1 && h->value.len > 0 && all(h->value, HOST);
	case 14:
		if (!http_slice_is(h->name, "content-length"))
			return true;
		return ++seen->lengths == 1 &&
		    read_length(h->value, &req->content_length);
	case 17:
		if (http_slice_is(h->name, "transfer-encoding"))
			seen->codings++;
		return true;
	default:
		return true;
	}
}

static int
read_header(const char **p, const char *end, struct http_header *h)
{
	const char *start = *p, *last;

	*p = skip(*p, end, TOKEN);
	if (*p == end)
		return 0;
	if (**p != ':' || *p == start)
		return -400;
	h->name = slice(start, *p);
	for (start = *p + 1; start < end && is_blank(*start); start++)
		;
	*p = last = skip_value(start, end);
	while (last > start && is_blank(last[-1]))
		last--;
	h->value = slice(start, last);
	return expect(p, end, "\r\n", -400);
}

static int
read_headers(const char **p, const char *end, struct seen *seen,
    struct http_request *req)
{
	struct http_header *h;
	int rc;

	for (;;) {
		if (*p == end)
			return 0;
		if (**p == '\r')
			return expect(p, end, "\r\n", -400);
		if (req->n_headers == HTTP_MAX_HEADERS)
			return -431;
		h = &req->headers[req->n_headers];
		rc = read_header(p, end, h);
		if (rc <= 0)
			return rc;
		req->n_headers++;
		if (!note_header(h, seen, req))
			return -400;
	}
}

static int
check_whole(const struct seen *seen, const struct http_request *req)
{
	if (req->minor == 1 && seen->hosts == 0)
		return -400;
	if (seen->codings > 0) /* with a length it is an attack: 9112 6.1 */
		return seen->lengths > 0 || req->minor == 0 ? -400 : -501;
	return 1;
}

int
http_parse_head(const char *p, size_t n, size_t max, struct http_request *req)
{
	const char *q = p, *end;
	struct seen seen = {0};
	int rc;

	req->content_length = 0;
	req->n_headers = 0;
	if (n == 0)
		return 0;
	end = p + BASE_MIN(n, max);
	rc = read_request_line(&q, end, req);
	if (rc > 0)
		rc = read_headers(&q, end, &seen, req);
	if (rc > 0)
		rc = check_whole(&seen, req);
	if (rc == 0 && n >= max)
		return -431;
	return rc > 0 ? (int)(q - p) : rc;
}

static bool
is_text(struct base_slice s, const char *text, size_t len)
{
	return len == s.len && (len == 0 || strncasecmp(s.p, text, len) == 0);
}

bool
http_slice_is(struct base_slice value, const char *text)
{
	return is_text(value, text, strlen(text));
}

bool
http_is_token(char c)
{
	return is(c, TOKEN);
}

struct base_slice
http_header(const struct http_request *req, const char *name, unsigned *n_r)
{
	struct base_slice found = {NULL, 0};
	size_t len = strlen(name);
	unsigned i, n = 0;

	for (i = 0; i < req->n_headers; i++)
		if (is_text(req->headers[i].name, name, len) && n++ == 0)
			found = req->headers[i].value;
	if (n_r != NULL)
		*n_r = n;
	return found;
}

bool
http_has_token(struct base_slice value, const char *token)
{
	const char *p = value.p, *end, *first, *last;

	if (value.len == 0)
		return false;
	for (end = p + value.len; p < end; p++) {
		while (p < end && is_blank(*p))
			p++;
		for (first = p; p < end && *p != ','; p++)
			;
		for (last = p; last > first && is_blank(last[-1]); last--)
			;
		if (http_slice_is(slice(first, last), token))
			return true;
	}
	return false;
}
