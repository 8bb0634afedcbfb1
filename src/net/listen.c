/*
 * listen: see the header.
 */
#include "config.h"

#include "net/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_unix.h"
#include "net/conn.h"
#include "net/tls.h"

#define BATCH 64 /* connections accepted before other sockets get their turn */
#define PAUSE_MS 2
#define TROUBLE_MS 100 /* after an error of accept */

/* Connections over the limit that may wait for their 503; more are just closed. */
#define OVER_MAX 256

/* ---- balance ---- */

/* How many this worker may accept before the least loaded one falls behind. */
static unsigned
allowance(const struct net *net)
{
	uint64_t least = UINT64_MAX, slack;

	for (unsigned i = 0; i < net->n_workers; i++) {
		uint64_t n = stat_get(net->stats.workers[i], connections);

		if (i != net->worker && n < least)
			least = n;
	}
	if (least == UINT64_MAX)
		return BATCH;
	slack = least < 8 ? 1 : BASE_MAX(8, least / 16);
	if (net->n_conns >= least + slack)
		return 0;
	return (unsigned)BASE_MIN(least + slack - net->n_conns, BATCH);
}

static uint64_t
all_connections(const struct net *net)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < net->n_workers; i++)
		n += stat_get(net->stats.workers[i], connections);
	return n;
}

static void listen_accept(evutil_socket_t lfd, short what, void *arg);

/* ---- pausing ---- */

static void
pause_listeners(struct net *net, int ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	for (size_t i = 0; i < net->n_listeners; i++)
		event_del(net->listeners[i]->ev);
	event_add(net->resume, &tv);
}

void
listen_resume(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;

	(void)fd;
	(void)what;
	/* The others had their chance: the next batch of each is ours. */
	for (size_t i = 0; i < net->n_listeners; i++) {
		net->listeners[i]->now = true;
		event_add(net->listeners[i]->ev, NULL);
	}
}

/* Stands for the section that the control socket has not. */
static const struct conf_listen control_section = {
    .title = (char *)(uintptr_t) "control socket", .serve = CONF_SERVE_ADMIN};

struct listener *
listen_new_control(struct net *net, int fd)
{
	return listen_new(net, fd, &control_section, NULL, 0);
}

struct listener *
listen_new(
    struct net *net, int fd, const struct conf_listen *conf, char *err, size_t errlen)
{
	struct listener *l = base_zalloc(sizeof(*l));

	*l = (struct listener){.net = net, .conf = conf, .fd = fd};
	if (conf->tls_certificate.data != NULL) {
		l->ctx = tls_context(conf, ring_seg_key(net->env->seg), err, errlen);
		if (l->ctx == NULL) {
			free(l);
			return NULL;
		}
	}
	l->ev = event_new(net->base, fd, EV_READ | EV_PERSIST, listen_accept, l);
	base_assert(l->ev != NULL && event_add(l->ev, NULL) == 0);
	return l;
}

void
listen_stop(struct net *net)
{
	for (size_t i = 0; i < net->n_listeners; i++) {
		struct listener *l = net->listeners[i];

		event_free(l->ev);
		close(l->fd);
		SSL_CTX_free(l->ctx);
		free(l);
	}
	free(net->listeners);
	net->listeners = NULL;
	net->n_listeners = 0;
	event_del(net->resume);
}

/* ---- accepting ---- */

/* The permissions of its file say who can connect; this says who may. */
static bool
may_control(struct net *net, int fd)
{
	struct base_unix_peer peer = {.uid = (uid_t)-1};

	if (base_unix_peer(fd, &peer) && (peer.uid == 0 || peer.uid == geteuid()))
		return true;
	if (net->control_gid != (gid_t)-1 && base_unix_peer_in(fd, net->control_gid))
		return true;
	if (net_log_due(net, &net->control_logged_ms))
		log_warn(LOG_NET, "refused at the control socket uid=%ld pid=%ld",
		    (long)peer.uid, (long)peer.pid);
	return false;
}

static void
take(struct listener *l, int fd)
{
	struct net *net = l->net;
	/* Who watches the server gets in when it is full too. */
	bool over = (l->conf->serve & CONF_SERVE_CLIENT) != 0 &&
	    all_connections(net) >= (uint64_t)net->conf->max_connections;
	struct conn *c;

	stat_add(net->stat, accepted, 1);
	if (over) {
		stat_add(net->stat, refused, 1);
		if (net->n_over >= OVER_MAX) {
			close(fd);
			return;
		}
	}
	c = conn_new(net, fd, l->ctx, over);
	if (c == NULL)
		return;
	c->serve = l->conf->serve;
	c->refused = l->conf == &control_section && !may_control(net, fd);
}

static void
trouble(struct net *net)
{
	int error = errno;

	stat_add(net->stat, accept_errors, 1);
	if (net_log_due(net, &net->accept_logged_ms))
		log_error(
		    LOG_NET, "cannot accept connections error=%s", strerror(error));
	pause_listeners(net, TROUBLE_MS);
}

static void
listen_accept(evutil_socket_t lfd, short what, void *arg)
{
	struct listener *l = arg;
	struct net *net = l->net;
	unsigned n = l->now ? BATCH : allowance(net);

	(void)what;
	l->now = false;
	if (n == 0) {
		pause_listeners(net, PAUSE_MS);
		return;
	}
	for (; n > 0; n--) {
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take(l, fd);
		} else if (errno == EAGAIN || errno == EINTR) {
			return;
		} else if (errno != ECONNABORTED && errno != EPERM && errno != EPROTO) {
			trouble(net);
			return;
		}
	}
}

/* ---- configuration ---- */

const struct conf_listen *
listen_section(const struct conf *conf, const struct listener *l)
{
	const char *title = l->conf->title;

	if (l->conf == &control_section)
		return l->conf;
	for (size_t i = 0; i < conf->n_listens; i++)
		if (strcmp(conf->listens[i].title, title) == 0)
			return &conf->listens[i];
	return NULL;
}

int
listen_contexts(
    struct net *net, const struct conf *conf, SSL_CTX **ctx_r, char *err, size_t errlen)
{
	for (size_t i = 0; i < net->n_listeners; i++) {
		const struct conf_listen *s =
		    listen_section(conf, net->listeners[i]);

		ctx_r[i] = NULL;
		if (s == NULL || s->tls_certificate.data == NULL)
			continue;
		ctx_r[i] = tls_context(s, ring_seg_key(net->env->seg), err, errlen);
		if (ctx_r[i] == NULL) {
			while (i-- > 0)
				SSL_CTX_free(ctx_r[i]);
			return -1;
		}
	}
	return 0;
}
