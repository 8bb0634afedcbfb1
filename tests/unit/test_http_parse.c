/*
 * test_http_parse: heads that pass, heads that do not and why, responses.
 */
#include "config.h"

#include "proto/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX 8192
#define GET  "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define END  "\r\n"

struct row {
	const char *head;
	size_t len; /* 0: strlen */
	int result; /* 0: the whole length */
};

#define ROW(text, result)      {text, 0, result}
#define ROW_NUL(text, result)  {text, sizeof(text) - 1, result}

static const struct row rows[] = {
    ROW(GET HOST END, 0),
    ROW("GET /connection/websocket?a=b&c=%20 HTTP/1.1\r\n" HOST END, 0),
    ROW("POST /api HTTP/1.1\r\n" HOST "Content-Length: 10\r\n" END, 0),
    ROW("OPTIONS /api HTTP/1.1\r\n" HOST END, 0),
    ROW("PROPFIND / HTTP/1.1\r\n" HOST END, 0),
    ROW("GET /?a=^|`{}\\ HTTP/1.1\r\n" HOST END, 0),
    ROW("GET /a|b^c HTTP/1.1\r\n" HOST END, 0),
    ROW("GET / HTTP/1.0\r\n" END, 0),
    ROW("GET / HTTP/1.0\r\n" HOST END, 0),
    ROW(GET "hOsT:a\r\n" END, 0),
    ROW(GET "Host:\t a:8000 \t\r\n" END, 0),
    ROW(GET "Host: [::1]:8000\r\n" END, 0),
    ROW(GET HOST "X:\r\n" END, 0),
    ROW(GET HOST "X: \r\n" END, 0),
    ROW(GET HOST "X: \xc3\xa9 \x80\xff\r\n" END, 0),
    ROW(GET HOST "X: a\tb\r\n" END, 0),
    ROW(GET HOST "!#$%&'*+-.^_`|~09azAZ: x\r\n" END, 0),
    ROW(GET HOST "Content-Length: 18446744073709551615\r\n" END, 0),
    ROW(GET HOST "Content-Length: 0007\r\n" END, 0),
    ROW(GET HOST "Hostess: a\r\nXost: b\r\n" END, 0),

    /* lines */
    ROW("GET / HTTP/1.1\n" HOST END, -400),
    ROW(GET "Host: a\n" END, -400),
    ROW(GET HOST "\n", -400),
    ROW(GET HOST "\rX", -400),
    ROW("GET / HTTP/1.1\rHost: a\r\n" END, -400),
    ROW(GET HOST "X: a\rb\r\n" END, -400),
    ROW(GET HOST "X: a\r\n b\r\n" END, -400), /* obs-fold */
    ROW(GET HOST "X: a\r\n\tb\r\n" END, -400),
    ROW(GET " Host: a\r\n" END, -400),
    ROW("\r\n" GET HOST END, -400),
    ROW("\n" GET HOST END, -400),
    ROW(" " GET HOST END, -400),

    /* request line */
    ROW("GET  / HTTP/1.1\r\n" HOST END, -400),
    ROW("GET / HTTP/1.1 \r\n" HOST END, -400),
    ROW("GET /  HTTP/1.1\r\n" HOST END, -400),
    ROW("GET\t/ HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /\r\n" END, -400),
    ROW("GET\r\n", -400),
    ROW("GET * HTTP/1.1\r\n" HOST END, -400),
    ROW("OPTIONS * HTTP/1.1\r\n" HOST END, -400),
    ROW("GET http://a/ HTTP/1.1\r\n" HOST END, -400),
    ROW("CONNECT a:443 HTTP/1.1\r\n" HOST END, -400),
    ROW("GET ?a HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /#a HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /a\\b HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /\"a HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /<a HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /?> HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /\x7f HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /\xc3\xa9 HTTP/1.1\r\n" HOST END, -400),
    ROW("GET /\x01 HTTP/1.1\r\n" HOST END, -400),
    ROW_NUL("GET /\0 HTTP/1.1\r\n" HOST END, -400),
    ROW_NUL("G\0T / HTTP/1.1\r\n" HOST END, -400),
    ROW("G(T / HTTP/1.1\r\n" HOST END, -400),
    ROW("\x16\x03\x01\x02", -400), /* a TLS client */
    ROW("GET / http/1.1\r\n" HOST END, -400),
    ROW("GET / HTTP/11\r\n" HOST END, -400),
    ROW("GET / HTTP/1.10\r\n" HOST END, -400),
    ROW("GET / HTTP/+1.1\r\n" HOST END, -400),
    ROW("GET / HTTP/1.x\r\n" HOST END, -400),
    ROW("GET / HTTPS/1.1\r\n" HOST END, -400),
    ROW("GET / HTTP/1.2\r\n" HOST END, -505),
    ROW("GET / HTTP/2.0\r\n" HOST END, -505),
    ROW("GET / HTTP/0.9\r\n" HOST END, -505),
    ROW("PRI * HTTP/2.0\r\n" END "SM\r\n" END, -400),

    /* names and values */
    ROW(GET "Host : a\r\n" END, -400),
    ROW(GET HOST "X\t: a\r\n" END, -400),
    ROW(GET HOST ": a\r\n" END, -400),
    ROW(GET HOST "X\r\n" END, -400),
    ROW(GET HOST "X y: a\r\n" END, -400),
    ROW(GET HOST "X\x01: a\r\n" END, -400),
    ROW(GET HOST "X\x80: a\r\n" END, -400),
    ROW(GET HOST "X: a\x01\r\n" END, -400),
    ROW(GET HOST "X: \x7f\r\n" END, -400),
    ROW_NUL(GET HOST "X: a\0b\r\n" END, -400),
    ROW_NUL(GET HOST "X\0: a\r\n" END, -400),

    /* Host */
    ROW(GET END, -400),
    ROW(GET HOST HOST END, -400),
    ROW(GET HOST "Host: b\r\n" END, -400),
    ROW("GET / HTTP/1.0\r\n" HOST HOST END, -400),
    ROW(GET "Host:\r\n" END, -400),
    ROW(GET "Host: a b\r\n" END, -400),
    ROW(GET "Host: a,b\r\n" END, -400),
    ROW(GET "Host: a/b\r\n" END, -400),
    ROW(GET "Host: u@a\r\n" END, -400),
    ROW(GET "Host: a?b\r\n" END, -400),
    ROW(GET "Host: \xc3\xa9\r\n" END, -400),

    /* where the request ends */
    ROW(GET HOST "Content-Length: 3\r\nContent-Length: 3\r\n" END, -400),
    ROW(GET HOST "Content-Length: 3\r\nContent-Length: 5\r\n" END, -400),
    ROW(GET HOST "Content-Length: 3, 3\r\n" END, -400),
    ROW(GET HOST "Content-Length: +3\r\n" END, -400),
    ROW(GET HOST "Content-Length: -3\r\n" END, -400),
    ROW(GET HOST "Content-Length: 0x3\r\n" END, -400),
    ROW(GET HOST "Content-Length: 3 3\r\n" END, -400),
    ROW(GET HOST "Content-Length:\r\n" END, -400),
    ROW(GET HOST "Content-Length: 18446744073709551616\r\n" END, -400),
    ROW(GET HOST "Content-Length: 99999999999999999999\r\n" END, -400),
    ROW(GET HOST "Transfer-Encoding: chunked\r\n" END, -501),
    ROW(GET HOST "transfer-encoding: gzip, chunked\r\n" END, -501),
    ROW(GET HOST "Transfer-Encoding: identity\r\n" END, -501),
    ROW(GET HOST "Transfer-Encoding:\r\n" END, -501),
    ROW(GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" END, -400),
    ROW(GET HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" END, -400),
    ROW("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, -400),
};

static int
parse(const char *p, size_t n, size_t max, struct http_request *req)
{
	char *exact = malloc(n + 1); /* so that a sanitizer sees the end */
	int rc;

	assert_non_null(exact);
	memcpy(exact, p, n);
	rc = http_parse_head(exact, n, max, req);
	free(exact);
	return rc;
}

/*
 * Each head with its bytes coming one by one: nothing until the outcome, then the
 * same outcome, and a complete head never earlier than its last byte.
 */
static void
table(void **state)
{
	struct http_request req;
	size_t len, n;
	unsigned i;
	int rc, expected;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		len = rows[i].len != 0 ? rows[i].len : strlen(rows[i].head);
		expected = rows[i].result != 0 ? rows[i].result : (int)len;
		for (n = 0; n <= len; n++) {
			rc = parse(rows[i].head, n, MAX, &req);
			if (rc != 0)
				break;
		}
		if (rc != expected || (expected > 0 && n != len))
			fail_msg("row %u: %d, not %d, after %zu of %zu:\n%s", i,
			    rc, expected, n, len, rows[i].head);
		for (; n <= len; n++)
			assert_int_equal(parse(rows[i].head, n, MAX, &req), expected);
	}
}

static void
assert_slice(struct base_slice s, const char *text)
{
	if (s.len != strlen(text) || memcmp(s.p, text, s.len) != 0)
		fail_msg("'%.*s' instead of '%s'", (int)s.len, s.p, text);
}

static void
slices(void **state)
{
	static const char head[] = "POST /a/b?c=d?e HTTP/1.1\r\n"
				   "Host: example.com:8000\r\n"
				   "X-Empty:\r\n"
				   "X-Blank: \t \r\n"
				   "X-Twice: \t one two\t \r\n"
				   "x-twice: three\r\n"
				   "Content-Length: 42\r\n"
				   "\r\nbody";
	struct http_request req;
	unsigned n;

	(void)state;
	assert_int_equal(http_parse_head(head, sizeof(head) - 1, MAX, &req),
	    sizeof(head) - 1 - 4);
	assert_slice(req.method, "POST");
	assert_slice(req.path, "/a/b");
	assert_slice(req.query, "c=d?e");
	assert_int_equal(req.minor, 1);
	assert_int_equal(req.content_length, 42);
	assert_int_equal(req.n_headers, 6);
	assert_slice(req.headers[0].name, "Host");
	assert_slice(req.headers[0].value, "example.com:8000");
	assert_slice(http_header(&req, "HOST", NULL), "example.com:8000");
	assert_slice(http_header(&req, "x-empty", &n), "");
	assert_int_equal(n, 1);
	assert_slice(http_header(&req, "X-Blank", NULL), "");
	assert_slice(http_header(&req, "X-Twice", &n), "one two");
	assert_int_equal(n, 2);
	assert_null(http_header(&req, "X-None", &n).p);
	assert_int_equal(n, 0);

	/* The next request in the same struct keeps nothing of it. */
	assert_int_equal(http_parse_head(GET HOST END, 27, MAX, &req), 27);
	assert_slice(req.query, "");
	assert_int_equal(req.content_length, 0);
	assert_int_equal(req.n_headers, 1);
	assert_int_equal(http_parse_head("GET / HTTP/1.0\r\n" END, 18, MAX, &req), 18);
	assert_int_equal(req.minor, 0);
}

/* Each byte at each place of a value, as values are read in words. */
static void
value_bytes(void **state)
{
	struct http_request req;
	struct base_buf b = {0};
	size_t at, begin, n;
	unsigned c;
	int rc;

	(void)state;
	base_buf_str(&b, GET HOST "X: ");
	begin = b.len;
	base_buf_str(&b, "\x80 \xff~!azAZ09\x80,;=: \xc3\xa9_abcdefgh\r\n\r\n");
	n = b.len - 4 - begin;
	for (at = 0; at < n; at++) {
		char kept = b.p[begin + at];

		for (c = 0; c < 256; c++) {
			b.p[begin + at] = (char)c;
			rc = parse(b.p, b.len, MAX, &req);
			if ((c >= ' ' && c != 0x7f) || c == '\t')
				assert_int_equal(rc, b.len);
			else
				assert_int_equal(rc, -400);
		}
		b.p[begin + at] = kept;
	}
	base_buf_free(&b);
}

static void
limits(void **state)
{
	struct http_request req;
	struct base_buf b = {0};
	unsigned i;
	size_t n;

	(void)state;
	/* The head may be as long as the limit, whatever follows, and not longer. */
	assert_int_equal(http_parse_head(GET HOST END "xxx", 30, 27, &req), 27);
	assert_int_equal(http_parse_head(GET HOST END "xxx", 30, 26, &req), -431);
	for (n = 0; n <= 30; n++)
		assert_int_equal(http_parse_head(GET HOST END "xxx", n, 26, &req),
		    n < 26 ? 0 : -431);
	/* What is wrong within the limit counts for more. */
	assert_int_equal(http_parse_head("GET / HTTP/1.1\n", 15, 15, &req), -400);
	assert_int_equal(http_parse_head("GET / HTTP/1.1\n", 15, 14, &req), -431);

	base_buf_str(&b, GET HOST);
	for (i = 1; i < HTTP_MAX_HEADERS; i++)
		base_buf_printf(&b, "X-%u: y\r\n", i);
	n = b.len;
	base_buf_str(&b, END);
	assert_int_equal(http_parse_head(b.p, b.len, MAX, &req), b.len);
	assert_int_equal(req.n_headers, HTTP_MAX_HEADERS);
	assert_slice(req.headers[HTTP_MAX_HEADERS - 1].name, "X-63");
	b.len = n;
	base_buf_str(&b, "X: y\r\n" END);
	assert_int_equal(http_parse_head(b.p, b.len, MAX, &req), -431);
	base_buf_free(&b);
}

static void
lists(void **state)
{
	static const struct {
		const char *list;
		bool has;
	} list_rows[] = {
	    {"upgrade", true},
	    {"Upgrade", true},
	    {"keep-alive, Upgrade", true},
	    {"keep-alive,upgrade", true},
	    {"upgrade , keep-alive", true},
	    {"\tupgrade\t", true},
	    {",, upgrade,,", true},
	    {"", false},
	    {",", false},
	    {" ", false},
	    {"upgrades", false},
	    {"upgrad", false},
	    {"an upgrade", false},
	    {"upgrade;q=1", false},
	    {"keep-alive", false},
	};
	struct base_slice s = {NULL, 0};
	unsigned i;

	(void)state;
	assert_false(http_has_token(s, "upgrade"));
	assert_true(http_slice_is(s, ""));
	assert_false(http_slice_is(s, "a"));
	for (i = 0; i < BASE_COUNT(list_rows); i++) {
		s = (struct base_slice){list_rows[i].list, strlen(list_rows[i].list)};
		if (http_has_token(s, "upgrade") != list_rows[i].has)
			fail_msg("'%s'", list_rows[i].list);
	}
	s = (struct base_slice){"WebSocketX", 9};
	assert_true(http_slice_is(s, "websocket"));
	assert_false(http_slice_is(s, "websocke"));
	assert_false(http_slice_is(s, "websocketx"));
}

static struct base_slice
whole(const struct base_buf *b)
{
	return (struct base_slice){b->p, b->len};
}

static void
replies(void **state)
{
	struct base_slice body = {"hello", 5}, none = {NULL, 0};
	struct base_buf b = {0};

	(void)state;
	base_buf_str(&b, "before ");
	http_reply(&b, 200, "X-A: b\r\nX-C: d\r\n", "text/plain", body, false);
	assert_slice(whole(&b),
	    "before HTTP/1.1 200 OK\r\nX-A: b\r\nX-C: d\r\n"
	    "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
	b.len = 0;
	http_reply(&b, 404, NULL, NULL, none, true);
	assert_slice(whole(&b),
	    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n");
	b.len = 0;
	http_reply(&b, 204, NULL, NULL, body, false);
	assert_slice(whole(&b), "HTTP/1.1 204 No Content\r\n\r\n");
	base_buf_free(&b);
	assert_string_equal(http_reason(400), "Bad Request");
	assert_string_equal(http_reason(431), "Request Header Fields Too Large");
	assert_string_equal(http_reason(599), "Unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(slices),
	    cmocka_unit_test(value_bytes),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
