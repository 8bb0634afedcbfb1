/*
 * pg_read: history, by a session of its own, one question after the other.
 *
 * The server adds up the bytes of the rows that a question may have, and sends no more
 * than it may have, so that an answer is bounded on its way too.
 */
#include "pg_store.h"

#include <stdlib.h>
#include <string.h>

/* Columns of the answer. */
enum { ID, OFFSET, TIME, USER, CLIENT, INFO, DATA, BYTES };

#define EPOCH_2000 INT64_C(946684800000000) /* microseconds from 1970 to 2000 */

static void next(struct pg_store *s);

static void
answer(struct pg_store *s, int code, const char *why)
{
	struct pg_reader *r = &s->reader;
	struct pg_ask ask = r->queue[0];

	r->n_queue--;
	memmove(&r->queue[0], &r->queue[1], r->n_queue * sizeof(ask));
	r->busy = false;
	s->host->done(s->host, ask.ask.token, code, why, NULL, 0);
	free(ask.text);
	if (r->full) {
		r->full = false;
		s->host->ready(s->host);
	}
}

static void
finish(struct pg_store *s, int code, const char *why)
{
	pg_conn_deadline(&s->reader.conn, 0);
	answer(s, code, why);
	next(s);
}

/* ---- rows ------------------------------------------------------------------------ */

static uint64_t
number(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	uint64_t n = 0;
	int i;

	for (i = 0; i < 8; i++)
		n = n << 8 | b[i];
	return n;
}

static struct chatd_bytes
bytes(const PGresult *res, int row, int column)
{
	struct chatd_bytes b = {
	    PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)};

	return b;
}

static void
show_row(struct pg_store *s, const PGresult *res, int row)
{
	const struct chatd_history *ask = &s->reader.queue[0].ask;
	bool binary = !PQgetisnull(res, row, BYTES);
	struct chatd_record rec = {
	    .size = sizeof(rec),
	    .flags = binary ? CHATD_REC_BINARY : 0,
	    .offset = number(PQgetvalue(res, row, OFFSET)),
	    .time = (number(PQgetvalue(res, row, TIME)) + EPOCH_2000) * 1000,
	    .channel = ask->channel,
	    .epoch = ask->epoch,
	    .user = bytes(res, row, USER),
	    .client = bytes(res, row, CLIENT),
	    .info = bytes(res, row, INFO),
	    .data = bytes(res, row, binary ? BYTES : DATA),
	};

	memcpy(rec.id, PQgetvalue(res, row, ID), sizeof(rec.id));
	s->host->row(s->host, ask->token, &rec);
}

/* ---- questions ------------------------------------------------------------------- */

static uint64_t
clamp(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : n;
}

static void
big_endian(uint64_t n, char to[8])
{
	int i;

	for (i = 7; i >= 0; i--, n >>= 8)
		to[i] = (char)(n & 0xff);
}

static void
send_question(struct pg_store *s)
{
	const struct chatd_history *ask = &s->reader.queue[0].ask;
	const char *order = ask->reverse ? "DESC" : "ASC";
	char sql[1400], since[8], limit[8], most[8];
	struct pg_params params = {5,
	    {ask->channel.p, ask->epoch.p, since, limit, most},
	    {(int)ask->channel.len, (int)ask->epoch.len, 8, 8, 8}};

	big_endian(
	    ask->reverse && ask->since == 0 ? INT64_MAX : clamp(ask->since), since);
	big_endian(clamp(ask->limit), limit);
	big_endian(ask->max_bytes == 0 ? INT64_MAX : clamp(ask->max_bytes), most);
	snprintf(sql, sizeof(sql),
	    "SELECT id, at, t, u, c, i, d, b FROM ("
	    "SELECT *, row_number() OVER w AS n, sum(coalesce(octet_length(d), 0) + "
	    "coalesce(octet_length(b), 0)) OVER w AS total FROM ("
	    "SELECT id::uuid, \"offset\"::bigint AS at, \"time\"::timestamptz AS t, "
	    "user_id::text AS u, client::text AS c, info::text AS i, data::text AS d, "
	    "bytes::bytea AS b FROM %s WHERE channel = $1::text AND epoch = $2::text "
	    "AND \"offset\" %s $3::bigint ORDER BY \"offset\" %s LIMIT $4::bigint"
	    ") AS found WINDOW w AS (ORDER BY at %s ROWS UNBOUNDED PRECEDING)"
	    ") AS added WHERE n = 1 OR total <= $5::bigint ORDER BY at %s",
	    s->names.table, ask->reverse ? "<" : ">", order, order, order);
	s->reader.limits = false;
	s->reader.reads++;
	pg_conn_send_params(&s->reader.conn, sql, &params);
}

static void
begin(struct pg_store *s)
{
	struct pg_reader *r = &s->reader;
	char sql[128];

	r->busy = true;
	r->answered = false;
	r->code = 0;
	r->why[0] = 0;
	pg_conn_deadline(&r->conn, r->queue[0].ask.deadline);
	pg_conn_limits(&r->conn, r->queue[0].ask.deadline, sql, sizeof(sql));
	r->limits = sql[0] != 0;
	if (r->limits)
		pg_conn_send(&r->conn, sql);
	else
		send_question(s);
}

static void
next(struct pg_store *s)
{
	struct pg_reader *r = &s->reader;
	int64_t now = s->host->now(s->host);

	while (r->n_queue > 0 && !r->busy && r->queue[0].ask.deadline <= now)
		answer(s, CHATD_TIMEOUT, "there was no time left for it");
	if (r->n_queue == 0) {
		pg_store_idle(s);
		return;
	}
	if (r->busy)
		return;
	if (pg_conn_usable(&r->conn))
		begin(s);
	else
		pg_conn_open(&r->conn, r->queue[0].ask.deadline);
}

static void
on_result(struct pg_store *s, PGresult *res)
{
	struct pg_reader *r = &s->reader;
	int i;

	if (res == NULL) {
		if (r->limits && r->code == 0)
			send_question(s);
		else if (r->answered || r->code != 0)
			finish(s, r->code, r->why);
		else
			pg_conn_lose(&r->conn);
		return;
	}
	if (PQresultStatus(res) == PGRES_TUPLES_OK) {
		r->answered = true;
		for (i = 0; i < PQntuples(res); i++)
			show_row(s, res, i);
	} else if (PQresultStatus(res) != PGRES_COMMAND_OK && r->code == 0) {
		r->code = pg_error_of(res, r->why, sizeof(r->why));
		if (r->code == CHATD_VERSION)
			r->conn.usable = false;
		if (r->code != CHATD_TIMEOUT)
			r->code = CHATD_UNAVAIL;
	}
}

/* What was under way fails; the others too, unless it has just taken too long. */
static void
on_failed(struct pg_store *s, int code, const char *why)
{
	struct pg_reader *r = &s->reader;

	if (r->n_queue > 0)
		answer(s, code, why);
	while (code != CHATD_TIMEOUT && r->n_queue > 0)
		answer(s, code, why);
	next(s);
}

static bool
on_feed(struct pg_store *s, struct pg_buf *b)
{
	(void)s;
	(void)b;
	return false;
}

const struct pg_user pg_reader_user = {next, on_failed, on_result, on_feed};

/* ---- requests -------------------------------------------------------------------- */

int
pg_reader_history(
    struct pg_store *s, const struct chatd_history *ask, struct chatd_error *err)
{
	struct pg_reader *r = &s->reader;
	struct pg_ask *kept = &r->queue[r->n_queue];

	if (s->stopping)
		return chatd_fail(err, CHATD_UNAVAIL, "it is being stopped");
	if (r->n_queue == PG_ASKS) {
		r->full = true;
		return chatd_fail(
		    err, CHATD_AGAIN, "there are %d questions before it", PG_ASKS);
	}
	*kept = (struct pg_ask){.ask = *ask};
	kept->text = malloc(ask->channel.len + ask->epoch.len + 1);
	if (kept->text == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "out of memory");
	if (ask->channel.len > 0)
		memcpy(kept->text, ask->channel.p, ask->channel.len);
	if (ask->epoch.len > 0)
		memcpy(kept->text + ask->channel.len, ask->epoch.p, ask->epoch.len);
	kept->ask.channel.p = kept->text;
	kept->ask.epoch.p = kept->text + ask->channel.len;
	r->n_queue++;
	next(s);
	return 0;
}

void
pg_reader_stop(struct pg_store *s)
{
	pg_conn_close(&s->reader.conn);
	while (s->reader.n_queue > 0)
		answer(s, CHATD_UNAVAIL, "it is being stopped");
}
