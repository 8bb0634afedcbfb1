/*
 * net: see the header.
 */
#include "config.h"

#include "net/net.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "net/conn.h"
#include "net/listen.h"
#include "net/out.h"

#define READ_MIN (64u << 10)
#define LOG_PAUSE_MS 10000

static void
update_clock(struct net *net)
{
	net->env->now_ms = base_time_ms();
	net->env->now_s = (int64_t)time(NULL);
}

/* What follows from limits that may have changed. */
static void
apply_limits(struct net *net)
{
	const struct conf *conf = net->conf;
	/* An unfinished frame (14 bytes of head at most) or request, and new bytes. */
	size_t size =
	    BASE_MAX(conf->max_frame_size + 14, conf->max_request_size) + READ_MIN;

	if (size > net->rbuf_size) {
		net->rbuf = base_realloc(net->rbuf, size, 1);
		net->rbuf_size = size;
	}
	if (net->deflate != NULL)
		ws_deflate_set_level(net->deflate, (int)conf->compression_level);
	stat_set(net->stat, output_limit_bytes, net_share(net, conf->output_total));
	stat_set(net->stat, input_limit_bytes, net_share(net, conf->input_total));
	stat_set(net->stat, connections_limit,
	    net_share(net, (uint64_t)conf->max_connections));
}

/* The slots of broker and archiver follow those of the workers, if there are any. */
static void
find_stats(struct net *net)
{
	static struct stat_broker no_broker;
	static struct stat_archiver no_archiver;
	struct ring_seg *seg = net->env->seg;
	struct stat_all *all = &net->stats;
	unsigned n = net->n_workers, slots = ring_seg_geom(seg)->slots;

	all->n_workers = n;
	all->workers = base_malloc(n * sizeof(*all->workers));
	for (unsigned i = 0; i < n; i++)
		all->workers[i] = ring_seg_stats(seg, i);
	all->broker = slots > n ? ring_seg_stats(seg, n) : &no_broker;
	all->archiver = slots > n + 1 ? ring_seg_stats(seg, n + 1) : &no_archiver;
}

void
net_init(struct net *net, struct event_base *base, const struct net_app *app,
    struct sess_env *env, struct fan *fan)
{
	*net = (struct net){
	    .base = base,
	    .app = app,
	    .conf = env->conf,
	    .env = env,
	    .stat = env->stat,
	    .n_workers = env->n_workers,
	    .worker = env->worker,
	    .fan = fan,
	    .out = out_new(),
	};
	find_stats(net);
	base_list_init(&net->conns);
	base_list_init(&net->dead);
	update_clock(net);
	ev_wheel_init(&net->wheel, env->now_ms);
	net->resume = evtimer_new(base, listen_resume, net);
	base_assert(net->resume != NULL);
	apply_limits(net);
}

void
net_fini(struct net *net)
{
	listen_stop(net);
	event_free(net->resume);
	BASE_LIST_FOREACH_SAFE (it, tmp, &net->conns)
		conn_kill(BASE_CONTAINER(it, struct conn, all));
	/* Kills leave turns that were not written. */
	out_flush(net);
	conn_reap(net);
	out_free(net->out);
	ws_deflate_free(net->deflate);
	base_buf_free(&net->inflated);
	free(net->stats.workers);
	free(net->rbuf);
}

static void
add_listener(struct net *net, struct listener *l)
{
	net->listeners =
	    base_realloc(net->listeners, net->n_listeners + 1, sizeof(*net->listeners));
	net->listeners[net->n_listeners++] = l;
}

int
net_listen(
    struct net *net, int fd, const struct conf_listen *conf, char *err, size_t errlen)
{
	struct listener *l = listen_new(net, fd, conf, err, errlen);

	if (l == NULL)
		return -1;
	add_listener(net, l);
	return 0;
}

void
net_listen_control(struct net *net, int fd, gid_t gid)
{
	net->control_gid = gid;
	add_listener(net, listen_new_control(net, fd));
}

int
net_reload(struct net *net, const struct conf *fresh, char *err, size_t errlen)
{
	SSL_CTX **ctx = base_zalloc(net->n_listeners * sizeof(SSL_CTX *));

	if (listen_contexts(net, fresh, ctx, err, errlen) < 0) {
		free(ctx);
		return -1;
	}
	for (size_t i = 0; i < net->n_listeners; i++) {
		struct listener *l = net->listeners[i];

		/* Connections that exist keep their context by a reference. */
		SSL_CTX_free(l->ctx);
		l->ctx = ctx[i];
		l->conf = listen_section(fresh, l);
		base_assert(l->conf != NULL);
	}
	free(ctx);
	net->conf = fresh;
	apply_limits(net);
	return 0;
}

struct ws_deflate *
net_deflate(struct net *net)
{
	if (net->deflate == NULL)
		net->deflate = ws_deflate_new((int)net->conf->compression_level);
	return net->deflate;
}

uint32_t
net_deadline(const struct net *net, int64_t delay_ms)
{
	return ev_wheel_in(&net->wheel, base_time_ms(), delay_ms);
}

bool
net_log_due(const struct net *net, int64_t *last_ms)
{
	if (*last_ms != 0 && net->env->now_ms - *last_ms < LOG_PAUSE_MS)
		return false;
	*last_ms = net->env->now_ms;
	return true;
}

uint64_t
net_share(const struct net *net, uint64_t total)
{
	return total / net->n_workers;
}

uint64_t
net_left(const struct net *net)
{
	return net->n_conns;
}

/* ---- a turn ---- */

bool
net_flush(struct net *net)
{
	bool more;

	/* Others first: they work while we write. */
	fan_wake(net->fan, net->env->wake_mask);
	net->env->wake_mask = 0;
	more = fan_drain(net->fan);
	out_flush(net);
	return more;
}

void
net_make_room(struct net *net, size_t required)
{
	uint64_t half = ring_seg_geom(net->env->seg)->lane_size / 2;

	while (fan_behind(net->fan) + required > half)
		net_flush(net);
}

static void
drain_some(struct net *net)
{
	int64_t left = net->drain_end - net->env->now_ms;
	uint64_t ticks = left <= 0 ? 1 : (uint64_t)(left / EV_TICK_MS + 1);
	uint64_t n = (net->n_conns + ticks - 1) / ticks;

	BASE_LIST_FOREACH_SAFE (it, tmp, &net->conns) {
		struct conn *c = BASE_CONTAINER(it, struct conn, all);

		if (n == 0)
			break;
		/* It was told, and does not answer; or it is soon answered. */
		if (conn_ending(c) || conn_http_busy(c))
			continue;
		if (c->state == CONN_WS)
			conn_ws_close(c, PROTO_DISCONNECT_SHUTDOWN,
			    proto_disconnect_reason(PROTO_DISCONNECT_SHUTDOWN));
		else
			conn_kill(c);
		n--;
	}
}

bool
net_turn(struct net *net)
{
	uint32_t tick = net->wheel.now;
	bool more;

	update_clock(net);
	ev_wheel_run(&net->wheel, net->env->now_ms, conn_timer, NULL);
	if (net->draining && net->wheel.now != tick)
		drain_some(net);
	/* What the broker answered comes before what it published. */
	more = sess_env_turn(net->env);
	more = net_flush(net) || more;
	conn_reap(net);
	if (net->deflate != NULL)
		stat_set(net->stat, deflate_bytes, ws_deflate_bytes(net->deflate));
	return more;
}

void
net_drain(struct net *net)
{
	if (net->draining)
		return;
	listen_stop(net);
	net->draining = true;
	net->drain_end = base_time_ms() + net->conf->drain_time;
}

void
net_stop(struct net *net)
{
	net_drain(net);
	BASE_LIST_FOREACH_SAFE (it, tmp, &net->conns) {
		struct conn *c = BASE_CONTAINER(it, struct conn, all);

		if (c->state == CONN_WS)
			conn_ws_close(c, PROTO_DISCONNECT_SHUTDOWN,
			    proto_disconnect_reason(PROTO_DISCONNECT_SHUTDOWN));
	}
	net_flush(net);
}
