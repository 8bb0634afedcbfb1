/*
 * A broker that is killed at each named point (broker_fail.h), and whose journals
 * fail at each of their calls.  Needs --enable-failpoints.
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
#include "base/base_log.h"
#include "broker_book.h"

/* A broker in a process of its own does all that there is.  True: it was killed. */
static bool
run_child(const char *spec)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		base_fail_set(spec);
		util_broker();
		for (unsigned i = 0; i < 20 || !broker_idle(util.b); i++)
			broker_turn(util.b);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* What the one before leaves. */
static const char *const firsts[] = {
    "broker.commit.after=kill",
    "broker.committed=kill",
    "broker.push.after=kill@9",
    "broker.answer.after=kill@25",
    "broker.commit.after=kill@2",
    "broker.done.before=kill@2",
};

static bool
die_at(const char *point, unsigned pass, const char *first)
{
	char spec[128];
	bool killed;

	util_fresh((struct util_sizes){1u << 20, 256u << 10});
	book_begin();
	book_send(80);
	assert_true(run_child(first));
	book_send(20);
	snprintf(spec, sizeof(spec), "%s=kill@%u", point, pass);
	killed = run_child(spec);
	book_send(10);
	util_broker();
	book_check((struct book_rules){.crashed = true});
	assert_int_equal(book_done(), 110);
	util_kill();
	return killed;
}

static void
dies_at_each_point(void **state)
{
	static const char *const points[] = {
#define X(id, name) name,
	    BROKER_KILL_POINTS(X)
#undef X
	};
	static const unsigned passes[] = {1, 2, 5, 17};
	unsigned n = 0;

	(void)state;
	base_log_set_level(BASE_LOG_ERROR);
	for (size_t i = 0; i < BASE_COUNT(points); i++) {
		bool reached = false;

		for (size_t k = 0; k < BASE_COUNT(passes); k++)
			reached |= die_at(points[i], passes[k],
			    firsts[n++ % BASE_COUNT(firsts)]);
		/* Some are reached after certain deaths alone. */
		for (size_t k = 0; k < BASE_COUNT(firsts) && !reached; k++)
			reached = die_at(points[i], 1, firsts[k]);
		if (!reached)
			fail_msg("%s is never reached", points[i]);
	}
}

/* Each call in turn.  What was refused is not there, what was acknowledged is. */
static void
fails_at_each_call(void **state)
{
	unsigned long n, passes = 1;
	unsigned refused = 0;
	char spec[64];

	(void)state;
	base_log_set_level(BASE_LOG_ERROR);
	util_fresh((struct util_sizes){1u << 20, 256u << 10});
	util_broker();
	book_begin();
	for (n = 1; n <= passes && n < 2000; n++) {
		unsigned before = book_done();

		snprintf(spec, sizeof(spec), "journal=once@%lu", n);
		base_fail_set(spec);
		book_send(10);
		util_turns();
		passes = base_fail_passes("journal");
		base_fail_set(NULL);
		book_read();
		refused += book_done() < before + 10;
	}
	assert_true(refused > 10);
	assert_true(book_done() > 100);
	book_check((struct book_rules){.refused = true});
}

/* Calls fail now and then, answers wait for room, and the broker dies: whatever was
 * answered stays true. */
static void
stays_true(void **state)
{
	unsigned sent = 0;

	(void)state;
	base_log_set_level(BASE_LOG_ERROR);
	util_fresh((struct util_sizes){1u << 20, 8u << 10});
	util_broker();
	book_begin();
	for (unsigned i = 0; i < 600; i++) {
		sent += book_send(5);
		if (i % 7 == 3)
			base_fail_set(
			    i % 2 == 0 ? "journal=once@1" : "journal=once@20");
		util_turns();
		base_fail_set(NULL);
		if (i % 40 == 39)
			util_broker();
		if (i % 65 == 64)
			book_read();
	}
	book_check((struct book_rules){.crashed = true, .refused = true});
	assert_in_range(book_done(), sent / 4, sent - 10);
}

/* What the archiver says while nothing can be written is not forgotten. */
static void
holds_what_is_archived(void **state)
{
	struct broker_journal *bj;
	struct order_msg msg;

	(void)state;
	util_broker();
	bj = &util.b->journals[BROKER_SPOOL];
	for (unsigned i = 0; i < 5; i++)
		util_publish("arch:d", NULL, "1");
	journal_figures(bj->j, &bj->figures);
	base_fail_set("journal=fail");
	msg = (struct order_msg){
	    .kind = ORDER_DEAD, .number = bj->figures.spool_first, .code = 7};
	util_send(UTIL_ARCHIVER, &msg);
	msg = (struct order_msg){
	    .kind = ORDER_ARCHIVED, .number = bj->figures.spool_last - 1};
	util_send(UTIL_ARCHIVER, &msg);
	for (unsigned i = 0; i < 20; i++)
		assert_false(broker_turn(util.b));
	msg = util_publish("arch:d", NULL, "1");
	assert_int_equal(msg.code, PROTO_ERROR_INTERNAL);
	util_text_is(msg.data, "spool is not available, try again");
	base_fail_set(NULL);
	for (unsigned i = 0; i < 15; i++) {
		usleep(100000);
		util_turns();
	}
	journal_figures(bj->j, &bj->figures);
	assert_int_equal(bj->figures.spool_records, 1);
	assert_int_equal(bj->figures.dead_records, 1);
	assert_int_equal(util_publish("arch:d", NULL, "1").code, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, util_setup, util_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(dies_at_each_point),
	    TEST(fails_at_each_call),
	    TEST(stays_true),
	    TEST(holds_what_is_archived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
	return 77; /* there are no points in this build */
}

#endif
