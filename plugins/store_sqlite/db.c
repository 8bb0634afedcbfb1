/*
 * db: see the header.
 */
#include "db.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* Steps of SQLite's machine between two looks at the time. */
#define STEPS 10000

/* Pause between two attempts to get a lock, ms. */
#define BUSY_PAUSE 10

/* A file that has grown for a while is given back, bytes. */
#define WAL_LIMIT "67108864"

#define COLUMNS "id, \"offset\", time, flags, user, client, info, data"
#define OF_CHANNEL                                                               \
	"FROM chatd_messages WHERE channel = ?1 AND epoch = ?2 AND \"offset\" "

static const char *const texts[DB_QUERIES] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_INSERT] = "INSERT INTO chatd_messages (id, \"offset\", time, flags, user, "
		  "client, info, channel, epoch, data) VALUES (?1, ?2, ?3, ?4, ?5, "
		  "?6, ?7, ?8, ?9, ?10)",
    [DB_FIND] = "SELECT 1 FROM chatd_messages WHERE id = ?1",
    [DB_FORWARD] = "SELECT " COLUMNS " " OF_CHANNEL "> ?3 ORDER BY \"offset\" LIMIT ?4",
    [DB_BACKWARD] = "SELECT " COLUMNS " " OF_CHANNEL
		    "< ?3 ORDER BY \"offset\" DESC LIMIT ?4",
    [DB_VERSION] = "SELECT max(version) FROM chatd_schema",
};

int64_t
db_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
is_over(const struct db *db)
{
	return (db->stop != NULL && atomic_load(db->stop)) || db_now() >= db->give_up;
}

/* Another process has the lock; 0: do not wait for it. */
static int
on_busy(void *arg, int times)
{
	struct db *db = arg;
	struct timespec pause = {.tv_nsec = BUSY_PAUSE * 1000000};

	if ((int64_t)times * BUSY_PAUSE >= db->busy_ms || is_over(db))
		return 0;
	nanosleep(&pause, NULL);
	return 1;
}

/* Not 0: what runs is to end. */
static int
on_steps(void *arg)
{
	return is_over(arg);
}

static bool
reopen_after(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_NOMEM:
	case SQLITE_INTERRUPT:
		return false;
	default:
		return true;
	}
}

static int
code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_ERROR: /* no such table or column */
	case SQLITE_SCHEMA:
		return CHATD_VERSION;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return CHATD_CONFIG;
	case SQLITE_INTERRUPT:
		return CHATD_TIMEOUT;
	case SQLITE_MISUSE:
		return CHATD_BUG;
	default: /* disk full, locked, not readable, no memory, ... */
		return CHATD_UNAVAIL;
	}
}

int
db_fail(struct db *db, int rc, const char *what, struct chatd_error *err)
{
	const char *text = db->sql != NULL && sqlite3_errcode(db->sql) == (rc & 0xff)
	    ? sqlite3_errmsg(db->sql)
	    : sqlite3_errstr(rc);

	chatd_fail(err, code_of(rc), "%s: %s: %s", db->path, what, text);
	if (reopen_after(rc))
		db_close(db);
	return err->code;
}

void
db_close(struct db *db)
{
	int i;

	for (i = 0; i < DB_QUERIES; i++) {
		sqlite3_finalize(db->queries[i]);
		db->queries[i] = NULL;
	}
	sqlite3_close(db->sql);
	db->sql = NULL;
}

int
db_exec(struct db *db, const char *sql)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
}

/* What each connection has to say for itself. */
static int
set_up(struct db *db)
{
	int rc;

	sqlite3_extended_result_codes(db->sql, 0);
	sqlite3_busy_handler(db->sql, on_busy, db);
	sqlite3_progress_handler(db->sql, STEPS, on_steps, db);
	/* A batch must not fail at its end, for a row that nobody knows. */
	rc = sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
	if (rc == SQLITE_OK)
		/* The log is synced at each commit: what is answered stays. */
		rc = db_exec(db, "PRAGMA synchronous = FULL");
	if (rc == SQLITE_OK)
		rc = db_exec(db, "PRAGMA journal_size_limit = " WAL_LIMIT);
	return rc;
}

int
db_open(struct db *db, struct chatd_error *err)
{
	int rc;

	if (access(db->path, F_OK) < 0)
		return chatd_fail(err, CHATD_VERSION,
		    "%s is not there: chatctl store init makes it", db->path);
	rc = sqlite3_open_v2(db->path, &db->sql,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = set_up(db);
	if (rc == SQLITE_OK)
		return 0;
	db_fail(db, rc, "cannot be opened", err);
	db_close(db);
	return err->code;
}

bool
db_is_open(struct db *db)
{
	int moved = 0;

	if (db->sql == NULL)
		return false;
	/* What is written to a file without a name is lost. */
	if (sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_HAS_MOVED, &moved) !=
		SQLITE_OK ||
	    moved)
		db_close(db);
	return db->sql != NULL;
}

sqlite3_stmt *
db_query(struct db *db, enum db_query which)
{
	sqlite3_stmt **query = &db->queries[which];

	if (*query == NULL &&
	    sqlite3_prepare_v3(db->sql, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		query, NULL) != SQLITE_OK)
		return NULL;
	return *query;
}

int
db_run(struct db *db, enum db_query which)
{
	sqlite3_stmt *query = db_query(db, which);

	if (query == NULL)
		return sqlite3_errcode(db->sql);
	sqlite3_step(query);
	return sqlite3_reset(query);
}
