/*
 * ws_offer: what of Sec-WebSocket-Extensions (RFC 6455 section 9.1) is ours,
 * permessage-deflate (RFC 7692 section 7.1).
 */
#include "config.h"

#include "proto/ws_shake.h"

#define WINDOW_MIN 8
#define WINDOW_MAX 15

enum param {
	SERVER_NO_CONTEXT,
	CLIENT_NO_CONTEXT,
	SERVER_BITS,
	CLIENT_BITS,
	PARAM_COUNT,
};

static const char *const param_names[PARAM_COUNT] = {
    [SERVER_NO_CONTEXT] = "server_no_context_takeover",
    [CLIENT_NO_CONTEXT] = "client_no_context_takeover",
    [SERVER_BITS] = "server_max_window_bits",
    [CLIENT_BITS] = "client_max_window_bits",
};

/* A place in a header; bad once the grammar is broken. */
struct cursor {
	const char *p, *end;
	bool bad;
};

/* One offer while it is read. */
struct offer {
	bool ours; /* names permessage-deflate and is acceptable so far */
	bool seen[PARAM_COUNT];
	uint8_t bits[PARAM_COUNT]; /* of the two windows; 0: no value */
};

static void
skip_blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

/* Takes the byte X and the blanks before it if it comes next. */
static bool
take(struct cursor *c, char x)
{
	skip_blanks(c);
	if (c->p == c->end || *c->p != x)
		return false;
	c->p++;
	return true;
}

static struct base_slice
read_token(struct cursor *c)
{
	struct base_slice s;

	skip_blanks(c);
	s.p = c->p;
	while (c->p < c->end && http_is_token(*c->p))
		c->p++;
	s.len = (size_t)(c->p - s.p);
	if (s.len == 0)
		c->bad = true;
	return s;
}

/*
 * A value, quoted or not.  What was quoted must be a token once unquoted; the values
 * that we know need no backslash, so with one it is good grammar and not ours.
 */
static struct base_slice
read_value(struct cursor *c)
{
	struct base_slice s;

	if (!take(c, '"'))
		return read_token(c);
	s.p = c->p;
	while (c->p < c->end && (http_is_token(*c->p) || *c->p == '\\')) {
		if (*c->p == '\\' && (++c->p == c->end || !http_is_token(*c->p)))
			break;
		c->p++;
	}
	s.len = (size_t)(c->p - s.p);
	if (s.len == 0 || c->p == c->end || *c->p != '"')
		c->bad = true;
	else
		c->p++;
	return s;
}

/* 8 to 15, without a leading zero (RFC 7692 section 7.1.2.1); 0 for all else. */
static uint8_t
window_bits(struct base_slice s)
{
	int bits = 0;

	if (s.len == 1)
		bits = s.p[0] - '0';
	else if (s.len == 2 && s.p[0] == '1')
		bits = 10 + s.p[1] - '0';
	return bits >= WINDOW_MIN && bits <= WINDOW_MAX ? (uint8_t)bits : 0;
}

/* False when the offer is to be declined for this parameter. */
static bool
note_param(struct offer *o, struct base_slice name, bool has_value,
    struct base_slice value)
{
	unsigned i;

	for (i = 0; i < PARAM_COUNT; i++)
		if (http_slice_is(name, param_names[i]))
			break;
	if (i == PARAM_COUNT || o->seen[i])
		return false;
	o->seen[i] = true;
	if (has_value)
		o->bits[i] = window_bits(value);
	switch (i) {
	case SERVER_BITS: /* 8: zlib would quietly use 9 */
		return o->bits[i] > WINDOW_MIN;
	case CLIENT_BITS:
		return !has_value || o->bits[i] != 0;
	default:
		return !has_value;
	}
}

/* extension = token *( ";" token [ "=" value ] ) */
static void
read_offer(struct cursor *c, struct offer *o)
{
	struct base_slice name, value = {NULL, 0};
	bool has_value;

	*o = (struct offer){0};
	o->ours = http_slice_is(read_token(c), "permessage-deflate");
	while (!c->bad && take(c, ';')) {
		name = read_token(c);
		has_value = !c->bad && take(c, '=');
		if (has_value)
			value = read_value(c);
		if (!c->bad && o->ours)
			o->ours = note_param(o, name, has_value, value);
	}
}

/* True once an offer was accepted. */
static bool
read_header(struct cursor *c, struct ws_deflate_params *out)
{
	struct offer o;

	while (!c->bad) {
		while (take(c, ',')) /* empty elements count for nothing: 9110 5.6.1 */
			;
		if (c->p == c->end)
			return false;
		read_offer(c, &o);
		skip_blanks(c);
		if (c->p < c->end && *c->p != ',')
			c->bad = true;
		if (c->bad || !o.ours)
			continue;
		out->on = true;
		out->echo_server_bits = o.seen[SERVER_BITS];
		if (o.bits[SERVER_BITS] != 0)
			out->server_bits = o.bits[SERVER_BITS];
		if (o.bits[CLIENT_BITS] != 0)
			out->client_bits = o.bits[CLIENT_BITS];
		return true;
	}
	return false;
}

void
ws_shake_deflate(const struct http_request *req, struct ws_deflate_params *out)
{
	const struct http_header *h;
	struct cursor c;
	unsigned i;

	*out = (struct ws_deflate_params){
	    .server_bits = WINDOW_MAX, .client_bits = WINDOW_MAX};
	for (i = 0; i < req->n_headers; i++) {
		h = &req->headers[i];
		if (!http_slice_is(h->name, "Sec-WebSocket-Extensions"))
			continue;
		c = (struct cursor){h->value.p, h->value.p + h->value.len, false};
		if (read_header(&c, out) || c.bad)
			return;
	}
}
