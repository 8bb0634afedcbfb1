/*
 * Questions to the broker: each is answered once, whatever comes twice, late, in parts,
 * or not at all.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "base/base_time.h"
#include "play_util.h"

#define OPTIONS                                                             \
	"namespace \"\" { subscribe = anyone publish = anyone }\n"          \
	"namespace \"or\" { subscribe = anyone publish = anyone "           \
	"history_size = 5 history_for = anyone presence = on "              \
	"presence_for = anyone join_leave = on recover = on }\n"            \
	"broker_timeout = \"300ms\"\nhistory_reply = \"64k\"\n"

static struct {
	unsigned n; /* answers */
	struct order_msg last;
	char data[300000];
	uint64_t ask_again; /* in the callback, this often */
	uint64_t forget;
} got;

static int
set_up(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	play_start(OPTIONS);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	play_stop();
	return 0;
}

static void
on_answer(void *arg, const struct order_msg *m)
{
	assert_ptr_equal(arg, &got);
	got.n++;
	got.last = *m;
	if (m->data.len > 0)
		memcpy(got.data, m->data.p, m->data.len);
	if (got.forget != 0)
		order_forget(play.env.order, got.forget);
	if (got.ask_again > 0) {
		struct order_msg again = {
		    .kind = ORDER_HISTORY, .channel = play_slice("or:x")};

		got.ask_again--;
		assert_true(order_ask(play.env.order, &again, on_answer, &got) != 0);
	}
}

static uint64_t
ask(const char *channel)
{
	struct order_msg m = {.kind = ORDER_HISTORY, .channel = play_slice(channel)};
	uint64_t req = order_ask(play.env.order, &m, on_answer, &got);

	if (req != 0)
		assert_int_equal(m.req, req);
	return req;
}

static void
answer(uint64_t req, uint32_t flags, const char *data)
{
	const struct order_msg m = {.kind = ORDER_HISTORY_IS,
	    .flags = flags,
	    .req = req,
	    .number = 7,
	    .data = play_slice(data)};

	play_answer(&m);
}

/* ---- questions ---- */

static void
says_hello_first(void **state)
{
	const struct base_slice none = {NULL, 0};
	struct ring_queue_item item;
	struct order_msg m;

	(void)state;
	assert_int_equal(ring_queue_next(play.asked, &item), 1);
	assert_true(order_msg_decode(
	    none, (struct base_slice){item.body, item.head.body_len}, &m));
	assert_int_equal(m.kind, ORDER_HELLO);
	assert_int_equal(m.number, 1);
}

static void
answers_once(void **state)
{
	struct order_msg m;
	uint64_t req;

	(void)state;
	req = ask("or:a");
	assert_true(req != 0);
	assert_true((play.env.wake_mask & 2) != 0);
	assert_true(play_next(&m));
	assert_int_equal(m.kind, ORDER_HISTORY);
	assert_int_equal(m.req, req);
	assert_int_equal(m.channel.len, 4);
	assert_memory_equal(m.channel.p, "or:a", 4);
	assert_false(order_pending(play.env.order));
	answer(req, 0, "text");
	answer(req, 0, "twice");
	answer(req + 1, 0, "of nobody's");
	assert_true(order_pending(play.env.order));
	play_turn();
	assert_false(order_pending(play.env.order));
	assert_int_equal(got.n, 1);
	assert_int_equal(got.last.number, 7);
	assert_memory_equal(got.data, "text", 4);
}

static void
puts_parts_together(void **state)
{
	uint64_t one, two;

	(void)state;
	one = ask("or:a");
	two = ask("or:b");
	answer(one, ORDER_F_MORE, "first ");
	answer(two, 0, "other");
	play_turn();
	assert_int_equal(got.n, 1);
	answer(one, ORDER_F_MORE, "second ");
	play_turn();
	assert_int_equal(got.n, 1);
	answer(one, 0, "third");
	play_turn();
	assert_int_equal(got.n, 2);
	assert_int_equal(got.last.data.len, 18);
	assert_memory_equal(got.data, "first second third", 18);
}

static void
begins_anew_with_another_broker(void **state)
{
	const struct order_msg hello = {.kind = ORDER_BROKER_HELLO, .number = 2};
	uint64_t one;

	(void)state;
	one = ask("or:a");
	answer(one, ORDER_F_MORE, "half of");
	play_answer(&hello);
	answer(one, ORDER_F_MORE, "all ");
	answer(one, 0, "of it");
	play_turn();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.last.data.len, 9);
	assert_memory_equal(got.data, "all of it", 9);
}

static void
refuses_an_answer_without_end(void **state)
{
	static char text[20001];
	uint64_t one;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	one = ask("or:a");
	for (unsigned i = 0; i < 50; i++) {
		answer(one, ORDER_F_MORE, text);
		play_turn();
		assert_int_equal(got.n, 0);
	}
	answer(one, 0, text);
	play_turn();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.last.code, PROTO_ERROR_LIMIT_EXCEEDED);
	assert_int_equal(got.last.data.len, 0);
}

static void
gives_up_after_a_while(void **state)
{
	int64_t begin = base_time_ms();
	uint64_t one, two;

	(void)state;
	one = ask("or:a");
	two = ask("or:b");
	usleep(100000);
	answer(two, 0, "");
	play_turn();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.last.code, 0);
	while (got.n == 1) {
		usleep(10000);
		play_turn();
	}
	assert_in_range(base_time_ms() - begin, 300, 2000);
	assert_int_equal(got.last.code, PROTO_ERROR_INTERNAL);
	assert_int_equal(stat_get(play.env.stat, ask_timeouts), 1);
	answer(one, 0, "late");
	play_turn();
	assert_int_equal(got.n, 2);
}

/* A process that was stopped for long looks at what has come before it gives up. */
static void
does_not_give_up_what_is_answered(void **state)
{
	uint64_t one;

	(void)state;
	one = ask("or:a");
	answer(one, 0, "in time");
	usleep(400000);
	play_turn();
	assert_int_equal(got.n, 1);
	assert_int_equal(got.last.code, 0);
}

static void
forgets(void **state)
{
	uint64_t one, two, three;

	(void)state;
	one = ask("or:a");
	two = ask("or:b");
	three = ask("or:c");
	order_forget(play.env.order, two);
	order_forget(play.env.order, two);
	order_forget(play.env.order, 0);
	got.forget = three;
	answer(one, 0, "");
	answer(two, 0, "");
	answer(three, 0, "");
	play_turn();
	assert_int_equal(got.n, 1);
	usleep(350000);
	play_turn();
	assert_int_equal(got.n, 1);
}

static void
asks_while_it_is_answered(void **state)
{
	uint64_t req;
	struct order_msg m;

	(void)state;
	got.ask_again = 3;
	req = ask("or:a");
	answer(req, 0, "");
	play_turn();
	while (got.ask_again > 0 || got.n < 4) {
		while (play_next(&m))
			answer(m.req, 0, "");
		play_turn();
	}
	assert_int_equal(got.n, 4);
}

static void
keeps_very_many(void **state)
{
	static uint64_t reqs[1000];
	struct order_msg m;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		reqs[i] = ask("or:m");
		assert_true(reqs[i] != 0);
		assert_true(i == 0 || reqs[i] != reqs[i - 1]);
		while (play_next(&m))
			;
	}
	/* In another order than they were asked. */
	for (unsigned i = 0; i < 1000; i++) {
		answer(reqs[i * 7 % 1000], 0, "");
		if (i % 100 == 0)
			play_turn();
	}
	while (play_turn())
		;
	assert_int_equal(got.n, 1000);
}

static void
says_when_the_queue_is_full(void **state)
{
	struct order_msg m = {.kind = ORDER_LEAVE, .channel = play_slice("or:a")};
	unsigned n = 0, seen = 0;

	(void)state;
	assert_true(order_roomy(play.env.order));
	while (ask("or:full") != 0)
		n++;
	assert_true(n > 500);
	assert_false(order_roomy(play.env.order));
	assert_false(order_tell(play.env.order, &m));
	assert_int_equal(stat_get(play.env.stat, ask_refused), 1);
	assert_int_equal(stat_get(play.env.stat, asked), n);
	while (play_next(&m))
		seen++;
	assert_int_equal(seen, n);
	assert_true(order_roomy(play.env.order));
	assert_true(ask("or:full") != 0);
}

static void
knows_what_is_too_large(void **state)
{
	static char text[40000];
	struct order_msg m = {.kind = ORDER_PUBLISH,
	    .channel = play_slice("or:a"),
	    .data = {text, 30000}};

	(void)state;
	assert_true(order_fits(play.env.order, &m));
	m.conn_info = (struct base_slice){text, 10000};
	assert_false(order_fits(play.env.order, &m));
	assert_true(order_max(play.env.order) > 30000);
	assert_true(order_max(play.env.order) < 40000);
}

/* ---- presence, and the channels that there are ---- */

static unsigned told_n;

static void
told(struct sess *s, const char *text, size_t len)
{
	(void)s;
	(void)text;
	(void)len;
	told_n++;
}

static void
closed(struct sess *s, enum proto_disconnect code)
{
	(void)s;
	fail_msg("closed with %d", (int)code);
}

static struct sess sessions[300];

static void
arrive(unsigned n, const char *channel)
{
	play_told = told;
	play_closed = closed;
	for (unsigned i = 0; i < n; i++) {
		sess_init(&sessions[i], &play.env);
		play_command(&sessions[i], "{\"id\":1,\"connect\":{}}");
		play_command(&sessions[i],
		    "{\"id\":2,\"subscribe\":{\"channel\":\"%s%u\"}}", channel, i % 50);
	}
}

static void
depart(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sess_close(&sessions[i]);
}

/* Answers questions; the rest is counted. */
static unsigned
count_kind(enum order_kind kind, uint32_t flags)
{
	unsigned n = 0;
	struct order_msg m;

	while (play_next(&m)) {
		const struct order_msg a = {.kind = ORDER_FOLLOWED,
		    .req = m.req,
		    .epoch = play_slice("abcdefgh")};

		if (m.kind == ORDER_FOLLOW)
			play_answer(&a);
		n += m.kind == kind && m.flags == flags;
	}
	return n;
}

static void
tells_who_is_there_again(void **state)
{
	const struct order_msg hello = {.kind = ORDER_BROKER_HELLO, .number = 2};
	unsigned n = 0;

	(void)state;
	arrive(300, "or:p");
	for (unsigned i = 0; i < 10; i++) {
		n += count_kind(ORDER_JOIN, 0);
		play_turn();
	}
	n += count_kind(ORDER_JOIN, 0);
	assert_int_equal(n, 300);
	play_answer(&hello);
	play_turn();
	assert_int_equal(count_kind(ORDER_PRESENCE_RESET, 0), 1);
	play_answer(&hello);
	for (n = 0; play_turn(); n += count_kind(ORDER_JOIN, ORDER_F_AGAIN))
		;
	n += count_kind(ORDER_JOIN, ORDER_F_AGAIN);
	assert_true(n >= 300);
	depart(300);
	assert_int_equal(count_kind(ORDER_LEAVE, 0), 300);
}

/* Names that are told: 1 for each. */
static unsigned
told_channels(const char *pattern, uint64_t *subscribers_r)
{
	const struct order_msg q = {
	    .kind = ORDER_ASK_CHANNELS, .req = 5, .data = play_slice(pattern)};
	unsigned n = 0;
	bool last = false;
	struct order_msg m;

	*subscribers_r = 0;
	play_answer(&q);
	while (!last) {
		play_turn();
		while (play_next(&m)) {
			struct order_pair pair;

			if (m.kind != ORDER_CHANNELS_PART)
				continue;
			assert_int_equal(m.req, 5);
			assert_false(last);
			last = (m.flags & ORDER_F_MORE) == 0;
			while (order_pair_next(&m.data, &pair) > 0) {
				n++;
				*subscribers_r += pair.number;
			}
		}
	}
	return n;
}

static void
tells_the_channels_with_subscribers(void **state)
{
	uint64_t subscribers;

	(void)state;
	assert_int_equal(told_channels("", &subscribers), 0);
	arrive(300, "ch");
	assert_int_equal(told_channels("", &subscribers), 50);
	assert_int_equal(subscribers, 300);
	assert_int_equal(told_channels("ch1*", &subscribers), 11);
	assert_int_equal(subscribers, 66);
	assert_int_equal(told_channels("none", &subscribers), 0);
	depart(300);
	assert_int_equal(told_channels("", &subscribers), 0);
}

static void
tells_very_many_channels(void **state)
{
	struct hub *hub = play.env.hub;
	static struct sess s;
	uint64_t subscribers;
	char name[1000];

	(void)state;
	s = (struct sess){.env = &play.env};
	memset(name, 'n', sizeof(name));
	for (unsigned i = 0; i < 3000; i++) {
		struct base_slice n = {name,
		    (size_t)snprintf(name, sizeof(name), "%u", i)};

		name[n.len] = 'n';
		n.len = i % 10 == 0 ? sizeof(name) : n.len;
		hub_subscribe(hub, &s, n, hub_hash(hub, n));
	}
	assert_int_equal(told_channels("", &subscribers), 3000);
	assert_int_equal(subscribers, 3000);
	while (s.n_subs > 0)
		hub_unsubscribe(hub, &s, s.n_subs - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(says_hello_first),
	    TEST(answers_once),
	    TEST(puts_parts_together),
	    TEST(begins_anew_with_another_broker),
	    TEST(refuses_an_answer_without_end),
	    TEST(gives_up_after_a_while),
	    TEST(does_not_give_up_what_is_answered),
	    TEST(forgets),
	    TEST(asks_while_it_is_answered),
	    TEST(keeps_very_many),
	    TEST(says_when_the_queue_is_full),
	    TEST(knows_what_is_too_large),
	    TEST(tells_who_is_there_again),
	    TEST(tells_the_channels_with_subscribers),
	    TEST(tells_very_many_channels),
	};

	base_log_set_level(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
