/*
 * conn_http: requests: the upgrade, the demo page, health and metrics.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/base_log.h"
#include "demo/demo.h"
#include "net/api.h"
#include "net/conn.h"
#include "net/health.h"
#include "net/origin.h"
#include "net/out.h"
#include "proto/ws_shake.h"

#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define SHAKE_VERSION "Sec-WebSocket-Version: 13\r\n"

static struct base_slice
text(const char *s)
{
	return (struct base_slice){s, strlen(s)};
}

void
conn_http_respond(struct conn *c, int status, const char *headers, const char *type,
    struct base_slice body, bool close)
{
	struct base_buf out = {0};

	close |= c->linger || c->input_ended;
	http_reply(&out, status, headers, type, body, close);
	out_bytes(c, out.p, c->head_only ? out.len - body.len : out.len);
	base_buf_free(&out);
	if (close) {
		/* Bytes that are not read yet must not turn the close into a reset. */
		c->linger = !c->input_ended;
		conn_set_state(c, CONN_FINISHING, c->net->conf->close_timeout);
	} else {
		conn_set_state(c, CONN_HTTP, c->net->conf->handshake_timeout);
	}
}

static void
respond_text(
    struct conn *c, int status, const char *headers, const char *body, bool close)
{
	conn_http_respond(
	    c, status, headers, "text/plain; charset=utf-8", text(body), close);
}

/* ---- the upgrade ---- */

static bool
query_has(struct base_slice query, const char *pair)
{
	size_t len = strlen(pair);

	while (query.len > 0) {
		const char *amp = memchr(query.p, '&', query.len);
		size_t n = amp == NULL ? query.len : (size_t)(amp - query.p);

		if (n == len && memcmp(query.p, pair, len) == 0)
			return true;
		if (amp == NULL)
			break;
		query.p += n + 1;
		query.len -= n + 1;
	}
	return false;
}

/* The list of subprotocols in the client's order; we speak one of them. */
static const char *
choose_subprotocol(const struct http_request *req)
{
	struct base_slice offered = http_header(req, "Sec-WebSocket-Protocol", NULL);

	if (offered.p != NULL && http_has_token(offered, "centrifuge-json"))
		return "centrifuge-json";
	return NULL;
}

static void
refuse_shake(struct conn *c, struct base_slice origin)
{
	char headers[512];

	/* A longer one is none that a browser sends. */
	if (origin.len > 256)
		origin.len = 0;
	snprintf(headers, sizeof(headers),
	    "Access-Control-Allow-Credentials: true\r\n"
	    "Access-Control-Allow-Origin: %.*s\r\n" SHAKE_VERSION NOSNIFF,
	    (int)origin.len, origin.len > 0 ? origin.p : "");
	respond_text(c, 400, headers, "Bad Request\n", false);
}

static void
upgrade(struct conn *c, const struct http_request *req)
{
	struct base_slice origin = http_header(req, "Origin", NULL);
	struct ws_deflate_params deflate = {0};
	struct base_buf out = {0};

	if (origin.p != NULL &&
	    !origin_allowed(&c->net->conf->allowed_origins, origin)) {
		if (net_log_due(c->net, &c->net->origin_logged_ms))
			log_info(LOG_NET, "refused by allowed_origins origin=%.*s",
			    (int)BASE_MIN(origin.len, 200), origin.p);
		respond_text(c, 403, SHAKE_VERSION NOSNIFF, "Forbidden\n", false);
		return;
	}
	if (!ws_shake_check(req)) {
		refuse_shake(c, origin);
		return;
	}
	if (c->net->draining) {
		respond_text(c, 503, "Retry-After: 1\r\n", "shutting down\n", true);
		return;
	}
	if (c->net->conf->compression)
		ws_shake_deflate(req, &deflate);
	ws_shake_reply(req, choose_subprotocol(req), &deflate, &out);
	out_bytes(c, out.p, out.len);
	base_buf_free(&out);
	if (deflate.on) {
		c->deflate_bits = deflate.server_bits;
		net_deflate(c->net);
	}
	c->linger = false;
	c->frame_pings = query_has(req->query, "cf_ws_frame_ping_pong=true");
	conn_set_state(c, CONN_WS, 0);
	c->net->app->open(c);
}

/* ---- other routes ---- */

static void
health(struct conn *c, const struct http_request *req)
{
	struct base_buf out = {0};
	enum health health;

	(void)req;
	base_buf_byte(&out, '{');
	health = health_json(&out, c->net);
	base_buf_str(&out, "}\n");
	/* Whoever balances the load asks one thing: does it serve? */
	conn_http_respond(c, health == HEALTH_FAILING ? 503 : 200, NULL,
	    "application/json", (struct base_slice){out.p, out.len}, false);
	base_buf_free(&out);
}

static void
metrics(struct conn *c, const struct http_request *req)
{
	struct base_buf out = {0};

	(void)req;
	stat_prometheus(&out, &c->net->stats);
	conn_http_respond(c, 200, NULL, "text/plain; version=0.0.4",
	    (struct base_slice){out.p, out.len}, false);
	base_buf_free(&out);
}

static const struct route {
	const char *path;
	unsigned serve; /* on listeners of this kind */
	void (*run)(struct conn *c, const struct http_request *req);
} routes[] = {
    {"/connection/websocket", CONF_SERVE_CLIENT, upgrade},
    {"/health", CONF_SERVE_METRICS, health},
    {"/metrics", CONF_SERVE_METRICS, metrics},
};

static bool
serve_demo(struct conn *c, const struct http_request *req)
{
	const struct demo_file *f;

	if (!c->net->conf->demo || (c->serve & CONF_SERVE_CLIENT) == 0)
		return false;
	f = demo_find(req->path);
	if (f == NULL)
		return false;
	conn_http_respond(c, 200, demo_headers, f->type, f->body, false);
	return true;
}

static bool
is(struct base_slice s, const char *name)
{
	return s.len == strlen(name) && memcmp(s.p, name, s.len) == 0;
}

static void
dispatch(struct conn *c, const struct http_request *req)
{
	bool reads = is(req->method, "GET") || c->head_only;

	for (size_t i = 0; i < BASE_COUNT(routes); i++) {
		const struct route *r = &routes[i];

		if ((c->serve & r->serve) == 0 || !is(req->path, r->path))
			continue;
		/* A route that upgrades answers a wrong method like a wrong header. */
		if (r->run != upgrade && !reads)
			respond_text(c, 405, "Allow: GET, HEAD\r\n",
			    "Method Not Allowed\n", false);
		else
			r->run(c, req);
		return;
	}
	if (reads && serve_demo(c, req))
		return;
	respond_text(c, 404, NOSNIFF, "404 page not found\n", false);
}

/* ---- requests with a body ---- */

/*
 * A body may say a message of any size that is allowed in Base64, and all else that
 * there is to say about it.
 */
static uint64_t
body_max(const struct net *net)
{
	return 2 * net->conf->max_message_size + net->conf->max_request_size;
}

/* Whether the peer may go on, of which it is told if it asks; else it was refused. */
static bool
expect_body(struct conn *c, const struct http_request *req)
{
	struct base_slice expect = http_header(req, "Expect", NULL);

	if (req->content_length > body_max(c->net)) {
		respond_text(c, 413, NOSNIFF, "Content Too Large\n", true);
		return false;
	}
	if (expect.p == NULL || req->minor == 0 || c->http.told)
		return true;
	if (!http_slice_is(expect, "100-continue")) {
		respond_text(c, 417, NOSNIFF, "Expectation Failed\n", true);
		return false;
	}
	c->http.told = true;
	return true;
}

/* N bytes at P, of which HEAD are the head.  Returns as conn_http_input. */
static size_t
call_method(struct conn *c, const struct http_request *req,
    const struct api_method *method, const uint8_t *p, size_t n, size_t head)
{
	size_t need = head + (size_t)req->content_length;
	bool told = c->http.told;

	if (!is(req->method, "POST")) {
		respond_text(
		    c, 405, "Allow: POST\r\n", "Method Not Allowed\n", false);
		return head;
	}
	if (!expect_body(c, req))
		return n;
	if (n < need) {
		if (c->http.told && !told)
			out_bytes(c, CONTINUE, sizeof(CONTINUE) - 1);
		c->http.need = (uint32_t)need;
		return 0;
	}
	c->http.told = false;
	c->http.need = 0;
	/* However long its answer takes. */
	conn_set_state(c, CONN_HTTP, 0);
	api_request(c, method,
	    (struct base_slice){(const char *)p + head, req->content_length});
	return need;
}

void
conn_http_resume(struct conn *c)
{
	if (c->state == CONN_HTTP && c->in.len > 0)
		conn_input(c, (uint8_t *)c->in.p, c->in.len);
}

/* ---- input ---- */

/* Whether the connection can carry another request; BODY: this one's is read. */
static bool
keeps_alive(const struct http_request *req, bool body)
{
	struct base_slice v = http_header(req, "Connection", NULL);

	return req->minor == 1 && (body || req->content_length == 0) &&
	    (v.p == NULL || !http_has_token(v, "close"));
}

static size_t
refuse_head(struct conn *c, size_t n, int status)
{
	char line[64];

	c->head_only = false; /* who knows */
	snprintf(line, sizeof(line), "%s\n", http_reason(status));
	respond_text(c, status, NULL, line, true);
	return n;
}

size_t
conn_http_input(struct conn *c, const uint8_t *p, size_t n)
{
	const struct api_method *method;
	struct http_request req;
	bool post;
	int r;

	r = http_parse_head((const char *)p, n, c->net->conf->max_request_size, &req);
	if (r == 0)
		return 0;
	if (r < 0)
		return refuse_head(c, n, -r);
	c->head_only = is(req.method, "HEAD");
	if (c->refused) {
		respond_text(c, 403, NOSNIFF, "Forbidden\n", true);
		return n;
	}
	if (c->over_limit) {
		respond_text(
		    c, 503, "Retry-After: 1\r\n", "too many connections\n", true);
		return n;
	}
	method = api_find(req.path, c->serve);
	post = method != NULL && is(req.method, "POST");
	c->linger = c->net->draining || !keeps_alive(&req, post);
	if (method != NULL)
		return call_method(c, &req, method, p, n, (size_t)r);
	dispatch(c, &req);
	return (size_t)r;
}
