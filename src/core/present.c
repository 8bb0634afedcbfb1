/*
 * present: see the header.
 */
#include "config.h"

#include "core/present.h"

#include <stdlib.h>

#include "base/base_mem.h"
#include "core/order.h"
#include "core/sess_cmd.h"

#define BUDGET 512 /* subscriptions, and buckets of the hub, a turn */

struct present {
	struct sess_env *env;
	bool due; /* all of it is to be told again */
	bool telling; /* ... and some of it was */
	bool full; /* the queue, in this turn */
};

struct present *
present_new(struct sess_env *env)
{
	struct present *p = base_zalloc(sizeof(*p));

	p->env = env;
	return p;
}

void
present_free(struct present *p)
{
	free(p);
}

static bool
tell(struct present *p, enum order_kind kind, uint32_t flags,
    const struct hub_chan *chan, const struct sess *sess)
{
	char uuid[BASE_UUID_LEN + 1];
	struct order_msg m = {
	    .kind = kind,
	    .flags = flags,
	    .channel = {chan->name, chan->name_len},
	};

	sess_tell_who(sess, uuid, &m);
	return order_tell(p->env->order, &m);
}

void
present_join(struct present *p, const struct sess *sess, uint32_t slot)
{
	hub_sub(sess, slot)->flags |= HUB_PRESENT;
	if (!tell(p, ORDER_JOIN, 0, sess->subs[slot].chan, sess))
		p->due = true;
}

void
present_leave(
    struct present *p, const struct sess *sess, const struct hub_chan *chan)
{
	if (!tell(p, ORDER_LEAVE, 0, chan, sess))
		p->due = true;
}

void
present_again(struct present *p)
{
	p->due = true;
	p->telling = false;
}

static bool
again(void *arg, const struct hub_chan *chan, const struct hub_sub *sub)
{
	struct present *p = arg;

	if ((sub->flags & HUB_PRESENT) == 0)
		return true;
	/* The commands of clients want room too. */
	p->full = !order_roomy(p->env->order) ||
	    !tell(p, ORDER_JOIN, ORDER_F_AGAIN, chan, sub->sess);
	return !p->full;
}

bool
present_turn(struct present *p)
{
	const struct order_msg reset = {
	    .kind = ORDER_PRESENCE_RESET, .number = p->env->generation};

	if (p->due && !p->telling) {
		if (!order_tell(p->env->order, &reset))
			return false;
		p->due = false;
		p->telling = true;
		hub_walk_begin(p->env->hub);
	}
	if (!p->telling)
		return false;
	p->full = false;
	if (hub_walk_some(p->env->hub, BUDGET, again, p))
		p->telling = false;
	/* With a full queue there is nothing to do before the broker has made room. */
	return (p->telling || p->due) && !p->full;
}
