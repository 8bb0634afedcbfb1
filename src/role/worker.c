/*
 * worker: start, loop, reload and end of a process that holds clients.
 */
#include "config.h"

#include "role/worker.h"

#include <stdlib.h>

#include "base/base_mem.h"
#include "base/base_time.h"
#include "core/order.h"
#include "net/net.h"
#include "role/role_loop.h"

#define ERR_LEN 512

struct worker {
	struct role_loop loop;
	struct ring_lane *lane;
	struct ring_reader *reader;
	struct ring_interest *interest;
	struct chan_table *channels;
	struct token_keys *keys;
	struct fan *fan;
	struct sess_env env;
	struct net net;
};

/* ---- configuration ---- */

static int
make_keys(const struct conf *conf, struct token_keys **keys_r, char *err, size_t errlen)
{
	*keys_r = token_keys_new(conf->token_hmac_secret, conf->token_public_key.data,
	    conf->token_public_key.len, err, errlen);
	return *keys_r == NULL ? -1 : 0;
}

static int
take_conf(void *arg, const struct conf *fresh, char *err, size_t errlen)
{
	struct worker *w = arg;
	struct token_keys *keys;

	if (make_keys(fresh, &keys, err, errlen) < 0)
		return -1;
	if (net_reload(&w->net, fresh, err, errlen) < 0) {
		token_keys_free(keys);
		return -1;
	}
	token_keys_free(w->keys);
	chan_table_free(w->channels);
	w->keys = keys;
	w->channels = chan_table_new(fresh);
	w->env.keys = w->keys;
	w->env.channels = w->channels;
	w->env.conf = fresh;
	sess_env_limits(&w->env);
	return 0;
}

/* ---- the loop's calls ---- */

static void
drain(void *arg)
{
	struct worker *w = arg;

	net_drain(&w->net);
}

static void
stop(void *arg)
{
	struct worker *w = arg;

	net_stop(&w->net);
}

static bool
drained(const struct net *net)
{
	return net->draining &&
	    (net_left(net) == 0 ||
		base_time_ms() > net->drain_end + net->conf->close_timeout);
}

static bool
turn(void *arg)
{
	struct worker *w = arg;
	bool more = net_turn(&w->net);

	if (drained(&w->net))
		role_loop_end(&w->loop);
	return more;
}

/*
 * Once a second, after a sleep that nobody ended: is there something that should
 * have woken us?  Then the wake-up protocol has a hole; the turn that follows
 * delivers it all the same.
 */
static void
count_missed(void *arg)
{
	struct worker *w = arg;
	struct ring_head head;
	uint64_t lost, now = base_time_wall_ns();
	unsigned n = ring_seg_geom(w->env.seg)->lanes;

	for (unsigned lane = 0; lane < n; lane++)
		if (ring_read_behind(w->reader, lane) > 0 &&
		    ring_read_next(w->reader, lane, &head, &lost) == RING_RECORD &&
		    ring_wake_late(&head, w->env.worker, now))
			stat_add(w->env.stat, ring_missed, 1);
}

static bool
pending(void *arg)
{
	struct worker *w = arg;

	return order_pending(w->env.order);
}

static const struct role_ops ops = {
    .conf = take_conf,
    .drain = drain,
    .stop = stop,
    .turn = turn,
    .pending = pending,
    .missed = count_missed,
    .tick_ms = EV_TICK_MS,
};

/* ---- start and end ---- */

/* A successor goes on counting where the dead one stopped, but has no clients. */
static struct stat_page *
take_over_stats(struct ipc_env *ipc)
{
	struct stat_page *page = ring_seg_stats(ipc->seg, ipc->slot);

	_Static_assert(sizeof(struct stat_page) <= IPC_STAT_SIZE, "counter page");
	stat_reset_gauges(page);
	return page;
}

static int
start(struct worker *w, struct ipc_env *ipc, char *err, size_t errlen)
{
	struct ring_seg *seg = ipc->seg;

	role_loop_init(&w->loop, ipc, LOG_WORKER, &ops, w);
	ring_lane_open(seg, ipc->slot, &w->lane);
	ring_interest_open(seg, ipc->slot, &w->interest);
	ring_reader_new(seg, &w->reader);
	w->loop.reader = w->reader;
	w->env = (struct sess_env){
	    .ops = &net_sess_ops,
	    .conf = ipc->conf,
	    .hub = hub_new(ring_seg_key(seg), w->interest),
	    .seg = seg,
	    .lane = w->lane,
	    .stat = take_over_stats(ipc),
	    .worker = ipc->slot,
	    .n_workers = ipc->n_workers,
	};
	if (make_keys(ipc->conf, &w->keys, err, errlen) < 0)
		return -1;
	w->channels = chan_table_new(ipc->conf);
	w->env.keys = w->keys;
	w->env.channels = w->channels;
	w->fan = fan_new(seg, ipc->slot, w->env.hub, w->reader, w->env.stat);
	if (sess_env_open(&w->env, w->fan, ipc->generation, err, errlen) < 0)
		return -1;
	net_init(&w->net, w->loop.base, &net_sess_app, &w->env, w->fan);
	for (size_t i = 0; i < ipc->n_listeners; i++)
		if (net_listen(&w->net, ipc->listeners[i].fd, ipc->listeners[i].conf,
			err, errlen) < 0)
			return -1;
	w->net.started_s = ipc->started_s;
	net_listen_control(&w->net, ipc->control_fd, ipc->control_gid);
	return 0;
}

static void
end(struct worker *w)
{
	net_fini(&w->net);
	sess_env_close(&w->env);
	fan_free(w->fan);
	hub_free(w->env.hub);
	sess_env_free(&w->env);
	chan_table_free(w->channels);
	token_keys_free(w->keys);
	ring_reader_free(w->reader);
	ring_interest_close(w->interest);
	ring_lane_close(w->lane);
	role_loop_fini(&w->loop);
}

void
worker_main(struct ipc_env *ipc)
{
	struct worker *w = base_zalloc(sizeof(*w));
	char err[ERR_LEN] = "";

	if (start(w, ipc, err, sizeof(err)) < 0)
		role_loop_fail(&w->loop, err);
	role_loop_run(&w->loop);
	end(w);
	free(w);
	exit(IPC_EXIT_OK);
}
