/*
 * ring_lane: the producer's side of a broadcast lane.
 *
 * (The module's author completes this comment: memory ordering, who may write
 * what, what a crash at each step leaves.)
 */
#ifndef RING_LANE_H
#define RING_LANE_H

#include <sys/uio.h>

#include "ring/ring_seg.h"

struct ring_lane; /* the owner's handle; private memory */

/* What a record says of itself beside its bytes. */
struct ring_head {
	uint64_t chan; /* hash of the channel name */
	uint64_t mask; /* slots with interest when it was written */
	uint64_t time; /* wall clock, ns */
	uint64_t offset; /* place in the channel's stream, or 0 */
	uint64_t seq; /* of the lane; set by the writer, counts from 1 */
	uint32_t name_len; /* bytes of the channel name, which come first */
	uint32_t body_len; /* bytes after the name */
	uint16_t type; /* RING_DATA or RING_CTRL */
	uint16_t flags; /* the user's */
	uint16_t origin; /* slot of the writer; set by the writer */
};

#define RING_DATA 1
#define RING_CTRL 2

/*
 * Takes over the lane of SLOT, whose former owner is dead and reaped: pads what
 * it left half-written, raises the epoch, wakes every sleeper.
 */
void ring_lane_open(struct ring_seg *seg, unsigned slot, struct ring_lane **lane_r);
void ring_lane_close(struct ring_lane *lane);

/* Largest name + body that a record can hold: an eighth of the lane less its head. */
size_t ring_lane_max(const struct ring_lane *lane);

/*
 * Appends one record; NAME and BODY's pieces are copied in.  name_len and
 * body_len of HEAD are set by it.  Never waits.  Returns the position after the
 * record; base_assert on a record larger than ring_lane_max.
 */
uint64_t ring_lane_put(struct ring_lane *lane, struct ring_head *head,
    struct base_slice name, const struct iovec *body, int n_body);

/* End of what this owner has published. */
uint64_t ring_lane_tail(const struct ring_lane *lane);

#endif
