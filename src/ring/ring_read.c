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
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"
#include "ring/ring_rec.h"

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
	unsigned n = seg->geom.lanes;
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

/* The header was whole when read; is it one that the writer writes next? */
static bool
believable(const struct ring_reader *reader, const struct cursor *c,
    struct ring_peek *p)
{
	return ring_rec_believe(p, c->pos, c->tail, reader->size) &&
	    (p->type == RING_PAD || p->words[RING_W_SEQ] == c->seq + 1);
}

static enum ring_read_result
damaged(struct ring_reader *reader, unsigned slot, const struct ring_peek *p,
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

enum ring_read_result
ring_read_next(struct ring_reader *reader, unsigned slot, struct ring_head *head_r,
    uint64_t *lost_r)
{
	struct cursor *c = &reader->cursors[slot];
	struct ring_peek p;

	base_assert(slot < reader->n);
	for (;;) {
		if (c->pos == c->tail) {
			c->tail = ring_get(&c->page->tail);
			if (c->pos == c->tail)
				return RING_EMPTY;
		}
		RING_POINT(READ_BEFORE_HEAD);
		if (c->pos % RING_ALIGN != 0) {
			p = (struct ring_peek){ .len = 0 };
			return damaged(reader, slot, &p, lost_r);
		}
		ring_rec_peek(c->data, reader->size, c->pos, &p);
		RING_POINT(READ_AFTER_HEAD);
		if (overtaken(reader, c))
			return resync(c, lost_r);
		if (!believable(reader, c, &p))
			return damaged(reader, slot, &p, lost_r);
		if (p.type != RING_PAD)
			break;
		c->pos = c->end = c->pos + p.need;
	}
	ring_rec_show(&p, head_r);
	c->name_len = head_r->name_len;
	c->body_len = head_r->body_len;
	c->end = c->pos + p.need;
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
ring_read_position(const struct ring_reader *reader, unsigned slot)
{
	base_assert(slot < reader->n);
	return reader->cursors[slot].pos;
}

/*
 * Finds the number of the last record before C->pos, which is a place of a record:
 * one less than that of the first one after it, or, if only padding follows or
 * nothing, the last one of the lane.  False: no record is there.
 */
static bool
find_seq(const struct ring_reader *reader, struct cursor *c)
{
	struct cursor at = *c, last;
	struct ring_peek p;

	for (;;) {
		if (at.pos == at.tail) {
			last = at;
			sync_to_tail(&last);
			c->seq = last.seq;
			if (last.tail == at.tail)
				return true;
			at.tail = c->tail = last.tail;
		}
		ring_rec_peek(at.data, reader->size, at.pos, &p);
		if (overtaken(reader, c) ||
		    !ring_rec_believe(&p, at.pos, at.tail, reader->size))
			return false;
		if (p.type != RING_PAD)
			break;
		at.pos += p.need;
	}
	c->seq = p.words[RING_W_SEQ] - 1;
	return true;
}

bool
ring_read_seek(struct ring_reader *reader, unsigned slot, uint64_t pos)
{
	struct cursor *c = &reader->cursors[slot], at;

	base_assert(slot < reader->n);
	at = *c;
	at.pos = at.end = pos;
	at.tail = ring_get(&at.page->tail);
	if (pos % RING_ALIGN != 0 || at.tail - pos > reader->size ||
	    !find_seq(reader, &at))
		return false;
	RING_POINT(READ_SOUGHT);
	*c = at;
	return true;
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
