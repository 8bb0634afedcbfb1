/*
 * db: one connection to the database file, for one thread.
 *
 * Nothing here makes a database but schema_migrate: a file that has gone is an error,
 * not a reason for an empty one.
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>
#include <stdatomic.h>

#include <chatd/plugin.h>

enum db_query {
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_INSERT,
	DB_FIND,
	DB_FORWARD,
	DB_BACKWARD,
	DB_VERSION,
	DB_QUERIES,
};

struct db {
	const char *path;
	int64_t busy_ms;         /* how long to wait for another process's lock */
	const atomic_bool *stop; /* ends what waits; may be NULL */
	int64_t give_up;         /* db_now: ends what runs then; INT64_MAX: never */
	sqlite3 *sql;            /* NULL: not open */
	sqlite3_stmt *queries[DB_QUERIES]; /* prepared when they are first used */
};

/* The clock of give_up, ms. */
int64_t db_now(void);

/* Opens the file, which must be there, without a look at its schema; 0 or a code. */
int db_open(struct db *db, struct chatd_error *err);
void db_close(struct db *db);
/* Whether it is open, and the file still the one at its path. */
bool db_is_open(struct db *db);

/* NULL when it cannot be prepared: sqlite3_errcode has the reason. */
sqlite3_stmt *db_query(struct db *db, enum db_query which);
/* Runs one without values and rows; a result code of SQLite. */
int db_run(struct db *db, enum db_query which);
/* The same for a text. */
int db_exec(struct db *db, const char *sql);

/*
 * The code for what SQLite's RC means to chatd, with SQLite's own text, and what had
 * been tried before it.  Closes a connection that had better be opened anew.
 */
int db_fail(struct db *db, int rc, const char *what, struct chatd_error *err);

#endif
