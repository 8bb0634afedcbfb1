/*
 * Each call that the journal makes on the way to the disk fails in turn, and the
 * process dies at each in turn.  What was acknowledged is there, nothing is done
 * twice or by half, nothing is set aside, and the next try works.
 * Needs --enable-failpoints.
 */
#include "config.h"

#ifdef ENABLE_FAILPOINTS

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_fail.h"
#include "journal/journal_tail.h"
#include "journal_util.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)
#define STEPS 8
#define PUBS 2 /* of a transaction, to each channel */
#define MAP ((size_t)96 << 10) /* so small that it has to grow */

static const struct journal_rules both = {5, DAY, 30 * DAY, true};
static const struct journal_rules memory = {4, 1000, 2000, false};

static struct journal *j;
static bool sync_mode;
static unsigned errors, retries; /* that were told */

static bool
try_open(void)
{
	struct journal_opts opts = {.dir = util_path,
	    .name = "spool",
	    .sync = sync_mode,
	    .spool_limit = 1 << 30,
	    .history_limit = 1 << 30,
	    .map = MAP};
	char err[1024];
	bool aside;
	int rc;

	rc = journal_open(&opts, &j, &aside, err, sizeof(err));
	if (aside)
		fail_msg("%s", err);
	assert_true(rc == 0 || err[0] != 0);
	return rc == 0;
}

static void
open_at_last(void)
{
	for (unsigned i = 0; i < 3; i++) {
		if (try_open())
			return;
		errors++;
	}
	fail_msg("the journal does not open again");
}

/* ---- the scenario: transaction STEP of it, from 1 ---- */

/* Numbers of the spool begin at any number, here at FIRST. */
static uint64_t first;

static int
in_step(unsigned step)
{
	char big[3000], text[32];
	struct journal_place place;
	bool left;
	int rc = JOURNAL_OK;

	snprintf(text, sizeof(text), "key%u", step);
	for (unsigned i = 0; i < PUBS && rc == JOURNAL_OK; i++) {
		rc = util_publish(j, "a", &both, T0 + step, &place);
		if (rc == JOURNAL_OK)
			rc = util_publish(j, "b", &memory, T0 + step, &place);
	}
	if (rc == JOURNAL_OK)
		rc = journal_key_put(
		    j, util_text("a"), util_text(text), &place, T0 + DAY);
	if (rc == JOURNAL_OK)
		rc = journal_position_put(j, 1, 0, step);
	memset(big, 'a' + (int)step, sizeof(big));
	if (rc == JOURNAL_OK)
		rc = journal_note_put(j, (struct base_slice){big, sizeof(big) - step});
	if (rc == JOURNAL_OK && step == 4)
		rc = journal_dead(j, first + 1, 1, util_text("no"), T0);
	if (rc == JOURNAL_OK && step == 5)
		rc = journal_spool_done(j, first + 3, 100, &left);
	if (rc == JOURNAL_OK && step == 6)
		rc = journal_dead_retry(j, 0);
	if (rc == JOURNAL_OK && step == 7)
		rc = journal_sweep(j, T0 + 5000, 100);
	return rc;
}

static int
one_step(unsigned step)
{
	int rc;

	rc = journal_begin(j);
	if (rc != JOURNAL_OK)
		return rc;
	rc = in_step(step);
	if (rc == JOURNAL_OK)
		return journal_commit(j);
	assert_int_not_equal(rc, JOURNAL_FULL);
	journal_abort(j);
	return rc;
}

/* ---- what must be there after STEP ---- */

static unsigned
spooled(unsigned step)
{
	/* Four gone, one of them by its death, and that one was tried again. */
	return step * PUBS - (step == 4 ? 1 : step == 5 ? 4 : step >= 6 ? 3 : 0);
}

static void
check_keys(unsigned step)
{
	struct journal_place place;
	char text[32];

	util_ok(j, journal_begin(j));
	for (unsigned i = 1; i <= STEPS; i++) {
		snprintf(text, sizeof(text), "key%u", i);
		assert_int_equal(
		    journal_key_find(j, util_text("a"), util_text(text), T0, &place),
		    i <= step ? JOURNAL_OK : JOURNAL_ABSENT);
	}
	journal_abort(j);
}

static void
check(unsigned step)
{
	static const struct journal_range newest = {.limit = 2, .reverse = true};
	struct base_buf note = {0};
	struct journal_figures f;
	char want[64] = "absent";
	uint64_t pos = 0;

	if (step > 0)
		snprintf(want, sizeof(want), "%u %u", step * PUBS, step * PUBS - 1);
	assert_string_equal(util_history(j, "a", &both, &newest, T0), want);
	if (step < 7)
		assert_string_equal(util_history(j, "b", &memory, &newest, T0), want);
	journal_figures(j, &f);
	assert_int_equal(f.spool_records, spooled(step));
	assert_int_equal(f.dead_records, step == 4 || step == 5);
	assert_int_equal(f.keys, step);
	assert_int_equal(journal_position(j, 1, 0, &pos), step > 0);
	assert_int_equal(pos, step);
	if (step > 0) {
		util_ok(j, journal_note(j, &note));
		assert_int_equal(note.len, 3000 - step);
		assert_int_equal(note.p[note.len - 1], 'a' + (int)step);
	}
	base_buf_free(&note);
	check_keys(step);
}

/* Without a failure meanwhile. */
static void
check_now(unsigned step, const char *spec)
{
	unsigned long passes = base_fail_passes("journal");
	char again[64];

	base_fail_set(NULL);
	check(step);
	if (spec == NULL)
		return;
	/* The passes before have been made. */
	snprintf(again, sizeof(again), "journal=once@%lu",
	    strtoul(strchr(spec, '@') + 1, NULL, 10) - passes);
	base_fail_set(again);
}

/* ---- each call fails in turn ---- */

/* Whether the N-th call was passed. */
static bool
run_failing(unsigned n)
{
	struct journal_figures f;
	char spec[64];
	bool failed = false;

	snprintf(spec, sizeof(spec), "journal=once@%u", n);
	base_fail_set(spec);
	open_at_last();
	journal_figures(j, &f);
	first = 0;
	for (unsigned step = 1; step <= STEPS; step++) {
		unsigned tries = 0;
		int rc;

		while ((rc = one_step(step)) != JOURNAL_OK) {
			if (rc == JOURNAL_IO) {
				assert_string_not_equal(journal_why(j), "");
				failed = true;
				errors++;
				check_now(step - 1, NULL);
			}
			retries += rc == JOURNAL_RETRY;
			assert_true(++tries < 6);
		}
		if (first == 0) {
			journal_figures(j, &f);
			first = f.spool_first;
		}
		if (step == STEPS / 2) {
			journal_close(j);
			open_at_last();
		}
	}
	if (!failed && base_fail_passes("journal") >= n)
		failed = true;
	check_now(STEPS, NULL);
	journal_close(j);
	open_at_last();
	check(STEPS);
	journal_close(j);
	return failed;
}

/* Without CHATD_TEST_LONG some calls are left out. */
static unsigned
stride(unsigned quick)
{
	const char *text = getenv("CHATD_TEST_LONG");

	return text != NULL && strcmp(text, "yes") == 0 ? 1 : quick;
}

static void
fail_each(void **state, bool sync)
{
	unsigned n, by = stride(2);

	sync_mode = sync;
	errors = retries = 0;
	/* What one leaves out the other has. */
	for (n = sync ? 1 : 2;; n += by) {
		bool more = run_failing(n);

		assert_int_equal(util_count("spool.aside"), 0);
		assert_int_equal(util_teardown(state), 0);
		assert_int_equal(util_setup(state), 0);
		if (!more)
			break;
	}
	print_message(
	    "one of %u of %u calls failed, %u errors were told\n", by, n, errors);
	assert_true(n > 250 && errors > 200 / by && retries > n / by / 2);
}

static void
test_each_call_fails(void **state)
{
	fail_each(state, true);
}

static void
test_each_call_fails_without_sync(void **state)
{
	fail_each(state, false);
}

/* ---- the process dies at each call in turn ---- */

static void
run_until_killed(unsigned n, int out)
{
	struct journal_figures f;
	char spec[64];

	snprintf(spec, sizeof(spec), "journal=kill@%u", n);
	base_fail_set(spec);
	open_at_last();
	for (unsigned step = 1; step <= STEPS; step++) {
		while (one_step(step) != JOURNAL_OK)
			;
		if (step == 1) {
			journal_figures(j, &f);
			first = f.spool_first;
		}
		if (write(out, &step, sizeof(step)) != sizeof(step))
			_exit(1);
	}
	journal_close(j);
	_exit(0);
}

static void
test_killed_at_each_call(void **state)
{
	unsigned n, step, acked;
	int status;

	sync_mode = true;
	for (n = 1;; n += stride(3)) {
		int pipes[2];
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		if (pid == 0)
			run_until_killed(n, pipes[1]);
		close(pipes[1]);
		for (acked = 0; read(pipes[0], &step, sizeof(step)) == sizeof(step);)
			acked = step;
		close(pipes[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		open_at_last();
		check(acked);
		journal_close(j);
		assert_int_equal(util_count("spool.aside"), 0);
		assert_int_equal(util_teardown(state), 0);
		assert_int_equal(util_setup(state), 0);
		if (!WIFSIGNALED(status))
			break;
	}
	assert_int_equal(status, 0);
	print_message("killed at one of %u of %u calls\n", stride(3), n);
	assert_true(n > 200);
}

/* ---- the reader ---- */

static bool
count(void *arg, const struct journal_spooled *rec)
{
	unsigned *n = arg;

	if (rec->offset != ++*n)
		_exit(10);
	return true;
}

/* In a process of its own: 0 when the N-th call was never made. */
static void
read_failing(unsigned n)
{
	struct journal_tail *tail = NULL;
	unsigned seen = 0, tries = 0;
	bool absent;
	char err[256], spec[64];
	int rc = JOURNAL_IO;

	snprintf(spec, sizeof(spec), "journal=once@%u", n);
	base_fail_set(spec);
	for (; rc != JOURNAL_OK; tries++) {
		if (tries > 2)
			_exit(11);
		if (tail == NULL &&
		    journal_tail_open(util_path, &tail, &absent, err, sizeof(err)) < 0)
			continue;
		seen = 0;
		rc = journal_tail_read(tail, 0, count, &seen);
	}
	journal_tail_close(tail);
	_exit(seen != 10 * PUBS ? 12 : base_fail_passes("journal") < n ? 0 : 1);
}

static void
test_each_call_of_the_reader_fails(void **state)
{
	struct journal_place place;
	int status;
	unsigned n;

	(void)state;
	sync_mode = true;
	base_fail_set(NULL);
	open_at_last();
	util_ok(j, journal_begin(j));
	for (unsigned i = 0; i < 10 * PUBS; i++)
		util_ok(j, util_publish(j, "a", &both, T0, &place));
	util_ok(j, journal_commit(j));
	journal_close(j);
	for (n = 1; n < 1000; n++) {
		pid_t pid = fork();

		if (pid == 0)
			read_failing(n);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 0)
			break;
		assert_int_equal(WEXITSTATUS(status), 1);
	}
	assert_in_range(n, 25, 100);
}

/* ---- syncing in the background ---- */

static void
test_a_sync_fails_and_is_tried_again(void **state)
{
	struct journal_figures f;
	int64_t now = 1000;

	(void)state;
	sync_mode = false;
	base_fail_set("journal.sync=once@1");
	open_at_last();
	assert_int_equal(one_step(1), JOURNAL_OK);
	for (f.sync_errors = 0; f.sync_errors == 0; now += 1000) {
		assert_true(now < 1000000);
		journal_sync_due(j, now);
		usleep(1000);
		journal_figures(j, &f);
	}
	assert_non_null(strstr(journal_why(j), "syncing"));
	while (base_fail_passes("journal.sync") < 2) {
		usleep(1000);
		journal_sync_due(j, now += 1000);
		assert_true(now < 2000000);
	}
	journal_figures(j, &f);
	assert_int_equal(f.sync_errors, 1);
	base_fail_set(NULL);
	journal_close(j);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, util_setup, util_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_each_call_fails),
	    TEST(test_each_call_fails_without_sync),
	    TEST(test_killed_at_each_call),
	    TEST(test_each_call_of_the_reader_fails),
	    TEST(test_a_sync_fails_and_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
	return 77;
}

#endif
