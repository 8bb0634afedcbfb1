/*
 * conn: life, events and deadlines of a connection.
 */
#include "config.h"

#include "net/conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "net/out.h"

static void on_event(evutil_socket_t fd, short what, void *arg);

/* ---- deadlines ---- */

void
conn_schedule(struct conn *c)
{
	const uint32_t all[] = {
	    c->due, c->due_frame, c->due_ping, c->due_pong, c->due_expiry};
	uint32_t first = 0;

	for (size_t i = 0; i < BASE_COUNT(all); i++)
		if (all[i] != 0 && (first == 0 || all[i] < first))
			first = all[i];
	if (first == 0)
		ev_wheel_del(&c->timer);
	else if (!base_list_linked(&c->timer.link) || c->timer.tick != first)
		ev_wheel_set(&c->net->wheel, &c->timer, first);
}

void
conn_set_state(struct conn *c, enum conn_state state, int64_t delay_ms)
{
	base_assert(state != CONN_DEAD && c->state <= state);
	c->state = (uint8_t)state;
	c->due = delay_ms == 0 ? 0 : ev_wheel_in(&c->net->wheel, delay_ms);
	if (conn_ending(c))
		c->due_frame = c->due_ping = c->due_pong = c->due_expiry = 0;
	conn_schedule(c);
}

/* ---- life ---- */

struct conn *
conn_new(struct net *net, int fd, SSL_CTX *ctx, bool over_limit)
{
	struct conn *c = base_zalloc(sizeof(*c));

	if (ctx != NULL && (c->ssl = SSL_new(ctx)) == NULL) {
		free(c);
		close(fd);
		return NULL;
	}
	c->net = net;
	if (c->ssl != NULL) {
		SSL_set_fd(c->ssl, fd);
		SSL_set_accept_state(c->ssl);
	}
	c->state = ctx == NULL ? CONN_HTTP : CONN_TLS;
	c->over_limit = over_limit;
	event_assign(&c->ev, net->base, fd, EV_READ | EV_PERSIST, on_event, c);
	event_add(&c->ev, NULL);
	base_list_add_tail(&net->conns, &c->all);
	net->n_conns++;
	net->n_over += over_limit;
	stat_set(net->stat, connections, net->n_conns);
	conn_set_state(c, c->state, net->conf->handshake_timeout);
	return c;
}

static void
count_input(struct conn *c)
{
	uint32_t now = (uint32_t)(c->in.cap + c->rx.msg.cap);

	c->net->in_bytes += now;
	c->net->in_bytes -= c->in_counted;
	c->in_counted = now;
	stat_set(c->net->stat, input_bytes, c->net->in_bytes);
}

static void
app_closed(struct conn *c)
{
	if (c->state == CONN_WS)
		c->net->app->closed(c);
}

void
conn_kill(struct conn *c)
{
	struct net *net = c->net;
	int fd = event_get_fd(&c->ev);

	if (c->state == CONN_DEAD)
		return;
	app_closed(c);
	c->state = CONN_DEAD;
	event_del(&c->ev);
	ev_wheel_del(&c->timer);
	if (c->ssl != NULL) {
		/* A close_notify if the socket takes it; its answer is not awaited. */
		if (SSL_is_init_finished(c->ssl))
			SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		c->ssl = NULL;
	}
	close(fd);
	out_drop(c);
	base_list_del(&c->all);
	base_list_add_tail(&net->dead, &c->all);
	net->n_conns--;
	net->n_over -= c->over_limit;
	stat_set(net->stat, connections, net->n_conns);
}

void
conn_finished(struct conn *c)
{
	if (!c->linger) {
		conn_kill(c);
		return;
	}
	if (c->ssl != NULL)
		SSL_shutdown(c->ssl);
	shutdown(event_get_fd(&c->ev), SHUT_WR);
	conn_set_state(c, CONN_LINGER, c->net->conf->close_timeout);
}

void
conn_reap(struct net *net)
{
	BASE_LIST_FOREACH_SAFE (it, tmp, &net->dead) {
		struct conn *c = BASE_CONTAINER(it, struct conn, all);

		base_assert(c->turn == NULL);
		base_list_del(it);
		/* Not earlier: a message may be at work that dies with its sender. */
		base_buf_free(&c->in);
		ws_rx_free(&c->rx);
		count_input(c);
		free(c);
	}
}

void
conn_want_write(struct conn *c, bool want)
{
	short what = EV_READ | EV_PERSIST;

	if (c->want_write == want || c->state == CONN_DEAD)
		return;
	c->want_write = want;
	event_del(&c->ev);
	event_assign(&c->ev, c->net->base, event_get_fd(&c->ev),
	    want ? what | EV_WRITE : what, on_event, c);
	event_add(&c->ev, NULL);
}

/* ---- input ---- */

static size_t
consume(struct conn *c, uint8_t *p, size_t n)
{
	switch (c->state) {
	case CONN_HTTP:
		return conn_http_input(c, p, n);
	case CONN_WS:
	case CONN_CLOSING:
		return conn_ws_input(c, p, n);
	default:
		return n; /* what comes after the end is not looked at */
	}
}

void
conn_input(struct conn *c, uint8_t *p, size_t n)
{
	bool waits;

	while (n > 0 && c->state != CONN_DEAD) {
		size_t used = consume(c, p, n);

		if (used == 0)
			break;
		p += used;
		n -= used;
	}
	if (c->state == CONN_DEAD)
		return;
	/* What is unfinished is kept; P may lie in c->in itself, so it moves down. */
	c->in.len = 0;
	if (n > 0)
		base_buf_add(&c->in, p, n);
	else if (c->in.cap > 0)
		base_buf_free(&c->in);
	if (n > 0 || c->in_counted > 0 || c->rx.msg.cap > 0)
		count_input(c);
	waits = c->state == CONN_WS && (n > 0 || c->rx.opcode != 0);
	if (waits != (c->due_frame != 0)) {
		c->due_frame = waits
		    ? ev_wheel_in(&c->net->wheel, c->net->conf->handshake_timeout)
		    : 0;
		conn_schedule(c);
	}
	if (c->net->in_bytes > net_share(c->net, c->net->conf->input_total) &&
	    c->in_counted > 0) {
		log_warn(LOG_NET, "input_total is used up: a connection is closed");
		if (c->state == CONN_WS)
			conn_ws_close(c, WS_CODE_TRY_LATER, "try again later");
		else
			conn_kill(c);
	}
}

/* The unfinished part goes to the front of the shared buffer, new bytes behind it. */
static void
read_some(struct conn *c)
{
	struct net *net = c->net;
	size_t have = c->in.len;
	ssize_t r;

	base_assert(have < net->rbuf_size);
	do {
		r = conn_read(c, net->rbuf + have, net->rbuf_size - have);
		if (r < 0) {
			conn_kill(c);
			return;
		}
		if (r == 0)
			return;
		stat_add(net->stat, bytes_in, r);
		if (c->in.len > 0)
			memcpy(net->rbuf, c->in.p, c->in.len);
		conn_input(c, net->rbuf, have + (size_t)r);
		have = c->in.len;
		/* What TLS holds decrypted makes no socket readable. */
	} while (c->state != CONN_DEAD && c->ssl != NULL && SSL_pending(c->ssl) > 0);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int r;

	base_assert(c->state != CONN_DEAD && fd == event_get_fd(&c->ev));
	if (c->state == CONN_TLS) {
		r = conn_tls_handshake(c);
		if (r < 0)
			conn_kill(c);
		if (r <= 0)
			return;
		conn_set_state(c, CONN_HTTP, c->net->conf->handshake_timeout);
		what |= EV_READ;
	}
	if (what & EV_WRITE) {
		if (c->tls_wants_write)
			what |= EV_READ;
		out_continue(c);
	}
	if ((what & EV_READ) && c->state != CONN_DEAD)
		read_some(c);
	if (c->state != CONN_DEAD && out_full(c->net->out))
		net_flush(c->net);
}
