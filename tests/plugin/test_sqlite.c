/*
 * test_sqlite: store_sqlite, seen through another connection to its database: what is
 * in it, and what becomes of messages when it cannot be written.
 */
#include "config.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_time.h"
#include "plug/plug_batch.h"
#include "store_run.h"

#define MANY 50

static char directory[64];
static struct store_run run;
static sqlite3 *other; /* of a program beside chatd */

/* ---- a store in a directory of its own ------------------------------------------- */

static int
enter(void **state BASE_UNUSED)
{
	const char *dir = getenv("CHATD_PLUGINS");

	snprintf(directory, sizeof(directory), "/tmp/chatd-sqlite-XXXXXX");
	if (dir == NULL || setenv("CHATD_PLUGIN_DIR", dir, 1) < 0 ||
	    mkdtemp(directory) == NULL)
		return -1;
	return chdir(directory);
}

static int
leave(void **state BASE_UNUSED)
{
	static const char *const files[] = {"chat.db", "chat.db-wal", "chat.db-shm",
	    "away.db", "away.db-wal", "away.db-shm"};
	size_t i;

	for (i = 0; i < BASE_COUNT(files); i++)
		unlink(files[i]);
	return chdir("/") < 0 ? -1 : rmdir(directory);
}

static void
open_run(const char *options)
{
	struct base_buf why = {0};

	if (!run_open(&run, "store_sqlite", options, &why))
		fail_msg("%.*s", (int)why.len, why.p);
}

static void
start(const char *options)
{
	struct base_buf why = {0};

	open_run(options);
	if (!run_start(&run, &why))
		fail_msg("%.*s", (int)why.len, why.p);
	assert_int_equal(sqlite3_open("chat.db", &other), SQLITE_OK);
}

static void
end(void)
{
	struct base_buf why = {0};

	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	other = NULL;
	if (run.plug != NULL && !run_stop(&run, &why))
		fail_msg("%.*s", (int)why.len, why.p);
	if (run.wrong.len > 0)
		fail_msg("%.*s", (int)run.wrong.len, run.wrong.p);
	run_close(&run);
}

static void
sql(const char *text)
{
	if (sqlite3_exec(other, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(other));
}

/* The first column of the first row, as text. */
static const char *
ask(const char *text)
{
	static char answer[256];
	sqlite3_stmt *query;

	assert_int_equal(
	    sqlite3_prepare_v2(other, text, -1, &query, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(query), SQLITE_ROW);
	snprintf(answer, sizeof(answer), "%s", sqlite3_column_text(query, 0));
	sqlite3_finalize(query);
	return answer;
}

static long
rows(void)
{
	return strtol(ask("SELECT count(*) FROM chatd_messages"), NULL, 10);
}

static void
wait_state(enum chatd_state want)
{
	int64_t end = base_time_ms() + 5000;
	int never = 0;

	while (run.state != want && base_time_ms() < end)
		run_until(&run, &never, 5);
	assert_int_equal(run.state, want);
}

static void
make(struct run_record *recs, size_t n, uint64_t first)
{
	size_t i;

	for (i = 0; i < n; i++)
		run_make(&recs[i], "chat:lobby", first + i);
}

/* Writes messages FIRST and on; the code. */
static int
write_some(size_t n, uint64_t first)
{
	struct run_record recs[MANY];
	int code;

	make(recs, n, first);
	code = run_write(&run, recs, n, NULL);
	run_drop(recs, n);
	return code;
}

static int
read_some(uint64_t limit)
{
	struct chatd_history question = {.limit = limit};

	return run_history(&run, "chat:lobby", "abcdefgh", &question);
}

/* ---- what is in the database ----------------------------------------------------- */

static void
test_rows(void **state BASE_UNUSED)
{
	static const char id[16] =
	    "\x01\x92\xf0\x12\x34\x56\x7a\xbc\x8d\xef\1\2\3\4\5\xff";
	struct run_record recs[2];

	start("");
	make(recs, 2, 7);
	memcpy(recs[0].rec.id, id, sizeof(id));
	recs[0].rec.time = 1732480496789000000u;
	recs[1].rec.flags = CHATD_REC_BINARY;
	assert_int_equal(run_write(&run, recs, 2, NULL), 0);
	assert_string_equal(
	    ask("SELECT id || ' ' || channel || ' ' || epoch || ' ' || \"offset\" || "
		"' ' || time || ' ' || user || ' ' || client || ' ' || info "
		"FROM chatd_messages ORDER BY \"offset\""),
	    "0192f012-3456-7abc-8def-0102030405ff chat:lobby abcdefgh 7 "
	    "1732480496789000000 u0 c7 {\"name\":\"\xc3\xa4 ' \\\\\"}");
	assert_string_equal(
	    ask("SELECT group_concat(typeof(data)) FROM chatd_messages"), "text,blob");
	/* As people write it, and their tools understand it. */
	assert_string_equal(ask("SELECT time || ' ' || json_extract(data, '$.t') "
				"FROM chatd_log WHERE \"offset\" = 7"),
	    "2024-11-24T20:34:56.789Z it's \xe2\x82\xac");
	assert_string_equal(ask("PRAGMA journal_mode"), "wal");
	run_drop(recs, 2);
	end();
}

/* Made by root, the files are for whom the directory is. */
static void
test_owner(void **state BASE_UNUSED)
{
	static const char *const files[] = {"chat.db", "chat.db-wal", "chat.db-shm"};
	struct passwd *nobody = getpwnam("nobody");
	struct stat st;
	size_t i;

	if (geteuid() != 0 || nobody == NULL)
		skip();
	assert_int_equal(chown(".", nobody->pw_uid, nobody->pw_gid), 0);
	start("");
	assert_int_equal(write_some(1, 1), 0);
	for (i = 0; i < BASE_COUNT(files); i++) {
		assert_int_equal(stat(files[i], &st), 0);
		assert_int_equal(st.st_uid, nobody->pw_uid);
		assert_int_equal(st.st_gid, nobody->pw_gid);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
	end();
}

/* ---- rows that are refused ------------------------------------------------------- */

/* The record of a batch that was refused, or -1. */
static long
refused_one(struct run_record *recs, size_t n, int *code_r)
{
	uint64_t token;

	assert_int_equal(run_write(&run, recs, n, &token), 0);
	*code_r = run.refused[token];
	return *code_r == 0 ? -1 : (long)run.refused_at[token];
}

static void
test_refusals(void **state BASE_UNUSED)
{
	struct run_record recs[MANY];
	int code;

	start("");
	sql("CREATE TRIGGER no BEFORE INSERT ON chatd_messages "
	    "WHEN new.\"offset\" = 105 BEGIN SELECT RAISE(ABORT, 'not that'); END");
	make(recs, MANY, 101);
	assert_int_equal(refused_one(recs, MANY, &code), 4);
	assert_int_equal(code, CHATD_DENIED);
	assert_int_equal(rows(), MANY - 1);
	/* The place is taken by another message. */
	recs[10].rec.id[0] ^= 1;
	recs[4].rec.offset = 90;
	assert_int_equal(refused_one(recs, MANY, &code), 10);
	assert_int_equal(code, CHATD_BADMSG);
	assert_int_equal(rows(), MANY);
	recs[10].rec.id[0] ^= 1;
	recs[5].rec.id[0] ^= 1;
	recs[5].rec.offset = (uint64_t)1 << 63;
	assert_int_equal(refused_one(recs, MANY, &code), 5);
	assert_int_equal(code, CHATD_BADMSG);
	recs[5].rec.offset = 1;
	recs[5].rec.time = UINT64_MAX;
	assert_int_equal(refused_one(recs, MANY, &code), 5);
	assert_int_equal(code, CHATD_BADMSG);
	assert_int_equal(rows(), MANY);
	run_drop(recs, MANY);
	end();
}

/* A trigger that undoes the whole transaction keeps no other row out. */
static void
test_rollback_by_trigger(void **state BASE_UNUSED)
{
	struct run_record recs[MANY];
	int code;

	start("");
	make(recs, MANY, 1);
	run_drop(&recs[MANY - 2], 1);
	recs[MANY - 2] = recs[3]; /* a repetition of a row that is undone */
	sql("CREATE TRIGGER no BEFORE INSERT ON chatd_messages "
	    "WHEN new.\"offset\" % 20 = 10 BEGIN SELECT RAISE(ROLLBACK, 'no tens'); END");
	assert_int_equal(refused_one(recs, MANY, &code), 49); /* and 9, and 29 */
	assert_int_equal(code, CHATD_DENIED);
	assert_int_equal(rows(), MANY - 4);
	sql("DROP TRIGGER no");
	assert_int_equal(refused_one(recs, MANY, &code), -1);
	assert_int_equal(rows(), MANY - 1);
	/* One that undoes even what is there already. */
	sql("CREATE TRIGGER no BEFORE INSERT ON chatd_messages "
	    "WHEN new.\"offset\" < 60 BEGIN SELECT RAISE(ROLLBACK, 'nothing old'); END");
	assert_int_equal(refused_one(recs, MANY, &code), -1);
	assert_int_equal(rows(), MANY - 1);
	memset(&recs[MANY - 2], 0, sizeof(recs[0]));
	run_drop(recs, MANY);
	end();
}

/* ---- a database that cannot be written ------------------------------------------- */

static void
test_locked(void **state BASE_UNUSED)
{
	int64_t since;

	start("busy_timeout = 200ms");
	assert_int_equal(write_some(10, 1), 0);
	assert_int_equal(run.state, CHATD_UP);
	sql("BEGIN IMMEDIATE");
	since = base_time_ms();
	assert_int_equal(write_some(10, 11), CHATD_UNAVAIL);
	assert_true(base_time_ms() - since >= 150);
	assert_non_null(strstr(run.why, "database is locked"));
	wait_state(CHATD_DEGRADED);
	/* Who reads does not wait. */
	assert_int_equal(read_some(100), 0);
	assert_int_equal(run.n_rows, 10);
	assert_int_equal(run_ping(&run), 0);
	sql("COMMIT");
	assert_int_equal(write_some(10, 11), 0);
	wait_state(CHATD_UP);
	assert_int_equal(rows(), 20);
	end();
}

/* While the lock lasts the loop goes on, batches wait, and no more are taken. */
static void
test_wait_for_lock(void **state BASE_UNUSED)
{
	struct run_record rec;
	uint64_t tokens[20];
	int64_t since = base_time_ms();
	int n, code = 0, i;

	start("busy_timeout = 1m");
	sql("BEGIN IMMEDIATE");
	for (n = 0; n < 20 && code == 0; n++) {
		run_make(&rec, "chat:lobby", (uint64_t)n + 1);
		code = run_send(&run, &rec, 1, &tokens[n]);
		run_drop(&rec, 1);
	}
	assert_int_equal(code, CHATD_AGAIN);
	assert_in_range(n, 3, 19);
	assert_int_equal(read_some(1), 0);
	assert_true(base_time_ms() - since < 2000);
	run.ready = 0;
	sql("COMMIT");
	assert_true(run_until(&run, &run.ready, 5000));
	for (i = 0; i < n - 1; i++) {
		assert_true(run_until(&run, &run.answers[tokens[i]], 5000));
		assert_int_equal(run.codes[tokens[i]], 0);
	}
	assert_int_equal(rows(), n - 1);
	end();
}

/* One that fails takes all with it that were taken before that is known. */
static void
test_order(void **state BASE_UNUSED)
{
	struct run_record rec;
	uint64_t tokens[5];
	int i;

	start("busy_timeout = 100ms");
	sql("BEGIN IMMEDIATE");
	for (i = 0; i < 5; i++) {
		run_make(&rec, "chat:lobby", (uint64_t)i + 1);
		assert_int_equal(run_send(&run, &rec, 1, &tokens[i]), 0);
		run_drop(&rec, 1);
		if (i != 2)
			continue;
		/* The first has failed, which its answer is yet to say. */
		usleep(300000);
		sql("COMMIT");
	}
	for (i = 0; i < 5; i++) {
		assert_true(run_until(&run, &run.answers[tokens[i]], 5000));
		assert_int_equal(run.codes[tokens[i]], CHATD_UNAVAIL);
	}
	assert_int_equal(rows(), 0);
	assert_int_equal(write_some(5, 1), 0);
	assert_int_equal(rows(), 5);
	end();
}

/* Its own time, though the lock would be waited for longer. */
static void
test_deadline(void **state BASE_UNUSED)
{
	const struct chatd_record *recs[1];
	struct chatd_batch *batch;
	struct chatd_error err;
	struct run_record rec;
	int64_t since;

	start("busy_timeout = 1m");
	sql("BEGIN IMMEDIATE");
	run_make(&rec, "chat:lobby", 1);
	recs[0] = &rec.rec;
	batch = plug_batch_new(recs, 1, 1);
	since = base_time_ms();
	batch->deadline = since + 200;
	run.next_token = 2;
	assert_int_equal(plug_write(run.plug, batch, &err), 0);
	plug_batch_unref(batch);
	assert_true(run_until(&run, &run.answers[1], 5000));
	assert_int_equal(chatd_err_class(run.codes[1]), CHATD_CLASS_RETRY);
	assert_in_range(base_time_ms() - since, 150, 2000);
	run_drop(&rec, 1);
	sql("COMMIT");
	end();
}

/* A stop does not wait for somebody else's lock. */
static void
test_stop_while_locked(void **state BASE_UNUSED)
{
	struct base_buf why = {0};
	struct run_record rec;
	uint64_t tokens[3];
	int64_t since;
	int i;

	start("busy_timeout = 1m");
	sql("BEGIN IMMEDIATE");
	for (i = 0; i < 3; i++) {
		run_make(&rec, "chat:lobby", (uint64_t)i + 1);
		assert_int_equal(run_send(&run, &rec, 1, &tokens[i]), 0);
		run_drop(&rec, 1);
	}
	since = base_time_ms();
	assert_true(run_stop(&run, &why));
	assert_true(base_time_ms() - since < 2000);
	for (i = 0; i < 3; i++)
		assert_int_equal(chatd_err_class(run.codes[tokens[i]]),
		    CHATD_CLASS_RETRY);
	sql("COMMIT");
	assert_int_equal(rows(), 0);
	end();
}

/* fini without the end of stop, which the daemon calls when its time is over. */
static void
test_end_while_locked(void **state BASE_UNUSED)
{
	struct run_record rec;

	start("busy_timeout = 1m");
	sql("BEGIN IMMEDIATE");
	run_make(&rec, "chat:lobby", 1);
	assert_int_equal(run_send(&run, &rec, 1, NULL), 0);
	run_drop(&rec, 1);
	plug_stop(run.plug, base_time_ms());
	plug_free(run.plug);
	run.plug = NULL;
	sql("COMMIT");
	assert_int_equal(rows(), 0);
	end();
}

/* What is written to a file without a name would be lost. */
static void
test_moved_away(void **state BASE_UNUSED)
{
	start("");
	assert_int_equal(write_some(10, 1), 0);
	assert_int_equal(rename("chat.db", "away.db"), 0);
	assert_int_equal(write_some(10, 11), CHATD_VERSION);
	assert_non_null(strstr(run.why, "chat.db is not there: chatctl store init"));
	wait_state(CHATD_DOWN);
	assert_int_not_equal(access("chat.db", F_OK), 0);
	assert_int_equal(rename("away.db", "chat.db"), 0);
	wait_state(CHATD_UP);
	assert_int_equal(write_some(10, 11), 0);
	assert_int_equal(rows(), 20);
	end();
}

/* The file must not grow: the same as a full disk, for SQLite. */
static void
test_no_room(void **state BASE_UNUSED)
{
	struct run_record recs[MANY];
	struct rlimit before, tight;
	char data[20000];
	size_t i;

	signal(SIGXFSZ, SIG_IGN);
	start("");
	assert_int_equal(write_some(10, 1), 0);
	memset(data, 'x', sizeof(data));
	make(recs, MANY, 11);
	for (i = 0; i < MANY; i++)
		run_data(&recs[i], data, sizeof(data));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(run_write(&run, recs, MANY, NULL), CHATD_UNAVAIL);
		assert_int_equal(read_some(100), 0);
		assert_int_equal(run.n_rows, 10);
	}
	assert_int_not_equal(run.state, CHATD_UP);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(run_write(&run, recs, MANY, NULL), 0);
	wait_state(CHATD_UP);
	assert_int_equal(rows(), 10 + MANY);
	assert_string_equal(ask("PRAGMA integrity_check"), "ok");
	run_drop(recs, MANY);
	end();
}

/* ---- reading --------------------------------------------------------------------- */

static void
test_read_timeout(void **state BASE_UNUSED)
{
	struct chatd_history question = {.size = sizeof(question),
	    .token = 1,
	    .channel = {"chat:lobby", 10},
	    .epoch = {"abcdefgh", 8},
	    .limit = 10};
	struct chatd_error err;
	int64_t since;

	start("");
	run.next_token = 3;
	question.deadline = base_time_ms() - 1;
	assert_int_equal(plug_history(run.plug, &question, &err), 0);
	assert_true(run_until(&run, &run.answers[1], 5000));
	assert_int_equal(run.codes[1], CHATD_TIMEOUT);
	/* A table that has no end. */
	sql("DROP VIEW chatd_log; DROP TABLE chatd_messages; "
	    "CREATE VIEW chatd_messages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS "
	    "id, i AS \"offset\", i AS time, i AS user, i AS client, i AS info, i AS flags,"
	    " i AS data, 'chat:lobby' AS channel, 'abcdefgh' AS epoch FROM n");
	question.token = 2;
	since = base_time_ms();
	question.deadline = since + 200;
	assert_int_equal(plug_history(run.plug, &question, &err), 0);
	assert_true(run_until(&run, &run.answers[2], 5000));
	assert_int_equal(run.codes[2], CHATD_TIMEOUT);
	assert_true(base_time_ms() - since < 2000);
	end();
}

/* ---- the schema ------------------------------------------------------------------ */

static int
migrate(unsigned flags, struct chatd_error *err)
{
	struct base_buf why = {0};
	int code;

	open_run("");
	assert_true(run_init(&run, &why));
	code = plug_migrate(run.plug, flags, err);
	run_close(&run);
	return code;
}

static void
test_schema(void **state BASE_UNUSED)
{
	struct chatd_error err;

	assert_int_equal(migrate(CHATD_MIGRATE_CHECK, &err), CHATD_VERSION);
	assert_non_null(strstr(err.text, "/chat.db is not there"));
	assert_int_not_equal(access("chat.db", F_OK), 0);
	assert_int_equal(migrate(0, &err), 0);
	assert_int_equal(migrate(CHATD_MIGRATE_CHECK, &err), 0);
	assert_int_equal(sqlite3_open("chat.db", &other), SQLITE_OK);
	assert_string_equal(ask("SELECT version FROM chatd_schema"), "1");
	/* That of a later chatd stays as it is. */
	sql("INSERT INTO chatd_schema VALUES (99, 'later')");
	assert_int_equal(migrate(CHATD_MIGRATE_CHECK, &err), CHATD_VERSION);
	assert_int_equal(migrate(0, &err), CHATD_VERSION);
	assert_non_null(strstr(err.text, "version 99, made by a newer chatd"));
	/* Made again, as nothing was there. */
	sql("DROP TABLE chatd_schema; DROP VIEW chatd_log; DROP TABLE chatd_messages");
	assert_int_equal(migrate(CHATD_MIGRATE_CHECK, &err), CHATD_VERSION);
	assert_non_null(strstr(err.text, "has no schema"));
	/* A table of the same name is somebody's. */
	sql("CREATE TABLE chatd_messages (mine)");
	assert_int_equal(migrate(0, &err), CHATD_VERSION);
	assert_non_null(strstr(err.text, "already exists"));
	assert_string_equal(
	    ask("SELECT count(*) FROM sqlite_schema WHERE name = 'chatd_schema'"), "0");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	other = NULL;
}

static void
test_not_a_database(void **state BASE_UNUSED)
{
	struct chatd_error err;
	char text[5000];
	int fd = open("chat.db", O_WRONLY | O_CREAT, 0640);

	memset(text, 'x', sizeof(text));
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	close(fd);
	assert_int_equal(migrate(0, &err), CHATD_CONFIG);
	assert_non_null(strstr(err.text, "file is not a database"));
	assert_int_equal(unlink("chat.db"), 0);
	assert_int_equal(mkdir("chat.db", 0700), 0);
	assert_int_equal(migrate(0, &err), CHATD_UNAVAIL);
	assert_int_equal(rmdir("chat.db"), 0);
}

/* ---- the end of the process ------------------------------------------------------ */

/* Writes until it is killed, and tells what was acknowledged. */
static void BASE_NORETURN
write_for_ever(int fd)
{
	uint64_t first;

	open_run("");
	if (!run_start(&run, &(struct base_buf){0}))
		_exit(1);
	for (first = 1;; first += 10)
		if (run.next_token >= RUN_TOKENS - 1 || write_some(10, first) != 0 ||
		    write(fd, &first, sizeof(first)) != sizeof(first))
			_exit(1);
}

static void
test_killed(void **state BASE_UNUSED)
{
	uint64_t last = 0, got;
	int fds[2], round, status;
	pid_t pid;

	for (round = 0; round < 5; round++) {
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (pid == 0)
			write_for_ever(fds[1]);
		close(fds[1]);
		/* Each round comes further than the one before. */
		do
			assert_int_equal(read(fds[0], &got, sizeof(got)), sizeof(got));
		while (got < last + 50);
		usleep((useconds_t)round * 700);
		kill(pid, SIGKILL);
		while (read(fds[0], &got, sizeof(got)) == sizeof(got))
			last = got;
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(sqlite3_open("chat.db", &other), SQLITE_OK);
		assert_true(rows() >= (long)last + 9);
		assert_string_equal(
		    ask("SELECT max(\"offset\") = count(*) AND count(*) % 10 = 0 "
			"FROM chatd_messages"),
		    "1");
		sqlite3_close(other);
		other = NULL;
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_killed), /* its children have to find SQLite unused */
	    CASE(test_rows),
	    CASE(test_owner),
	    CASE(test_refusals),
	    CASE(test_rollback_by_trigger),
	    CASE(test_locked),
	    CASE(test_wait_for_lock),
	    CASE(test_order),
	    CASE(test_deadline),
	    CASE(test_stop_while_locked),
	    CASE(test_end_while_locked),
	    CASE(test_moved_away),
	    CASE(test_no_room),
	    CASE(test_read_timeout),
	    CASE(test_schema),
	    CASE(test_not_a_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
