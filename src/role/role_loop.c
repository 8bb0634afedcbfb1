/*
 * role_loop: see the header.
 */
#include "config.h"

#include "role/role_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_time.h"
#include "conf/conf_dump.h"
#include "ipc/ipc_msg.h"

#define ERR_LEN 512

/* ---- a spare descriptor ---- */

/*
 * Clients may take all descriptors that there are.  A message with one in it, or a
 * log that is opened again, gets the place of this one.
 */
static void
give_spare(struct role_loop *l)
{
	if (l->spare_fd >= 0)
		close(l->spare_fd);
	l->spare_fd = -1;
}

static void
take_spare(struct role_loop *l)
{
	l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* ---- configuration ---- */

static void
tell_master(struct role_loop *l, enum ipc_type type, uint64_t value)
{
	if (ipc_send(l->ipc->ctl_fd, type, value, -1) < 0)
		log_warn(
		    l->log, "the master does not listen error=%s", strerror(errno));
}

static void
apply_log(const struct role_loop *l, const struct conf *old, const struct conf *fresh)
{
	char err[ERR_LEN];

	base_log_set_level(fresh->log_level);
	if (strcmp(old->log_target, fresh->log_target) != 0 &&
	    base_log_open(fresh->log_target, -1, -1, err, sizeof(err)) < 0)
		log_error(l->log, "log_target: %s", err);
}

static void
on_conf(struct role_loop *l, uint64_t number, int fd)
{
	struct conf *fresh = fd < 0 ? NULL : conf_unpack_fd(fd);
	char err[ERR_LEN] = "";

	if (fd >= 0)
		close(fd);
	if (fresh == NULL) {
		log_error(l->log, "configuration %llu cannot be read",
		    (unsigned long long)number);
		return;
	}
	if (l->ops->conf(l->arg, fresh, err, sizeof(err)) < 0) {
		log_error(l->log, "configuration not taken over: %s", err);
		conf_free(fresh);
		return;
	}
	apply_log(l, l->ipc->conf, fresh);
	conf_free(l->ipc->conf);
	l->ipc->conf = fresh;
	log_debug(l->log, "configuration %llu is in force", (unsigned long long)number);
	tell_master(l, IPC_CONF_DONE, number);
}

/* ---- events ---- */

static void
stop(struct role_loop *l)
{
	l->ops->stop(l->arg);
	role_loop_end(l);
}

static void
on_message(struct role_loop *l, const struct ipc_msg *msg, int passed)
{
	if (msg->type == IPC_CONF) {
		on_conf(l, msg->value, passed);
		return;
	}
	if (passed >= 0)
		close(passed);
	if (msg->type == IPC_GONE && l->ops->gone != NULL)
		l->ops->gone(
		    l->arg, (unsigned)(msg->value >> 32), msg->value & UINT32_MAX);
}

static void
on_ctl(evutil_socket_t fd, short what, void *arg)
{
	struct role_loop *l = arg;
	struct ipc_msg msg;
	int r, passed;

	(void)what;
	give_spare(l);
	while ((r = ipc_recv(fd, &msg, &passed)) > 0)
		on_message(l, &msg, passed);
	take_spare(l);
	if (r < 0) {
		log_error(l->log, "the master is gone: stopping");
		stop(l);
	}
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct role_loop *l = arg;

	(void)what;
	switch (sig) {
	case SIGTERM:
		l->ops->drain(l->arg);
		break;
	case SIGQUIT:
		stop(l);
		break;
	case SIGUSR1:
		give_spare(l);
		base_log_reopen();
		take_spare(l);
		break;
	}
}

/* What waits is looked at after every turn: it is enough that there is one. */
static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* For whoever watches: this process moves. */
static void
beat(const struct role_loop *l)
{
	char *page = ring_seg_stats(l->ipc->seg, l->ipc->slot);
	_Atomic uint64_t *at = (void *)(page + l->ipc->beat_at);

	atomic_store_explicit(
	    at, base_time_wall_ns() / 1000000, memory_order_relaxed);
}

static void
on_belt(evutil_socket_t fd, short what, void *arg)
{
	struct role_loop *l = arg;

	(void)fd;
	(void)what;
	l->belt = true;
	beat(l);
}

/* ---- start and end ---- */

static void
add_event(struct role_loop *l, evutil_socket_t fd, short what, event_callback_fn fn,
    int timeout_ms)
{
	const struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct event *ev = event_new(l->base, fd, what | EV_PERSIST, fn, l);

	base_assert(ev != NULL && l->n_events < BASE_COUNT(l->events));
	l->events[l->n_events++] = ev;
	base_assert(event_add(ev, timeout_ms > 0 ? &tv : NULL) == 0);
}

static void
make_base(struct role_loop *l)
{
	struct event_config *cfg = event_config_new();

	base_assert(cfg != NULL);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	base_assert(l->base != NULL);
}

void
role_loop_init(struct role_loop *l, struct ipc_env *ipc, enum base_log_subsystem log,
    const struct role_ops *ops, void *arg)
{
	*l = (struct role_loop){.ipc = ipc, .ops = ops, .arg = arg, .log = log};
	take_spare(l);
	ring_seg_confine(ipc->seg, ipc->slot);
	make_base(l);
	add_event(l, ipc->ctl_fd, EV_READ, on_ctl, 0);
	add_event(l, ring_wake_fd(ipc->seg, ipc->slot), EV_READ, on_turn, 0);
	if (ops->tick_ms > 0)
		add_event(l, -1, EV_TIMEOUT, on_turn, ops->tick_ms);
	add_event(l, -1, EV_TIMEOUT, on_belt, 1000);
	add_event(l, SIGTERM, EV_SIGNAL, on_signal, 0);
	add_event(l, SIGQUIT, EV_SIGNAL, on_signal, 0);
	add_event(l, SIGUSR1, EV_SIGNAL, on_signal, 0);
}

void
role_loop_fini(struct role_loop *l)
{
	give_spare(l);
	for (size_t i = 0; i < l->n_events; i++)
		event_free(l->events[i]);
	event_base_free(l->base);
	conf_free(l->ipc->conf);
	ring_seg_free(l->ipc->seg);
}

void
role_loop_fail(const struct role_loop *l, const char *why)
{
	log_error(l->log, "cannot start: %s", why);
	exit(IPC_EXIT_FATAL);
}

/* ---- the loop ---- */

/* True: nothing is there, and whoever brings something wakes us. */
static bool
arm(struct role_loop *l)
{
	struct ring_seg *seg = l->ipc->seg;
	unsigned slot = l->ipc->slot;

	if (!ring_wake_arm(seg, slot, l->reader))
		return false;
	if (l->ops->pending == NULL || !l->ops->pending(l->arg))
		return true;
	(void)ring_wake_disarm(seg, slot);
	return false;
}

void
role_loop_run(struct role_loop *l)
{
	bool more = false, asleep;

	beat(l);
	tell_master(l, IPC_READY, (uint64_t)getpid());
	while (!l->done) {
		asleep = !more && arm(l);
		if (event_base_loop(l->base,
			asleep ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
			log_error(
			    l->log, "the event loop failed error=%s", strerror(errno));
			exit(1);
		}
		if (asleep && ring_wake_disarm(l->ipc->seg, l->ipc->slot) && l->belt &&
		    l->ops->missed != NULL)
			l->ops->missed(l->arg);
		l->belt = false;
		more = l->ops->turn(l->arg);
	}
}

void
role_loop_end(struct role_loop *l)
{
	l->done = true;
}
