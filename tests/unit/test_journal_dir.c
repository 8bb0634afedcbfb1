/*
 * The directory of a journal: one writer, what is set aside, and why.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal_priv.h"
#include "journal_util.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static const struct journal_rules both = {10, DAY, 30 * DAY, true};
static const struct journal_range all = {.limit = 100};

static void
publish_n(struct journal *j, const char *channel, const struct journal_rules *rules,
    unsigned n, int64_t now_ms)
{
	struct journal_place place;

	util_ok(j, journal_begin(j));
	for (unsigned i = 0; i < n; i++)
		util_ok(j, util_publish(j, channel, rules, now_ms, &place));
	util_ok(j, journal_commit(j));
}

static int
try_open(bool sync, struct journal **j_r, bool *aside, char err[1024])
{
	struct journal_opts opts = {.dir = util_path,
	    .name = "spool",
	    .sync = sync,
	    .spool_limit = 1 << 30,
	    .history_limit = 1 << 30};

	return journal_open(&opts, j_r, aside, err, 1024);
}

static void
test_one_writer(void **state)
{
	struct journal *j = util_open(true), *other;
	char err[1024];
	bool aside;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(try_open(true, &other, &aside, err), -1);
	assert_non_null(strstr(err, "another process"));
	pid = fork();
	if (pid == 0)
		_exit(try_open(true, &other, &aside, err) == -1 ? 3 : 4);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 3);
	assert_int_equal(util_count("spool.aside"), 0);
	publish_n(j, "a", &both, 1, T0);
	journal_close(j);
	j = util_open(true);
	journal_close(j);
}

static void
overwrite(const char *file, off_t at, const char *text, size_t len)
{
	char path[UTIL_PATH + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", util_path, file);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	if (text == NULL)
		assert_int_equal(ftruncate(fd, at), 0);
	else
		assert_int_equal(pwrite(fd, text, len, at), (ssize_t)len);
	close(fd);
}

/* What is there is set aside, and a new one works beside it. */
static void
expect_aside(bool sync, const char *why, unsigned n)
{
	struct journal_figures f;
	struct journal *j;
	char err[1024];
	bool aside;

	if (try_open(sync, &j, &aside, err) < 0)
		fail_msg("%s", err);
	if (!aside || strstr(err, why) == NULL)
		fail_msg("%s: not %s", err, why);
	assert_int_equal(util_count("spool.aside"), n);
	journal_figures(j, &f);
	assert_int_equal(f.spool_records, 0);
	publish_n(j, "a", &both, 3, T0);
	journal_close(j);
	j = util_open(sync);
	assert_string_equal(util_history(j, "a", &both, &all, T0), "1 2 3");
	journal_close(j);
}

static void
test_what_is_damaged_is_set_aside(void **state)
{
	static char junk[100 * 4096];
	struct journal *j = util_open(true);

	(void)state;
	publish_n(j, "a", &both, 2000, T0);
	journal_close(j);
	memset(junk, 0xa5, sizeof(junk));
	overwrite("data.mdb", 0, NULL, 0);
	expect_aside(true, "empty", 1);
	overwrite("data.mdb", 3 * 4096, NULL, 0); /* cut */
	expect_aside(true, "bytes of", 2);
	overwrite("data.mdb", 0, junk, 2 * 4096); /* no head */
	expect_aside(true, "set aside", 3);
	overwrite("data.mdb", 2 * 4096, junk, sizeof(junk)); /* no trees */
	expect_aside(true, "set aside", 4);
}

static void
test_another_version_is_set_aside(void **state)
{
	char command[600];
	struct journal *j = util_open(true);
	int status;
	pid_t pid;

	(void)state;
	publish_n(j, "a", &both, 1, T0);
	journal_close(j);
	/* The only place where the magic stands, with the version behind it. */
	snprintf(command, sizeof(command),
	    "sed -i 's/JOURNAL1\\x01/JOURNAL1\\x02/g' '%s/data.mdb'", util_path);
	pid = fork();
	if (pid == 0) {
		execlp("sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	expect_aside(true, "version 2", 1);
}

static void
test_not_synced_when_the_machine_stopped(void **state)
{
	static const char other[] = "unsynced 00000000-0000-0000-0000-000000000000\n";
	struct journal *j = util_open(false);
	struct journal_figures f;
	int status;
	pid_t pid;

	(void)state;
	publish_n(j, "a", &both, 3, T0);
	journal_close(j);
	/* Killed: the machine has all that was written. */
	pid = fork();
	if (pid == 0) {
		j = util_open(false);
		publish_n(j, "a", &both, 1, T0);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	j = util_open(false);
	assert_string_equal(util_history(j, "a", &both, &all, T0), "1 2 3 4");
	journal_figures(j, &f);
	assert_int_equal(f.spool_records, 4);
	journal_close(j);
	overwrite("state", 0, other, sizeof(other) - 1);
	expect_aside(false, "not synced", 1);
	/* One that syncs does not trust it either. */
	overwrite("state", 0, other, sizeof(other) - 1);
	expect_aside(true, "not synced", 2);
}

/* Records of a new spool have numbers that the one before never had. */
static void
test_numbers_are_not_used_again(void **state)
{
	struct journal_figures before, after;
	struct journal *j = util_open(true);
	bool aside, left;
	char err[1024];

	(void)state;
	publish_n(j, "a", &both, 100, T0);
	journal_figures(j, &before);
	journal_close(j);
	overwrite("data.mdb", 0, NULL, 0);
	assert_int_equal(try_open(true, &j, &aside, err), 0);
	publish_n(j, "a", &both, 1, T0);
	journal_figures(j, &after);
	assert_true(after.spool_first > before.spool_last + (UINT64_C(1) << 39));
	util_ok(j, journal_begin(j));
	util_ok(j, journal_spool_done(j, before.spool_last, 1000, &left));
	assert_false(left);
	util_ok(j, journal_commit(j));
	journal_figures(j, &after);
	assert_int_equal(after.spool_records, 1);
	journal_close(j);
}

/* What is not the file's fault must not cost us the file. */
static void
test_trouble_around_it_sets_nothing_aside(void **state)
{
	struct journal *j = util_open(true);
	char err[1024], path[UTIL_PATH + 16];
	bool aside;

	(void)state;
	publish_n(j, "a", &both, 1, T0);
	journal_close(j);
	snprintf(path, sizeof(path), "%s/data.mdb", util_path);
	if (getuid() != 0) {
		assert_int_equal(chmod(path, 0), 0);
		assert_int_equal(try_open(true, &j, &aside, err), -1);
		assert_int_equal(chmod(path, 0600), 0);
	}
	snprintf(path, sizeof(path), "%s/state", util_path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(try_open(true, &j, &aside, err), -1);
	assert_non_null(strstr(err, "state"));
	assert_int_equal(rmdir(path), 0);
	j = util_open(true);
	assert_string_equal(util_history(j, "a", &both, &all, T0), "1");
	journal_close(j);
}

static void
test_an_empty_directory_is_used(void **state)
{
	struct journal *j;

	(void)state;
	assert_int_equal(mkdir(util_path, 0755), 0);
	j = util_open(true);
	publish_n(j, "a", &both, 1, T0);
	journal_close(j);
	assert_int_equal(util_count("spool.aside"), 0);
}

/* Reads a page of the data, or of a file that is as long, into PAGE. */
static void
read_page(off_t at, char page[4096])
{
	char path[UTIL_PATH + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", util_path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, page, 4096, at), 4096);
	close(fd);
}

#define PAGES 250

/* Spoils one page after the other: a look at all of it sees each that is in use. */
static void
test_a_look_at_all_of_it_sees_each_page(void **state)
{
	static const struct journal_rules much = {5000, DAY, 30 * DAY, true};
	struct journal *j = util_open(true);
	unsigned quick = 0, thorough = 0;
	char page[4096], junk[4096], why[256];

	(void)state;
	for (int i = 0; i < 10; i++)
		publish_n(j, "a", &much, 500, T0);
	journal_close(j);
	assert_int_equal(journal_look(util_path, true, why, sizeof(why)), LOOK_GOOD);
	memset(junk, 0xa5, sizeof(junk));
	for (off_t at = 2 * 4096; at < PAGES * 4096; at += 4096) {
		read_page(at, page);
		overwrite("data.mdb", at, junk, sizeof(junk));
		quick += journal_look(util_path, false, why, sizeof(why)) == LOOK_BAD;
		thorough += journal_look(util_path, true, why, sizeof(why)) == LOOK_BAD;
		overwrite("data.mdb", at, page, sizeof(page));
	}
	print_message("of %d pages %u seen at a look, %u when all is read\n", PAGES,
	    quick, thorough);
	/* Some have come free. */
	assert_true(quick < PAGES / 8 && thorough > PAGES / 2);
	assert_int_equal(journal_look(util_path, true, why, sizeof(why)), LOOK_GOOD);
}

/* One that kills whoever uses it is not used for ever; but a good one is. */
static void
test_openings_that_prove_nothing_are_counted(void **state)
{
	struct journal *j = util_open(true);
	char err[1024];
	bool aside;
	int status;
	pid_t pid;

	(void)state;
	publish_n(j, "a", &both, 3, T0);
	journal_close(j);
	for (unsigned i = 0; i < 4; i++) {
		pid = fork();
		if (pid == 0)
			_exit(try_open(true, &j, &aside, err) < 0 || aside);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(journal_tries_add(util_path), 4);
	j = util_open(true);
	assert_string_equal(util_history(j, "a", &both, &all, T0), "1 2 3");
	journal_close(j);
	assert_int_equal(journal_tries_add(util_path), 0);
	journal_tries_suspect(util_path);
	assert_true(journal_tries_add(util_path) >= JOURNAL_TRIES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, util_setup, util_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one_writer),
	    TEST(test_what_is_damaged_is_set_aside),
	    TEST(test_another_version_is_set_aside),
	    TEST(test_not_synced_when_the_machine_stopped),
	    TEST(test_numbers_are_not_used_again),
	    TEST(test_trouble_around_it_sets_nothing_aside),
	    TEST(test_an_empty_directory_is_used),
	    TEST(test_a_look_at_all_of_it_sees_each_page),
	    TEST(test_openings_that_prove_nothing_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
