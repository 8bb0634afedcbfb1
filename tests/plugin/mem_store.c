/*
 * mem_store: see the header.
 */
#include "mem_store.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct row {
	struct chatd_record rec; /* points into BYTES */
	char *bytes;
};

/* The database: of the process, freed when the plugin is unloaded. */
static struct row *rows;
static size_t n_rows;
static bool schema;

struct waiting {
	const struct chatd_batch *batch;
	int64_t due;
	struct waiting *next;
};

struct mem_store {
	struct chatd_host *host;
	const struct mem_conf *conf;
	struct chatd_timer *timer;
	struct waiting *first, **last;
	uint64_t written, refused;
	unsigned batches;
};

__attribute__((destructor)) static void
forget_all(void)
{
	size_t i;

	for (i = 0; i < n_rows; i++)
		free(rows[i].bytes);
	free(rows);
}

static bool
has_bug(const struct mem_store *m, const char *bug)
{
	return strcmp(m->conf->bug, bug) == 0;
}

static void *
need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* ---- rows ------------------------------------------------------------------------ */

static bool
same(struct chatd_bytes a, struct chatd_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool
has_row(const struct chatd_record *rec)
{
	size_t i;

	for (i = 0; i < n_rows; i++)
		if (memcmp(rows[i].rec.id, rec->id, sizeof(rec->id)) == 0)
			return true;
	return false;
}

static char *
keep(struct chatd_bytes *bytes, char *at)
{
	if (bytes->len > 0)
		memcpy(at, bytes->p, bytes->len);
	bytes->p = at;
	return at + bytes->len;
}

static void
add_row(const struct chatd_record *rec)
{
	struct row *row;
	char *at;

	rows = need(realloc(rows, (n_rows + 1) * sizeof(*rows)));
	row = &rows[n_rows++];
	row->rec = *rec;
	at = row->bytes = need(malloc(rec->channel.len + rec->epoch.len +
	    rec->user.len + rec->client.len + rec->info.len + rec->data.len + 1));
	at = keep(&row->rec.channel, at);
	at = keep(&row->rec.epoch, at);
	at = keep(&row->rec.user, at);
	at = keep(&row->rec.client, at);
	at = keep(&row->rec.info, at);
	keep(&row->rec.data, at);
}

/* ---- writing --------------------------------------------------------------------- */

/* How many rows the batch may add. */
static size_t
count_new(const struct mem_store *m, const struct chatd_batch *batch)
{
	size_t i, n = 0;

	for (i = 0; i < batch->n; i++)
		if (!has_row(batch->recs[i]) &&
		    batch->recs[i]->data.len <= m->conf->max_data)
			n++;
	return n;
}

static void
write_one(
    struct mem_store *m, const struct chatd_record *rec, struct chatd_result *result)
{
	if (rec->data.len > m->conf->max_data && !has_bug(m, "toobig")) {
		*result = (struct chatd_result){CHATD_TOOBIG, "larger than max_data"};
		m->refused++;
		return;
	}
	if (has_row(rec) && !has_bug(m, "double"))
		return;
	m->written++;
	if (has_bug(m, "lost") && m->written % 7 == 0)
		return;
	add_row(rec);
}

/*
 * Appends "batch MS N" and a line "CHANNEL OFFSET" for each row that is new, as
 * add_row puts them behind the FIRST ones.
 */
static void
write_log(const struct mem_store *m, const struct chatd_batch *batch, size_t first)
{
	FILE *f;
	size_t i;

	if (m->conf->log[0] == 0)
		return;
	f = need(fopen(m->conf->log, "a"));
	fprintf(f, "batch %lld %zu\n", (long long)m->host->now(m->host), batch->n);
	for (i = first; i < n_rows; i++)
		fprintf(f, "%.*s %llu\n", (int)rows[i].rec.channel.len,
		    rows[i].rec.channel.p, (unsigned long long)rows[i].rec.offset);
	if (fclose(f) != 0)
		abort();
}

static void
finish(struct mem_store *m, const struct chatd_batch *batch)
{
	struct chatd_result *results;
	size_t i, first = n_rows;

	if (m->conf->max_rows > 0 &&
	    n_rows + count_new(m, batch) > (size_t)m->conf->max_rows) {
		m->host->done(m->host, batch->token, CHATD_UNAVAIL, "no room", NULL, 0);
		return;
	}
	results = need(calloc(batch->n, sizeof(*results)));
	for (i = 0; i < batch->n; i++)
		write_one(m, batch->recs[i], &results[i]);
	m->batches++;
	write_log(m, batch, first);
	if (!has_bug(m, "silent") || m->batches > 1)
		m->host->done(m->host, batch->token, 0, NULL, results, batch->n);
	if (has_bug(m, "twice"))
		m->host->done(m->host, batch->token, 0, NULL, results, batch->n);
	free(results);
}

/* Answers those that are due. */
static void
finish_due(struct mem_store *m, int64_t now)
{
	struct waiting *w;

	while ((w = m->first) != NULL && w->due <= now) {
		m->first = w->next;
		if (m->first == NULL)
			m->last = &m->first;
		finish(m, w->batch);
		m->host->drop(m->host, w->batch);
		free(w);
	}
	if (m->first != NULL)
		m->host->timer_set(m->timer, m->first->due - now);
}

static void
on_timer(void *arg)
{
	struct mem_store *m = arg;

	finish_due(m, m->host->now(m->host));
}

int
mem_write(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	struct mem_store *m = self;
	struct waiting *w;

	if (!schema)
		return chatd_fail(err, CHATD_VERSION, "there is no schema");
	if (m->conf->delay == 0) {
		finish(m, batch);
		return 0;
	}
	w = need(calloc(1, sizeof(*w)));
	w->batch = batch;
	w->due = m->host->now(m->host) + m->conf->delay;
	m->host->hold(m->host, batch);
	if (m->first == NULL)
		m->host->timer_set(m->timer, m->conf->delay);
	*m->last = w;
	m->last = &w->next;
	return 0;
}

/* ---- reading --------------------------------------------------------------------- */

static int
by_offset(const void *a, const void *b)
{
	const struct chatd_record *x = *(const struct chatd_record *const *)a;
	const struct chatd_record *y = *(const struct chatd_record *const *)b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool
is_asked(const struct mem_store *m, const struct chatd_history *ask,
    const struct chatd_record *rec)
{
	if (!same(rec->channel, ask->channel) || !same(rec->epoch, ask->epoch))
		return false;
	if (ask->since == 0)
		return true;
	if (rec->offset == ask->since)
		return has_bug(m, "since");
	return ask->reverse ? rec->offset < ask->since : rec->offset > ask->since;
}

int
mem_history(void *self, const struct chatd_history *ask, struct chatd_error *err)
{
	const struct chatd_record **found;
	struct mem_store *m = self;
	uint64_t bytes = 0;
	size_t i, n = 0;
	bool back = ask->reverse != has_bug(m, "order");

	if (!schema)
		return chatd_fail(err, CHATD_VERSION, "there is no schema");
	found = need(calloc(n_rows + 1, sizeof(*found)));
	for (i = 0; i < n_rows; i++)
		if (is_asked(m, ask, &rows[i].rec))
			found[n++] = &rows[i].rec;
	qsort(found, n, sizeof(*found), by_offset);
	for (i = 0; i < n && (i < ask->limit || has_bug(m, "limit")); i++) {
		const struct chatd_record *rec = found[back ? n - 1 - i : i];

		bytes += rec->data.len;
		if (ask->max_bytes != 0 && bytes > ask->max_bytes && i > 0)
			break;
		m->host->row(m->host, ask->token, rec);
	}
	free(found);
	m->host->done(m->host, ask->token, 0, NULL, NULL, 0);
	return 0;
}

/* ---- life ------------------------------------------------------------------------ */

const struct mem_conf *
mem_conf_of(void *self)
{
	return ((struct mem_store *)self)->conf;
}

struct chatd_host *
mem_host_of(void *self)
{
	return ((struct mem_store *)self)->host;
}

int
mem_init(struct chatd_host *host, const void *conf, void **self_r,
    struct chatd_error *err)
{
	struct mem_store *m;

	if (strcmp(((const struct mem_conf *)conf)->bug, "init") == 0)
		return chatd_fail(err, CHATD_UNAVAIL, "the memory is on holiday");
	if (strcmp(((const struct mem_conf *)conf)->bug, "mute") == 0)
		return CHATD_UNAVAIL;
	if (strcmp(((const struct mem_conf *)conf)->bug, "crash") == 0)
		raise(SIGKILL);
	m = need(calloc(1, sizeof(*m)));
	m->host = host;
	m->conf = conf;
	m->last = &m->first;
	m->timer = host->timer_new(host, on_timer, m);
	*self_r = m;
	return 0;
}

int
mem_start(void *self, struct chatd_error *err)
{
	struct mem_store *m = self;

	(void)err;
	m->host->state(m->host, CHATD_UP, "");
	return 0;
}

void
mem_stop(void *self, int64_t deadline)
{
	struct mem_store *m = self;

	(void)deadline;
	finish_due(m, INT64_MAX);
	m->host->timer_set(m->timer, -1);
	m->host->state(m->host, CHATD_DOWN, "stopped");
	if (!has_bug(m, "stop"))
		m->host->stopped(m->host);
}

void
mem_fini(void *self)
{
	struct mem_store *m = self;

	if (has_bug(m, "amnesia")) {
		forget_all();
		rows = NULL;
		n_rows = 0;
	}
	if (!has_bug(m, "timer"))
		m->host->timer_free(m->timer);
	free(m);
}

int
mem_reconf(void *self, const void *conf, struct chatd_error *err)
{
	struct mem_store *m = self;
	const struct mem_conf *next = conf;

	if (next->max_rows > 0 && (size_t)next->max_rows < n_rows)
		return chatd_fail(err, CHATD_CONFIG, "there are %zu rows", n_rows);
	m->conf = next;
	return 0;
}

void
mem_stats(void *self, struct chatd_sink *sink)
{
	struct mem_store *m = self;

	sink->counter(sink, "written", m->written);
	sink->counter(sink, "refused", m->refused);
	sink->gauge(sink, "rows", n_rows);
}

int
mem_migrate(void *self, unsigned flags, struct chatd_error *err)
{
	(void)self;
	if ((flags & CHATD_MIGRATE_CHECK) == 0)
		schema = true;
	return schema ? 0 : chatd_fail(err, CHATD_VERSION, "there is no schema");
}

int
mem_ping(void *self, uint64_t token, struct chatd_error *err)
{
	struct mem_store *m = self;

	(void)err;
	m->host->done(m->host, token, 0, NULL, NULL, 0);
	return 0;
}
