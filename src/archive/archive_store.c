/*
 * archive_store: the plugin's life, and what it says of itself.
 *
 * The plugin may report at any time from the loop; what follows from that is done in
 * the next turn, as no function of it may be called from inside its reports.
 */
#include "config.h"

#include <stdlib.h>

#include "archive/archive_priv.h"
#include "base/base_log.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "plug/plug_call.h"

/* A broken plugin has so much time to stop, ms. */
#define STOP_MS 5000

int64_t
archive_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static const char *
name_of(const struct archive *a)
{
	return a->conf->store;
}

/* ---- what it reports ---- */

static void
on_state(void *arg, enum chatd_state state, const char *why)
{
	struct archive *a = arg;
	struct archive_store *s = &a->store;

	log_debug(LOG_ARCHIVER, "store %s state=%d %s", name_of(a), (int)state, why);
	s->state = state;
	if (state == CHATD_UP)
		a->pace.retry_at = 0;
	else if (state == CHATD_DOWN)
		snprintf(s->why, sizeof(s->why), "%s", why);
}

static void
on_ready(void *arg)
{
	struct archive *a = arg;

	a->write.full = a->reads.full = false;
}

static void
on_stopped(void *arg)
{
	struct archive *a = arg;

	if (a->store.life == ARCHIVE_STOPPING)
		a->store.life = ARCHIVE_STOPPED;
}

static void
on_done(void *arg, uint64_t token, int code, const char *why,
    const struct chatd_result *results, size_t n)
{
	struct archive *a = arg;

	if (token == a->store.ping) {
		a->store.ping_answered = true;
		a->store.ping_code = code;
		snprintf(a->store.why, sizeof(a->store.why), "%s", why);
	} else if (!archive_read_done(a, token, code)) {
		archive_write_done(a, token, code, why, results, n);
	}
}

static void
on_row(void *arg, uint64_t token, const struct chatd_record *row)
{
	archive_read_row(arg, token, row);
}

static const struct plug_owner owner = {
    .state = on_state,
    .ready = on_ready,
    .stopped = on_stopped,
    .done = on_done,
    .row = on_row,
};

/* ---- trouble ---- */

/* Logs each trouble once, until it is over. */
static void
complain(struct archive *a, int code, const char *why)
{
	struct archive_store *s = &a->store;

	if (strcmp(s->logged, why) == 0)
		return;
	if (s->logged[0] == 0)
		s->trouble_since = base_time_ms();
	snprintf(s->logged, sizeof(s->logged), "%s", why[0] != 0 ? why : "no reason");
	if (code == CHATD_VERSION)
		log_error(LOG_ARCHIVER,
		    "store %s: %s: run \"chatctl store init\"; messages wait in the "
		    "spool",
		    name_of(a), s->logged);
	else
		log_error(LOG_ARCHIVER,
		    "store %s fails; messages wait in the spool: %s", name_of(a),
		    s->logged);
}

void
archive_store_works(struct archive *a)
{
	struct archive_store *s = &a->store;

	s->schema = false;
	if (s->logged[0] == 0)
		return;
	s->logged[0] = 0;
	log_info(LOG_ARCHIVER, "store %s works again after_ms=%lld", name_of(a),
	    (long long)(base_time_ms() - s->trouble_since));
}

void
archive_store_failed(struct archive *a, int code, const char *why)
{
	enum chatd_err_class class = chatd_err_class(code);

	complain(a, code, why);
	a->store.schema = code == CHATD_VERSION;
	archive_pace_bad(&a->pace, archive_now_us(), base_rand_below(UINT32_MAX));
	if (class != CHATD_CLASS_RETRY && code != CHATD_VERSION)
		archive_store_stop(a, base_time_ms() + STOP_MS);
}

/* ---- life ---- */

bool
archive_store_open(const struct archive *a)
{
	return a->store.life == ARCHIVE_OPEN;
}

bool
archive_store_has(const struct archive *a, uint64_t caps)
{
	return archive_store_open(a) && (a->store.store.mod->table.caps & caps) == caps;
}

static void
end(struct archive *a)
{
	struct archive_store *s = &a->store;

	plug_free(s->plug);
	s->plug = NULL;
	plug_store_close(&s->store);
	s->life = ARCHIVE_CLOSED;
	s->state = CHATD_DOWN;
	s->ping = 0;
	archive_read_fail(a);
	archive_write_reset(a);
}

static bool
begin(struct archive *a, struct base_buf *why)
{
	struct archive_store *s = &a->store;
	struct chatd_error err;

	if (!plug_store_open(a->conf, &s->store, why))
		return false;
	s->plug =
	    plug_store_new(&s->store, a->place.base, a->place.node, &owner, a, why);
	if (s->plug == NULL) {
		plug_store_close(&s->store);
		return false;
	}
	s->life = ARCHIVE_OPEN;
	s->state = CHATD_DOWN;
	s->no_ping = false;
	s->ping = 0;
	a->write.full = false;
	if (plug_start(s->plug, &err) == 0)
		return true;
	base_buf_str(why, err.text);
	end(a);
	return false;
}

void
archive_store_stop(struct archive *a, int64_t deadline)
{
	if (a->store.life != ARCHIVE_OPEN)
		return;
	a->store.life = ARCHIVE_STOPPING;
	a->store.stop_deadline = deadline;
	plug_stop(a->store.plug, deadline);
}

static void
ping_result(struct archive *a)
{
	struct archive_store *s = &a->store;

	s->ping = 0;
	s->ping_answered = false;
	if (s->ping_code == 0) {
		archive_store_works(a);
		a->pace.fails = 0;
		a->pace.pause = a->pace.retry_at = 0;
	} else {
		archive_store_failed(a, s->ping_code, s->why);
	}
}

void
archive_store_turn(struct archive *a)
{
	struct archive_store *s = &a->store;
	struct base_buf why = {0};

	if (s->ping_answered)
		ping_result(a);
	if (s->life == ARCHIVE_STOPPED ||
	    (s->life == ARCHIVE_STOPPING && base_time_ms() > s->stop_deadline))
		end(a);
	if (s->life != ARCHIVE_CLOSED || a->stopping ||
	    archive_now_us() < archive_pace_due(&a->pace))
		return;
	if (!begin(a, &why)) {
		base_buf_byte(&why, 0);
		archive_store_failed(a, CHATD_UNAVAIL, why.p);
	}
	base_buf_free(&why);
}

/* While it is down and there is nothing to write, it is asked whether it is back. */
static void
ping(struct archive *a)
{
	struct archive_store *s = &a->store;
	struct chatd_error err;
	int code;

	if (s->no_ping || s->ping != 0 || a->write.n_flight > 0 ||
	    s->state == CHATD_CONNECTING || (s->state == CHATD_UP && !s->schema) ||
	    archive_now_us() < archive_pace_due(&a->pace))
		return;
	s->ping = a->next_token++;
	code = plug_ping(s->plug, s->ping, &err);
	if (code == 0)
		return;
	s->ping = 0;
	if (code == CHATD_NOTSUP)
		s->no_ping = true;
	else
		archive_store_failed(a, code, err.text);
}

static unsigned
figure(const struct archive_store *s)
{
	if (s->schema)
		return 4;
	if (s->life != ARCHIVE_OPEN)
		return 1;
	switch (s->state) {
	case CHATD_DOWN:
		return 1;
	case CHATD_CONNECTING:
		return 2;
	default:
		return 3;
	}
}

void
archive_store_tick(struct archive *a)
{
	if (archive_store_open(a) && !a->stopping) {
		plug_tick(a->store.plug, base_time_ms());
		ping(a);
	}
	stat_set(a->place.stat, store_state, figure(&a->store));
}

void
archive_store_fini(struct archive *a)
{
	if (a->store.life != ARCHIVE_CLOSED)
		end(a);
}
