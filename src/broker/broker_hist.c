/*
 * broker_hist: FOLLOW and HISTORY.
 *
 * History is the hot window in the journal.  Of an archived namespace what lies
 * before it is in the database, which the archiver asks (broker_read.c); the answer
 * is then put together from both.
 *
 * The database may lag behind, or lack messages that it refused: then its rows and
 * the window do not meet.  As long as the spool holds anything, the answer ends where
 * the first of the two does, so that a reader who comes back for the next page misses
 * nothing that is only late; a page that would be empty goes on past the hole.
 */
#include "config.h"

#include <string.h>

#include "base/base_assert.h"
#include "broker/broker_priv.h"

/* A question, and what it is about. */
struct query {
	const struct order_msg *msg;
	const struct conf_namespace *ns;
	struct broker_journal *bj;
	struct journal_rules rules;
	struct journal_extent extent;
	uint64_t limit;
	uint64_t first; /* of the window; top + 1: it is empty */
	bool since, reverse;
	uint64_t upper; /* with reverse: what is wanted lies before it */
};

/* ---- gathering ---- */

bool
broker_rows_add(struct broker_rows *rows, uint64_t offset, struct base_slice json)
{
	const struct order_pub pub = {offset, json};

	if (rows->n == rows->limit ||
	    (rows->n > 0 && rows->list->len + json.len > rows->max)) {
		rows->full = true;
		return false;
	}
	order_pub_add(rows->list, &pub);
	if (rows->n++ == 0)
		rows->first = offset;
	rows->last = offset;
	return true;
}

static bool
add_row(void *arg, uint64_t offset, struct base_slice json)
{
	return broker_rows_add(arg, offset, json);
}

/* The newest ones that fit: the oldest give way. */
struct newest {
	struct base_buf *list;
	size_t at; /* of the first one that is left */
	size_t max;
};

static void
drop_oldest(struct newest *n)
{
	struct base_slice left = {n->list->p + n->at, n->list->len - n->at};
	struct order_pub pub;

	base_assert(order_pub_next(&left, &pub) == 1);
	n->at = n->list->len - left.len;
	if (n->at > n->max) {
		base_buf_drop(n->list, n->at);
		n->at = 0;
	}
}

static bool
add_newest(void *arg, uint64_t offset, struct base_slice json)
{
	const struct order_pub pub = {offset, json};
	struct newest *n = arg;

	while (n->list->len > n->at && n->list->len - n->at + json.len > n->max)
		drop_oldest(n);
	order_pub_add(n->list, &pub);
	return true;
}

/* ---- questions ---- */

static enum order_kind
answer_kind(const struct order_msg *msg)
{
	return msg->kind == ORDER_FOLLOW ? ORDER_FOLLOWED : ORDER_HISTORY_IS;
}

static void
answer_error(struct broker *b, unsigned slot, const struct order_msg *msg,
    enum proto_error code, enum broker_text text)
{
	broker_reply_error(b, slot, answer_kind(msg), msg->req, code, text);
}

static void
answer(struct broker *b, unsigned slot, const struct query *q, struct base_slice list)
{
	const struct order_msg msg = {
	    .kind = answer_kind(q->msg),
	    .req = q->msg->req,
	    .epoch = {q->extent.epoch, JOURNAL_EPOCH_LEN},
	    .number = q->extent.top,
	    .offset = q->msg->offset,
	    .data = list,
	};

	broker_reply_parts(b, slot, &msg);
}

static bool
other_epoch(const struct query *q)
{
	const struct base_slice epoch = q->msg->epoch;

	return epoch.len > 0 &&
	    (epoch.len != JOURNAL_EPOCH_LEN ||
		memcmp(epoch.p, q->extent.epoch, JOURNAL_EPOCH_LEN) != 0);
}

static struct broker_journal *
journal_of(struct broker *b, const struct conf_namespace *ns)
{
	return &b->journals[conf_ack(ns) == CONF_ACK_SPOOL ? BROKER_SPOOL
							  : BROKER_HISTORY];
}

/* False: it was answered. */
static bool
begin(struct broker *b, unsigned slot, const struct order_msg *msg, struct query *q)
{
	int r = JOURNAL_IO;

	*q = (struct query){.msg = msg};
	q->ns = chan_namespace(b->channels, msg->channel);
	if (q->ns == NULL || !conf_ordered(q->ns)) {
		answer_error(b, slot, msg,
		    q->ns == NULL ? PROTO_ERROR_UNKNOWN_CHANNEL
				  : PROTO_ERROR_NOT_AVAILABLE,
		    BROKER_TEXT_NONE);
		return false;
	}
	q->bj = journal_of(b, q->ns);
	q->rules = broker_rules(q->ns);
	q->limit = msg->limit < 0 || msg->limit > b->conf->history_limit
	    ? (uint64_t)b->conf->history_limit
	    : (uint64_t)msg->limit;
	q->since = (msg->flags & ORDER_F_SINCE) != 0;
	q->reverse = (msg->flags & ORDER_F_REVERSE) != 0;
	if (q->bj->j != NULL)
		r = journal_extent(
		    q->bj->j, msg->channel, &q->rules, broker_wall_ms(b), &q->extent);
	/* It was made with the batch, so that it is absent now is a failure too. */
	if (r != JOURNAL_OK) {
		answer_error(
		    b, slot, msg, PROTO_ERROR_INTERNAL, broker_journal_down(q->bj));
		return false;
	}
	q->first = q->extent.first == 0 ? q->extent.top + 1 : q->extent.first;
	q->upper = q->since ? msg->offset : q->extent.top + 1;
	return true;
}

int
broker_hist_prepare(
    struct broker *b, struct broker_journal *bj, struct broker_item *item)
{
	const struct journal_rules rules = broker_rules(item->ns);
	struct journal_extent extent;
	struct journal_place place;
	int r;

	if (bj->j == NULL)
		return JOURNAL_IO;
	r = journal_extent(
	    bj->j, item->msg.channel, &rules, broker_wall_ms(b), &extent);
	if (r != JOURNAL_ABSENT)
		return r;
	r = broker_journal_begin(bj);
	if (r == JOURNAL_OK)
		r = journal_stream(
		    bj->j, item->msg.channel, &rules, broker_wall_ms(b), &place);
	if (r != JOURNAL_OK)
		return r;
	item->made = place.created;
	memcpy(item->out.epoch, place.epoch, sizeof(place.epoch));
	return JOURNAL_OK;
}

/* ---- answers ---- */

static void
follow(struct broker *b, unsigned slot, const struct query *q)
{
	const struct journal_range range = {
	    .since = q->msg->offset, .limit = q->limit, .newest = true};
	struct newest n = {.list = &b->list, .max = b->conf->history_reply};
	struct journal_extent extent;
	int r = JOURNAL_OK;

	b->list.len = 0;
	if (q->limit > 0 && !other_epoch(q))
		r = journal_history(q->bj->j, q->msg->channel, &q->rules, &range,
		    broker_wall_ms(b), &extent, add_newest, &n);
	if (r != JOURNAL_OK) {
		answer_error(b, slot, q->msg, PROTO_ERROR_INTERNAL,
		    broker_journal_down(q->bj));
		return;
	}
	base_buf_drop(&b->list, n.at);
	answer(b, slot, q, (struct base_slice){b->list.p, b->list.len});
}

/* Adds the window's part of the answer.  False: it failed and was answered. */
static bool
add_window(struct broker *b, unsigned slot, const struct query *q, uint64_t since,
    struct broker_rows *rows)
{
	const struct journal_range range = {
	    .since = since, .limit = rows->limit - rows->n, .reverse = q->reverse};
	struct journal_extent extent;
	int r;

	if (rows->full || range.limit == 0)
		return true;
	r = journal_history(q->bj->j, q->msg->channel, &q->rules, &range,
	    broker_wall_ms(b), &extent, add_row, rows);
	if (r == JOURNAL_OK)
		return true;
	answer_error(
	    b, slot, q->msg, PROTO_ERROR_INTERNAL, broker_journal_down(q->bj));
	return false;
}

/* Adds what the database gave; LATE: nothing that lies past a hole. */
static void
add_old(struct query *q, struct base_slice list, bool late, struct broker_rows *rows)
{
	struct order_pub pub;
	uint64_t before = BASE_MIN(q->upper, q->first);

	while (order_pub_next(&list, &pub) == 1) {
		if (q->reverse && late && rows->n > 0 && pub.offset + 1 != before)
			return;
		if (!broker_rows_add(rows, pub.offset, pub.json))
			return;
		late = false;
	}
}

/* OLD: what the database gave of it. */
static void
history(struct broker *b, unsigned slot, struct query *q, struct base_slice old)
{
	struct broker_rows rows = {
	    .list = &b->list, .max = b->conf->history_reply, .limit = q->limit};
	bool late = false;

	b->list.len = 0;
	if (old.len > 0) {
		journal_figures(q->bj->j, &q->bj->figures);
		late = q->bj->figures.spool_records > 0;
	}
	if (q->reverse) {
		if (q->upper <= q->extent.top + 1 && q->upper > q->first &&
		    !add_window(b, slot, q, q->upper, &rows))
			return;
		add_old(q, old, late, &rows);
	} else {
		add_old(q, old, late, &rows);
		if (!(late && rows.n > 0 && rows.last + 1 < q->first) &&
		    !add_window(b, slot, q,
			rows.n > 0 ? rows.last : q->since ? q->msg->offset : 0, &rows))
			return;
	}
	answer(b, slot, q, (struct base_slice){b->list.p, b->list.len});
}

/* True: a part of the answer is in the database, which was asked, or cannot be. */
static bool
ask_database(struct broker *b, unsigned slot, const struct query *q)
{
	uint64_t hot, lower;

	if (!q->ns->archive || q->limit == 0)
		return false;
	if (!q->reverse) {
		if (!q->since || q->msg->offset >= q->extent.top ||
		    q->msg->offset + 1 >= q->first)
			return false;
		broker_read_ask(b, slot, q->msg, q->extent.epoch, q->msg->offset,
		    BASE_MIN(q->limit, q->first - 1 - q->msg->offset));
		return true;
	}
	if (q->upper > q->extent.top + 1)
		return false;
	lower = BASE_MIN(q->upper, q->first);
	hot = q->upper - lower;
	if (lower <= 1 || hot >= q->limit)
		return false;
	broker_read_ask(b, slot, q->msg, q->extent.epoch, lower, q->limit - hot);
	return true;
}

void
broker_hist_answer(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	const struct base_slice nothing = {NULL, 0};
	struct query q;

	if (!begin(b, slot, msg, &q))
		return;
	if (msg->kind == ORDER_FOLLOW)
		follow(b, slot, &q);
	else if (other_epoch(&q))
		answer_error(
		    b, slot, msg, PROTO_ERROR_UNRECOVERABLE, BROKER_TEXT_NONE);
	else if (q.reverse && q.since && msg->offset == 0)
		answer_error(b, slot, msg, PROTO_ERROR_BAD_REQUEST, BROKER_TEXT_NONE);
	else if (!ask_database(b, slot, &q))
		history(b, slot, &q, nothing);
}

void
broker_hist_finish(struct broker *b, unsigned slot, const struct order_msg *msg,
    const char epoch[ORDER_EPOCH_LEN], struct base_slice rows)
{
	struct query q;

	if (!begin(b, slot, msg, &q))
		return;
	if (memcmp(epoch, q.extent.epoch, JOURNAL_EPOCH_LEN) != 0)
		answer_error(
		    b, slot, msg, PROTO_ERROR_UNRECOVERABLE, BROKER_TEXT_NONE);
	else
		history(b, slot, &q, rows);
}
