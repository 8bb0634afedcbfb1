/*
 * journal_tail: see the header.
 */
#include "config.h"

#include "journal/journal_tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base_mem.h"
#include "journal/journal_priv.h"

/*
 * The writer may set the environment aside and make another at the same place, so
 * the file is compared with what stands there now.
 */
struct journal_tail {
	char *dir, *path; /* path: of the data */
	MDB_env *env; /* NULL: to be opened again */
	MDB_txn *txn; /* reset between readings */
	MDB_dbi spool;
	dev_t dev;
	ino_t ino;
	char why[256];
};

static int
fail(struct journal_tail *t, int rc, const char *what)
{
	snprintf(t->why, sizeof(t->why), "%s: %s: %s", t->dir, what, mdb_strerror(rc));
	return JOURNAL_IO;
}

static void
close_env(struct journal_tail *t)
{
	if (t->txn != NULL)
		mdb_txn_abort(t->txn);
	if (t->env != NULL)
		mdb_env_close(t->env);
	t->txn = NULL;
	t->env = NULL;
}

/* Of this program and version, with a spool. */
static int
open_spool(struct journal_tail *t)
{
	struct journal_head head;
	char why[128];
	MDB_dbi meta;
	MDB_txn *txn;
	int rc;

	rc = JOURNAL_LMDB(mdb_txn_begin(t->env, NULL, MDB_RDONLY, &txn));
	if (rc != 0)
		return fail(t, rc, "open");
	rc = JOURNAL_LMDB(mdb_dbi_open(txn, journal_db_name(DB_META), 0, &meta));
	if (rc == 0)
		rc = JOURNAL_LMDB(
		    mdb_dbi_open(txn, journal_db_name(DB_SPOOL), 0, &t->spool));
	if (rc == 0)
		rc = journal_head_read(txn, meta, &head, why, sizeof(why));
	if (rc == 0)
		return (rc = mdb_txn_commit(txn)) == 0 ? JOURNAL_OK
						       : fail(t, rc, "open");
	mdb_txn_abort(txn);
	if (rc != -1)
		return fail(t, rc, "open");
	snprintf(t->why, sizeof(t->why), "%s: %s", t->dir, why);
	return JOURNAL_IO;
}

/* Reading behind the end of a file that was cut would kill us. */
static int
check_size(struct journal_tail *t, const struct stat *st)
{
	MDB_envinfo info;
	MDB_stat stat;
	int rc;

	if ((rc = JOURNAL_LMDB(mdb_env_info(t->env, &info))) != 0 ||
	    (rc = JOURNAL_LMDB(mdb_env_stat(t->env, &stat))) != 0)
		return fail(t, rc, "open");
	if ((uint64_t)st->st_size / stat.ms_psize > info.me_last_pgno)
		return JOURNAL_OK;
	snprintf(t->why, sizeof(t->why), "%s: its file was cut", t->dir);
	return JOURNAL_IO;
}

static int
open_env(struct journal_tail *t)
{
	mdb_filehandle_t fd;
	struct stat st;
	int rc, code;

	rc = JOURNAL_LMDB(mdb_env_create(&t->env));
	if (rc != 0) {
		t->env = NULL;
		return fail(t, rc, "open");
	}
	if ((rc = JOURNAL_LMDB(mdb_env_set_maxdbs(t->env, DB_N))) != 0 ||
	    (rc = JOURNAL_LMDB(mdb_env_set_maxreaders(t->env, JOURNAL_READERS))) != 0 ||
	    (rc = JOURNAL_LMDB(mdb_env_open(
		 t->env, t->dir, MDB_RDONLY | MDB_NOTLS, JOURNAL_MODE))) != 0 ||
	    (rc = JOURNAL_LMDB(mdb_env_get_fd(t->env, &fd))) != 0)
		code = fail(t, rc, "open");
	else if (JOURNAL_SYS(fstat(fd, &st)) < 0)
		code = fail(t, errno, "open");
	else if ((code = check_size(t, &st)) == JOURNAL_OK)
		code = open_spool(t);
	if (code != JOURNAL_OK) {
		close_env(t);
		return code;
	}
	t->dev = st.st_dev;
	t->ino = st.st_ino;
	return JOURNAL_OK;
}

int
journal_tail_open(const char *dir, struct journal_tail **t_r, bool *absent_r, char *err,
    size_t errlen)
{
	struct journal_tail *t = base_zalloc(sizeof(*t));
	size_t len = strlen(dir) + sizeof("/data.mdb");
	struct stat st;

	t->dir = base_strdup(dir);
	t->path = base_malloc(len);
	snprintf(t->path, len, "%s/data.mdb", dir);
	*absent_r = stat(t->path, &st) < 0 && errno == ENOENT;
	if (*absent_r) {
		snprintf(err, errlen, "%s: it is not there yet", dir);
	} else if (open_env(t) == JOURNAL_OK) {
		*t_r = t;
		return 0;
	} else {
		snprintf(err, errlen, "%s", t->why);
	}
	journal_tail_close(t);
	return -1;
}

void
journal_tail_close(struct journal_tail *t)
{
	if (t == NULL)
		return;
	close_env(t);
	free(t->dir);
	free(t->path);
	free(t);
}

const char *
journal_tail_why(const struct journal_tail *t)
{
	return t->why;
}

/* Begins a short reading of what is there now; *ABSENT_R: nothing, for a moment. */
static int
read_begin(struct journal_tail *t, bool *absent_r)
{
	struct stat st;
	int rc;

	*absent_r = JOURNAL_SYS(stat(t->path, &st)) < 0;
	if (*absent_r) {
		close_env(t);
		return errno == ENOENT ? JOURNAL_OK : fail(t, errno, t->path);
	}
	if (t->env != NULL && (st.st_dev != t->dev || st.st_ino != t->ino))
		close_env(t);
	if (t->env == NULL && open_env(t) != JOURNAL_OK)
		return JOURNAL_IO;
	if (t->txn == NULL)
		rc = JOURNAL_LMDB(mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->txn));
	else
		rc = JOURNAL_LMDB(mdb_txn_renew(t->txn));
	if (rc == 0)
		return JOURNAL_OK;
	if (rc != MDB_MAP_RESIZED)
		return fail(t, rc, "read");
	/* Zero: as the writer has it.  If that fails the map is gone. */
	rc = JOURNAL_LMDB(mdb_env_set_mapsize(t->env, 0));
	if (rc == 0)
		return JOURNAL_RETRY;
	close_env(t);
	return fail(t, rc, "a bigger map");
}

static int
show(struct journal_tail *t, MDB_cursor *cursor, uint64_t number, journal_spooled_fn fn,
    void *arg)
{
	struct journal_spooled rec;
	struct journal_key from;
	MDB_val key, val;
	int rc;

	if (number == UINT64_MAX)
		return JOURNAL_OK;
	key = *journal_key_64(&from, number + 1);
	for (MDB_cursor_op op = MDB_SET_RANGE;; op = MDB_NEXT) {
		rc = JOURNAL_LMDB(mdb_cursor_get(cursor, &key, &val, op));
		if (rc == MDB_NOTFOUND)
			return JOURNAL_OK;
		if (rc != 0)
			return fail(t, rc, "read");
		if (key.mv_size != 8 ||
		    !journal_rec_read(val, journal_get64(key.mv_data), &rec)) {
			snprintf(
			    t->why, sizeof(t->why), "%s: a record is damaged", t->dir);
			return JOURNAL_IO;
		}
		if (!fn(arg, &rec))
			return JOURNAL_OK;
	}
}

int
journal_tail_read(
    struct journal_tail *t, uint64_t number, journal_spooled_fn fn, void *arg)
{
	MDB_cursor *cursor;
	bool absent;
	int rc;

	rc = read_begin(t, &absent);
	if (rc != JOURNAL_OK || absent)
		return rc;
	rc = JOURNAL_LMDB(mdb_cursor_open(t->txn, t->spool, &cursor));
	if (rc == 0) {
		rc = show(t, cursor, number, fn, arg);
		mdb_cursor_close(cursor);
	} else {
		rc = fail(t, rc, "read");
	}
	mdb_txn_reset(t->txn);
	return rc;
}
