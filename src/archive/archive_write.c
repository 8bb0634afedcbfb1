/*
 * archive_write: batches on their way to the store, and what becomes of them.
 *
 * The oldest batch that is under way is judged first.  A failure is dealt with when
 * none is left under way: then everything from the first message that is not confirmed
 * on is read again.
 */
#include "config.h"

#include <stdlib.h>

#include "archive/archive_fail.h"
#include "archive/archive_priv.h"
#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_time.h"
#include "plug/plug_call.h"

/*
 * While there is more to write, the broker is told so often, ms: each time it syncs the
 * spool, and the disk may be the database's too.
 */
#define TELL_MS 100

/* A plugin that answers so much too late hangs, ms. */
#define HUNG_MS 10000

static uint32_t
flags_of(unsigned source)
{
	return source == ARCHIVE_MEMORY ? ORDER_F_MEMORY : 0;
}

/* ---- what the broker has to know ---- */

static bool
tell_dead(struct archive *a, const struct archive_batch *b)
{
	struct archive_write *w = &a->write;
	const struct archive_dead *dead;
	struct order_msg msg;

	for (; w->buried < b->n_dead; w->buried++) {
		dead = &b->dead[w->buried];
		msg = (struct order_msg){.kind = ORDER_DEAD,
		    .flags = flags_of(b->source),
		    .number = dead->number,
		    .code = dead->code,
		    .data = {dead->why, strlen(dead->why)}};
		ARCHIVE_POINT(DEAD_BEFORE);
		if (!a->place.send(a->place.arg, &msg))
			return false;
		ARCHIVE_POINT(DEAD_AFTER);
	}
	return true;
}

int64_t
archive_write_tell_at(const struct archive *a)
{
	const struct archive_source *s;

	for (s = a->sources; s < a->sources + ARCHIVE_SOURCES; s++)
		if (s->told < s->done)
			return a->write.n_flight == 0 || a->stopping
			    ? 0
			    : a->write.told_at + TELL_MS;
	return INT64_MAX;
}

bool
archive_write_tell(struct archive *a)
{
	struct archive_write *w = &a->write;
	struct archive_source *s;
	struct order_msg msg;

	while (w->n_burials > 0) {
		if (!tell_dead(a, w->burials[0]))
			return false;
		archive_batch_free(w->burials[0]);
		w->n_burials--;
		memmove(&w->burials[0], &w->burials[1],
		    w->n_burials * sizeof(w->burials[0]));
		w->buried = 0;
	}
	if (base_time_ms() < archive_write_tell_at(a))
		return true;
	for (s = a->sources; s < a->sources + ARCHIVE_SOURCES; s++) {
		if (s->told >= s->done)
			continue;
		w->told_at = base_time_ms();
		msg = (struct order_msg){.kind = ORDER_ARCHIVED,
		    .flags = flags_of((unsigned)(s - a->sources)),
		    .number = s->done};
		ARCHIVE_POINT(TOLD_BEFORE);
		if (!a->place.send(a->place.arg, &msg))
			return false;
		ARCHIVE_POINT(TOLD_AFTER);
		s->told = s->done;
	}
	return true;
}

/* ---- results ---- */

static void
rewind_all(struct archive *a)
{
	struct archive_write *w = &a->write;
	struct archive_source *s;

	archive_batch_free(w->held);
	w->held = NULL;
	w->wait = 0;
	for (s = a->sources; s < a->sources + ARCHIVE_SOURCES; s++)
		archive_source_rewind(s);
}

/* B is in the database, save what is dead. */
static void
confirm(struct archive *a, struct archive_batch *b)
{
	struct archive_source *s = &a->sources[b->source];
	struct archive_write *w = &a->write;

	archive_store_works(a);
	archive_pace_good(&a->pace);
	stat_add(a->place.stat, archived, b->n - b->n_dead);
	stat_add(a->place.stat, archive_batches, 1);
	stat_add(a->place.stat, archive_refused, b->n_dead);
	w->seconds[w->second] += b->n - b->n_dead;
	if (b->n_dead > 0)
		log_warn(LOG_ARCHIVER,
		    "store %s refuses messages for good n=%zu first: %s",
		    a->conf->store, b->n_dead, b->dead[0].why);
	s->done = b->last;
	if (b->n_dead == 0) {
		archive_batch_free(b);
		return;
	}
	base_assert(w->n_burials < ARCHIVE_FLIGHT);
	w->burials[w->n_burials++] = b;
}

static void
fail(struct archive *a, struct archive_batch *b)
{
	enum chatd_err_class class = chatd_err_class(b->code);

	if (class == CHATD_CLASS_REJECT && b->n == 1) {
		archive_batch_bury(b);
		confirm(a, b);
	} else {
		if (class == CHATD_CLASS_REJECT)
			archive_pace_halve(&a->pace, b->n);
		else
			archive_store_failed(a, b->code, b->why);
		stat_add(a->place.stat, archive_errors, 1);
		archive_batch_free(b);
	}
	rewind_all(a);
}

/* Takes the oldest batch off those that are under way. */
static struct archive_batch *
land(struct archive_write *w)
{
	struct archive_batch *b = w->flight[0];

	w->n_flight--;
	memmove(&w->flight[0], &w->flight[1], w->n_flight * sizeof(w->flight[0]));
	return b;
}

static bool
all_answered(const struct archive_write *w)
{
	unsigned i;

	for (i = 0; i < w->n_flight; i++)
		if (!w->flight[i]->answered)
			return false;
	return true;
}

void
archive_write_results(struct archive *a)
{
	struct archive_write *w = &a->write;
	struct archive_batch *b;

	while (w->n_flight > 0 && w->flight[0]->answered &&
	    w->n_burials < ARCHIVE_FLIGHT) {
		ARCHIVE_POINT(ANSWERED);
		if (w->flight[0]->code == 0) {
			confirm(a, land(w));
			ARCHIVE_POINT(CONFIRMED);
			continue;
		}
		if (!all_answered(w))
			return;
		b = land(w);
		while (w->n_flight > 0)
			archive_batch_free(land(w));
		fail(a, b);
	}
}

void
archive_write_done(struct archive *a, uint64_t token, int code, const char *why,
    const struct chatd_result *results, size_t n)
{
	struct archive_write *w = &a->write;
	unsigned i;

	for (i = 0; i < w->n_flight; i++)
		if (w->flight[i]->batch != NULL &&
		    w->flight[i]->batch->token == token && !w->flight[i]->answered) {
			archive_batch_answer(w->flight[i], code, why, results, n);
			return;
		}
	log_warn(
	    LOG_ARCHIVER, "store %s answers what it was not asked", a->conf->store);
}

/* ---- sending ---- */

/* Gives B to the plugin; false: there is no room. */
static bool
give(struct archive *a, struct archive_batch *b)
{
	struct archive_write *w = &a->write;
	int64_t now = base_time_ms(), from = now;
	struct chatd_error err;
	int code;

	w->flight[w->n_flight++] = b;
	if (b->batch == NULL) {
		b->answered = true;
		return true;
	}
	/* The store begins with it when it has done the one before. */
	if (w->n_flight > 1 && w->flight[0]->batch != NULL)
		from = BASE_MAX(now, w->flight[0]->batch->deadline);
	b->batch->deadline = from + a->conf->store_timeout;
	ARCHIVE_POINT(GATHERED);
	code = plug_write(a->store.plug, b->batch, &err);
	ARCHIVE_POINT(GIVEN);
	if (code == CHATD_AGAIN) {
		w->n_flight--;
		w->held = b;
		w->full = true;
		return false;
	}
	if (code != 0)
		archive_batch_answer(b, code, err.text, NULL, 0);
	archive_pace_sent(&a->pace, b->n, archive_now_us());
	return true;
}

static bool
may_send(const struct archive *a)
{
	const struct archive_write *w = &a->write;
	unsigned most = archive_pace_full(&a->pace) &&
		archive_store_has(a, CHATD_STORE_ASYNC | CHATD_STORE_ORDERED)
	    ? ARCHIVE_FLIGHT
	    : 1;

	return archive_store_open(a) && !a->stopping && !w->full &&
	    w->n_flight < most && w->n_burials == 0 &&
	    (w->n_flight == 0 || !w->flight[0]->answered || w->flight[0]->code == 0) &&
	    archive_now_us() >= archive_pace_due(&a->pace);
}

/* Whether what S has gathered is to be sent now; else, when, in w->wait. */
static bool
ripe(struct archive *a, struct archive_source *s, size_t want)
{
	int64_t age, wait;

	if (s->gather.n == 0)
		return false;
	if (s->gather.n >= want || s->gather.texts.len >= ARCHIVE_BATCH_BYTES)
		return true;
	age = ((int64_t)base_time_wall_ns() - (int64_t)s->gather.first_ns) / 1000000;
	/* A clock that was set back must not make it wait for hours. */
	if (age < 0 || age >= a->conf->store_batch_time)
		return true;
	wait = base_time_ms() + a->conf->store_batch_time - age;
	a->write.wait = a->write.wait == 0 ? wait : BASE_MIN(a->write.wait, wait);
	return false;
}

/* The next batch of the source whose turn it is, or of the other; NULL: none yet. */
static struct archive_batch *
next_batch(struct archive *a)
{
	size_t want = archive_pace_want(&a->pace);
	struct archive_source *s;
	struct archive_batch *b;
	unsigned i, source;

	a->write.wait = 0;
	for (i = 0; i < ARCHIVE_SOURCES; i++) {
		source = (a->write.turn + i) % ARCHIVE_SOURCES;
		s = &a->sources[source];
		if (s->more && s->gather.n < want)
			archive_source_fill(s, want);
		if (!ripe(a, s, want))
			continue;
		b = archive_batch_new(
		    &s->gather, a->next_token++, a->store.store.mod->table.max_payload);
		b->source = source;
		a->write.turn = source + 1;
		return b;
	}
	return NULL;
}

void
archive_write_send(struct archive *a)
{
	struct archive_write *w = &a->write;
	struct archive_batch *b;

	while (may_send(a)) {
		b = w->held;
		w->held = NULL;
		if (b == NULL)
			b = next_batch(a);
		if (b == NULL || !give(a, b))
			return;
		archive_write_results(a);
	}
}

/* ---- upkeep ---- */

static void
check_hung(struct archive *a)
{
	const struct archive_write *w = &a->write;

	if (w->n_flight == 0 || w->flight[0]->answered ||
	    base_time_ms() < w->flight[0]->batch->deadline + HUNG_MS)
		return;
	log_error(LOG_ARCHIVER, "store %s hangs: it has not answered in time",
	    a->conf->store);
	a->hung = true;
}

void
archive_write_tick(struct archive *a)
{
	struct archive_write *w = &a->write;
	uint64_t sum = 0, oldest = 0, now = base_time_wall_ns();
	const struct archive_source *s;
	size_t i;

	check_hung(a);
	/* A plugin that forgets to call ready is asked again all the same. */
	w->full = false;
	for (i = 0; i < BASE_COUNT(w->seconds); i++)
		sum += w->seconds[i];
	stat_set(a->place.stat, archive_rate, sum / BASE_COUNT(w->seconds));
	w->second = (w->second + 1) % BASE_COUNT(w->seconds);
	w->seconds[w->second] = 0;
	for (s = a->sources; s < a->sources + ARCHIVE_SOURCES; s++)
		if (s->oldest_ns != 0 && (oldest == 0 || s->oldest_ns < oldest))
			oldest = s->oldest_ns;
	stat_set(a->place.stat, archive_lag_ms,
	    oldest == 0 || oldest > now ? 0 : (now - oldest) / 1000000);
}

size_t
archive_write_bytes(const struct archive *a)
{
	const struct archive_write *w = &a->write;
	const struct archive_source *s;
	size_t bytes = w->held != NULL ? w->held->bytes : 0;
	unsigned i;

	for (i = 0; i < w->n_flight; i++)
		bytes += w->flight[i]->bytes;
	for (i = 0; i < w->n_burials; i++)
		bytes += w->burials[i]->bytes;
	for (s = a->sources; s < a->sources + ARCHIVE_SOURCES; s++)
		bytes += archive_gather_bytes(&s->gather);
	return bytes;
}

void
archive_write_reset(struct archive *a)
{
	while (a->write.n_flight > 0)
		archive_batch_free(land(&a->write));
	a->write.full = false;
	rewind_all(a);
}

void
archive_write_fini(struct archive *a)
{
	unsigned i;

	archive_write_reset(a);
	for (i = 0; i < a->write.n_burials; i++)
		archive_batch_free(a->write.burials[i]);
	a->write.n_burials = 0;
}
