/*
 * fuzz_http: request heads and what is read from them.
 *
 * Whatever we accept, http-parser accepts too and reads the same; the outcome does not
 * depend on how many bytes are there beyond those that decide it.
 */
#include "config.h"

#ifdef HAVE_HTTP_PARSER
#include <http_parser.h>
#endif

#include <strings.h>

#include "fuzz.h"
#include "proto/ws_shake.h"

#define HEAD_MAX 1500 /* below the longest inputs, so that it is met */

static int
parse(const uint8_t *data, size_t n, struct http_request *req, char **copy_r)
{
	*copy_r = fuzz_copy(data, n);
	return http_parse_head(*copy_r, n, HEAD_MAX, req);
}

/* With the first N bytes only: nothing yet, or already RC. */
static void
check_prefix(const uint8_t *data, size_t n, int rc)
{
	struct http_request req;
	char *copy;
	int early = parse(data, n, &req, &copy);

	FUZZ_CHECK(early == 0 || (early == rc && (rc < 0 || (size_t)rc <= n)));
	free(copy);
}

#ifdef HAVE_HTTP_PARSER
/* What http-parser makes of a head, held against ours as it goes. */
struct oracle {
	const struct http_request *req;
	char url[HEAD_MAX], name[HEAD_MAX], value[HEAD_MAX];
	size_t url_len, name_len, value_len;
	unsigned n_headers;
	uint64_t length;
	bool in_value, done;
};

static void
append(char *buf, size_t *len, const char *p, size_t n)
{
	FUZZ_CHECK(n <= HEAD_MAX - *len);
	memcpy(buf + *len, p, n);
	*len += n;
}

static bool
same(struct base_slice s, const char *p, size_t n)
{
	return s.len == n && (n == 0 || memcmp(s.p, p, n) == 0);
}

static void
end_header(struct oracle *o)
{
	const struct http_header *h;

	if (!o->in_value)
		return;
	FUZZ_CHECK(o->n_headers < o->req->n_headers);
	h = &o->req->headers[o->n_headers++];
	while (o->value_len > 0 && strchr(" \t", o->value[o->value_len - 1]) != NULL)
		o->value_len--; /* it leaves the blanks at the end */
	FUZZ_CHECK(same(h->name, o->name, o->name_len));
	FUZZ_CHECK(same(h->value, o->value, o->value_len));
	o->name_len = o->value_len = 0;
	o->in_value = false;
}

static int
on_url(http_parser *hp, const char *p, size_t n)
{
	struct oracle *o = hp->data;

	append(o->url, &o->url_len, p, n);
	return 0;
}

static int
on_name(http_parser *hp, const char *p, size_t n)
{
	struct oracle *o = hp->data;

	end_header(o);
	append(o->name, &o->name_len, p, n);
	return 0;
}

static int
on_value(http_parser *hp, const char *p, size_t n)
{
	struct oracle *o = hp->data;

	o->in_value = true;
	append(o->value, &o->value_len, p, n);
	return 0;
}

static int
on_head(http_parser *hp)
{
	struct oracle *o = hp->data;

	end_header(o);
	o->done = true;
	o->length = hp->content_length == UINT64_MAX ? 0 : hp->content_length;
	return 0;
}

/*
 * Where ours is meant to be wider: any method is passed on, also a CONNECT with a path.
 * And where http-parser 2.9 is narrower than RFC 9110: it takes a name that only begins
 * with Transfer-Encoding for that header, has no tab after a Content-Length, and does
 * not let it come near its type's end.
 */
static bool
excused(const http_parser *hp, const struct http_request *req)
{
	enum http_errno err = HTTP_PARSER_ERRNO(hp);
	struct base_slice length = http_header(req, "Content-Length", NULL);
	unsigned i;

	for (i = 0; i < req->n_headers; i++)
		if (req->headers[i].name.len > 17 &&
		    strncasecmp(req->headers[i].name.p, "transfer-encoding", 17) == 0)
			return true;
	if (err == HPE_INVALID_CONTENT_LENGTH)
		return req->content_length > UINT64_MAX / 20 ||
		    length.p[length.len + strspn(length.p + length.len, " ")] == '\t';
	return err == HPE_INVALID_METHOD ||
	    (err == HPE_INVALID_URL && same(req->method, "CONNECT", 7));
}

static void
check_oracle(const char *p, size_t n, const struct http_request *req)
{
	static const http_parser_settings settings = {.on_url = on_url,
	    .on_header_field = on_name, .on_header_value = on_value,
	    .on_headers_complete = on_head};
	struct oracle o = {.req = req};
	const char *method, *mark;
	http_parser hp;
	size_t path_len;

	http_parser_init(&hp, HTTP_REQUEST);
	hp.data = &o;
	http_parser_execute(&hp, &settings, p, n);
	if (HTTP_PARSER_ERRNO(&hp) != HPE_OK && excused(&hp, req))
		return;
	FUZZ_CHECK(HTTP_PARSER_ERRNO(&hp) == HPE_OK && o.done);
	method = http_method_str((enum http_method)hp.method);
	FUZZ_CHECK(same(req->method, method, strlen(method)));
	FUZZ_CHECK(hp.http_major == 1 && hp.http_minor == req->minor);
	mark = memchr(o.url, '?', o.url_len);
	path_len = mark != NULL ? (size_t)(mark - o.url) : o.url_len;
	FUZZ_CHECK(same(req->path, o.url, path_len));
	FUZZ_CHECK(mark != NULL ? same(req->query, mark + 1, o.url_len - path_len - 1)
				: req->query.len == 0);
	FUZZ_CHECK(o.n_headers == req->n_headers);
	FUZZ_CHECK(o.length == req->content_length);
}
#else
static void
check_oracle(const char *p, size_t n, const struct http_request *req)
{
	(void)p;
	(void)n;
	(void)req;
}
#endif

static void
check_shake(const struct http_request *req)
{
	struct ws_deflate_params params;
	struct base_buf out = {0};

	ws_shake_deflate(req, &params);
	FUZZ_CHECK(params.server_bits >= 9 && params.server_bits <= 15);
	FUZZ_CHECK(params.client_bits >= 8 && params.client_bits <= 15);
	FUZZ_CHECK(params.on || (!params.echo_server_bits && params.server_bits == 15));
	http_has_token(http_header(req, "Connection", NULL), "upgrade");
	if (!ws_shake_check(req))
		return;
	FUZZ_CHECK(req->content_length == 0 && req->minor == 1);
	ws_shake_reply(req, NULL, &params, &out);
	FUZZ_CHECK(out.len > 4 && memcmp(out.p + out.len - 4, "\r\n\r\n", 4) == 0);
	base_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request req;
	char *copy;
	unsigned i;
	int rc = parse(data, size, &req, &copy);

	FUZZ_CHECK(rc <= HEAD_MAX && rc <= (int)size);
	FUZZ_CHECK(rc >= 0 || rc == -400 || rc == -431 || rc == -501 || rc == -505);
	if (rc > 0) {
		FUZZ_CHECK(memcmp(copy + rc - 4, "\r\n\r\n", 4) == 0);
		FUZZ_CHECK(req.path.len > 0 && req.path.p[0] == '/');
		check_oracle(copy, (size_t)rc, &req);
		check_shake(&req);
		check_prefix(data, (size_t)rc - 1, rc);
	}
	free(copy);
	for (i = 0; i < 4 && size > 0; i++)
		check_prefix(data, fuzz_hash(data, size, i) % size, rc);
	return 0;
}
