/*
 * stream: life of streams, and the records of the lane; questions and answers are in
 * stream_ask.c.
 */
#include "config.h"

#include "core/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "core/fan.h"
#include "core/order.h"
#include "core/sess.h"
#include "core/sess_sub.h"
#include "core/stream_priv.h"
#include "proto/json_wr.h"
#include "proto/ws_frame.h"

/* Streams that are looked at, and freed, in one turn. */
#define BUDGET_TODO 256
#define BUDGET_FREE 1000

/* What may be held back of one channel beside history_reply. */
#define HELD_MAX 10000

struct streams *
streams_new(struct sess_env *env)
{
	struct streams *st = base_zalloc(sizeof(*st));

	st->env = env;
	base_list_init(&st->all);
	base_list_init(&st->todo);
	base_list_init(&st->idle);
	base_list_init(&st->lru);
	return st;
}

/* ---- memory ---- */

static uint64_t
limit(const struct streams *st)
{
	return st->env->conf->tail_total / st->env->n_workers;
}

void
stream_account(struct stream *s)
{
	struct streams *st = s->streams;
	size_t now = sizeof(*s) + sizeof(*s->chan) + s->chan->name_len + s->tail.bytes +
	    s->held.bytes + (s->tail.cap + s->held.cap) * sizeof(struct tail_pub);

	st->bytes += now - s->counted;
	s->counted = now;
	stat_set(st->env->stat, tail_bytes, st->bytes);
}

static void
stream_free(struct stream *s)
{
	struct streams *st = s->streams;
	struct hub_chan *chan = s->chan;

	base_assert(s->n_placed == 0 && base_list_empty(&s->waits));
	stream_forget_question(s);
	base_list_del(&s->link);
	base_list_del(&s->todo);
	base_list_del(&s->idle);
	base_list_del(&s->lru);
	tail_free(&s->tail);
	tail_free(&s->held);
	st->bytes -= s->counted;
	st->n--;
	stat_set(st->env->stat, tail_bytes, st->bytes);
	stat_set(st->env->stat, streams_followed, st->n);
	chan->stream = NULL;
	free(s);
	hub_release(st->env->hub, chan);
}

void
streams_free(struct streams *st)
{
	if (st == NULL)
		return;
	BASE_LIST_FOREACH_SAFE (it, tmp, &st->all)
		stream_free(BASE_CONTAINER(it, struct stream, link));
	base_buf_free(&st->frame);
	free(st);
}

/* The streams that nobody needs go first, then the tails that were not used for the
 * longest time. */
static void
trim(struct streams *st)
{
	uint64_t max = limit(st);
	unsigned budget = BUDGET_FREE;

	while (!base_list_empty(&st->idle) && budget-- > 0) {
		struct stream *s = BASE_CONTAINER(st->idle.next, struct stream, idle);

		if (s->idle_until_ms > st->env->now_ms && st->bytes <= max)
			break;
		stream_free(s);
	}
	BASE_LIST_FOREACH_SAFE (it, tmp, &st->lru) {
		struct stream *s = BASE_CONTAINER(it, struct stream, lru);

		if (st->bytes <= max)
			break;
		if (s->state != STREAM_LIVE || !base_list_empty(&s->waits))
			continue;
		stream_drop_tail(s);
	}
	stat_set(st->env->stat, tail_limit_bytes, max);
}

void
stream_drop_tail(struct stream *s)
{
	tail_clear(&s->tail, s->tail.last);
	base_list_del(&s->lru);
	stream_account(s);
}

void
stream_used(struct stream *s)
{
	base_list_del(&s->lru);
	if (s->tail.n > 0)
		base_list_add_tail(&s->streams->lru, &s->lru);
}

/* ---- life ---- */

static void
idle_check(struct stream *s)
{
	struct streams *st = s->streams;

	base_list_del(&s->idle);
	if (s->n_placed > 0)
		return;
	/* One that knows nothing is good for nothing. */
	s->idle_until_ms = st->env->now_ms;
	if (s->state != STREAM_NEW)
		s->idle_until_ms += st->env->conf->tail_linger;
	base_list_add_tail(&st->idle, &s->idle);
}

struct stream *
stream_join(
    struct streams *st, struct hub_chan *chan, const struct conf_namespace *ns)
{
	struct stream *s = chan->stream;

	if (s == NULL) {
		s = base_zalloc(sizeof(*s));
		s->streams = st;
		s->chan = chan;
		base_list_init(&s->waits);
		base_list_add_tail(&st->all, &s->link);
		chan->stream = s;
		st->n++;
		stat_set(st->env->stat, streams_followed, st->n);
		stream_account(s);
	}
	s->keep = (uint32_t)BASE_MIN(ns->history_size, st->env->conf->history_limit);
	s->ttl_ms = ns->history_ttl;
	s->n_placed++;
	base_list_del(&s->idle);
	return s;
}

void
stream_leave(struct stream *s)
{
	base_assert(s->n_placed > 0);
	s->n_placed--;
	idle_check(s);
}

void
stream_todo(struct stream *s)
{
	if (!base_list_linked(&s->todo))
		base_list_add_tail(&s->streams->todo, &s->todo);
}

/* Who was told a position is told that it does not hold. */
void
stream_lose_placed(struct stream *s)
{
	struct hub_chan *c = s->chan;

	/* Whoever leaves has their place taken by one that was looked at. */
	for (uint32_t i = c->n_subs; i-- > 0;)
		if ((c->subs[i].flags & (HUB_PLACED | HUB_WAITING)) == HUB_PLACED)
			sess_sub_lost(c->subs[i].sess, c->subs[i].slot);
}

/* ---- delivery ---- */

void
stream_deliver(struct stream *s, uint64_t offset, struct base_slice json)
{
	struct base_buf *b = &s->streams->frame;
	struct base_slice name = {s->chan->name, s->chan->name_len};
	uint8_t head[WS_HEAD_MAX];
	size_t n;

	b->len = 0;
	base_buf_room(b, WS_HEAD_MAX);
	b->len = WS_HEAD_MAX;
	base_buf_str(b, "{\"push\":{\"channel\":");
	json_wr_string(b, name);
	base_buf_str(b, ",\"pub\":");
	base_buf_add(b, json.p, json.len);
	base_buf_str(b, "}}");
	n = ws_frame_head(head, WS_FIN | WS_TEXT, b->len - WS_HEAD_MAX);
	memcpy(b->p + WS_HEAD_MAX - n, head, n);
	fan_add(s->streams->env->fan, s->chan,
	    (struct base_slice){b->p + WS_HEAD_MAX - n, b->len - WS_HEAD_MAX + n});
	s->shown = offset;
}

void
stream_deliver_held(struct stream *s)
{
	for (uint64_t at = tail_first(&s->held); at <= s->held.last; at++)
		stream_deliver(s, at, tail_get(&s->held, at));
}

void
stream_push(struct stream *s, struct base_slice json)
{
	const struct conf *conf = s->streams->env->conf;

	tail_push(&s->tail, json);
	tail_trim(&s->tail, s->keep, conf->history_reply);
	s->newest_ms = s->streams->env->now_ms;
	stream_used(s);
}

/* ---- records ---- */

/* The publication's object in a push; empty: it is not where it has to be. */
static struct base_slice
cut_json(const struct stream *s, struct base_slice frame)
{
	static const char before[] = ",\"pub\":", after[] = "}}";
	const char *end = frame.p + frame.len, *p;

	/* The name has no such thing in it that is not escaped. */
	p = memmem(frame.p, frame.len, before, sizeof(before) - 1);
	if (p == NULL || (size_t)(p - frame.p) < s->chan->name_len ||
	    end - p < (ptrdiff_t)(sizeof(before) + sizeof(after)))
		return (struct base_slice){NULL, 0};
	p += sizeof(before) - 1;
	return (struct base_slice){p, (size_t)(end - p) - (sizeof(after) - 1)};
}

/* Keeps what cannot be delivered, or answered from, yet. */
static void
hold(struct stream *s, uint64_t offset, struct base_slice json)
{
	struct tail *h = &s->held;

	if (h->n > 0 && offset <= h->last)
		return;
	if (h->n == 0 || offset != h->last + 1)
		tail_clear(h, offset - 1);
	tail_push(h, json);
	s->seen = BASE_MAX(s->seen, offset);
	/* What is dropped here is asked for later. */
	if (h->n > HELD_MAX || h->bytes > s->streams->env->conf->history_reply ||
	    s->streams->bytes > 2 * limit(s->streams) + HELD_BYTES)
		tail_clear(h, offset);
	stream_account(s);
}

/* The next one, or the first one after a gap that nobody minds. */
static void
append(struct stream *s, uint64_t offset, struct base_slice json)
{
	if (offset != s->tail.last + 1)
		tail_clear(&s->tail, offset - 1);
	if (json.len > 0)
		stream_push(s, json);
	else
		tail_clear(&s->tail, offset);
	stream_account(s);
}

/* At or below the position.  Those who were not told it may not have had it. */
static enum stream_verdict
old_record(struct stream *s, uint64_t offset)
{
	if (offset <= s->shown || s->chan->n_subs == s->n_placed)
		return STREAM_DROP;
	s->shown = offset;
	return STREAM_UNPLACED;
}

enum stream_verdict
stream_record(struct stream *s, uint64_t offset, struct base_slice frame)
{
	switch (s->state) {
	case STREAM_LIVE:
		if (offset <= s->tail.last)
			return old_record(s, offset);
		if (offset == s->tail.last + 1 || s->n_placed == 0) {
			append(s, offset, cut_json(s, frame));
			s->shown = offset;
			return STREAM_ALL;
		}
		s->state = STREAM_HEALING;
		s->seen = 0;
		s->tries = 0;
		stream_todo(s);
		break;
	case STREAM_NEW:
		if (offset <= s->shown)
			return STREAM_DROP;
		hold(s, offset, cut_json(s, frame));
		s->shown = offset;
		return STREAM_ALL;
	default:
		break;
	}
	hold(s, offset, cut_json(s, frame));
	return STREAM_DROP;
}

void
stream_begins(struct stream *s, struct base_slice epoch)
{
	bool same;

	if (epoch.len != ORDER_EPOCH_LEN)
		return;
	same = memcmp(s->epoch, epoch.p, ORDER_EPOCH_LEN) == 0;
	if (same && s->state == STREAM_LIVE)
		return;
	/* What was held back so far is of another epoch. */
	tail_clear(&s->held, 0);
	s->seen = 0;
	if (!same || s->shown > s->tail.last)
		s->shown = 0;
	if (same && s->state == STREAM_HEALING) {
		s->state = STREAM_LIVE;
		return;
	}
	memcpy(s->next_epoch, epoch.p, ORDER_EPOCH_LEN);
	s->has_next = true;
	if (s->state != STREAM_NEW) {
		s->state = STREAM_BROKEN;
		stream_todo(s);
	}
}

/* Nobody was told a position: it is not worth a question.  Freed at the next turn's
 * start, for batches may be open. */
static void
let_go(struct stream *s)
{
	s->idle_until_ms = s->streams->env->now_ms;
	base_list_del(&s->idle);
	base_list_add_tail(s->streams->idle.next, &s->idle);
}

void
streams_lapped(struct streams *st)
{
	BASE_LIST_FOREACH (it, &st->all) {
		struct stream *s = BASE_CONTAINER(it, struct stream, link);

		/* The word of another epoch may be among what is lost, and the answer
		 * that is under way may be older than that. */
		if (s->state != STREAM_BROKEN) {
			tail_clear(&s->held, 0);
			s->seen = 0;
			s->has_next = false;
			s->stale = s->req != 0;
		}
		if (s->n_placed == 0) {
			let_go(s);
			continue;
		}
		if (s->state == STREAM_LIVE) {
			s->state = STREAM_HEALING;
			s->tries = 0;
		}
		stream_todo(s);
	}
}

void
streams_broker_new(struct streams *st)
{
	BASE_LIST_FOREACH (it, &st->all) {
		struct stream *s = BASE_CONTAINER(it, struct stream, link);

		if (s->n_placed == 0) {
			let_go(s);
			continue;
		}
		s->verify = true;
		stream_todo(s);
	}
}

/* ---- a turn ---- */

bool
streams_pending(const struct streams *st)
{
	return st->more;
}

void
streams_turn(struct streams *st)
{
	struct base_list list;
	unsigned n = 0;

	trim(st);
	st->given = 0;
	base_list_init(&list);
	while (!base_list_empty(&st->todo) && n++ < BUDGET_TODO) {
		struct base_list *it = st->todo.next;

		base_list_del(it);
		base_list_add_tail(&list, it);
	}
	st->more = !base_list_empty(&st->todo);
	/* What is to be done later goes to the end of the other list. */
	while (!base_list_empty(&list)) {
		struct base_list *it = list.next;

		base_list_del(it);
		stream_attend(BASE_CONTAINER(it, struct stream, todo));
	}
}
