/*
 * The broker: who is present, who comes and goes; channels; dead letters.
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

static struct base_slice
slice(const char *text)
{
	return (struct base_slice){text, strlen(text)};
}

static void
say(unsigned slot, enum order_kind kind, const char *channel, const char *user,
    const char *client, uint32_t flags)
{
	const struct order_msg msg = {.kind = kind,
	    .flags = flags,
	    .channel = slice(channel),
	    .user = slice(user),
	    .client = slice(client)};

	util_send(slot, &msg);
	util_turns();
}

static void
hello(unsigned slot, enum order_kind kind, uint64_t generation)
{
	const struct order_msg msg = {.kind = kind, .number = generation};

	util_send(slot, &msg);
	util_turns();
}

static struct order_msg
ask(enum order_kind kind, enum order_kind answer, const char *channel)
{
	const struct order_msg msg = {
	    .kind = kind, .req = 4, .channel = slice(channel)};

	return util_ask(&msg, answer);
}

/* Client ids in the order in which they came. */
static void
present(const char *channel, const char *want, unsigned users)
{
	struct order_msg answer = ask(ORDER_PRESENCE, ORDER_PRESENCE_IS, channel);
	struct base_buf got = {0};
	struct order_pair pair;
	unsigned n = 0;
	char info[64];
	int r;

	assert_int_equal(answer.code, 0);
	while ((r = order_pair_next(&answer.data, &pair)) == 1) {
		base_buf_printf(&got, "%s%.*s", n++ > 0 ? " " : "", (int)pair.name.len,
		    pair.name.p);
		snprintf(info, sizeof(info), "\"client\":\"%.*s\"", (int)pair.name.len,
		    pair.name.p);
		assert_non_null(
		    memmem(pair.value.p, pair.value.len, info, strlen(info)));
	}
	assert_int_equal(r, 0);
	util_text_is((struct base_slice){got.p, got.len}, want);
	base_buf_free(&got);
	answer = ask(ORDER_PRESENCE_STATS, ORDER_PRESENCE_STATS_IS, channel);
	assert_int_equal(answer.code, 0);
	assert_true(answer.number == n);
	assert_true(answer.offset == users);
}

static void
join_is(const char *kind, const char *channel, const char *user, const char *client)
{
	struct base_slice name, got;
	struct ring_head head;
	char text[256];

	snprintf(text, sizeof(text),
	    "{\"push\":{\"channel\":\"%s\",\"%s\":{\"info\":{\"user\":\"%s\","
	    "\"client\":\"%s\"}}}}",
	    channel, kind, user, client);
	assert_true(util_pushed(&head, &name, &got));
	util_text_is(name, channel);
	util_text_is(got, text);
	assert_int_equal(head.flags, RING_F_JOIN);
	assert_int_equal(head.type, RING_DATA);
}

static void
knows_who_is_present(void **state)
{
	(void)state;
	util_broker();
	util_interest("pres:a");
	util_interest("quiet:a");
	say(0, ORDER_JOIN, "pres:a", "u", "c1", 0);
	join_is("join", "pres:a", "u", "c1");
	say(1, ORDER_JOIN, "pres:a", "u", "c2", 0);
	join_is("join", "pres:a", "u", "c2");
	say(1, ORDER_JOIN, "pres:a", "", "c3", 0);
	join_is("join", "pres:a", "", "c3");
	present("pres:a", "c1 c2 c3", 2);
	/* It is there. */
	say(1, ORDER_JOIN, "pres:a", "", "c3", 0);
	util_no_push();
	say(0, ORDER_LEAVE, "pres:a", "u", "c1", 0);
	join_is("leave", "pres:a", "u", "c1");
	present("pres:a", "c2 c3", 2);
	say(1, ORDER_LEAVE, "pres:a", "u", "c2", 0);
	join_is("leave", "pres:a", "u", "c2");
	present("pres:a", "c3", 1);
	say(1, ORDER_LEAVE, "pres:a", "", "c3", 0);
	join_is("leave", "pres:a", "", "c3");
	present("pres:a", "", 0);
	say(0, ORDER_JOIN, "quiet:a", "u", "c1", 0);
	present("quiet:a", "c1", 1);
	util_no_push();
	assert_int_equal(ask(ORDER_PRESENCE, ORDER_PRESENCE_IS, "hist:a").code,
	    PROTO_ERROR_NOT_AVAILABLE);
	assert_int_equal(
	    ask(ORDER_PRESENCE_STATS, ORDER_PRESENCE_STATS_IS, "no:a").code,
	    PROTO_ERROR_UNKNOWN_CHANNEL);
}

/* All of a dead process leave, whoever says first that it is dead. */
static void
forgets_the_dead(void **state)
{
	(void)state;
	util_broker();
	util_interest("pres:d");
	hello(0, ORDER_HELLO, 1);
	hello(1, ORDER_HELLO, 1);
	for (unsigned round = 1; round <= 2; round++) {
		say(0, ORDER_JOIN, "pres:d", "u", "c1", 0);
		join_is("join", "pres:d", "u", "c1");
		say(1, ORDER_JOIN, "pres:d", "v", "c2", 0);
		join_is("join", "pres:d", "v", "c2");
		if (round == 1)
			broker_gone(util.b, 0, 1);
		else
			hello(0, ORDER_HELLO, 3);
		util_turns();
		join_is("leave", "pres:d", "u", "c1");
		present("pres:d", "c2", 1);
		/* What it had said before is heard now. */
		if (round == 1) {
			say(0, ORDER_JOIN, "pres:d", "u", "c9", 0);
			say(0, ORDER_LEAVE, "pres:d", "u", "c1", 0);
			util_no_push();
			hello(0, ORDER_HELLO, 2);
		} else {
			/* The master's word comes late. */
			say(0, ORDER_JOIN, "pres:d", "u", "c4", 0);
			join_is("join", "pres:d", "u", "c4");
			broker_gone(util.b, 0, 2);
			util_turns();
			present("pres:d", "c2 c4", 2);
		}
		util_no_push();
		say(1, ORDER_LEAVE, "pres:d", "v", "c2", 0);
		join_is("leave", "pres:d", "v", "c2");
	}
}

/* A new broker is told again, and tells nobody. */
static void
learns_again(void **state)
{
	(void)state;
	util_broker();
	util_interest("pres:g");
	say(0, ORDER_JOIN, "pres:g", "u", "c1", 0);
	say(0, ORDER_JOIN, "pres:g", "u", "c2", 0);
	util_broker();
	join_is("join", "pres:g", "u", "c1");
	join_is("join", "pres:g", "u", "c2");
	present("pres:g", "", 0);
	/* One goes before it is told. */
	say(0, ORDER_LEAVE, "pres:g", "u", "c2", 0);
	join_is("leave", "pres:g", "u", "c2");
	hello(0, ORDER_PRESENCE_RESET, 5);
	say(0, ORDER_JOIN, "pres:g", "u", "c1", ORDER_F_AGAIN);
	util_no_push();
	say(0, ORDER_JOIN, "pres:g", "u", "c3", 0);
	join_is("join", "pres:g", "u", "c3");
	present("pres:g", "c1 c3", 1);
	hello(0, ORDER_PRESENCE_RESET, 5);
	present("pres:g", "", 0);
	util_no_push();
	say(0, ORDER_JOIN, "pres:g", "u", "c1", ORDER_F_AGAIN);
	broker_gone(util.b, 0, 5);
	util_turns();
	join_is("leave", "pres:g", "u", "c1");
}

/* Many at once, and memory that is used up. */
static void
bounds_presence(void **state)
{
	static const unsigned many = 5000;
	struct order_msg answer;
	char client[16];
	unsigned n = 0;

	(void)state;
	util_conf("presence_total = 64k\n");
	util_broker();
	for (unsigned i = 0; i < many; i++) {
		snprintf(client, sizeof(client), "c%u", i);
		say(0, ORDER_JOIN, i % 2 == 0 ? "pres:m" : "pres:n", client, client, 0);
	}
	answer = ask(ORDER_PRESENCE_STATS, ORDER_PRESENCE_STATS_IS, "pres:m");
	assert_in_range(answer.number, 50, 300);
	assert_true(answer.offset == answer.number);
	assert_true(stat_get(util.stat, presence_dropped) > many / 2);
	usleep(110000);
	util_turns();
	assert_in_range(stat_get(util.stat, presence_bytes), 32 << 10, 64 << 10);
	util_conf("");
	for (unsigned i = 0; i < many; i++) {
		snprintf(client, sizeof(client), "d%u", i);
		say(1, ORDER_JOIN, "pres:o", client, client, 0);
	}
	answer = ask(ORDER_PRESENCE_STATS, ORDER_PRESENCE_STATS_IS, "pres:o");
	assert_true(answer.number == many);
	util_interest("pres:o");
	broker_gone(util.b, 1, 1);
	/* Not in one go. */
	assert_true(broker_turn(util.b));
	for (n = 0; broker_turn(util.b); n++)
		assert_true(n < 100);
	assert_true(n >= 3);
	answer = ask(ORDER_PRESENCE_STATS, ORDER_PRESENCE_STATS_IS, "pres:o");
	assert_true(answer.number == 0);
}

/* ---- channels ---- */

static void
part(unsigned slot, uint64_t req, uint32_t flags, const char *name, uint64_t count)
{
	struct base_buf list = {0};
	const struct order_pair pair = {.name = slice(name), .number = count};
	struct order_msg msg = {
	    .kind = ORDER_CHANNELS_PART, .req = req, .flags = flags};

	order_pair_add(&list, &pair);
	msg.data = (struct base_slice){list.p, list.len};
	util_send(slot, &msg);
	base_buf_free(&list);
	util_turns();
}

static void
adds_up_channels(void **state)
{
	const struct order_msg msg = {
	    .kind = ORDER_CHANNELS, .req = 77, .data = UTIL_S("a*")};
	struct order_msg first, second, answer;
	struct order_pair pair;
	uint64_t seen = 0;

	(void)state;
	util_broker();
	util_send(0, &msg);
	util_turns();
	first = util_reply(0, ORDER_ASK_CHANNELS);
	util_text_is(first.data, "a*");
	second = util_reply(1, ORDER_ASK_CHANNELS);
	assert_true(first.req == second.req);
	part(0, first.req, ORDER_F_MORE, "ab", 2);
	part(1, first.req, 0, "ab", 5);
	/* It has answered. */
	part(1, first.req, 0, "ab", 100);
	util_no_reply(0);
	part(0, first.req, 0, "ac", 1);
	answer = util_reply(0, ORDER_CHANNELS_ARE);
	assert_int_equal(answer.code, 0);
	assert_true(answer.req == 77);
	while (order_pair_next(&answer.data, &pair) == 1) {
		assert_int_equal(pair.name.len, 2);
		assert_true(pair.number == (pair.name.p[1] == 'b' ? 7u : 1u));
		seen |= UINT64_C(1) << (pair.name.p[1] - 'a');
	}
	assert_int_equal(seen, 6);
	/* One dies meanwhile. */
	util_send(0, &msg);
	util_turns();
	first = util_reply(0, ORDER_ASK_CHANNELS);
	part(0, first.req, 0, "ab", 2);
	util_no_reply(0);
	broker_gone(util.b, 1, 1);
	assert_int_equal(util_reply(0, ORDER_CHANNELS_ARE).code, 0);
	/* One is silent. */
	util_send(0, &msg);
	util_turns();
	util_reply(0, ORDER_ASK_CHANNELS);
	usleep(2050000);
	util_turns();
	assert_int_equal(util_reply(0, ORDER_CHANNELS_ARE).code, PROTO_ERROR_INTERNAL);
}

/* ---- dead letters ---- */

static struct order_msg
dead_do(enum order_kind kind, uint64_t number)
{
	const struct order_msg msg = {.kind = kind, .req = 6, .number = number};

	return util_ask(&msg, ORDER_DEAD_DONE);
}

static uint64_t
dead_number(unsigned want)
{
	const struct order_msg msg = {.kind = ORDER_DEAD_LIST, .req = 8};
	struct order_msg answer = util_ask(&msg, ORDER_DEAD_ARE);
	struct order_pub pub = {.offset = 0};
	unsigned n = 0;

	assert_int_equal(answer.code, 0);
	while (order_pub_next(&answer.data, &pub) == 1) {
		assert_non_null(memmem(pub.json.p, pub.json.len,
		    "\"journal\":\"spool\",\"code\":-3,\"reason\":\"too \\\"big\\\"\"",
		    48));
		n++;
	}
	assert_int_equal(n, want);
	return pub.offset;
}

static void
keeps_dead_letters(void **state)
{
	struct broker_journal *bj;
	struct order_msg msg = {.kind = ORDER_DEAD,
	    .code = -3,
	    .data = UTIL_S("too \"big\"")};
	uint64_t first;

	(void)state;
	util_broker();
	bj = &util.b->journals[BROKER_SPOOL];
	for (unsigned i = 0; i < 5; i++)
		util_publish("arch:d", NULL, "1");
	journal_figures(bj->j, &bj->figures);
	first = bj->figures.spool_first;
	for (unsigned i = 0; i < 3; i++) {
		msg.number = first + i;
		util_send(UTIL_ARCHIVER, &msg);
		/* It comes twice after a crash. */
		util_send(UTIL_ARCHIVER, &msg);
	}
	msg = (struct order_msg){.kind = ORDER_ARCHIVED, .number = first + 3};
	util_send(UTIL_ARCHIVER, &msg);
	util_turns();
	journal_figures(bj->j, &bj->figures);
	assert_int_equal(bj->figures.spool_records, 1);
	assert_true(dead_number(3) == first + 2);
	assert_true(dead_do(ORDER_DEAD_RETRY, first + 1).number == 1);
	assert_true(dead_do(ORDER_DEAD_RETRY, first + 1).number == 0);
	dead_number(2);
	assert_true(dead_do(ORDER_DEAD_DROP, first).number == 1);
	assert_true(dead_number(1) == first + 2);
	assert_true(dead_do(ORDER_DEAD_RETRY, 0).number == 1);
	dead_number(0);
	journal_figures(bj->j, &bj->figures);
	assert_int_equal(bj->figures.spool_records, 3);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, util_setup, util_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(knows_who_is_present),
	    TEST(forgets_the_dead),
	    TEST(learns_again),
	    TEST(bounds_presence),
	    TEST(adds_up_channels),
	    TEST(keeps_dead_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
