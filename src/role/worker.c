/*
 * worker: start, loop, reload and end of a process that holds clients.
 */
#include "config.h"

#include "role/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "conf/conf_dump.h"
#include "ipc/ipc_msg.h"
#include "net/net.h"
#include "ring/ring_wake.h"

#define ERR_LEN 512

struct worker {
	struct ipc_env *ipc;
	struct event_base *base;
	struct event *events[8];
	size_t n_events;
	struct ring_lane *lane;
	struct ring_reader *reader;
	struct ring_interest *interest;
	struct chan_table *channels;
	struct token_keys *keys;
	struct fan *fan;
	struct sess_env env;
	struct net net;
	int spare_fd; /* see give_spare; -1: none */
	bool belt; /* a second went by */
	bool done;
};

/* ---- configuration ---- */

static int
make_keys(const struct conf *conf, struct token_keys **keys_r, char *err, size_t errlen)
{
	*keys_r = token_keys_new(conf->token_hmac_secret, conf->token_public_key.data,
	    conf->token_public_key.len, err, errlen);
	return *keys_r == NULL ? -1 : 0;
}

static void
apply_log(const struct conf *old, const struct conf *fresh)
{
	char err[ERR_LEN];

	base_log_set_level(fresh->log_level);
	if (strcmp(old->log_target, fresh->log_target) != 0 &&
	    base_log_open(fresh->log_target, -1, -1, err, sizeof(err)) < 0)
		log_error(LOG_WORKER, "log_target: %s", err);
}

/* All of FRESH, or nothing. */
static int
apply_conf(struct worker *w, struct conf *fresh)
{
	struct conf *old = w->ipc->conf;
	struct token_keys *keys;
	char err[ERR_LEN];

	if (make_keys(fresh, &keys, err, sizeof(err)) < 0) {
		log_error(LOG_WORKER, "configuration not taken over: %s", err);
		return -1;
	}
	if (net_reload(&w->net, fresh, err, sizeof(err)) < 0) {
		log_error(LOG_WORKER, "configuration not taken over: %s", err);
		token_keys_free(keys);
		return -1;
	}
	apply_log(old, fresh);
	token_keys_free(w->keys);
	chan_table_free(w->channels);
	w->keys = keys;
	w->channels = chan_table_new(fresh);
	w->env.keys = w->keys;
	w->env.channels = w->channels;
	w->env.conf = fresh;
	w->ipc->conf = fresh;
	conf_free(old);
	return 0;
}

static void
on_conf(struct worker *w, uint64_t number, int fd)
{
	struct conf *fresh = fd < 0 ? NULL : conf_unpack_fd(fd);

	if (fd >= 0)
		close(fd);
	if (fresh == NULL) {
		log_error(LOG_WORKER, "configuration %llu cannot be read",
		    (unsigned long long)number);
		return;
	}
	if (apply_conf(w, fresh) < 0) {
		conf_free(fresh);
		return;
	}
	log_debug(
	    LOG_WORKER, "configuration %llu is in force", (unsigned long long)number);
	if (ipc_send(w->ipc->ctl_fd, IPC_CONF_DONE, number, -1) < 0)
		log_warn(
		    LOG_WORKER, "the master does not listen error=%s", strerror(errno));
}

/* ---- a spare descriptor ---- */

/*
 * Clients may take all descriptors that there are.  A message with one in it, or a
 * log that is opened again, gets the place of this one.
 */
static void
give_spare(struct worker *w)
{
	if (w->spare_fd >= 0)
		close(w->spare_fd);
	w->spare_fd = -1;
}

static void
take_spare(struct worker *w)
{
	w->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* ---- events ---- */

static void
on_ctl(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct ipc_msg msg;
	int r, passed;

	(void)what;
	give_spare(w);
	while ((r = ipc_recv(fd, &msg, &passed)) > 0) {
		if (msg.type == IPC_CONF)
			on_conf(w, msg.value, passed);
		else if (passed >= 0)
			close(passed);
	}
	take_spare(w);
	if (r < 0) {
		log_error(LOG_WORKER, "the master is gone: stopping");
		net_stop(&w->net);
		w->done = true;
	}
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct worker *w = arg;

	(void)what;
	switch (sig) {
	case SIGTERM:
		net_drain(&w->net);
		break;
	case SIGQUIT:
		net_stop(&w->net);
		w->done = true;
		break;
	case SIGUSR1:
		give_spare(w);
		base_log_reopen();
		take_spare(w);
		break;
	}
}

/* The ring and the deadlines are looked at after every turn: it is enough that
 * there is one. */
static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
on_belt(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	w->belt = true;
}

/*
 * Once a second, after a sleep that nobody ended: is there something that should
 * have woken us?  Then the wake-up protocol has a hole; the turn that follows
 * delivers it all the same.
 */
static void
count_missed(struct worker *w)
{
	struct ring_head head;
	uint64_t lost, now = base_time_wall_ns();
	unsigned n = ring_seg_geom(w->ipc->seg)->lanes;

	for (unsigned lane = 0; lane < n; lane++)
		if (ring_read_behind(w->reader, lane) > 0 &&
		    ring_read_next(w->reader, lane, &head, &lost) == RING_RECORD &&
		    ring_wake_late(&head, w->ipc->slot, now))
			stat_add(w->env.stat, ring_missed, 1);
}

/* ---- start ---- */

static void
add_event(struct worker *w, evutil_socket_t fd, short what, event_callback_fn fn,
    int timeout_ms)
{
	const struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct event *ev = event_new(w->base, fd, what | EV_PERSIST, fn, w);

	base_assert(ev != NULL && w->n_events < BASE_COUNT(w->events));
	w->events[w->n_events++] = ev;
	base_assert(event_add(ev, timeout_ms > 0 ? &tv : NULL) == 0);
}

static void
make_loop(struct worker *w)
{
	struct event_config *cfg = event_config_new();

	base_assert(cfg != NULL);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	w->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	base_assert(w->base != NULL);
	add_event(w, w->ipc->ctl_fd, EV_READ, on_ctl, 0);
	add_event(w, ring_wake_fd(w->ipc->seg, w->ipc->slot), EV_READ, on_turn, 0);
	add_event(w, -1, EV_TIMEOUT, on_turn, EV_TICK_MS);
	add_event(w, -1, EV_TIMEOUT, on_belt, 1000);
	add_event(w, SIGTERM, EV_SIGNAL, on_signal, 0);
	add_event(w, SIGQUIT, EV_SIGNAL, on_signal, 0);
	add_event(w, SIGUSR1, EV_SIGNAL, on_signal, 0);
}

/* A successor goes on counting where the dead one stopped, but has no clients. */
static struct stat_page *
take_over_stats(struct worker *w)
{
	struct stat_page *page = ring_seg_stats(w->ipc->seg, w->ipc->slot);

	_Static_assert(sizeof(struct stat_page) <= IPC_STAT_SIZE, "counter page");
	stat_reset_gauges(page);
	return page;
}

static int
start(struct worker *w, struct ipc_env *ipc, char *err, size_t errlen)
{
	struct ring_seg *seg = ipc->seg;

	w->ipc = ipc;
	take_spare(w);
	ring_seg_confine(seg, ipc->slot);
	make_loop(w);
	ring_lane_open(seg, ipc->slot, &w->lane);
	ring_interest_open(seg, ipc->slot, &w->interest);
	ring_reader_new(seg, &w->reader);
	w->env = (struct sess_env){
	    .ops = &net_sess_ops,
	    .conf = ipc->conf,
	    .hub = hub_new(ring_seg_key(seg), w->interest),
	    .seg = seg,
	    .lane = w->lane,
	    .stat = take_over_stats(w),
	    .worker = ipc->slot,
	    .n_workers = ipc->n_workers,
	};
	if (make_keys(ipc->conf, &w->keys, err, errlen) < 0)
		return -1;
	w->channels = chan_table_new(ipc->conf);
	w->env.keys = w->keys;
	w->env.channels = w->channels;
	w->fan = fan_new(seg, ipc->slot, w->env.hub, w->reader, w->env.stat);
	net_init(&w->net, w->base, &net_sess_app, &w->env, w->fan);
	for (size_t i = 0; i < ipc->n_listeners; i++)
		if (net_listen(&w->net, ipc->listeners[i].fd, ipc->listeners[i].conf,
			err, errlen) < 0)
			return -1;
	return 0;
}

static void
stop(struct worker *w)
{
	net_fini(&w->net);
	fan_free(w->fan);
	hub_free(w->env.hub);
	sess_env_free(&w->env);
	chan_table_free(w->channels);
	token_keys_free(w->keys);
	ring_reader_free(w->reader);
	ring_interest_close(w->interest);
	ring_lane_close(w->lane);
	give_spare(w);
	for (size_t i = 0; i < w->n_events; i++)
		event_free(w->events[i]);
	event_base_free(w->base);
	conf_free(w->ipc->conf);
	ring_seg_free(w->ipc->seg);
}

/* ---- loop ---- */

static bool
drained(struct worker *w)
{
	const struct net *net = &w->net;

	return net->draining &&
	    (net_left(net) == 0 ||
		base_time_ms() > net->drain_end + net->conf->close_timeout);
}

static void
loop(struct worker *w)
{
	struct ring_seg *seg = w->ipc->seg;
	unsigned slot = w->ipc->slot;
	bool more = false, asleep;

	while (!w->done && !drained(w)) {
		asleep = !more && ring_wake_arm(seg, slot, w->reader);
		if (event_base_loop(w->base,
			asleep ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
			log_error(LOG_WORKER, "the event loop failed error=%s",
			    strerror(errno));
			exit(1);
		}
		if (asleep && ring_wake_disarm(seg, slot) && w->belt)
			count_missed(w);
		w->belt = false;
		more = net_turn(&w->net);
	}
}

void
worker_main(struct ipc_env *ipc)
{
	struct worker *w = base_zalloc(sizeof(*w));
	char err[ERR_LEN] = "";

	if (start(w, ipc, err, sizeof(err)) < 0) {
		log_error(LOG_WORKER, "cannot start: %s", err);
		exit(IPC_EXIT_FATAL);
	}
	if (ipc_send(ipc->ctl_fd, IPC_READY, (uint64_t)getpid(), -1) < 0)
		log_warn(
		    LOG_WORKER, "the master does not listen error=%s", strerror(errno));
	loop(w);
	stop(w);
	free(w);
	exit(IPC_EXIT_OK);
}
