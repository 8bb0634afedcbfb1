/*
 * http_parse: a strict reader of HTTP/1.1 request heads (RFC 9112).
 *
 * Bytes in, slices out; no I/O, no allocation.  What a proxy in front could
 * read differently is refused: bare LF or CR, obsolete folding, space before a
 * colon, control characters or NUL, two Hosts or one that is no host, two
 * Content-Lengths (equal ones too) or one that is not all digits, any
 * Transfer-Encoding, empty lines before the request, a target that is not a path
 * (absolute, authority and asterisk form), a version that is not HTTP/1.1 (or 1.0,
 * which gets no upgrade), a head with more than HTTP_MAX_HEADERS fields.  A Host
 * must be there in HTTP/1.1; 1.0 did not have it, and health checks leave it out.
 * Any method is passed on: who serves the path knows which it has.
 */
#ifndef PROTO_HTTP_PARSE_H
#define PROTO_HTTP_PARSE_H

#include "base/base_buf.h"
#include "base/base_defs.h"

#define HTTP_MAX_HEADERS 64

struct http_header {
	struct base_slice name, value; /* value without surrounding blanks */
};

struct http_request {
	struct base_slice method; /* "GET" */
	struct base_slice path; /* target up to '?'; begins with '/' */
	struct base_slice query; /* after '?'; may be empty */
	int minor; /* HTTP/1.minor: 0 or 1 */
	uint64_t content_length; /* 0 when absent */
	unsigned n_headers;
	struct http_header headers[HTTP_MAX_HEADERS];
};

/*
 * Reads the head at P, N bytes, of at most MAX.  Returns its length with the
 * blank line (a body or the next request begins there), 0 when more bytes are
 * needed, or a negative HTTP status to answer with before closing: -400 bad
 * request, -431 too large, -501 not implemented (a Transfer-Encoding), -505 version.
 * An error is found with the byte that makes it one; the outcome does not depend on
 * how many bytes follow.  REQ is complete only when the length was returned.
 */
int http_parse_head(const char *p, size_t n, size_t max, struct http_request *req);

/*
 * The value of the header NAME (any case); p is NULL when it is absent.  A header
 * that came several times is returned joined nowhere: the first is, and *n_r (may
 * be NULL) says how many there were.
 */
struct base_slice http_header(const struct http_request *req, const char *name,
    unsigned *n_r);

/* True if the comma-separated list VALUE has TOKEN (any case). */
bool http_has_token(struct base_slice value, const char *token);

/* True if C can be in a token (RFC 9110 section 5.6.2): a name, a list's element. */
bool http_is_token(char c);

/* True if the value of a header equals TEXT (any case). */
bool http_slice_is(struct base_slice value, const char *text);

/*
 * Appends a whole response.  HEADERS: NULL, or complete lines each ended by CRLF.
 * CONTENT_TYPE: NULL for none.  Content-Length (but for 1xx, 204 and 304, which have
 * no body), and Connection: close when CLOSE, are added.
 */
void http_reply(struct base_buf *out, int status, const char *headers,
    const char *content_type, struct base_slice body, bool close);

/* "Not Found" for 404; "Unknown" for a status that has no text here. */
const char *http_reason(int status);

#endif
