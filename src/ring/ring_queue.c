/*
 * ring_queue: see the header, which has the order of the steps and why.
 */
#include "config.h"

#include "ring/ring_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"
#include "ring/ring_rec.h"

struct ring_queue_out {
	struct ring_queue_page *page; /* own */
	const struct ring_queue_page *peer;
	ring_word *data;
	uint64_t size, tail, seq, turn;
	uint64_t done; /* last seen of the consumer's */
	uint16_t slot; /* of the queue */
	uint16_t origin; /* slot of the sender */
	bool broken;
};

struct ring_queue_in {
	struct ring_queue_page *page; /* own */
	const struct ring_queue_page *peer;
	const ring_word *data;
	uint64_t size, done, turn;
	uint64_t pos; /* of the next record */
	uint64_t tail; /* last seen; loaded again when pos comes to it */
	uint64_t seq; /* of the last record shown; 0 before the first */
	uint16_t slot;
	bool broken;
};

static const char *
lane_name(enum ring_queue_side sender)
{
	return sender == RING_QUEUE_CLIENT ? "request" : "reply";
}

static enum ring_queue_side
other(enum ring_queue_side side)
{
	return side == RING_QUEUE_CLIENT ? RING_QUEUE_BROKER : RING_QUEUE_CLIENT;
}

/* Can a lane be so: DONE and TAIL at records, at most a whole lane between them? */
static bool
possible(uint64_t done, uint64_t tail, uint64_t size)
{
	return done % RING_ALIGN == 0 && tail % RING_ALIGN == 0 && tail - done <= size;
}

/* The number of the last record before TAIL: that of the mark that ends there. */
static bool
find_seq(const struct ring_queue_page *page, uint64_t tail, uint64_t *seq_r)
{
	for (unsigned i = 0; i < BASE_COUNT(page->marks); i++) {
		if (ring_get(&page->marks[i].end) != tail)
			continue;
		*seq_r = ring_get(&page->marks[i].seq);
		/* Number N is in mark N modulo 2. */
		if (*seq_r % BASE_COUNT(page->marks) == i)
			return true;
	}
	return false;
}

static void
check_queue(const struct ring_seg *seg, unsigned slot)
{
	base_assert(seg->geom.queue_size != 0);
	base_assert(slot < seg->geom.slots && slot != ring_seg_broker(seg));
}

int
ring_queue_out_open(struct ring_seg *seg, unsigned slot, enum ring_queue_side side,
    struct ring_queue_out **out_r, char *err, size_t errlen)
{
	struct ring_queue_page *page;
	struct ring_queue_out *out;
	uint64_t tail, done, seq;

	check_queue(seg, slot);
	page = ring_seg_queue(seg, slot, side);
	tail = ring_get(&page->tail);
	done = ring_get(&ring_seg_queue(seg, slot, other(side))->done);
	if (!possible(done, tail, seg->geom.queue_size) ||
	    !find_seq(page, tail, &seq)) {
		snprintf(err, errlen,
		    "%s queue of slot %u: impossible positions: tail %" PRIu64
		    ", done %" PRIu64 ", marks %" PRIu64 " and %" PRIu64,
		    lane_name(side), slot, tail, done, ring_get(&page->marks[0].end),
		    ring_get(&page->marks[1].end));
		return -1;
	}
	RING_POINT(QUEUE_OUT_OPEN);
	out = base_zalloc(sizeof(*out));
	out->page = page;
	out->peer = ring_seg_queue(seg, slot, other(side));
	out->data = ring_seg_queue_data(seg, slot, side);
	out->size = seg->geom.queue_size;
	out->tail = tail;
	out->seq = seq;
	out->done = done;
	out->slot = (uint16_t)slot;
	out->origin =
	    (uint16_t)(side == RING_QUEUE_CLIENT ? slot : ring_seg_broker(seg));
	out->turn = ring_get_own(&page->sender) + 1;
	ring_set(&page->sender, out->turn);
	RING_POINT(QUEUE_OUT_BEFORE_WAKE);
	/* The dead owner may have sent without waking. */
	ring_wake_one(seg, side == RING_QUEUE_CLIENT ? ring_seg_broker(seg) : slot);
	*out_r = out;
	return 0;
}

void
ring_queue_out_close(struct ring_queue_out *out)
{
	free(out);
}

size_t
ring_queue_max(const struct ring_queue_out *out)
{
	return ring_rec_max(out->size);
}

uint64_t
ring_queue_tail(const struct ring_queue_out *out)
{
	return out->tail;
}

/* 0 if the lane may end at END, by what was last seen of done or is to be seen. */
static int
make_room(struct ring_queue_out *out, uint64_t end)
{
	uint64_t done;

	if (out->broken)
		return -EBADMSG;
	if (end - out->done <= out->size)
		return 0;
	done = ring_get(&out->peer->done);
	if (done - out->done > out->tail - out->done ||
	    !possible(done, out->tail, out->size)) {
		log_error(LOG_RING,
		    "queue's consumer has an impossible position slot=%u origin=%u"
		    " done=%" PRIu64 " before=%" PRIu64 " tail=%" PRIu64,
		    out->slot, out->origin, done, out->done, out->tail);
		out->broken = true;
		return -EBADMSG;
	}
	out->done = done;
	if (end - done <= out->size)
		return 0;
	RING_POINT(QUEUE_PUT_FULL);
	return -EAGAIN;
}

bool
ring_queue_roomy(struct ring_queue_out *out)
{
	return make_room(out, out->tail + out->size / 2) == 0;
}

int
ring_queue_put(struct ring_queue_out *out, struct ring_head *head,
    struct base_slice name, const struct iovec *body, int n_body)
{
	struct ring_queue_page *page = out->page;
	struct ring_queue_mark *mark;
	struct ring_fit fit;
	int r;

	/* Another owner has opened this end: this one must be dead. */
	base_assert(ring_get_own(&page->sender) == out->turn);
	ring_rec_fit(head, name, body, n_body, out->size, out->tail, &fit);
	r = make_room(out, fit.end);
	if (r != 0)
		return r;
	head->origin = out->origin;
	head->seq = out->seq + 1;
	RING_POINT(QUEUE_PUT_BEFORE);
	ring_rec_write(out->data, out->size, &fit, head, name, body, n_body);
	RING_POINT(QUEUE_BEFORE_MARK);
	out->seq++;
	mark = &page->marks[out->seq % BASE_COUNT(page->marks)];
	/* Half new, it ends at the tail as little as before: that is the other's. */
	ring_set(&mark->end, fit.end);
	RING_POINT(QUEUE_MID_MARK);
	ring_set(&mark->seq, out->seq);
	RING_POINT(QUEUE_BEFORE_TAIL);
	ring_set(&page->tail, fit.end);
	out->tail = fit.end;
	RING_POINT(QUEUE_AFTER_TAIL);
	return 0;
}

int
ring_queue_in_open(struct ring_seg *seg, unsigned slot, enum ring_queue_side side,
    const uint64_t *from, struct ring_queue_in **in_r, char *err, size_t errlen)
{
	const struct ring_queue_page *peer;
	struct ring_queue_page *page;
	struct ring_queue_in *in;
	uint64_t tail, done, pos;

	check_queue(seg, slot);
	page = ring_seg_queue(seg, slot, side);
	peer = ring_seg_queue(seg, slot, other(side));
	tail = ring_get(&peer->tail);
	done = ring_get_own(&page->done);
	pos = from == NULL ? done : *from;
	if (!possible(done, tail, seg->geom.queue_size) || pos % RING_ALIGN != 0 ||
	    pos - done > tail - done) {
		snprintf(err, errlen,
		    "%s queue of slot %u: impossible positions: start %" PRIu64
		    ", done %" PRIu64 ", tail %" PRIu64,
		    lane_name(other(side)), slot, pos, done, tail);
		return -1;
	}
	RING_POINT(QUEUE_IN_OPEN);
	in = base_zalloc(sizeof(*in));
	in->page = page;
	in->peer = peer;
	in->data = ring_seg_queue_data(seg, slot, other(side));
	in->size = seg->geom.queue_size;
	in->done = done;
	in->pos = pos;
	in->tail = tail;
	in->slot = (uint16_t)slot;
	in->turn = ring_get_own(&page->taker) + 1;
	ring_set(&page->taker, in->turn);
	*in_r = in;
	return 0;
}

void
ring_queue_in_close(struct ring_queue_in *in)
{
	free(in);
}

static int
broken(struct ring_queue_in *in, const struct ring_peek *p)
{
	if (!in->broken)
		log_error(LOG_RING,
		    "queue contradicts itself slot=%u at=%" PRIu64 " tail=%" PRIu64
		    " done=%" PRIu64 " pos=%" PRIu64 " shape=%#" PRIx64 " seq=%" PRIu64
		    " before=%" PRIu64,
		    in->slot, in->pos, in->tail, in->done, p->words[RING_W_POS],
		    p->words[RING_W_SHAPE], p->words[RING_W_SEQ], in->seq);
	in->broken = true;
	return -EBADMSG;
}

static void
show(struct ring_queue_in *in, const struct ring_peek *p,
    struct ring_queue_item *item_r)
{
	const ring_word *rec = in->data + (in->pos & (in->size - 1)) / sizeof(*rec);

	ring_rec_show(p, &item_r->head);
	item_r->name = (const char *)(rec + RING_WORDS);
	item_r->body = item_r->name +
	    BASE_ALIGN((size_t)item_r->head.name_len, sizeof(*rec));
	in->pos += p->need;
	in->seq = item_r->head.seq;
	item_r->end = in->pos;
	RING_POINT(QUEUE_SHOWN);
}

int
ring_queue_next(struct ring_queue_in *in, struct ring_queue_item *item_r)
{
	struct ring_peek p = { .len = 0 };

	if (in->broken)
		return -EBADMSG;
	for (;;) {
		if (in->pos == in->tail) {
			in->tail = ring_get(&in->peer->tail);
			if (in->pos == in->tail)
				return 0;
			/* Not below the cursor either: no lane holds so much. */
			if (!possible(in->done, in->tail, in->size) ||
			    in->tail - in->done < in->pos - in->done)
				return broken(in, &p);
		}
		RING_POINT(QUEUE_BEFORE_HEAD);
		ring_rec_peek(in->data, in->size, in->pos, &p);
		if (!ring_rec_believe(&p, in->pos, in->tail, in->size))
			return broken(in, &p);
		if (p.type != RING_PAD)
			break;
		in->pos += p.need;
	}
	if (in->seq != 0 && p.words[RING_W_SEQ] != in->seq + 1)
		return broken(in, &p);
	show(in, &p, item_r);
	return 1;
}

uint64_t
ring_queue_position(const struct ring_queue_in *in)
{
	return in->pos;
}

void
ring_queue_done(struct ring_queue_in *in, uint64_t end)
{
	/* Another owner has opened this end: this one must be dead. */
	base_assert(ring_get_own(&in->page->taker) == in->turn);
	base_assert(end % RING_ALIGN == 0 && end - in->done <= in->pos - in->done);
	RING_POINT(QUEUE_BEFORE_DONE);
	ring_set(&in->page->done, end);
	in->done = end;
	RING_POINT(QUEUE_AFTER_DONE);
}

bool
ring_queue_pending(const struct ring_queue_in *in)
{
	return in->broken || ring_get(&in->peer->tail) != in->pos;
}
