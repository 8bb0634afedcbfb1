/*
 * test_sqlite_faults: each thing that SQLite asks of the system fails in turn, once and
 * lastingly, while store_sqlite writes.  Whatever it answers is true: what is
 * acknowledged is there, and what is not can be sent again, and is then there once.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_time.h"
#include "fault_vfs.h"
#include "store_run.h"

#define BATCH 10

static char directory[64];
static struct store_run run;
static long acknowledged; /* messages */

static int
enter(void **state BASE_UNUSED)
{
	const char *dir = getenv("CHATD_PLUGINS");

	snprintf(directory, sizeof(directory), "/tmp/chatd-faults-XXXXXX");
	if (dir == NULL || setenv("CHATD_PLUGIN_DIR", dir, 1) < 0 ||
	    mkdtemp(directory) == NULL)
		return -1;
	acknowledged = 0;
	return chdir(directory);
}

static int
leave(void **state BASE_UNUSED)
{
	static const char *const files[] = {"chat.db", "chat.db-wal", "chat.db-shm",
	    "chat.db.synced", "chat.db-wal.synced", "lost.db", "lost.db-wal",
	    "lost.db-shm"};
	size_t i;

	for (i = 0; i < BASE_COUNT(files); i++)
		unlink(files[i]);
	return chdir("/") < 0 ? -1 : rmdir(directory);
}

static void
start(void)
{
	struct base_buf why = {0};

	if (!run_open(&run, "store_sqlite", "", &why) || !run_start(&run, &why))
		fail_msg("%.*s", (int)why.len, why.p);
}

static void
end(void)
{
	struct base_buf why = {0};

	if (!run_stop(&run, &why))
		fail_msg("%.*s", (int)why.len, why.p);
	if (run.wrong.len > 0)
		fail_msg("%.*s", (int)run.wrong.len, run.wrong.p);
	run_close(&run);
}

/* How many messages the database NAME has, each once, and all of it sound. */
static long
count(const char *name)
{
	sqlite3_stmt *query;
	sqlite3 *db;
	long n;

	assert_int_equal(
	    sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
			     "SELECT count(*), max(\"offset\"), "
			     "(SELECT group_concat(integrity_check) "
			     "FROM pragma_integrity_check) FROM chatd_messages",
			     -1, &query, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(query), SQLITE_ROW);
	n = (long)sqlite3_column_int64(query, 0);
	assert_int_equal(sqlite3_column_int64(query, 1), n);
	assert_string_equal(sqlite3_column_text(query, 2), "ok");
	sqlite3_finalize(query);
	sqlite3_close(db);
	return n;
}

/* The next batch, or the last one again if it was not acknowledged. */
static int
write_next(size_t bytes)
{
	struct run_record recs[BATCH];
	char *data = malloc(bytes);
	uint64_t token;
	int i, code;

	memset(data, 'x', bytes);
	for (i = 0; i < BATCH; i++) {
		run_make(&recs[i], "chat:lobby", (uint64_t)(acknowledged + i + 1));
		run_data(&recs[i], data, bytes);
	}
	code = run_write(&run, recs, BATCH, &token);
	assert_int_equal(run.refused[token], 0);
	if (code == 0)
		acknowledged += BATCH;
	run_drop(recs, BATCH);
	free(data);
	return code;
}

/* Sends it until it is taken. */
static void
insist(void)
{
	int64_t until = base_time_ms() + 5000;
	int code;

	while ((code = write_next(50)) != 0)
		if (chatd_err_class(code) != CHATD_CLASS_RETRY ||
		    base_time_ms() > until)
			fail_msg("it does not recover: %s", run.why);
}

/* The Nth call fails while a batch is written; false: there are not so many. */
static bool
fail_nth(enum fault_kind kind, long n, bool lasting)
{
	long before = acknowledged;
	int code;
	bool hit;

	fault_arm(kind, n, lasting);
	code = write_next(50);
	hit = fault_disarm();
	if (code != 0 && chatd_err_class(code) != CHATD_CLASS_RETRY)
		fail_msg("call %ld gives %d: %s", n, code, run.why);
	if (code == 0)
		assert_int_equal(count("chat.db"), acknowledged);
	else
		insist();
	assert_int_equal(acknowledged, before + BATCH);
	assert_int_equal(count("chat.db"), acknowledged);
	return hit;
}

/* A fresh store each time, so that its opening fails too. */
static long
fail_each(enum fault_kind kind, bool lasting, bool fresh)
{
	bool hit = true;
	long n;

	start();
	insist();
	for (n = 1; hit; n++) {
		if (fresh || run.next_token > RUN_TOKENS / 2) {
			end();
			start();
		}
		hit = fail_nth(kind, n, lasting);
	}
	end();
	return n - 2;
}

static void
test_io(void **state BASE_UNUSED)
{
	assert_in_range(fail_each(FAULT_IO, false, false), 3, 1000);
	assert_in_range(fail_each(FAULT_IO, false, true), 3, 1000);
	assert_in_range(fail_each(FAULT_IO, true, false), 3, 1000);
}

static void
test_full(void **state BASE_UNUSED)
{
	assert_in_range(fail_each(FAULT_FULL, false, false), 1, 1000);
	assert_in_range(fail_each(FAULT_FULL, true, true), 1, 1000);
}

static void
test_memory(void **state BASE_UNUSED)
{
	fail_each(FAULT_MEMORY, false, false);
	assert_in_range(fail_each(FAULT_MEMORY, false, true), 1, 10000);
	fail_each(FAULT_MEMORY, true, false);
}

/* Reading: an error that may be tried again, or the rows as they are. */
static void
test_reading(void **state BASE_UNUSED)
{
	struct chatd_history ask = {.limit = 100};
	bool hit = true;
	long n;
	int code;

	start();
	insist();
	for (n = 1; hit; n++) {
		fault_arm(n % 2 ? FAULT_MEMORY : FAULT_IO, (n + 1) / 2, false);
		code = run_history(&run, "chat:lobby", "abcdefgh", &ask);
		hit = fault_disarm() || n < 20;
		if (code == 0)
			assert_int_equal(run.n_rows, BATCH);
		else
			assert_int_equal(chatd_err_class(code), CHATD_CLASS_RETRY);
		assert_int_equal(
		    run_history(&run, "chat:lobby", "abcdefgh", &ask), 0);
		assert_int_equal(run.n_rows, BATCH);
	}
	end();
}

/* The schema is made whole or not at all. */
static void
test_migration(void **state BASE_UNUSED)
{
	struct base_buf why = {0};
	struct chatd_error err;
	int kind, code;
	bool hit;
	long n;

	for (kind = FAULT_IO; kind <= FAULT_MEMORY; kind++)
		for (n = 1, hit = true; hit; n++) {
			unlink("chat.db");
			unlink("chat.db-wal");
			unlink("chat.db-shm");
			if (!run_open(&run, "store_sqlite", "", &why) ||
			    !run_init(&run, &why))
				fail_msg("%.*s", (int)why.len, why.p);
			fault_arm((enum fault_kind)kind, n, false);
			code = plug_migrate(run.plug, 0, &err);
			hit = fault_disarm();
			assert_true(hit || code == 0);
			if (code != 0)
				assert_int_equal(plug_migrate(run.plug, 0, &err), 0);
			assert_int_equal(
			    plug_migrate(run.plug, CHATD_MIGRATE_CHECK, &err), 0);
			run_close(&run);
		}
}

/* What was acknowledged was synced. */
static void
test_power_loss(void **state BASE_UNUSED)
{
	int i;

	fault_keep_synced(true);
	start();
	for (i = 0; i < 25; i++) {
		assert_int_equal(write_next(50000), 0);
		assert_int_equal(rename("chat.db.synced", "lost.db"), 0);
		assert_int_equal(rename("chat.db-wal.synced", "lost.db-wal"), 0);
		assert_int_equal(count("lost.db"), acknowledged);
		assert_int_equal(rename("lost.db", "chat.db.synced"), 0);
	}
	end();
	fault_keep_synced(false);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_io),
	    CASE(test_full),
	    CASE(test_memory),
	    CASE(test_reading),
	    CASE(test_migration),
	    CASE(test_power_loss),
	};

	if (fault_install() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
