/*
 * pg_write: batches, one after the other.
 *
 * COPY straight into the table is the fast way, in one statement that is a transaction
 * of its own.  An id that is there already makes it fail as a whole, so it is for rows
 * that are new as far as we know.  INSERT ... ON CONFLICT DO NOTHING, from arrays, is
 * the other way: for the first batch of a session, since nobody knows what became of
 * the last one of the session before; for a batch that COPY failed on; and after one
 * that had rows which were there.
 *
 * When INSERT fails because of a row, the batch is halved, and the halves again, until
 * the row stands alone and is refused.  Each piece is a transaction: errors of deferred
 * constraints belong to the piece too.  Left half first, so rows stay in their order.
 */
#include "pg_store.h"

#include <stdlib.h>
#include <string.h>

/* COPYs that fail in a row, on rows that INSERT takes, before it is not used. */
#define COPY_FAILS 3

static void next(struct pg_store *s);

/* ---- answers --------------------------------------------------------------------- */

static void
answer(struct pg_store *s, struct pg_op *op, int code, const char *why)
{
	size_t i;

	if (op->batch == NULL) {
		s->host->done(s->host, op->token, code, why, NULL, 0);
		return;
	}
	s->host->done(s->host, op->token, code, why, code == 0 ? op->results : NULL,
	    op->batch->n);
	for (i = 0; i < op->batch->n; i++)
		free((void *)(uintptr_t)op->results[i].why);
	free(op->results);
	s->host->drop(s->host, op->batch);
}

/* Takes the operation at AT out of the queue, and answers it. */
static void
pop(struct pg_store *s, size_t at, int code, const char *why)
{
	struct pg_writer *w = &s->writer;
	struct pg_op op = w->queue[at];

	w->n_queue--;
	memmove(&w->queue[at], &w->queue[at + 1], (w->n_queue - at) * sizeof(op));
	answer(s, &op, code, why);
}

static void
tell_ready(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;

	if (w->full && w->n_queue < PG_QUEUE) {
		w->full = false;
		s->host->ready(s->host);
	}
}

/* All that waits fails: what comes later must not be written before it. */
static void
fail_all(struct pg_store *s, int code, const char *why)
{
	s->writer.step = PG_STEP_NONE;
	while (s->writer.n_queue > 0)
		pop(s, 0, code, why);
	tell_ready(s);
}

/* Ends the first of the queue, and goes on. */
static void
finish(struct pg_store *s, int code, const char *why)
{
	pg_conn_deadline(&s->writer.conn, 0);
	if (code != 0) {
		fail_all(s, code, why);
	} else {
		s->writer.step = PG_STEP_NONE;
		pop(s, 0, 0, NULL);
		tell_ready(s);
	}
	next(s);
}

/* ---- INSERT ---------------------------------------------------------------------- */

static bool
is_live(const struct pg_op *op, size_t i)
{
	return op->results[i].code == 0;
}

static size_t
count_live(const struct pg_op *op, const struct pg_range *r)
{
	size_t i, n = 0;

	for (i = r->lo; i < r->hi; i++)
		n += is_live(op, i);
	return n;
}

/* The rows of R as arrays; false: memory is short. */
static bool
make_arrays(const struct pg_op *op, const struct pg_range *r, size_t n,
    struct pg_buf *bufs, struct pg_params *params)
{
	int c;
	size_t i;

	params->n = PG_N_COLUMNS;
	for (c = 0; c < PG_N_COLUMNS; c++) {
		pg_row_array(&bufs[c], c, n);
		for (i = r->lo; i < r->hi; i++)
			if (is_live(op, i))
				pg_row_element(&bufs[c], c, op->batch->recs[i]);
		if (bufs[c].failed)
			return false;
		params->values[c] = bufs[c].p;
		params->lengths[c] = (int)bufs[c].len;
	}
	return true;
}

static void
send_arrays(struct pg_store *s, const struct pg_range *r, size_t n)
{
	struct pg_writer *w = &s->writer;
	struct pg_buf bufs[PG_N_COLUMNS] = {0};
	struct pg_params params;
	char sql[640];
	bool good;
	int c;

	snprintf(sql, sizeof(sql),
	    "INSERT INTO %s (" PG_COLUMNS ") SELECT * FROM %s ON CONFLICT (id) DO "
	    "NOTHING",
	    s->names.table, pg_row_unnest);
	good = make_arrays(&w->queue[0], r, n, bufs, &params);
	if (good)
		pg_conn_send_params(&w->conn, sql, &params);
	for (c = 0; c < PG_N_COLUMNS; c++)
		pg_buf_free(&bufs[c]);
	if (!good)
		finish(s, CHATD_UNAVAIL, "out of memory");
}

static void
begin_step(struct pg_writer *w, enum pg_step step, unsigned statements)
{
	w->step = step;
	w->answered = 0;
	w->statements = statements;
	w->code = 0;
	w->why[0] = 0;
	w->rows = 0;
}

static void end_batch(struct pg_store *s);

/* Writes what is next on the stack. */
static void
insert(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;
	const struct pg_range *r = NULL;
	char sql[128];
	size_t n = 0;

	while (w->n_stack > 0) {
		r = &w->stack[w->n_stack - 1];
		n = count_live(&w->queue[0], r);
		if (n > 0)
			break;
		w->n_stack--;
	}
	if (w->n_stack == 0) {
		end_batch(s);
		return;
	}
	pg_conn_limits(&w->conn, w->queue[0].deadline, sql, sizeof(sql));
	if (sql[0] != 0) {
		begin_step(w, PG_STEP_LIMITS, PG_LIMITS);
		pg_conn_send(&w->conn, sql);
		return;
	}
	begin_step(w, PG_STEP_INSERT, 1);
	w->inserts++;
	send_arrays(s, r, n);
}

static void
insert_all(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;

	w->trusted = false;
	w->inserted = 0;
	w->n_stack = 1;
	w->stack[0] = (struct pg_range){0, w->queue[0].batch->n};
	insert(s);
}

/* The one live row of R is refused. */
static void
refuse(struct pg_store *s, const struct pg_range *r)
{
	struct pg_writer *w = &s->writer;
	struct pg_op *op = &w->queue[0];
	char *why = strdup(w->why);
	size_t i;

	if (why == NULL) {
		finish(s, CHATD_UNAVAIL, "out of memory");
		return;
	}
	for (i = r->lo; !is_live(op, i); i++)
		;
	op->results[i] = (struct chatd_result){w->code, why};
	insert(s);
}

static void
insert_failed(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;
	struct pg_range r;
	size_t middle;

	if (chatd_err_class(w->code) != CHATD_CLASS_REJECT) {
		/* Whether it is our table that is missing is seen the next time. */
		if (chatd_err_class(w->code) != CHATD_CLASS_RETRY)
			w->conn.usable = false;
		finish(s, w->code == CHATD_TIMEOUT ? w->code : CHATD_UNAVAIL, w->why);
		return;
	}
	r = w->stack[--w->n_stack];
	if (count_live(&w->queue[0], &r) == 1) {
		refuse(s, &r);
		return;
	}
	middle = r.lo + (r.hi - r.lo) / 2;
	w->stack[w->n_stack++] = (struct pg_range){middle, r.hi};
	w->stack[w->n_stack++] = (struct pg_range){r.lo, middle};
	insert(s);
}

/* All rows are written or refused, by INSERT. */
static void
end_batch(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;
	const struct pg_op *op = &w->queue[0];
	size_t live = count_live(op, &(struct pg_range){0, op->batch->n});

	/* Rows that were there: others of them may come. */
	w->trusted = w->inserted == live;
	if (live != op->batch->n || !w->trusted)
		w->copy_fails = 0;
	finish(s, 0, NULL);
}

/* ---- COPY ------------------------------------------------------------------------ */

static void
copy(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;
	char sql[512], limits[128];

	w->at = 0;
	pg_conn_limits(&w->conn, w->queue[0].deadline, limits, sizeof(limits));
	begin_step(w, PG_STEP_COPY, limits[0] != 0 ? PG_LIMITS + 1 : 1);
	snprintf(sql, sizeof(sql),
	    "%sCOPY %s (" PG_COLUMNS ") FROM STDIN (FORMAT binary)", limits,
	    s->names.table);
	pg_conn_send(&w->conn, sql);
}

static bool
on_feed(struct pg_store *s, struct pg_buf *b)
{
	struct pg_writer *w = &s->writer;
	const struct pg_op *op = &w->queue[0];

	if (w->at == 0)
		pg_row_copy_begin(b);
	for (; w->at < op->batch->n && b->len < PG_CHUNK; w->at++)
		if (is_live(op, w->at))
			pg_row_copy(b, op->batch->recs[w->at]);
	if (w->at < op->batch->n)
		return true;
	pg_row_copy_end(b);
	return false;
}

static void
copy_failed(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;

	if (chatd_err_class(w->code) == CHATD_CLASS_RETRY) {
		finish(s, w->code, w->why);
		return;
	}
	w->copies_refused++;
	if (++w->copy_fails == COPY_FAILS)
		chatd_log(s->host, CHATD_LOG_WARN,
		    "COPY is not used, because it fails on rows that INSERT takes: %s",
		    w->why);
	insert_all(s);
}

/* ---- what is next ---------------------------------------------------------------- */

static void
begin(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;
	const struct pg_op *op = &w->queue[0];

	pg_conn_deadline(&w->conn, op->deadline);
	if (op->batch == NULL) {
		begin_step(w, PG_STEP_PING, 1);
		pg_conn_send(&w->conn, "SELECT 1");
	} else if (count_live(op, &(struct pg_range){0, op->batch->n}) == 0) {
		finish(s, 0, NULL);
	} else if (w->trusted && s->conf->copy && w->copy_fails < COPY_FAILS) {
		copy(s);
	} else {
		insert_all(s);
	}
}

static void
next(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;
	int64_t deadline, connect;

	if (w->n_queue == 0) {
		pg_store_idle(s);
		return;
	}
	if (w->step != PG_STEP_NONE)
		return;
	if (pg_conn_usable(&w->conn)) {
		begin(s);
		return;
	}
	deadline = w->queue[0].deadline;
	connect = s->host->now(s->host) + s->conf->connect_timeout;
	if (deadline == 0 || deadline > connect)
		deadline = connect;
	if (w->conn.state == PG_CLOSED)
		s->host->state(s->host, CHATD_CONNECTING, "");
	pg_conn_open(&w->conn, deadline);
}

/*
 * All statements of the step were answered.  When memory is short libpq may leave
 * an answer out, so what is missing is no success.
 */
static bool
complete(const struct pg_writer *w)
{
	const struct pg_op *op = &w->queue[0];

	return w->answered == w->statements &&
	    (w->step != PG_STEP_COPY ||
		w->rows == count_live(op, &(struct pg_range){0, op->batch->n}));
}

static void
step_failed(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;

	switch (w->step) {
	case PG_STEP_COPY:
		copy_failed(s);
		return;
	case PG_STEP_INSERT:
		insert_failed(s);
		return;
	default:
		finish(s, CHATD_UNAVAIL, w->why);
		return;
	}
}

static void
end_step(struct pg_store *s)
{
	struct pg_writer *w = &s->writer;

	if (w->step == PG_STEP_NONE)
		return;
	if (w->code != 0) {
		step_failed(s);
		return;
	}
	if (!complete(w)) {
		pg_conn_lose(&w->conn);
		return;
	}
	if (w->step == PG_STEP_LIMITS) {
		insert(s);
	} else if (w->step == PG_STEP_INSERT) {
		w->inserted += w->rows;
		w->n_stack--;
		insert(s);
	} else {
		if (w->step == PG_STEP_COPY) {
			w->copies++;
			w->copy_fails = 0;
		}
		finish(s, 0, NULL);
	}
}

static void
on_result(struct pg_store *s, PGresult *res)
{
	struct pg_writer *w = &s->writer;
	ExecStatusType status;

	if (res == NULL) {
		end_step(s);
		return;
	}
	status = PQresultStatus(res);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
		w->answered++;
		w->rows += strtoull(PQcmdTuples(res), NULL, 10);
	} else if (w->code == 0) {
		w->code = pg_error_of(res, w->why, sizeof(w->why));
	}
}

static void
on_ready(struct pg_store *s)
{
	s->writer.connects++;
	s->host->state(s->host, CHATD_UP, "");
	next(s);
}

static void
on_failed(struct pg_store *s, int code, const char *why)
{
	struct pg_writer *w = &s->writer;

	if (w->conn.state == PG_CLOSED) {
		w->trusted = false;
		w->copy_fails = 0;
	}
	s->host->state(
	    s->host, code == CHATD_VERSION ? CHATD_DEGRADED : CHATD_DOWN, why);
	fail_all(s, code, why);
	pg_store_idle(s);
}

const struct pg_user pg_writer_user = {on_ready, on_failed, on_result, on_feed};

/* ---- requests -------------------------------------------------------------------- */

/* A place at the end of the queue, or NULL and the reason. */
static struct pg_op *
push(struct pg_store *s, struct chatd_error *err)
{
	struct pg_writer *w = &s->writer;

	if (s->stopping) {
		chatd_fail(err, CHATD_UNAVAIL, "it is being stopped");
		return NULL;
	}
	if (w->n_queue == PG_QUEUE) {
		w->full = true;
		chatd_fail(
		    err, CHATD_AGAIN, "there are %d batches before it", PG_QUEUE);
		return NULL;
	}
	return &w->queue[w->n_queue];
}

/* Refuses what cannot be in the database; false: memory is short. */
static bool
check_rows(const struct chatd_batch *batch, struct chatd_result *results)
{
	const char *why;
	size_t i;

	for (i = 0; i < batch->n; i++) {
		results[i].code = pg_row_check(batch->recs[i], &why);
		if (results[i].code == 0)
			continue;
		results[i].why = strdup(why);
		if (results[i].why == NULL)
			return false;
	}
	return true;
}

int
pg_writer_write(
    struct pg_store *s, const struct chatd_batch *batch, struct chatd_error *err)
{
	struct pg_op *op = push(s, err);
	size_t i;

	if (op == NULL)
		return err->code;
	*op = (struct pg_op){.token = batch->token, .batch = batch};
	if (batch->size >= offsetof(struct chatd_batch, deadline) + sizeof(int64_t))
		op->deadline = batch->deadline;
	op->results = calloc(batch->n, sizeof(*op->results));
	if (op->results == NULL || !check_rows(batch, op->results)) {
		for (i = 0; op->results != NULL && i < batch->n; i++)
			free((void *)(uintptr_t)op->results[i].why);
		free(op->results);
		return chatd_fail(err, CHATD_UNAVAIL, "out of memory");
	}
	s->host->hold(s->host, batch);
	s->writer.n_queue++;
	next(s);
	return 0;
}

int
pg_writer_ping(struct pg_store *s, uint64_t token, struct chatd_error *err)
{
	struct pg_op *op = push(s, err);

	if (op == NULL)
		return err->code;
	*op = (struct pg_op){.token = token,
	    .deadline = s->host->now(s->host) + s->conf->connect_timeout};
	s->writer.n_queue++;
	next(s);
	return 0;
}

void
pg_writer_stop(struct pg_store *s, bool at_once)
{
	struct pg_writer *w = &s->writer;

	if (at_once || w->step == PG_STEP_NONE) {
		pg_conn_close(&w->conn);
		fail_all(s, CHATD_UNAVAIL, "it is being stopped");
		return;
	}
	/* What is under way may end. */
	while (w->n_queue > 1)
		pop(s, 1, CHATD_UNAVAIL, "it is being stopped");
}
