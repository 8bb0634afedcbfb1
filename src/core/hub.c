/*
 * hub: see the header.
 *
 * The table grows by linear hashing (Litwin 1980), one bucket at a time, so that
 * no subscribe pays for moving a million channels.
 */
#include "config.h"

#include "core/hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "core/sess.h"

#define SEGMENT 1024 /* buckets; a power of two */

struct hub {
	struct base_hash_key key;
	struct ring_interest *interest;
	uint64_t n_chans, n_live; /* all; those with a subscriber */
	/* n buckets, SEGMENT <= n; those below n - level were split already. */
	uint64_t n, level;
	struct hub_chan ***segments;
	size_t n_segments;
	/* The walk goes on with subscription walk_left - 1 of walk_chan, or with the
	 * first channel of the bucket when that is NULL. */
	uint64_t walk_bucket;
	struct hub_chan *walk_chan;
	uint32_t walk_left;
};

struct hub *
hub_new(const struct base_hash_key *key, struct ring_interest *interest)
{
	struct hub *h = base_zalloc(sizeof(*h));

	h->key = *key;
	h->interest = interest;
	h->n = h->level = SEGMENT;
	h->n_segments = 1;
	h->segments = base_malloc(sizeof(*h->segments));
	h->segments[0] = base_zalloc(SEGMENT * sizeof(**h->segments));
	return h;
}

void
hub_free(struct hub *h)
{
	if (h == NULL)
		return;
	base_assert(h->n_chans == 0);
	for (size_t i = 0; i < h->n_segments; i++)
		free(h->segments[i]);
	free(h->segments);
	free(h);
}

static struct hub_chan **
bucket(const struct hub *h, uint64_t hash)
{
	uint64_t i = hash & (h->level * 2 - 1);

	if (i >= h->n)
		i = hash & (h->level - 1);
	return &h->segments[i / SEGMENT][i % SEGMENT];
}

/* Adds one bucket and moves to it what belongs there from its elder. */
static void
grow(struct hub *h)
{
	struct hub_chan **from, **to, *c, *next;

	if (h->n == h->n_segments * SEGMENT) {
		h->segments =
		    base_realloc(h->segments, h->n_segments + 1, sizeof(*h->segments));
		h->segments[h->n_segments++] =
		    base_zalloc(SEGMENT * sizeof(**h->segments));
	}
	from = &h->segments[(h->n - h->level) / SEGMENT][(h->n - h->level) % SEGMENT];
	c = *from;
	*from = NULL;
	/* Both get another order: a walk that stands there begins that bucket anew. */
	if (h->walk_bucket == h->n - h->level)
		h->walk_chan = NULL;
	h->n++;
	for (; c != NULL; c = next) {
		next = c->next;
		to = bucket(h, c->hash);
		c->next = *to;
		*to = c;
	}
	if (h->n == h->level * 2)
		h->level *= 2;
}

uint64_t
hub_hash(const struct hub *h, struct base_slice name)
{
	return base_hash(&h->key, name.p, name.len);
}

struct hub_chan *
hub_find(const struct hub *h, struct base_slice name, uint64_t hash)
{
	struct hub_chan *c;

	for (c = *bucket(h, hash); c != NULL; c = c->next)
		if (c->hash == hash && c->name_len == name.len &&
		    memcmp(c->name, name.p, name.len) == 0)
			return c;
	return NULL;
}

struct hub_chan *
hub_first(const struct hub *h, uint64_t hash)
{
	struct hub_chan *c = *bucket(h, hash);

	while (c != NULL && c->hash != hash)
		c = c->next;
	return c;
}

static struct hub_chan *
chan_new(struct hub *h, struct base_slice name, uint64_t hash)
{
	struct hub_chan *c = base_zalloc(sizeof(*c) + name.len), **b;

	c->hash = hash;
	c->name_len = (uint32_t)name.len;
	memcpy(c->name, name.p, name.len);
	if (h->n_chans >= h->n)
		grow(h);
	b = bucket(h, hash);
	c->next = *b;
	*b = c;
	h->n_chans++;
	if (h->interest != NULL)
		ring_interest_add(h->interest, hash);
	return c;
}

/* The walk goes on with CHAN, which is in its bucket, or with the next bucket. */
static void
walk_to(struct hub *h, struct hub_chan *chan)
{
	h->walk_chan = chan;
	if (chan != NULL)
		h->walk_left = chan->n_subs;
	else
		h->walk_bucket++;
}

static void
chan_free(struct hub *h, struct hub_chan *chan)
{
	struct hub_chan **p = bucket(h, chan->hash);

	/* A batch is delivered or dropped before anybody can leave. */
	base_assert(chan->batch == 0 && chan->stream == NULL);
	while (*p != chan)
		p = &(*p)->next;
	*p = chan->next;
	if (h->walk_chan == chan)
		walk_to(h, chan->next);
	h->n_chans--;
	if (h->interest != NULL)
		ring_interest_del(h->interest, chan->hash);
	free(chan->subs);
	free(chan);
}

struct hub_chan *
hub_subscribe(struct hub *h, struct sess *sess, struct base_slice name, uint64_t hash)
{
	struct hub_chan *c = hub_find(h, name, hash);

	if (c == NULL)
		c = chan_new(h, name, hash);
	if (c->n_subs == 0)
		h->n_live++;
	if (c->n_subs == c->cap_subs) {
		c->cap_subs =
		    c->cap_subs == 0 ? 1 : c->cap_subs + (c->cap_subs + 1) / 2;
		c->subs = base_realloc(c->subs, c->cap_subs, sizeof(*c->subs));
	}
	if (sess->n_subs == sess->cap_subs) {
		sess->cap_subs =
		    sess->cap_subs == 0 ? 1 : sess->cap_subs + (sess->cap_subs + 1) / 2;
		sess->subs =
		    base_realloc(sess->subs, sess->cap_subs, sizeof(*sess->subs));
	}
	c->subs[c->n_subs] = (struct hub_sub){sess, sess->n_subs, 0};
	sess->subs[sess->n_subs++] = (struct hub_link){c, c->n_subs++};
	return c;
}

void
hub_unsubscribe(struct hub *h, struct sess *sess, uint32_t slot)
{
	struct hub_link *l = &sess->subs[slot];
	struct hub_chan *c = l->chan;
	uint32_t pos = l->pos;

	base_assert(
	    slot < sess->n_subs && pos < c->n_subs && c->subs[pos].sess == sess);
	/* The last one of each array takes the freed place. */
	c->subs[pos] = c->subs[--c->n_subs];
	if (pos < c->n_subs)
		c->subs[pos].sess->subs[c->subs[pos].slot].pos = pos;
	sess->subs[slot] = sess->subs[--sess->n_subs];
	if (slot < sess->n_subs)
		sess->subs[slot].chan->subs[sess->subs[slot].pos].slot = slot;
	if (c->n_subs == 0)
		h->n_live--;
	if (c->n_subs == 0 && c->stream == NULL) {
		chan_free(h, c);
	} else if (c->n_subs < c->cap_subs / 4) {
		c->cap_subs /= 2;
		c->subs = base_realloc(c->subs, c->cap_subs, sizeof(*c->subs));
	}
	if (sess->n_subs == 0) {
		free(sess->subs);
		sess->subs = NULL;
		sess->cap_subs = 0;
	}
}

int64_t
hub_slot(const struct hub_chan *chan, const struct sess *sess)
{
	if (chan == NULL)
		return -1;
	if (sess->n_subs <= chan->n_subs) {
		for (uint32_t i = 0; i < sess->n_subs; i++)
			if (sess->subs[i].chan == chan)
				return i;
	} else {
		for (uint32_t i = 0; i < chan->n_subs; i++)
			if (chan->subs[i].sess == sess)
				return chan->subs[i].slot;
	}
	return -1;
}

struct hub_sub *
hub_sub(const struct sess *sess, uint32_t slot)
{
	const struct hub_link *l = &sess->subs[slot];

	return &l->chan->subs[l->pos];
}

uint64_t
hub_channels(const struct hub *h)
{
	return h->n_live;
}

void
hub_release(struct hub *h, struct hub_chan *chan)
{
	if (chan->n_subs == 0)
		chan_free(h, chan);
}

/* ---- walks ---- */

void
hub_walk_begin(struct hub *h)
{
	h->walk_bucket = 0;
	h->walk_chan = NULL;
}

bool
hub_walk_some(struct hub *h, uint32_t budget, hub_walk_fn fn, void *arg)
{
	while (h->walk_bucket < h->n) {
		struct hub_chan *c = h->walk_chan;

		if (c == NULL) {
			uint64_t i = h->walk_bucket;

			if (budget-- == 0)
				return false;
			walk_to(h, hub_bucket(h, i));
			continue;
		}
		/*
		 * From the last one to the first: whoever leaves has their place taken
		 * by one that comes earlier in this order.
		 */
		h->walk_left = BASE_MIN(h->walk_left, c->n_subs);
		for (; h->walk_left > 0; h->walk_left--)
			if (budget-- == 0 || !fn(arg, c, &c->subs[h->walk_left - 1]))
				return false;
		walk_to(h, c->next);
	}
	return true;
}

uint64_t
hub_buckets(const struct hub *h)
{
	return h->n;
}

struct hub_chan *
hub_bucket(const struct hub *h, uint64_t at)
{
	return h->segments[at / SEGMENT][at % SEGMENT];
}
