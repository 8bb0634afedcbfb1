/*
 * journal_dead: records that the database refuses for good.
 *
 * A dead letter keeps the number that it had in the spool.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"

#define REASON_MAX 4096

int
journal_dead(struct journal *j, uint64_t number, int code, struct base_slice reason,
    int64_t now_ms)
{
	struct journal_dead_rec head = {.time_ms = now_ms, .code = code};
	struct journal_key key;
	MDB_val rec, val;
	unsigned char *p;
	int rc;

	rc = journal_spool_take(j, number, &rec);
	if (rc != JOURNAL_OK)
		return rc;
	head.reason = (uint32_t)BASE_MIN(reason.len, (size_t)REASON_MAX);
	val.mv_size = sizeof(head) + head.reason + rec.mv_size;
	rc =
	    journal_db_put(j, DB_DEAD, journal_key_64(&key, number), &val, MDB_RESERVE);
	if (rc != JOURNAL_OK)
		return rc;
	p = val.mv_data;
	memcpy(p, &head, sizeof(head));
	if (head.reason > 0)
		memcpy(p + sizeof(head), reason.p, head.reason);
	memcpy(p + sizeof(head) + head.reason, rec.mv_data, rec.mv_size);
	j->counts.dead_records++;
	j->counts.dead_bytes += val.mv_size;
	return JOURNAL_OK;
}

static bool
dead_read(MDB_val val, uint64_t number, struct journal_dead *dead_r)
{
	struct journal_dead_rec head;
	struct journal_spooled rec;
	MDB_val rest;

	if (val.mv_size < sizeof(head))
		return false;
	memcpy(&head, val.mv_data, sizeof(head));
	if (head.reason > val.mv_size - sizeof(head))
		return false;
	rest.mv_data = (char *)val.mv_data + sizeof(head) + head.reason;
	rest.mv_size = val.mv_size - sizeof(head) - head.reason;
	if (!journal_rec_read(rest, number, &rec))
		return false;
	dead_r->number = number;
	dead_r->code = head.code;
	dead_r->time_ms = head.time_ms;
	dead_r->reason.p = (const char *)val.mv_data + sizeof(head);
	dead_r->reason.len = head.reason;
	dead_r->channel = rec.channel;
	dead_r->offset = rec.offset;
	memcpy(dead_r->epoch, rec.epoch, sizeof(dead_r->epoch));
	dead_r->rec = rec.rec;
	return true;
}

/* Finds NUMBER, or the first; *NUMBER is set. */
static int
dead_find(struct journal *j, uint64_t *number, MDB_val *val_r)
{
	struct journal_key key;
	MDB_val first = {0, NULL};
	int rc;

	if (*number != 0)
		return journal_db_get(j, DB_DEAD, journal_key_64(&key, *number), val_r);
	rc = journal_db_first(j, DB_DEAD, &first, val_r);
	if (rc == JOURNAL_OK)
		*number = journal_get64(first.mv_data);
	return rc;
}

static int
dead_delete(struct journal *j, uint64_t number, size_t bytes)
{
	struct journal_key key;
	int rc = journal_db_del(j, DB_DEAD, journal_key_64(&key, number));

	if (rc != JOURNAL_OK)
		return rc;
	j->counts.dead_records--;
	j->counts.dead_bytes -= bytes;
	return JOURNAL_OK;
}

int
journal_dead_retry(struct journal *j, uint64_t number)
{
	struct journal_dead_rec head;
	struct journal_dead dead;
	size_t bytes;
	MDB_val val;
	int rc;

	base_assert(j->txn != NULL);
	rc = dead_find(j, &number, &val);
	if (rc != JOURNAL_OK)
		return rc;
	if (!dead_read(val, number, &dead))
		return journal_damaged(j, "a dead letter is damaged");
	/* It is counted against the spool's limit already. */
	if (!journal_room_for(j, val.mv_size, true))
		return JOURNAL_FULL;
	bytes = val.mv_size;
	j->copy.len = 0;
	base_buf_add(&j->copy, val.mv_data, val.mv_size);
	val.mv_data = j->copy.p + sizeof(head) + dead.reason.len;
	val.mv_size -= sizeof(head) + dead.reason.len;
	rc = dead_delete(j, number, bytes);
	if (rc == JOURNAL_OK)
		rc = journal_spool_append(j, val, dead.rec.time_ns);
	return rc;
}

int
journal_dead_drop(struct journal *j, uint64_t number)
{
	MDB_val val;
	int rc;

	base_assert(j->txn != NULL);
	rc = dead_find(j, &number, &val);
	return rc == JOURNAL_OK ? dead_delete(j, number, val.mv_size) : rc;
}

static int
list_from(struct journal *j, MDB_cursor *cursor, uint64_t number, journal_dead_fn fn,
    void *arg)
{
	struct journal_dead dead;
	struct journal_key from;
	MDB_val *key = journal_key_64(&from, number + 1), val;
	MDB_cursor_op op = MDB_SET_RANGE;
	int rc;

	for (;; op = MDB_NEXT) {
		rc = JOURNAL_LMDB(mdb_cursor_get(cursor, key, &val, op));
		if (rc == MDB_NOTFOUND)
			return JOURNAL_OK;
		if (rc != 0)
			return journal_failed(j, rc, "dead letters");
		if (!dead_read(val, journal_get64(key->mv_data), &dead))
			return journal_damaged(j, "a dead letter is damaged");
		if (!fn(arg, &dead))
			return JOURNAL_OK;
	}
}

int
journal_dead_list(struct journal *j, uint64_t number, journal_dead_fn fn, void *arg)
{
	MDB_cursor *cursor;
	int rc;

	rc = journal_read_begin(j);
	if (rc != JOURNAL_OK)
		return rc;
	rc = JOURNAL_LMDB(mdb_cursor_open(journal_reader(j), j->db[DB_DEAD], &cursor));
	if (rc == 0) {
		rc = list_from(j, cursor, number, fn, arg);
		mdb_cursor_close(cursor);
	} else {
		rc = journal_failed(j, rc, "dead letters");
	}
	journal_read_end(j);
	return rc;
}
