/*
 * pg_conn: one session with the database, in the daemon's loop.
 *
 *	CLOSED -> RESOLVING -> CONNECTING -> CHECKING -> IDLE <-> BUSY
 *
 * and from each of them to CLOSED, when the server ends the session, or does not answer
 * in time.  A session that finds another schema than ours stays IDLE, unusable, until
 * it is asked to look again.
 */
#include "pg_store.h"

#include <stdlib.h>
#include <string.h>

/* Chunks of COPY that go out in one turn of the loop. */
#define CHUNKS 8

void
pg_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

void
pg_conn_close(struct pg_conn *c)
{
	if (c->read != NULL)
		event_free(c->read);
	if (c->write != NULL)
		event_free(c->write);
	c->read = c->write = NULL;
	pg_resolve_cancel(c);
	/* Its socket does not block, so neither does this. */
	PQfinish(c->pg);
	c->pg = NULL;
	c->state = PG_CLOSED;
	c->usable = c->feeding = false;
	c->timeout = -1;
	c->chunk.len = 0;
	pg_conn_deadline(c, 0);
}

static void
lost(struct pg_conn *c, int code, const char *text)
{
	char why[sizeof(c->why)];

	pg_line(why, sizeof(why), text[0] != 0 ? text : "the connection was lost");
	pg_conn_close(c);
	c->user->failed(c->store, code, why);
}

void
pg_conn_lose(struct pg_conn *c)
{
	lost(c, CHATD_UNAVAIL, "the answer was not complete");
}

/* What libpq says of itself. */
static void
broken(struct pg_conn *c)
{
	lost(c, CHATD_UNAVAIL, PQerrorMessage(c->pg));
}

/* ---- deadlines ------------------------------------------------------------------- */

static void
on_deadline(void *arg)
{
	struct pg_conn *c = arg;

	switch (c->state) {
	case PG_CLOSED:
		return;
	case PG_RESOLVING:
		lost(c, CHATD_UNAVAIL, "looking for the host's address took too long");
		return;
	case PG_CONNECTING:
		c->late++;
		lost(c, CHATD_UNAVAIL, "connecting took too long");
		return;
	default:
		lost(c, CHATD_TIMEOUT, "the database did not answer in time");
		return;
	}
}

void
pg_conn_deadline(struct pg_conn *c, int64_t deadline)
{
	struct chatd_host *host = c->store->host;
	int64_t left;

	if (deadline == 0) {
		host->timer_set(c->timer, -1);
		return;
	}
	left = deadline - host->now(host);
	host->timer_set(c->timer, left > 0 ? left : 0);
}

void
pg_conn_limits(struct pg_conn *c, int64_t deadline, char *sql, size_t size)
{
	struct chatd_host *host = c->store->host;
	int64_t want = 0;

	sql[0] = 0;
	if (deadline != 0) {
		/* Before we lose patience: then the session stays. */
		want = (deadline - host->now(host)) * 9 / 10;
		want = want < 10 ? 10 : want > INT32_MAX ? INT32_MAX : want;
	}
	if (c->timeout == want || (c->timeout > want / 2 && c->timeout < want))
		return;
	c->timeout = want;
	snprintf(sql, size, "SET statement_timeout = %lld; SET lock_timeout = %lld; ",
	    (long long)want, (long long)want * 3 / 4);
}

/* ---- statements ------------------------------------------------------------------ */

/* Sends what libpq holds; false: not all of it yet, or the session is lost. */
static bool
flush(struct pg_conn *c)
{
	int left = PQflush(c->pg);

	if (left < 0)
		broken(c);
	else if (left > 0)
		event_add(c->write, NULL);
	return left == 0;
}

static void
sent(struct pg_conn *c, int taken)
{
	c->state = PG_BUSY;
	if (taken != 1)
		broken(c);
	else
		flush(c);
}

void
pg_conn_send(struct pg_conn *c, const char *sql)
{
	sent(c, PQsendQuery(c->pg, sql));
}

void
pg_conn_send_params(struct pg_conn *c, const char *sql, const struct pg_params *params)
{
	int formats[10];
	int i;

	for (i = 0; i < params->n; i++)
		formats[i] = 1;
	sent(c,
	    PQsendQueryParams(c->pg, sql, params->n, NULL, params->values,
		params->lengths, formats, 1));
}

/* COPY's data, as fast as the socket takes it. */
static void
feed(struct pg_conn *c)
{
	int i, taken = 1;

	for (i = 0; i < CHUNKS; i++) {
		if (!flush(c))
			return;
		c->chunk.len = 0;
		c->feeding = c->user->feed(c->store, &c->chunk);
		if (c->chunk.failed) {
			lost(c, CHATD_UNAVAIL, "out of memory");
			return;
		}
		taken = PQputCopyData(c->pg, c->chunk.p, (int)c->chunk.len);
		if (taken == 1 && !c->feeding)
			taken = PQputCopyEnd(c->pg, NULL);
		/* 0 is for want of memory, as all was sent before. */
		if (taken != 1) {
			broken(c);
			return;
		}
		if (!c->feeding) {
			flush(c);
			return;
		}
	}
	/* Others of this loop have their turn. */
	event_add(c->write, NULL);
}

/* ---- the schema ------------------------------------------------------------------ */

static void
check_schema(struct pg_conn *c)
{
	char sql[512];

	c->state = PG_CHECKING;
	c->usable = false;
	c->code = CHATD_UNAVAIL;
	snprintf(c->why, sizeof(c->why), "the schema's version is not known");
	pg_schema_query(&c->store->names, sql, sizeof(sql));
	if (PQsendQuery(c->pg, sql) != 1)
		broken(c);
	else
		flush(c);
}

/* A result of that query; NULL: the last one was the answer. */
static void
checked(struct pg_conn *c, const PGresult *res)
{
	if (res != NULL) {
		c->code =
		    pg_schema_check(res, &c->store->names, c->why, sizeof(c->why));
		return;
	}
	c->state = PG_IDLE;
	c->usable = c->code == 0;
	pg_conn_deadline(c, 0);
	if (c->usable)
		c->user->ready(c->store);
	else
		c->user->failed(c->store, c->code, c->why);
}

/* ---- results --------------------------------------------------------------------- */

/* One result of what was sent; false: wait for more. */
static bool
take_result(struct pg_conn *c)
{
	PGresult *res;

	if (c->state != PG_BUSY && c->state != PG_CHECKING)
		return false;
	if (PQisBusy(c->pg))
		return false;
	res = PQgetResult(c->pg);
	if (c->state == PG_CHECKING) {
		checked(c, res);
	} else if (res == NULL) {
		c->state = PG_IDLE;
		c->user->result(c->store, NULL);
	} else if (PQresultStatus(res) == PGRES_COPY_IN) {
		c->feeding = true;
	} else {
		/* What a failed statement has set is as it was before. */
		if (PQresultStatus(res) == PGRES_FATAL_ERROR)
			c->timeout = -1;
		c->user->result(c->store, res);
	}
	PQclear(res);
	return true;
}

static void
pump(struct pg_conn *c)
{
	do {
		if (c->feeding) {
			feed(c);
			if (c->feeding)
				return;
		}
	} while (take_result(c));
}

/* ---- the socket ------------------------------------------------------------------ */

static void poll_connect(struct pg_conn *c);

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->state == PG_CONNECTING)
		poll_connect(c);
	else if (PQconsumeInput(c->pg) != 1)
		broken(c);
	else if (flush(c) || c->state != PG_CLOSED)
		pump(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->state == PG_CONNECTING)
		poll_connect(c);
	else if (flush(c))
		pump(c);
}

/* Connected; from now on the socket stays the same. */
static void
connected(struct pg_conn *c)
{
	if (PQsetnonblocking(c->pg, 1) != 0) {
		broken(c);
		return;
	}
	event_free(c->read);
	event_free(c->write);
	c->read = event_new(c->store->host->base, PQsocket(c->pg), EV_READ | EV_PERSIST,
	    on_readable, c);
	c->write =
	    event_new(c->store->host->base, PQsocket(c->pg), EV_WRITE, on_writable, c);
	if (c->read == NULL || c->write == NULL || event_add(c->read, NULL) < 0) {
		lost(c, CHATD_UNAVAIL, "out of memory");
		return;
	}
	check_schema(c);
}

/* Waits for the socket as it is now; each address that is tried has its own. */
static void
await(struct pg_conn *c, bool reading)
{
	struct event_base *base = c->store->host->base;

	if (c->read != NULL)
		event_free(c->read);
	if (c->write != NULL)
		event_free(c->write);
	c->read = event_new(base, PQsocket(c->pg), EV_READ, on_readable, c);
	c->write = event_new(base, PQsocket(c->pg), EV_WRITE, on_writable, c);
	if (c->read == NULL || c->write == NULL ||
	    event_add(reading ? c->read : c->write, NULL) < 0)
		lost(c, CHATD_UNAVAIL, "out of memory");
}

static void
poll_connect(struct pg_conn *c)
{
	switch (PQconnectPoll(c->pg)) {
	case PGRES_POLLING_OK:
		connected(c);
		return;
	case PGRES_POLLING_READING:
		await(c, true);
		return;
	case PGRES_POLLING_WRITING:
		await(c, false);
		return;
	default:
		broken(c);
		return;
	}
}

/* T NULL: as dsn says. */
static void
begin_connect(struct pg_conn *c, const struct pg_target *t)
{
	const char *names[] = {"dbname", "client_encoding", "fallback_application_name",
	    "host", "hostaddr", "port", NULL};
	const char *values[] = {
	    c->store->conf->dsn, "UTF8", "chatd", NULL, NULL, NULL, NULL};

	if (t != NULL) {
		values[3] = t->hosts.p;
		values[4] = t->addresses.p;
		values[5] = t->ports.p;
	}
	c->state = PG_CONNECTING;
	c->pg = PQconnectStartParams(names, values, 1);
	if (c->pg == NULL) {
		lost(c, CHATD_UNAVAIL, "out of memory");
		return;
	}
	PQsetNoticeReceiver(c->pg, pg_notice, NULL);
	if (PQstatus(c->pg) == CONNECTION_BAD)
		broken(c);
	else
		await(c, false);
}

static void
on_look(void *arg)
{
	struct pg_conn *c = arg;
	struct pg_target target = {0};
	char why[sizeof(c->why)];

	if (!pg_resolve_end(c, &target, why, sizeof(why)))
		return;
	if (target.n > 0)
		begin_connect(c, &target);
	else
		lost(c, CHATD_UNAVAIL, why);
	pg_target_free(&target);
}

void
pg_conn_open(struct pg_conn *c, int64_t deadline)
{
	if (c->state != PG_CLOSED && c->state != PG_IDLE)
		return;
	pg_conn_deadline(c, deadline);
	if (c->state == PG_IDLE) {
		check_schema(c);
		return;
	}
	c->state = PG_RESOLVING;
	if (!pg_resolve_begin(c))
		begin_connect(c, NULL);
}

bool
pg_conn_usable(const struct pg_conn *c)
{
	return c->state == PG_IDLE && c->usable;
}

void
pg_conn_init(struct pg_conn *c, struct pg_store *s, const struct pg_user *user)
{
	*c = (struct pg_conn){.store = s, .user = user, .timeout = -1};
	c->timer = s->host->timer_new(s->host, on_deadline, c);
	c->look = s->host->timer_new(s->host, on_look, c);
}

void
pg_conn_fini(struct pg_conn *c)
{
	pg_conn_close(c);
	c->store->host->timer_free(c->timer);
	c->store->host->timer_free(c->look);
	pg_buf_free(&c->chunk);
}
