/*
 * health: see the header.
 */
#include "config.h"

#include "net/health.h"

#include <stdio.h>

#include "base/base_time.h"
#include "proto/json_wr.h"

/* A process that looks around once a second has missed some of them. */
#define STILL_MS 5000

static uint64_t
now_ms(void)
{
	return base_time_wall_ns() / 1000000;
}

/* Of something that happened at THEN; 0 when nothing did. */
static uint64_t
age_ms(uint64_t then)
{
	uint64_t now = now_ms();

	return then == 0 || then > now ? 0 : now - then;
}

static void
add_text(struct base_buf *out, const char *name, const char *text)
{
	json_wr_key(out, name);
	json_wr_string(out, (struct base_slice){text, strlen(text)});
}

static void
add(struct base_buf *out, const char *name, uint64_t n)
{
	json_wr_key(out, name);
	json_wr_uint(out, n);
}

static void
begin(struct base_buf *out, const char *name)
{
	json_wr_key(out, name);
	base_buf_byte(out, '{');
}

static void
end(struct base_buf *out)
{
	base_buf_byte(out, '}');
}

/* ---- words for states ---- */

static const char *
spool_word(uint64_t state)
{
	switch (state) {
	case STAT_SPOOL_OK:
		return "ok";
	case STAT_SPOOL_FULL:
		return "full";
	default:
		return "disk";
	}
}

static const char *
store_word(uint64_t state)
{
	switch (state) {
	case STAT_STORE_NONE:
		return "none";
	case STAT_STORE_DOWN:
		return "down";
	case STAT_STORE_CONNECTING:
		return "connecting";
	case STAT_STORE_UP:
		return "up";
	default:
		return "schema";
	}
}

/* ---- what is wrong ---- */

struct verdict {
	enum health health;
	struct base_buf reasons; /* elements of an array */
};

static void
blame(struct verdict *v, enum health health, const char *text)
{
	v->health = BASE_MAX(v->health, health);
	if (v->reasons.len > 0)
		base_buf_byte(&v->reasons, ',');
	json_wr_string(&v->reasons, (struct base_slice){text, strlen(text)});
}

static void
judge_workers(struct verdict *v, const struct net *net)
{
	char text[64];

	for (unsigned i = 0; i < net->n_workers; i++) {
		uint64_t beat = stat_get(net->stats.workers[i], beat_ms);

		if (i == net->worker || (beat != 0 && age_ms(beat) < STILL_MS))
			continue;
		snprintf(text, sizeof(text), "worker %u does not move", i);
		blame(v, HEALTH_DEGRADED, text);
	}
}

static void
judge_spool(struct verdict *v, const struct net *net)
{
	switch (stat_get(net->stats.broker, spool_state)) {
	case STAT_SPOOL_OK:
		break;
	case STAT_SPOOL_FULL:
		blame(v, HEALTH_DEGRADED, "the spool is full");
		break;
	default:
		blame(v, HEALTH_DEGRADED, "the disk of the spool is full or fails");
		break;
	}
}

static void
judge_store(struct verdict *v, const struct net *net)
{
	const struct stat_archiver *a = net->stats.archiver;

	switch (stat_get(a, store_state)) {
	case STAT_STORE_NONE:
		return;
	case STAT_STORE_DOWN:
		blame(v, HEALTH_DEGRADED, "the database is down");
		break;
	case STAT_STORE_CONNECTING:
		blame(v, HEALTH_DEGRADED, "the database is being connected to");
		break;
	case STAT_STORE_UP:
		if (age_ms(stat_get(a, archiver_beat_ms)) >= STILL_MS)
			blame(v, HEALTH_DEGRADED, "the archiver does not move");
		break;
	default:
		blame(v, HEALTH_DEGRADED,
		    "the database waits for its schema: chatctl store init");
		break;
	}
}

static enum health
judge(struct base_buf *out, const struct net *net)
{
	static const char *const words[] = {[HEALTH_OK] = "ok",
	    [HEALTH_DEGRADED] = "degraded",
	    [HEALTH_FAILING] = "failing"};
	uint64_t beat = stat_get(net->stats.broker, broker_beat_ms);
	struct verdict v = {0};

	if (net->draining)
		blame(&v, HEALTH_FAILING, "stopping");
	judge_workers(&v, net);
	if (beat == 0 || age_ms(beat) >= STILL_MS)
		blame(&v, HEALTH_DEGRADED, "the broker does not move");
	judge_spool(&v, net);
	judge_store(&v, net);
	add_text(out, "status", words[v.health]);
	json_wr_key(out, "reasons");
	base_buf_byte(out, '[');
	base_buf_add(out, v.reasons.p, v.reasons.len);
	base_buf_byte(out, ']');
	base_buf_free(&v.reasons);
	return v.health;
}

/* ---- the figures ---- */

void
health_spool_json(struct base_buf *out, const struct net *net)
{
	const struct stat_broker *b = net->stats.broker;

	begin(out, "spool");
	add_text(out, "state", spool_word(stat_get(b, spool_state)));
	add(out, "records", stat_get(b, spool_records));
	add(out, "bytes", stat_get(b, spool_bytes));
	add(out, "limit_bytes", stat_get(b, spool_limit_bytes));
	add(out, "oldest_ms", age_ms(stat_get(b, spool_oldest_ms)));
	add(out, "dead_letters", stat_get(b, dead_letters));
	end(out);
}

void
health_archive_json(struct base_buf *out, const struct net *net)
{
	const struct stat_archiver *a = net->stats.archiver;

	begin(out, "archive");
	add_text(out, "store", store_word(stat_get(a, store_state)));
	add(out, "rate", stat_get(a, archive_rate));
	add(out, "lag_ms", stat_get(a, archive_lag_ms));
	add(out, "pause_ms", stat_get(a, archive_pause_ms));
	add(out, "archived", stat_get(a, archived));
	add(out, "errors", stat_get(a, archive_errors));
	add(out, "refused", stat_get(a, archive_refused));
	end(out);
}

static void
pair(struct base_buf *out, const char *name, uint64_t bytes, uint64_t limit)
{
	begin(out, name);
	add(out, "bytes", bytes);
	add(out, "limit_bytes", limit);
	end(out);
}

static void
memory_json(struct base_buf *out, const struct net *net)
{
	const struct stat_all *all = &net->stats;
	const struct stat_broker *b = all->broker;
	const struct stat_archiver *a = all->archiver;

	begin(out, "memory");
	pair(out, "output", stat_sum(all, output_bytes),
	    stat_sum(all, output_limit_bytes));
	pair(out, "input", stat_sum(all, input_bytes),
	    stat_sum(all, input_limit_bytes));
	pair(out, "tails", stat_sum(all, tail_bytes), stat_sum(all, tail_limit_bytes));
	pair(out, "presence", stat_get(b, presence_bytes),
	    stat_get(b, presence_limit_bytes));
	pair(out, "answers", stat_get(b, broker_backlog_bytes),
	    stat_get(b, broker_backlog_limit_bytes));
	pair(out, "batches", stat_get(a, archive_bytes),
	    stat_get(a, archive_limit_bytes));
	end(out);
}

enum health
health_json(struct base_buf *out, const struct net *net)
{
	const struct stat_all *all = &net->stats;
	const struct stat_broker *b = all->broker;
	enum health health = judge(out, net);

	begin(out, "connections");
	add(out, "open", stat_sum(all, connections));
	add(out, "limit", stat_sum(all, connections_limit));
	add(out, "clients", stat_sum(all, clients));
	add(out, "subscriptions", stat_sum(all, subscriptions));
	end(out);
	health_spool_json(out, net);
	health_archive_json(out, net);
	begin(out, "history");
	add(out, "streams", stat_get(b, streams));
	add(out, "records", stat_get(b, history_records));
	add(out, "bytes", stat_get(b, history_bytes));
	add(out, "limit_bytes", stat_get(b, history_limit_bytes));
	end(out);
	begin(out, "presence");
	add(out, "entries", stat_get(b, presence_entries));
	add(out, "dropped", stat_get(b, presence_dropped));
	end(out);
	memory_json(out, net);
	return health;
}
