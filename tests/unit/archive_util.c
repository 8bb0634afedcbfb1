/*
 * archive_util: see the header.
 */
#include "config.h"

#include "archive_util.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_fail.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "conf_util.h"
#include "plug/plug_load.h"

static const struct journal_rules rules = {.history_size = 1,
    .history_ttl_ms = 3600000,
    .meta_ttl_ms = 3600000,
    .archive = true};

/* ---- journals ---- */

void
at_enter(struct at *t, const char *dir)
{
	static const char *const names[] = {"spool", "history"};
	char path[128], err[256];
	bool aside;
	int i;

	memset(t, 0, sizeof(*t));
	snprintf(t->dir, sizeof(t->dir), "%s", dir);
	for (i = 0; i < 2; i++) {
		struct journal_opts opts = {.dir = path,
		    .name = names[i],
		    .spool_limit = 1 << 30,
		    .history_limit = 1 << 30};

		snprintf(path, sizeof(path), "%s/%s", t->dir, names[i]);
		if (journal_open(&opts, &t->journal[i], &aside, err, sizeof(err)) < 0)
			fail_msg("%s", err);
	}
	t->base = event_base_new();
	t->room = SIZE_MAX;
	t->forget = true;
	assert_true(plug_load_set_dir(getenv("CHATD_PLUGIN_DIR")));
}

void
at_open(struct at *t)
{
	char dir[] = "/tmp/chatd-archive-XXXXXX";

	assert_non_null(mkdtemp(dir));
	at_enter(t, dir);
}

void
at_leave(struct at *t)
{
	size_t i;

	at_kill(t);
	for (i = 0; i < 2; i++)
		journal_close(t->journal[i]);
	event_base_free(t->base);
	for (i = 0; i < t->n_got; i++)
		free(t->got[i].data);
	base_buf_free(&t->log);
}

void
at_remove(const char *dir)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void
at_close(struct at *t)
{
	at_leave(t);
	at_remove(t->dir);
}

/* One message, in a transaction that may have to begin again. */
static int
publish(struct journal *j, struct base_slice channel, const char *data, size_t len)
{
	struct journal_record rec = {.time_ns = base_time_wall_ns(),
	    .user = {"ann", 3},
	    .client = {"c1", 2},
	    .info = {"{\"user\":\"ann\"}", 14},
	    .data = {data, len}};
	struct base_slice json = {"{}", 2};
	struct journal_place place;
	int r;

	base_rand_uuid(rec.id);
	if ((r = journal_begin(j)) != 0 ||
	    (r = journal_stream(j, channel, &rules, 1, &place)) != 0 ||
	    (r = journal_next(j, &rules, len, &place)) != 0 ||
	    (r = journal_put(j, channel, &rules, &place, json, &rec, 1)) != 0) {
		journal_abort(j);
		return r;
	}
	return journal_commit(j);
}

void
at_publish(struct at *t, int journal, const char *channel, int n, size_t len)
{
	char *data = base_malloc(len);
	int i, r;

	memset(data, 'x', len);
	data[0] = data[len - 1] = '"';
	for (i = 0; i < n; i++) {
		do
			r = publish(t->journal[journal],
			    (struct base_slice){channel, strlen(channel)}, data, len);
		while (r == JOURNAL_RETRY);
		assert_int_equal(r, JOURNAL_OK);
	}
	free(data);
}

/* ---- the broker ---- */

static void
forget(struct at *t, const struct at_message *msg)
{
	struct journal *j = t->journal[(msg->flags & ORDER_F_MEMORY) != 0];
	struct base_slice why = {msg->data, msg->len};
	bool left = false;
	int r;

	if (msg->kind != ORDER_DEAD && msg->kind != ORDER_ARCHIVED)
		return;
	assert_int_equal(journal_begin(j), 0);
	do {
		if (msg->kind == ORDER_DEAD)
			r = journal_dead(j, msg->number, msg->code, why, 1);
		else
			r = journal_spool_done(j, msg->number, 1000, &left);
	} while (r == JOURNAL_OK && left);
	/* The same record may die twice, if an archiver dies in between. */
	assert_true(r == JOURNAL_OK || r == JOURNAL_ABSENT);
	assert_int_equal(journal_commit(j), 0);
}

static bool
on_send(void *arg, const struct order_msg *msg)
{
	struct at *t = arg;
	struct at_message *got;

	if (t->room == 0)
		return false;
	t->room--;
	assert_true(t->n_got < AT_MESSAGES);
	got = &t->got[t->n_got++];
	*got = (struct at_message){.kind = msg->kind,
	    .flags = msg->flags,
	    .code = msg->code,
	    .req = msg->req,
	    .number = msg->number,
	    .len = msg->data.len};
	got->data = base_memdup(msg->data.p, msg->data.len);
	return true;
}

uint64_t
at_archived(const struct at *t, int journal)
{
	uint32_t flags = journal == 1 ? ORDER_F_MEMORY : 0;
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < t->n_got; i++) {
		if (t->got[i].kind != ORDER_ARCHIVED || t->got[i].flags != flags)
			continue;
		assert_true(t->got[i].number > number);
		number = t->got[i].number;
	}
	return number;
}

bool
at_drained(struct at *t)
{
	struct journal_figures f;
	int i;

	for (i = 0; i < 2; i++) {
		journal_figures(t->journal[i], &f);
		if (f.spool_records > 0)
			return false;
	}
	return true;
}

/* ---- the archiver ---- */

void
at_start(struct at *t, const char *options)
{
	struct archive_place place = {.base = t->base,
	    .node = "test",
	    .stat = &t->stat,
	    .part_max = 4000,
	    .send = on_send,
	    .arg = t};
	struct base_buf text = {0};

	base_buf_printf(&text,
	    "state_dir = \"%s\"\nlisten \"a\" { address = \"127.0.0.1:1\" }\n"
	    "namespace \"\" { archive = on }\n%s\n",
	    t->dir, options);
	base_buf_byte(&text, 0);
	t->conf = conf_util_good(text.p);
	base_buf_free(&text);
	place.conf = t->conf;
	t->archive = archive_new(&place);
}

void
at_kill(struct at *t)
{
	archive_free(t->archive);
	t->archive = NULL;
	if (t->conf != NULL)
		conf_free(t->conf);
	t->conf = NULL;
}

static bool
ended(struct at *t)
{
	return archive_ended(t->archive);
}

void
at_stop(struct at *t)
{
	archive_stop(t->archive, base_time_ms() + 3000);
	assert_true(at_until(t, ended, 4000));
	at_kill(t);
}

static void
nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

#ifdef ENABLE_FAILPOINTS
/* Lets the next turn fail at the call that is its turn. */
static void
arm(struct at *t)
{
	char spec[64];

	if (t->fail_at == 0)
		return;
	snprintf(spec, sizeof(spec), "journal=once@%lu", t->fail_at);
	base_fail_set(spec);
}

static void
disarm(struct at *t)
{
	unsigned long passes;

	if (t->fail_at == 0)
		return;
	passes = base_fail_passes("journal");
	if (passes < t->fail_at)
		t->fail_at -= passes;
	else
		t->fail_at = t->fail_every;
	base_fail_set(NULL);
}
#else
#define arm(t) ((void)0)
#define disarm(t) ((void)0)
#endif

/* Failures are for the archiver: what the broker does in them is another test's. */
static int64_t
turn(struct at *t)
{
	int64_t at;

	arm(t);
	at = archive_turn(t->archive);
	disarm(t);
	for (; t->forget && t->n_forgot < t->n_got; t->n_forgot++)
		forget(t, &t->got[t->n_forgot]);
	return at;
}

bool
at_until(struct at *t, bool (*cond)(struct at *t), int64_t ms)
{
	struct event *timer = evtimer_new(t->base, nothing, NULL);
	int64_t end = base_time_ms() + ms, at;
	struct timeval tv = {0, 0};

	while (!cond(t) && base_time_ms() < end) {
		at = turn(t) - base_time_ms();
		if (cond(t))
			break;
		tv.tv_usec = BASE_MIN(BASE_MAX(at, 1), 20) * 1000;
		evtimer_add(timer, &tv);
		event_base_loop(t->base, EVLOOP_ONCE);
	}
	event_free(timer);
	return cond(t);
}

static bool
never(struct at *t)
{
	(void)t;
	return false;
}

void
at_run(struct at *t, int64_t ms)
{
	(void)at_until(t, never, ms);
}

/* ---- the store ---- */

static void
read_log(struct at *t)
{
	char path[128], block[4096];
	size_t n;
	FILE *f;

	t->log.len = 0;
	snprintf(path, sizeof(path), "%s/log", t->dir);
	f = fopen(path, "r");
	if (f != NULL) {
		while ((n = fread(block, 1, sizeof(block), f)) > 0)
			base_buf_add(&t->log, block, n);
		fclose(f);
	}
	base_buf_byte(&t->log, 0);
}

size_t
at_rows(struct at *t, const char *channel)
{
	unsigned long long offset, last = 0;
	char name[64];
	const char *p;
	size_t n = 0;

	read_log(t);
	for (p = t->log.p; *p != 0; p = strchr(p, '\n') + 1) {
		if (strncmp(p, "batch ", 6) == 0)
			continue;
		assert_int_equal(sscanf(p, "%63s %llu", name, &offset), 2);
		if (strcmp(name, channel) != 0)
			continue;
		if (offset <= last)
			fail_msg("%s: %llu was written after %llu", name, offset, last);
		last = offset;
		n++;
	}
	return n;
}
