/*
 * hub: which of this process's sessions are subscribed to which channel.
 *
 * A channel exists while it has a subscriber here.  Each subscription is known
 * from both ends: the channel's array is what fan-out walks, the session's array
 * is what its commands look at; each holds the index into the other, so that
 * leaving moves one entry in each.
 */
#ifndef CORE_HUB_H
#define CORE_HUB_H

#include "base/base_hash.h"
#include "ring/ring_interest.h"

struct sess;
struct fan_batch;
struct hub; /* one a process */

/* In the channel's array. */
struct hub_sub {
	struct sess *sess;
	uint32_t slot; /* index in sess->subs */
};

/* In the session's array. */
struct hub_link {
	struct hub_chan *chan;
	uint32_t pos; /* index in chan->subs */
};

struct hub_chan {
	struct hub_chan *next; /* in its bucket */
	uint64_t hash;
	struct fan_batch *batch; /* what is to be delivered this turn, or NULL */
	struct hub_sub *subs;
	uint32_t n_subs, cap_subs;
	uint32_t name_len;
	char name[];
};

/* INTEREST may be NULL (tests). */
struct hub *hub_new(const struct base_hash_key *key, struct ring_interest *interest);
void hub_free(struct hub *hub);

uint64_t hub_hash(const struct hub *hub, struct base_slice name);
/* NULL when nobody is subscribed here. */
struct hub_chan *hub_find(const struct hub *hub, struct base_slice name, uint64_t hash);

/* Any channel with this hash, or NULL; for a reader that has no name yet. */
struct hub_chan *hub_first(const struct hub *hub, uint64_t hash);

/* SESS is not subscribed to NAME.  Once it returns, the interest is set. */
void hub_subscribe(
    struct hub *hub, struct sess *sess, struct base_slice name, uint64_t hash);
/* Takes away the subscription that stands at SLOT of SESS's array. */
void hub_unsubscribe(struct hub *hub, struct sess *sess, uint32_t slot);

/* The subscription of SESS to CHAN: its slot, or -1.  Walks the shorter array. */
int64_t hub_slot(const struct hub_chan *chan, const struct sess *sess);

uint64_t hub_channels(const struct hub *hub);

#endif
