/*
 * http_reply: responses of http_parse.h.
 */
#include "config.h"

#include "proto/http_parse.h"

/* X(status, "reason"): the statuses that this server sends, and their kin. */
#define HTTP_STATUSES(X)                          \
	X(101, "Switching Protocols")             \
	X(200, "OK")                              \
	X(204, "No Content")                      \
	X(301, "Moved Permanently")               \
	X(302, "Found")                           \
	X(304, "Not Modified")                    \
	X(307, "Temporary Redirect")              \
	X(308, "Permanent Redirect")              \
	X(400, "Bad Request")                     \
	X(401, "Unauthorized")                    \
	X(403, "Forbidden")                       \
	X(404, "Not Found")                       \
	X(405, "Method Not Allowed")              \
	X(406, "Not Acceptable")                  \
	X(408, "Request Timeout")                 \
	X(409, "Conflict")                        \
	X(411, "Length Required")                 \
	X(413, "Content Too Large")               \
	X(414, "URI Too Long")                    \
	X(415, "Unsupported Media Type")          \
	X(417, "Expectation Failed")              \
	X(421, "Misdirected Request")             \
	X(426, "Upgrade Required")                \
	X(429, "Too Many Requests")               \
	X(431, "Request Header Fields Too Large") \
	X(500, "Internal Server Error")           \
	X(501, "Not Implemented")                 \
	X(502, "Bad Gateway")                     \
	X(503, "Service Unavailable")             \
	X(504, "Gateway Timeout")                 \
	X(505, "HTTP Version Not Supported")

const char *
http_reason(int status)
{
	switch (status) {
#define X(number, reason) \
	case number:      \
		return reason;
		HTTP_STATUSES(X)
#undef X
	default:
		return "Unknown";
	}
}

void
http_reply(struct base_buf *out, int status, const char *headers,
    const char *content_type, struct base_slice body, bool close)
{
	bool bodiless = status < 200 || status == 204 || status == 304;

	base_buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
	if (headers != NULL)
		base_buf_str(out, headers);
	if (content_type != NULL)
		base_buf_printf(out, "Content-Type: %s\r\n", content_type);
	if (!bodiless)
		base_buf_printf(out, "Content-Length: %zu\r\n", body.len);
	if (close)
		base_buf_str(out, "Connection: close\r\n");
	base_buf_str(out, "\r\n");
	if (!bodiless)
		base_buf_add(out, body.p, body.len);
}
