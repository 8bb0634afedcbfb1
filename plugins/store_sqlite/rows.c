/*
 * rows: see the header.
 *
 * One row at a time, because only so is it known which one the database refuses.  A
 * refusal undoes that one statement; the transaction goes on.  But a trigger of the
 * operator's may roll it back altogether: then the batch begins anew without the row.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define ID_LEN  16
#define ID_TEXT 36 /* 8-4-4-4-12 */
#define WHY_MAX 200

/* ---- ids ------------------------------------------------------------------------- */

static void
format_id(const unsigned char *id, char text[ID_TEXT + 1])
{
	static const char digits[] = "0123456789abcdef";
	char *p = text;
	int i;

	for (i = 0; i < ID_LEN; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[id[i] >> 4];
		*p++ = digits[id[i] & 15];
	}
	*p = 0;
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Of a row that somebody else has written the id may be anything: then zeros. */
static void
parse_id(const char *text, unsigned char *id)
{
	size_t i, n = 0;

	memset(id, 0, ID_LEN);
	for (i = 0; text[i] != 0 && n < 2 * ID_LEN; i++) {
		if (text[i] == '-')
			continue;
		if (digit(text[i]) < 0)
			break;
		id[n / 2] = (unsigned char)(id[n / 2] << 4 | digit(text[i]));
		n++;
	}
	if (n != 2 * ID_LEN || text[i] != 0)
		memset(id, 0, ID_LEN);
}

/* ---- writing --------------------------------------------------------------------- */

struct writing {
	struct db *db;
	const struct chatd_batch *batch;
	struct rows_written *out;
	bool *settled; /* those that a batch which begins anew leaves out */
};

static int
bind_bytes(sqlite3_stmt *query, int at, const struct chatd_bytes *bytes, bool binary)
{
	const char *p = bytes->len > 0 ? bytes->p : "";

	if (binary)
		return sqlite3_bind_blob64(query, at, p, bytes->len, SQLITE_STATIC);
	return sqlite3_bind_text64(
	    query, at, p, bytes->len, SQLITE_STATIC, SQLITE_UTF8);
}

static int
bind_record(sqlite3_stmt *query, const struct chatd_record *rec, const char *id)
{
	const struct chatd_bytes *const fields[] = {&rec->user, &rec->client,
	    &rec->info, &rec->channel, &rec->epoch};
	int rc = sqlite3_bind_text(query, 1, id, ID_TEXT, SQLITE_STATIC);
	int i;

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(query, 2, (sqlite3_int64)rec->offset);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(query, 3, (sqlite3_int64)rec->time);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(query, 4, rec->flags);
	for (i = 0; i < 5 && rc == SQLITE_OK; i++)
		rc = bind_bytes(query, 5 + i, fields[i], false);
	if (rc == SQLITE_OK)
		rc = bind_bytes(
		    query, 10, &rec->data, (rec->flags & CHATD_REC_BINARY) != 0);
	return rc;
}

/* SQLite's code; SQLITE_OK: the row is there. */
static int
insert(struct db *db, const struct chatd_record *rec, const char *id)
{
	sqlite3_stmt *query = db_query(db, DB_INSERT);
	int rc;

	if (query == NULL)
		return sqlite3_errcode(db->sql);
	rc = bind_record(query, rec, id);
	if (rc == SQLITE_OK) {
		sqlite3_step(query);
		rc = sqlite3_reset(query);
	}
	sqlite3_clear_bindings(query);
	return rc;
}

/* Whether there is a row of that id; a negative number is SQLite's code. */
static int
find(struct db *db, const char *id)
{
	sqlite3_stmt *query = db_query(db, DB_FIND);
	int found, rc;

	if (query == NULL)
		return -sqlite3_errcode(db->sql);
	sqlite3_bind_text(query, 1, id, ID_TEXT, SQLITE_STATIC);
	found = sqlite3_step(query) == SQLITE_ROW;
	rc = sqlite3_reset(query);
	sqlite3_clear_bindings(query);
	return rc != SQLITE_OK ? -rc : found;
}

/* For what SQLite refuses with the extended code RC. */
static int
reason(int rc)
{
	switch (rc) {
	case SQLITE_TOOBIG:
		return CHATD_TOOBIG;
	case SQLITE_CONSTRAINT_TRIGGER: /* the operator's own */
		return CHATD_DENIED;
	default:
		return CHATD_BADMSG;
	}
}

/* Whether it is this row alone that cannot be written, now and ever. */
static bool
is_refusal(int rc)
{
	return rc == SQLITE_CONSTRAINT || rc == SQLITE_TOOBIG || rc == SQLITE_MISMATCH;
}

/* False: there is no memory. */
static bool
refuse(struct writing *w, size_t i, int code, const char *text)
{
	struct rows_written *out = w->out;
	char *why = strndup(text, WHY_MAX);

	if (out->results == NULL)
		out->results = calloc(w->batch->n, sizeof(*out->results));
	if (out->results == NULL || why == NULL) {
		free(why);
		return false;
	}
	out->results[i] = (struct chatd_result){code, why};
	out->refused++;
	w->settled[i] = true;
	return true;
}

/* Row I violates something: perhaps because it is there already. */
static int
settle(struct writing *w, size_t i, const char *id)
{
	int code = reason(sqlite3_extended_errcode(w->db->sql)), found;
	char text[WHY_MAX + 1];

	snprintf(text, sizeof(text), "%s", sqlite3_errmsg(w->db->sql));
	found = find(w->db, id);
	if (found < 0)
		return -found;
	if (found == 0)
		return refuse(w, i, code, text) ? SQLITE_OK : SQLITE_NOMEM;
	w->settled[i] = true;
	w->out->repeated++;
	return SQLITE_OK;
}

/* Writes row I, or settles it; SQLite's code when the batch cannot go on. */
static int
write_row(struct writing *w, size_t i)
{
	static const char too_large[] = "its offset or time is too large";
	const struct chatd_record *rec = w->batch->recs[i];
	char id[ID_TEXT + 1];
	int rc;

	if (rec->offset > INT64_MAX || rec->time > INT64_MAX)
		return refuse(w, i, CHATD_BADMSG, too_large) ? SQLITE_OK : SQLITE_NOMEM;
	format_id(rec->id, id);
	rc = insert(w->db, rec, id);
	if (is_refusal(rc))
		return settle(w, i, id);
	w->out->fresh += rc == SQLITE_OK;
	return rc;
}

/* All rows that are not settled.  *ANEW_R: a trigger has undone them. */
static int
write_rows(struct writing *w, bool *anew_r)
{
	size_t i;
	int rc = db_run(w->db, DB_BEGIN);

	w->out->fresh = 0;
	*anew_r = false;
	for (i = 0; i < w->batch->n && rc == SQLITE_OK && !*anew_r; i++) {
		if (w->settled[i])
			continue;
		rc = write_row(w, i);
		*anew_r = rc == SQLITE_OK && sqlite3_get_autocommit(w->db->sql);
	}
	if (rc == SQLITE_OK && !*anew_r)
		rc = db_run(w->db, DB_COMMIT);
	return rc;
}

int
rows_write(struct db *db, const struct chatd_batch *batch, struct rows_written *out,
    struct chatd_error *err)
{
	struct writing w = {db, batch, out, calloc(batch->n, sizeof(bool))};
	bool anew = w.settled != NULL;
	int rc = SQLITE_NOMEM;

	*out = (struct rows_written){.n = batch->n};
	/* Each time at least one more is settled. */
	while (anew)
		rc = write_rows(&w, &anew);
	free(w.settled);
	if (rc == SQLITE_OK)
		return 0;
	db_fail(db, rc, "cannot be written", err);
	/* Whatever it was that failed; what has been undone already is an error. */
	if (db->sql != NULL && !sqlite3_get_autocommit(db->sql))
		db_run(db, DB_ROLLBACK);
	return err->code;
}

void
rows_forget(struct rows_written *out)
{
	size_t i;

	for (i = 0; out->results != NULL && i < out->n; i++)
		free((void *)(uintptr_t)out->results[i].why);
	free(out->results);
	*out = (struct rows_written){0};
}

/* ---- reading --------------------------------------------------------------------- */

/* The columns of a row that are bytes, and where a record has them. */
static const struct {
	int column;
	size_t at;
} fields[] = {
    {4, offsetof(struct chatd_record, user)},
    {5, offsetof(struct chatd_record, client)},
    {6, offsetof(struct chatd_record, info)},
    {7, offsetof(struct chatd_record, data)},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* The row that QUERY stands at, or NULL: there is no memory. */
static struct row *
take_row(sqlite3_stmt *query, const struct chatd_history *ask)
{
	size_t i, len[FIELDS], all = ask->channel.len + ask->epoch.len;
	const void *from[FIELDS];
	struct chatd_bytes *to;
	const char *id = (const char *)sqlite3_column_text(query, 0);
	struct row *row;
	char *p;

	for (i = 0; i < FIELDS; i++) {
		from[i] = sqlite3_column_blob(query, fields[i].column);
		len[i] = (size_t)sqlite3_column_bytes(query, fields[i].column);
		all += len[i];
	}
	row = calloc(1, sizeof(*row) + all);
	if (row == NULL)
		return NULL;
	row->rec.size = sizeof(row->rec);
	row->rec.offset = (uint64_t)sqlite3_column_int64(query, 1);
	row->rec.time = (uint64_t)sqlite3_column_int64(query, 2);
	row->rec.flags = (uint32_t)sqlite3_column_int64(query, 3);
	p = (char *)(row + 1);
	for (i = 0; i < FIELDS; i++) {
		to = (void *)((char *)&row->rec + fields[i].at);
		*to = (struct chatd_bytes){p, len[i]};
		if (len[i] > 0)
			memcpy(p, from[i], len[i]);
		p += len[i];
	}
	row->rec.channel = (struct chatd_bytes){p, ask->channel.len};
	memcpy(p, ask->channel.p, ask->channel.len);
	p += ask->channel.len;
	row->rec.epoch = (struct chatd_bytes){p, ask->epoch.len};
	memcpy(p, ask->epoch.p, ask->epoch.len);
	parse_id(id != NULL ? id : "", row->rec.id);
	return row;
}

static sqlite3_stmt *
ask_for(struct db *db, const struct chatd_history *ask)
{
	sqlite3_stmt *query = db_query(db, ask->reverse ? DB_BACKWARD : DB_FORWARD);
	uint64_t since = ask->since;

	if (query == NULL)
		return NULL;
	if (since > INT64_MAX || (ask->reverse && since == 0))
		since = INT64_MAX;
	bind_bytes(query, 1, &ask->channel, false);
	bind_bytes(query, 2, &ask->epoch, false);
	sqlite3_bind_int64(query, 3, (sqlite3_int64)since);
	sqlite3_bind_int64(query, 4,
	    ask->limit > INT64_MAX ? INT64_MAX : (sqlite3_int64)ask->limit);
	return query;
}

int
rows_read(struct db *db, const struct chatd_history *ask, struct rows_read *out,
    struct chatd_error *err)
{
	sqlite3_stmt *query = ask_for(db, ask);
	struct row **last = &out->first;
	uint64_t bytes = 0;
	bool no_memory = false;
	int rc;

	*out = (struct rows_read){0};
	if (query == NULL)
		return db_fail(db, sqlite3_errcode(db->sql), "cannot be read", err);
	while (sqlite3_step(query) == SQLITE_ROW) {
		bytes += (uint64_t)sqlite3_column_bytes(query, 7);
		if (out->n > 0 && ask->max_bytes != 0 && bytes > ask->max_bytes)
			break;
		*last = take_row(query, ask);
		no_memory = *last == NULL;
		if (no_memory)
			break;
		last = &(*last)->next;
		out->n++;
	}
	rc = sqlite3_reset(query);
	sqlite3_clear_bindings(query);
	if (no_memory)
		rc = SQLITE_NOMEM;
	return rc != SQLITE_OK ? db_fail(db, rc, "cannot be read", err) : 0;
}

void
rows_free(struct rows_read *out)
{
	struct row *row = out->first, *next;

	for (; row != NULL; row = next) {
		next = row->next;
		free(row);
	}
	*out = (struct rows_read){0};
}
