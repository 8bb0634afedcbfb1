/*
 * conn_ws: frames in, frames out, and the close handshake (RFC 6455 section 7).
 */
#include "config.h"

#include <string.h>

#include "base/base_log.h"
#include "net/conn.h"
#include "net/out.h"
#include "proto/utf8.h"

void
conn_ws_close(struct conn *c, uint16_t code, const char *reason)
{
	uint8_t frame[WS_CLOSE_MAX];

	if (c->state != CONN_WS)
		return;
	c->net->app->closed(c);
	out_bytes(c, frame, ws_frame_close(frame, code, reason));
	conn_set_state(c, CONN_CLOSING, c->net->conf->close_timeout);
}

/* The peer's close frame: answered unless it is the answer to ours. */
static void
on_close(struct conn *c, const struct ws_event *ev)
{
	if (c->state == CONN_WS)
		conn_ws_close(c, ev->code == 1005 ? WS_CODE_NORMAL : ev->code, "");
	conn_set_state(c, CONN_FINISHING, c->net->conf->close_timeout);
	if (c->turn == NULL && c->outq == NULL)
		conn_kill(c);
}

/* A broken frame, or one that is too large: what follows cannot be read. */
static void
on_error(struct conn *c, uint16_t code)
{
	static const struct {
		uint16_t code;
		const char *reason;
	} reasons[] = {
	    {WS_CODE_PROTOCOL, "protocol error"},
	    {WS_CODE_DATA, "invalid data"},
	    {WS_CODE_TOO_BIG, ""}, /* SDKs know this one by its number */
	};

	for (size_t i = 0; i < BASE_COUNT(reasons); i++)
		if (reasons[i].code == code)
			conn_ws_close(c, code, reasons[i].reason);
	/* Nor could its close frame be read: it is shown the end of the stream. */
	c->linger = true;
	conn_set_state(c, CONN_FINISHING, c->net->conf->close_timeout);
	if (c->turn == NULL && c->outq == NULL)
		conn_finished(c);
}

static void
on_message(struct conn *c, const struct ws_event *ev)
{
	struct net *net = c->net;
	struct base_slice msg = {ev->data, ev->len};
	uint8_t opcode = ev->opcode;
	int r;

	if (ev->compressed) {
		r = ws_inflate_message(
		    net_deflate(net), msg, net->conf->max_message_size, &net->inflated);
		msg = (struct base_slice){net->inflated.p, net->inflated.len};
		if (r == 0 && opcode == WS_TEXT && !utf8_valid(msg.p, msg.len))
			r = -WS_CODE_DATA;
		if (r != 0) {
			on_error(c, (uint16_t)-r);
			return;
		}
	}
	net->app->message(c, opcode, msg);
}

static void
on_pong(struct conn *c)
{
	if (c->frame_pings)
		c->sess.ping_open = false;
}

size_t
conn_ws_input(struct conn *c, uint8_t *p, size_t n)
{
	const struct conf *conf = c->net->conf;
	const struct ws_limits limits = {
	    .frame = conf->max_frame_size,
	    .message = conf->max_message_size,
	    .deflate = c->deflate_bits != 0,
	};
	struct ws_event ev;
	size_t used;

	used = ws_rx_next(&c->rx, &limits, p, n, &ev);
	switch (ev.kind) {
	case WS_EV_MORE:
	case WS_EV_PART:
		return used;
	case WS_EV_MESSAGE:
		if (c->state == CONN_WS)
			on_message(c, &ev);
		ws_rx_done(&c->rx);
		return used;
	case WS_EV_PING:
		if (c->state == CONN_WS)
			out_frame(c, WS_FIN | WS_PONG, ev.data, ev.len);
		return used;
	case WS_EV_PONG:
		on_pong(c);
		return used;
	case WS_EV_CLOSE:
		on_close(c, &ev);
		return n;
	case WS_EV_ERROR:
		on_error(c, ev.code);
		return n;
	}
	return n;
}
