/*
 * journal_look: is this an environment that can be used?
 *
 * A damaged file can make LMDB read beyond its end, or give up.  So the look is done
 * in a process of its own, and its death is an answer too.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its own name, as it is passed in another process. */
#define LOOK_LMDB(call) (BASE_FAIL("journal.look") ? ENOMEM : (call))

int
journal_head_read(
    MDB_txn *txn, MDB_dbi meta, struct journal_head *head_r, char *why, size_t whylen)
{
	struct journal_key key;
	MDB_val val;
	int rc;

	rc = mdb_get(txn, meta, journal_key_meta(&key, "head", NULL, 0), &val);
	if (rc != 0)
		return rc;
	memset(head_r, 0, sizeof(*head_r));
	memcpy(head_r, val.mv_data, BASE_MIN(val.mv_size, sizeof(*head_r)));
	if (head_r->magic != JOURNAL_MAGIC) {
		snprintf(why, whylen, "it is no journal of this program");
		return -1;
	}
	if (head_r->version != JOURNAL_VERSION || val.mv_size != sizeof(*head_r)) {
		snprintf(why, whylen, "it has version %u, and this program version %u",
		    (unsigned)head_r->version, JOURNAL_VERSION);
		return -1;
	}
	return 0;
}

/* 0, an error of LMDB, or -1 with a text. */
static int
look_size(MDB_env *env, char *why, size_t whylen)
{
	mdb_filehandle_t fd;
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	uint64_t need;
	int rc;

	if ((rc = LOOK_LMDB(mdb_env_get_fd(env, &fd))) != 0 ||
	    (rc = LOOK_LMDB(mdb_env_info(env, &info))) != 0 ||
	    (rc = LOOK_LMDB(mdb_env_stat(env, &stat))) != 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return errno;
	need = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	if ((uint64_t)st.st_size >= need)
		return 0;
	snprintf(why, whylen, "the file has %llu bytes of %llu",
	    (unsigned long long)st.st_size, (unsigned long long)need);
	return -1;
}

/* Reads both ends of the database; *N_R: its entries. */
static int
look_ends(MDB_txn *txn, MDB_dbi db, uint64_t *n_r)
{
	MDB_cursor *cursor;
	MDB_val key, val;
	MDB_stat stat;
	int rc;

	if ((rc = LOOK_LMDB(mdb_stat(txn, db, &stat))) != 0 ||
	    (rc = LOOK_LMDB(mdb_cursor_open(txn, db, &cursor))) != 0)
		return rc;
	*n_r = stat.ms_entries;
	rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &key, &val, MDB_LAST);
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return stat.ms_entries == 0 ? 0 : MDB_CORRUPTED;
	return rc;
}

static int
look_dbs(MDB_txn *txn, char *why, size_t whylen)
{
	struct journal_key key;
	MDB_val val;
	struct journal_counts counts;
	struct journal_head head;
	uint64_t n[DB_N];
	MDB_dbi db, meta;
	int rc;

	rc = LOOK_LMDB(mdb_dbi_open(txn, journal_db_name(DB_META), 0, &meta));
	if (rc == 0)
		rc = journal_head_read(txn, meta, &head, why, whylen);
	for (int i = 0; i < DB_N && rc == 0; i++) {
		rc = LOOK_LMDB(mdb_dbi_open(txn, journal_db_name(i), 0, &db));
		if (rc == 0)
			rc = look_ends(txn, db, &n[i]);
	}
	if (rc == 0)
		rc = LOOK_LMDB(mdb_get(
		    txn, meta, journal_key_meta(&key, "counts", NULL, 0), &val));
	if (rc != 0)
		return rc;
	if (val.mv_size != sizeof(counts))
		return MDB_CORRUPTED;
	memcpy(&counts, val.mv_data, sizeof(counts));
	if (n[DB_SPOOL] == counts.spool_records && n[DB_DEAD] == counts.dead_records &&
	    n[DB_HISTORY] == counts.history_records &&
	    n[DB_STREAMS] == counts.streams && n[DB_KEYS] == counts.keys)
		return 0;
	snprintf(why, whylen, "it has not the records that it counts");
	return -1;
}

static int
look(const char *dir, bool all, char *why, size_t whylen)
{
	char path[PATH_MAX];
	struct stat st;
	MDB_env *env;
	MDB_txn *txn;
	int rc;

	/* LMDB takes an empty file for one that is to be filled. */
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	if (stat(path, &st) < 0)
		return errno;
	if (st.st_size == 0) {
		snprintf(why, whylen, "its file is empty");
		return -1;
	}
	rc = LOOK_LMDB(mdb_env_create(&env));
	if (rc != 0)
		return rc;
	rc = LOOK_LMDB(mdb_env_set_maxdbs(env, DB_N));
	if (rc == 0)
		rc = LOOK_LMDB(mdb_env_set_maxreaders(env, JOURNAL_READERS));
	if (rc == 0)
		rc = LOOK_LMDB(mdb_env_open(env, dir, MDB_RDONLY, JOURNAL_MODE));
	if (rc == 0)
		rc = look_size(env, why, whylen);
	if (rc == 0)
		rc = LOOK_LMDB(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	if (rc == 0) {
		rc = look_dbs(txn, why, whylen);
		if (rc == 0 && all)
			rc = journal_walk(env, txn);
		mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return rc;
}

/* Errors of the file itself, not of what is around it. */
static bool
damage(int rc)
{
	return rc == -1 || rc == ENOENT || rc == MDB_INVALID || rc == MDB_CORRUPTED ||
	    rc == MDB_PAGE_NOTFOUND || rc == MDB_VERSION_MISMATCH || rc == MDB_PANIC ||
	    rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE || rc == MDB_BAD_VALSIZE;
}

#define LOOK_FD 3 /* the first one behind the standard ones */

static void
child(const char *dir, bool all, int out)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	char why[200] = "";
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A writer's lock is held as long as anybody has its descriptor: should the
	 * writer be killed now, its successor must not find it locked by us. */
	if (out > LOOK_FD) {
		out = dup2(out, LOOK_FD);
		close_range(LOOK_FD + 1, ~0u, 0);
	}
	for (size_t i = 0; i < BASE_COUNT(fatal); i++)
		signal(fatal[i], SIG_DFL);
	rc = look(dir, all, why, sizeof(why));
	if (rc != 0 && rc != -1)
		snprintf(why, sizeof(why), "%s", mdb_strerror(rc));
	if (write(out, why, strlen(why)) < 0)
		_exit(LOOK_ERROR);
	_exit(rc == 0 ? LOOK_GOOD : damage(rc) ? LOOK_BAD : LOOK_ERROR);
}

static enum journal_verdict
verdict(int status, char *why, size_t whylen)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) <= LOOK_ERROR)
		return (enum journal_verdict)WEXITSTATUS(status);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		snprintf(why, whylen, "the process that looked at it was killed");
		return LOOK_ERROR;
	}
	snprintf(why, whylen, "reading it crashed, status %#x", (unsigned)status);
	return LOOK_BAD;
}

enum journal_verdict
journal_look(const char *dir, bool all, char *why, size_t whylen)
{
	int pipes[2], status = 0;
	ssize_t n;
	pid_t pid;

	if (JOURNAL_SYS(pipe2(pipes, O_CLOEXEC)) < 0) {
		snprintf(why, whylen, "pipe: %s", strerror(errno));
		return LOOK_ERROR;
	}
	pid = JOURNAL_SYS(fork());
	if (pid == 0)
		child(dir, all, pipes[1]);
	close(pipes[1]);
	if (pid < 0) {
		snprintf(why, whylen, "fork: %s", strerror(errno));
		close(pipes[0]);
		return LOOK_ERROR;
	}
	do
		n = read(pipes[0], why, whylen - 1);
	while (n < 0 && errno == EINTR);
	why[n > 0 ? n : 0] = 0;
	close(pipes[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			snprintf(why, whylen, "waitpid: %s", strerror(errno));
			return LOOK_ERROR;
		}
	return verdict(status, why, whylen);
}
