/*
 * broker_journal: the two journals, their transactions and their troubles.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "broker/broker_priv.h"

#define ERR_LEN 512

#define RETRY_MS 1000
#define SELDOM_MS 10000
/* What happened then is still the state of things. */
#define RECENT_MS 3000
/* Of streams, keys and histories, in one look a second. */
#define SWEEP_BUDGET 2000

static const char *const names[BROKER_JOURNALS] = {
    [BROKER_HISTORY] = "history",
    [BROKER_SPOOL] = "spool",
};

struct base_slice
broker_text(enum broker_text text)
{
	static const char *const texts[] = {
#define X(name, string) [BROKER_TEXT_##name] = string,
	    BROKER_TEXTS(X)
#undef X
	};

	base_assert((size_t)text < BASE_COUNT(texts));
	return (struct base_slice){texts[text], strlen(texts[text])};
}

bool
broker_seldom(struct broker_seldom *s, int64_t now_ms)
{
	if (now_ms < s->next_ms) {
		s->held_back++;
		return false;
	}
	s->next_ms = now_ms + SELDOM_MS;
	return true;
}

static char *
directory(const char *state_dir, const char *name)
{
	struct base_buf path = {0};

	base_buf_printf(&path, "%s/%s", state_dir, name);
	base_buf_byte(&path, 0);
	return path.p;
}

void
broker_journal_open(struct broker *b, unsigned which)
{
	struct broker_journal *bj = &b->journals[which];
	char err[ERR_LEN] = "";
	bool aside = false;

	bj->name = names[which];
	bj->sync = which == BROKER_SPOOL;
	if (bj->dir == NULL)
		bj->dir = directory(b->conf->state_dir, bj->name);
	const struct journal_opts opts = {.dir = bj->dir,
	    .name = bj->name,
	    .sync = bj->sync,
	    .spool_limit = b->conf->spool_size,
	    .history_limit = b->conf->history_total};

	if (journal_open(&opts, &bj->j, &aside, err, sizeof(err)) < 0) {
		bj->j = NULL;
		bj->retry_ms = base_time_ms() + RETRY_MS;
		if (broker_seldom(&bj->trouble, base_time_ms()))
			log_error(LOG_BROKER,
			    "%s cannot be opened, its channels take no publications: "
			    "%s",
			    bj->name, err);
		return;
	}
	if (aside) {
		stat_add(b->stat, journals_set_aside, 1);
		log_error(LOG_BROKER,
		    "%s was set aside, its channels begin anew: %s", bj->name, err);
	}
}

void
broker_journal_close(struct broker_journal *bj)
{
	if (bj->j != NULL)
		journal_close(bj->j);
	free(bj->dir);
	free(bj->kept);
	*bj = (struct broker_journal){.j = NULL};
}

int
broker_journal_begin(struct broker_journal *bj)
{
	int r;

	if (bj->j == NULL)
		return JOURNAL_IO;
	if (bj->open)
		return JOURNAL_OK;
	r = journal_begin(bj->j);
	bj->open = r == JOURNAL_OK;
	return r;
}

void
broker_journal_abort(struct broker_journal *bj)
{
	if (bj->open)
		journal_abort(bj->j);
	bj->open = false;
}

int
broker_journal_end(struct broker *b, struct broker_journal *bj)
{
	uint64_t begun;
	int r;

	if (!bj->open)
		return JOURNAL_OK;
	if (!journal_dirty(bj->j)) {
		broker_journal_abort(bj);
		return JOURNAL_OK;
	}
	begun = base_time_wall_ns();
	bj->open = false;
	r = journal_commit(bj->j);
	stat_add(b->stat, broker_commit_ns, base_time_wall_ns() - begun);
	return r;
}

enum broker_text
broker_journal_down(const struct broker_journal *bj)
{
	return bj->sync ? BROKER_TEXT_SPOOL_DOWN : BROKER_TEXT_HISTORY_DOWN;
}

void
broker_journal_failed(struct broker *b, struct broker_journal *bj)
{
	stat_add(b->stat, broker_commit_errors, 1);
	bj->trouble_ms = b->now_ms;
	if (bj->j == NULL || !broker_seldom(&bj->trouble, b->now_ms))
		return;
	log_error(LOG_BROKER,
	    "%s cannot be written, publications get a temporary error: %s "
	    "not_logged=%" PRIu64,
	    bj->name, journal_why(bj->j), bj->trouble.held_back);
	bj->trouble.held_back = 0;
}

void
broker_journal_limits(struct broker *b)
{
	for (unsigned i = 0; i < BROKER_JOURNALS; i++)
		if (b->journals[i].j != NULL)
			journal_limits(b->journals[i].j, b->conf->spool_size,
			    b->conf->history_total);
}

/* ---- upkeep ---- */

static void
add_up(struct broker *b)
{
	const struct journal_figures *h = &b->journals[BROKER_HISTORY].figures;
	const struct journal_figures *s = &b->journals[BROKER_SPOOL].figures;
	uint64_t oldest = s->spool_first_ns;

	if (h->spool_first_ns != 0 && (oldest == 0 || h->spool_first_ns < oldest))
		oldest = h->spool_first_ns;
	stat_set(b->stat, spool_records, h->spool_records + s->spool_records);
	stat_set(b->stat, spool_bytes, h->spool_bytes + s->spool_bytes);
	stat_set(b->stat, spool_oldest_ms, oldest / 1000000);
	stat_set(b->stat, dead_letters, h->dead_records + s->dead_records);
	stat_set(b->stat, history_records, h->history_records + s->history_records);
	stat_set(b->stat, history_bytes, h->history_bytes + s->history_bytes);
	stat_set(b->stat, streams, h->streams + s->streams);
	stat_set(b->stat, idempotency_keys, h->keys + s->keys);
	stat_set(b->stat, journal_file_bytes, h->file_bytes + s->file_bytes);
}

static bool
recent(const struct broker *b, int64_t ms)
{
	return ms != 0 && b->now_ms - ms < RECENT_MS;
}

/* As of stat_list.h. */
static unsigned
spool_state(const struct broker *b)
{
	unsigned state = 0;

	for (unsigned i = 0; i < BROKER_JOURNALS; i++) {
		const struct broker_journal *bj = &b->journals[i];

		if (bj->j == NULL || bj->figures.disk_full ||
		    recent(b, bj->trouble_ms))
			return 2;
		if (recent(b, bj->full_ms))
			state = 1;
	}
	return state;
}

void
broker_journal_figures(struct broker *b)
{
	for (unsigned i = 0; i < BROKER_JOURNALS; i++) {
		struct broker_journal *bj = &b->journals[i];

		if (bj->j != NULL)
			journal_figures(bj->j, &bj->figures);
	}
	add_up(b);
	stat_set(b->stat, spool_limit_bytes, BROKER_JOURNALS * b->conf->spool_size);
	stat_set(
	    b->stat, history_limit_bytes, BROKER_JOURNALS * b->conf->history_total);
	stat_set(b->stat, spool_state, spool_state(b));
}

static void
sweep(struct broker *b, struct broker_journal *bj)
{
	int r = broker_journal_begin(bj);

	if (r == JOURNAL_OK)
		r = journal_sweep(bj->j, broker_wall_ms(b), SWEEP_BUDGET);
	if (r == JOURNAL_OK)
		r = broker_journal_end(b, bj);
	if (r != JOURNAL_OK) {
		broker_journal_abort(bj);
		if (r != JOURNAL_RETRY)
			broker_journal_failed(b, bj);
	}
}

/*
 * What was read cannot be right.  A new broker looks at all of it before it uses it,
 * and workers ask that one for everything anew.
 */
static void BASE_NORETURN
start_again(struct broker *b, const struct broker_journal *bj)
{
	log_error(LOG_BROKER, "%s is damaged, starting again to look at it: %s",
	    bj->name, journal_why(bj->j));
	for (unsigned i = 0; i < BROKER_JOURNALS; i++)
		broker_journal_close(&b->journals[i]);
	exit(EXIT_FAILURE);
}

void
broker_journal_tick(struct broker *b)
{
	for (unsigned i = 0; i < BROKER_JOURNALS; i++) {
		struct broker_journal *bj = &b->journals[i];

		if (bj->j == NULL && b->now_ms >= bj->retry_ms)
			broker_journal_open(b, i);
		if (bj->j == NULL)
			continue;
		if (journal_spoilt(bj->j))
			start_again(b, bj);
		sweep(b, bj);
		if (!bj->sync)
			journal_sync_due(bj->j, broker_wall_ms(b));
	}
}
