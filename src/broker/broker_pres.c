/*
 * broker_pres: who is present in which channel.
 *
 * In memory alone: after a restart of the broker the workers tell it again.  Channels,
 * users of a channel and clients of a channel are in hash tables of their own, so that
 * each join, leave and count costs the same whatever a channel's size is.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "broker/broker_priv.h"
#include "proto/cmd_json.h"
#include "ring/ring_interest.h"

#define TABLE_MIN 64 /* buckets; a power of two */
/* Of a dead process, in one turn. */
#define LEAVES_A_TURN 1000

/* What an allocation costs beside its bytes, about. */
#define HEAP_COST 16

/* Begins channels, users and clients. */
struct pres_node {
	struct pres_node *next; /* in its bucket */
	uint64_t hash;
	struct pres_chan *chan; /* NULL for a channel itself */
	uint32_t len; /* of its name */
	uint32_t bytes; /* of all of it */
};

struct pres_chan {
	struct pres_node node;
	struct base_list clients;
	uint64_t n_clients, n_users;
	char name[];
};

struct pres_user {
	struct pres_node node;
	uint64_t refs; /* clients of that user in that channel */
	char name[];
};

struct pres_entry { /* a client in a channel */
	struct pres_node node;
	struct pres_user *user;
	struct base_list in_chan, in_slot;
	uint32_t info_len;
	char name[]; /* client id, then info, a JSON object */
};

struct pres_table {
	struct pres_node **buckets;
	size_t n, n_buckets;
	size_t name_at; /* in its nodes */
};

struct pres {
	struct pres_table chans, users, clients;
	struct base_list leaving; /* entries of dead processes */
	uint64_t bytes, n_entries;
	struct broker_seldom full;
	struct base_buf info, frame;
};

/* ---- tables ---- */

static void
table_init(struct pres_table *t, size_t name_at)
{
	t->n_buckets = TABLE_MIN;
	t->buckets = base_zalloc(t->n_buckets * sizeof(*t->buckets));
	t->name_at = name_at;
}

static uint64_t
hash_in(const struct broker *b, const struct pres_chan *chan, struct base_slice name)
{
	/* The hash of a channel is keyed, so nobody can make two fall together. */
	return base_hash(b->key, name.p, name.len) ^
	    (chan == NULL ? 0 : chan->node.hash * UINT64_C(0x9e3779b97f4a7c15));
}

static struct pres_node *
table_find(const struct pres_table *t, const struct pres_chan *chan, uint64_t hash,
    struct base_slice name)
{
	struct pres_node *n = t->buckets[hash & (t->n_buckets - 1)];

	while (n != NULL &&
	    (n->hash != hash || n->chan != chan || n->len != name.len ||
		memcmp((const char *)n + t->name_at, name.p, name.len) != 0))
		n = n->next;
	return n;
}

static void
table_grow(struct pres *p, struct pres_table *t)
{
	size_t n = t->n_buckets * 2;
	struct pres_node **fresh = base_zalloc(n * sizeof(*fresh));

	for (size_t i = 0; i < t->n_buckets; i++)
		for (struct pres_node *node = t->buckets[i], *next; node != NULL;
		     node = next) {
			next = node->next;
			node->next = fresh[node->hash & (n - 1)];
			fresh[node->hash & (n - 1)] = node;
		}
	free(t->buckets);
	p->bytes += (n - t->n_buckets) * sizeof(*fresh);
	t->buckets = fresh;
	t->n_buckets = n;
}

/* SIZE: of the structure without its texts; EXTRA: bytes of text after the name. */
static void *
table_add(struct pres *p, struct pres_table *t, struct pres_chan *chan, uint64_t hash,
    struct base_slice name, size_t size, size_t extra)
{
	struct pres_node *node = base_zalloc(size + name.len + extra);

	if (t->n == t->n_buckets)
		table_grow(p, t);
	node->hash = hash;
	node->chan = chan;
	node->len = (uint32_t)name.len;
	node->bytes = (uint32_t)(size + name.len + extra + HEAP_COST);
	if (name.len > 0)
		memcpy((char *)node + t->name_at, name.p, name.len);
	node->next = t->buckets[hash & (t->n_buckets - 1)];
	t->buckets[hash & (t->n_buckets - 1)] = node;
	t->n++;
	p->bytes += node->bytes;
	return node;
}

static void
table_del(struct pres *p, struct pres_table *t, struct pres_node *node)
{
	struct pres_node **at = &t->buckets[node->hash & (t->n_buckets - 1)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	t->n--;
	p->bytes -= node->bytes;
	free(node);
}

static struct base_slice
chan_name(const struct pres_chan *chan)
{
	return (struct base_slice){chan->name, chan->node.len};
}

static struct base_slice
entry_client(const struct pres_entry *e)
{
	return (struct base_slice){e->name, e->node.len};
}

static struct base_slice
entry_info(const struct pres_entry *e)
{
	return (struct base_slice){e->name + e->node.len, e->info_len};
}

/* ---- life ---- */

struct pres *
broker_pres_new(struct broker *b)
{
	struct pres *p = base_zalloc(sizeof(*p));

	table_init(&p->chans, offsetof(struct pres_chan, name));
	table_init(&p->users, offsetof(struct pres_user, name));
	table_init(&p->clients, offsetof(struct pres_entry, name));
	p->bytes = 3 * TABLE_MIN * sizeof(struct pres_node *);
	base_list_init(&p->leaving);
	for (unsigned i = 0; i < b->n_slots; i++)
		base_list_init(&b->slots[i].present);
	return p;
}

static void
table_free(struct pres_table *t)
{
	for (size_t i = 0; i < t->n_buckets; i++)
		for (struct pres_node *n = t->buckets[i], *next; n != NULL; n = next) {
			next = n->next;
			free(n);
		}
	free(t->buckets);
}

void
broker_pres_free(struct pres *p)
{
	if (p == NULL)
		return;
	table_free(&p->chans);
	table_free(&p->users);
	table_free(&p->clients);
	base_buf_free(&p->info);
	base_buf_free(&p->frame);
	free(p);
}

/* ---- pushes ---- */

static void
push(struct broker *b, struct base_slice channel, bool join, struct base_slice info)
{
	struct base_buf *buf = &b->pres->frame;
	struct ring_head head = {
	    .type = RING_DATA, .flags = RING_F_JOIN, .time = b->wall_ns};
	struct iovec body;
	size_t at;

	head.chan = base_hash(b->key, channel.p, channel.len);
	head.mask = ring_interest_mask(b->seg, head.chan);
	if (head.mask == 0)
		return;
	buf->len = 0;
	at = broker_frame_begin(buf);
	cmd_json_presence(buf, channel, join, info);
	at = broker_frame_end(buf, at);
	body = (struct iovec){buf->p + at, buf->len - at};
	if (channel.len + body.iov_len > ring_lane_max(b->lane))
		return;
	ring_lane_put(b->lane, &head, channel, &body, 1);
	b->wake |= head.mask;
}

static bool
tells(const struct broker *b, struct base_slice channel)
{
	const struct conf_namespace *ns = chan_namespace(b->channels, channel);

	return ns != NULL && ns->join_leave != CONF_MODE_OFF;
}

/* What others see of the client that M is about. */
static struct base_slice
make_info(struct broker *b, const struct order_msg *m)
{
	const struct cmd_client_info info = {.user = m->user,
	    .client = m->client,
	    .conn_info = m->conn_info,
	    .chan_info = m->chan_info};
	struct base_buf *buf = &b->pres->info;

	buf->len = 0;
	cmd_json_info(buf, &info);
	return (struct base_slice){buf->p, buf->len};
}

/* ---- joins ---- */

static struct pres_chan *
find_chan(struct broker *b, struct base_slice name)
{
	return (struct pres_chan *)table_find(
	    &b->pres->chans, NULL, hash_in(b, NULL, name), name);
}

static struct pres_entry *
find_entry(struct broker *b, struct pres_chan *chan, struct base_slice client)
{
	if (chan == NULL)
		return NULL;
	return (struct pres_entry *)table_find(
	    &b->pres->clients, chan, hash_in(b, chan, client), client);
}

static struct pres_user *
refer_user(struct broker *b, struct pres_chan *chan, struct base_slice name)
{
	struct pres *p = b->pres;
	uint64_t hash = hash_in(b, chan, name);
	struct pres_user *user =
	    (struct pres_user *)table_find(&p->users, chan, hash, name);

	if (user == NULL) {
		user = table_add(p, &p->users, chan, hash, name, sizeof(*user), 0);
		chan->n_users++;
	}
	user->refs++;
	return user;
}

static void
add_entry(struct broker *b, unsigned slot, const struct order_msg *m,
    struct base_slice info)
{
	struct pres *p = b->pres;
	struct pres_chan *chan = find_chan(b, m->channel);
	struct pres_entry *e;

	if (chan == NULL) {
		chan = table_add(p, &p->chans, NULL, hash_in(b, NULL, m->channel),
		    m->channel, sizeof(*chan), 0);
		base_list_init(&chan->clients);
	}
	e = table_add(p, &p->clients, chan, hash_in(b, chan, m->client), m->client,
	    sizeof(*e), info.len);
	memcpy(e->name + m->client.len, info.p, info.len);
	e->info_len = (uint32_t)info.len;
	e->user = refer_user(b, chan, m->user);
	base_list_add_tail(&chan->clients, &e->in_chan);
	base_list_add_tail(&b->slots[slot].present, &e->in_slot);
	chan->n_clients++;
	p->n_entries++;
}

static void
del_entry(struct broker *b, struct pres_entry *e)
{
	struct pres *p = b->pres;
	struct pres_chan *chan = e->node.chan;
	struct pres_user *user = e->user;

	base_list_del(&e->in_chan);
	base_list_del(&e->in_slot);
	table_del(p, &p->clients, &e->node);
	p->n_entries--;
	if (--user->refs == 0) {
		table_del(p, &p->users, &user->node);
		chan->n_users--;
	}
	if (--chan->n_clients == 0)
		table_del(p, &p->chans, &chan->node);
}

static bool
has_room(struct broker *b, const struct order_msg *m, struct base_slice info)
{
	struct pres *p = b->pres;
	size_t most = sizeof(struct pres_chan) + sizeof(struct pres_user) +
	    sizeof(struct pres_entry) + 3 * HEAP_COST + m->channel.len + m->user.len +
	    m->client.len + info.len;

	if (p->bytes + most <= b->conf->presence_total)
		return true;
	stat_add(b->stat, presence_dropped, 1);
	if (broker_seldom(&p->full, b->now_ms))
		log_error(LOG_BROKER,
		    "presence_total is used up, clients that come are not recorded "
		    "clients=%" PRIu64,
		    p->n_entries);
	return false;
}

void
broker_pres_join(struct broker *b, unsigned slot, const struct order_msg *m)
{
	const struct conf_namespace *ns = chan_namespace(b->channels, m->channel);
	struct pres_entry *e = find_entry(b, find_chan(b, m->channel), m->client);
	bool known = e != NULL;
	struct base_slice info;

	/* What a dead process said last may be heard after that it died. */
	if (ns == NULL || !broker_lives(b, slot) ||
	    (!ns->presence && ns->join_leave == CONF_MODE_OFF))
		return;
	if (known)
		del_entry(b, e);
	info = make_info(b, m);
	if (has_room(b, m, info))
		add_entry(b, slot, m, info);
	if (!known && (m->flags & ORDER_F_AGAIN) == 0 && tells(b, m->channel))
		push(b, m->channel, true, info);
}

void
broker_pres_leave(struct broker *b, unsigned slot, const struct order_msg *m)
{
	struct pres_entry *e = find_entry(b, find_chan(b, m->channel), m->client);

	/* Of a dead process all leave at once, and may have done so. */
	if (e == NULL && !broker_lives(b, slot))
		return;
	if (tells(b, m->channel))
		push(b, m->channel, false, e != NULL ? entry_info(e) : make_info(b, m));
	if (e != NULL)
		del_entry(b, e);
}

/* ---- the end of a process ---- */

static struct pres_entry *
first_of(struct base_list *list)
{
	return BASE_CONTAINER(list->next, struct pres_entry, in_slot);
}

/* All of FROM come after what TO has. */
static void
move_all(struct base_list *to, struct base_list *from)
{
	if (base_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	base_list_init(from);
}

void
broker_pres_clear(struct broker *b, unsigned slot, bool leave)
{
	struct base_list *list = &b->slots[slot].present;

	if (leave) {
		move_all(&b->pres->leaving, list);
		return;
	}
	while (!base_list_empty(list))
		del_entry(b, first_of(list));
}

bool
broker_pres_turn(struct broker *b)
{
	struct base_list *list = &b->pres->leaving;

	for (unsigned n = 0; !base_list_empty(list); n++) {
		struct pres_entry *e = first_of(list);
		struct base_slice channel = chan_name(e->node.chan);

		if (n == LEAVES_A_TURN)
			return true;
		if (tells(b, channel))
			push(b, channel, false, entry_info(e));
		del_entry(b, e);
	}
	return false;
}

/* ---- questions ---- */

/* 0, or the error. */
static enum proto_error
check(struct broker *b, const struct order_msg *m)
{
	const struct conf_namespace *ns = chan_namespace(b->channels, m->channel);

	if (ns == NULL)
		return PROTO_ERROR_UNKNOWN_CHANNEL;
	return ns->presence ? 0 : PROTO_ERROR_NOT_AVAILABLE;
}

void
broker_pres_answer(struct broker *b, unsigned slot, const struct order_msg *m)
{
	struct order_msg answer = {.kind = ORDER_PRESENCE_IS, .req = m->req};
	enum proto_error code = check(b, m);
	const struct pres_chan *chan = find_chan(b, m->channel);

	b->list.len = 0;
	if (code == 0 && chan != NULL)
		BASE_LIST_FOREACH (it, &chan->clients) {
			const struct pres_entry *e =
			    BASE_CONTAINER(it, struct pres_entry, in_chan);
			const struct order_pair pair = {
			    .name = entry_client(e), .value = entry_info(e)};

			order_pair_add(&b->list, &pair);
			if (b->list.len > BROKER_LIST_MAX) {
				code = PROTO_ERROR_LIMIT_EXCEEDED;
				break;
			}
		}
	answer.code = (int32_t)code;
	if (code == 0)
		answer.data = (struct base_slice){b->list.p, b->list.len};
	broker_reply_parts(b, slot, &answer);
}

void
broker_pres_stats(struct broker *b, unsigned slot, const struct order_msg *m)
{
	struct order_msg answer = {.kind = ORDER_PRESENCE_STATS_IS,
	    .req = m->req,
	    .code = (int32_t)check(b, m)};
	const struct pres_chan *chan = find_chan(b, m->channel);

	if (answer.code == 0 && chan != NULL) {
		answer.number = chan->n_clients;
		answer.offset = chan->n_users;
	}
	broker_reply(b, slot, &answer);
}

void
broker_pres_figures(struct broker *b)
{
	stat_set(b->stat, presence_entries, b->pres->n_entries);
	stat_set(b->stat, presence_bytes, b->pres->bytes);
	stat_set(b->stat, presence_limit_bytes, b->conf->presence_total);
}
