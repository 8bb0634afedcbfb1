/*
 * archive_batch: see the header.
 */
#include "config.h"

#include "archive/archive_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "plug/plug_batch.h"

/* Its texts lie back to back in the gather's buffer, in the order of the lengths. */
struct archive_row {
	uint64_t number, offset, time_ns;
	unsigned char id[JOURNAL_ID_LEN];
	size_t at;
	uint32_t channel, epoch, user, client, info, data; /* lengths */
};

/* ---- gathering ---- */

static uint32_t
keep(struct base_buf *to, const char *p, size_t len)
{
	base_buf_add(to, p, len);
	return (uint32_t)len;
}

static uint32_t
keep_slice(struct base_buf *to, struct base_slice slice)
{
	return keep(to, slice.p, slice.len);
}

void
archive_gather_add(struct archive_gather *g, const struct journal_spooled *rec)
{
	struct archive_row *row;

	if (g->n == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 64;
		g->rows = base_realloc(g->rows, g->cap, sizeof(*g->rows));
	}
	row = &g->rows[g->n++];
	*row = (struct archive_row){.number = rec->number,
	    .offset = rec->offset,
	    .time_ns = rec->rec.time_ns,
	    .at = g->texts.len};
	memcpy(row->id, rec->rec.id, sizeof(row->id));
	row->channel = keep_slice(&g->texts, rec->channel);
	row->epoch = keep(&g->texts, rec->epoch, sizeof(rec->epoch));
	row->user = keep_slice(&g->texts, rec->rec.user);
	row->client = keep_slice(&g->texts, rec->rec.client);
	row->info = keep_slice(&g->texts, rec->rec.info);
	row->data = keep_slice(&g->texts, rec->rec.data);
	if (g->n == 1)
		g->first_ns = rec->rec.time_ns;
	g->last = rec->number;
}

void
archive_gather_clear(struct archive_gather *g)
{
	g->texts.len = 0;
	g->n = 0;
	g->last = g->first_ns = 0;
}

void
archive_gather_free(struct archive_gather *g)
{
	base_buf_free(&g->texts);
	free(g->rows);
	*g = (struct archive_gather){0};
}

size_t
archive_gather_bytes(const struct archive_gather *g)
{
	return g->texts.cap + g->cap * sizeof(*g->rows);
}

/* ---- batches ---- */

static void
add_dead(struct archive_batch *b, uint64_t number, int code, const char *why)
{
	struct archive_dead *dead;

	b->dead = base_realloc(b->dead, b->n_dead + 1, sizeof(*b->dead));
	dead = &b->dead[b->n_dead++];
	dead->number = number;
	dead->code = code;
	dead->why = base_strdup(why);
}

static struct chatd_bytes
cut(const char **at, uint32_t len)
{
	struct chatd_bytes bytes = {*at, len};

	*at += len;
	return bytes;
}

static struct chatd_record
record_of(const struct archive_gather *g, const struct archive_row *row)
{
	const char *at = g->texts.p + row->at;
	struct chatd_record rec = {
	    .size = sizeof(rec), .offset = row->offset, .time = row->time_ns};

	memcpy(rec.id, row->id, sizeof(rec.id));
	rec.channel = cut(&at, row->channel);
	rec.epoch = cut(&at, row->epoch);
	rec.user = cut(&at, row->user);
	rec.client = cut(&at, row->client);
	rec.info = cut(&at, row->info);
	rec.data = cut(&at, row->data);
	return rec;
}

/* The records that the plugin is shown; their number. */
static size_t
make_records(const struct archive_gather *g, uint64_t max_payload,
    struct archive_batch *b, struct chatd_record *recs,
    const struct chatd_record **list)
{
	const struct archive_row *row;
	char why[96];
	size_t i, n = 0;

	for (i = 0; i < g->n; i++) {
		row = &g->rows[i];
		if (max_payload != 0 && row->data > max_payload) {
			snprintf(why, sizeof(why),
			    "%u bytes of data are more than the store takes: %llu",
			    row->data, (unsigned long long)max_payload);
			add_dead(b, row->number, CHATD_TOOBIG, why);
			continue;
		}
		recs[n] = record_of(g, row);
		list[n] = &recs[n];
		b->numbers[n++] = row->number;
	}
	return n;
}

struct archive_batch *
archive_batch_new(struct archive_gather *g, uint64_t token, uint64_t max_payload)
{
	struct archive_batch *b = base_zalloc(sizeof(*b));
	struct chatd_record *recs = base_realloc(NULL, g->n, sizeof(*recs));
	const struct chatd_record **list = base_realloc(NULL, g->n, sizeof(*list));
	size_t n;

	base_assert(g->n > 0);
	b->n = g->n;
	b->last = g->last;
	b->first_ns = g->first_ns;
	b->numbers = base_realloc(NULL, g->n, sizeof(*b->numbers));
	n = make_records(g, max_payload, b, recs, list);
	if (n > 0)
		b->batch = plug_batch_new(list, n, token);
	b->bytes = sizeof(*b) + g->texts.len +
	    g->n * (sizeof(*b->numbers) + sizeof(*recs) + sizeof(*list));
	free(list);
	free(recs);
	archive_gather_clear(g);
	return b;
}

void
archive_batch_free(struct archive_batch *b)
{
	size_t i;

	if (b == NULL)
		return;
	if (b->batch != NULL)
		plug_batch_unref(b->batch);
	for (i = 0; i < b->n_dead; i++)
		free(b->dead[i].why);
	free(b->dead);
	free(b->numbers);
	free(b);
}

/* ---- answers ---- */

static int
by_number(const void *a, const void *b)
{
	const struct archive_dead *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

void
archive_batch_answer(struct archive_batch *b, int code, const char *why,
    const struct chatd_result *results, size_t n)
{
	size_t i;

	b->answered = true;
	b->code = code;
	snprintf(b->why, sizeof(b->why), "%s", why);
	if (code != 0 || results == NULL)
		return;
	if (n != b->batch->n) {
		b->code = CHATD_BUG;
		snprintf(b->why, sizeof(b->why),
		    "it has %zu results for a batch of %zu", n, b->batch->n);
		return;
	}
	for (i = 0; i < n; i++) {
		if (results[i].code == 0)
			continue;
		if (chatd_err_class(results[i].code) != CHATD_CLASS_REJECT) {
			b->code = CHATD_BUG;
			snprintf(b->why, sizeof(b->why),
			    "the result of a record has code %d, which is not of the "
			    "class reject",
			    (int)results[i].code);
			return;
		}
		add_dead(b, b->numbers[i], results[i].code,
		    results[i].why != NULL ? results[i].why : "");
	}
	if (b->n_dead > 1)
		qsort(b->dead, b->n_dead, sizeof(*b->dead), by_number);
}

void
archive_batch_bury(struct archive_batch *b)
{
	base_assert(b->n == 1 && b->n_dead == 0);
	add_dead(b, b->numbers[0], b->code, b->why);
	b->code = 0;
}
