/*
 * journal_sweep: what is over goes, a bounded number of entries a time.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"
#include "base/base_time.h"

/* An environment that was used so long can be used. */
#define PROVEN_MS 10000

/* Removes rows that no stream has any more. */
static int
sweep_gone(struct journal *j, unsigned *budget)
{
	struct journal_gone gone;
	struct journal_key at;
	MDB_val key = {0, NULL}, val;
	uint64_t rows;
	int rc;

	rc = journal_db_first(j, DB_GONE, &key, &val);
	if (rc != JOURNAL_OK)
		return rc;
	if (key.mv_size != 8 || val.mv_size != sizeof(gone))
		return journal_damaged(j, "a range of old history is damaged");
	rows = journal_get64(key.mv_data);
	memcpy(&gone, val.mv_data, sizeof(gone));
	for (; *budget > 0 && gone.first <= gone.last; (*budget)--) {
		rc = journal_hist_del(j, rows, gone.first++);
		if (rc != JOURNAL_OK)
			return rc;
	}
	if (gone.first > gone.last)
		return journal_db_del(j, DB_GONE, journal_key_64(&at, rows));
	val.mv_data = &gone;
	return journal_db_put(j, DB_GONE, journal_key_64(&at, rows), &val, 0);
}

static int
sweep_key(struct journal *j, MDB_val *entry, const void *hash)
{
	MDB_val at = {16, (void *)(uintptr_t)hash};
	int rc;

	rc = journal_db_del(j, DB_EXPIRE, entry);
	if (rc == JOURNAL_OK)
		rc = journal_db_del(j, DB_KEYS, &at);
	if (rc == JOURNAL_OK)
		j->counts.keys--;
	return rc == JOURNAL_ABSENT ? journal_damaged(j, "a key is gone") : rc;
}

/* The channel's name of the entry's value, in j->copy. */
static int
stream_name(struct journal *j, MDB_val at, struct base_slice *name_r)
{
	MDB_val rec;
	int rc;

	j->copy.len = 0;
	if (at.mv_size > 0 && *(unsigned char *)at.mv_data == 0) {
		base_buf_add(&j->copy, (char *)at.mv_data + 1, at.mv_size - 1);
	} else {
		rc = journal_db_get(j, DB_STREAMS, &at, &rec);
		if (rc == JOURNAL_ABSENT ||
		    (rc == JOURNAL_OK &&
			rec.mv_size < sizeof(struct journal_stream_rec)))
			return journal_damaged(j, "a stream that expires is not there");
		if (rc != JOURNAL_OK)
			return rc;
		base_buf_add(&j->copy,
		    (char *)rec.mv_data + sizeof(struct journal_stream_rec),
		    rec.mv_size - sizeof(struct journal_stream_rec));
	}
	name_r->p = j->copy.p;
	name_r->len = j->copy.len;
	return JOURNAL_OK;
}

/* Drops what is over of the stream, or moves its entry to when it may be. */
static int
sweep_stream(struct journal *j, MDB_val at, int64_t now_ms)
{
	struct journal_slot *slot;
	struct journal_stream_rec *rec;
	struct base_slice name;
	int64_t due = 0;
	int rc;

	rc = stream_name(j, at, &name);
	if (rc == JOURNAL_OK)
		rc = journal_slot(j, name, &slot);
	if (rc == JOURNAL_ABSENT)
		return journal_damaged(j, "a stream that expires is not there");
	if (rc != JOURNAL_OK)
		return rc;
	rec = &slot->rec;
	if (journal_stream_over(rec, rec->meta_ttl_ms, now_ms))
		return journal_stream_drop(j, slot);
	if (rec->first != 0 && journal_hist_over(rec, rec->history_ttl_ms, now_ms)) {
		journal_slot_dirty(j, slot);
		rc = journal_hist_drop(j, rec);
		if (rc != JOURNAL_OK)
			return rc;
	}
	if (rec->meta_ttl_ms > 0)
		due = journal_stream_end(rec, rec->meta_ttl_ms);
	if (rec->first != 0 && rec->history_ttl_ms > 0 &&
	    (due == 0 || rec->last_ms + rec->history_ttl_ms < due))
		due = rec->last_ms + rec->history_ttl_ms;
	return journal_stream_due(j, slot, due);
}

/* JOURNAL_ABSENT: nothing is due. */
static int
sweep_due(struct journal *j, int64_t now_ms)
{
	unsigned char copy[JOURNAL_KEY_MAX];
	MDB_val key = {0, NULL}, val;
	int rc;

	rc = journal_db_first(j, DB_EXPIRE, &key, &val);
	if (rc != JOURNAL_OK)
		return rc;
	if (key.mv_size < 17 || key.mv_size > sizeof(copy))
		return journal_damaged(j, "an entry of what expires is damaged");
	if ((int64_t)journal_get64(key.mv_data) > now_ms)
		return JOURNAL_ABSENT;
	memcpy(copy, key.mv_data, key.mv_size);
	key.mv_data = copy;
	if (copy[8] == EXPIRE_KEY && key.mv_size == 25)
		return sweep_key(j, &key, copy + 9);
	if (copy[8] == EXPIRE_STREAM && key.mv_size == 17)
		return sweep_stream(j, val, now_ms);
	return journal_damaged(j, "an entry of what expires is damaged");
}

int
journal_sweep(struct journal *j, int64_t now_ms, unsigned budget)
{
	int rc;

	base_assert(j->txn != NULL);
	if (!j->proven && base_time_ms() - j->opened_ms >= PROVEN_MS) {
		journal_tries_over(j->dir);
		j->proven = true;
	}
	rc = journal_slots_flush(j);
	while (rc == JOURNAL_OK && budget > 0) {
		rc = sweep_gone(j, &budget);
		if (rc == JOURNAL_ABSENT) {
			budget--;
			rc = sweep_due(j, now_ms);
		}
	}
	return rc == JOURNAL_ABSENT ? JOURNAL_OK : rc;
}
