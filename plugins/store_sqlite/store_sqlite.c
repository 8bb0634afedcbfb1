/*
 * store_sqlite: messages in a SQLite database, a file on this machine.
 *
 * Needs no server, so it is what chatd writes to when nothing else is said.  Whoever
 * wants to look at the messages may do so meanwhile:
 *
 *	sqlite3 /var/lib/chatd/chat.db 'SELECT * FROM chatd_log LIMIT 10'
 *
 * SQLite waits for locks and for the disk, so it does that in threads of its own
 * (lane.h).  What is here runs on the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lane.h"
#include "schema.h"

/* Batches and questions that may wait; chatd sends no more until ready. */
#define WRITES_MAX 8
#define READS_MAX  64

struct conf {
	const char *path;
	int64_t busy_timeout;
};

struct store {
	struct chatd_host *host;
	const struct conf *conf;
	char *path; /* absolute */
	struct lane writer, reader;
	struct job jobs; /* the head of a ring: all that is not answered */
	bool stopping;
	uint64_t batches, failed_batches, rows, repeated, refused;
	uint64_t reads, failed_reads, rows_read;
};

/* ---- jobs ------------------------------------------------------------------------ */

/* EXTRA bytes are behind it.  NULL: there is no memory. */
static struct job *
new_job(enum job_kind kind, uint64_t token, size_t extra)
{
	struct job *job = calloc(1, sizeof(*job) + extra);

	if (job == NULL)
		return NULL;
	job->kind = kind;
	job->token = token;
	job->give_up = INT64_MAX;
	return job;
}

/* 0: the lane has it. */
static int
give(struct store *s, struct lane *lane, struct job *job)
{
	job->before = s->jobs.before;
	job->after = &s->jobs;
	job->before->after = job;
	job->after->before = job;
	lane_add(lane, job);
	return 0;
}

static void
free_job(struct store *s, struct job *job)
{
	job->before->after = job->after;
	job->after->before = job->before;
	if (job->batch != NULL)
		s->host->drop(s->host, job->batch);
	rows_forget(&job->written);
	rows_free(&job->read);
	free(job);
}

static bool
has_room(struct store *s, struct lane *lane, size_t max, struct chatd_error *err)
{
	if (!lane->running || s->stopping) {
		chatd_fail(err, CHATD_UNAVAIL, "not started");
		return false;
	}
	if (lane->n < max)
		return true;
	lane->full = true;
	chatd_fail(err, CHATD_AGAIN, "%zu wait already", lane->n);
	return false;
}

static void
count(struct store *s, const struct job *job)
{
	if (job->kind == JOB_WRITE) {
		s->batches += job->err.code == 0;
		s->failed_batches += job->err.code != 0;
		if (job->err.code == 0) {
			s->rows += job->written.fresh;
			s->repeated += job->written.repeated;
			s->refused += job->written.refused;
		}
	}
	if (job->kind == JOB_READ) {
		s->reads += job->err.code == 0;
		s->failed_reads += job->err.code != 0;
		s->rows_read += job->read.n;
	}
}

static void
on_answer(struct job *job)
{
	struct lane *lane = job->lane;
	struct store *s = lane->arg;
	struct chatd_host *host = s->host;
	const struct row *row;

	lane->n--;
	if (job->err.code != 0 && job->run == lane->run)
		lane->run++;
	count(s, job);
	for (row = job->read.first; row != NULL && job->err.code == 0; row = row->next)
		host->row(host, job->token, &row->rec);
	host->done(host, job->token, job->err.code,
	    job->err.code != 0 ? job->err.text : NULL, job->written.results,
	    job->written.results != NULL ? job->written.n : 0);
	free_job(s, job);
	if (lane->full && !s->stopping) {
		lane->full = false;
		host->ready(host);
	}
}

/* ---- life ------------------------------------------------------------------------ */

static void
on_state(struct lane *lane, enum chatd_state state, const char *why)
{
	struct store *s = lane->arg;

	if (!s->stopping)
		s->host->state(s->host, state, why);
}

static void
on_ended(struct lane *lane)
{
	struct store *s = lane->arg;

	lane_join(lane);
	if (s->writer.running || s->reader.running)
		return;
	s->host->state(s->host, CHATD_DOWN, "");
	s->host->stopped(s->host);
}

static const struct lane_owner writer_owner = {on_answer, on_ended, on_state};
static const struct lane_owner reader_owner = {on_answer, on_ended, NULL};

/* PATH as it is meant: relative to the directory of what must survive a restart. */
static char *
full_path(const char *dir, const char *path)
{
	size_t size = strlen(dir) + strlen(path) + 2;
	char *full = path[0] == '/' ? strdup(path) : malloc(size);

	if (full != NULL && path[0] != '/')
		snprintf(full, size, "%s/%s", dir, path);
	return full;
}

static void
set_lane(struct store *s, struct lane *lane, const struct lane_owner *owner)
{
	lane->host = s->host;
	lane->owner = owner;
	lane->arg = s;
	lane->db.path = s->path;
	lane->db.busy_ms = s->conf->busy_timeout;
}

static int
sqlite_init(struct chatd_host *host, const void *conf, void **self_r,
    struct chatd_error *err)
{
	struct store *s;

	if (sqlite3_threadsafe() == 0)
		return chatd_fail(err, CHATD_CONFIG,
		    "this machine's SQLite is built without threads");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	s->host = host;
	s->conf = conf;
	s->path = full_path(host->state_dir, s->conf->path);
	if (s->path == NULL) {
		free(s);
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	}
	s->jobs.before = s->jobs.after = &s->jobs;
	set_lane(s, &s->writer, &writer_owner);
	set_lane(s, &s->reader, &reader_owner);
	*self_r = s;
	return 0;
}

static int
sqlite_start(void *self, struct chatd_error *err)
{
	struct store *s = self;
	int r = lane_start(&s->writer);

	s->stopping = false;
	if (r == 0) {
		r = lane_start(&s->reader);
		if (r != 0) {
			lane_stop(&s->writer);
			lane_join(&s->writer);
		}
	}
	if (r != 0)
		return chatd_fail(err, CHATD_UNAVAIL, "thread: %s", strerror(r));
	s->host->state(s->host, CHATD_CONNECTING, s->path);
	return 0;
}

static void
sqlite_stop(void *self, int64_t deadline)
{
	struct store *s = self;

	(void)deadline; /* as soon as the disk lets go */
	s->stopping = true;
	if (!s->writer.running && !s->reader.running) {
		s->host->stopped(s->host);
		return;
	}
	lane_stop(&s->writer);
	lane_stop(&s->reader);
}

static void
sqlite_fini(void *self)
{
	struct store *s = self;

	if (s->writer.running)
		lane_stop(&s->writer);
	if (s->reader.running)
		lane_stop(&s->reader);
	lane_join(&s->writer);
	lane_join(&s->reader);
	while (s->jobs.after != &s->jobs)
		free_job(s, s->jobs.after);
	free(s->path);
	free(s);
}

static void
sqlite_stats(void *self, struct chatd_sink *sink)
{
	const struct store *s = self;

	sink->counter(sink, "batches", s->batches);
	sink->counter(sink, "failed_batches", s->failed_batches);
	sink->counter(sink, "rows_written", s->rows);
	sink->counter(sink, "rows_repeated", s->repeated);
	sink->counter(sink, "rows_refused", s->refused);
	sink->counter(sink, "reads", s->reads);
	sink->counter(sink, "failed_reads", s->failed_reads);
	sink->counter(sink, "rows_read", s->rows_read);
	sink->gauge(sink, "waiting_writes", s->writer.n);
	sink->gauge(sink, "waiting_reads", s->reader.n);
}

/* ---- what a store does ----------------------------------------------------------- */

static int
sqlite_write(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	struct store *s = self;
	struct job *job;

	if (!has_room(s, &s->writer, WRITES_MAX, err))
		return err->code;
	job = new_job(JOB_WRITE, batch->token, 0);
	if (job == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	s->host->hold(s->host, batch);
	job->batch = batch;
	if (batch->deadline != 0)
		job->give_up = db_now() + (batch->deadline - s->host->now(s->host));
	return give(s, &s->writer, job);
}

static int
sqlite_history(void *self, const struct chatd_history *ask, struct chatd_error *err)
{
	struct store *s = self;
	struct job *job;
	char *p;

	if (!has_room(s, &s->reader, READS_MAX, err))
		return err->code;
	job = new_job(JOB_READ, ask->token, ask->channel.len + ask->epoch.len);
	if (job == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	job->ask = *ask;
	p = (char *)(job + 1);
	job->ask.channel.p = p;
	job->ask.epoch.p = p + ask->channel.len;
	if (ask->channel.len > 0)
		memcpy(p, ask->channel.p, ask->channel.len);
	if (ask->epoch.len > 0)
		memcpy(p + ask->channel.len, ask->epoch.p, ask->epoch.len);
	job->give_up = db_now() + (ask->deadline - s->host->now(s->host));
	return give(s, &s->reader, job);
}

/* Between init and start there is no thread yet. */
static int
sqlite_migrate(void *self, unsigned flags, struct chatd_error *err)
{
	struct store *s = self;
	struct db db = {.path = s->path,
	    .busy_ms = s->conf->busy_timeout,
	    .give_up = INT64_MAX};

	return schema_migrate(&db, flags, err);
}

static int
sqlite_ping(void *self, uint64_t token, struct chatd_error *err)
{
	struct store *s = self;
	struct job *job;

	if (!has_room(s, &s->reader, READS_MAX, err))
		return err->code;
	job = new_job(JOB_PING, token, 0);
	if (job == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	return give(s, &s->reader, job);
}

/* ---- the table ------------------------------------------------------------------- */

static const struct chatd_opt opts[] = {
    {"path", CHATD_OPT_STR, CHATD_OPT_RESTART, offsetof(struct conf, path), "chat.db",
	1, 1024, "The database file, relative to state_dir."},
    {"busy_timeout", CHATD_OPT_TIME, CHATD_OPT_RESTART,
	offsetof(struct conf, busy_timeout), "5s", 0, 600000,
	"How long to wait while another program has the database locked."},
};

static const struct chatd_life life = {
    .init = sqlite_init,
    .start = sqlite_start,
    .stop = sqlite_stop,
    .fini = sqlite_fini,
    .stats = sqlite_stats,
};

static const struct chatd_store_ops ops = {
    .write = sqlite_write,
    .history = sqlite_history,
    .migrate = sqlite_migrate,
    .ping = sqlite_ping,
};

const struct chatd_plugin chatd_plugin = {
    CHATD_PLUGIN_HEAD(CHATD_KIND_STORE, "store_sqlite", "1"),
    .caps = CHATD_STORE_TX | CHATD_STORE_HISTORY | CHATD_STORE_ASYNC |
	CHATD_STORE_SCHEMA | CHATD_STORE_ORDERED,
    .opts = opts,
    .n_opts = sizeof(opts) / sizeof(opts[0]),
    .conf_size = sizeof(struct conf),
    .life = &life,
    .life_size = sizeof(life),
    .ops = &ops,
    .ops_size = sizeof(ops),
};
