/*
 * archive_pace: how much is written to the database, and when.
 *
 * A ceiling of messages a second, kept over every stretch that is longer than a batch.
 * After a failure a pause with full jitter: anything up to a bound that doubles with
 * each failure in a row, so that many servers do not come back to one database at the
 * same moment.  Then a small batch to see whether it works again, and each that does
 * doubles the next, up to whole batches: so too at the start.
 *
 * No clock of its own: microseconds, monotonic, are given.
 */
#ifndef ARCHIVE_ARCHIVE_PACE_H
#define ARCHIVE_ARCHIVE_PACE_H

#include "base/base_defs.h"

/* Messages of the first batch after a failure. */
#define ARCHIVE_PROBE 10
/* Bound of the first pause, ms. */
#define ARCHIVE_PAUSE_MIN 100

struct archive_pace {
	int64_t batch, rate, pause_max; /* store_batch, store_rate, store_retry_max */
	int64_t window; /* messages of the next batch; at most batch */
	int64_t free_at; /* the ceiling allows the next batch */
	int64_t retry_at; /* after a failure; 0: none */
	int64_t pause; /* of the last failure, ms; 0: none */
	unsigned fails; /* in a row */
};

void archive_pace_init(struct archive_pace *p);
void archive_pace_conf(
    struct archive_pace *p, int64_t batch, int64_t rate, int64_t pause_max);

/* Messages that the next batch may have; at least one. */
size_t archive_pace_want(const struct archive_pace *p);
/* Batches are whole: two may be under way. */
bool archive_pace_full(const struct archive_pace *p);
/* When it may be sent; not in the future: now. */
int64_t archive_pace_due(const struct archive_pace *p);

void archive_pace_sent(struct archive_pace *p, size_t n, int64_t now);
/* A batch was written. */
void archive_pace_good(struct archive_pace *p);
/* It was not; RANDOM: any number.  Sets the pause. */
void archive_pace_bad(struct archive_pace *p, int64_t now, uint32_t random);
/* It was refused as a whole, with N messages: the next has half of them. */
void archive_pace_halve(struct archive_pace *p, size_t n);

#endif
