/*
 * conn_ws: frames in, frames out, and the close handshake (RFC 6455 section 7).
 */
#include "config.h"

#include <string.h>

#include "base/base_log.h"
#include "net/conn.h"
#include "net/out.h"
#include "proto/utf8.h"

/* Bytes of a fragmented message that must come within handshake_timeout. */
#define TIMEOUT_BYTES 1024

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

void
conn_ws_fail(struct conn *c, uint16_t code, const char *reason)
{
	conn_ws_close(c, code, reason);
	c->linger = true;
	conn_set_state(c, CONN_FINISHING, c->net->conf->close_timeout);
	if (c->turn == NULL && c->outq == NULL)
		conn_finished(c);
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
	    {WS_CODE_PROTOCOL, "protocol error"}, {WS_CODE_DATA, "invalid data"},
	    {WS_CODE_TOO_BIG, ""}, /* SDKs know this one by its number */
	};

	for (size_t i = 0; i < BASE_COUNT(reasons); i++)
		if (reasons[i].code == code)
			conn_ws_fail(c, code, reasons[i].reason);
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

/*
 * N more bytes of a message in fragments came.  They buy time: a slow upload goes
 * on, and one that never ends does not.
 */
static void
extend(struct conn *c, size_t n)
{
	uint64_t timeout = (uint64_t)c->net->conf->handshake_timeout;
	uint64_t more = n * timeout / TIMEOUT_BYTES / EV_TICK_MS;

	if (c->due_frame != 0)
		c->due_frame = (uint32_t)BASE_MIN(
		    c->due_frame + more, net_deadline(c->net, (int64_t)timeout));
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
	size_t used, had;
	bool begun;

	begun = c->rx.opcode != 0;
	had = c->rx.msg.len;
	used = ws_rx_next(&c->rx, &limits, p, n, &ev);
	/* A frame is there: another that has begun behind it has time of its own. */
	if (used > 0 && !begun)
		c->due_frame = 0;
	switch (ev.kind) {
	case WS_EV_MORE:
		return used;
	case WS_EV_PART:
		if (begun)
			extend(c, c->rx.msg.len - had);
		return used;
	case WS_EV_MESSAGE:
		c->due_frame = 0;
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
