/*
 * The broker: history and what followers of a channel are told, also from the
 * database.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker_util.h"

static char epoch[ORDER_EPOCH_LEN]; /* of the channel at hand */

static void
publish_to(const char *channel, unsigned n)
{
	struct order_msg answer = {.code = 0};

	for (unsigned i = 0; i < n; i++)
		answer = util_publish(channel, NULL, "{\"i\":0}");
	assert_int_equal(answer.code, 0);
	memcpy(epoch, answer.epoch.p, sizeof(epoch));
}

struct since {
	bool given, reverse;
	uint64_t offset;
	const char *epoch; /* NULL: none; "": the right one */
};

static struct order_msg
question(const char *channel, int32_t limit, struct since s)
{
	struct order_msg msg = {.kind = ORDER_HISTORY,
	    .req = 9,
	    .channel = {channel, strlen(channel)},
	    .limit = limit,
	    .offset = s.offset,
	    .flags = (s.given ? ORDER_F_SINCE : 0) | (s.reverse ? ORDER_F_REVERSE : 0)};

	if (s.epoch != NULL)
		msg.epoch = (struct base_slice){
		    s.epoch[0] == 0 ? epoch : s.epoch, ORDER_EPOCH_LEN};
	return msg;
}

static struct order_msg
history(const char *channel, int32_t limit, struct since s)
{
	const struct order_msg msg = question(channel, limit, s);

	return util_ask(&msg, ORDER_HISTORY_IS);
}

static void
history_is(const char *channel, int32_t limit, struct since s, const char *want)
{
	struct order_msg answer = history(channel, limit, s);

	assert_int_equal(answer.code, 0);
	assert_true(answer.number == 7);
	assert_memory_equal(answer.epoch.p, epoch, sizeof(epoch));
	util_offsets_are(answer.data, want);
}

/* As the protocol has it. */
static void
answers_history(void **state)
{
	static const struct since no = {.given = false}, back = {.reverse = true};
	struct order_msg answer;
	char told[ORDER_EPOCH_LEN];

	(void)state;
	util_broker();
	util_interest("hist:h");
	answer = history("hist:h", 0, no);
	assert_int_equal(answer.code, 0);
	assert_true(answer.number == 0);
	util_offsets_are(answer.data, "");
	memcpy(epoch, answer.epoch.p, sizeof(epoch));
	util_epoch_is("hist:h", told);
	assert_memory_equal(told, epoch, sizeof(epoch));
	answer = history("hist:h", 10, no);
	assert_memory_equal(answer.epoch.p, epoch, sizeof(epoch));
	memcpy(told, epoch, sizeof(epoch));
	publish_to("hist:h", 7);
	assert_memory_equal(told, epoch, sizeof(epoch));
	history_is("hist:h", 0, no, "");
	history_is("hist:h", -1, no, "3 4 5 6 7");
	history_is("hist:h", 2, no, "3 4");
	history_is("hist:h", 2, back, "7 6");
	history_is("hist:h", -1, back, "7 6 5 4 3");
	history_is("hist:h", 2, (struct since){true, false, 4, ""}, "5 6");
	history_is("hist:h", 10, (struct since){true, false, 0, ""}, "3 4 5 6 7");
	history_is("hist:h", 10, (struct since){true, false, 7, ""}, "");
	history_is("hist:h", 10, (struct since){true, false, 70, ""}, "");
	history_is("hist:h", 10, (struct since){true, false, UINT64_MAX, ""}, "");
	history_is("hist:h", 10, (struct since){true, false, 5, NULL}, "6 7");
	history_is("hist:h", 2, (struct since){true, true, 6, ""}, "5 4");
	history_is("hist:h", 10, (struct since){true, true, 8, ""}, "7 6 5 4 3");
	history_is("hist:h", 2, (struct since){true, true, 2, ""}, "");
	history_is("hist:h", 2, (struct since){true, true, 3, ""}, "");
	history_is("hist:h", 2, (struct since){true, true, 9, ""}, "");
	history_is("hist:h", 0, (struct since){true, false, 3, ""}, "");
	answer = history("hist:h", 10, (struct since){true, false, 5, "badepoch"});
	assert_int_equal(answer.code, PROTO_ERROR_UNRECOVERABLE);
	answer = history("hist:h", 2, (struct since){true, true, 0, ""});
	assert_int_equal(answer.code, PROTO_ERROR_BAD_REQUEST);
	answer = history("plain:h", 1, no);
	assert_int_equal(answer.code, PROTO_ERROR_NOT_AVAILABLE);
	answer = history("nosuch:h", 1, no);
	assert_int_equal(answer.code, PROTO_ERROR_UNKNOWN_CHANNEL);
}

static struct order_msg
follow(const char *channel, int32_t limit, uint64_t offset, const char *of)
{
	const struct order_msg msg = {.kind = ORDER_FOLLOW,
	    .req = 11,
	    .channel = {channel, strlen(channel)},
	    .limit = limit,
	    .offset = offset,
	    .epoch = {of, of == NULL ? 0 : strlen(of)}};
	struct order_msg answer = util_ask(&msg, ORDER_FOLLOWED);

	assert_int_equal(answer.code, 0);
	assert_true(answer.offset == offset);
	return answer;
}

static void
answers_followers(void **state)
{
	struct order_msg answer;

	(void)state;
	util_broker();
	answer = follow("spool:f", 10, 0, NULL);
	assert_true(answer.number == 0);
	memcpy(epoch, answer.epoch.p, sizeof(epoch));
	publish_to("spool:f", 7);
	assert_memory_equal(
	    follow("spool:f", 0, 0, NULL).epoch.p, epoch, sizeof(epoch));
	util_offsets_are(follow("spool:f", 10, 0, NULL).data, "3 4 5 6 7");
	util_offsets_are(follow("spool:f", 2, 0, NULL).data, "6 7");
	util_offsets_are(follow("spool:f", 2, 6, NULL).data, "7");
	util_offsets_are(follow("spool:f", 2, 7, NULL).data, "");
	util_offsets_are(follow("spool:f", 2, 99, NULL).data, "");
	answer = follow("spool:f", 2, 5, "badepoch");
	util_offsets_are(answer.data, "");
	assert_true(answer.number == 7);
	assert_memory_equal(answer.epoch.p, epoch, sizeof(epoch));
	/* A place without history. */
	publish_to("arch:f", 2);
	answer = follow("arch:f", 10, 0, NULL);
	assert_true(answer.number == 2);
	util_offsets_are(answer.data, "");
}

/* Answers are bounded, the newest counts most to a follower. */
static void
bounds_answers(void **state)
{
	static char data[30002];
	struct base_slice list = {NULL, 0};
	struct order_msg answer;

	(void)state;
	memset(data, 'x', sizeof(data) - 1);
	data[0] = data[sizeof(data) - 2] = '"';
	util_conf("history_reply = 64k\nhistory_limit = 4\n"
		  "namespace \"many\" { history_size = 100 }\n");
	util_broker();
	for (unsigned i = 0; i < 7; i++)
		answer = util_publish("many:b", NULL, data);
	memcpy(epoch, answer.epoch.p, sizeof(epoch));
	/* In parts, as a record of the queue takes an eighth of it at most. */
	const struct order_msg ask = {.kind = ORDER_FOLLOW,
	    .req = 3,
	    .channel = UTIL_S("many:b"),
	    .limit = 100};
	struct base_buf whole = {0};

	util_send(0, &ask);
	util_turns();
	do {
		answer = util_reply(0, ORDER_FOLLOWED);
		assert_true(answer.number == 7);
		base_buf_add(&whole, answer.data.p, answer.data.len);
	} while ((answer.flags & ORDER_F_MORE) != 0);
	list = (struct base_slice){whole.p, whole.len};
	util_offsets_are(list, "6 7");
	whole.len = 0;
	const struct order_msg back =
	    question("many:b", -1, (struct since){.given = false});

	util_send(0, &back);
	util_turns();
	do {
		answer = util_reply(0, ORDER_HISTORY_IS);
		base_buf_add(&whole, answer.data.p, answer.data.len);
	} while ((answer.flags & ORDER_F_MORE) != 0);
	util_offsets_are((struct base_slice){whole.p, whole.len}, "1 2");
	base_buf_free(&whole);
	for (unsigned i = 0; i < 6; i++)
		util_publish("many:small", NULL, "1");
	answer = history("many:small", -1, (struct since){.given = false});
	util_offsets_are(answer.data, "1 2 3 4");
	util_offsets_are(follow("many:small", 100, 0, NULL).data, "3 4 5 6");
}

/* ---- from the database ---- */

/* The archiver is asked: READ. */
static struct order_msg
asked(const char *channel, uint64_t offset, int32_t limit, bool reverse)
{
	struct order_msg read = util_reply(UTIL_ARCHIVER, ORDER_READ);

	util_text_is(read.channel, channel);
	assert_true(read.offset == offset);
	assert_int_equal(read.limit, limit);
	assert_int_equal((read.flags & ORDER_F_REVERSE) != 0, reverse);
	assert_int_equal(read.epoch.len, ORDER_EPOCH_LEN);
	assert_memory_equal(read.epoch.p, epoch, sizeof(epoch));
	assert_true(read.number > 0);
	return read;
}

/* Publications FROM to TO, upwards or downwards. */
static void
give_rows(uint64_t req, uint64_t from, uint64_t to, uint32_t flags)
{
	struct base_buf list = {0};
	struct order_msg rows = {.kind = ORDER_ROWS, .req = req, .flags = flags};
	char json[40];

	for (uint64_t at = from; from != 0; at = from <= to ? at + 1 : at - 1) {
		struct order_pub pub = {.offset = at, .json = {json, 0}};

		pub.json.len = (size_t)snprintf(json, sizeof(json), "{\"offset\":%llu}",
		    (unsigned long long)at);
		order_pub_add(&list, &pub);
		if (at == to)
			break;
	}
	rows.data = (struct base_slice){list.p, list.len};
	util_send(UTIL_ARCHIVER, &rows);
	base_buf_free(&list);
	util_turns();
}

static void
forget_spool(void)
{
	struct broker_journal *bj = &util.b->journals[BROKER_SPOOL];
	struct order_msg msg = {.kind = ORDER_ARCHIVED};

	journal_figures(bj->j, &bj->figures);
	msg.number = bj->figures.spool_last;
	util_send(UTIL_ARCHIVER, &msg);
	util_turns();
}

static void
ask_and_give(int32_t limit, struct since s, uint64_t from, uint64_t to)
{
	const struct order_msg msg = question("spool:d", limit, s);
	struct order_msg read;

	util_send(0, &msg);
	util_turns();
	util_no_reply(0);
	do
		assert_true(util_next(UTIL_ARCHIVER, &read));
	while (read.kind != ORDER_READ);
	give_rows(read.req, from, to, 0);
}

static void
answer_is(const char *want)
{
	struct order_msg answer = util_reply(0, ORDER_HISTORY_IS);

	assert_int_equal(answer.code, 0);
	assert_true(answer.number == 20);
	util_offsets_are(answer.data, want);
}

/* 1 to 20 were published, 16 to 20 are in the window. */
static void
reads_database(void **state)
{
	struct order_msg msg, read;

	(void)state;
	util_broker();
	publish_to("spool:d", 20);
	forget_spool();
	util_no_reply(UTIL_ARCHIVER);
	msg = question("spool:d", 10, (struct since){true, false, 10, ""});
	util_send(0, &msg);
	util_turns();
	read = asked("spool:d", 10, 5, false);
	util_no_reply(0);
	give_rows(read.req, 11, 15, 0);
	answer_is("11 12 13 14 15 16 17 18 19 20");
	msg = question("spool:d", 3, (struct since){true, false, 10, ""});
	util_send(0, &msg);
	util_turns();
	read = asked("spool:d", 10, 3, false);
	/* In two parts. */
	give_rows(read.req, 11, 12, ORDER_F_MORE);
	util_no_reply(0);
	give_rows(read.req, 13, 13, 0);
	answer_is("11 12 13");
	msg = question("spool:d", 8, (struct since){.reverse = true});
	util_send(0, &msg);
	util_turns();
	read = asked("spool:d", 16, 3, true);
	give_rows(read.req, 15, 13, 0);
	answer_is("20 19 18 17 16 15 14 13");
	msg = question("spool:d", 3, (struct since){true, true, 12, ""});
	util_send(0, &msg);
	util_turns();
	read = asked("spool:d", 12, 3, true);
	give_rows(read.req, 11, 9, 0);
	answer_is("11 10 9");
	/* A second answer is nobody's. */
	give_rows(read.req, 11, 9, 0);
	util_no_reply(0);
	/* What is in the window is nobody else's affair. */
	util_offsets_are(
	    history("spool:d", 5, (struct since){.reverse = true}).data,
	    "20 19 18 17 16");
	util_offsets_are(
	    history("spool:d", 9, (struct since){true, false, 15, ""}).data,
	    "16 17 18 19 20");
	util_offsets_are(history("spool:d", 2, (struct since){.given = false}).data,
	    "16 17");
	assert_int_equal(stat_get(util.stat, reads_asked), 4);
}

/* The database lacks something. */
static void
meets_holes(void **state)
{
	(void)state;
	util_broker();
	publish_to("spool:d", 20);
	/* It may be on its way. */
	ask_and_give(10, (struct since){true, false, 10, ""}, 11, 13);
	answer_is("11 12 13");
	ask_and_give(10, (struct since){true, false, 13, ""}, 0, 0);
	answer_is("16 17 18 19 20");
	ask_and_give(10, (struct since){.reverse = true}, 13, 9);
	answer_is("20 19 18 17 16");
	ask_and_give(10, (struct since){true, true, 16, ""}, 13, 9);
	answer_is("13 12 11 10 9");
	/* It will not come. */
	forget_spool();
	ask_and_give(10, (struct since){true, false, 10, ""}, 11, 13);
	answer_is("11 12 13 16 17 18 19 20");
	ask_and_give(8, (struct since){.reverse = true}, 13, 11);
	answer_is("20 19 18 17 16 13 12 11");
	/* Its beginning was cut off. */
	ask_and_give(10, (struct since){true, false, 2, ""}, 14, 15);
	answer_is("14 15 16 17 18 19 20");
}

static void
read_fails(int32_t code, const char *text)
{
	struct order_msg answer = util_reply(0, ORDER_HISTORY_IS);

	assert_int_equal(answer.code, code);
	util_text_is(answer.data, text);
}

static void
bounds_reads(void **state)
{
	static const char text[] = "old messages are not available, try again";
	const struct since s = {true, false, 3, ""};
	struct order_msg msg, read;

	(void)state;
	util_conf("read_max = 2\nread_timeout = 100ms\n");
	util_broker();
	publish_to("spool:d", 20);
	msg = question("spool:d", 10, s);
	for (unsigned i = 0; i < 3; i++)
		util_send(0, &msg);
	util_turns();
	read_fails(PROTO_ERROR_TOO_MANY_REQUESTS, "");
	util_no_reply(0);
	usleep(110000);
	util_turns();
	read_fails(PROTO_ERROR_INTERNAL, text);
	read_fails(PROTO_ERROR_INTERNAL, text);
	assert_int_equal(stat_get(util.stat, reads_refused), 1);
	assert_int_equal(stat_get(util.stat, reads_failed), 2);
	/* It says itself that it cannot. */
	while (util_next(UTIL_ARCHIVER, &read))
		;
	util_send(0, &msg);
	util_turns();
	read = util_reply(UTIL_ARCHIVER, ORDER_READ);
	const struct order_msg rows = {
	    .kind = ORDER_ROWS, .req = read.req, .code = PROTO_ERROR_INTERNAL};

	util_send(UTIL_ARCHIVER, &rows);
	util_turns();
	read_fails(PROTO_ERROR_INTERNAL, text);
	/* It dies, and is dead. */
	util_send(0, &msg);
	util_turns();
	broker_gone(util.b, UTIL_ARCHIVER, 1);
	util_turns();
	read_fails(PROTO_ERROR_INTERNAL, text);
	util_send(0, &msg);
	util_turns();
	read_fails(PROTO_ERROR_INTERNAL, text);
	const struct order_msg hello = {.kind = ORDER_HELLO, .number = 2};

	util_send(UTIL_ARCHIVER, &hello);
	util_turns();
	util_send(0, &msg);
	util_turns();
	util_no_reply(0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, util_setup, util_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(answers_history),
	    TEST(answers_followers),
	    TEST(bounds_answers),
	    TEST(reads_database),
	    TEST(meets_holes),
	    TEST(bounds_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
