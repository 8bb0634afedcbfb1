/*
 * ring_interest: see the header.
 */
#include "config.h"

#include "ring/ring_interest.h"

#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"

struct ring_interest {
	ring_word *table;
	uint64_t bit, last; /* last bucket: buckets - 1 */
	uint32_t counts[]; /* channels of this slot in each bucket */
};

void
ring_interest_open(struct ring_seg *seg, unsigned slot,
    struct ring_interest **interest_r)
{
	uint64_t n = seg->geom.interest_buckets;
	struct ring_interest *in =
	    base_zalloc(sizeof(*in) + n * sizeof(in->counts[0]));

	base_assert(slot < seg->geom.slots);
	in->table = ring_seg_interest(seg);
	in->bit = UINT64_C(1) << slot;
	in->last = n - 1;
	for (uint64_t i = 0; i < n; i++) {
		if ((atomic_load_explicit(&in->table[i], memory_order_relaxed) &
		    in->bit) == 0)
			continue; /* the line stays clean in the other caches */
		atomic_fetch_and(&in->table[i], ~in->bit);
		RING_POINT(INTEREST_OPEN);
	}
	*interest_r = in;
}

void
ring_interest_close(struct ring_interest *interest)
{
	free(interest);
}

void
ring_interest_add(struct ring_interest *interest, uint64_t chan)
{
	uint64_t i = chan & interest->last;

	base_assert(interest->counts[i] < UINT32_MAX);
	if (interest->counts[i]++ == 0)
		atomic_fetch_or(&interest->table[i], interest->bit);
	RING_POINT(INTEREST_ADD);
}

void
ring_interest_del(struct ring_interest *interest, uint64_t chan)
{
	uint64_t i = chan & interest->last;

	base_assert(interest->counts[i] > 0);
	if (--interest->counts[i] == 0)
		atomic_fetch_and(&interest->table[i], ~interest->bit);
	RING_POINT(INTEREST_DEL);
}

uint64_t
ring_interest_mask(const struct ring_seg *seg, uint64_t chan)
{
	ring_word *table = ring_seg_interest(seg);
	uint64_t last = seg->geom.interest_buckets - 1;

	return atomic_load_explicit(&table[chan & last], memory_order_acquire);
}
