/*
 * bench_track: which messages of a publisher a subscriber has seen.
 *
 * A publisher numbers its messages 1, 2, 3...  A subscriber keeps one track for
 * each publisher of its room: the highest number seen and the holes below it.
 * Nothing is assumed away: a number that is not in order is a duplicate unless
 * it fills a hole, and a hole that is never filled is a loss.
 */
#ifndef BENCH_TRACK_H
#define BENCH_TRACK_H

#include "base/base_defs.h"

/* Holes that one track remembers; with more, the oldest counts as lost at once. */
#define BENCH_GAPS_MAX 1024

struct bench_gap {
	uint32_t from, to; /* both inclusive */
};

struct bench_gaps {
	struct bench_gap *v;
	uint32_t n, cap;
};

struct bench_pub {
	uint32_t seq; /* last number that was published */
	uint32_t answered; /* highest number that the server answered */
	uint32_t conn; /* the connection that publishes */
	uint64_t *sent; /* when each of the last n_sent was, by number mod n_sent */
	uint32_t n_sent; /* a power of two; 0: there are no answers */
	struct bench_gaps excused; /* nobody has to get these; in growing order */
};

struct bench_track {
	uint32_t base; /* what was published up to here is not expected */
	uint32_t last; /* highest number seen */
	struct bench_gaps holes; /* in growing order */
};

enum bench_seen {
	BENCH_SEEN_NEW, /* in order, or with a hole before it */
	BENCH_SEEN_LATE, /* fills a hole: came out of order */
	BENCH_SEEN_AGAIN, /* a duplicate */
	BENCH_SEEN_EARLY, /* published before the subscription was confirmed */
	BENCH_SEEN_OLD, /* out of order, and too old to tell late from duplicate */
};

/* A subscription is confirmed: what is published from now on is expected. */
void bench_track_start(struct bench_track *t, const struct bench_pub *pub);

/* For the numbers that are not the next one; LOST_R counts holes given up. */
enum bench_seen bench_track_take_slow(
    struct bench_track *t, const struct bench_pub *pub, uint32_t seq, uint64_t *lost_r);

static inline enum bench_seen
bench_track_take(
    struct bench_track *t, const struct bench_pub *pub, uint32_t seq, uint64_t *lost_r)
{
	if (BASE_LIKELY(seq == t->last + 1)) {
		t->last = seq;
		return BENCH_SEEN_NEW;
	}
	return bench_track_take_slow(t, pub, seq, lost_r);
}

/*
 * Ends a session.  Adds to HOLES_R what is missing before the last message seen,
 * to TAIL_R what is missing after it; what is excused counts in neither.  Both
 * are then forgotten: a second call adds what was published in between.
 */
void bench_track_end(struct bench_track *t, const struct bench_pub *pub,
    uint64_t *holes_r, uint64_t *tail_r);

/*
 * Nobody has to get the messages FROM..TO: refused, or their fate is unknown.  Comes
 * in growing order, as answers do; what was excused before is left out.
 */
void bench_pub_excuse(struct bench_pub *pub, uint32_t from, uint32_t to);

#endif
