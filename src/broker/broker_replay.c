/*
 * broker_replay: what a broker finds that another one has left.
 *
 * Records that were not given back come again.  Those that a committed batch has
 * executed are known by the journal's note: they are not executed again but answered
 * as before.  Whether their pushes were made is seen in the lane: it is walked from
 * where it ended when the newest batch was committed.  A lane that was lapped since
 * has had that batch's pushes, which are half a lane at most.
 *
 * All others are executed as if they had just come.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/base_hash.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "broker/broker_priv.h"
#include "ring/ring_read.h"

/* A push that is in the lane. */
struct seen {
	uint64_t chan, offset;
	bool placed;
};

struct walk {
	struct seen *seen;
	size_t n, cap;
	bool all; /* all pushes were made */
};

static int
compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->chan != y->chan)
		return x->chan < y->chan ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (int)x->placed - (int)y->placed;
}

static void
add_seen(struct walk *w, const struct ring_head *head)
{
	if (head->type != RING_DATA || (head->flags & RING_F_JOIN) != 0)
		return;
	if (w->n == w->cap) {
		w->cap = w->cap == 0 ? 64 : w->cap * 2;
		w->seen = base_realloc(w->seen, w->cap, sizeof(*w->seen));
	}
	w->seen[w->n++] = (struct seen){
	    head->chan, head->offset, (head->flags & RING_F_PLACED) != 0};
}

static void
walk_lane(struct broker *b, uint64_t from, struct walk *w)
{
	enum ring_read_result r;
	struct ring_reader *reader;
	struct ring_head head;
	uint64_t lost;

	ring_reader_new(b->seg, &reader);
	w->all = !ring_read_seek(reader, b->slot, from);
	while (!w->all &&
	    (r = ring_read_next(reader, b->slot, &head, &lost)) != RING_EMPTY) {
		if (r == RING_LAPPED)
			w->all = true;
		else
			ring_read_skip(reader, b->slot);
		if (r == RING_RECORD)
			add_seen(w, &head);
	}
	ring_reader_free(reader);
	if (w->n > 0)
		qsort(w->seen, w->n, sizeof(*w->seen), compare);
}

static bool
was_pushed(const struct broker *b, const struct walk *w, const struct broker_item *item)
{
	bool placed = (item->out.flags & BROKER_OUT_PLACED) != 0;
	const struct base_slice name = item->msg.channel;
	const struct seen want = {.chan = base_hash(b->key, name.p, name.len),
	    .offset = placed ? item->out.offset : broker_pub_mark(item),
	    .placed = placed};

	return w->all ||
	    (w->n > 0 &&
		bsearch(&want, w->seen, w->n, sizeof(want), compare) != NULL);
}

/* The record of OUT, if it came again; those of a slot lie together, in their order. */
static struct broker_item *
find_item(struct broker *b, const struct broker_outcome *out)
{
	struct broker_batch *batch = &b->batch;
	size_t lo = 0, hi = batch->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		struct broker_item *item = &batch->items[mid];

		if (item->slot == out->slot && item->end == out->end)
			return item->msg.kind == ORDER_PUBLISH ? item : NULL;
		if (item->slot < out->slot ||
		    (item->slot == out->slot && item->end < out->end))
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Pushes what the last batch's broker could not push any more, in its order. */
static void
push_missing(struct broker *b, struct broker_journal *bj, const struct walk *w)
{
	for (size_t i = 0; i < bj->n_kept; i++) {
		const struct broker_outcome *out = &bj->kept[i];
		struct broker_item *item;

		if ((out->flags & BROKER_OUT_FRESH) == 0 ||
		    (out->flags & BROKER_OUT_PUSH) == 0)
			continue;
		item = find_item(b, out);
		/* Answered and given back: so it was pushed. */
		if (item == NULL)
			continue;
		item->out = *out;
		if (was_pushed(b, w, item))
			continue;
		b->batch.frames.len = 0;
		broker_pub_encode(b, item);
		broker_pub_push(b, item);
		BROKER_POINT(REPLAY_PUSHED);
	}
}

static void
read_positions(struct broker *b, unsigned which)
{
	struct journal *j = b->journals[which].j;
	uint64_t pos;

	for (unsigned i = 0; i < b->n_slots; i++) {
		struct broker_slot *s = &b->slots[i];

		if (s->in == NULL || !journal_position(j, b->boot, i, &pos))
			continue;
		s->replay[which] = pos;
		s->replay_end = BASE_MAX(s->replay_end, pos);
	}
}

void
broker_replay(struct broker *b)
{
	struct broker_note_head heads[BROKER_JOURNALS] = {{.batch = 0}};
	struct walk walk = {.seen = NULL};
	uint64_t lane = 0;

	for (unsigned i = 0; i < BROKER_JOURNALS; i++) {
		if (b->journals[i].j == NULL || !broker_note_read(b, i, &heads[i]))
			continue;
		read_positions(b, i);
		if (heads[i].batch >= b->batch_number) {
			b->batch_number = heads[i].batch;
			lane = heads[i].lane;
		}
	}
	if (b->batch_number == 0)
		return;
	for (unsigned i = 0; i < b->n_slots; i++)
		if (b->slots[i].replay_end > b->slots[i].done)
			broker_batch_collect_to(b, i, b->slots[i].replay_end);
	BROKER_POINT(REPLAY_OPENED);
	walk_lane(b, lane, &walk);
	BROKER_POINT(REPLAY_WALKED);
	for (unsigned i = 0; i < BROKER_JOURNALS; i++)
		if (heads[i].batch == b->batch_number)
			push_missing(b, &b->journals[i], &walk);
	free(walk.seen);
	if (b->batch.n > 0)
		log_info(LOG_BROKER,
		    "requests come again that another broker had begun with n=%zu",
		    b->batch.n);
}

bool
broker_replay_known(struct broker *b, struct broker_item *item)
{
	const struct broker_slot *s = &b->slots[item->slot];
	struct broker_outcome *out = NULL;

	if (item->end > s->replay_end)
		return false;
	for (unsigned i = 0; i < BROKER_JOURNALS && out == NULL; i++)
		out = broker_note_find(&b->journals[i], item->slot, item->end);
	if (out != NULL) {
		item->out = *out;
	} else if (item->journal < BROKER_JOURNALS &&
	    item->end <= s->replay[item->journal]) {
		/* It was executed or refused, and which of both was not kept. */
		item->out.code = PROTO_ERROR_INTERNAL;
		item->out.text = BROKER_TEXT_LOST;
	} else {
		return false;
	}
	item->pushed = true;
	return true;
}
