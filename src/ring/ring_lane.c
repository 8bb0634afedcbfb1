/*
 * ring_lane: see the header, which has the order of the steps and why.
 */
#include "config.h"

#include "ring/ring_lane.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"
#include "ring/ring_rec.h"

struct ring_lane {
	struct ring_lane_page *page;
	ring_word *data;
	uint64_t size, tail, seq, epoch;
	uint16_t slot;
};

/*
 * The dead owner spoiled its positions (a wild store): nothing between them can
 * be trusted.  Both are set beyond a whole lane, which every reader sees as a lap.
 */
static void
start_afresh(struct ring_lane *lane, uint64_t tail, uint64_t intent)
{
	uint64_t pos = BASE_ALIGN(BASE_MAX(tail, intent), RING_ALIGN) + 2 * lane->size;

	log_error(LOG_RING,
	    "lane was left with impossible positions, begun afresh slot=%u"
	    " tail=%" PRIu64 " intent=%" PRIu64,
	    lane->slot, tail, intent);
	lane->seq = ring_get_own(&lane->page->seq);
	ring_set(&lane->page->base, lane->seq);
	ring_set(&lane->page->intent, pos);
	lane->tail = pos;
	ring_set(&lane->page->tail, pos);
}

/* The dead owner was in the middle of a record: covers it with padding. */
static void
pad_torn(struct ring_lane *lane, uint64_t tail, uint64_t intent)
{
	uint64_t len, pos;

	/* The number of the torn record was never seen and is given again. */
	lane->seq = ring_get_own(&lane->page->base);
	ring_fence_release();
	for (pos = tail; pos < intent; pos += len) {
		uint64_t room = lane->size - (pos & (lane->size - 1));

		len = BASE_MIN(intent - pos, room);
		ring_rec_pad(lane->data, lane->size, pos, len);
		RING_POINT(REPAIR_MID);
	}
	ring_set(&lane->page->seq, lane->seq);
	RING_POINT(REPAIR_BEFORE_TAIL);
	/* Intent stays: lowering it would hide what the dead owner overwrote. */
	ring_set(&lane->page->tail, intent);
	lane->tail = intent;
	log_info(LOG_RING, "half-written record padded slot=%u bytes=%" PRIu64,
	    lane->slot, intent - tail);
}

static void
repair(struct ring_lane *lane)
{
	uint64_t tail = ring_get(&lane->page->tail);
	uint64_t intent = ring_get(&lane->page->intent);

	RING_POINT(REPAIR_BEFORE);
	/* A write is a record and the padding before it, each an eighth at most. */
	if (tail % RING_ALIGN != 0 || intent % RING_ALIGN != 0 ||
	    intent - tail > 2 * (lane->size / RING_SHARE)) {
		start_afresh(lane, tail, intent);
	} else if (tail != intent) {
		pad_torn(lane, tail, intent);
	} else {
		lane->seq = ring_get_own(&lane->page->seq);
		lane->tail = tail;
	}
	RING_POINT(REPAIR_AFTER_TAIL);
}

void
ring_lane_open(struct ring_seg *seg, unsigned slot, struct ring_lane **lane_r)
{
	struct ring_lane *lane = base_zalloc(sizeof(*lane));

	base_assert(slot < seg->geom.lanes);
	lane->page = ring_seg_lane(seg, slot);
	lane->data = ring_seg_data(seg, slot);
	lane->size = seg->geom.lane_size;
	lane->slot = (uint16_t)slot;
	repair(lane);
	lane->epoch = ring_get_own(&lane->page->epoch) + 1;
	ring_set(&lane->page->epoch, lane->epoch);
	ring_set(&lane->page->pid, (uint64_t)getpid());
	RING_POINT(REPAIR_BEFORE_WAKE);
	ring_wake_all(seg, slot);
	*lane_r = lane;
}

void
ring_lane_close(struct ring_lane *lane)
{
	free(lane);
}

size_t
ring_lane_max(const struct ring_lane *lane)
{
	return ring_rec_max(lane->size);
}

uint64_t
ring_lane_tail(const struct ring_lane *lane)
{
	return lane->tail;
}

uint64_t
ring_lane_put(struct ring_lane *lane, struct ring_head *head, struct base_slice name,
    const struct iovec *body, int n_body)
{
	struct ring_lane_page *page = lane->page;
	struct ring_fit fit;

	/* Another owner has opened this lane: this one must be dead. */
	base_assert(ring_get_own(&page->epoch) == lane->epoch);
	ring_rec_fit(head, name, body, n_body, lane->size, lane->tail, &fit);
	head->origin = lane->slot;
	head->seq = lane->seq + 1;

	RING_POINT(PUT_BEFORE_INTENT);
	ring_set(&page->base, lane->seq);
	ring_set(&page->intent, fit.end);
	ring_fence_release();
	RING_POINT(PUT_AFTER_INTENT);
	ring_rec_write(lane->data, lane->size, &fit, head, name, body, n_body);
	RING_POINT(PUT_BEFORE_SEQ);
	lane->seq++;
	ring_set(&page->seq, lane->seq);
	RING_POINT(PUT_BEFORE_TAIL);
	ring_set(&page->tail, fit.end);
	lane->tail = fit.end;
	RING_POINT(PUT_AFTER_TAIL);
	return fit.end;
}
