/*
 * ring_rec: one record in the bytes of a lane, of either kind: where it comes to
 * lie, how it is written, and whether what was read of it may be believed.
 *
 * Whoever writes or reads sees to the order (ring_lane.h, ring_queue.h).  All of it
 * is inline: a call costs as much as what most of these do.
 */
#ifndef RING_REC_H
#define RING_REC_H

#include "base/base_assert.h"
#include "ring/ring_copy.h"
#include "ring/ring_fail.h"
#include "ring/ring_lane.h"
#include "ring/ring_priv.h"

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

static inline void
ring_rec_word(ring_word *rec, enum ring_rec_word word, uint64_t value)
{
	atomic_store_explicit(&rec[word], value, RING_DATA_STORE);
}

/* Largest name + body of a record in a lane of SIZE bytes; a name may be filled up
 * to a word. */
static inline size_t
ring_rec_max(uint64_t size)
{
	return size / RING_SHARE - RING_HEAD_BYTES - (sizeof(uint64_t) - 1);
}

static inline size_t
ring_rec_body(const struct iovec *body, int n_body)
{
	size_t len = 0;

	for (int i = 0; i < n_body; i++)
		len += body[i].iov_len;
	return len;
}

/*
 * Sets name_len and body_len of HEAD and says where the record goes in a lane of
 * SIZE bytes that ends at TAIL.  base_assert on one that is too large or of a type
 * that is not the user's.
 */
static inline void
ring_rec_fit(struct ring_head *head, struct base_slice name, const struct iovec *body,
    int n_body, uint64_t size, uint64_t tail, struct ring_fit *fit_r)
{
	size_t body_len = ring_rec_body(body, n_body);
	uint64_t need, room = size - (tail & (size - 1));

	base_assert(name.len <= ring_rec_max(size));
	base_assert(body_len <= ring_rec_max(size) - name.len);
	base_assert(head->type == RING_DATA || head->type == RING_CTRL);
	head->name_len = (uint32_t)name.len;
	head->body_len = (uint32_t)body_len;
	fit_r->len =
	    RING_HEAD_BYTES + BASE_ALIGN(name.len, sizeof(uint64_t)) + body_len;
	need = BASE_ALIGN(fit_r->len, RING_ALIGN);
	fit_r->pad_pos = tail;
	fit_r->pad = need <= room ? 0 : room;
	fit_r->pos = tail + fit_r->pad;
	fit_r->end = fit_r->pos + need;
}

/* A padding record of LEN bytes. */
static inline void
ring_rec_pad(ring_word *data, uint64_t size, uint64_t pos, uint64_t len)
{
	ring_word *rec = ring_rec_place(data, size, pos);

	ring_rec_word(rec, RING_W_POS, pos);
	ring_rec_word(rec, RING_W_SHAPE, ring_shape((uint32_t)len, RING_PAD, 0));
}

static inline void
ring_rec_head(ring_word *rec, uint64_t pos, uint32_t len, const struct ring_head *head)
{
	ring_rec_word(rec, RING_W_POS, pos);
	ring_rec_word(rec, RING_W_SHAPE, ring_shape(len, head->type, head->flags));
	ring_rec_word(rec, RING_W_SEQ, head->seq);
	ring_rec_word(rec, RING_W_CHAN, head->chan);
	ring_rec_word(rec, RING_W_MASK, head->mask);
	ring_rec_word(rec, RING_W_TIME, head->time);
	ring_rec_word(rec, RING_W_OFFSET, head->offset);
	ring_rec_word(rec, RING_W_NAME, ring_name_word(head->name_len, head->origin));
}

/* Writes padding, header, name and body where FIT says. */
static inline void
ring_rec_write(ring_word *data, uint64_t size, const struct ring_fit *fit,
    const struct ring_head *head, struct base_slice name, const struct iovec *body,
    int n_body)
{
	struct iovec name_piece = { .iov_base = (void *)(uintptr_t)name.p,
		.iov_len = name.len };
	ring_word *rec;

	if (fit->pad > 0) {
		ring_rec_pad(data, size, fit->pad_pos, fit->pad);
		RING_POINT(PUT_AFTER_PAD);
	}
	rec = ring_rec_place(data, size, fit->pos);
	ring_rec_head(rec, fit->pos, (uint32_t)fit->len, head);
	RING_POINT(PUT_AFTER_HEAD);
	rec = ring_copy_in(rec + RING_WORDS, &name_piece, 1);
	ring_copy_in(rec, body, n_body);
}

/* Reads the header at POS. */
static inline void
ring_rec_peek(const ring_word *data, uint64_t size, uint64_t pos, struct ring_peek *p_r)
{
	ring_copy_out(p_r->words, data + (pos & (size - 1)) / sizeof(*data),
	    sizeof(p_r->words));
}

/*
 * True if P, read at POS of a lane of SIZE bytes that ends at TAIL, is a header that
 * a writer writes; need, len and type are valid then.  The number is the caller's to
 * check.
 */
static inline bool
ring_rec_believe(struct ring_peek *p, uint64_t pos, uint64_t tail, uint64_t size)
{
	uint64_t name_len;

	p->len = ring_shape_len(p->words[RING_W_SHAPE]);
	p->type = ring_shape_type(p->words[RING_W_SHAPE]);
	p->need = BASE_ALIGN((uint64_t)p->len, RING_ALIGN);
	if (p->words[RING_W_POS] != pos || p->len < RING_HEAD_BYTES ||
	    p->need > tail - pos || p->need > size - (pos & (size - 1)))
		return false;
	if (p->type == RING_PAD)
		return p->need == p->len;
	name_len = (uint32_t)p->words[RING_W_NAME];
	return (p->type == RING_DATA || p->type == RING_CTRL) &&
	    p->len <= size / RING_SHARE &&
	    BASE_ALIGN(name_len, sizeof(uint64_t)) <= p->len - RING_HEAD_BYTES;
}

/* A believed header that is not padding. */
static inline void
ring_rec_show(const struct ring_peek *p, struct ring_head *head_r)
{
	head_r->chan = p->words[RING_W_CHAN];
	head_r->mask = p->words[RING_W_MASK];
	head_r->time = p->words[RING_W_TIME];
	head_r->offset = p->words[RING_W_OFFSET];
	head_r->seq = p->words[RING_W_SEQ];
	head_r->name_len = (uint32_t)p->words[RING_W_NAME];
	head_r->body_len = (uint32_t)(p->len - RING_HEAD_BYTES -
	    BASE_ALIGN((uint64_t)head_r->name_len, sizeof(uint64_t)));
	head_r->type = p->type;
	head_r->flags = ring_shape_flags(p->words[RING_W_SHAPE]);
	head_r->origin = (uint16_t)(p->words[RING_W_NAME] >> 32);
}

#endif
