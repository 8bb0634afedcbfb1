/*
 * pg_store: what the files of store_postgres know of each other.
 *
 * Two sessions with the database, each of which does one thing at a time: one writes,
 * the other reads, so that a reader does not wait for a table that is locked against
 * writers, nor a batch for a long read.  Nothing here blocks: libpq's sockets are in
 * the daemon's loop.  (pg_schema.c is for tools, and waits.)
 *
 * A session is opened when something is asked of it, or by start; it is not opened
 * again by itself, as the daemon knows when it is time for the next attempt.
 */
#ifndef PG_STORE_H
#define PG_STORE_H

#include <chatd/plugin.h>
#include <event2/event.h>
#include <libpq-fe.h>

#define PG_VERSION 1 /* of the schema */

struct pg_conf {
	const char *dsn, *table;
	bool copy;
	int64_t connect_timeout;
};

/* ---- bytes (pg_buf.c) ------------------------------------------------------------ */

/* Grows; FAILED says that memory was short, and what follows is not kept. */
struct pg_buf {
	char *p;
	size_t len, cap;
	bool failed;
};

void pg_buf_add(struct pg_buf *b, const void *p, size_t n);
void pg_buf_u16(struct pg_buf *b, uint16_t n);
void pg_buf_u32(struct pg_buf *b, uint32_t n);
void pg_buf_u64(struct pg_buf *b, uint64_t n);
void pg_buf_free(struct pg_buf *b);

/* Copies text with blanks in place of all that would end or disturb a line. */
void pg_line(char *to, size_t size, const char *text);

/* ---- errors (pg_error.c) --------------------------------------------------------- */

/*
 * What to do about an error of the database: one of the class reject when a row may be
 * at fault, CHATD_VERSION when the tables may be, CHATD_NOTSUP when the statement may
 * be, or one of the class retry.
 */
int pg_error_code(const char *sqlstate);
/* The same of RES, with the database's message in WHY. */
int pg_error_of(const PGresult *res, char *why, size_t size);

/* ---- names (pg_names.c) ---------------------------------------------------------- */

#define PG_NAME_MAX 63 /* of one part of a name */

/* Names for use in SQL: quoted, and the schema before them if the option has one. */
struct pg_names {
	char table[2 * PG_NAME_MAX + 8]; /* "schema"."table" */
	char versions[PG_NAME_MAX + 24]; /* "schema"."chatd_schema" */
	char plain[PG_NAME_MAX + 1]; /* table, as the table of versions has it */
};

/* False: OPTION is not a name, or not a schema's and a table's. */
bool pg_names_parse(const char *option, struct pg_names *names_r);

/* ---- the schema (pg_schema.c) ---------------------------------------------------- */

int pg_schema_migrate(const struct pg_conf *conf, const struct pg_names *names,
    unsigned flags, struct chatd_error *err);
/* The query for the version, and what its result says: 0 or CHATD_VERSION. */
void pg_schema_query(const struct pg_names *names, char *sql, size_t size);
int pg_schema_check(
    const PGresult *res, const struct pg_names *names, char *why, size_t size);

/* ---- sessions (pg_conn.c) -------------------------------------------------------- */

enum pg_state {
	PG_CLOSED,
	PG_RESOLVING,
	PG_CONNECTING,
	PG_CHECKING, /* connected: looks at the schema */
	PG_IDLE,
	PG_BUSY,
};

struct pg_store;
struct pg_conn;

struct pg_user {
	/* It is idle and can be used. */
	void (*ready)(struct pg_store *s);
	/*
	 * It could not be opened, its schema is wrong, or it was lost; what it was
	 * doing will have no other answer.  It is closed, or idle but not usable.
	 */
	void (*failed)(struct pg_store *s, int code, const char *why);
	/* One result of the statement that was sent; NULL: there are no more. */
	void (*result)(struct pg_store *s, PGresult *res);
	/* COPY: appends the next bytes, about PG_CHUNK; false: there are no more. */
	bool (*feed)(struct pg_store *s, struct pg_buf *b);
};

#define PG_CHUNK (64 * 1024)

struct pg_conn {
	struct pg_store *store;
	const struct pg_user *user;
	enum pg_state state;
	PGconn *pg;
	struct event *read, *write;
	struct chatd_timer *timer; /* of the deadline */
	struct pg_lookup *lookup; /* of the host's addresses; NULL: none is under way */
	struct chatd_timer *look; /* looks at it */
	unsigned late; /* attempts to connect that took too long */
	bool usable; /* the schema was found good */
	bool feeding;
	int64_t timeout; /* of statements, as the server knows it; -1: it may not */
	struct pg_buf chunk;
	int code; /* of the check of the schema, and why */
	char why[240];
};

/* Passes over what the server says beside its answers. */
void pg_notice(void *arg, const PGresult *res);

void pg_conn_init(struct pg_conn *c, struct pg_store *s, const struct pg_user *user);
/* Its answers make no sense any more: gives it up. */
void pg_conn_lose(struct pg_conn *c);
/* Without a word to anybody. */
void pg_conn_close(struct pg_conn *c);
void pg_conn_fini(struct pg_conn *c);

/* Begins to connect, or to look at the schema again; ready or failed follows. */
void pg_conn_open(struct pg_conn *c, int64_t deadline);
/* It is idle, and its schema is good. */
bool pg_conn_usable(const struct pg_conn *c);

/* Until then an answer has to come, or the session is given up.  0: no limit. */
void pg_conn_deadline(struct pg_conn *c, int64_t deadline);

#define PG_LIMITS 2
/*
 * PG_LIMITS statements that make the server give up before DEADLINE, when it would not
 * yet; empty, or with an end that another statement can follow.
 */
void pg_conn_limits(struct pg_conn *c, int64_t deadline, char *sql, size_t size);

/* The session is idle; results go to the user.  SQL may be several statements. */
void pg_conn_send(struct pg_conn *c, const char *sql);
struct pg_params {
	int n;
	const char *values[10];
	int lengths[10];
};
/* One statement; parameters and results are binary. */
void pg_conn_send_params(
    struct pg_conn *c, const char *sql, const struct pg_params *params);

/* ---- addresses (pg_resolve.c) ---------------------------------------------------- */

/* Lists of libpq: as many of each, separated by commas; terminated. */
struct pg_target {
	struct pg_buf hosts, addresses, ports;
	size_t n;
};

/* Begins to look up the hosts of dsn.  False: there is none that has to be. */
bool pg_resolve_begin(struct pg_conn *c);
/*
 * False: not yet.  Else what was found, nothing maybe, and in WHY what was not.
 */
bool pg_resolve_end(
    struct pg_conn *c, struct pg_target *target, char *why, size_t size);
void pg_resolve_cancel(struct pg_conn *c);
void pg_target_free(struct pg_target *target);

/* ---- batches (pg_write.c, pg_rows.c) --------------------------------------------- */

#define PG_QUEUE 8 /* batches that are taken before CHATD_AGAIN */

/* A batch, or a ping when batch is NULL. */
struct pg_op {
	uint64_t token;
	const struct chatd_batch *batch;
	int64_t deadline;
	struct chatd_result *results; /* of the batch's records */
};

/* Rows of a batch that are to be written by one statement: from LO, before HI. */
struct pg_range {
	size_t lo, hi;
};

enum pg_step {
	PG_STEP_NONE,
	PG_STEP_PING,
	PG_STEP_COPY,
	PG_STEP_LIMITS, /* then PG_STEP_INSERT */
	PG_STEP_INSERT,
};

struct pg_writer {
	struct pg_conn conn;
	struct pg_op queue[PG_QUEUE]; /* the first is under way */
	size_t n_queue;
	bool full; /* one was refused: ready is to be called */
	enum pg_step step;
	bool trusted; /* rows that come are new, as far as we know: COPY */
	unsigned copy_fails; /* in a row, though INSERT found all rows new */
	size_t at; /* COPY: the next row */
	/* INSERT: what is left to do, the next at the end. */
	struct pg_range stack[64];
	size_t n_stack;
	uint64_t inserted; /* rows of this batch that INSERT found new */
	/* The result of the step, so far: statements that were answered well, of how
	 * many; the first error. */
	unsigned answered, statements;
	int code;
	char why[240];
	uint64_t rows;
	/* Numbers for stats. */
	uint64_t copies, inserts, copies_refused, connects;
};

int pg_writer_write(
    struct pg_store *s, const struct chatd_batch *batch, struct chatd_error *err);
int pg_writer_ping(struct pg_store *s, uint64_t token, struct chatd_error *err);
/* Fails all that waits, and what is under way unless it may still end. */
void pg_writer_stop(struct pg_store *s, bool at_once);
extern const struct pg_user pg_writer_user;

/* Whether a row can be in the database at all; else its code, and why. */
int pg_row_check(const struct chatd_record *rec, const char **why_r);
/* COPY's binary format: what comes before the first row, rows, and the end. */
void pg_row_copy_begin(struct pg_buf *b);
void pg_row_copy(struct pg_buf *b, const struct chatd_record *rec);
void pg_row_copy_end(struct pg_buf *b);
/* Columns in the order of both statements; C is one of them. */
#define PG_COLUMNS \
	"id, channel, epoch, \"offset\", \"time\", user_id, client, info, data, bytes"
#define PG_N_COLUMNS 10
/* An array's binary form, of N elements; its elements follow. */
void pg_row_array(struct pg_buf *b, int column, size_t n);
void pg_row_element(struct pg_buf *b, int column, const struct chatd_record *rec);
/* What unnests the arrays $1 and on. */
extern const char pg_row_unnest[];

/* ---- history (pg_read.c) --------------------------------------------------------- */

#define PG_ASKS 64 /* questions that are taken before CHATD_AGAIN */

struct pg_ask {
	struct chatd_history ask; /* channel and epoch are copies */
	char *text; /* of both */
	int64_t timeout;
};

struct pg_reader {
	struct pg_conn conn;
	struct pg_ask queue[PG_ASKS]; /* the first is under way */
	size_t n_queue;
	bool full;
	bool busy, limits; /* the first was sent; its time-out first */
	bool answered;
	int code;
	char why[240];
	uint64_t reads;
};

int pg_reader_history(
    struct pg_store *s, const struct chatd_history *ask, struct chatd_error *err);
/* Fails all. */
void pg_reader_stop(struct pg_store *s);
extern const struct pg_user pg_reader_user;

/* ---- the whole ------------------------------------------------------------------- */

struct pg_store {
	struct chatd_host *host;
	const struct pg_conf *conf;
	struct pg_names names;
	struct pg_writer writer;
	struct pg_reader reader;
	bool stopping;
	struct chatd_timer *stop_timer;
};

/* When stopping and nothing is under way: disconnects, calls stopped. */
void pg_store_idle(struct pg_store *s);

#endif
