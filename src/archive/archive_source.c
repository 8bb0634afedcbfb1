/*
 * archive_source: the spool of one journal, as far as it was read.
 *
 * The broker may set a damaged environment aside and make a new one in its place.
 * journal_tail sees that, and the numbers of the new one are higher than all before, so
 * nothing changes here.
 */
#include "config.h"

#include <stdlib.h>

#include "archive/archive_priv.h"
#include "base/base_log.h"
#include "base/base_mem.h"

/* Times that a reading begins again because the map has grown meanwhile. */
#define AGAIN 8

void
archive_source_init(struct archive_source *s, const char *state_dir, bool memory)
{
	struct base_buf dir = {0};

	s->name = memory ? "history" : "spool";
	base_buf_printf(&dir, "%s/%s", state_dir, s->name);
	s->dir = base_memdup(dir.p, dir.len);
	base_buf_free(&dir);
}

void
archive_source_fini(struct archive_source *s)
{
	journal_tail_close(s->tail);
	archive_gather_free(&s->gather);
	free(s->dir);
}

void
archive_source_rewind(struct archive_source *s)
{
	archive_gather_clear(&s->gather);
	s->next = s->done;
	s->more = true;
}

/* ---- opening ---- */

/* Logs a trouble once. */
static void
complain(struct archive_source *s, const char *why)
{
	if (strcmp(s->why, why) == 0)
		return;
	snprintf(s->why, sizeof(s->why), "%s", why);
	log_error(LOG_ARCHIVER, "%s cannot be read: %s", s->name, why);
}

static void
open_tail(struct archive_source *s)
{
	char err[256];
	bool absent;

	if (journal_tail_open(s->dir, &s->tail, &absent, err, sizeof(err)) == 0) {
		archive_source_rewind(s);
		return;
	}
	s->tail = NULL;
	if (!absent)
		complain(s, err);
}

/* ---- reading ---- */

static int
read_tail(struct archive_source *s, uint64_t after, journal_spooled_fn fn, void *arg)
{
	int r = journal_tail_read(s->tail, after, fn, arg);

	if (r == JOURNAL_IO)
		complain(s, journal_tail_why(s->tail));
	else if (r == JOURNAL_OK)
		s->why[0] = 0;
	return r;
}

static bool
on_first(void *arg, const struct journal_spooled *rec)
{
	struct archive_source *s = arg;

	s->oldest_ns = rec->rec.time_ns;
	return false;
}

void
archive_source_look(struct archive_source *s)
{
	int i, r = JOURNAL_RETRY;

	if (s->tail == NULL)
		open_tail(s);
	s->oldest_ns = 0;
	s->more = true;
	for (i = 0; i < AGAIN && s->tail != NULL && r == JOURNAL_RETRY; i++)
		r = read_tail(s, s->done, on_first, s);
}

struct filling {
	struct archive_source *source;
	size_t n;
	bool enough;
};

static bool
on_record(void *arg, const struct journal_spooled *rec)
{
	struct filling *f = arg;
	struct archive_gather *g = &f->source->gather;

	if (g->n >= f->n || g->texts.len >= ARCHIVE_BATCH_BYTES) {
		f->enough = true;
		return false;
	}
	archive_gather_add(g, rec);
	f->source->next = rec->number;
	return true;
}

void
archive_source_fill(struct archive_source *s, size_t n)
{
	struct filling f = {s, n, false};
	uint64_t from = s->next;
	int i, r = JOURNAL_RETRY;

	for (i = 0; i < AGAIN && s->tail != NULL && r == JOURNAL_RETRY; i++)
		r = read_tail(s, s->next, on_record, &f);
	/* A failure that lasts is looked at once a second. */
	s->more =
	    f.enough || r == JOURNAL_RETRY || (r == JOURNAL_IO && s->next != from);
}
