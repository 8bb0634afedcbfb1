/*
 * pg_schema: the tables, and their versions.
 *
 * chatd_schema has a row for each table of messages, with the version of its schema, so
 * that several servers can share a database.  What makes a version of the one before
 * it stands in steps[]; all that are missing are made in one transaction.
 */
#include "pg_store.h"

#include <stdlib.h>
#include <string.h>

/* Of CREATE and ALTER: they wait for others' locks no longer. */
#define LOCK_TIMEOUT "10s"

/* Of migrations of one database: one at a time.  The letters chatd, and a number. */
#define LOCK_KEY "427019462756"

/* steps[I] makes version I + 1: the statement before and after the table's name. */
static const struct {
	const char *before, *after;
} steps[PG_VERSION] = {
    {"CREATE TABLE ",
	" (id uuid PRIMARY KEY, "
	"channel text NOT NULL, "
	"epoch text NOT NULL, "
	"\"offset\" bigint NOT NULL, "
	"\"time\" timestamptz NOT NULL, "
	"user_id text NOT NULL, "
	"client text NOT NULL, "
	"info json, "
	"data json, "
	"bytes bytea, "
	"UNIQUE (channel, epoch, \"offset\"))"},
};

void
pg_schema_query(const struct pg_names *names, char *sql, size_t size)
{
	/* What done tells of is durable; a remote standby may be asked for as well. */
	snprintf(sql, size,
	    "SELECT set_config('synchronous_commit', 'on', false) "
	    "WHERE current_setting('synchronous_commit') = 'off'; "
	    "SELECT version FROM %s WHERE name = '%s'",
	    names->versions, names->plain);
}

int
pg_schema_check(
    const PGresult *res, const struct pg_names *names, char *why, size_t size)
{
	long version;
	int code;

	if (PQresultStatus(res) != PGRES_TUPLES_OK) {
		code = pg_error_of(res, why, size);
		if (code == CHATD_VERSION)
			snprintf(
			    why, size, "there is no table %s of chatd", names->plain);
		return chatd_err_class(code) == CHATD_CLASS_RETRY ||
			code == CHATD_VERSION
		    ? code
		    : CHATD_UNAVAIL;
	}
	if (strcmp(PQfname(res, 0), "version") != 0)
		return CHATD_UNAVAIL;
	if (PQntuples(res) == 0) {
		snprintf(why, size, "there is no table %s of chatd", names->plain);
		return CHATD_VERSION;
	}
	version = strtol(PQgetvalue(res, 0, 0), NULL, 10);
	if (version == PG_VERSION)
		return 0;
	snprintf(why, size, "the table %s has version %ld of the schema, not %d",
	    names->plain, version, PG_VERSION);
	return CHATD_VERSION;
}

/* ---- making it; this waits ------------------------------------------------------- */

/* Runs SQL; its last result, or NULL and the reason. */
static PGresult *
query(PGconn *pg, const char *sql, struct chatd_error *err)
{
	PGresult *res = PQexec(pg, sql);
	ExecStatusType status = PQresultStatus(res);
	char why[200];
	int code;

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return res;
	code = pg_error_of(res, why, sizeof(why));
	if (chatd_err_class(code) != CHATD_CLASS_RETRY && code != CHATD_VERSION)
		code = CHATD_CONFIG;
	chatd_fail(err, code, "%s", why);
	PQclear(res);
	return NULL;
}

static int
run(PGconn *pg, const char *sql, struct chatd_error *err)
{
	PGresult *res = query(pg, sql, err);

	PQclear(res);
	return res != NULL ? 0 : err->code;
}

/* The version that there is, 0: none. */
static int
version_of(
    PGconn *pg, const struct pg_names *names, long *version_r, struct chatd_error *err)
{
	char sql[512];
	PGresult *res;

	snprintf(sql, sizeof(sql), "SELECT version FROM %s WHERE name = '%s'",
	    names->versions, names->plain);
	res = query(pg, sql, err);
	if (res == NULL)
		return err->code;
	*version_r = PQntuples(res) > 0 ? strtol(PQgetvalue(res, 0, 0), NULL, 10) : 0;
	PQclear(res);
	return 0;
}

static int
set_version(PGconn *pg, const struct pg_names *names, struct chatd_error *err)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
	    "INSERT INTO %s (name, version) VALUES ('%s', %d) ON CONFLICT (name) "
	    "DO UPDATE SET version = excluded.version, changed = now()",
	    names->versions, names->plain, PG_VERSION);
	return run(pg, sql, err);
}

static int
make_steps(
    PGconn *pg, const struct pg_names *names, long version, struct chatd_error *err)
{
	char sql[1024];

	for (; version < PG_VERSION; version++) {
		snprintf(sql, sizeof(sql), "%s%s%s", steps[version].before,
		    names->table, steps[version].after);
		if (run(pg, sql, err) != 0)
			return err->code;
	}
	return set_version(pg, names, err);
}

/* In a transaction, of which there is one at a time. */
static int
make(PGconn *pg, const struct pg_names *names, struct chatd_error *err)
{
	char sql[512];
	long version = 0;
	int code;

	snprintf(sql, sizeof(sql),
	    "CREATE TABLE IF NOT EXISTS %s (name text PRIMARY KEY, "
	    "version integer NOT NULL, changed timestamptz NOT NULL DEFAULT now())",
	    names->versions);
	code = run(pg,
	    "BEGIN; SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'; "
	    "SELECT pg_advisory_xact_lock(" LOCK_KEY ")",
	    err);
	if (code == 0)
		code = run(pg, sql, err);
	if (code == 0)
		code = version_of(pg, names, &version, err);
	if (code == 0 && version > PG_VERSION)
		return chatd_fail(err, CHATD_VERSION,
		    "the table %s has version %ld of the schema, which is newer than "
		    "%d",
		    names->plain, version, PG_VERSION);
	if (code == 0 && version < PG_VERSION)
		code = make_steps(pg, names, version, err);
	return code != 0 ? code : run(pg, "COMMIT", err);
}

static int
look(PGconn *pg, const struct pg_names *names, struct chatd_error *err)
{
	char sql[512], why[200] = "unexpected answer";
	PGresult *res;
	int code;

	pg_schema_query(names, sql, sizeof(sql));
	res = PQexec(pg, sql);
	code = pg_schema_check(res, names, why, sizeof(why));
	PQclear(res);
	return code != 0 ? chatd_fail(err, code, "%s", why) : 0;
}

int
pg_schema_migrate(const struct pg_conf *conf, const struct pg_names *names,
    unsigned flags, struct chatd_error *err)
{
	const char *keys[] = {"connect_timeout", "dbname", "client_encoding",
	    "fallback_application_name", NULL};
	char seconds[24], why[200];
	const char *values[] = {seconds, conf->dsn, "UTF8", "chatd", NULL};
	PGconn *pg;
	int code;

	snprintf(seconds, sizeof(seconds), "%lld",
	    (long long)(conf->connect_timeout + 999) / 1000);
	pg = PQconnectdbParams(keys, values, 1);
	PQsetNoticeReceiver(pg, pg_notice, NULL);
	if (PQstatus(pg) != CONNECTION_OK) {
		pg_line(why, sizeof(why),
		    pg != NULL ? PQerrorMessage(pg) : "out of memory");
		code = chatd_fail(err, CHATD_UNAVAIL, "%s", why);
	} else if ((flags & CHATD_MIGRATE_CHECK) != 0) {
		code = look(pg, names, err);
	} else {
		code = make(pg, names, err);
	}
	PQfinish(pg);
	return code;
}
