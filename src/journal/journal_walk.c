/*
 * journal_walk: reads all of an environment, in a process that may die of it.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"

#define LMDB_KEY_MAX 511 /* mdb_env_get_maxkeysize */
#define FREE_PAGES 0 /* LMDB's database of pages that came free */
#define FIRST_PAGE 2 /* behind those that say where all begins */

/* Each page of it is there. */
static void
touch(MDB_val val)
{
	const volatile char *p = val.mv_data;

	for (size_t i = 0; i < val.mv_size; i += 4096)
		(void)p[i];
	if (val.mv_size > 0)
		(void)p[val.mv_size - 1];
}

/* Page numbers, the highest first, led by how many there are. */
static bool
list_good(MDB_val val, size_t last)
{
	size_t n, page, before = last + 1;

	if (val.mv_size < sizeof(n))
		return false;
	memcpy(&n, val.mv_data, sizeof(n));
	/* LMDB may leave room behind the last one. */
	if (n > val.mv_size / sizeof(n) - 1)
		return false;
	for (size_t i = 1; i <= n; i++) {
		memcpy(&page, (const char *)val.mv_data + i * sizeof(n), sizeof(n));
		if (page < FIRST_PAGE || page >= before)
			return false;
		before = page;
	}
	return true;
}

struct walk {
	MDB_txn *txn;
	MDB_dbi db;
	bool spool; /* what its values are */
	size_t last; /* page */
	size_t n, entries;
	char before[LMDB_KEY_MAX];
	MDB_val key; /* the one before */
};

static bool
entry_good(struct walk *w, MDB_val *key, MDB_val *val)
{
	struct journal_spooled rec;

	if (key->mv_size > LMDB_KEY_MAX || ++w->n > w->entries ||
	    (w->key.mv_data != NULL && mdb_cmp(w->txn, w->db, &w->key, key) >= 0))
		return false;
	touch(*val);
	memcpy(w->before, key->mv_data, key->mv_size);
	w->key = (MDB_val){key->mv_size, w->before};
	if (w->db == FREE_PAGES)
		return list_good(*val, w->last);
	return !w->spool || (key->mv_size == 8 && journal_rec_read(*val, 0, &rec));
}

static int
walk(struct walk *w)
{
	MDB_cursor *cursor;
	MDB_cursor_op op = MDB_FIRST;
	MDB_val key, val;
	MDB_stat stat;
	int rc;

	if ((rc = mdb_stat(w->txn, w->db, &stat)) != 0 ||
	    (rc = mdb_cursor_open(w->txn, w->db, &cursor)) != 0)
		return rc;
	w->entries = stat.ms_entries;
	while ((rc = mdb_cursor_get(cursor, &key, &val, op)) == 0) {
		if (!entry_good(w, &key, &val)) {
			rc = MDB_CORRUPTED;
			break;
		}
		op = MDB_NEXT;
	}
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return w->n == w->entries ? 0 : MDB_CORRUPTED;
	return rc;
}

int
journal_walk(MDB_env *env, MDB_txn *txn)
{
	struct walk w = {.txn = txn, .db = FREE_PAGES};
	MDB_envinfo info;
	int rc;

	base_assert(mdb_env_get_maxkeysize(env) <= LMDB_KEY_MAX);
	rc = mdb_env_info(env, &info);
	w.last = info.me_last_pgno;
	if (rc == 0)
		rc = walk(&w);
	for (int i = 0; i < DB_N && rc == 0; i++) {
		w = (struct walk){.txn = txn, .spool = i == DB_SPOOL};
		rc = mdb_dbi_open(txn, journal_db_name(i), 0, &w.db);
		if (rc == 0)
			rc = walk(&w);
	}
	return rc;
}
