/*
 * ring_rec: see the header.
 */
#include "config.h"

#include "ring/ring_rec.h"

#include "base/base_assert.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"

static inline void
put_word(ring_word *rec, enum ring_rec_word word, uint64_t value)
{
	atomic_store_explicit(&rec[word], value, RING_DATA_STORE);
}

size_t
ring_rec_max(uint64_t size)
{
	return size / RING_SHARE - RING_HEAD_BYTES - (sizeof(uint64_t) - 1);
}

static size_t
body_bytes(const struct iovec *body, int n_body)
{
	size_t len = 0;

	for (int i = 0; i < n_body; i++)
		len += body[i].iov_len;
	return len;
}

void
ring_rec_fit(struct ring_head *head, struct base_slice name, const struct iovec *body,
    int n_body, uint64_t size, uint64_t tail, struct ring_fit *fit_r)
{
	size_t body_len = body_bytes(body, n_body);
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

void
ring_rec_pad(ring_word *data, uint64_t size, uint64_t pos, uint64_t len)
{
	ring_word *rec = ring_rec_place(data, size, pos);

	put_word(rec, RING_W_POS, pos);
	put_word(rec, RING_W_SHAPE, ring_shape((uint32_t)len, RING_PAD, 0));
}

static void
put_head(ring_word *rec, uint64_t pos, uint32_t len, const struct ring_head *head)
{
	put_word(rec, RING_W_POS, pos);
	put_word(rec, RING_W_SHAPE, ring_shape(len, head->type, head->flags));
	put_word(rec, RING_W_SEQ, head->seq);
	put_word(rec, RING_W_CHAN, head->chan);
	put_word(rec, RING_W_MASK, head->mask);
	put_word(rec, RING_W_TIME, head->time);
	put_word(rec, RING_W_OFFSET, head->offset);
	put_word(rec, RING_W_NAME, ring_name_word(head->name_len, head->origin));
}

void
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
	put_head(rec, fit->pos, (uint32_t)fit->len, head);
	RING_POINT(PUT_AFTER_HEAD);
	rec = ring_copy_in(rec + RING_WORDS, &name_piece, 1);
	ring_copy_in(rec, body, n_body);
}

void
ring_rec_peek(const ring_word *data, uint64_t size, uint64_t pos, struct ring_peek *p_r)
{
	ring_copy_out(p_r->words, data + (pos & (size - 1)) / sizeof(*data),
	    sizeof(p_r->words));
}

bool
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

void
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
