/*
 * ring_read: one process's cursors over all broadcast lanes.
 *
 * Cursors are private memory: the death of a reader leaves nothing.  A reader is
 * never waited for: one that falls a whole lane behind is told how many records
 * it lost, and goes on at the tail.  Ordering: see ring_lane.h.
 *
 * The caller bounds what it takes from one lane in a turn, by records and bytes,
 * and goes round the lanes.
 */
#ifndef RING_READ_H
#define RING_READ_H

#include "ring/ring_lane.h"

struct ring_reader; /* private memory */

enum ring_read_result {
	RING_EMPTY, /* nothing new on that lane */
	RING_RECORD, /* head_r is filled; take it with ring_read_copy or _skip */
	RING_LAPPED, /* the writer came round: *lost_r records are gone, go on */
};

/* Cursors start at the tails of now. */
void ring_reader_new(struct ring_seg *seg, struct ring_reader **reader_r);
void ring_reader_free(struct ring_reader *reader);

/*
 * Looks at the next record of the lane of SLOT (below ring_geom.lanes).  Padding is
 * passed over silently.  A record that contradicts itself counts as a lap (and in
 * ring_read_damaged).
 * Touches the record's header only, one cache line: a caller that is not in
 * head_r->mask skips it without a look at the rest.  Called again before _copy or
 * _skip, it shows the same record, or a lap.
 *
 * *lost_r is written with RING_LAPPED alone: how many records (data and control,
 * not padding) lay between the last one passed and the place to go on.  It is
 * exact, save on a lane that moves at each of a thousand looks (then it may be too
 * small) and after damage.
 */
enum ring_read_result ring_read_next(struct ring_reader *reader, unsigned slot,
    struct ring_head *head_r, uint64_t *lost_r);

/*
 * Copies the record that ring_read_next showed: name_len bytes to NAME and
 * body_len bytes to BODY, then moves the cursor past it.  False: it was
 * overwritten meanwhile, the bytes are worthless, and the next ring_read_next
 * says RING_LAPPED.
 */
bool ring_read_copy(struct ring_reader *reader, unsigned slot, void *name, void *body);

/* Moves past the record that ring_read_next showed. */
void ring_read_skip(struct ring_reader *reader, unsigned slot);

/* Where the cursor of lane SLOT stands: all records before it were passed. */
uint64_t ring_read_position(const struct ring_reader *reader, unsigned slot);

/*
 * Moves the cursor of lane SLOT to POS: what the lane's tail was at some time, in
 * this segment (ring_seg_boot).  False: the lane does not hold what was put there any
 * more, or POS never was such a place; the cursor stays.  True: the records from POS
 * on come next, exactly numbered, but the writer goes on, so each may still be lost.
 */
bool ring_read_seek(struct ring_reader *reader, unsigned slot, uint64_t pos)
    BASE_MUST_CHECK;

/* Bytes between the cursor and the tail of lane SLOT. */
uint64_t ring_read_behind(const struct ring_reader *reader, unsigned slot);
/* True if any lane has something new. */
bool ring_read_pending(const struct ring_reader *reader);
/* Records that contradicted themselves; 0 in a healthy life. */
uint64_t ring_read_damaged(const struct ring_reader *reader);

#endif
