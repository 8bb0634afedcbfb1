/*
 * plug_host: see the header.
 */
#include "config.h"

#include "plug/plug_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "plug/plug_batch.h"
#include "plug/plug_priv.h"

/* A call that takes longer keeps the process from its other work. */
#define SLOW_MS 5

struct chatd_timer {
	struct plug *plug;
	struct event *event;
	chatd_timer_fn fn;
	void *arg;
	struct base_list node;
};

static struct plug *
plug_of(struct chatd_host *host)
{
	return BASE_CONTAINER(host, struct plug, host);
}

int64_t
plug_enter(struct plug *p)
{
	base_assert(p->depth == 0);
	p->depth++;
	return base_time_ms();
}

void
plug_leave(struct plug *p, const char *call, int64_t since)
{
	int64_t took = base_time_ms() - since;

	p->depth--;
	if (call != NULL && took > SLOW_MS)
		log_warn(LOG_PLUGIN, "%s: a call took long call=%s ms=%lld",
		    p->place.mod->table.name, call, (long long)took);
}

/* ---- what a plugin reports ------------------------------------------------------- */

static void
host_log(struct chatd_host *host, int level, const char *text)
{
	struct plug *p = plug_of(host);
	enum base_log_level to = level <= CHATD_LOG_ERROR ? BASE_LOG_ERROR
	    : level == CHATD_LOG_WARN			  ? BASE_LOG_WARN
	    : level == CHATD_LOG_INFO			  ? BASE_LOG_INFO
							  : BASE_LOG_DEBUG;

	if (base_log_enabled(to))
		base_log(to, LOG_PLUGIN, "%s: %s", p->place.mod->table.name, text);
}

static void
host_state(struct chatd_host *host, int state, const char *why)
{
	struct plug *p = plug_of(host);

	/* One that nobody knows is no good one. */
	if (state < CHATD_DOWN || state > CHATD_DEGRADED)
		state = CHATD_DEGRADED;
	p->depth++;
	p->place.owner->state(
	    p->place.owner_arg, (enum chatd_state)state, why != NULL ? why : "");
	p->depth--;
}

static void
host_ready(struct chatd_host *host)
{
	struct plug *p = plug_of(host);

	p->depth++;
	p->place.owner->ready(p->place.owner_arg);
	p->depth--;
}

static void
host_stopped(struct chatd_host *host)
{
	struct plug *p = plug_of(host);

	p->depth++;
	p->place.owner->stopped(p->place.owner_arg);
	p->depth--;
}

static void
host_done(struct chatd_host *host, uint64_t token, int code, const char *why,
    const struct chatd_result *results, size_t n)
{
	struct plug *p = plug_of(host);

	p->depth++;
	p->place.owner->done(p->place.owner_arg, token, code, why != NULL ? why : "",
	    results, results != NULL ? n : 0);
	p->depth--;
}

static void
host_row(struct chatd_host *host, uint64_t token, const struct chatd_record *row)
{
	struct plug *p = plug_of(host);
	struct chatd_record whole = {0};

	memcpy(&whole, row, BASE_MIN(sizeof(whole), (size_t)row->size));
	whole.size = sizeof(whole);
	p->depth++;
	p->place.owner->row(p->place.owner_arg, token, &whole);
	p->depth--;
}

static void
host_hold(struct chatd_host *host BASE_UNUSED, const struct chatd_batch *batch)
{
	plug_batch_ref(batch);
}

static void
host_drop(struct chatd_host *host BASE_UNUSED, const struct chatd_batch *batch)
{
	plug_batch_unref(batch);
}

static int64_t
host_now(struct chatd_host *host BASE_UNUSED)
{
	return base_time_ms();
}

static void
host_random(struct chatd_host *host BASE_UNUSED, void *to, size_t n)
{
	base_rand_bytes(to, n);
}

/* ---- posts of other threads ------------------------------------------------------ */

static void
host_post(struct chatd_host *host, chatd_post_fn fn, void *arg)
{
	struct plug *p = plug_of(host);
	struct plug_post *post = base_zalloc(sizeof(*post));
	uint64_t one = 1;
	ssize_t r;

	post->fn = fn;
	post->arg = arg;
	pthread_mutex_lock(&p->lock);
	*p->last = post;
	p->last = &post->next;
	pthread_mutex_unlock(&p->lock);
	do
		r = write(p->wake_fd, &one, sizeof(one));
	while (r < 0 && errno == EINTR);
	/* EAGAIN: it counts to 2^64 already, so the loop is awake. */
	base_assert(r == sizeof(one) || errno == EAGAIN);
}

static struct plug_post *
take_posts(struct plug *p)
{
	struct plug_post *post;

	pthread_mutex_lock(&p->lock);
	post = p->first;
	p->first = NULL;
	p->last = &p->first;
	pthread_mutex_unlock(&p->lock);
	return post;
}

/* Those that are there now: one that posts itself again waits for the next turn. */
static bool
run_posts(struct plug *p)
{
	struct plug_post *post = take_posts(p), *next;
	bool any = post != NULL;
	int64_t since;

	for (; post != NULL; post = next) {
		next = post->next;
		since = plug_enter(p);
		post->fn(post->arg);
		plug_leave(p, "post", since);
		free(post);
	}
	return any;
}

static void
on_wake(evutil_socket_t fd, short what BASE_UNUSED, void *arg)
{
	uint64_t count;

	/* Nothing there is as good: the posts are looked at all the same. */
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		log_error(LOG_PLUGIN, "eventfd: %s", strerror(errno));
	run_posts(arg);
}

/* ---- timers ---------------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd BASE_UNUSED, short what BASE_UNUSED, void *arg)
{
	struct chatd_timer *timer = arg;
	struct plug *p = timer->plug;
	int64_t since = plug_enter(p);

	timer->fn(timer->arg); /* may free it */
	plug_leave(p, "timer", since);
}

static struct chatd_timer *
host_timer_new(struct chatd_host *host, chatd_timer_fn fn, void *arg)
{
	struct plug *p = plug_of(host);
	struct chatd_timer *timer = base_zalloc(sizeof(*timer));

	timer->plug = p;
	timer->fn = fn;
	timer->arg = arg;
	timer->event = evtimer_new(p->place.base, on_timer, timer);
	base_assert(timer->event != NULL);
	base_list_add_tail(&p->timers, &timer->node);
	return timer;
}

static void
host_timer_set(struct chatd_timer *timer, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	int r;

	if (ms < 0)
		r = evtimer_del(timer->event);
	else
		r = evtimer_add(timer->event, &tv);
	base_assert(r == 0);
}

static void
host_timer_free(struct chatd_timer *timer)
{
	if (timer == NULL)
		return;
	event_free(timer->event);
	base_list_del(&timer->node);
	free(timer);
}

/* ---- life ------------------------------------------------------------------------ */

static const struct chatd_host services = {
    .size = sizeof(struct chatd_host),
    .abi_major = CHATD_ABI_MAJOR,
    .abi_minor = CHATD_ABI_MINOR,
    .version = PACKAGE_VERSION,
    .log = host_log,
    .post = host_post,
    .state = host_state,
    .ready = host_ready,
    .stopped = host_stopped,
    .done = host_done,
    .row = host_row,
    .hold = host_hold,
    .drop = host_drop,
    .timer_new = host_timer_new,
    .timer_set = host_timer_set,
    .timer_free = host_timer_free,
    .now = host_now,
    .random = host_random,
};

/* Frees what is the host's; the plugin is gone, or never was. */
static void
free_host(struct plug *p)
{
	struct plug_post *post = take_posts(p), *next;
	size_t timers = 0;

	for (; post != NULL; post = next) {
		next = post->next;
		free(post);
	}
	while (!base_list_empty(&p->timers)) {
		host_timer_free(
		    BASE_CONTAINER(p->timers.next, struct chatd_timer, node));
		timers++;
	}
	if (timers > 0)
		log_warn(LOG_PLUGIN, "%s: has left timers n=%zu",
		    p->place.mod->table.name, timers);
	if (p->wake != NULL)
		event_free(p->wake);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct plug *
new_host(const struct plug_place *place, struct base_buf *why)
{
	struct plug *p = base_zalloc(sizeof(*p));

	p->host = services;
	p->host.node = place->node;
	p->host.state_dir = place->state_dir;
	p->host.base = place->base;
	p->place = *place;
	base_list_init(&p->timers);
	pthread_mutex_init(&p->lock, NULL);
	p->last = &p->first;
	p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->wake_fd >= 0)
		p->wake = event_new(
		    place->base, p->wake_fd, EV_READ | EV_PERSIST, on_wake, p);
	if (p->wake == NULL || event_add(p->wake, NULL) < 0) {
		base_buf_printf(why, "%s: eventfd: %s", place->mod->table.name,
		    strerror(errno));
		free_host(p);
		return NULL;
	}
	return p;
}

struct plug *
plug_new(const struct plug_place *place, struct base_buf *why)
{
	struct plug *p = new_host(place, why);
	struct chatd_error err = {0};
	int64_t since;
	int code;

	if (p == NULL)
		return NULL;
	since = plug_enter(p);
	code = place->mod->life.init(&p->host, place->conf, &p->self, &err);
	plug_leave(p, "init", since);
	if (code == 0)
		return p;
	err.text[sizeof(err.text) - 1] = 0;
	base_buf_printf(why, "%s: cannot be started: ", place->mod->table.name);
	if (err.text[0] != 0)
		base_buf_str(why, err.text);
	else
		base_buf_printf(why, "init failed with code %d", code);
	free_host(p);
	return NULL;
}

void
plug_free(struct plug *p)
{
	int64_t since;

	if (p == NULL)
		return;
	while (run_posts(p))
		;
	since = plug_enter(p);
	p->place.mod->life.fini(p->self);
	plug_leave(p, "fini", since);
	free_host(p);
}
