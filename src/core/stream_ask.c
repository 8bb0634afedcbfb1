/*
 * stream_ask: questions to the broker, and answers to those who wait.
 */
#include "config.h"

#include <string.h>

#include "base/base_assert.h"
#include "core/hub.h"
#include "core/order.h"
#include "core/sess.h"
#include "core/stream_priv.h"

/* Questions that may be out for streams where nobody waits: after a lap all streams
 * have one. */
#define ASKED_MAX 64
/* Bytes of publications told in one turn; the rest of those who wait come later. */
#define GIVEN_MAX (256u << 10)
/* After so many answers that do not fit what the lane said, the last one counts. */
#define TRIES_MAX 20
#define TRY_PAUSE_MS 20
/* When an answer has another epoch the lane should say so soon, and at the right place
 * between the records. */
#define EPOCH_TRIES 3
/* When an answer is ahead of the lane by more than history has: it is to be read. */
#define LANE_TRIES 5
/* After an error, when nobody waits. */
#define RETRY_MS 500

/* ---- answers ---- */

static bool
same_epoch(const struct stream *s, const struct stream_wait *w)
{
	return w->any_epoch || memcmp(w->epoch, s->epoch, ORDER_EPOCH_LEN) == 0;
}

static bool
cached(const struct stream *s, const struct stream_wait *w, struct stream_answer *a)
{
	uint64_t top = s->tail.last;

	if (top > 0 && w->offset == top && !w->any_epoch && same_epoch(s, w)) {
		a->recovered = true;
		return true;
	}
	if (s->tail.n > 0) {
		a->recovered = true;
		a->first = top;
		return true;
	}
	return top == 0 || w->settled;
}

static bool
missed(const struct stream *s, const struct stream_wait *w, struct stream_answer *a)
{
	uint64_t top = s->tail.last;
	uint64_t max = (uint64_t)s->streams->env->conf->history_limit;

	if (same_epoch(s, w) && w->offset <= top && top - w->offset <= max &&
	    w->offset + 1 >= tail_first(&s->tail)) {
		a->recovered = true;
		a->first = w->offset + 1;
		return true;
	}
	return w->settled;
}

/* False: not before the broker was asked. */
static bool
try_answer(struct stream *s, struct stream_wait *w)
{
	struct stream_answer a = {
	    .epoch = {s->epoch, ORDER_EPOCH_LEN},
	    .top = s->tail.last,
	    .asked = w->caused,
	    .tail = &s->tail,
	    .first = s->tail.last + 1,
	    .last = s->tail.last,
	};

	if (w->recover && !(w->cache ? cached(s, w, &a) : missed(s, w, &a)))
		return false;
	for (uint64_t at = a.first; at <= a.last; at++)
		s->streams->given += tail_get(&s->tail, at).len;
	stream_quit(w);
	w->fn(w, &a);
	return true;
}

/* What history has dropped by now is not told any more. */
static void
age(struct stream *s)
{
	if (s->tail.n > 0 && s->streams->env->now_ms - s->newest_ms > s->ttl_ms)
		stream_drop_tail(s);
}

/* Answers those who wait, as far as that can be done now. */
static void
serve(struct stream *s)
{
	struct streams *st = s->streams;

	if (s->state != STREAM_LIVE || base_list_empty(&s->waits))
		return;
	age(s);
	BASE_LIST_FOREACH_SAFE (it, tmp, &s->waits) {
		if (s->chan->batch != 0 || st->given > GIVEN_MAX) {
			st->more = true;
			stream_todo(s);
			return;
		}
		try_answer(s, BASE_CONTAINER(it, struct stream_wait, link));
	}
	stream_used(s);
}

/* Tells those who wait that it will not be; ALL: or only those who were there when
 * the question was asked. */
static void
refuse(struct stream *s, const struct stream_answer *a, bool all)
{
	BASE_LIST_FOREACH_SAFE (it, tmp, &s->waits) {
		struct stream_wait *w = BASE_CONTAINER(it, struct stream_wait, link);

		if (!all && !w->asked)
			continue;
		stream_quit(w);
		w->fn(w, a);
	}
}

/* ---- what the broker says ---- */

static void on_followed(void *arg, const struct order_msg *m);

/* The publications of M as a tail; it ends at the channel's top. */
static void
read_list(struct base_slice list, uint64_t top, struct tail *fresh)
{
	struct order_pub pub;

	*fresh = (struct tail){.last = top};
	while (order_pub_next(&list, &pub) > 0) {
		if (fresh->n == 0 || pub.offset != fresh->last + 1)
			tail_clear(fresh, pub.offset - 1);
		tail_push(fresh, pub.json);
	}
	if (fresh->last != top)
		tail_clear(fresh, top);
}

static void
replace_tail(struct stream *s, struct tail *fresh)
{
	tail_free(&s->tail);
	s->tail = *fresh;
	s->newest_ms = s->streams->env->now_ms;
	tail_trim(&s->tail, s->keep, s->streams->env->conf->history_reply);
	stream_used(s);
}

/* What was held back and follows the tail; DELIVER: nobody had it yet. */
static void
absorb(struct stream *s, bool deliver)
{
	const struct tail *h = &s->held;
	uint64_t at = BASE_MAX(tail_first(h), s->tail.last + 1);

	for (; h->n > 0 && at == s->tail.last + 1 && at <= h->last; at++) {
		struct base_slice json = tail_get(h, at);

		if (deliver)
			stream_deliver(s, at, json);
		stream_push(s, json);
	}
}

/* Asks once more, after a pause if it was tried before. */
static void
once_more(struct stream *s)
{
	s->not_before_ms = s->streams->env->now_ms;
	if (s->tries++ > 1)
		s->not_before_ms += TRY_PAUSE_MS;
	stream_todo(s);
}

/* True: all that the lane showed is known now, or there is no more patience. */
static bool
settle(struct stream *s)
{
	if (s->tail.last < s->seen && s->tries < TRIES_MAX) {
		once_more(s);
		return false;
	}
	s->state = STREAM_LIVE;
	s->has_next = false;
	s->seen = 0;
	s->tries = 0;
	tail_clear(&s->held, 0);
	return true;
}

/* The first that is heard of the channel, or of another epoch.  False: it was of no
 * use. */
static bool
begin(struct stream *s, const struct order_msg *m, struct tail *fresh)
{
	bool other =
	    s->has_next && memcmp(s->next_epoch, m->epoch.p, ORDER_EPOCH_LEN) != 0;

	if (other && s->tries < TRIES_MAX) {
		/* The lane and the answer know of different epochs, and who is ahead
		 * cannot be told. */
		tail_free(fresh);
		once_more(s);
		return false;
	}
	memcpy(s->epoch, m->epoch.p, ORDER_EPOCH_LEN);
	replace_tail(s, fresh);
	/* Those who do not wait have had it. */
	absorb(s, false);
	return settle(s);
}

/* FRESH ends at or before the position: it may reach further back than the tail. */
static void
extend_back(struct stream *s, struct tail *fresh)
{
	uint64_t pos = s->tail.last;

	if (fresh->n == 0 || tail_first(fresh) >= tail_first(&s->tail) ||
	    fresh->last + 1 < tail_first(&s->tail)) {
		tail_free(fresh);
		return;
	}
	for (uint64_t at = fresh->last + 1; at <= pos; at++)
		tail_push(fresh, tail_get(&s->tail, at));
	replace_tail(s, fresh);
}

/* FRESH ends behind the position: what is new is delivered.  False: something lies
 * between that cannot be had. */
static bool
extend(struct stream *s, struct tail *fresh)
{
	uint64_t pos = s->tail.last, first = tail_first(fresh);
	uint64_t at = BASE_MAX(first, pos + 1);
	bool whole = first <= pos + 1;

	if (!whole)
		stream_lose_placed(s);
	for (; at <= fresh->last; at++)
		stream_deliver(s, at, tail_get(fresh, at));
	if (first <= tail_first(&s->tail) || !whole) {
		replace_tail(s, fresh);
		return whole;
	}
	for (at = pos + 1; at <= fresh->last; at++)
		stream_push(s, tail_get(fresh, at));
	tail_free(fresh);
	return true;
}

/* The channel has another epoch: NEXT.  Nobody who knows the old one is left then. */
static void
change_epoch(struct stream *s, const char next[ORDER_EPOCH_LEN])
{
	stream_lose_placed(s);
	stream_deliver_held(s);
	memmove(s->next_epoch, next, ORDER_EPOCH_LEN);
	s->has_next = true;
	s->tries = 0;
	tail_clear(&s->tail, 0);
	s->shown = s->held.last;
	stream_account(s);
}

/* False: the answer was of no use. */
static bool
answered(struct stream *s, const struct order_msg *m)
{
	struct tail fresh;
	bool whole = true;

	read_list(m->data, m->number, &fresh);
	base_assert(s->state != STREAM_BROKEN);
	if (s->state != STREAM_NEW &&
	    memcmp(s->epoch, m->epoch.p, ORDER_EPOCH_LEN) != 0) {
		if (s->tries < EPOCH_TRIES) {
			s->verify = true;
			tail_free(&fresh);
			once_more(s);
			return false;
		}
		change_epoch(s, m->epoch.p);
		/* Held back or not, it was delivered now. */
		tail_clear(&s->held, 0);
		s->seen = s->shown = 0;
		s->state = STREAM_NEW;
	}
	if (s->state == STREAM_NEW)
		return begin(s, m, &fresh);
	if (s->state == STREAM_LIVE && fresh.last > s->tail.last &&
	    tail_first(&fresh) > s->tail.last + 1 && s->tries < LANE_TRIES) {
		/* What history has dropped may lie in the lane, not read yet. */
		s->verify = true;
		tail_free(&fresh);
		once_more(s);
		return false;
	}
	if (fresh.last > s->tail.last)
		whole = extend(s, &fresh);
	else
		extend_back(s, &fresh);
	if (s->state == STREAM_HEALING) {
		absorb(s, true);
		if (settle(s) && whole)
			stat_add(s->streams->env->stat, healed, 1);
	} else {
		s->tries = 0;
	}
	return true;
}

static void
on_followed(void *arg, const struct order_msg *m)
{
	struct stream *s = arg;
	struct stream_answer a = {
	    .code = (enum proto_error)m->code, .text = m->data, .asked = true};
	bool stale = s->stale, useful;

	s->stale = false;
	s->req = 0;
	s->streams->n_asked--;
	if (m->code == 0 && m->epoch.len != ORDER_EPOCH_LEN)
		a.code = PROTO_ERROR_INTERNAL;
	if (a.code != 0) {
		refuse(s, &a, false);
		s->verify = s->state != STREAM_NEW;
		s->not_before_ms = s->streams->env->now_ms + RETRY_MS;
		stream_todo(s);
		return;
	}
	if (stale)
		once_more(s);
	useful = !stale && answered(s, m);
	BASE_LIST_FOREACH (it, &s->waits) {
		struct stream_wait *w = BASE_CONTAINER(it, struct stream_wait, link);

		w->settled = w->settled || (w->asked && useful);
		w->asked = false;
	}
	stream_account(s);
	stream_attend(s);
}

/* ---- questions ---- */

/* From where publications are needed, and whether any are. */
static bool
needed(struct stream *s, uint64_t *since_r)
{
	bool any = s->state != STREAM_NEW;
	uint64_t since = any ? s->tail.last : UINT64_MAX;

	BASE_LIST_FOREACH (it, &s->waits) {
		struct stream_wait *w = BASE_CONTAINER(it, struct stream_wait, link);

		w->asked = true;
		if (!w->recover)
			continue;
		any = true;
		since = w->cache ? 0 : BASE_MIN(since, w->offset);
	}
	*since_r = any ? since : 0;
	return any;
}

static void
ask(struct stream *s)
{
	struct streams *st = s->streams;
	struct order_msg m = {
	    .kind = ORDER_FOLLOW, .channel = {s->chan->name, s->chan->name_len}};

	if (needed(s, &s->since))
		m.limit = (int32_t)st->env->conf->history_limit;
	m.offset = s->since;
	s->req = order_ask(st->env->order, &m, on_followed, s);
	if (s->req == 0) {
		const struct stream_answer a = {
		    .code = PROTO_ERROR_INTERNAL, .asked = true};

		refuse(s, &a, true);
		s->not_before_ms = st->env->now_ms + TRY_PAUSE_MS;
		stream_todo(s);
		return;
	}
	st->n_asked++;
	s->verify = false;
	if (!base_list_empty(&s->waits))
		BASE_CONTAINER(s->waits.next, struct stream_wait, link)->caused = true;
}

void
stream_forget_question(struct stream *s)
{
	if (s->req == 0)
		return;
	order_forget(s->streams->env->order, s->req);
	s->streams->n_asked--;
	s->req = 0;
	s->stale = false;
	BASE_LIST_FOREACH (it, &s->waits)
		BASE_CONTAINER(it, struct stream_wait, link)->asked = false;
}

/* The lane spoke of another epoch. */
static void
repair(struct stream *s)
{
	uint64_t seen = s->seen;

	stream_forget_question(s);
	change_epoch(s, s->next_epoch);
	/* It began with nothing, so what was held back is all that there is. */
	if (base_list_empty(&s->waits)) {
		memcpy(s->epoch, s->next_epoch, ORDER_EPOCH_LEN);
		tail_clear(&s->tail, BASE_MAX(seen, s->held.last));
		tail_clear(&s->held, 0);
		s->seen = 0;
		s->has_next = false;
		s->state = STREAM_LIVE;
	} else {
		s->state = STREAM_NEW;
	}
	stream_account(s);
}

/* Nobody minds a gap any more. */
static void
give_up(struct stream *s)
{
	s->verify = false;
	if (s->state != STREAM_HEALING)
		return;
	stream_deliver_held(s);
	tail_clear(&s->tail, s->seen);
	tail_clear(&s->held, 0);
	s->state = STREAM_LIVE;
	stream_account(s);
}

void
stream_attend(struct stream *s)
{
	struct streams *st = s->streams;
	bool waiting, wanted;

	if (s->state == STREAM_BROKEN)
		repair(s);
	serve(s);
	waiting = !base_list_empty(&s->waits);
	wanted = waiting || s->verify || s->state == STREAM_HEALING;
	if (!wanted || s->req != 0 || base_list_linked(&s->todo))
		return;
	if (s->n_placed == 0) {
		give_up(s);
		return;
	}
	if (s->not_before_ms > st->env->now_ms ||
	    (!waiting && s->state != STREAM_HEALING && st->n_asked >= ASKED_MAX)) {
		stream_todo(s);
		return;
	}
	ask(s);
}

/* ---- who waits ---- */

void
stream_ask(struct stream *s, struct stream_wait *w)
{
	w->stream = s;
	w->link = (struct base_list){NULL, NULL};
	w->caused = w->asked = w->settled = false;
	if (s->state == STREAM_LIVE && s->chan->batch == 0) {
		age(s);
		if (try_answer(s, w)) {
			stream_used(s);
			return;
		}
	}
	base_list_add_tail(&s->waits, &w->link);
	/* Not so long as when nobody waits. */
	s->not_before_ms =
	    BASE_MIN(s->not_before_ms, s->streams->env->now_ms + TRY_PAUSE_MS);
	stream_attend(s);
}

void
stream_quit(struct stream_wait *w)
{
	base_list_del(&w->link);
}
