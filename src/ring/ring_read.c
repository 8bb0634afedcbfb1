/*
 * ring_read: see the header; ring_lane.h has the ordering table.
 */
#include "config.h"

#include "ring/ring_read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "ring/ring_copy.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"

/* Looks at a lane that moves under us before a count may be one too small. */
#define SYNC_TRIES 1000

struct cursor {
	const struct ring_lane_page *page;
	const ring_word *data;
	uint64_t pos; /* of the next record */
	uint64_t tail; /* last seen; loaded again when pos comes to it */
	uint64_t seq; /* of the last record passed */
	uint64_t end; /* of the record that was shown; pos when none is */
	uint32_t name_len, body_len; /* of the record that was shown */
};

struct ring_reader {
	uint64_t size; /* of a lane */
	uint64_t damaged;
	unsigned n;
	struct cursor cursors[];
};

/* What is read of a header, before it is believed. */
struct peek {
	uint64_t words[RING_WORDS];
	uint64_t need; /* length with alignment */
	uint32_t len;
	uint16_t type;
};

/*
 * Tail, and the number of the last record before it, as of one moment.  They are
 * two words, so the four words of the page are read in the reverse order of their
 * writing: intent still at the tail means that seq is that of the tail; intent
 * beyond it means a write is in progress, and base is.
 */
static void
sync_to_tail(struct cursor *c)
{
	uint64_t tail, seq, intent, base;

	for (unsigned i = 0; i < SYNC_TRIES; i++) {
		tail = ring_get(&c->page->tail);
		seq = ring_get(&c->page->seq);
		intent = ring_get(&c->page->intent);
		base = ring_get(&c->page->base);
		c->seq = intent == tail ? seq : base;
		if (ring_get(&c->page->tail) == tail)
			break;
	}
	c->pos = c->tail = c->end = tail;
}

void
ring_reader_new(struct ring_seg *seg, struct ring_reader **reader_r)
{
	unsigned n = seg->geom.slots;
	struct ring_reader *reader =
	    base_zalloc(sizeof(*reader) + n * sizeof(reader->cursors[0]));

	reader->size = seg->geom.lane_size;
	reader->n = n;
	for (unsigned i = 0; i < n; i++) {
		reader->cursors[i].page = ring_seg_lane(seg, i);
		reader->cursors[i].data = ring_seg_data(seg, i);
		sync_to_tail(&reader->cursors[i]);
	}
	*reader_r = reader;
}

void
ring_reader_free(struct ring_reader *reader)
{
	free(reader);
}

static inline const ring_word *
place(const struct ring_reader *reader, const struct cursor *c, uint64_t pos)
{
	return c->data + (pos & (reader->size - 1)) / sizeof(ring_word);
}

/* True if the writer has begun to overwrite what lies at the cursor. */
static inline bool
overtaken(const struct ring_reader *reader, const struct cursor *c)
{
	ring_fence_acquire();
	return ring_get(&c->page->intent) - c->pos > reader->size;
}

/* Gives up what lies between the cursor and the tail. */
static enum ring_read_result
resync(struct cursor *c, uint64_t *lost_r)
{
	uint64_t seq = c->seq;

	sync_to_tail(c);
	/* A lane begun afresh may count from less. */
	*lost_r = (int64_t)(c->seq - seq) > 0 ? c->seq - seq : 0;
	RING_POINT(READ_LAPPED);
	return RING_LAPPED;
}

/* The header was whole when read; is it one that a writer writes? */
static bool
believable(const struct ring_reader *reader, const struct cursor *c, struct peek *p)
{
	uint64_t place_off = c->pos & (reader->size - 1), name_len;

	p->len = ring_shape_len(p->words[RING_W_SHAPE]);
	p->type = ring_shape_type(p->words[RING_W_SHAPE]);
	p->need = BASE_ALIGN((uint64_t)p->len, RING_ALIGN);
	if (p->words[RING_W_POS] != c->pos || p->len < RING_HEAD_BYTES ||
	    p->need > c->tail - c->pos || p->need > reader->size - place_off)
		return false;
	if (p->type == RING_PAD)
		return p->need == p->len;
	name_len = (uint32_t)p->words[RING_W_NAME];
	return (p->type == RING_DATA || p->type == RING_CTRL) &&
	    p->len <= reader->size / RING_SHARE &&
	    BASE_ALIGN(name_len, sizeof(uint64_t)) <= p->len - RING_HEAD_BYTES &&
	    p->words[RING_W_SEQ] == c->seq + 1;
}

static enum ring_read_result
damaged(struct ring_reader *reader, unsigned slot, const struct peek *p,
    uint64_t *lost_r)
{
	struct cursor *c = &reader->cursors[slot];

	/* Not every one: a wild writer could fill the disk with them. */
	reader->damaged++;
	if ((reader->damaged & (reader->damaged - 1)) == 0)
		log_error(LOG_RING,
		    "record contradicts itself slot=%u at=%" PRIu64 " tail=%" PRIu64
		    " pos=%" PRIu64 " shape=%#" PRIx64 " seq=%" PRIu64 " name=%#" PRIx64
		    " count=%" PRIu64,
		    slot, c->pos, c->tail, p->words[RING_W_POS], p->words[RING_W_SHAPE],
		    p->words[RING_W_SEQ], p->words[RING_W_NAME], reader->damaged);
	return resync(c, lost_r);
}

static void
show(struct cursor *c, const struct peek *p, struct ring_head *head)
{
	head->chan = p->words[RING_W_CHAN];
	head->mask = p->words[RING_W_MASK];
	head->time = p->words[RING_W_TIME];
	head->offset = p->words[RING_W_OFFSET];
	head->seq = p->words[RING_W_SEQ];
	head->name_len = (uint32_t)p->words[RING_W_NAME];
	head->body_len = (uint32_t)(p->len - RING_HEAD_BYTES -
	    BASE_ALIGN((uint64_t)head->name_len, sizeof(uint64_t)));
	head->type = p->type;
	head->flags = ring_shape_flags(p->words[RING_W_SHAPE]);
	head->origin = (uint16_t)(p->words[RING_W_NAME] >> 32);
	c->name_len = head->name_len;
	c->body_len = head->body_len;
	c->end = c->pos + p->need;
}

enum ring_read_result
ring_read_next(struct ring_reader *reader, unsigned slot, struct ring_head *head_r,
    uint64_t *lost_r)
{
	struct cursor *c = &reader->cursors[slot];
	struct peek p;

	base_assert(slot < reader->n);
	for (;;) {
		if (c->pos == c->tail) {
			c->tail = ring_get(&c->page->tail);
			if (c->pos == c->tail)
				return RING_EMPTY;
		}
		RING_POINT(READ_BEFORE_HEAD);
		if (c->pos % RING_ALIGN != 0) {
			p = (struct peek){ 0 };
			return damaged(reader, slot, &p, lost_r);
		}
		ring_copy_out(p.words, place(reader, c, c->pos), sizeof(p.words));
		RING_POINT(READ_AFTER_HEAD);
		if (overtaken(reader, c))
			return resync(c, lost_r);
		if (!believable(reader, c, &p))
			return damaged(reader, slot, &p, lost_r);
		if (p.type != RING_PAD)
			break;
		c->pos = c->end = c->pos + p.need;
	}
	show(c, &p, head_r);
	return RING_RECORD;
}

bool
ring_read_copy(struct ring_reader *reader, unsigned slot, void *name, void *body)
{
	struct cursor *c = &reader->cursors[slot];
	const ring_word *rec;

	base_assert(slot < reader->n && c->end != c->pos);
	rec = place(reader, c, c->pos) + RING_WORDS;
	ring_copy_out(name, rec, c->name_len);
	rec += BASE_ALIGN((size_t)c->name_len, sizeof(*rec)) / sizeof(*rec);
	ring_copy_out(body, rec, c->body_len);
	RING_POINT(READ_BEFORE_CHECK);
	if (overtaken(reader, c)) {
		c->end = c->pos;
		return false;
	}
	RING_POINT(READ_AFTER_CHECK);
	ring_read_skip(reader, slot);
	return true;
}

void
ring_read_skip(struct ring_reader *reader, unsigned slot)
{
	struct cursor *c = &reader->cursors[slot];

	base_assert(slot < reader->n && c->end != c->pos);
	c->pos = c->end;
	c->seq++;
}

uint64_t
ring_read_behind(const struct ring_reader *reader, unsigned slot)
{
	const struct cursor *c = &reader->cursors[slot];

	base_assert(slot < reader->n);
	return ring_get(&c->page->tail) - c->pos;
}

bool
ring_read_pending(const struct ring_reader *reader)
{
	for (unsigned i = 0; i < reader->n; i++)
		if (ring_read_behind(reader, i) != 0)
			return true;
	return false;
}

uint64_t
ring_read_damaged(const struct ring_reader *reader)
{
	return reader->damaged;
}
