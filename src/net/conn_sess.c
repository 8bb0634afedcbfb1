/*
 * conn_sess: the session of a connection: what each does for the other.
 */
#include "config.h"

#include "base/base_rand.h"
#include "net/conn.h"
#include "net/out.h"

static struct conn *
conn_of(struct sess *s)
{
	return BASE_CONTAINER(s, struct conn, sess);
}

static void
sess_send(struct sess *s, enum sess_place place, const char *p, size_t len)
{
	if (place == SESS_BEHIND)
		out_late(conn_of(s));
	else if (place == SESS_BEFORE)
		out_early(conn_of(s));
	out_frame(conn_of(s), WS_FIN | WS_TEXT, p, len);
}

static void
sess_end(struct sess *s, enum proto_disconnect code)
{
	struct conn *c = conn_of(s);

	if (c->state != CONN_WS)
		return;
	stat_add(c->net->stat, disconnects, 1);
	conn_ws_close(c, (uint16_t)code, proto_disconnect_reason(code));
}

static void
sess_expiry(struct sess *s)
{
	struct conn *c = conn_of(s);
	int64_t left = s->expire_at - s->env->now_s;

	/* A year is as good as never, and fits the wheel's ticks. */
	c->due_expiry = 0;
	if (s->expire_at != 0 && left < INT64_C(365) * 86400)
		c->due_expiry = net_deadline(c->net,
		    BASE_MAX(left, 0) * 1000 + s->env->conf->expired_close_delay);
	conn_schedule(c);
}

static void
sess_connected(struct sess *s)
{
	struct conn *c = conn_of(s);
	int64_t interval = c->net->conf->ping_interval;

	/* Both are an hour at most. */
	c->ping_ticks = (uint16_t)(interval / EV_TICK_MS);
	c->pong_ticks = (uint16_t)((c->net->conf->pong_timeout - 1) / EV_TICK_MS + 1);
	s->no_ping = c->frame_pings;
	c->due = 0;
	/* Spread, so that clients that came together are not pinged together. */
	c->due_ping = net_deadline(
	    c->net, interval / 2 + base_rand_below((uint32_t)(interval / 2) + 1));
	sess_expiry(s);
}

static void
sess_make_room(struct sess *s, size_t required)
{
	net_make_room(conn_of(s)->net, required);
}

const struct sess_ops net_sess_ops = {
    .send = sess_send,
    .close = sess_end,
    .connected = sess_connected,
    .expiry = sess_expiry,
    .make_room = sess_make_room,
};

static void
app_open(struct conn *c)
{
	sess_init(&c->sess, c->net->env);
	c->due = net_deadline(c->net, c->net->conf->stale_timeout);
	conn_schedule(c);
}

static void
app_message(struct conn *c, uint8_t opcode, struct base_slice msg)
{
	(void)opcode; /* JSON in a binary message is JSON */
	sess_message(&c->sess, msg);
}

static void
app_closed(struct conn *c)
{
	sess_close(&c->sess);
}

const struct net_app net_sess_app = {
    .open = app_open,
    .message = app_message,
    .closed = app_closed,
};
