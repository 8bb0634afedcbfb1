/*
 * archive: see the header.
 */
#include "config.h"

#include "archive/archive.h"

#include <stdlib.h>

#include "archive/archive_priv.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "plug/plug_store.h"

#define TICK_MS 1000
/* How soon a full queue is tried again. */
#define STUCK_MS 20

static void
take_conf(struct archive *a, const struct conf *conf)
{
	uint64_t bound;

	a->conf = conf;
	archive_pace_conf(
	    &a->pace, conf->store_batch, conf->store_rate, conf->store_retry_max);
	/* Batches under way, held and dead; two that are gathered; reads twice. */
	bound = (ARCHIVE_FLIGHT * 2 + 1 + 2 * ARCHIVE_SOURCES) *
		(ARCHIVE_BATCH_BYTES + conf->max_message_size) +
	    2 * ARCHIVE_READS * 3 * conf->history_reply;
	stat_set(a->place.stat, archive_limit_bytes, bound);
}

struct archive *
archive_new(const struct archive_place *place)
{
	struct archive *a = base_zalloc(sizeof(*a));
	unsigned i;

	a->place = *place;
	a->next_token = 1;
	archive_pace_init(&a->pace);
	take_conf(a, place->conf);
	for (i = 0; i < ARCHIVE_SOURCES; i++)
		archive_source_init(
		    &a->sources[i], place->conf->state_dir, i == ARCHIVE_MEMORY);
	archive_read_init(a);
	return a;
}

void
archive_free(struct archive *a)
{
	unsigned i;

	if (a == NULL)
		return;
	archive_store_fini(a);
	archive_write_fini(a);
	archive_read_fini(a);
	for (i = 0; i < ARCHIVE_SOURCES; i++)
		archive_source_fini(&a->sources[i]);
	free(a);
}

void
archive_conf(struct archive *a, const struct conf *fresh)
{
	take_conf(a, fresh);
}

void
archive_message(struct archive *a, const struct order_msg *msg)
{
	unsigned i;

	switch (msg->kind) {
	case ORDER_READ:
		archive_read_ask(a, msg);
		break;
	case ORDER_BROKER_HELLO:
		/* The dead one may have forgotten but a part of what it was told of. */
		for (i = 0; i < ARCHIVE_SOURCES; i++)
			a->sources[i].told = 0;
		break;
	case ORDER_SPOOLED:
		for (i = 0; i < ARCHIVE_SOURCES; i++)
			if (a->sources[i].tail != NULL)
				a->sources[i].more = true;
			else
				archive_source_look(&a->sources[i]);
		break;
	default:
		break;
	}
}

static void
tick(struct archive *a)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_SOURCES; i++)
		archive_source_look(&a->sources[i]);
	archive_store_tick(a);
	archive_write_tick(a);
	archive_read_tick(a, base_time_ms());
	stat_set(a->place.stat, archive_pause_ms, a->pace.pause);
}

/* When there is something to do though nothing comes from outside. */
static int64_t
due(const struct archive *a)
{
	int64_t at = a->tick_at;
	int64_t pace = archive_pace_due(&a->pace) / 1000 + 1;

	if (pace > base_time_ms())
		at = BASE_MIN(at, pace);
	if (a->write.wait != 0)
		at = BASE_MIN(at, a->write.wait);
	if (archive_read_more(a))
		return base_time_ms();
	at = BASE_MIN(
	    at, a->stuck ? base_time_ms() + STUCK_MS : archive_write_tell_at(a));
	return at;
}

/* False: the queue to the broker is full. */
static bool
tell(struct archive *a)
{
	return archive_write_tell(a) && archive_read_tell(a);
}

int64_t
archive_turn(struct archive *a)
{
	int64_t now = base_time_ms();

	archive_store_turn(a);
	archive_write_results(a);
	if (now >= a->tick_at) {
		a->tick_at = now + TICK_MS;
		tick(a);
	}
	a->stuck = !tell(a);
	if (!a->stuck) {
		archive_write_send(a);
		archive_read_send(a);
		a->stuck = !tell(a);
	}
	stat_set(a->place.stat, archive_bytes, archive_write_bytes(a) + a->reads.bytes);
	return due(a);
}

void
archive_stop(struct archive *a, int64_t deadline)
{
	if (a->stopping)
		return;
	a->stopping = true;
	a->stop_deadline = deadline;
	archive_store_stop(a, deadline);
}

static bool
told_all(const struct archive *a)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_SOURCES; i++)
		if (a->sources[i].told < a->sources[i].done)
			return false;
	return a->write.n_burials == 0;
}

bool
archive_ended(const struct archive *a)
{
	return a->stopping &&
	    ((a->store.life == ARCHIVE_CLOSED && told_all(a)) ||
		base_time_ms() > a->stop_deadline);
}

bool
archive_hung(const struct archive *a)
{
	return a->hung;
}
