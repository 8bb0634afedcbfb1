/*
 * journal_spool: what the database does not have yet.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"

static void
counted_in(struct journal *j, uint64_t number, uint64_t time_ns, size_t bytes)
{
	if (j->counts.spool_records++ == 0) {
		j->counts.spool_first = number;
		j->counts.spool_first_ns = time_ns;
	}
	j->counts.spool_bytes += bytes;
	j->counts.spool_last = number;
}

static void
counted_out(struct journal *j, size_t bytes)
{
	base_assert(j->counts.spool_records > 0 && j->counts.spool_bytes >= bytes);
	j->counts.spool_records--;
	j->counts.spool_bytes -= bytes;
}

/* Something went from the front. */
static int
find_first(struct journal *j)
{
	struct journal_spooled rec;
	MDB_val key = {0, NULL}, val;
	int rc;

	j->counts.spool_first = j->counts.spool_first_ns = 0;
	if (j->counts.spool_records == 0)
		return JOURNAL_OK;
	rc = journal_db_first(j, DB_SPOOL, &key, &val);
	if (rc == JOURNAL_ABSENT || (rc == JOURNAL_OK && key.mv_size != 8))
		return journal_damaged(
		    j, "the spool has not the records that it counts");
	if (rc != JOURNAL_OK)
		return rc;
	if (!journal_rec_read(val, journal_get64(key.mv_data), &rec))
		return journal_damaged(j, "a record of the spool is damaged");
	j->counts.spool_first = rec.number;
	j->counts.spool_first_ns = rec.rec.time_ns;
	return JOURNAL_OK;
}

int
journal_spool_put(struct journal *j, struct base_slice channel,
    const struct journal_place *place, const struct journal_record *rec)
{
	uint64_t number = j->counts.spool_last + 1;
	struct journal_key key;
	MDB_val val = {journal_rec_len(channel, rec), NULL};
	int rc;

	rc = journal_db_put(
	    j, DB_SPOOL, journal_key_64(&key, number), &val, MDB_RESERVE | MDB_APPEND);
	if (rc != JOURNAL_OK)
		return rc;
	journal_rec_write(val.mv_data, channel, place->epoch, place->offset, rec);
	counted_in(j, number, rec->time_ns, val.mv_size);
	return JOURNAL_OK;
}

int
journal_spool_append(struct journal *j, MDB_val val, uint64_t time_ns)
{
	uint64_t number = j->counts.spool_last + 1;
	struct journal_key key;
	int rc;

	rc =
	    journal_db_put(j, DB_SPOOL, journal_key_64(&key, number), &val, MDB_APPEND);
	if (rc == JOURNAL_OK)
		counted_in(j, number, time_ns, val.mv_size);
	return rc;
}

int
journal_spool_take(struct journal *j, uint64_t number, MDB_val *val_r)
{
	struct journal_key key;
	int rc;

	rc = journal_db_get(j, DB_SPOOL, journal_key_64(&key, number), val_r);
	if (rc != JOURNAL_OK)
		return rc;
	j->copy.len = 0;
	base_buf_add(&j->copy, val_r->mv_data, val_r->mv_size);
	rc = journal_db_del(j, DB_SPOOL, &key.val);
	if (rc != JOURNAL_OK)
		return rc;
	val_r->mv_data = j->copy.p;
	counted_out(j, val_r->mv_size);
	return number == j->counts.spool_first ? find_first(j) : JOURNAL_OK;
}

/* Deletes from the front; *N_R: how many. */
static int
delete_front(struct journal *j, MDB_cursor *cursor, uint64_t number, unsigned budget,
    unsigned *n_r)
{
	MDB_val key, val;
	unsigned n;
	int rc = 0;

	for (n = 0; n < budget; n++) {
		rc = JOURNAL_LMDB(
		    mdb_cursor_get(cursor, &key, &val, n == 0 ? MDB_FIRST : MDB_NEXT));
		if (rc == MDB_NOTFOUND ||
		    (rc == 0 && journal_get64(key.mv_data) > number)) {
			rc = 0;
			break;
		}
		if (rc == 0) {
			size_t bytes = val.mv_size;

			j->dirty = true;
			rc = JOURNAL_LMDB(mdb_cursor_del(cursor, 0));
			if (rc == 0)
				counted_out(j, bytes);
		}
		if (rc != 0)
			break;
	}
	*n_r = n;
	return rc == 0 ? JOURNAL_OK : journal_failed(j, rc, "spool");
}

int
journal_spool_done(struct journal *j, uint64_t number, unsigned budget, bool *left_r)
{
	MDB_cursor *cursor;
	unsigned n;
	int rc;

	base_assert(j->txn != NULL);
	*left_r = false;
	if (j->failed != JOURNAL_OK)
		return j->failed;
	if (j->counts.spool_records == 0 || number < j->counts.spool_first)
		return JOURNAL_OK;
	rc = JOURNAL_LMDB(mdb_cursor_open(j->txn, j->db[DB_SPOOL], &cursor));
	if (rc != 0)
		return journal_failed(j, rc, "spool");
	rc = delete_front(j, cursor, number, budget, &n);
	mdb_cursor_close(cursor);
	if (rc == JOURNAL_OK && n > 0)
		rc = find_first(j);
	if (rc == JOURNAL_OK)
		*left_r =
		    j->counts.spool_records > 0 && j->counts.spool_first <= number;
	return rc;
}
