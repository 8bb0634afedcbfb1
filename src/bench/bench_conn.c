/* bench_conn: see bench_conn.h. */
#include "config.h"

#include "bench/bench_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench_client.h"
#include "bench/bench_wire.h"

/* What the SDKs do: full jitter above a minimum, doubling up to a maximum. */
#define BACKOFF_MIN (BENCH_NSEC / 2)
#define BACKOFF_MAX (20 * (uint64_t)BENCH_NSEC)
/* Time-out of the SDKs for connecting. */
#define OPEN_TIMEOUT  (5 * (uint64_t)BENCH_NSEC)
#define LEAVE_TIMEOUT (1 * (uint64_t)BENCH_NSEC)
/* Silence beyond the announced interval that makes an SDK give up. */
#define SILENCE    (10 * (uint64_t)BENCH_NSEC)
#define LOOK_EVERY (BENCH_NSEC / 100)

static void
wait_until(struct bench *b, struct bench_conn *c, uint64_t due)
{
	base_list_del(&c->wait);
	base_list_add_tail(&b->waiting, &c->wait);
	c->due = due;
}

/* ---- opening ------------------------------------------------------------ */

/* Many source addresses, so that the ports of one are no limit. */
static int
bind_source(struct bench *b, struct bench_conn *c, const struct bench_url *u)
{
	struct sockaddr_in src = {.sin_family = AF_INET};
	int one = 1;

	if (!u->loopback || u->addr.sa.sa_family != AF_INET)
		return 0;
	src.sin_addr.s_addr = htonl(
	    INADDR_LOOPBACK + (b->first_user + c->num) % (uint32_t)b->opt->sources);
	/* the port is chosen by connect, which knows the other end too */
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(c->fd, (struct sockaddr *)&src, sizeof(src));
}

static int
start_connect(struct bench *b, struct bench_conn *c, const struct bench_url *u)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
	struct linger reset = {1, 0}; /* leaves no TIME-WAIT behind */
	int one = 1;

	c->fd =
	    socket(u->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (bind_source(b, c, u) < 0)
		return -1;
	if (connect(c->fd, &u->addr.sa, u->addrlen) < 0 && errno != EINPROGRESS)
		return -1;
	c->want_out = true;
	return epoll_ctl(b->epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

void
bench_conn_open(struct bench *b, struct bench_conn *c)
{
	if (c->state == BENCH_NEW)
		b->started++;
	b->opening++;
	c->state = BENCH_TCP;
	c->cmd = 0;
	c->pong = c->deflate = false;
	c->t_open = bench_now();
	wait_until(b, c, c->t_open + OPEN_TIMEOUT);
	if (start_connect(b, c, &b->urls[c->url]) < 0)
		bench_conn_down(b, c, true, "connect: %s", strerror(errno));
}

static void
send_upgrade(struct bench *b, struct bench_conn *c)
{
	struct bench_url url = b->urls[c->url];
	struct base_slice room = bench_client_room(b, c->room);
	char path[256];

	if (b->opt->raw) {
		snprintf(path, sizeof(path), "/%.*s%s", (int)room.len, room.p,
		    c->num < b->n_members ? "" : "?pub");
		url.path = path;
	}
	c->state = BENCH_UPGRADE;
	bench_ws_request(&b->frame, &url, &b->opt->headers, b->opt->compression,
	    c->t_open ^ c->num);
	bench_conn_send(b, c);
}

static void
want_output(struct bench *b, struct bench_conn *c, bool on)
{
	struct epoll_event ev = {
	    .events = EPOLLIN | (on ? EPOLLOUT : 0), .data.ptr = c};

	if (c->want_out == on)
		return;
	c->want_out = on;
	epoll_ctl(b->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void
tls_handshake(struct bench *b, struct bench_conn *c)
{
	const char *why = NULL;
	int rc = bench_wire_handshake(c->ssl, &why);

	if (rc < 0) {
		bench_conn_down(b, c, true, "TLS handshake: %s", why);
		return;
	}
	want_output(b, c, rc == BENCH_WIRE_WRITE);
	if (rc == 0)
		send_upgrade(b, c);
}

/* connect() has come to an end. */
static void
connected(struct bench *b, struct bench_conn *c)
{
	const struct bench_url *u = &b->urls[c->url];
	socklen_t len = sizeof(int);
	int err = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err != 0) {
		bench_conn_down(b, c, true, "connect: %s", strerror(err));
		return;
	}
	want_output(b, c, false);
	if (!u->tls) {
		send_upgrade(b, c);
		return;
	}
	c->ssl = bench_wire_tls(b->tls, c->fd, u, b->opt->insecure);
	if (c->ssl == NULL) {
		bench_conn_down(b, c, false, "TLS: out of memory");
		return;
	}
	c->state = BENCH_TLS;
	tls_handshake(b, c);
}

void
bench_conn_ready(struct bench *b, struct bench_conn *c)
{
	uint64_t now = bench_now();

	base_list_del(&c->wait);
	c->state = BENCH_READY;
	b->opening--;
	b->ready++;
	if (c->t_cut != 0) {
		b->count.back++;
		bench_hist_add(&b->back_time, now - c->t_cut);
		bench_hist_add(&b->back_excess, now - c->t_cut - c->waited);
	} else if (c->left) {
		b->count.churned++;
	} else {
		bench_hist_add(&b->connect_time, now - c->t_open);
	}
	c->left = false;
	c->t_cut = c->waited = 0;
	c->attempts = 0;
	c->t_in = now;
}

/* ---- output ------------------------------------------------------------- */

static void
flush(struct bench *b, struct bench_conn *c)
{
	while (c->out.len > 0) {
		ssize_t n = bench_wire_write(c->fd, c->ssl, c->out.p, c->out.len);

		if (n == 0) {
			want_output(b, c, true);
			return;
		}
		if (n < 0) {
			bench_conn_down(b, c, true, "write: %s", strerror(errno));
			return;
		}
		base_buf_drop(&c->out, (size_t)n);
	}
	base_buf_free(&c->out);
	want_output(b, c, false);
}

void
bench_conn_send(struct bench *b, struct bench_conn *c)
{
	const char *p = b->frame.p;
	size_t left = b->frame.len;

	while (left > 0 && c->out.len == 0) {
		ssize_t n = bench_wire_write(c->fd, c->ssl, p, left);

		if (n < 0) {
			b->frame.len = 0;
			bench_conn_down(b, c, true, "write: %s", strerror(errno));
			return;
		}
		if (n == 0)
			break;
		p += n;
		left -= (size_t)n;
	}
	base_buf_add(&c->out, p, left);
	b->frame.len = 0;
	if (left > 0)
		want_output(b, c, true);
}

/* ---- input -------------------------------------------------------------- */

/* SDKs do not come back after these codes. */
static bool
is_terminal(unsigned code)
{
	return (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999) ||
	       code == 1009;
}

static void
got_close(struct bench *b, struct bench_conn *c, const struct bench_ws_event *ev)
{
	char why[128];
	size_t n = BASE_MIN(ev->len, sizeof(why) - 1);

	memcpy(why, ev->data, n);
	why[n] = '\0';
	bench_conn_down(
	    b, c, !is_terminal(ev->code), "closed by the server: %u %s", ev->code, why);
}

/* What one frame means; the connection may be down after it. */
static void
handle(struct bench *b, struct bench_conn *c, const struct bench_ws_event *ev,
    uint64_t now)
{
	switch (ev->kind) {
	case BENCH_WS_MESSAGE:
		b->count.rx_messages++;
		if (c->state != BENCH_LEAVING)
			bench_client_message(b, c, ev->data, ev->len, now);
		break;
	case BENCH_WS_GOT_PING:
		bench_ws_frame(&b->frame, BENCH_WS_PONG,
		    (struct base_slice){ev->data, ev->len}, (uint32_t)bench_random(b));
		bench_conn_send(b, c);
		break;
	case BENCH_WS_GOT_CLOSE:
		got_close(b, c, ev);
		break;
	case BENCH_WS_BAD:
		b->count.protocol_errors++;
		bench_conn_down(b, c, false, "%s", ev->why);
		break;
	case BENCH_WS_MORE:
	case BENCH_WS_PART:
	case BENCH_WS_GOT_PONG:
		break;
	}
}

static bool
has_frames(const struct bench_conn *c)
{
	return c->state == BENCH_HELLO || c->state == BENCH_READY ||
	       c->state == BENCH_LEAVING;
}

static bool
takes_input(const struct bench_conn *c)
{
	return c->state == BENCH_UPGRADE || has_frames(c);
}

/* Takes frames off the front; returns the bytes used. */
static size_t
take_frames(
    struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	struct bench_ws_event ev;
	size_t used = 0;

	while (used < n && has_frames(c)) {
		size_t took =
		    bench_ws_next(&c->rx, c->deflate, p + used, n - used, &ev);

		used += took;
		if (ev.kind == BENCH_WS_MORE)
			break;
		handle(b, c, &ev, now);
	}
	return used;
}

static size_t
take_response(struct bench *b, struct bench_conn *c, const char *p, size_t n)
{
	char err[160];
	ssize_t used = bench_ws_response(p, n, c->t_open ^ c->num, b->opt->compression,
	    &c->deflate, err, sizeof(err));

	if (used < 0) {
		bench_conn_down(b, c, true, "%s", err);
		return 0;
	}
	if (used > 0) {
		b->count.compressed += c->deflate;
		c->state = BENCH_HELLO;
		bench_client_open(b, c);
	}
	return (size_t)used;
}

static void
take_input(struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now)
{
	size_t used = 0;

	if (c->state == BENCH_UPGRADE)
		used = take_response(b, c, p, n);
	if (has_frames(c))
		used += take_frames(b, c, p + used, n - used, now);
	if (!takes_input(c))
		return; /* P is gone */
	if (p == c->in.p) {
		base_buf_drop(&c->in, used);
		if (c->in.len == 0)
			base_buf_free(&c->in);
	} else {
		base_buf_add(&c->in, p + used, n - used);
	}
}

/* Reads once; true if there may be more that epoll does not tell of. */
static bool
input_once(struct bench *b, struct bench_conn *c)
{
	ssize_t n = bench_wire_read(c->fd, c->ssl, b->rbuf, BENCH_RBUF);
	uint64_t now;

	b->count.rx_calls++;
	if (n == 0)
		return false;
	if (n < 0) {
		bench_conn_down(b, c, true, "%s",
		    errno != 0 ? strerror(errno)
			       : "the server closed without a close frame");
		return false;
	}
	now = bench_now();
	c->t_in = now;
	b->count.rx_bytes += (uint64_t)n;
	if (c->in.len == 0) {
		take_input(b, c, b->rbuf, (size_t)n, now);
	} else {
		base_buf_add(&c->in, b->rbuf, (size_t)n);
		take_input(b, c, c->in.p, c->in.len, now);
	}
	return n == BENCH_RBUF && takes_input(c);
}

void
bench_conn_event(struct bench *b, struct bench_conn *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (c->state == BENCH_TCP) {
		connected(b, c);
		return;
	}
	if (c->state == BENCH_TLS) {
		tls_handshake(b, c);
		return;
	}
	if ((events & EPOLLOUT) != 0)
		flush(b, c);
	if (c->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		while (input_once(b, c))
			continue;
}

/* ---- the end, and coming back ------------------------------------------- */

static void
release(struct bench_conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	base_buf_free(&c->in);
	base_buf_free(&c->out);
	bench_ws_rx_free(&c->rx);
}

static void
go_away(struct bench *b, struct bench_conn *c)
{
	uint64_t now = bench_now();
	uint64_t span =
	    BASE_MIN(BACKOFF_MAX, (uint64_t)BACKOFF_MIN << BASE_MIN(c->attempts, 10));
	uint64_t delay = BASE_MIN(BACKOFF_MAX, BACKOFF_MIN + bench_random(b) % span);

	if (c->t_cut == 0)
		c->t_cut = now;
	if (c->attempts < UINT8_MAX)
		c->attempts++;
	c->waited += delay;
	c->state = BENCH_AWAY;
	wait_until(b, c, now + delay);
}

void
bench_conn_down(struct bench *b, struct bench_conn *c, bool again, const char *fmt, ...)
{
	bool was_ready = c->state == BENCH_READY;
	char why[160];
	va_list ap;

	if (c->state == BENCH_LEAVING) {
		release(c);
		bench_conn_open(b, c);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	again = again && b->opt->reconnect;
	base_list_del(&c->wait);
	release(c);
	if (was_ready) {
		b->ready--;
		b->count.cut++;
		bench_client_end(b, c, true);
	} else {
		b->opening--;
		if (again)
			b->count.retries++;
		else
			b->count.failed++;
	}
	if (!again || !was_ready)
		bench_note(b, "connection %u: %s", c->num, why);
	if (again) {
		go_away(b, c);
		return;
	}
	c->state = BENCH_DEAD;
}

void
bench_conn_leave(struct bench *b, struct bench_conn *c)
{
	static const char normal[2] = {1000 >> 8, (char)(1000 & 255)};

	b->ready--;
	bench_client_end(b, c, false);
	c->state = BENCH_LEAVING;
	c->left = true;
	wait_until(b, c, bench_now() + LEAVE_TIMEOUT);
	bench_ws_frame(&b->frame, BENCH_WS_CLOSE, (struct base_slice){normal, 2},
	    (uint32_t)bench_random(b));
	bench_conn_send(b, c);
}

/* A connection that was up hears nothing any more: an SDK gives it up. */
static void
look_for_silence(struct bench *b, uint64_t now)
{
	for (uint32_t i = 0; i < b->n_conns; i++) {
		struct bench_conn *c = &b->conns[i];

		if (c->state == BENCH_READY && c->ping > 0 &&
		    now > c->t_in + c->ping * (uint64_t)BENCH_NSEC + SILENCE)
			bench_conn_down(
			    b, c, true, "the server is silent, no ping came");
	}
}

void
bench_conn_timers(struct bench *b, uint64_t now)
{
	if (now < b->next_look)
		return;
	b->next_look = now + LOOK_EVERY;
	BASE_LIST_FOREACH_SAFE(it, next, &b->waiting) {
		struct bench_conn *c = BASE_CONTAINER(it, struct bench_conn, wait);

		if (c->due > now)
			continue;
		base_list_del(&c->wait);
		if (c->state == BENCH_AWAY)
			bench_conn_open(b, c);
		else
			bench_conn_down(b, c, true, "no answer within %u s",
			    (unsigned)(OPEN_TIMEOUT / BENCH_NSEC));
	}
	if (now >= b->next_silence) {
		b->next_silence = now + BENCH_NSEC;
		look_for_silence(b, now);
	}
}

void
bench_conn_free(struct bench_conn *c)
{
	base_list_del(&c->wait);
	release(c);
}
