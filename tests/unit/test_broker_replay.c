/*
 * The broker dies between any two of its steps; and clients that do not take their
 * answers.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker_book.h"

/* Where it dies: before the first step, and after each. */
enum { AT_START, COLLECTED, COMMITTED, SOME_ANSWERED, ANSWERED, DONE, STEPS };

static void
run_to(unsigned step, unsigned answers)
{
	if (step >= COLLECTED)
		broker_batch_collect(util.b);
	if (step >= COMMITTED)
		broker_batch_commit(util.b);
	for (unsigned i = 0; step == SOME_ANSWERED && i < answers; i++)
		broker_batch_answer(util.b);
	while (step >= ANSWERED && broker_batch_answer(util.b))
		;
	if (step >= DONE)
		broker_batch_done(util.b);
}

static void
dies_at_each_step(void **state)
{
	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		util_fresh((struct util_sizes){1u << 20, 256u << 10});
		book_begin();
		util_broker();
		book_send(100);
		util_turns();
		book_send(100);
		run_to(step, 30);
		util_broker();
		book_check((struct book_rules){.crashed = true});
		assert_int_equal(book_done(), 200);
		book_send(50);
		book_check((struct book_rules){.crashed = true});
	}
}

/* The next one dies too, wherever it has come to. */
static void
dies_twice(void **state)
{
	(void)state;
	for (unsigned first = COMMITTED; first < STEPS; first++)
		for (unsigned second = 0; second < STEPS; second++) {
			util_fresh((struct util_sizes){1u << 20, 256u << 10});
			book_begin();
			util_broker();
			book_send(100);
			run_to(first, 33);
			util_broker();
			if (second % 2 == 0)
				book_send(20);
			run_to(second, 7);
			util_broker();
			book_send(20);
			book_check((struct book_rules){.crashed = true});
		}
}

/* Another life of the daemon: what is on disk says nothing of these queues. */
static void
knows_its_segment(void **state)
{
	(void)state;
	util_broker();
	book_begin();
	book_send(100);
	run_to(COMMITTED, 0);
	util_world((struct util_sizes){1u << 20, 256u << 10});
	util_broker();
	assert_int_equal(util.b->batch.n, 0);
	assert_true(util_publish("hist:b1", NULL, "1").offset > 1);
}

/* ---- clients that do not take their answers ---- */

static void
publish_as(unsigned slot, uint64_t req)
{
	const struct order_msg msg = {.kind = ORDER_PUBLISH,
	    .req = req,
	    .channel = UTIL_S("hist:p"),
	    .data = UTIL_S("1")};

	util_send(slot, &msg);
}

static void
waits_for_room(void **state)
{
	static char data[900];
	const struct order_msg ask = {.kind = ORDER_HISTORY,
	    .req = 5,
	    .channel = UTIL_S("hist:big"),
	    .limit = -1};
	struct order_msg msg;
	unsigned sent = 0, histories = 0, parts = 0, round = 0;

	(void)state;
	util_world((struct util_sizes){1u << 20, 16u << 10});
	util_broker();
	memset(data, 'x', sizeof(data) - 1);
	data[0] = data[sizeof(data) - 2] = '"';
	for (unsigned i = 0; i < 5; i++)
		util_publish("hist:big", NULL, data);
	/* Worker 0 asks and asks, and takes nothing. */
	while (round++ < 1000) {
		for (; util_try(0, &ask); sent++)
			round = 0;
		util_turns();
		assert_true(broker_reply_bytes(util.b) < 4u << 20);
	}
	assert_in_range(sent, 50, 400);
	/* The other one is served. */
	for (uint64_t i = 0; i < 100; i++) {
		publish_as(1, 10 + i);
		util_turns();
		assert_true(util_reply(1, ORDER_PUBLISHED).offset == i + 1);
	}
	/* All come, each whole. */
	for (unsigned i = 0; i < 10000 && histories < sent; i++) {
		while (util_next(0, &msg)) {
			assert_int_equal(msg.kind, ORDER_HISTORY_IS);
			assert_int_equal(msg.code, 0);
			parts++;
			if ((msg.flags & ORDER_F_MORE) == 0) {
				assert_true(parts >= 3);
				parts = 0;
				histories++;
			}
		}
		util_turns();
	}
	assert_int_equal(histories, sent);
	assert_false(broker_pending(util.b));
	assert_true(broker_idle(util.b));
}

/* Answers that wait when it dies are given by the next one. */
static void
keeps_waiting_answers(void **state)
{
	unsigned sent = 0;

	(void)state;
	util_world((struct util_sizes){1u << 20, 8u << 10});
	util_broker();
	book_begin();
	for (unsigned i = 0; i < 200; i++) {
		sent += book_send(10);
		util_turns();
		if (i % 50 == 49)
			util_broker();
		if (i % 70 == 69)
			book_read();
	}
	assert_true(sent > 100);
	book_check((struct book_rules){.crashed = true});
	assert_int_equal(book_done(), sent);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, util_setup, util_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(dies_at_each_step),
	    TEST(dies_twice),
	    TEST(knows_its_segment),
	    TEST(waits_for_room),
	    TEST(keeps_waiting_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
