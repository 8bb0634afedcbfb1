/*
 * journal_hist: the history of streams: rows that follow each other without a gap.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"

/* When history_size was made smaller, each publication drops a few. */
#define TRIM_MAX 8
/* A row's key counts too. */
#define ROW 16

bool
journal_hist_over(const struct journal_stream_rec *rec, int64_t ttl_ms, int64_t now_ms)
{
	return rec->first == 0 || (ttl_ms > 0 && now_ms - rec->last_ms >= ttl_ms);
}

/* ---- writing ---- */

/* The cursor of this transaction, at the row, whose length is *LEN_R. */
static int
row_seek(struct journal *j, uint64_t rows, uint64_t offset, size_t *len_r)
{
	struct journal_key key;
	MDB_val val;
	int rc = 0;

	if (j->failed != JOURNAL_OK)
		return j->failed;
	if (j->rows == NULL)
		rc = JOURNAL_LMDB(mdb_cursor_open(j->txn, j->db[DB_HISTORY], &j->rows));
	if (rc != 0) {
		j->rows = NULL;
		return journal_failed(j, rc, "history");
	}
	rc = JOURNAL_LMDB(mdb_cursor_get(
	    j->rows, journal_key_pair(&key, rows, offset), &val, MDB_SET_KEY));
	if (rc == MDB_NOTFOUND)
		return journal_damaged(j, "a row of history is not there");
	if (rc != 0)
		return journal_failed(j, rc, "history");
	*len_r = val.mv_size;
	return JOURNAL_OK;
}

int
journal_hist_del(struct journal *j, uint64_t rows, uint64_t offset)
{
	size_t len;
	int rc;

	rc = row_seek(j, rows, offset, &len);
	if (rc != JOURNAL_OK)
		return rc;
	j->dirty = true;
	j->room.used += 1024;
	rc = JOURNAL_LMDB(mdb_cursor_del(j->rows, 0));
	if (rc != 0)
		return journal_failed(j, rc, "history");
	base_assert(j->counts.history_records > 0);
	j->counts.history_records--;
	j->counts.history_bytes -= len + ROW;
	return JOURNAL_OK;
}

int
journal_hist_drop(struct journal *j, struct journal_stream_rec *rec)
{
	struct journal_gone gone = {rec->first, rec->last};
	struct journal_key key;
	MDB_val val = {sizeof(gone), &gone};
	int rc;

	if (rec->first == 0)
		return JOURNAL_OK;
	rc = journal_db_put(j, DB_GONE, journal_key_64(&key, rec->rows), &val, 0);
	rec->rows = rec->first = rec->last = 0;
	return rc;
}

uint64_t
journal_hist_gain(struct journal *j, const struct journal_stream_rec *rec,
    const struct journal_rules *rules)
{
	size_t len;

	if (rec->first == 0 || rec->last - rec->first + 1 < rules->history_size ||
	    row_seek(j, rec->rows, rec->first, &len) != JOURNAL_OK)
		return 0;
	return len + ROW;
}

/* The row of rec->top. */
int
journal_hist_put(struct journal *j, struct journal_stream_rec *rec,
    const struct journal_rules *rules, struct base_slice json, int64_t now_ms)
{
	MDB_val val = {json.len, (void *)(uintptr_t)json.p};
	struct journal_key key;
	int rc = JOURNAL_OK;

	/* A gap is left when history was off for a while. */
	if (rec->first != 0 &&
	    (rec->last + 1 != rec->top ||
		journal_hist_over(rec, rules->history_ttl_ms, now_ms)))
		rc = journal_hist_drop(j, rec);
	if (rc != JOURNAL_OK)
		return rc;
	if (rec->first == 0) {
		rec->rows = ++j->counts.rows_last;
		rec->first = rec->top;
	}
	rc = journal_db_put(
	    j, DB_HISTORY, journal_key_pair(&key, rec->rows, rec->top), &val, 0);
	if (rc != JOURNAL_OK)
		return rc;
	j->counts.history_records++;
	j->counts.history_bytes += json.len + ROW;
	rec->last = rec->top;
	rec->last_ms = now_ms;
	for (unsigned i = 0;
	     i < TRIM_MAX && rec->last - rec->first + 1 > rules->history_size; i++) {
		rc = journal_hist_del(j, rec->rows, rec->first);
		if (rc != JOURNAL_OK)
			return rc;
		rec->first++;
	}
	return JOURNAL_OK;
}

/* ---- reading ---- */

/* Rows [first, last] that are to be shown. */
struct window {
	uint64_t rows, first, last; /* first 0: none */
};

static void
stored(const struct journal_stream_rec *rec, const struct journal_rules *rules,
    int64_t now_ms, struct window *w_r)
{
	memset(w_r, 0, sizeof(*w_r));
	if (rules->history_size == 0 ||
	    journal_hist_over(rec, rules->history_ttl_ms, now_ms))
		return;
	w_r->rows = rec->rows;
	w_r->first = rec->first;
	w_r->last = rec->last;
	if (w_r->last - w_r->first + 1 > rules->history_size)
		w_r->first = w_r->last - rules->history_size + 1;
}

static int
find(struct journal *j, struct base_slice channel, const struct journal_rules *rules,
    int64_t now_ms, struct journal_extent *extent_r, struct window *w_r)
{
	struct journal_slot *slot;
	int rc;

	rc = journal_slot(j, channel, &slot);
	if (rc != JOURNAL_OK)
		return rc;
	if (journal_stream_over(&slot->rec, rules->meta_ttl_ms, now_ms))
		return JOURNAL_ABSENT;
	stored(&slot->rec, rules, now_ms, w_r);
	memcpy(extent_r->epoch, slot->rec.epoch, sizeof(extent_r->epoch));
	extent_r->top = slot->rec.top;
	extent_r->first = w_r->first;
	return JOURNAL_OK;
}

int
journal_extent(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, int64_t now_ms, struct journal_extent *extent_r)
{
	struct window w;
	int rc;

	rc = journal_read_begin(j);
	if (rc != JOURNAL_OK)
		return rc;
	rc = find(j, channel, rules, now_ms, extent_r, &w);
	journal_read_end(j);
	return rc;
}

/* Leaves in W what RANGE asks for. */
static void
narrow(struct window *w, const struct journal_range *range)
{
	uint64_t n;

	if (w->first == 0)
		return;
	if (range->reverse) {
		if (range->since != 0 && range->since <= w->last)
			w->last = range->since - 1;
	} else if (range->since >= w->first) {
		w->first = range->since == UINT64_MAX ? UINT64_MAX : range->since + 1;
	}
	if (range->limit == 0 || w->first > w->last) {
		w->first = 0;
		return;
	}
	n = w->last - w->first + 1;
	if (n <= range->limit)
		return;
	if (range->reverse || range->newest)
		w->first = w->last - range->limit + 1;
	else
		w->last = w->first + range->limit - 1;
}

static int
show(struct journal *j, MDB_cursor *cursor, const struct window *w, bool reverse,
    journal_pub_fn fn, void *arg)
{
	MDB_cursor_op op = MDB_SET_KEY;
	uint64_t n = w->last - w->first + 1, at = reverse ? w->last : w->first;
	struct journal_key seek;
	MDB_val key = *journal_key_pair(&seek, w->rows, at), val;
	int rc;

	for (uint64_t i = 0; i < n; i++, at += reverse ? -1 : 1) {
		rc = JOURNAL_LMDB(mdb_cursor_get(cursor, &key, &val, op));
		op = reverse ? MDB_PREV : MDB_NEXT;
		if (rc != 0 && rc != MDB_NOTFOUND)
			return journal_failed(j, rc, "history");
		if (rc == MDB_NOTFOUND || key.mv_size != 16 ||
		    journal_get64(key.mv_data) != w->rows ||
		    journal_get64((char *)key.mv_data + 8) != at)
			return journal_damaged(j, "a row of history is not there");
		if (!fn(arg, at, (struct base_slice){val.mv_data, val.mv_size}))
			break;
	}
	return JOURNAL_OK;
}

static int
show_window(struct journal *j, const struct window *w, bool reverse, journal_pub_fn fn,
    void *arg)
{
	MDB_cursor *cursor;
	int rc;

	rc = JOURNAL_LMDB(
	    mdb_cursor_open(journal_reader(j), j->db[DB_HISTORY], &cursor));
	if (rc != 0)
		return journal_failed(j, rc, "history");
	rc = show(j, cursor, w, reverse, fn, arg);
	mdb_cursor_close(cursor);
	return rc;
}

int
journal_history(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, const struct journal_range *range,
    int64_t now_ms, struct journal_extent *extent_r, journal_pub_fn fn, void *arg)
{
	struct window w;
	int rc;

	rc = journal_read_begin(j);
	if (rc != JOURNAL_OK)
		return rc;
	rc = find(j, channel, rules, now_ms, extent_r, &w);
	if (rc == JOURNAL_OK) {
		narrow(&w, range);
		if (w.first != 0)
			rc = show_window(j, &w, range->reverse, fn, arg);
	}
	journal_read_end(j);
	return rc;
}
