/*
 * schema: see the header.
 */
#include "schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Element i makes version i + 1 of what version i is.  One that was released is never
 * changed: a new one is added.
 *
 * chatd_messages has a row for each message.  id is a UUID; data is TEXT, and BLOB
 * when flags has bit 1 (it is not JSON); time is in nanoseconds since 1970, because
 * that is what it was when the message was accepted, and the view chatd_log shows it
 * as people write it.
 */
static const char *const versions[] = {
    "CREATE TABLE chatd_schema (\n"
    "    version INTEGER PRIMARY KEY,\n"
    "    made TEXT NOT NULL\n"
    ");\n"
    "CREATE TABLE chatd_messages (\n"
    "    id TEXT NOT NULL PRIMARY KEY,\n"
    "    channel TEXT NOT NULL,\n"
    "    epoch TEXT NOT NULL,\n"
    "    \"offset\" INTEGER NOT NULL,\n"
    "    time INTEGER NOT NULL,\n"
    "    user TEXT NOT NULL,\n"
    "    client TEXT NOT NULL,\n"
    "    info TEXT NOT NULL,\n"
    "    flags INTEGER NOT NULL,\n"
    "    data NOT NULL\n"
    ");\n"
    "CREATE UNIQUE INDEX chatd_messages_place\n"
    "    ON chatd_messages (channel, epoch, \"offset\");\n"
    "CREATE VIEW chatd_log AS\n"
    "    SELECT strftime('%Y-%m-%dT%H:%M:%fZ', time / 1e9, 'unixepoch') AS time,\n"
    "        channel, \"offset\", user, data, id\n"
    "    FROM chatd_messages;\n",
};

#define NEWEST (int)(sizeof(versions) / sizeof(versions[0]))

/* SQLite's code; *VERSION_R is 0 when there is no schema yet. */
static int
read_version(struct db *db, int *version_r)
{
	sqlite3_stmt *query = db_query(db, DB_VERSION);

	*version_r = 0;
	if (query == NULL) {
		/* There is no such table. */
		if (sqlite3_errcode(db->sql) == SQLITE_ERROR)
			return SQLITE_OK;
		return sqlite3_errcode(db->sql);
	}
	if (sqlite3_step(query) == SQLITE_ROW)
		*version_r = sqlite3_column_int(query, 0);
	return sqlite3_reset(query);
}

static int
judge(const struct db *db, int version, struct chatd_error *err)
{
	if (version == NEWEST)
		return 0;
	if (version == 0)
		return chatd_fail(err, CHATD_VERSION,
		    "%s has no schema: chatctl store init makes it", db->path);
	if (version < NEWEST)
		return chatd_fail(err, CHATD_VERSION,
		    "%s has schema version %d, %d is needed: chatctl store init "
		    "brings it up to date",
		    db->path, version, NEWEST);
	return chatd_fail(err, CHATD_VERSION,
	    "%s has schema version %d, made by a newer chatd: this one knows %d",
	    db->path, version, NEWEST);
}

int
schema_check(struct db *db, struct chatd_error *err)
{
	int version, rc = read_version(db, &version);

	if (rc != SQLITE_OK)
		return db_fail(db, rc, "cannot be read", err);
	return judge(db, version, err);
}

/*
 * Makes an empty file, which is SQLite's empty database.  By root it is made for the
 * owner of the directory, who is to write it; SQLite gives the files beside it the
 * same owner.
 */
static int
make_file(const char *path, struct chatd_error *err)
{
	char dir[4096];
	struct stat st;
	char *slash;
	int fd, r = 0;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd >= 0 && geteuid() == 0) {
		snprintf(dir, sizeof(dir), "%s", path);
		slash = strrchr(dir, '/');
		if (slash != NULL)
			slash[1] = 0;
		r = stat(slash != NULL ? dir : ".", &st);
		if (r == 0)
			r = fchown(fd, st.st_uid, st.st_gid);
	}
	if (fd < 0 || r < 0)
		chatd_fail(err, CHATD_UNAVAIL, "%s: %s", path, strerror(errno));
	if (fd < 0)
		return err->code;
	close(fd);
	if (r < 0)
		unlink(path);
	return r < 0 ? err->code : 0;
}

/* In a transaction. */
static int
add_version(struct db *db, int version)
{
	char note[128];
	int rc = db_exec(db, versions[version - 1]);

	snprintf(note, sizeof(note),
	    "INSERT INTO chatd_schema VALUES (%d, "
	    "strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', 'now'))",
	    version);
	return rc != SQLITE_OK ? rc : db_exec(db, note);
}

/* All or nothing, whoever else tries it at the same time. */
static int
bring_up(struct db *db, struct chatd_error *err)
{
	int version, rc = db_run(db, DB_BEGIN);

	if (rc != SQLITE_OK)
		return db_fail(db, rc, "cannot be locked", err);
	rc = read_version(db, &version);
	if (rc == SQLITE_OK && version > NEWEST)
		return judge(db, version, err);
	while (rc == SQLITE_OK && version < NEWEST)
		rc = add_version(db, ++version);
	if (rc == SQLITE_OK)
		rc = db_run(db, DB_COMMIT);
	return rc != SQLITE_OK ? db_fail(db, rc, "its schema cannot be made", err) : 0;
}

/*
 * With a write-ahead log readers and the writer do not wait for each other.  That is a
 * property of the file.
 */
static int
use_wal(struct db *db, struct chatd_error *err)
{
	sqlite3_stmt *query = NULL;
	int rc = sqlite3_prepare_v2(
	    db->sql, "PRAGMA journal_mode = WAL", -1, &query, NULL);
	bool good = false;

	if (rc == SQLITE_OK) {
		if (sqlite3_step(query) == SQLITE_ROW)
			good = strcmp((const char *)sqlite3_column_text(query, 0),
				   "wal") == 0;
		rc = sqlite3_finalize(query);
	}
	if (rc != SQLITE_OK)
		return db_fail(db, rc, "cannot get a write-ahead log", err);
	return good ? 0
		    : chatd_fail(err, CHATD_CONFIG,
			  "%s: its file system allows no write-ahead log", db->path);
}

int
schema_migrate(struct db *db, unsigned flags, struct chatd_error *err)
{
	bool look = (flags & CHATD_MIGRATE_CHECK) != 0;
	int code = look ? 0 : make_file(db->path, err);

	if (code == 0)
		code = db_open(db, err);
	if (code == 0 && look)
		code = schema_check(db, err);
	if (code == 0 && !look)
		code = use_wal(db, err);
	if (code == 0 && !look)
		code = bring_up(db, err);
	db_close(db); /* a transaction that is not committed ends with it */
	return code;
}
