/*
 * journal_aside: the directory of an environment: its lock, its state, making it,
 * setting it aside.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base_rand.h"
#include "base/base_time.h"

/* Numbers in the spool that an environment surely leaves to the next one. */
#define NUMBERS ((uint64_t)1 << 40)

static int
fail(char *err, size_t errlen, const char *path, const char *what, int rc)
{
	snprintf(err, errlen, "%s: %s: %s", path, what, mdb_strerror(rc));
	return -1;
}

static bool
join(char path[PATH_MAX], const char *a, const char *b)
{
	return (size_t)snprintf(path, PATH_MAX, "%s%s", a, b) < PATH_MAX;
}

/* Makes entries of the directory that PATH is, or is in, durable. */
static int
sync_dir(const char *path, bool parent)
{
	char dir[PATH_MAX];
	char *slash;
	int fd, rc, error;

	if (!join(dir, path, ""))
		return errno = ENAMETOOLONG, -1;
	slash = parent ? strrchr(dir, '/') : NULL;
	if (slash != NULL)
		slash[slash == dir] = 0;
	else if (parent)
		join(dir, ".", "");
	fd = JOURNAL_SYS(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0)
		return -1;
	rc = JOURNAL_SYS(fsync(fd));
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

/* ---- the lock ---- */

int
journal_lock(const char *dir, int *fd_r, char *err, size_t errlen)
{
	char path[PATH_MAX];
	int fd;

	if (!join(path, dir, ".lock"))
		return fail(err, errlen, dir, "path", ENAMETOOLONG);
	fd = JOURNAL_SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, JOURNAL_MODE));
	if (fd < 0)
		return fail(err, errlen, path, "open", errno);
	if (JOURNAL_SYS(flock(fd, LOCK_EX | LOCK_NB)) < 0) {
		if (errno == EWOULDBLOCK)
			snprintf(err, errlen, "%s: another process has it open", dir);
		else
			fail(err, errlen, path, "lock", errno);
		close(fd);
		return -1;
	}
	*fd_r = fd;
	return 0;
}

/*
 * Where the numbers of a new spool begin.  What is told of records of the spool that
 * was set aside must not hit those of the new one, so they begin behind: behind the
 * clock in microseconds, and behind what the lock file says of the one before.
 */
static int
first_number(int lock, uint64_t *number_r)
{
	uint64_t number = base_time_wall_ns() / 1000, before = 0;
	char text[32] = "";
	ssize_t n;
	int len;

	n = JOURNAL_SYS(pread(lock, text, sizeof(text) - 1, 0));
	if (n < 0)
		return -1;
	text[n] = 0;
	before = strtoull(text, NULL, 10);
	if (before != 0 && before < UINT64_MAX / 2 && number < before + NUMBERS)
		number = before + NUMBERS;
	len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)number);
	if (JOURNAL_SYS(pwrite(lock, text, (size_t)len, 0)) != len ||
	    JOURNAL_SYS(fsync(lock)) < 0)
		return -1;
	*number_r = number;
	return 0;
}

/* ---- the state ---- */

static int
read_text(const char *path, char *text, size_t size)
{
	int fd = JOURNAL_SYS(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t n;

	if (fd < 0)
		return -1;
	n = JOURNAL_SYS(read(fd, text, size - 1));
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return 0;
}

static int
boot_id(char *text, size_t size)
{
	return read_text("/proc/sys/kernel/random/boot_id", text, size);
}

int
journal_state_read(
    const char *dir, enum journal_state *state_r, char *err, size_t errlen)
{
	char path[PATH_MAX], text[128], boot[64];

	if (!join(path, dir, "/state"))
		return fail(err, errlen, dir, "path", ENAMETOOLONG);
	*state_r = STATE_ABSENT;
	if (read_text(path, text, sizeof(text)) < 0)
		return errno == ENOENT ? 0 : fail(err, errlen, path, "read", errno);
	if (strncmp(text, "unsynced ", 9) != 0) {
		*state_r = STATE_CLOSED;
		return 0;
	}
	if (boot_id(boot, sizeof(boot)) < 0)
		return fail(err, errlen, dir, "the boot id of the kernel", errno);
	*state_r = strcmp(text + 9, boot) == 0 ? STATE_OPEN : STATE_OPEN_OTHER_BOOT;
	return 0;
}

static int
write_text(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd, rc, error;

	fd = JOURNAL_SYS(
	    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, JOURNAL_MODE));
	if (fd < 0)
		return -1;
	errno = EIO; /* if it is cut short */
	rc = JOURNAL_SYS(write(fd, text, len)) == (ssize_t)len ? 0 : -1;
	if (rc == 0)
		rc = JOURNAL_SYS(fsync(fd));
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

int
journal_state_write(const char *dir, bool open, bool sync, char *err, size_t errlen)
{
	char path[PATH_MAX], new[PATH_MAX], text[128] = "whole\n", boot[64];

	if (!join(path, dir, "/state") || !join(new, dir, "/state.new"))
		return fail(err, errlen, dir, "path", ENAMETOOLONG);
	if (open && !sync) {
		if (boot_id(boot, sizeof(boot)) < 0)
			return fail(
			    err, errlen, dir, "the boot id of the kernel", errno);
		snprintf(text, sizeof(text), "unsynced %s\n", boot);
	}
	if (write_text(new, text) < 0)
		return fail(err, errlen, new, "write", errno);
	if (JOURNAL_SYS(rename(new, path)) < 0 || sync_dir(dir, false) < 0)
		return fail(err, errlen, path, "rename", errno);
	return 0;
}

/* ---- setting aside ---- */

/* Never over something that is there. */
static int
move(const char *from, const char *to)
{
	struct stat st;

	if (JOURNAL_SYS(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A filesystem that does not know how; nobody else makes such names. */
	if (JOURNAL_SYS(lstat(to, &st)) == 0)
		return errno = EEXIST, -1;
	return errno == ENOENT ? JOURNAL_SYS(rename(from, to)) : -1;
}

int
journal_set_aside(const char *dir, char *to, size_t tolen, char *err, size_t errlen)
{
	time_t now = time(NULL);
	char stamp[32], more[8] = "";
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	for (unsigned i = 1; i < 100; i++) {
		int n = snprintf(to, tolen, "%s.aside-%s%s", dir, stamp, more);

		if (n < 0 || (size_t)n >= tolen)
			return fail(err, errlen, dir, "path", ENAMETOOLONG);
		if (move(dir, to) == 0) {
			if (sync_dir(dir, true) < 0)
				return fail(err, errlen, to, "sync", errno);
			return 0;
		}
		if (errno != EEXIST)
			break;
		snprintf(more, sizeof(more), ".%u", i);
	}
	return fail(err, errlen, to, "setting aside", errno);
}

/* ---- making ---- */

static int
put_first(MDB_env *env, uint64_t number)
{
	struct journal_head head = {.magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION};
	struct journal_counts counts = {.spool_last = number};
	struct journal_key key;
	MDB_val val;
	MDB_dbi db, meta = 0;
	MDB_txn *txn;
	int rc;

	base_rand_bytes(head.hash, sizeof(head.hash));
	rc = JOURNAL_LMDB(mdb_txn_begin(env, NULL, 0, &txn));
	if (rc != 0)
		return rc;
	for (int i = DB_N - 1; i >= 0 && rc == 0; i--) {
		rc = JOURNAL_LMDB(
		    mdb_dbi_open(txn, journal_db_name(i), MDB_CREATE, &db));
		meta = db;
	}
	if (rc == 0) {
		val = (MDB_val){sizeof(head), &head};
		rc = JOURNAL_LMDB(mdb_put(
		    txn, meta, journal_key_meta(&key, "head", NULL, 0), &val, 0));
	}
	if (rc == 0) {
		val = (MDB_val){sizeof(counts), &counts};
		rc = JOURNAL_LMDB(mdb_put(
		    txn, meta, journal_key_meta(&key, "counts", NULL, 0), &val, 0));
	}
	if (rc == 0)
		return BASE_FAIL("journal") ? (mdb_txn_abort(txn), EIO)
					    : mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
make_env(const char *dir, size_t map, uint64_t number)
{
	MDB_env *env;
	int rc;

	rc = JOURNAL_LMDB(mdb_env_create(&env));
	if (rc != 0)
		return rc;
	rc = JOURNAL_LMDB(mdb_env_set_maxdbs(env, DB_N));
	if (rc == 0)
		rc = JOURNAL_LMDB(mdb_env_set_mapsize(env, map));
	if (rc == 0)
		rc = JOURNAL_LMDB(mdb_env_open(env, dir, 0, JOURNAL_MODE));
	if (rc == 0)
		rc = put_first(env, number);
	mdb_env_close(env);
	return rc;
}

/* What an earlier try may have left. */
static void
clear(const char *dir)
{
	static const char *const names[] = {
	    "/data.mdb", "/lock.mdb", "/state", "/state.new", JOURNAL_TRIES, ""};
	char path[PATH_MAX];

	for (size_t i = 0; i < BASE_COUNT(names); i++)
		if (join(path, dir, names[i]))
			(void)(names[i][0] != 0 ? unlink(path) : rmdir(path));
}

int
journal_make(const char *dir, size_t map, int lock, char *err, size_t errlen)
{
	char new[PATH_MAX];
	uint64_t number;
	int rc;

	if (!join(new, dir, ".new"))
		return fail(err, errlen, dir, "path", ENAMETOOLONG);
	clear(new);
	if (first_number(lock, &number) < 0)
		return fail(err, errlen, dir, "the lock file", errno);
	if (JOURNAL_SYS(mkdir(new, 0700)) < 0)
		return fail(err, errlen, new, "mkdir", errno);
	rc = make_env(new, map, number);
	if (rc != 0) {
		clear(new);
		return fail(err, errlen, dir, "making it", rc);
	}
	/* The name comes last, so nobody ever finds half an environment. */
	if (sync_dir(new, false) < 0 || JOURNAL_SYS(rename(new, dir)) < 0 ||
	    sync_dir(dir, true) < 0)
		return fail(err, errlen, dir, "making it", errno);
	return 0;
}
