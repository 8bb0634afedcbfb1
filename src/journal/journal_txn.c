/*
 * journal_txn: transactions of the writer, and what it reads outside of them.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"

int
journal_damaged(struct journal *j, const char *what)
{
	snprintf(j->why, sizeof(j->why), "%s: %s", j->dir, what);
	j->spoilt = true;
	if (j->txn != NULL && j->failed == JOURNAL_OK)
		j->failed = JOURNAL_IO;
	return JOURNAL_IO;
}

int
journal_failed(struct journal *j, int rc, const char *what)
{
	int code = rc == MDB_MAP_FULL ? JOURNAL_RETRY : JOURNAL_IO;

	snprintf(j->why, sizeof(j->why), "%s: %s: %s", j->dir, what, mdb_strerror(rc));
	if (rc == MDB_MAP_FULL)
		j->grow = true;
	else if (rc == MDB_PANIC || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND)
		j->broken = true;
	/* LMDB may say of what it found first only that it found something. */
	if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_BAD_TXN)
		j->spoilt = true;
	if (j->txn != NULL && j->failed == JOURNAL_OK)
		j->failed = code;
	return code;
}

/* After a failure of its head page LMDB wants to be opened anew. */
static bool
broke(struct journal *j, int rc)
{
	if (rc == MDB_PANIC)
		j->broken = true;
	return rc == MDB_PANIC;
}

/* Makes a handle that is of no more use good again.  No transaction is open. */
static int
mend(struct journal *j)
{
	if (j->broken) {
		journal_env_close(j);
		j->broken = false;
	}
	if (j->env == NULL && journal_env_open(j) < 0)
		return JOURNAL_IO;
	return JOURNAL_OK;
}

static int
grow(struct journal *j)
{
	MDB_envinfo info;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int rc;

	rc = JOURNAL_LMDB(mdb_env_info(j->env, &info));
	if (rc != 0)
		return journal_failed(j, rc, "size of the map");
	if (BASE_FAIL("journal"))
		return journal_failed(j, ENOMEM, "growing the map");
	rc = mdb_env_set_mapsize(j->env, BASE_ALIGN(2 * info.me_mapsize, page));
	if (rc != 0) {
		/* The old map is gone by now. */
		j->broken = true;
		return journal_failed(j, rc, "growing the map");
	}
	j->grow = false;
	return JOURNAL_OK;
}

/* Transactions between two looks for readers that were killed in a reading: as long as
 * LMDB counts them in, no page that came free since is used again. */
#define READERS_EACH 256

static void
forget_dead_readers(struct journal *j)
{
	int dead;

	if (++j->begun % READERS_EACH == 0)
		(void)JOURNAL_LMDB(mdb_reader_check(j->env, &dead));
}

int
journal_begin(struct journal *j)
{
	int rc;

	base_assert(j->txn == NULL);
	j->failed = JOURNAL_OK;
	j->dirty = j->pos_dirty = false;
	j->current = NULL;
	do {
		rc = mend(j);
		if (rc == JOURNAL_OK && j->grow)
			rc = grow(j);
		if (rc != JOURNAL_OK)
			return rc;
		forget_dead_readers(j);
		journal_room_begin(j);
		rc = JOURNAL_LMDB(mdb_txn_begin(j->env, NULL, 0, &j->txn));
		if (rc != 0)
			j->txn = NULL;
	} while (broke(j, rc));
	return rc == 0 ? JOURNAL_OK : journal_failed(j, rc, "beginning a transaction");
}

static void
ended(struct journal *j)
{
	j->txn = NULL;
	j->rows = NULL; /* LMDB has closed it */
	j->current = NULL;
	for (unsigned i = 0; i < j->n_listed; i++)
		j->slots[j->listed[i]].listed = false;
	j->n_listed = 0;
}

/* What is in memory is as the environment is again. */
static void
undone(struct journal *j)
{
	ended(j);
	if (j->dirty)
		journal_slots_forget(j);
	j->counts = j->committed;
	memcpy(j->pos, j->pos_committed, sizeof(j->pos));
	j->dirty = j->pos_dirty = false;
}

void
journal_abort(struct journal *j)
{
	base_assert(j->txn != NULL);
	mdb_txn_abort(j->txn);
	undone(j);
	j->failed = JOURNAL_OK;
}

bool
journal_dirty(const struct journal *j)
{
	return j->dirty;
}

static int
write_counts(struct journal *j)
{
	struct journal_key key;
	MDB_val val = {sizeof(j->counts), &j->counts};

	if (memcmp(&j->counts, &j->committed, sizeof(j->counts)) == 0)
		return JOURNAL_OK;
	return journal_db_put(
	    j, DB_META, journal_key_meta(&key, "counts", NULL, 0), &val, 0);
}

static int
write_positions(struct journal *j)
{
	struct journal_key key;
	MDB_val val = {sizeof(j->pos), j->pos};

	if (!j->pos_dirty)
		return JOURNAL_OK;
	return journal_db_put(
	    j, DB_META, journal_key_meta(&key, "pos", NULL, 0), &val, 0);
}

/* Always ends the transaction. */
static int
commit_txn(struct journal *j)
{
	if (BASE_FAIL("journal")) {
		mdb_txn_abort(j->txn);
		return EIO;
	}
	return mdb_txn_commit(j->txn);
}

int
journal_commit(struct journal *j)
{
	int rc = j->failed, code;

	base_assert(j->txn != NULL);
	if (rc == JOURNAL_OK)
		rc = journal_slots_flush(j);
	if (rc == JOURNAL_OK)
		rc = write_counts(j);
	if (rc == JOURNAL_OK)
		rc = write_positions(j);
	if (rc != JOURNAL_OK) {
		code = rc;
		journal_abort(j);
		return code;
	}
	rc = commit_txn(j);
	if (rc != 0) {
		code = journal_failed(j, rc, "commit");
		undone(j);
		j->failed = JOURNAL_OK;
		journal_room_committed(j, false);
		return code;
	}
	if (j->dirty)
		journal_syncer_dirty(j);
	ended(j);
	j->committed = j->counts;
	if (j->pos_dirty)
		memcpy(j->pos_committed, j->pos, sizeof(j->pos));
	j->dirty = j->pos_dirty = false;
	journal_room_committed(j, true);
	return JOURNAL_OK;
}

int
journal_read_begin(struct journal *j)
{
	int rc;

	if (j->txn != NULL)
		return j->failed;
	do {
		rc = mend(j);
		if (rc != JOURNAL_OK)
			return rc;
		if (j->reading == NULL)
			rc = JOURNAL_LMDB(
			    mdb_txn_begin(j->env, NULL, MDB_RDONLY, &j->reading));
		else
			rc = JOURNAL_LMDB(mdb_txn_renew(j->reading));
	} while (broke(j, rc));
	if (rc != 0)
		return journal_failed(j, rc, "beginning to read");
	return JOURNAL_OK;
}

void
journal_read_end(struct journal *j)
{
	if (j->txn == NULL)
		mdb_txn_reset(j->reading);
}

MDB_txn *
journal_reader(const struct journal *j)
{
	return j->txn != NULL ? j->txn : j->reading;
}
