/*
 * store_postgres: keeps messages in a table of PostgreSQL.
 */
#include "pg_store.h"

#include <stdlib.h>

static int
on_check(const void *conf, struct chatd_error *err)
{
	const struct pg_conf *c = conf;
	struct pg_names names;
	PQconninfoOption *parsed;
	char *text = NULL;
	bool good;

	if (!pg_names_parse(c->table, &names))
		return chatd_fail(err, CHATD_CONFIG,
		    "table is not the name of a table, or of a schema and a table: "
		    "letters, digits and _, at most %d",
		    PG_NAME_MAX);
	parsed = PQconninfoParse(c->dsn, &text);
	good = parsed != NULL;
	PQconninfoFree(parsed);
	PQfreemem(text); /* it would show pieces of the string, a password maybe */
	if (!good)
		return chatd_fail(err, CHATD_CONFIG,
		    "dsn is not a connection string of PostgreSQL, as in "
		    "\"host=db.example.com dbname=chat user=chatd\"");
	return 0;
}

static void
on_stop_timer(void *arg)
{
	struct pg_store *s = arg;

	pg_writer_stop(s, true);
	pg_store_idle(s);
}

static int
on_init(
    struct chatd_host *host, const void *conf, void **self_r, struct chatd_error *err)
{
	const struct pg_conf *c = conf;
	struct pg_store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "out of memory");
	s->host = host;
	s->conf = c;
	if (!pg_names_parse(c->table, &s->names)) {
		free(s);
		return chatd_fail(err, CHATD_CONFIG, "table is not a name");
	}
	s->stop_timer = host->timer_new(host, on_stop_timer, s);
	pg_conn_init(&s->writer.conn, s, &pg_writer_user);
	pg_conn_init(&s->reader.conn, s, &pg_reader_user);
	*self_r = s;
	return 0;
}

static int
on_start(void *self, struct chatd_error *err)
{
	struct pg_store *s = self;

	(void)err;
	s->host->state(s->host, CHATD_CONNECTING, "");
	pg_conn_open(&s->writer.conn, s->host->now(s->host) + s->conf->connect_timeout);
	return 0;
}

void
pg_store_idle(struct pg_store *s)
{
	if (!s->stopping || s->writer.n_queue > 0 || s->reader.n_queue > 0)
		return;
	s->stopping = false;
	s->host->timer_set(s->stop_timer, -1);
	pg_conn_close(&s->writer.conn);
	pg_conn_close(&s->reader.conn);
	s->host->state(s->host, CHATD_DOWN, "stopped");
	s->host->stopped(s->host);
}

static void
on_stop(void *self, int64_t deadline)
{
	struct pg_store *s = self;
	/* The answers have to be out by the deadline. */
	int64_t left = deadline - s->host->now(s->host) - 50;

	s->stopping = true;
	s->host->timer_set(s->stop_timer, left > 0 ? left : 0);
	pg_reader_stop(s);
	pg_writer_stop(s, false);
	pg_store_idle(s);
}

static void
on_fini(void *self)
{
	struct pg_store *s = self;

	/* Without a stop that has ended, there may be something left. */
	s->stopping = false;
	pg_reader_stop(s);
	pg_writer_stop(s, true);
	pg_conn_fini(&s->reader.conn);
	pg_conn_fini(&s->writer.conn);
	s->host->timer_free(s->stop_timer);
	free(s);
}

static int
on_reconf(void *self, const void *conf, struct chatd_error *err)
{
	struct pg_store *s = self;

	(void)err;
	s->conf = conf;
	return 0;
}

static void
on_stats(void *self, struct chatd_sink *sink)
{
	struct pg_store *s = self;

	sink->counter(sink, "connects", s->writer.connects);
	sink->counter(sink, "copies", s->writer.copies);
	sink->counter(sink, "copies_refused", s->writer.copies_refused);
	sink->counter(sink, "inserts", s->writer.inserts);
	sink->counter(sink, "reads", s->reader.reads);
}

static int
on_write(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	return pg_writer_write(self, batch, err);
}

static int
on_history(void *self, const struct chatd_history *ask, struct chatd_error *err)
{
	return pg_reader_history(self, ask, err);
}

static int
on_migrate(void *self, unsigned flags, struct chatd_error *err)
{
	struct pg_store *s = self;

	return pg_schema_migrate(s->conf, &s->names, flags, err);
}

static int
on_ping(void *self, uint64_t token, struct chatd_error *err)
{
	return pg_writer_ping(self, token, err);
}

#define OPT(type, name, change, def, min, max, text)                    \
	{                                                               \
#name, CHATD_OPT_##type, CHATD_OPT_##change,            \
		    offsetof(struct pg_conf, name), def, min, max, text \
	}

static const struct chatd_opt opts[] = {
    OPT(SECRET, dsn, RESTART, "dbname=chat", 1, 4096,
	"Where the database is: a connection string or URI as of psql, whose options "
	"are in the manual of libpq."),
    OPT(STR, table, RESTART, "chatd_messages", 1, 127,
	"Table of the messages, with or without its schema's name before it."),
    OPT(BOOL, copy, LIVE, "on", 0, 0,
	"Write by COPY where that can be done, which is about twice as fast as "
	"INSERT."),
    OPT(TIME, connect_timeout, LIVE, "10s", 100, 600000,
	"Time that a connection may take to be made."),
};

static const struct chatd_life life = {
    .check = on_check,
    .init = on_init,
    .start = on_start,
    .stop = on_stop,
    .fini = on_fini,
    .reconf = on_reconf,
    .stats = on_stats,
};

static const struct chatd_store_ops ops = {
    .write = on_write,
    .history = on_history,
    .migrate = on_migrate,
    .ping = on_ping,
};

const struct chatd_plugin chatd_plugin = {
    CHATD_PLUGIN_HEAD(CHATD_KIND_STORE, "store_postgres", "1"),
    .caps = CHATD_STORE_HISTORY | CHATD_STORE_ASYNC | CHATD_STORE_SCHEMA |
	CHATD_STORE_ORDERED,
    .opts = opts,
    .n_opts = sizeof(opts) / sizeof(opts[0]),
    .conf_size = sizeof(struct pg_conf),
    .life = &life,
    .life_size = sizeof(life),
    .ops = &ops,
    .ops_size = sizeof(ops),
};
