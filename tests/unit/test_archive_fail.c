/*
 * The archiver is killed at each of its points, and each of its readings of the spool
 * fails: every message is in the database once, in order, or a dead letter.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/archive_fail.h"
#include "archive_util.h"
#include "conf_util.h"
#include "plug/plug_store.h"

#define MESSAGES 60
#define LIVES 4 /* of which the last is not killed */

static const char *const options =
    "store = \"sqlite\"\nstore_batch = 8\nstore_batch_time = 0";

static const char refuse[] =
    "CREATE TRIGGER refuse BEFORE INSERT ON chatd_messages "
    "WHEN NEW.\"offset\" % 20 = 7 BEGIN SELECT RAISE(ABORT, 'seven'); END";

/* ---- the database ---- */

static int64_t
ask(const char *dir, const char *sql)
{
	char path[128];
	sqlite3_stmt *query;
	sqlite3 *db;
	int64_t n;

	snprintf(path, sizeof(path), "%s/chat.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
	n = sqlite3_step(query) == SQLITE_ROW ? sqlite3_column_int64(query, 0) : 0;
	sqlite3_finalize(query);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

/* ---- lives ---- */

/* Runs FN in a process of its own; its wait status. */
static int
in_child(
    void (*fn)(const char *dir, const char *fail), const char *dir, const char *fail)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		fn(dir, fail);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
prepare(const char *dir, const char *fail)
{
	struct base_buf why = {0};
	static struct at t;
	char text[256];

	(void)fail;
	at_enter(&t, dir);
	at_publish(&t, 0, "a", MESSAGES, 40);
	at_publish(&t, 1, "m", MESSAGES, 40);
	snprintf(text, sizeof(text),
	    "state_dir = \"%s\"\nlisten \"a\" { address = \"127.0.0.1:1\" }\n%s", dir,
	    options);
	t.conf = conf_util_good(text);
	if (plug_store_migrate(t.conf, 0, &why) != 0)
		_exit(1);
	at_leave(&t);
}

static void
live(const char *dir, const char *fail)
{
	static struct at t;

	base_fail_set(fail);
	at_enter(&t, dir);
	at_start(&t, options);
	if (!at_until(&t, at_drained, 10000))
		_exit(1);
	at_stop(&t);
	at_leave(&t);
}

static bool
on_dead(void *arg, const struct journal_dead *dead)
{
	size_t *n = arg;

	if (dead->offset % 20 != 7 ||
	    memchr(dead->reason.p, 's', dead->reason.len) == NULL)
		_exit(1);
	++*n;
	return true;
}

static void
count_dead(const char *dir, const char *fail)
{
	static struct at t;
	size_t n = 0;

	(void)fail;
	at_enter(&t, dir);
	if (journal_dead_list(t.journal[0], 0, on_dead, &n) != 0 ||
	    journal_dead_list(t.journal[1], 0, on_dead, &n) != 0)
		_exit(1);
	at_leave(&t);
	_exit(n == 6 ? 0 : 2);
}

static void
check_all(const char *dir)
{
	assert_int_equal(
	    ask(dir, "SELECT count(*) FROM chatd_messages"), 2 * MESSAGES - 6);
	assert_int_equal(
	    ask(dir,
		"SELECT count(*) FROM (SELECT \"offset\" AS o, "
		"lag(\"offset\") OVER (PARTITION BY channel ORDER BY rowid) "
		"AS before FROM chatd_messages) WHERE before >= o"),
	    0);
	assert_int_equal(in_child(count_dead, dir, ""), 0);
}

static void
die_at(const char *point, int pass)
{
	char dir[] = "/tmp/chatd-archive-XXXXXX", fail[96];
	int i, status, kills = 0;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(in_child(prepare, dir, ""), 0);
	assert_int_equal(ask(dir, refuse), 0);
	snprintf(fail, sizeof(fail), "%s=kill@%d", point, pass);
	for (i = 0; i < LIVES; i++) {
		status = in_child(live, dir, i + 1 < LIVES ? fail : NULL);
		if (status == 0)
			break;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("%s: status %d", fail, status);
		kills++;
	}
	if (kills == 0)
		fail_msg("%s is not reached", fail);
	assert_int_equal(status, 0);
	check_all(dir);
	at_remove(dir);
}

static void
test_killed_at_each_point(void **state)
{
	int id, pass;

	(void)state;
	for (id = 0; id < ARCHIVE_FAIL_N; id++)
		for (pass = 1; pass <= 2; pass++)
			die_at(archive_fail_name(id), pass);
}

/* ---- failures of the spool ---- */

static void
live_with_failures(const char *dir, const char *fail)
{
	static struct at t;

	at_enter(&t, dir);
	at_start(&t, options);
	assert_int_equal(sscanf(fail, "%lu %lu", &t.fail_at, &t.fail_every), 2);
	if (!at_until(&t, at_drained, 20000))
		_exit(1);
	/* It was there that it failed. */
	if (t.fail_every == 0 && t.fail_at != 0)
		_exit(2);
	at_stop(&t);
	at_leave(&t);
}

static void
test_spool_cannot_be_read(void **state)
{
	char fail[32];
	int i;

	(void)state;
	for (i = 0; i < 18; i++) {
		char dir[] = "/tmp/chatd-archive-XXXXXX";

		assert_non_null(mkdtemp(dir));
		assert_int_equal(in_child(prepare, dir, ""), 0);
		assert_int_equal(ask(dir, refuse), 0);
		/* Once each, and then again and again. */
		snprintf(fail, sizeof(fail), "%d %d", i + 1, i < 15 ? 0 : 26 + i);
		assert_int_equal(in_child(live_with_failures, dir, fail), 0);
		check_all(dir);
		at_remove(dir);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_killed_at_each_point),
	    cmocka_unit_test(test_spool_cannot_be_read),
	};

	/* What chatd is built with, not the doubles. */
	setenv("CHATD_PLUGIN_DIR", getenv("CHATD_PLUGINS"), 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
