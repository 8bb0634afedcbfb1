/*
 * ring_lane: the producer's side of a broadcast lane.
 *
 * A lane has one owner, who alone writes to it, and any number of readers, who
 * have cursors of their own (ring_read.h).  The owner never waits: it writes
 * over what a slow reader has not read, and the reader notices.  No lock and no
 * compare-and-swap; a process may be killed between any two instructions.
 *
 * Steps of a put, for a record that ends at END (layout: ring_layout.h):
 *
 *   1  base = seq, intent = END        from here on older bytes may be spoiled
 *   2  padding to the end of the lane, if the record does not fit before it
 *   3  header, name, body
 *   4  seq = seq + 1
 *   5  tail = END                      from here on the record exists
 *   6  ring_wake_mask, once a turn     (ring_wake.h)
 *
 * Steps of a reader at cursor C:
 *
 *   1  load tail; C == tail: nothing new
 *   2  copy the header; load intent; intent - C > lane: it was lapped
 *   3  only now believe the header
 *   4  copy name and body; load intent again; lapped: drop the copy
 *
 * Memory ordering, by C11:
 *
 *   operation                       order                   pairs with
 *   base, intent (1)                release; after intent   acquire fence after the
 *                                   a release fence         data, then load of intent
 *   data words (2, 3)               relaxed, 64 bits        each other, by the fences
 *   seq (4)                         release                 seq acquire, at a lap
 *   tail (5)                        release                 tail acquire
 *   tail, then armed (6)            seq_cst fence between   armed, then tails: the same
 *   armed                           exchange, acq_rel       store, before the fence
 *
 * Why the check holds: a data load that sees a byte of a later write comes, by
 * the fences, before a load of intent that sees at least that write's end.  So a
 * copy whose second look at intent is good holds no later byte; and all bytes
 * that were published before the tail that was loaded are seen.  This needs the
 * data accesses to be atomic (ring_copy.h).
 *
 * Who writes what: lane page and bytes, the owner of the slot; the armed word of
 * a slot, everybody; a bit of the interest table, the slot that it stands for.
 *
 * What a death leaves, and what the successor does in ring_lane_open:
 *
 *   died                        others see                    successor
 *   before 1                    nothing                       nothing
 *   after 1, before 5           nothing new; readers up to    pads [tail, intent), in
 *                               END - lane count as lapped    two records at the end of
 *                                                             the lane; seq = base;
 *                                                             tail = intent
 *   after 5, before 6           the record; maybe nobody      wakes all
 *                               is awake to see it
 *   in 6, armed word taken,     one sleeper whose flag is     wakes all, whether their
 *   eventfd not yet written     down and who sleeps on        flag is up or not
 *   in the repair               as before                     the same again: every
 *                                                             step may be repeated
 *
 * Intent is never lowered: a successor that went on from tail with a smaller
 * record would make the lap check pass for bytes that the dead owner spoiled.
 * The position that each record carries is the second net.
 *
 * A reader's death leaves nothing but its flag, which costs one write.
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
	uint64_t offset; /* place in the channel's stream, or the user's own */
	uint64_t seq; /* of the lane; set by the writer, counts from 1 */
	uint32_t name_len; /* bytes of the channel name, which come first */
	uint32_t body_len; /* bytes after the name */
	uint16_t type; /* RING_DATA or RING_CTRL */
	uint16_t flags; /* the user's: RING_F_... */
	uint16_t origin; /* slot of the writer; set by the writer */
};

#define RING_DATA 1
#define RING_CTRL 2 /* type 3 is the ring's own padding */

/* Bits of ring_head.flags; the ring itself gives them no meaning. */
#define RING_F_PLACED 1 /* offset is the place in the channel's stream */
#define RING_F_JOIN 2 /* for subscribers that want to know who comes and goes */

/*
 * Takes over the lane of SLOT, which is below ring_geom.lanes and whose former owner
 * is dead and reaped: pads what it left half-written, raises the epoch, wakes every
 * slot.  A lane is opened by at most one living process; a put through an older
 * handle asserts.
 */
void ring_lane_open(struct ring_seg *seg, unsigned slot, struct ring_lane **lane_r);
void ring_lane_close(struct ring_lane *lane);

/* Largest name + body that a record can hold: an eighth of the lane less its head
 * and less what may fill the name up to a word. */
size_t ring_lane_max(const struct ring_lane *lane);

/*
 * Appends one record; NAME and BODY's pieces are copied in.  name_len,
 * body_len, seq and origin of HEAD are set by it.  Pieces may have any length and
 * alignment.  Never waits.  Returns the position after the record;
 * base_assert on a record larger than ring_lane_max.
 */
uint64_t ring_lane_put(struct ring_lane *lane, struct ring_head *head,
    struct base_slice name, const struct iovec *body, int n_body);

/* End of what this owner has published. */
uint64_t ring_lane_tail(const struct ring_lane *lane);

#endif
