/*
 * broker_batch: what waits in the queues, as one batch.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "broker/broker_priv.h"

/* Of one client, before the next one's turn. */
#define ROUND_RECORDS 64
#define RECORD_HEAD 64 /* bytes of a record beside name and body */
#define PUSH_COST 256 /* of a push, beside the texts of its request, about */

/* Times that a batch is done again because a map has grown. */
#define RETRIES 40
/* Records of a spool that are deleted in one transaction. */
#define ARCHIVED_BUDGET 20000
/* After a failed commit, before what has to be in it is tried again. */
#define HOLD_MS 1000

/* ---- collecting ---- */

static unsigned
journal_for(const struct conf_namespace *ns, const struct order_msg *m)
{
	switch (m->kind) {
	case ORDER_PUBLISH:
		if (ns == NULL)
			return BROKER_NONE;
		/* Only for its idempotency key. */
		if (!conf_ordered(ns))
			return BROKER_HISTORY;
		break;
	case ORDER_FOLLOW:
	case ORDER_HISTORY:
		if (ns == NULL || !conf_ordered(ns))
			return BROKER_NONE;
		break;
	case ORDER_ARCHIVED:
	case ORDER_DEAD:
	case ORDER_DEAD_RETRY:
	case ORDER_DEAD_DROP:
		return (m->flags & ORDER_F_MEMORY) != 0 ? BROKER_HISTORY : BROKER_SPOOL;
	default:
		return BROKER_NONE;
	}
	return conf_ack(ns) == CONF_ACK_SPOOL ? BROKER_SPOOL : BROKER_HISTORY;
}

/* What kind of client may say it; all else is passed over. */
static bool
may_say(const struct broker *b, unsigned slot, enum order_kind kind)
{
	switch (kind) {
	case ORDER_HELLO:
		return true;
	case ORDER_ARCHIVED:
	case ORDER_DEAD:
	case ORDER_ROWS:
		return slot == b->archiver;
	default:
		return broker_is_worker(b, slot);
	}
}

static void
add_item(struct broker *b, unsigned slot, const struct ring_queue_item *rec)
{
	struct broker_batch *batch = &b->batch;
	struct broker_item *item;

	if (batch->n == batch->cap) {
		batch->cap = batch->cap == 0 ? 256 : batch->cap * 2;
		batch->items = base_realloc(
		    batch->items, batch->cap, sizeof(*batch->items));
	}
	item = &batch->items[batch->n++];
	*item = (struct broker_item){
	    .slot = slot, .end = rec->end, .journal = BROKER_NONE};
	if (!order_msg_decode((struct base_slice){rec->name, rec->head.name_len},
		(struct base_slice){rec->body, rec->head.body_len}, &item->msg) ||
	    !may_say(b, slot, item->msg.kind)) {
		if (broker_seldom(&b->senseless, b->now_ms))
			log_error(LOG_BROKER,
			    "a message that makes no sense slot=%u position=%" PRIu64,
			    slot, rec->end);
		item->msg = (struct order_msg){.kind = ORDER_NONE};
		return;
	}
	if (item->msg.channel.len > 0)
		item->ns = chan_namespace(b->channels, item->msg.channel);
	item->journal = journal_for(item->ns, &item->msg);
}

bool
broker_batch_blocked(const struct broker *b, unsigned slot)
{
	const struct broker_slot *s = &b->slots[slot];

	return s->in == NULL || s->waits || s->broken || broker_reply_full(b, slot);
}

/* False: nothing more, or nothing that may be taken. */
static bool
take(struct broker *b, unsigned slot, uint64_t *bytes)
{
	struct ring_queue_item rec;
	int r;

	if (broker_batch_blocked(b, slot))
		return false;
	r = ring_queue_next(b->slots[slot].in, &rec);
	/* The ring has said so. */
	b->slots[slot].broken = r < 0;
	if (r != 1)
		return false;
	add_item(b, slot, &rec);
	*bytes += rec.head.name_len + rec.head.body_len + RECORD_HEAD;
	return true;
}

bool
broker_batch_collect(struct broker *b)
{
	/* A push is longer than its request, but not twice as long. */
	uint64_t bytes = 0, max = b->lane_size / 4;
	unsigned first = b->turn_slot++ % b->n_slots;
	bool any = true;

	while (any) {
		any = false;
		for (unsigned i = 0; i < b->n_slots; i++) {
			unsigned slot = (first + i) % b->n_slots;

			for (unsigned n = 0; n < ROUND_RECORDS; n++) {
				if (b->batch.n >= BROKER_BATCH_RECORDS || bytes >= max)
					return true;
				if (!take(b, slot, &bytes))
					break;
				any = true;
			}
		}
	}
	return false;
}

void
broker_batch_collect_to(struct broker *b, unsigned slot, uint64_t end)
{
	struct broker_slot *s = &b->slots[slot];
	struct ring_queue_item rec = {.end = s->done};

	while (s->in != NULL && rec.end < end && ring_queue_next(s->in, &rec) == 1)
		add_item(b, slot, &rec);
}

/* ---- transactions ---- */

static void
fail_item(struct broker *b, struct broker_journal *bj, struct broker_item *item)
{
	enum broker_text text = broker_journal_down(bj);

	switch (item->msg.kind) {
	case ORDER_PUBLISH:
	case ORDER_DEAD_RETRY:
	case ORDER_DEAD_DROP:
		item->out = (struct broker_outcome){.end = item->end,
		    .slot = item->slot,
		    .code = PROTO_ERROR_INTERNAL,
		    .text = (uint32_t)text};
		break;
	case ORDER_FOLLOW:
	case ORDER_HISTORY: /* what is there can be read all the same */
		item->made = false;
		break;
	default: /* what the archiver has said must not be forgotten */
		item->again = true;
		b->slots[item->slot].waits = true;
		b->hold_ms = b->now_ms + HOLD_MS;
		break;
	}
}

static int
exec_item(struct broker *b, struct broker_journal *bj, struct broker_item *item)
{
	int r;

	switch (item->msg.kind) {
	case ORDER_FOLLOW:
	case ORDER_HISTORY:
		return broker_hist_prepare(b, bj, item);
	case ORDER_ARCHIVED:
		bj->archived = BASE_MAX(bj->archived, item->msg.number);
		return JOURNAL_OK;
	default:
		break;
	}
	r = broker_journal_begin(bj);
	if (r != JOURNAL_OK)
		return r;
	if (item->msg.kind == ORDER_PUBLISH)
		return broker_pub_exec(b, bj, item);
	return broker_admin_dead(b, bj, item);
}

/* The positions up to which the queues are executed with this batch. */
static int
put_positions(struct broker *b, struct broker_journal *bj)
{
	uint64_t ends[RING_MAX_SLOTS] = {0};
	int r = JOURNAL_OK;

	for (size_t i = 0; i < b->batch.n_exec; i++)
		ends[b->batch.items[i].slot] = b->batch.items[i].end;
	for (unsigned i = 0; i < b->n_slots && r == JOURNAL_OK; i++)
		if (ends[i] != 0)
			r = journal_position_put(bj->j, b->boot, i, ends[i]);
	return r;
}

static int
forget_archived(struct broker_journal *bj, bool *left)
{
	int r;

	*left = false;
	if (bj->archived == 0)
		return JOURNAL_OK;
	r = broker_journal_begin(bj);
	if (r == JOURNAL_OK)
		r = journal_spool_done(bj->j, bj->archived, ARCHIVED_BUDGET, left);
	return r;
}

/* Steps 1 and 2 in one journal, once. */
static int
try_journal(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];
	size_t n_kept;
	bool left;
	int r;

	for (size_t i = 0; i < b->batch.n_exec; i++) {
		struct broker_item *item = &b->batch.items[i];

		if (item->journal != which || item->known)
			continue;
		r = exec_item(b, bj, item);
		if (r != JOURNAL_OK)
			return r;
	}
	r = forget_archived(bj, &left);
	if (r != JOURNAL_OK || !bj->open)
		return r;
	broker_note_trim(b, which);
	n_kept = bj->n_kept;
	if (journal_dirty(bj->j)) {
		broker_note_add(b, which);
		r = put_positions(b, bj);
		if (r == JOURNAL_OK)
			r = broker_note_write(b, which);
		BROKER_POINT(BEFORE_COMMIT);
	}
	if (r == JOURNAL_OK)
		r = broker_journal_end(b, bj);
	BROKER_POINT(AFTER_COMMIT);
	if (r != JOURNAL_OK)
		broker_note_undo(b, which, n_kept);
	else if (!left)
		bj->archived = 0;
	return r;
}

static void
fail_journal(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];

	broker_journal_failed(b, bj);
	for (size_t i = 0; i < b->batch.n_exec; i++) {
		struct broker_item *item = &b->batch.items[i];

		if (item->journal == which && !item->known)
			fail_item(b, bj, item);
	}
}

/* True: the batch, or what was archived before, needs this journal. */
static bool
wanted(const struct broker *b, unsigned which)
{
	if (b->journals[which].archived != 0 && b->now_ms >= b->hold_ms)
		return true;
	for (size_t i = 0; i < b->batch.n_exec; i++)
		if (b->batch.items[i].journal == which && !b->batch.items[i].known)
			return true;
	return false;
}

/* True: it was done. */
static bool
run_journal(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];
	size_t frames = b->batch.frames.len;
	int r = JOURNAL_IO;

	for (unsigned i = 0; i < RETRIES; i++) {
		b->batch.frames.len = frames;
		r = try_journal(b, which);
		if (r == JOURNAL_OK)
			return true;
		broker_journal_abort(bj);
		if (r != JOURNAL_RETRY)
			break;
	}
	b->batch.frames.len = frames;
	fail_journal(b, which);
	/* Not before some time has passed, if nothing else asks for it. */
	if (bj->archived != 0)
		b->hold_ms = b->now_ms + HOLD_MS;
	return false;
}

/* How many requests are in the batch: those whose pushes fit well into the lane. */
static size_t
bound_pushes(const struct broker *b)
{
	uint64_t bytes = 0, max = b->lane_size / 4;

	for (size_t i = 0; i < b->batch.n; i++) {
		const struct order_msg *m = &b->batch.items[i].msg;

		bytes += PUSH_COST + m->channel.len + m->data.len + m->user.len +
		    m->client.len + m->conn_info.len + m->chan_info.len;
		if (bytes > max && i > 0)
			return i;
	}
	return b->batch.n;
}

void
broker_batch_commit(struct broker *b)
{
	bool any = false;

	b->batch.at = 0;
	b->batch.n_exec = bound_pushes(b);
	b->batch.frames.len = 0;
	BROKER_POINT(COLLECTED);
	for (size_t i = 0; i < b->batch.n_exec; i++) {
		struct broker_item *item = &b->batch.items[i];

		item->out.end = item->end;
		item->out.slot = item->slot;
		if (item->msg.kind == ORDER_PUBLISH && broker_replay_known(b, item))
			item->known = true;
	}
	b->batch_number++;
	for (unsigned i = 0; i < BROKER_JOURNALS; i++)
		if (wanted(b, i))
			any |= run_journal(b, i);
	if (any)
		stat_add(b->stat, broker_batches, 1);
	BROKER_POINT(COMMITTED);
}

/* ---- answers ---- */

static void
hello(struct broker *b, const struct broker_item *item)
{
	struct broker_slot *s = &b->slots[item->slot];

	/* The process before it is dead, whether the master has said so yet or not. */
	s->generation = item->msg.number;
	broker_pres_clear(b, item->slot, true);
	broker_admin_gone(b, item->slot);
	if (item->slot == b->archiver) {
		broker_read_fail_all(b);
		b->spooled = true;
	}
}

static void
answer_publish(struct broker *b, struct broker_item *item)
{
	const struct broker_outcome *out = &item->out;
	struct order_msg answer = {
	    .kind = ORDER_PUBLISHED, .req = item->msg.req, .code = out->code};

	if (item->ns == NULL && !item->known) {
		broker_reply_error(b, item->slot, ORDER_PUBLISHED, item->msg.req,
		    PROTO_ERROR_UNKNOWN_CHANNEL, BROKER_TEXT_NONE);
		return;
	}
	if ((out->flags & BROKER_OUT_PUSH) != 0 && !item->pushed)
		broker_pub_push(b, item);
	else if (item->made)
		broker_pub_epoch(b, item->msg.channel, out->epoch);
	if (item->known) {
		stat_add(b->stat, broker_replayed, 1);
	} else if (out->code != 0) {
		stat_add(b->stat, broker_refused, 1);
	} else if ((out->flags & BROKER_OUT_PUSH) != 0) {
		stat_add(b->stat, broker_published, 1);
		b->spooled |= item->ns->archive;
	}
	if (out->code != 0)
		answer.data = broker_text((enum broker_text)out->text);
	else if ((out->flags & BROKER_OUT_PLACED) != 0) {
		answer.offset = out->offset;
		answer.epoch = (struct base_slice){out->epoch, sizeof(out->epoch)};
	}
	if (answer.req != 0)
		broker_reply(b, item->slot, &answer);
}

/* A question whose answer may be large. */
static void
answer_question(struct broker *b, struct broker_item *item)
{
	const struct order_msg *m = &item->msg;

	if (item->made)
		broker_pub_epoch(b, m->channel, item->out.epoch);
	if (broker_reply_busy(b, item->slot))
		broker_reply_put_off(b, item->slot, m);
	else if (m->kind == ORDER_PRESENCE)
		broker_pres_answer(b, item->slot, m);
	else if (m->kind == ORDER_DEAD_LIST)
		broker_admin_dead_list(b, item->slot, m);
	else
		broker_hist_answer(b, item->slot, m);
}

static void
answer_item(struct broker *b, struct broker_item *item)
{
	const struct order_msg *m = &item->msg;
	struct order_msg done = {.kind = ORDER_DEAD_DONE,
	    .req = m->req,
	    .code = item->out.code,
	    .number = item->out.offset,
	    .data = broker_text((enum broker_text)item->out.text)};

	switch (m->kind) {
	case ORDER_HELLO:
		hello(b, item);
		break;
	case ORDER_PUBLISH:
		answer_publish(b, item);
		break;
	case ORDER_FOLLOW:
	case ORDER_HISTORY:
	case ORDER_PRESENCE:
	case ORDER_DEAD_LIST:
		answer_question(b, item);
		break;
	case ORDER_JOIN:
		broker_pres_join(b, item->slot, m);
		break;
	case ORDER_LEAVE:
		broker_pres_leave(b, item->slot, m);
		break;
	case ORDER_PRESENCE_RESET:
		if (m->number != 0)
			b->slots[item->slot].generation = m->number;
		broker_pres_clear(b, item->slot, false);
		break;
	case ORDER_PRESENCE_STATS:
		broker_pres_stats(b, item->slot, m);
		break;
	case ORDER_CHANNELS:
		broker_admin_channels(b, item->slot, m);
		break;
	case ORDER_CHANNELS_PART:
		broker_admin_part(b, item->slot, m);
		break;
	case ORDER_DEAD_RETRY:
	case ORDER_DEAD_DROP:
		broker_reply(b, item->slot, &done);
		break;
	case ORDER_ROWS:
		broker_read_rows(b, m);
		break;
	default: /* damaged, or what the transaction has done */
		break;
	}
}

/* What the client of an item that stays said after it stays too. */
static void
hold_back(struct broker *b, size_t from)
{
	struct broker_batch *batch = &b->batch;

	for (size_t i = from + 1; i < batch->n; i++)
		if (batch->items[i].slot == batch->items[from].slot)
			batch->items[i].again = true;
}

bool
broker_batch_answer(struct broker *b)
{
	struct broker_batch *batch = &b->batch;
	struct broker_item *item;

	if (batch->at == batch->n_exec)
		return false;
	item = &batch->items[batch->at];
	if (item->again) {
		hold_back(b, batch->at);
	} else {
		stat_add(b->stat, broker_requests, 1);
		answer_item(b, item);
		BROKER_POINT(AFTER_ANSWER);
		b->slots[item->slot].taken = item->end;
	}
	batch->at++;
	return true;
}

static void
hold(struct broker_batch *batch, const struct broker_item *item)
{
	struct broker_item *kept;

	if (batch->n_held == batch->cap_held) {
		batch->cap_held = batch->cap_held == 0 ? 16 : batch->cap_held * 2;
		batch->held =
		    base_realloc(batch->held, batch->cap_held, sizeof(*batch->held));
	}
	kept = &batch->held[batch->n_held++];
	*kept = *item;
	kept->again = false;
}

void
broker_batch_done(struct broker *b)
{
	struct broker_batch *batch = &b->batch;
	size_t n = 0;

	for (size_t i = 0; i < batch->n; i++) {
		if (batch->items[i].again)
			hold(batch, &batch->items[i]);
		else if (i >= batch->n_exec)
			batch->items[n++] = batch->items[i];
	}
	batch->n = n;
	batch->n_exec = batch->at = 0;
	for (unsigned i = 0; i < b->n_slots; i++)
		broker_reply_done(b, i);
}

void
broker_batch_release(struct broker *b)
{
	struct broker_batch *batch = &b->batch;
	size_t n = batch->n_held + batch->n;

	if (batch->n_held == 0 || b->now_ms < b->hold_ms)
		return;
	if (n > batch->cap) {
		batch->cap = n;
		batch->items =
		    base_realloc(batch->items, batch->cap, sizeof(*batch->items));
	}
	memmove(batch->items + batch->n_held, batch->items,
	    batch->n * sizeof(*batch->items));
	memcpy(batch->items, batch->held, batch->n_held * sizeof(*batch->held));
	batch->n = n;
	batch->n_held = 0;
	for (unsigned i = 0; i < b->n_slots; i++)
		b->slots[i].waits = false;
}

static void
look_up(const struct broker *b, struct broker_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct order_msg *m = &items[i].msg;

		if (m->channel.len > 0)
			items[i].ns = chan_namespace(b->channels, m->channel);
		items[i].journal = journal_for(items[i].ns, m);
	}
}

void
broker_batch_conf(struct broker *b)
{
	look_up(b, b->batch.items, b->batch.n);
	look_up(b, b->batch.held, b->batch.n_held);
}

void
broker_batch_free(struct broker_batch *batch)
{
	free(batch->items);
	free(batch->held);
	base_buf_free(&batch->frames);
}
