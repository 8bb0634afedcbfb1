/*
 * broker: see the header.
 */
#include "config.h"

#include "broker/broker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "broker/broker_priv.h"
#include "ring/ring_wake.h"

#define TICK_MS 1000
#define FIGURES_MS 100

/* ---- start and end ---- */

static void
open_queue(struct broker *b, unsigned slot)
{
	struct broker_slot *s = &b->slots[slot];
	char err[256] = "";

	if (ring_queue_out_open(
		b->seg, slot, RING_QUEUE_BROKER, &s->out, err, sizeof(err)) < 0 ||
	    ring_queue_in_open(
		b->seg, slot, RING_QUEUE_BROKER, NULL, &s->in, err, sizeof(err)) < 0) {
		/* That client gets no answers; the others do. */
		log_error(LOG_BROKER, "a queue cannot be used: %s", err);
		if (s->out != NULL)
			ring_queue_out_close(s->out);
		s->out = NULL;
		s->in = NULL;
	}
}

/* What SLOT knows of streams and has told of presence may not hold any more. */
static void
greet(struct broker *b, unsigned slot)
{
	const struct order_msg hello = {
	    .kind = ORDER_BROKER_HELLO, .number = b->env.generation};

	broker_reply(b, slot, &hello);
}

static void
open_queues(struct broker *b)
{
	for (unsigned i = 0; i < b->n_slots; i++) {
		if (i == b->slot)
			continue;
		open_queue(b, i);
		if (b->slots[i].in == NULL)
			continue;
		b->slots[i].done = ring_queue_position(b->slots[i].in);
		b->slots[i].taken = b->slots[i].done;
		greet(b, i);
	}
}

static void
set_time(struct broker *b)
{
	b->now_ms = base_time_ms();
	b->wall_ns = base_time_wall_ns();
}

struct broker *
broker_new(const struct broker_env *env)
{
	const struct ring_geom *geom = ring_seg_geom(env->seg);
	struct broker *b = base_zalloc(sizeof(*b));

	base_assert(geom->queue_size > 0 && geom->lanes >= 2);
	b->env = *env;
	b->seg = env->seg;
	b->conf = env->conf;
	b->channels = chan_table_new(env->conf);
	b->slot = ring_seg_broker(env->seg);
	b->stat = ring_seg_stats(env->seg, b->slot);
	b->n_slots = geom->slots;
	b->n_workers = geom->lanes - 1;
	b->archiver = geom->lanes;
	b->lane_size = geom->lane_size;
	b->key = ring_seg_key(env->seg);
	b->boot = ring_seg_boot(env->seg);
	base_list_init(&b->reads);
	base_list_init(&b->asks);
	base_rand_bytes(&b->last_req, sizeof(b->last_req));
	b->spooled = true;
	set_time(b);
	b->pres = broker_pres_new(b);
	ring_lane_open(env->seg, b->slot, &b->lane);
	for (unsigned i = 0; i < BROKER_JOURNALS; i++)
		broker_journal_open(b, i);
	open_queues(b);
	broker_replay(b);
	return b;
}

void
broker_free(struct broker *b)
{
	if (b == NULL)
		return;
	broker_read_free(b);
	broker_admin_free(b);
	for (unsigned i = 0; i < BROKER_JOURNALS; i++) {
		broker_journal_abort(&b->journals[i]);
		broker_journal_close(&b->journals[i]);
	}
	for (unsigned i = 0; i < b->n_slots; i++) {
		struct broker_slot *s = &b->slots[i];

		broker_reply_free(s);
		if (s->in == NULL)
			continue;
		ring_queue_in_close(s->in);
		ring_queue_out_close(s->out);
	}
	broker_pres_free(b->pres);
	broker_batch_free(&b->batch);
	ring_lane_close(b->lane);
	chan_table_free(b->channels);
	base_buf_free(&b->list);
	base_buf_free(&b->scratch);
	free(b);
}

/* ---- what the master says ---- */

/* Whether some channels are in the other journal now, where they have another order. */
static bool
moves(const struct conf *old, const struct conf *fresh)
{
	for (size_t i = 0; i < old->n_namespaces; i++)
		for (size_t k = 0; k < fresh->n_namespaces; k++)
			if (strcmp(old->namespaces[i].title,
				fresh->namespaces[k].title) == 0 &&
			    conf_ack(&old->namespaces[i]) !=
				conf_ack(&fresh->namespaces[k]))
				return true;
	return false;
}

void
broker_conf(struct broker *b, const struct conf *conf)
{
	/* An order that was there before does not begin: nothing else tells of it. */
	for (unsigned i = 0; i < b->n_workers && moves(b->conf, conf); i++)
		greet(b, i);
	chan_table_free(b->channels);
	b->channels = chan_table_new(conf);
	b->conf = conf;
	broker_batch_conf(b);
	broker_journal_limits(b);
}

void
broker_gone(struct broker *b, unsigned slot, uint64_t generation)
{
	struct broker_slot *s;

	if (slot >= b->n_slots || slot == b->slot)
		return;
	s = &b->slots[slot];
	s->gone = BASE_MAX(s->gone, generation);
	/* Its successor has said hello already. */
	if (s->generation > generation)
		return;
	set_time(b);
	broker_pres_clear(b, slot, true);
	broker_admin_gone(b, slot);
	if (slot == b->archiver)
		broker_read_fail_all(b);
}

/* ---- a turn ---- */

static void
set_figures(struct broker *b)
{
	uint64_t most =
	    BROKER_BACKLOG_MAX + BASE_MAX(b->conf->history_reply, BROKER_LIST_MAX);

	b->next_figures_ms = b->now_ms + FIGURES_MS;
	stat_set(b->stat, broker_backlog_bytes, broker_reply_bytes(b));
	stat_set(b->stat, broker_backlog_limit_bytes, (b->n_slots - 1) * most);
	broker_pres_figures(b);
	broker_journal_figures(b);
}

static void
upkeep(struct broker *b)
{
	broker_read_tick(b);
	broker_admin_tick(b);
	if (b->now_ms >= b->next_tick_ms) {
		b->next_tick_ms = b->now_ms + TICK_MS;
		broker_journal_tick(b);
	}
	if (b->now_ms >= b->next_figures_ms)
		set_figures(b);
}

/* Tells the archiver, when it has room, that there is something new. */
static void
tell_archiver(struct broker *b)
{
	const struct order_msg msg = {.kind = ORDER_SPOOLED};

	if (!b->spooled || b->archiver >= b->n_slots ||
	    broker_reply_busy(b, b->archiver))
		return;
	b->spooled = false;
	broker_reply(b, b->archiver, &msg);
}

static void
wake(struct broker *b)
{
	BROKER_POINT(BEFORE_WAKE);
	if (b->wake != 0)
		ring_wake_mask(b->seg, b->slot, b->wake);
	b->wake = 0;
}

static bool
archived_waits(const struct broker *b)
{
	for (unsigned i = 0; i < BROKER_JOURNALS; i++)
		if (b->journals[i].archived != 0 && b->now_ms >= b->hold_ms)
			return true;
	return false;
}

bool
broker_turn(struct broker *b)
{
	bool more;

	set_time(b);
	for (unsigned i = 0; i < b->n_slots; i++)
		broker_reply_flush(b, i);
	broker_batch_release(b);
	more = broker_batch_collect(b);
	if (b->batch.n > 0 || archived_waits(b)) {
		broker_batch_commit(b);
		while (broker_batch_answer(b))
			;
		broker_batch_done(b);
	}
	more |= broker_pres_turn(b);
	upkeep(b);
	tell_archiver(b);
	wake(b);
	return more || b->batch.n > 0 || archived_waits(b);
}

bool
broker_pending(const struct broker *b)
{
	for (unsigned i = 0; i < b->n_slots; i++) {
		if (!broker_batch_blocked(b, i) && ring_queue_pending(b->slots[i].in))
			return true;
	}
	return false;
}

bool
broker_idle(const struct broker *b)
{
	return !broker_pending(b) && b->batch.n == 0 && b->batch.n_held == 0;
}
