/*
 * ring_interest: which slots have a subscriber in which bucket of channels.
 *
 * A subscriber is answered only after ring_interest_add returned, so a message
 * that is published because of the answer finds the bit set.  A bit that is set
 * needlessly costs a look, never a message.  What a dead process leaves set stays
 * so until its successor opens its slot.
 *
 * A bucket is a word of bits, one a slot; several channels share one, so each slot
 * counts its channels of a bucket in private memory and changes its bit at the
 * first and the last of them only.
 */
#ifndef RING_INTEREST_H
#define RING_INTEREST_H

#include "ring/ring_seg.h"

struct ring_interest; /* one slot's counts; private memory */

/* Clears what a former owner of SLOT left. */
void ring_interest_open(struct ring_seg *seg, unsigned slot,
    struct ring_interest **interest_r);
void ring_interest_close(struct ring_interest *interest);

/* One more, or one less, channel with local subscribers and this hash. */
void ring_interest_add(struct ring_interest *interest, uint64_t chan);
void ring_interest_del(struct ring_interest *interest, uint64_t chan);

/* Slots to which a message for this hash must go. */
uint64_t ring_interest_mask(const struct ring_seg *seg, uint64_t chan);

#endif
