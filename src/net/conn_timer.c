/*
 * conn_timer: what happens at a connection's deadlines.
 */
#include "config.h"

#include "base/base_log.h"
#include "net/conn.h"
#include "net/out.h"

static void
disconnect(struct conn *c, enum proto_disconnect code)
{
	net_sess_ops.close(&c->sess, code);
}

/* The deadline of the state. */
static void
state_due(struct conn *c)
{
	c->due = 0;
	switch (c->state) {
	case CONN_TLS:
	case CONN_HTTP:
		stat_add(c->net->stat, stale, 1);
		conn_kill(c);
		break;
	case CONN_WS: /* the connect command did not come */
		stat_add(c->net->stat, stale, 1);
		disconnect(c, PROTO_DISCONNECT_STALE);
		break;
	default: /* the peer does not answer a close, or does not take what waits */
		conn_kill(c);
		break;
	}
}

static void
frame_due(struct conn *c)
{
	c->due_frame = 0;
	stat_add(c->net->stat, stale, 1);
	conn_ws_fail(c, WS_CODE_POLICY, "frame not finished in time");
	conn_forget_input(c);
}

static void
ping_due(struct conn *c)
{
	c->due_ping = net_deadline(c->net, (int64_t)c->ping_ticks * EV_TICK_MS);
	c->due_pong = net_deadline(c->net, (int64_t)c->pong_ticks * EV_TICK_MS);
	if (c->frame_pings) {
		c->sess.ping_open = true;
		out_frame(c, WS_FIN | WS_PING, NULL, 0);
	} else {
		sess_ping(&c->sess);
	}
}

static void
pong_due(struct conn *c)
{
	c->due_pong = 0;
	if (c->sess.ping_open)
		disconnect(c, PROTO_DISCONNECT_NO_PONG);
}

static void
expiry_due(struct conn *c)
{
	c->due_expiry = 0;
	disconnect(c, PROTO_DISCONNECT_EXPIRED);
}

void
conn_timer(struct ev_wheel_node *node, void *arg)
{
	struct conn *c = BASE_CONTAINER(node, struct conn, timer);
	uint32_t now = node->tick;
	const struct {
		uint32_t *due;
		void (*run)(struct conn *);
	} list[] = {
	    {&c->due, state_due},
	    {&c->due_pong, pong_due},
	    {&c->due_frame, frame_due},
	    {&c->due_expiry, expiry_due},
	    {&c->due_ping, ping_due},
	};

	(void)arg;
	for (size_t i = 0; i < BASE_COUNT(list); i++)
		/* A handler may have cleared the others, or ended it all. */
		if (*list[i].due != 0 && *list[i].due <= now && c->state != CONN_DEAD)
			list[i].run(c);
	if (c->state != CONN_DEAD)
		conn_schedule(c);
}
