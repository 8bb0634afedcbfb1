/*
 * broker_note: what became of publications, as it is kept with each transaction.
 *
 * A journal's note has the outcomes of all publications whose records were not given
 * back yet, so that a successor neither executes one again nor has to guess its
 * answer.  It is of use to a broker of the same segment alone.
 *
 * Of the newest note of the two journals the outcomes that are marked fresh may not
 * be in the lane yet; of an older one all pushes were made before the newer batch
 * began.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "broker/broker_priv.h"

_Static_assert(sizeof(struct broker_outcome) == 40, "no gaps: it goes to the disk");

static void
keep(struct broker_journal *bj, const struct broker_outcome *out)
{
	if (bj->n_kept == bj->cap_kept) {
		bj->cap_kept = bj->cap_kept == 0 ? 256 : bj->cap_kept * 2;
		bj->kept = base_realloc(bj->kept, bj->cap_kept, sizeof(*bj->kept));
	}
	bj->kept[bj->n_kept++] = *out;
}

/* The oldest ones go: their requests are answered with an error after a crash. */
static void
bound(struct broker_journal *bj)
{
	size_t over;

	if (bj->n_kept <= BROKER_KEPT_MAX)
		return;
	over = bj->n_kept - BROKER_KEPT_MAX;
	bj->n_kept -= over;
	memmove(bj->kept, bj->kept + over, bj->n_kept * sizeof(*bj->kept));
}

void
broker_note_add(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];

	for (size_t i = 0; i < bj->n_kept; i++)
		bj->kept[i].flags &= ~BROKER_OUT_FRESH;
	for (size_t i = 0; i < b->batch.n_exec; i++) {
		struct broker_item *item = &b->batch.items[i];

		if (item->msg.kind != ORDER_PUBLISH || item->journal != which ||
		    item->known)
			continue;
		item->out.flags |= BROKER_OUT_FRESH;
		keep(bj, &item->out);
	}
}

void
broker_note_undo(struct broker *b, unsigned which, size_t n_kept)
{
	struct broker_journal *bj = &b->journals[which];

	base_assert(n_kept <= bj->n_kept);
	bj->n_kept = n_kept;
}

void
broker_note_trim(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];
	size_t n = 0;

	for (size_t i = 0; i < bj->n_kept; i++)
		if (bj->kept[i].end > b->slots[bj->kept[i].slot].done)
			bj->kept[n++] = bj->kept[i];
	bj->n_kept = n;
	bound(bj);
}

int
broker_note_write(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];
	const struct broker_note_head head = {
	    .boot = b->boot,
	    .batch = b->batch_number,
	    .lane = ring_lane_tail(b->lane),
	    .n = bj->n_kept,
	};

	b->scratch.len = 0;
	base_buf_add(&b->scratch, &head, sizeof(head));
	base_buf_add(&b->scratch, bj->kept, bj->n_kept * sizeof(*bj->kept));
	return journal_note_put(
	    bj->j, (struct base_slice){b->scratch.p, b->scratch.len});
}

bool
broker_note_read(struct broker *b, unsigned which, struct broker_note_head *head_r)
{
	struct broker_journal *bj = &b->journals[which];
	struct broker_outcome out;

	bj->n_kept = 0;
	b->scratch.len = 0;
	if (bj->j == NULL || journal_note(bj->j, &b->scratch) != JOURNAL_OK ||
	    b->scratch.len < sizeof(*head_r))
		return false;
	memcpy(head_r, b->scratch.p, sizeof(*head_r));
	if (head_r->boot != b->boot ||
	    head_r->n != (b->scratch.len - sizeof(*head_r)) / sizeof(out))
		return false;
	for (uint64_t i = 0; i < head_r->n; i++) {
		memcpy(&out, b->scratch.p + sizeof(*head_r) + i * sizeof(out),
		    sizeof(out));
		if (out.slot < b->n_slots && out.text < BROKER_TEXT_N)
			keep(bj, &out);
	}
	return true;
}

struct broker_outcome *
broker_note_find(struct broker_journal *bj, unsigned slot, uint64_t end)
{
	for (size_t i = 0; i < bj->n_kept; i++)
		if (bj->kept[i].slot == slot && bj->kept[i].end == end)
			return &bj->kept[i];
	return NULL;
}
