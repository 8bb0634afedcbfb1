/*
 * broker_admin: what the operator asks: the channels that have subscribers, and dead
 * letters.
 *
 * Who subscribes is known to the workers: each is asked, and their answers are added
 * up by channel.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "broker/broker_priv.h"
#include "proto/json_wr.h"

#define ASKS_MAX 8
#define ASK_TIME_MS 2000
#define TABLE_MIN 64 /* buckets; a power of two */
/* Dead letters that one request puts back or drops. */
#define DEAD_MAX 10000
#define DEAD_LIST_MAX 1000

#define ADD(out, literal) base_buf_add(out, literal, sizeof(literal) - 1)

/* ---- channels ---- */

struct chan_count {
	struct chan_count *next;
	uint64_t hash, count;
	size_t len;
	char name[];
};

struct ask {
	struct base_list link;
	uint64_t id; /* that the workers know */
	unsigned slot; /* who asked */
	uint64_t req; /* its number */
	uint64_t awaited; /* slots that have not answered */
	int64_t due_ms;
	struct chan_count **table;
	size_t n, n_buckets, bytes;
};

static void
ask_free(struct broker *b, struct ask *a)
{
	for (size_t i = 0; i < a->n_buckets; i++)
		for (struct chan_count *c = a->table[i], *next; c != NULL; c = next) {
			next = c->next;
			free(c);
		}
	free(a->table);
	base_list_del(&a->link);
	b->n_asks--;
	free(a);
}

static void
ask_fail(struct broker *b, struct ask *a, enum proto_error code)
{
	broker_reply_error(
	    b, a->slot, ORDER_CHANNELS_ARE, a->req, code, BROKER_TEXT_NONE);
	ask_free(b, a);
}

static void
ask_finish(struct broker *b, struct ask *a)
{
	struct order_msg answer = {.kind = ORDER_CHANNELS_ARE, .req = a->req};

	b->list.len = 0;
	for (size_t i = 0; i < a->n_buckets; i++)
		for (struct chan_count *c = a->table[i]; c != NULL; c = c->next) {
			const struct order_pair pair = {
			    .name = {c->name, c->len}, .number = c->count};

			order_pair_add(&b->list, &pair);
		}
	answer.data = (struct base_slice){b->list.p, b->list.len};
	broker_reply_parts(b, a->slot, &answer);
	ask_free(b, a);
}

void
broker_admin_channels(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	struct order_msg question = {.kind = ORDER_ASK_CHANNELS, .data = msg->data};
	struct ask *a;

	if (b->n_asks == ASKS_MAX) {
		broker_reply_error(b, slot, ORDER_CHANNELS_ARE, msg->req,
		    PROTO_ERROR_TOO_MANY_REQUESTS, BROKER_TEXT_NONE);
		return;
	}
	a = base_zalloc(sizeof(*a));
	a->id = question.req = ++b->last_req;
	a->slot = slot;
	a->req = msg->req;
	a->due_ms = b->now_ms + ASK_TIME_MS;
	a->n_buckets = TABLE_MIN;
	a->table = base_zalloc(a->n_buckets * sizeof(*a->table));
	base_list_add_tail(&b->asks, &a->link);
	b->n_asks++;
	for (unsigned i = 0; i < b->n_workers; i++) {
		if (!broker_lives(b, i))
			continue;
		a->awaited |= UINT64_C(1) << i;
		broker_reply(b, i, &question);
	}
	if (a->awaited == 0)
		ask_finish(b, a);
}

static void
ask_grow(struct ask *a)
{
	size_t n = a->n_buckets * 2;
	struct chan_count **fresh = base_zalloc(n * sizeof(*fresh));

	for (size_t i = 0; i < a->n_buckets; i++)
		for (struct chan_count *c = a->table[i], *next; c != NULL; c = next) {
			next = c->next;
			c->next = fresh[c->hash & (n - 1)];
			fresh[c->hash & (n - 1)] = c;
		}
	free(a->table);
	a->table = fresh;
	a->n_buckets = n;
}

static void
count(struct broker *b, struct ask *a, const struct order_pair *pair)
{
	uint64_t hash = base_hash(b->key, pair->name.p, pair->name.len);
	struct chan_count *c = a->table[hash & (a->n_buckets - 1)];

	while (c != NULL &&
	    (c->hash != hash || c->len != pair->name.len ||
		memcmp(c->name, pair->name.p, c->len) != 0))
		c = c->next;
	if (c != NULL) {
		c->count += pair->number;
		return;
	}
	if (a->n == a->n_buckets)
		ask_grow(a);
	c = base_malloc(sizeof(*c) + pair->name.len);
	c->hash = hash;
	c->count = pair->number;
	c->len = pair->name.len;
	if (c->len > 0)
		memcpy(c->name, pair->name.p, c->len);
	c->next = a->table[hash & (a->n_buckets - 1)];
	a->table[hash & (a->n_buckets - 1)] = c;
	a->n++;
	a->bytes += sizeof(*c) + c->len;
}

static void
answered(struct broker *b, struct ask *a, unsigned slot)
{
	a->awaited &= ~(UINT64_C(1) << slot);
	if (a->awaited == 0)
		ask_finish(b, a);
}

void
broker_admin_part(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	struct base_slice list = msg->data;
	struct order_pair pair;
	struct ask *a = NULL;

	BASE_LIST_FOREACH (it, &b->asks)
		if (BASE_CONTAINER(it, struct ask, link)->id == msg->req)
			a = BASE_CONTAINER(it, struct ask, link);
	if (a == NULL || (a->awaited >> slot & 1) == 0)
		return;
	/* Each part is a list of its own. */
	while (order_pair_next(&list, &pair) == 1)
		count(b, a, &pair);
	if (a->bytes > BROKER_LIST_MAX)
		ask_fail(b, a, PROTO_ERROR_LIMIT_EXCEEDED);
	else if ((msg->flags & ORDER_F_MORE) == 0)
		answered(b, a, slot);
}

void
broker_admin_gone(struct broker *b, unsigned slot)
{
	BASE_LIST_FOREACH_SAFE (it, tmp, &b->asks) {
		struct ask *a = BASE_CONTAINER(it, struct ask, link);

		if ((a->awaited >> slot & 1) != 0)
			answered(b, a, slot);
	}
}

void
broker_admin_tick(struct broker *b)
{
	BASE_LIST_FOREACH_SAFE (it, tmp, &b->asks) {
		struct ask *a = BASE_CONTAINER(it, struct ask, link);

		/* Without the one who is silent the list would be wrong. */
		if (b->now_ms >= a->due_ms)
			ask_fail(b, a, PROTO_ERROR_INTERNAL);
	}
}

void
broker_admin_free(struct broker *b)
{
	while (!base_list_empty(&b->asks))
		ask_free(b, BASE_CONTAINER(b->asks.next, struct ask, link));
}

/* ---- dead letters ---- */

struct dead_list {
	struct broker *b;
	const char *journal;
	uint64_t n, limit;
};

static void
add_text(struct base_buf *out, const char *name, struct base_slice text)
{
	base_buf_str(out, name);
	json_wr_string(out, text);
}

static void
add_number(struct base_buf *out, const char *name, uint64_t n)
{
	base_buf_str(out, name);
	json_wr_uint(out, n);
}

static void
describe(const struct dead_list *l, const struct journal_dead *dead)
{
	struct base_buf *out = &l->b->scratch;
	char id[BASE_UUID_LEN + 1];

	base_uuid_text(dead->rec.id, id);
	out->len = 0;
	add_number(out, "{\"number\":", dead->number);
	add_text(out, ",\"journal\":",
	    (struct base_slice){l->journal, strlen(l->journal)});
	/* Codes of plugins are negative or small; as they are. */
	base_buf_printf(out, ",\"code\":%d", dead->code);
	add_text(out, ",\"reason\":", dead->reason);
	add_number(out, ",\"time\":", (uint64_t)dead->time_ms);
	add_text(out, ",\"channel\":", dead->channel);
	add_text(
	    out, ",\"epoch\":", (struct base_slice){dead->epoch, JOURNAL_EPOCH_LEN});
	add_number(out, ",\"offset\":", dead->offset);
	add_text(out, ",\"id\":", (struct base_slice){id, BASE_UUID_LEN});
	add_number(out, ",\"accepted\":", dead->rec.time_ns / 1000000);
	add_text(out, ",\"user\":", dead->rec.user);
	add_text(out, ",\"client\":", dead->rec.client);
	ADD(out, ",\"data\":");
	json_wr_raw(out, dead->rec.data);
	ADD(out, "}");
}

static bool
add_dead(void *arg, const struct journal_dead *dead)
{
	struct dead_list *l = arg;
	struct base_buf *list = &l->b->list;
	struct order_pub pub = {.offset = dead->number};

	describe(l, dead);
	if (l->n == l->limit ||
	    (l->n > 0 && list->len + l->b->scratch.len > BROKER_LIST_MAX))
		return false;
	pub.json = (struct base_slice){l->b->scratch.p, l->b->scratch.len};
	order_pub_add(list, &pub);
	l->n++;
	return true;
}

static struct broker_journal *
journal_of(struct broker *b, const struct order_msg *msg)
{
	return &b->journals[(msg->flags & ORDER_F_MEMORY) != 0 ? BROKER_HISTORY
							       : BROKER_SPOOL];
}

void
broker_admin_dead_list(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	struct broker_journal *bj = journal_of(b, msg);
	struct order_msg answer = {.kind = ORDER_DEAD_ARE, .req = msg->req};
	struct dead_list l = {.b = b,
	    .journal = bj->name,
	    .limit = msg->limit <= 0 || msg->limit > DEAD_LIST_MAX
		? DEAD_LIST_MAX
		: (uint64_t)msg->limit};

	b->list.len = 0;
	if (bj->j == NULL ||
	    journal_dead_list(bj->j, msg->number, add_dead, &l) != JOURNAL_OK) {
		broker_reply_error(b, slot, ORDER_DEAD_ARE, msg->req,
		    PROTO_ERROR_INTERNAL, broker_journal_down(bj));
		return;
	}
	answer.data = (struct base_slice){b->list.p, b->list.len};
	broker_reply_parts(b, slot, &answer);
}

static int
retry_or_drop(struct broker_journal *bj, const struct order_msg *m)
{
	return m->kind == ORDER_DEAD_RETRY ? journal_dead_retry(bj->j, m->number)
					   : journal_dead_drop(bj->j, m->number);
}

int
broker_admin_dead(struct broker *b, struct broker_journal *bj, struct broker_item *item)
{
	const struct order_msg *m = &item->msg;
	int r;

	item->out = (struct broker_outcome){.end = item->end, .slot = item->slot};
	if (m->kind == ORDER_DEAD) {
		r = journal_dead(bj->j, m->number, m->code, m->data, broker_wall_ms(b));
		/* It came twice. */
		return r == JOURNAL_ABSENT ? JOURNAL_OK : r;
	}
	do {
		r = retry_or_drop(bj, m);
		item->out.offset += r == JOURNAL_OK;
	} while (r == JOURNAL_OK && m->number == 0 && item->out.offset < DEAD_MAX);
	if (r == JOURNAL_FULL && item->out.offset == 0) {
		item->out.code = PROTO_ERROR_INTERNAL;
		item->out.text = BROKER_TEXT_DISK_FULL;
	}
	b->spooled |= m->kind == ORDER_DEAD_RETRY;
	return r == JOURNAL_ABSENT || r == JOURNAL_FULL ? JOURNAL_OK : r;
}
