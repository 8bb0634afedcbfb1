/*
 * journal_env: opening and closing, limits and figures.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_time.h"

const char *
journal_db_name(enum journal_db db)
{
	static const char *const names[DB_N] = {
	    [DB_META] = "meta",
	    [DB_STREAMS] = "streams",
	    [DB_HISTORY] = "history",
	    [DB_GONE] = "gone",
	    [DB_SPOOL] = "spool",
	    [DB_DEAD] = "dead",
	    [DB_KEYS] = "keys",
	    [DB_EXPIRE] = "expire",
	};

	return names[db];
}

/* ---- the environment ---- */

static int
read_positions(struct journal *j, MDB_txn *txn)
{
	struct journal_key key;
	MDB_val val;
	int rc;

	memset(j->pos, 0, sizeof(j->pos));
	rc = JOURNAL_LMDB(
	    mdb_get(txn, j->db[DB_META], journal_key_meta(&key, "pos", NULL, 0), &val));
	if (rc != 0 && rc != MDB_NOTFOUND)
		return journal_failed(j, rc, "its positions");
	if (rc == 0 && val.mv_size != sizeof(j->pos))
		return journal_damaged(j, "its positions are damaged");
	if (rc == 0)
		memcpy(j->pos, val.mv_data, sizeof(j->pos));
	memcpy(j->pos_committed, j->pos, sizeof(j->pos));
	return JOURNAL_OK;
}

static int
read_meta(struct journal *j, MDB_txn *txn)
{
	struct journal_key key;
	MDB_val val;
	struct journal_head head;
	char why[128];
	int rc;

	rc = journal_head_read(txn, j->db[DB_META], &head, why, sizeof(why));
	if (rc == -1)
		return journal_damaged(j, why);
	if (rc == 0)
		rc = JOURNAL_LMDB(mdb_get(txn, j->db[DB_META],
		    journal_key_meta(&key, "counts", NULL, 0), &val));
	if (rc != 0)
		return journal_failed(j, rc, "its head");
	if (val.mv_size != sizeof(j->counts))
		return journal_damaged(j, "its counts are damaged");
	memcpy(&j->counts, val.mv_data, sizeof(j->counts));
	memcpy(j->hash, head.hash, sizeof(j->hash));
	j->committed = j->counts;
	return read_positions(j, txn);
}

/*
 * Handles of databases last when their transaction has been committed.
 *
 * The transaction is one that could write: a writer that was killed between the last
 * write of its commit and telling readers of it has left them the state before, and
 * only the next one that takes the writer's lock sets that right.
 */
static int
open_dbs(struct journal *j)
{
	MDB_txn *txn;
	int rc, code;

	rc = JOURNAL_LMDB(mdb_txn_begin(j->env, NULL, 0, &txn));
	if (rc != 0)
		return journal_failed(j, rc, "opening");
	for (int i = 0; i < DB_N && rc == 0; i++)
		rc = JOURNAL_LMDB(mdb_dbi_open(txn, journal_db_name(i), 0, &j->db[i]));
	code = rc == 0 ? read_meta(j, txn) : journal_failed(j, rc, "opening");
	if (code != JOURNAL_OK) {
		mdb_txn_abort(txn);
		return code;
	}
	rc = JOURNAL_LMDB(0);
	if (rc != 0)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
	return rc == 0 ? JOURNAL_OK : journal_failed(j, rc, "opening");
}

int
journal_env_open(struct journal *j)
{
	unsigned flags = MDB_NOTLS | (j->sync ? 0 : MDB_NOSYNC);
	int rc, dead;

	base_assert(j->env == NULL && j->txn == NULL);
	rc = JOURNAL_LMDB(mdb_env_create(&j->env));
	if (rc != 0) {
		j->env = NULL;
		return journal_failed(j, rc, "opening");
	}
	rc = JOURNAL_LMDB(mdb_env_set_maxdbs(j->env, DB_N));
	if (rc == 0)
		rc = JOURNAL_LMDB(mdb_env_set_maxreaders(j->env, JOURNAL_READERS));
	if (rc == 0)
		rc = JOURNAL_LMDB(mdb_env_open(j->env, j->dir, flags, JOURNAL_MODE));
	/* Readers that were killed pin pages. */
	if (rc == 0)
		rc = JOURNAL_LMDB(mdb_reader_check(j->env, &dead));
	if (rc != 0)
		rc = journal_failed(j, rc, "opening");
	else
		rc = open_dbs(j);
	if (rc != JOURNAL_OK)
		journal_env_close(j);
	return rc;
}

void
journal_env_close(struct journal *j)
{
	base_assert(j->txn == NULL);
	if (j->env == NULL)
		return;
	if (j->reading != NULL)
		mdb_txn_abort(j->reading);
	mdb_env_close(j->env);
	j->env = NULL;
	j->reading = NULL;
	j->room.high = j->room.reserved = j->room.free = 0;
	journal_slots_forget(j);
}

/* ---- the whole ---- */

/* The directory is not there, or there is nothing in it. */
static bool
nothing_there(const char *dir)
{
	return access(dir, F_OK) < 0 && errno == ENOENT;
}

/*
 * What is there is either good, or set aside with the reason in ERR.  0, or -1.
 */
static int
judge(const struct journal *j, bool *aside_r, char *err, size_t errlen)
{
	enum journal_verdict verdict = LOOK_BAD;
	enum journal_state state;
	char why[256], to[512];
	size_t n;

	/* One that is empty was made by whoever installed us. */
	if (rmdir(j->dir) == 0 || nothing_there(j->dir))
		return 0;
	if (journal_state_read(j->dir, &state, err, errlen) < 0)
		return -1;
	if (state == STATE_OPEN_OTHER_BOOT)
		snprintf(
		    why, sizeof(why), "it was not synced when the machine stopped");
	else
		verdict = journal_look(j->dir,
		    journal_tries_add(j->dir) >= JOURNAL_TRIES_MAX, why, sizeof(why));
	if (verdict == LOOK_GOOD)
		return 0;
	if (verdict == LOOK_ERROR) {
		snprintf(err, errlen, "%s: %s", j->dir, why);
		return -1;
	}
	if (journal_set_aside(j->dir, to, sizeof(to), err, errlen) < 0)
		return -1;
	*aside_r = true;
	n = (size_t)snprintf(
	    err, errlen, "%s: %s; it was set aside as %s", j->dir, why, to);
	base_assert(n > 0);
	return 0;
}

static int
open_all(struct journal *j, bool *aside_r, char *err, size_t errlen)
{
	char other[512];

	if (journal_lock(j->dir, &j->lock, err, errlen) < 0 ||
	    judge(j, aside_r, err, errlen) < 0)
		return -1;
	if (nothing_there(j->dir) &&
	    journal_make(j->dir, j->map, j->lock, other, sizeof(other)) < 0)
		goto failed;
	if (journal_state_write(j->dir, true, j->sync, other, sizeof(other)) < 0)
		goto failed;
	if (journal_env_open(j) != JOURNAL_OK) {
		snprintf(other, sizeof(other), "%s", j->why);
		goto failed;
	}
	if (journal_syncer_start(j, other, sizeof(other)) == 0)
		return 0;
failed:
	/* After what ERR says of an environment that was set aside. */
	if (*aside_r) {
		size_t n = strlen(err);

		snprintf(err + n, errlen - n, "; then: %s", other);
	} else {
		snprintf(err, errlen, "%s", other);
	}
	return -1;
}

static void
free_all(struct journal *j)
{
	journal_env_close(j);
	if (j->lock >= 0)
		close(j->lock);
	for (unsigned i = 0; i < JOURNAL_SLOTS_N; i++)
		free(j->slots[i].name);
	free(j->slots);
	free(j->listed);
	base_buf_free(&j->copy);
	free(j->dir);
	free(j->name);
	free(j);
}

int
journal_open(const struct journal_opts *opts, struct journal **j_r, bool *aside_r,
    char *err, size_t errlen)
{
	struct journal *j = base_zalloc(sizeof(*j));

	*aside_r = false;
	err[0] = 0;
	j->dir = base_strdup(opts->dir);
	j->name = base_strdup(opts->name);
	j->sync = opts->sync;
	j->map = opts->map != 0 ? opts->map : JOURNAL_MAP;
	j->lock = -1;
	j->opened_ms = base_time_ms();
	j->slots = base_zalloc(JOURNAL_SLOTS_N * sizeof(*j->slots));
	j->listed = base_zalloc(JOURNAL_SLOTS_N * sizeof(*j->listed));
	journal_limits(j, opts->spool_limit, opts->history_limit);
	if (open_all(j, aside_r, err, errlen) < 0) {
		free_all(j);
		return -1;
	}
	*j_r = j;
	return 0;
}

void
journal_close(struct journal *j)
{
	char err[512];

	if (j == NULL)
		return;
	if (j->txn != NULL)
		journal_abort(j);
	journal_syncer_stop(j);
	if (j->spoilt)
		journal_tries_suspect(j->dir);
	/* Only what is on disk is whole. */
	else if (j->env != NULL && !j->broken &&
	    JOURNAL_LMDB(mdb_env_sync(j->env, 1)) == 0) {
		journal_env_close(j);
		journal_tries_over(j->dir);
		if (journal_state_write(j->dir, false, j->sync, err, sizeof(err)) < 0)
			base_assert(err[0] != 0);
	}
	free_all(j);
}

void
journal_limits(struct journal *j, uint64_t spool_limit, uint64_t history_limit)
{
	j->spool_limit = spool_limit;
	j->history_limit = history_limit;
}

bool
journal_spoilt(const struct journal *j)
{
	return j->spoilt;
}

const char *
journal_why(const struct journal *j)
{
	return j->why;
}

void
journal_figures(struct journal *j, struct journal_figures *f_r)
{
	const struct journal_counts *c = &j->committed;
	mdb_filehandle_t fd;
	MDB_envinfo info;
	struct stat st;

	memset(f_r, 0, sizeof(*f_r));
	f_r->spool_records = c->spool_records;
	f_r->spool_bytes = c->spool_bytes;
	f_r->spool_first = c->spool_first;
	f_r->spool_last = c->spool_records > 0 ? c->spool_last : 0;
	f_r->spool_first_ns = c->spool_first_ns;
	f_r->dead_records = c->dead_records;
	f_r->dead_bytes = c->dead_bytes;
	f_r->history_records = c->history_records;
	f_r->history_bytes = c->history_bytes;
	f_r->streams = c->streams;
	f_r->keys = c->keys;
	f_r->disk_full = j->room.full;
	f_r->sync_errors = j->sync_errors;
	if (j->env == NULL)
		return;
	if (mdb_env_get_fd(j->env, &fd) == 0 && fstat(fd, &st) == 0)
		f_r->file_bytes = (uint64_t)st.st_size;
	if (mdb_env_info(j->env, &info) == 0)
		f_r->map_bytes = info.me_mapsize;
}
