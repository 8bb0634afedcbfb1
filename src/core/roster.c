/*
 * roster: see the header.
 */
#include "config.h"

#include "core/roster.h"

#include <stdlib.h>

#include "base/base_list.h"
#include "base/base_mem.h"
#include "core/glob.h"
#include "core/hub.h"
#include "core/order.h"
#include "core/sess.h"

#define BUDGET 4096 /* buckets a turn */
#define PART ((size_t)16 << 10) /* bytes */
#define PAIR_COST 32 /* bytes of a pair in a list beside its name, at most */
#define ASKS_MAX 16 /* the broker asks less at a time */

struct ask {
	struct base_list link;
	uint64_t req;
	struct base_buf pattern;
};

struct roster {
	struct sess_env *env;
	struct base_list asks; /* the first one is at work */
	unsigned n;
	uint64_t at; /* the next bucket */
	uint32_t mark; /* of channels that were told for this one */
	struct base_buf part;
};

struct roster *
roster_new(struct sess_env *env)
{
	struct roster *r = base_zalloc(sizeof(*r));

	r->env = env;
	r->mark = 1;
	base_list_init(&r->asks);
	return r;
}

static void
ask_free(struct roster *r, struct ask *a)
{
	base_list_del(&a->link);
	base_buf_free(&a->pattern);
	free(a);
	r->n--;
	r->at = 0;
	r->mark++;
	r->part.len = 0;
}

void
roster_free(struct roster *r)
{
	if (r == NULL)
		return;
	BASE_LIST_FOREACH_SAFE (it, tmp, &r->asks)
		ask_free(r, BASE_CONTAINER(it, struct ask, link));
	base_buf_free(&r->part);
	free(r);
}

void
roster_ask(struct roster *r, const struct order_msg *msg)
{
	struct ask *a;

	/* The broker gives up one that is not answered. */
	if (r->n == ASKS_MAX)
		return;
	a = base_zalloc(sizeof(*a));
	a->req = msg->req;
	base_buf_add(&a->pattern, msg->data.p, msg->data.len);
	base_list_add_tail(&r->asks, &a->link);
	r->n++;
}

/* True: all of bucket AT is in the part.  Growing, the hub may move a channel to a
 * bucket that comes later. */
static bool
add_bucket(struct roster *r, const struct ask *a, uint64_t at, size_t max)
{
	const struct base_slice pattern = {a->pattern.p, a->pattern.len};

	for (struct hub_chan *c = hub_bucket(r->env->hub, at); c != NULL; c = c->next) {
		const struct order_pair pair = {
		    .name = {c->name, c->name_len}, .number = c->n_subs};

		if (c->n_subs == 0 || c->mark == r->mark)
			continue;
		if (r->part.len + c->name_len + PAIR_COST > max)
			return false;
		c->mark = r->mark;
		if (pattern.len == 0 || glob_match(pattern, pair.name))
			order_pair_add(&r->part, &pair);
	}
	return true;
}

static bool
tell(struct roster *r, const struct ask *a, bool more)
{
	const struct order_msg m = {
	    .kind = ORDER_CHANNELS_PART,
	    .flags = more ? ORDER_F_MORE : 0,
	    .req = a->req,
	    .data = {r->part.p, r->part.len},
	};

	if (!order_tell(r->env->order, &m))
		return false;
	r->part.len = 0;
	return true;
}

bool
roster_turn(struct roster *r)
{
	size_t max = BASE_MIN(PART, order_max(r->env->order));
	uint64_t end = hub_buckets(r->env->hub);
	unsigned budget = BUDGET;
	bool full = false;
	struct ask *a;

	if (base_list_empty(&r->asks))
		return false;
	a = BASE_CONTAINER(r->asks.next, struct ask, link);
	for (; r->at < end && budget > 0; r->at++, budget--) {
		full = !add_bucket(r, a, r->at, max);
		if (full)
			break;
	}
	if (r->at < end && !full)
		return true;
	/* There is nothing to do before the broker has made room; the commands of
	 * clients want some too. */
	if (!order_roomy(r->env->order) || !tell(r, a, r->at < end))
		return false;
	if (r->at == end)
		ask_free(r, a);
	return !base_list_empty(&r->asks);
}
