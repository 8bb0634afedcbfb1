/*
 * The spool as another process reads it, while it is written.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal_tail.h"
#include "journal_util.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)
#define BATCH 50

static const struct journal_rules rules = {10, DAY, 30 * DAY, true};

/*
 * What the reader has seen of channel "a": each offset once and in order.  It is
 * another process, so it says what is wrong by its exit code.
 */
struct follower {
	struct journal_tail *tail;
	uint64_t number, offset;
	unsigned retries, budget;
};

static bool
follow(void *arg, const struct journal_spooled *rec)
{
	struct follower *f = arg;
	char want[64];

	snprintf(want, sizeof(want), "a %llu", (unsigned long long)rec->offset);
	if (f->budget-- == 0)
		return false;
	if (rec->number <= f->number || rec->offset != f->offset + 1 ||
	    rec->channel.len != 1 || rec->rec.data.len != strlen(want) ||
	    memcmp(rec->rec.data.p, want, strlen(want)) != 0)
		_exit(10);
	f->number = rec->number;
	f->offset = rec->offset;
	return true;
}

static void
follow_until(struct follower *f, uint64_t offset)
{
	bool absent;
	char err[256];

	while (f->tail == NULL)
		if (journal_tail_open(util_path, &f->tail, &absent, err, sizeof(err)) <
		    0) {
			if (!absent)
				_exit(11);
			usleep(1000);
		}
	while (f->offset < offset) {
		f->budget = 37;
		switch (journal_tail_read(f->tail, f->number, follow, f)) {
		case JOURNAL_RETRY:
			f->retries++;
			break;
		case JOURNAL_OK:
			if (f->budget == 37)
				usleep(500);
			break;
		default:
			fprintf(stderr, "%s\n", journal_tail_why(f->tail));
			_exit(12);
		}
	}
}

static void
publish(struct journal *j, unsigned n)
{
	struct journal_place place;
	int rc;

	do {
		util_ok(j, journal_begin(j));
		rc = JOURNAL_OK;
		for (unsigned i = 0; i < n && rc == JOURNAL_OK; i++)
			rc = util_publish(j, "a", &rules, T0, &place);
		if (rc == JOURNAL_OK)
			rc = journal_commit(j);
		else
			journal_abort(j);
	} while (rc == JOURNAL_RETRY);
	util_ok(j, rc);
}

static void
expect_exit(pid_t pid, int code)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("the reader ended with status %#x", (unsigned)status);
}

/* Also before there is a journal, and while its map grows. */
static void
test_follows_a_writer(void **state)
{
	struct journal_figures f;
	struct journal *j;
	pid_t pid = fork();
	bool left;

	(void)state;
	if (pid == 0) {
		struct follower r = {0};

		follow_until(&r, 400 * BATCH);
		journal_tail_close(r.tail);
		_exit(r.retries > 0 ? 0 : 13);
	}
	usleep(20000);
	j = util_open_small(true, 256 << 10);
	for (unsigned i = 0; i < 400; i++)
		publish(j, BATCH);
	expect_exit(pid, 0);
	/* Its readings were short: what is done is used again. */
	util_ok(j, journal_begin(j));
	util_ok(j, journal_spool_done(j, UINT64_MAX, 1000000, &left));
	util_ok(j, journal_commit(j));
	journal_figures(j, &f);
	assert_int_equal(f.spool_records, 0);
	journal_close(j);
}

static bool
die(void *arg, const struct journal_spooled *rec)
{
	(void)arg;
	(void)rec;
	raise(SIGKILL);
	return false;
}

/* A reader that was killed in the middle of a reading pins nothing for long, though
 * the writer goes on as before. */
static void
test_a_killed_reader(void **state)
{
	struct journal_figures before, after;
	struct journal *j = util_open(false);
	struct journal_tail *tail;
	int status;
	bool left, absent;
	char err[256];
	pid_t pid;

	(void)state;
	publish(j, BATCH);
	pid = fork();
	if (pid == 0) {
		if (journal_tail_open(util_path, &tail, &absent, err, sizeof(err)) < 0)
			_exit(11);
		_exit(journal_tail_read(tail, 0, die, NULL) == 0 ? 12 : 13);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	journal_figures(j, &before);
	for (unsigned i = 0; i < 2000; i++) {
		publish(j, BATCH);
		util_ok(j, journal_begin(j));
		util_ok(j, journal_spool_done(j, UINT64_MAX, 1000000, &left));
		util_ok(j, journal_commit(j));
	}
	journal_figures(j, &after);
	assert_int_equal(after.file_bytes, before.file_bytes);
	journal_close(j);
}

/* The writer set the journal aside and made another: the reader goes over to it. */
static void
test_another_environment(void **state)
{
	char path[UTIL_PATH + 16];
	struct journal *j;
	int ready[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct follower r = {0};

		follow_until(&r, BATCH);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		/* Numbers go on, offsets begin again. */
		r.offset = 0;
		follow_until(&r, BATCH + 1);
		_exit(0);
	}
	j = util_open(true);
	publish(j, BATCH);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	journal_close(j);
	snprintf(path, sizeof(path), "%s.old", util_path);
	assert_int_equal(rename(util_path, path), 0);
	j = util_open(true);
	publish(j, BATCH + 1);
	expect_exit(pid, 0);
	journal_close(j);
}

/* ---- kill -9 of the writer ---- */

/* Publishes batches, and says after each commit which offset was the last. */
static void
write_until_killed(int out, bool sync)
{
	struct journal *j = util_open(sync);
	struct journal_extent extent = {.top = 0};
	uint64_t top;

	if (journal_extent(j, util_text("a"), &rules, T0, &extent) != JOURNAL_OK)
		extent.top = 0;
	for (top = extent.top;;) {
		publish(j, BATCH);
		top += BATCH;
		if (write(out, &top, sizeof(top)) != sizeof(top))
			_exit(1);
	}
}

struct check {
	uint64_t offset;
};

static bool
check_one(void *arg, const struct journal_spooled *rec)
{
	struct check *check = arg;

	if (rec->offset != ++check->offset)
		_exit(20);
	return true;
}

/* All that was acknowledged is there once; read by another process. */
static void
check_spool(uint64_t acked)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct journal_tail *tail;
		struct check check = {0};
		char err[256];
		bool absent;

		if (journal_tail_open(util_path, &tail, &absent, err, sizeof(err)) <
			0 ||
		    journal_tail_read(tail, 0, check_one, &check) != JOURNAL_OK)
			_exit(21);
		_exit(check.offset < acked || check.offset % BATCH != 0 ? 22 : 0);
	}
	expect_exit(pid, 0);
}

static void
kill_writers(bool sync)
{
	uint64_t acked = 0, top;

	for (unsigned round = 0; round < 20; round++) {
		int pipes[2];
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		if (pid == 0)
			write_until_killed(pipes[1], sync);
		close(pipes[1]);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(
			    read(pipes[0], &top, sizeof(top)), sizeof(top));
			acked = top;
		}
		usleep(round * 317 % 2000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(pipes[0], &top, sizeof(top)) == sizeof(top))
			acked = top;
		close(pipes[0]);
		check_spool(acked);
	}
	journal_close(util_open(sync));
}

static void
test_killed_writers(void **state)
{
	(void)state;
	kill_writers(true);
}

static void
test_killed_writers_without_sync(void **state)
{
	(void)state;
	kill_writers(false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, util_setup, util_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_follows_a_writer),
	    TEST(test_a_killed_reader),
	    TEST(test_another_environment),
	    TEST(test_killed_writers),
	    TEST(test_killed_writers_without_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
