/*
 * store_run: see the header.
 */
#include "config.h"

#include "store_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "plug/plug_batch.h"
#include "plug/plug_opts.h"

#define NO_ANSWER -1000

/* How long a store may take for anything, ms. */
static int64_t
patience(void)
{
	const char *text = getenv("CONFORM_PATIENCE");

	return text != NULL ? strtoll(text, NULL, 10) : 10000;
}

/* ---- records --------------------------------------------------------------------- */

static void
point(struct chatd_bytes *bytes, const char *text)
{
	*bytes = (struct chatd_bytes){text, strlen(text)};
}

void
run_data(struct run_record *r, const void *data, size_t len)
{
	free(r->data);
	r->data = base_memdup(data, len);
	r->rec.data = (struct chatd_bytes){r->data, len};
}

void
run_make(struct run_record *r, const char *channel, uint64_t offset)
{
	char data[64];
	size_t i, len = strlen(channel);
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	base_assert(len < sizeof(r->channel));
	memset(r, 0, sizeof(*r));
	memcpy(r->channel, channel, len);
	snprintf(r->epoch, sizeof(r->epoch), "abcdefgh");
	snprintf(r->user, sizeof(r->user), "u%llu", (unsigned long long)offset % 7);
	snprintf(r->client, sizeof(r->client), "c%llu", (unsigned long long)offset);
	snprintf(r->info, sizeof(r->info), "{\"name\":\"\xc3\xa4 ' \\\\\"}");
	r->rec.size = sizeof(r->rec);
	r->rec.offset = offset;
	r->rec.time = 1700000000000000000u + offset * 1000;
	/* An id that is the place's own, with bytes of all kinds. */
	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)channel[i]) * 0x100000001b3u;
	memcpy(r->rec.id, &hash, sizeof(hash));
	memcpy(r->rec.id + sizeof(hash), &offset, sizeof(offset));
	point(&r->rec.channel, r->channel);
	point(&r->rec.epoch, r->epoch);
	point(&r->rec.user, r->user);
	point(&r->rec.client, r->client);
	point(&r->rec.info, r->info);
	snprintf(data, sizeof(data), "{\"n\":%llu,\"t\":\"it's \xe2\x82\xac\"}",
	    (unsigned long long)offset);
	run_data(r, data, strlen(data));
}

void
run_drop(struct run_record *recs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free(recs[i].data);
		recs[i].data = NULL;
	}
}

static bool
same_bytes(struct chatd_bytes a, struct chatd_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool
run_same(const struct run_record *a, const struct run_record *b)
{
	const struct chatd_record *x = &a->rec, *y = &b->rec;

	return memcmp(x->id, y->id, sizeof(x->id)) == 0 && x->offset == y->offset &&
	    x->time == y->time && x->flags == y->flags &&
	    same_bytes(x->channel, y->channel) && same_bytes(x->epoch, y->epoch) &&
	    same_bytes(x->user, y->user) && same_bytes(x->client, y->client) &&
	    same_bytes(x->info, y->info) && same_bytes(x->data, y->data);
}

/* ---- what the store reports ------------------------------------------------------ */

static void
on_state(void *arg, enum chatd_state state, const char *why BASE_UNUSED)
{
	((struct store_run *)arg)->state = state;
}

static void
on_ready(void *arg)
{
	((struct store_run *)arg)->ready++;
}

static void
on_stopped(void *arg)
{
	struct store_run *run = arg;
	uint64_t token;

	if (run->stopped++ > 0)
		base_buf_str(&run->wrong, "stopped was called twice\n");
	for (token = 1; token < run->next_token; token++)
		if (run->answers[token] == 0)
			base_buf_printf(&run->wrong,
			    "stopped came before the answer to request %llu\n",
			    (unsigned long long)token);
}

static void
on_done(void *arg, uint64_t token, int code, const char *why,
    const struct chatd_result *results, size_t n)
{
	struct store_run *run = arg;
	size_t i;

	if (token == 0 || token >= run->next_token) {
		base_buf_str(&run->wrong, "done with a token that nobody gave\n");
		return;
	}
	if (run->answers[token]++ > 0)
		base_buf_printf(&run->wrong, "request %llu was answered twice\n",
		    (unsigned long long)token);
	run->codes[token] = code;
	if (code != 0)
		snprintf(run->why, sizeof(run->why), "%s", why);
	for (i = 0; i < n; i++) {
		if (results[i].code == 0)
			continue;
		if (run->refusal != NULL)
			run->refusal(i, &results[i]);
		run->refused[token] = results[i].code;
		run->refused_at[token] = i;
		if (chatd_err_class(results[i].code) != CHATD_CLASS_REJECT)
			base_buf_printf(&run->wrong,
			    "a record has the result %d, which refuses nothing\n",
			    results[i].code);
	}
}

static void
keep_text(struct chatd_bytes *bytes, char *at, size_t size, struct store_run *run)
{
	if (bytes->len >= size) {
		base_buf_str(&run->wrong, "a row has a longer field than written\n");
		bytes->len = 0;
	}
	if (bytes->len > 0)
		memcpy(at, bytes->p, bytes->len);
	bytes->p = at;
}

static void
on_row(void *arg, uint64_t token, const struct chatd_record *row)
{
	struct store_run *run = arg;
	struct run_record *r;

	if (token == 0 || token >= run->next_token || run->answers[token] > 0 ||
	    run->n_rows == RUN_ROWS) {
		base_buf_str(&run->wrong, "a row that nobody waits for\n");
		return;
	}
	r = &run->rows[run->n_rows++];
	memset(r, 0, sizeof(*r));
	r->rec = *row;
	keep_text(&r->rec.channel, r->channel, sizeof(r->channel), run);
	keep_text(&r->rec.epoch, r->epoch, sizeof(r->epoch), run);
	keep_text(&r->rec.user, r->user, sizeof(r->user), run);
	keep_text(&r->rec.client, r->client, sizeof(r->client), run);
	keep_text(&r->rec.info, r->info, sizeof(r->info), run);
	run_data(r, row->data.p, row->data.len);
}

static const struct plug_owner owner = {
    .state = on_state,
    .ready = on_ready,
    .stopped = on_stopped,
    .done = on_done,
    .row = on_row,
};

/* ---- life ------------------------------------------------------------------------ */

static void
on_timeout(evutil_socket_t fd BASE_UNUSED, short what BASE_UNUSED, void *arg)
{
	*(bool *)arg = true;
}

bool
run_until(struct store_run *run, const int *flag, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	bool late = false;
	struct event *timeout = evtimer_new(run->base, on_timeout, &late);

	evtimer_add(timeout, &tv);
	while (*flag == 0 && !late)
		event_base_loop(run->base, EVLOOP_ONCE);
	event_free(timeout);
	return *flag != 0;
}

bool
run_open(struct store_run *run, const char *name, const char *options,
    struct base_buf *why)
{
	struct conf_body body = {name, "options", 1, options, strlen(options)};

	memset(run, 0, sizeof(*run));
	if (getcwd(run->dir, sizeof(run->dir)) == NULL)
		abort();
	run->next_token = 1;
	run->mod = plug_load(getenv("CHATD_PLUGIN_DIR"), name, CHATD_KIND_STORE, why);
	if (run->mod == NULL)
		return false;
	run->conf = plug_opts_parse(run->mod, &body, why);
	if (run->conf == NULL) {
		plug_unload(run->mod);
		return false;
	}
	base_buf_free(why); /* what was begun there */
	run->base = event_base_new();
	run->rows = base_realloc(NULL, RUN_ROWS, sizeof(*run->rows));
	return true;
}

static bool
migrate(struct store_run *run, struct base_buf *why)
{
	struct chatd_error err;
	int i, code;

	if ((run->mod->table.caps & CHATD_STORE_SCHEMA) == 0)
		return true;
	code = plug_migrate(run->plug, CHATD_MIGRATE_CHECK, &err);
	if (code != 0 && code != CHATD_VERSION) {
		base_buf_printf(why, "migrate that only looks: %s", err.text);
		return false;
	}
	/* What was done once may be done again. */
	for (i = 0; i < 2 && plug_migrate(run->plug, 0, &err) == 0; i++)
		;
	if (i == 2 && plug_migrate(run->plug, CHATD_MIGRATE_CHECK, &err) == 0)
		return true;
	base_buf_printf(why, "migrate: %s", err.text);
	return false;
}

bool
run_init(struct store_run *run, struct base_buf *why)
{
	struct plug_place place = {
	    run->mod, run->conf, run->base, "node-1", run->dir, &owner, run};

	run->plug = plug_new(&place, why);
	return run->plug != NULL;
}

bool
run_start(struct store_run *run, struct base_buf *why)
{
	struct chatd_error err;
	int64_t deadline = base_time_ms() + patience();
	int never = 0;

	run->stopped = 0;
	run->state = CHATD_DOWN;
	if ((run->plug == NULL && !run_init(run, why)) || !migrate(run, why))
		return false;
	if (plug_start(run->plug, &err) != 0) {
		base_buf_printf(why, "start: %s", err.text);
		return false;
	}
	while (run->state != CHATD_UP && base_time_ms() < deadline)
		run_until(run, &never, 5);
	if (run->state != CHATD_UP)
		base_buf_str(why, "it does not come up");
	return run->state == CHATD_UP;
}

bool
run_stop(struct store_run *run, struct base_buf *why)
{
	bool good;

	plug_stop(run->plug, base_time_ms() + patience());
	good = run_until(run, &run->stopped, patience());
	if (!good)
		base_buf_str(why, "it does not stop");
	plug_free(run->plug);
	run->plug = NULL;
	return good;
}

void
run_close(struct store_run *run)
{
	plug_free(run->plug);
	run->plug = NULL;
	run_drop(run->rows, run->n_rows);
	free(run->rows);
	plug_opts_free(run->mod, run->conf);
	event_base_free(run->base);
	plug_unload(run->mod);
	base_buf_free(&run->wrong);
}

/* ---- requests -------------------------------------------------------------------- */

static uint64_t
new_token(struct store_run *run)
{
	base_assert(run->next_token < RUN_TOKENS);
	return run->next_token++;
}

int
run_send(struct store_run *run, const struct run_record *recs, size_t n,
    uint64_t *token_r)
{
	const struct chatd_record **pointers = base_realloc(
	    NULL, n, sizeof(*pointers));
	uint64_t token = new_token(run);
	struct chatd_batch *batch;
	struct chatd_error err;
	size_t i;
	int code;

	for (i = 0; i < n; i++)
		pointers[i] = &recs[i].rec;
	batch = plug_batch_new(pointers, n, token);
	free(pointers);
	if (run->time > 0)
		batch->deadline = base_time_ms() + run->time;
	code = plug_write(run->plug, batch, &err);
	plug_batch_unref(batch);
	if (code != 0) {
		if (run->answers[token]++ > 0)
			base_buf_str(
			    &run->wrong, "done for a batch that was not taken\n");
	} else if (run->answers[token] == 0 &&
	    (run->mod->table.caps & CHATD_STORE_ASYNC) == 0) {
		base_buf_str(
		    &run->wrong, "done comes late without CHATD_STORE_ASYNC\n");
	}
	if (token_r != NULL)
		*token_r = token;
	return code;
}

static int
answer(struct store_run *run, uint64_t token)
{
	if (!run_until(run, &run->answers[token], patience()))
		return NO_ANSWER;
	return run->codes[token];
}

int
run_write(struct store_run *run, const struct run_record *recs, size_t n,
    uint64_t *token_r)
{
	uint64_t token;
	int code = run_send(run, recs, n, &token);

	if (token_r != NULL)
		*token_r = token;
	return code != 0 ? code : answer(run, token);
}

int
run_history(struct store_run *run, const char *channel, const char *epoch,
    const struct chatd_history *ask)
{
	struct chatd_history whole = *ask;
	struct chatd_error err;
	int code;

	run_drop(run->rows, run->n_rows);
	run->n_rows = 0;
	whole.size = sizeof(whole);
	whole.token = new_token(run);
	whole.deadline = base_time_ms() + (run->time > 0 ? run->time : patience());
	point(&whole.channel, channel);
	point(&whole.epoch, epoch);
	code = plug_history(run->plug, &whole, &err);
	if (code != 0)
		run->answers[whole.token]++;
	return code != 0 ? code : answer(run, whole.token);
}

int
run_ping(struct store_run *run)
{
	uint64_t token = new_token(run);
	struct chatd_error err;
	int code = plug_ping(run->plug, token, &err);

	if (code != 0)
		run->answers[token]++;
	return code != 0 ? code : answer(run, token);
}
