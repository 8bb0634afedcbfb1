/*
 * ring_rec: one record in the bytes of a lane, of either kind: where it comes to
 * lie, how it is written, and whether what was read of it may be believed.
 *
 * Whoever writes or reads sees to the order (ring_lane.h, ring_queue.h).
 */
#ifndef RING_REC_H
#define RING_REC_H

#include "ring/ring_copy.h"
#include "ring/ring_lane.h"

/* Where a record comes to lie in a lane that ends at some position. */
struct ring_fit {
	uint64_t pad_pos, pad; /* padding before it; pad is 0 when it needs none */
	uint64_t pos, len; /* the record, without what fills it to RING_ALIGN */
	uint64_t end; /* of the lane, with it */
};

/* A header as it was read, before it is believed. */
struct ring_peek {
	uint64_t words[RING_WORDS];
	uint64_t need; /* length with alignment */
	uint32_t len;
	uint16_t type;
};

static inline ring_word *
ring_rec_place(ring_word *data, uint64_t size, uint64_t pos)
{
	return data + (pos & (size - 1)) / sizeof(ring_word);
}

/* Largest name + body of a record in a lane of SIZE bytes; a name may be filled up
 * to a word. */
size_t ring_rec_max(uint64_t size);

/*
 * Sets name_len and body_len of HEAD and says where the record goes in a lane of
 * SIZE bytes that ends at TAIL.  base_assert on one that is too large or of a type
 * that is not the user's.
 */
void ring_rec_fit(struct ring_head *head, struct base_slice name,
    const struct iovec *body, int n_body, uint64_t size, uint64_t tail,
    struct ring_fit *fit_r);

/* Writes padding, header, name and body where FIT says. */
void ring_rec_write(ring_word *data, uint64_t size, const struct ring_fit *fit,
    const struct ring_head *head, struct base_slice name, const struct iovec *body,
    int n_body);

/* A padding record of LEN bytes. */
void ring_rec_pad(ring_word *data, uint64_t size, uint64_t pos, uint64_t len);

/* Reads the header at POS. */
void ring_rec_peek(const ring_word *data, uint64_t size, uint64_t pos,
    struct ring_peek *p_r);

/*
 * True if P, read at POS of a lane of SIZE bytes that ends at TAIL, is a header that
 * a writer writes; need, len and type are valid then.  The number is the caller's to
 * check.
 */
bool ring_rec_believe(struct ring_peek *p, uint64_t pos, uint64_t tail, uint64_t size);

/* A believed header that is not padding. */
void ring_rec_show(const struct ring_peek *p, struct ring_head *head_r);

#endif
