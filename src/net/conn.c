/*
 * conn: life, events and deadlines of a connection.
 */
#include "config.h"

#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "net/api.h"
#include "net/out.h"

/* Each byte can inflate to a thousand, and all that is read is worked on at once. */
#define DEFLATED_READ ((size_t)4096)

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
	c->due = delay_ms == 0 ? 0 : net_deadline(c->net, delay_ms);
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
	if (conn_http_busy(c))
		api_drop(c->http.call);
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
	short what = c->input_ended ? EV_PERSIST : EV_READ | EV_PERSIST;

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
		return c->http.call != NULL ? 0 : conn_http_input(c, p, n);
	case CONN_WS:
	case CONN_CLOSING:
		return conn_ws_input(c, p, n);
	default:
		return n; /* what comes after the end is not looked at */
	}
}

/* What is unfinished is kept; P may lie in c->in itself, so it moves down. */
static void
keep_input(struct conn *c, const uint8_t *p, size_t n)
{
	c->in.len = 0;
	if (n > 0) {
		memmove(base_buf_room(&c->in, n), p, n);
		c->in.len = n;
	} else if (c->in.cap > 0) {
		base_buf_free(&c->in);
	}
	if (c->state > CONN_CLOSING && c->rx.msg.cap > 0)
		ws_rx_free(&c->rx);
	if (n > 0 || c->in_counted > 0 || c->rx.msg.cap > 0)
		count_input(c);
}

void
conn_forget_input(struct conn *c)
{
	base_buf_free(&c->in);
	ws_rx_free(&c->rx);
	count_input(c);
}

/* Whoever makes the sum too large goes, and what it holds goes at once. */
static void
check_total(struct conn *c)
{
	struct net *net = c->net;

	if (c->in_counted == 0 ||
	    net->in_bytes <= net_share(net, net->conf->input_total))
		return;
	if (net_log_due(net, &net->input_logged_ms))
		log_warn(LOG_NET, "input_total is used up: connections are closed");
	if (c->state != CONN_WS) {
		conn_kill(c);
		return;
	}
	conn_ws_fail(c, WS_CODE_TRY_LATER, "try again later");
	conn_forget_input(c);
}

void
conn_input(struct conn *c, uint8_t *p, size_t n)
{
	uint32_t due = c->due_frame;

	while (n > 0 && c->state != CONN_DEAD) {
		size_t used = consume(c, p, n);

		if (used == 0)
			break;
		p += used;
		n -= used;
		/* A small message can inflate to many commands, each with a reply. */
		if (out_full(c->net->out))
			net_flush(c->net);
	}
	if (c->state == CONN_DEAD)
		return;
	keep_input(c, p, n);
	/* A frame that was finished took its deadline with it: see conn_ws_input. */
	if (c->state != CONN_WS || (n == 0 && c->rx.opcode == 0))
		c->due_frame = 0;
	else if (c->due_frame == 0)
		c->due_frame = net_deadline(c->net, c->net->conf->handshake_timeout);
	if (c->due_frame != due)
		conn_schedule(c);
	check_total(c);
}

/* The unfinished part goes to the front of the shared buffer, new bytes behind it. */
static ssize_t
read_shared(struct conn *c)
{
	struct net *net = c->net;
	size_t have = c->in.len, room = net->rbuf_size - have;
	ssize_t r;

	base_assert(have < net->rbuf_size);
	if (c->deflate_bits != 0)
		room = BASE_MIN(room, DEFLATED_READ);
	r = conn_read(c, net->rbuf + have, room);
	if (r <= 0)
		return r;
	if (have > 0)
		memcpy(net->rbuf, c->in.p, have);
	conn_input(c, net->rbuf, have + (size_t)r);
	return r;
}

/*
 * The rest of a frame of NEED bytes is read to where its beginning is: moving that
 * with each piece would let a peer who sends small ones keep us busy.
 */
static ssize_t
read_rest(struct conn *c, size_t need)
{
	struct base_buf *in = &c->in;
	size_t room = BASE_MIN(need - in->len, BASE_MAX(in->len, (size_t)4096));
	ssize_t r;

	if (in->len + room > in->cap) {
		in->cap = BASE_MIN(need, BASE_MAX(in->cap * 2, in->len + room));
		in->p = base_realloc(in->p, in->cap, 1);
	}
	r = conn_read(c, in->p + in->len, room);
	if (r <= 0)
		return r;
	in->len += (size_t)r;
	if (in->len == need) {
		conn_input(c, (uint8_t *)in->p, need);
	} else {
		count_input(c);
		check_total(c);
	}
	return r;
}

/* A peer that asked for a page may close its direction and read on. */
static void
input_ended(struct conn *c)
{
	if (errno == 0 && conn_http_busy(c)) {
		c->input_ended = true;
		event_del(&c->ev);
		return;
	}
	if (errno != 0 || c->outq == NULL ||
	    (c->state != CONN_HTTP && c->state != CONN_FINISHING)) {
		conn_kill(c);
		return;
	}
	c->input_ended = true;
	c->linger = false;
	conn_set_state(c, CONN_FINISHING, c->net->conf->close_timeout);
	/* What waits is what the event is for: now it is for that alone. */
	c->want_write = false;
	conn_want_write(c, true);
}

/* Bytes of what is awaited, if they are known and worth to be gathered in place. */
static size_t
input_need(const struct conn *c)
{
	switch (c->state) {
	case CONN_HTTP:
		/* A peer who is not answered yet may send a little more. */
		return c->http.call != NULL ? c->net->conf->max_request_size
					    : c->http.need;
	case CONN_WS:
	case CONN_CLOSING:
		return ws_frame_need((uint8_t *)c->in.p, c->in.len);
	default:
		return 0;
	}
}

static void
read_some(struct conn *c)
{
	size_t need;
	ssize_t r;

	do {
		need = input_need(c);
		if (need > 0 && c->in.len >= need) {
			conn_kill(c);
			return;
		}
		r = need > 0 ? read_rest(c, need) : read_shared(c);
		if (r < 0)
			input_ended(c);
		if (r <= 0)
			return;
		stat_add(c->net->stat, bytes_in, r);
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
		c->state = CONN_HTTP; /* with what is left of its time */
		what |= EV_READ;
	}
	if (what & EV_WRITE) {
		if (c->tls_wants_write)
			what |= EV_READ;
		out_continue(c);
	}
	if ((what & EV_READ) && c->state != CONN_DEAD)
		read_some(c);
}
