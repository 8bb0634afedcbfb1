/*
 * A disk that fills up: a small filesystem in memory, which needs a mount namespace,
 * and without one a limit of the file's size.  Publications are refused in their
 * order of importance, what is there stays, and draining makes room again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal_util.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)
#define MB (1 << 20)

static const struct journal_rules archived = {0, DAY, 30 * DAY, true};
static const struct journal_rules memory = {1000000, DAY, 30 * DAY, false};

static struct journal *j;
static char data[70000];
static unsigned failed_commits;

static int
publish(const char *channel, const struct journal_rules *rules, size_t size,
    struct journal_place *place_r)
{
	struct base_slice name = util_text(channel);
	struct journal_record rec = {.time_ns = 1, .data = {data, size}};
	int rc;

	rc = journal_stream(j, name, rules, T0, place_r);
	if (rc == JOURNAL_OK)
		rc = journal_next(j, rules, size, place_r);
	if (rc == JOURNAL_OK)
		rc = journal_put(j, name, rules, place_r, rec.data, &rec, T0);
	return rc;
}

/*
 * Batches of N, as a broker has them, until one publication is refused.  Returns how
 * many were committed.
 */
static unsigned
fill(const char *channel, const struct journal_rules *rules, size_t size, unsigned n)
{
	struct journal_place place;
	unsigned total = 0;
	int rc = JOURNAL_OK;

	while (rc != JOURNAL_FULL) {
		unsigned took = 0;
		int end;

		util_ok(j, journal_begin(j));
		for (rc = JOURNAL_OK; rc == JOURNAL_OK && took < n; took++)
			rc = publish(channel, rules, size, &place);
		took -= rc != JOURNAL_OK;
		if (rc == JOURNAL_RETRY) {
			journal_abort(j);
			continue;
		}
		assert_true(rc == JOURNAL_OK || rc == JOURNAL_FULL);
		end = journal_commit(j);
		if (end == JOURNAL_OK) {
			total += took;
		} else if (end != JOURNAL_RETRY) {
			assert_int_equal(end, JOURNAL_IO);
			assert_true(++failed_commits < 20);
		}
		assert_true(total < 1000000);
	}
	return total;
}

static unsigned
spooled(void)
{
	struct journal_figures f;

	journal_figures(j, &f);
	return (unsigned)f.spool_records;
}

/* Free pages are counted again after 50 ms, and blocks asked for after 500. */
static void
wait_for_a_count(void)
{
	usleep(60000);
}

static void
wait_for_another_try(void)
{
	usleep(600000);
}

/* The same with other looks at what room there is, until it is as good as full. */
static unsigned
fill_up(const char *channel, const struct journal_rules *rules, size_t size)
{
	unsigned total = 0, n;

	do {
		n = fill(channel, rules, size, 50);
		total += n;
		wait_for_a_count();
	} while (n > total / 20);
	return total;
}

/* All of the spool, in pieces. */
static void
drain(void)
{
	bool left = true;
	int rc;

	while (left) {
		util_ok(j, journal_begin(j));
		rc = journal_spool_done(j, UINT64_MAX, 500, &left);
		util_ok(j, rc);
		util_ok(j, journal_commit(j));
	}
}

static void
cycle(size_t size)
{
	unsigned first, again, history;
	struct journal_figures f;

	failed_commits = 0;
	first = fill_up("a", &archived, size);
	journal_figures(j, &f);
	assert_true(f.disk_full);
	assert_int_equal(f.spool_records, first);
	/* What only goes to history is still taken. */
	history = fill("h", &memory, 1000, 50);
	assert_true(history > MB / 1000);
	assert_int_equal(fill("a", &archived, size, 50), 0);
	assert_int_equal(failed_commits, 0);
	journal_close(j);
	j = util_open(true);
	assert_int_equal(spooled(), first);
	for (unsigned i = 0; i < 2; i++) {
		drain();
		assert_int_equal(spooled(), 0);
		wait_for_a_count();
		again = fill_up("a", &archived, size);
		print_message("%zu bytes: %u records, drained, %u, %u failed commits\n",
		    size, first, again, failed_commits);
		/* History keeps what it took of the reserve. */
		assert_true(again > first / 3);
		assert_int_equal(spooled(), again);
	}
	drain();
}

static void
run_cycles(void **state)
{
	static const size_t sizes[] = {200, 5000, 65536};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
		j = util_open(true);
		cycle(sizes[i]);
		journal_close(j);
		util_wipe();
	}
}

/* ---- somebody else fills the disk ---- */

static void
ballast(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	while (write(fd, data, sizeof(data)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	while (write(fd, data, 1) > 0)
		;
	close(fd);
}

static void
run_filled_by_another(void **state)
{
	struct journal_opts opts = {.dir = util_path,
	    .name = "spool",
	    .sync = true,
	    .spool_limit = UINT64_MAX / 4,
	    .history_limit = UINT64_MAX / 4};
	char path[UTIL_PATH + 16], err[1024];
	unsigned before;
	bool aside;

	(void)state;
	snprintf(path, sizeof(path), "%s/ballast", util_dir);
	ballast(path);
	assert_int_equal(journal_open(&opts, &j, &aside, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "No space"));
	assert_int_equal(unlink(path), 0);
	j = util_open(true);
	util_ok(j, journal_begin(j));
	util_ok(j, publish("a", &archived, 1000, &(struct journal_place){0}));
	util_ok(j, journal_commit(j));
	ballast(path);
	/* The reserve takes a few, and then is kept. */
	before = fill_up("a", &archived, 1000);
	assert_true(before < 40 * MB / 1000);
	assert_true(fill("a", &archived, 1000, 50) <= 20 + before / 10);
	assert_true(fill("h", &memory, 1000, 50) > MB / 1000);
	assert_in_range(spooled(), before + 1, before + 21 + before / 10);
	/* A spool drains on a disk without a free block. */
	drain();
	assert_int_equal(unlink(path), 0);
	wait_for_another_try();
	assert_true(fill_up("a", &archived, 1000) > 8 * MB / 1000);
	journal_close(j);
	j = util_open(true);
	journal_close(j);
}

/* ---- where ---- */

/* A process with a small filesystem of its own; false: this machine lets us not. */
static bool
small_filesystem(void)
{
	int flags = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);

	return unshare(flags) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("chatd-test", util_dir, "tmpfs", 0, "size=72m") == 0;
}

static void
in_child(CMUnitTestFunction run, bool filesystem)
{
	const struct CMUnitTest one[] = {cmocka_unit_test(run)};
	struct rlimit limit = {56 * MB, 56 * MB};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGXFSZ, SIG_IGN);
		if (filesystem && !small_filesystem())
			_exit(77);
		if (!filesystem && setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(1);
		_exit(cmocka_run_group_tests(one, NULL, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void
test_small_filesystem(void **state)
{
	(void)state;
	in_child(run_cycles, true);
}

static void
test_filled_by_another(void **state)
{
	(void)state;
	in_child(run_filled_by_another, true);
}

static void
test_limit_of_the_file(void **state)
{
	(void)state;
	in_child(run_cycles, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, util_setup, util_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_small_filesystem),
	    TEST(test_filled_by_another),
	    TEST(test_limit_of_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
