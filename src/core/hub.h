/*
 * hub: which of this process's sessions are subscribed to which channel.
 *
 * A channel exists while it has a subscriber here, or a stream (stream.h) that
 * outlives its subscribers for a while.  Each subscription is known from both ends: the
 * channel's array is what fan-out walks, the session's array is what its commands look
 * at; each holds the index into the other, so that leaving moves one entry in each.
 */
#ifndef CORE_HUB_H
#define CORE_HUB_H

#include "base/base_hash.h"
#include "ring/ring_interest.h"

struct sess;
struct stream;
struct hub; /* one a process */

/* What there is to know of a subscription: bits of hub_sub.flags. */
#define HUB_WAITING 1u /* the subscribe command is not answered yet: it gets nothing */
#define HUB_PLACED 2u /* it was told its position: it must not miss anything */
#define HUB_JOINS 4u /* it gets join and leave pushes */
#define HUB_PRESENT 8u /* the broker was told that it is there, or is owed that */

/* In the channel's array. */
struct hub_sub {
	struct sess *sess;
	uint32_t slot; /* index in sess->subs */
	uint32_t flags; /* HUB_... */
};

/* In the session's array. */
struct hub_link {
	struct hub_chan *chan;
	uint32_t pos; /* index in chan->subs */
};

struct hub_chan {
	struct hub_chan *next; /* in its bucket */
	uint64_t hash;
	struct stream *stream; /* NULL: nobody here was told a position */
	struct hub_sub *subs;
	uint32_t n_subs, cap_subs;
	uint32_t mark;  /* of the last look at all channels that saw it (roster.c) */
	uint32_t batch; /* number of what is to be delivered this turn; 0: nothing */
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

/*
 * SESS is not subscribed to NAME.  Once it returns, the interest is set.  The
 * subscription is the last one of both arrays, without flags.
 */
struct hub_chan *hub_subscribe(
    struct hub *hub, struct sess *sess, struct base_slice name, uint64_t hash);
/* Takes away the subscription that stands at SLOT of SESS's array. */
void hub_unsubscribe(struct hub *hub, struct sess *sess, uint32_t slot);

/* The subscription of SESS to CHAN: its slot, or -1.  Walks the shorter array. */
int64_t hub_slot(const struct hub_chan *chan, const struct sess *sess);
/* The subscription that stands at SLOT of SESS's array. */
struct hub_sub *hub_sub(const struct sess *sess, uint32_t slot);

/* Channels with a subscriber. */
uint64_t hub_channels(const struct hub *hub);

/* CHAN has lost its stream, which was all that kept it if nobody is subscribed. */
void hub_release(struct hub *hub, struct hub_chan *chan);

/*
 * A walk over all subscriptions that may take many turns: each one that is there
 * from its begin to its end is shown, some perhaps twice; those that come meanwhile
 * perhaps not.  FN returns false to be shown the same one again the next time.
 */
typedef bool (*hub_walk_fn)(
    void *arg, const struct hub_chan *chan, const struct hub_sub *sub);
void hub_walk_begin(struct hub *hub);
/* Goes on, for at most BUDGET subscriptions.  True: it has come to the end. */
bool hub_walk_some(struct hub *hub, uint32_t budget, hub_walk_fn fn, void *arg);

/*
 * For a look at all channels, in as many pieces as one likes: buckets are numbered from
 * 0, and more may come; each has a list of channels, by hub_chan.next, or NULL.  A
 * channel may move to a bucket that is new.
 */
uint64_t hub_buckets(const struct hub *hub);
struct hub_chan *hub_bucket(const struct hub *hub, uint64_t at);

#endif
