/*
 * journal_db: one entry of a database, and the keys.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"

int
journal_db_get(struct journal *j, enum journal_db db, MDB_val *key, MDB_val *val_r)
{
	int rc;

	if (j->txn != NULL && j->failed != JOURNAL_OK)
		return j->failed;
	rc = JOURNAL_LMDB(mdb_get(journal_reader(j), j->db[db], key, val_r));
	if (rc == MDB_NOTFOUND)
		return JOURNAL_ABSENT;
	if (rc != 0)
		return journal_failed(j, rc, journal_db_name(db));
	return JOURNAL_OK;
}

int
journal_db_put(
    struct journal *j, enum journal_db db, MDB_val *key, MDB_val *val_r, unsigned flags)
{
	int rc;

	base_assert(j->txn != NULL);
	if (j->failed != JOURNAL_OK)
		return j->failed;
	j->dirty = true;
	j->room.used += key->mv_size + val_r->mv_size + 1024;
	rc = JOURNAL_LMDB(mdb_put(j->txn, j->db[db], key, val_r, flags));
	if (rc != 0)
		return journal_failed(j, rc, journal_db_name(db));
	return JOURNAL_OK;
}

int
journal_db_del(struct journal *j, enum journal_db db, MDB_val *key)
{
	int rc;

	base_assert(j->txn != NULL);
	if (j->failed != JOURNAL_OK)
		return j->failed;
	j->dirty = true;
	j->room.used += 1024;
	rc = JOURNAL_LMDB(mdb_del(j->txn, j->db[db], key, NULL));
	if (rc == MDB_NOTFOUND)
		return JOURNAL_ABSENT;
	if (rc != 0)
		return journal_failed(j, rc, journal_db_name(db));
	return JOURNAL_OK;
}

int
journal_db_first(struct journal *j, enum journal_db db, MDB_val *key_r, MDB_val *val_r)
{
	MDB_cursor *cursor;
	int rc;

	if (j->txn != NULL && j->failed != JOURNAL_OK)
		return j->failed;
	rc = JOURNAL_LMDB(mdb_cursor_open(journal_reader(j), j->db[db], &cursor));
	if (rc != 0)
		return journal_failed(j, rc, journal_db_name(db));
	rc = JOURNAL_LMDB(mdb_cursor_get(
	    cursor, key_r, val_r, key_r->mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST));
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return JOURNAL_ABSENT;
	if (rc != 0)
		return journal_failed(j, rc, journal_db_name(db));
	return JOURNAL_OK;
}

/* ---- keys ---- */

void
journal_put64(unsigned char *p, uint64_t n)
{
	for (int i = 7; i >= 0; i--, n >>= 8)
		p[i] = (unsigned char)n;
}

uint64_t
journal_get64(const void *p)
{
	const unsigned char *b = p;
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | b[i];
	return n;
}

static MDB_val *
key_done(struct journal_key *k, size_t len)
{
	base_assert(len <= sizeof(k->p));
	k->val.mv_size = len;
	k->val.mv_data = k->p;
	return &k->val;
}

MDB_val *
journal_key_64(struct journal_key *k, uint64_t n)
{
	journal_put64(k->p, n);
	return key_done(k, 8);
}

MDB_val *
journal_key_pair(struct journal_key *k, uint64_t a, uint64_t b)
{
	journal_put64(k->p, a);
	journal_put64(k->p + 8, b);
	return key_done(k, 16);
}

void
journal_hash(const struct journal *j, struct base_slice a, struct base_slice b,
    unsigned char hash[16])
{
	for (int i = 0; i < 2; i++) {
		/* Of the two texts' hashes, so that ab and c differ from a and bc. */
		uint64_t both[2] = {base_hash(&j->hash[i], a.p, a.len),
		    base_hash(&j->hash[i], b.p, b.len)};

		journal_put64(hash + 8 * i, base_hash(&j->hash[i], both, sizeof(both)));
	}
}

MDB_val *
journal_key_name(const struct journal *j, struct journal_key *k, struct base_slice name)
{
	if (name.len > JOURNAL_KEY_MAX) {
		k->p[0] = 1;
		journal_hash(j, name, (struct base_slice){"", 0}, k->p + 1);
		return key_done(k, 17);
	}
	k->p[0] = 0;
	memcpy(k->p + 1, name.p, name.len);
	return key_done(k, 1 + name.len);
}

MDB_val *
journal_key_meta(struct journal_key *k, const char *name, const void *id, size_t idlen)
{
	size_t len = strlen(name);

	memcpy(k->p, name, len);
	if (idlen > 0)
		memcpy(k->p + len, id, idlen);
	return key_done(k, len + idlen);
}

MDB_val *
journal_key_expire(struct journal_key *k, int64_t due_ms, enum journal_expire_kind kind,
    const void *id, size_t idlen)
{
	journal_put64(k->p, (uint64_t)due_ms);
	k->p[8] = (unsigned char)kind;
	memcpy(k->p + 9, id, idlen);
	return key_done(k, 9 + idlen);
}
