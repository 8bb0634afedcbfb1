/*
 * Streams against a model: whatever the broker's lane loses, however late answers
 * come, and when epochs change, who was told a position gets each publication once
 * and in order, or is told that it missed something.
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
#include "base/base_mem.h"
#include "play_util.h"

#define CLIENTS 12
#define ANSWERS 8
#define KEPT 40 /* history_size */

/* ---- the broker's side of the model ---- */

static struct {
	char epoch[ORDER_EPOCH_LEN + 1];
	unsigned epochs;
	uint64_t top;
	struct base_buf answers[ANSWERS]; /* encoded, not yet given */
	unsigned n_answers;
	bool deaf; /* questions are left lying */
} broker;

static unsigned seed, this_run;

static unsigned
roll(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* The data says of which epoch it is. */
#define EPOCH UINT64_C(1000000)

static const char *
pub_text(uint64_t offset)
{
	static char text[128];

	snprintf(text, sizeof(text), "{\"data\":%llu,\"offset\":%llu}",
	    (unsigned long long)(broker.epochs * EPOCH + offset),
	    (unsigned long long)offset);
	return text;
}

/* Between two epochs lies the start of a broker, or long silence: the lane was read. */
static void
new_epoch(void)
{
	while (play_turn())
		;
	snprintf(broker.epoch, sizeof(broker.epoch), "epoch%03u", ++broker.epochs);
	broker.top = 0;
	play_epoch("a", broker.epoch);
}

/* SHOWN: the lane has it. */
static void
publish(bool shown)
{
	broker.top++;
	if (shown)
		play_record("a", broker.top, pub_text(broker.top));
}

static uint64_t
oldest(void)
{
	return broker.top < KEPT ? 1 : broker.top - KEPT + 1;
}

static void
list_after(uint64_t since, int32_t limit, struct base_buf *list)
{
	uint64_t first = BASE_MAX(since + 1, oldest());

	if (since >= broker.top || limit <= 0)
		return;
	if (broker.top - first + 1 > (uint64_t)limit)
		first = broker.top - (uint64_t)limit + 1;
	for (; first <= broker.top; first++) {
		const struct order_pub pub = {first, play_slice(pub_text(first))};

		order_pub_add(list, &pub);
	}
}

/* Answers what was asked as of now; the answer is given some time later. */
static void
take_question(void)
{
	struct base_buf list = {0};
	struct order_msg m, a;

	if (broker.n_answers == ANSWERS || !play_next(&m))
		return;
	if (m.kind != ORDER_FOLLOW)
		return;
	a = (struct order_msg){.kind = ORDER_FOLLOWED,
	    .req = m.req,
	    .offset = m.offset,
	    .number = broker.top,
	    .epoch = play_slice(broker.epoch)};
	if (roll(40) == 0)
		a.code = PROTO_ERROR_INTERNAL;
	else
		list_after(m.offset, m.limit, &list);
	a.data = (struct base_slice){list.p, list.len};
	order_msg_encode(&a, &broker.answers[broker.n_answers++]);
	base_buf_free(&list);
}

static void
give_answer(void)
{
	struct base_buf first = broker.answers[0];
	const struct base_slice none = {NULL, 0};
	struct order_msg m;

	if (broker.n_answers == 0)
		return;
	assert_true(
	    order_msg_decode(none, (struct base_slice){first.p, first.len}, &m));
	play_answer(&m);
	base_buf_free(&first);
	memmove(broker.answers, broker.answers + 1,
	    --broker.n_answers * sizeof(broker.answers[0]));
	broker.answers[broker.n_answers] = (struct base_buf){0};
}

/* ---- the clients' side ---- */

static struct client {
	struct sess sess;
	bool there;	  /* connected */
	bool asked;	  /* subscribe is not answered */
	bool subscribed;
	bool placed;	  /* it wants a position */
	bool leaving;	  /* unsubscribe is under way */
	bool knows;	  /* epoch and offset are of use */
	char epoch[ORDER_EPOCH_LEN + 1];
	uint64_t offset;  /* of the last one that it had */
	uint64_t recover; /* what it asked for */
} clients[CLIENTS];

static unsigned recoveries, failures, losses, pushes, healed;

/* The number behind NAME in TEXT, or 0. */
static uint64_t
number(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p == NULL ? 0 : strtoull(p + strlen(name), NULL, 10);
}

/* Each publication of TEXT is the next one of EPOCH. */
static uint64_t
check_list(const char *text, const char *epoch, uint64_t offset)
{
	const char *p = text;

	while ((p = strstr(p, "{\"data\":")) != NULL) {
		uint64_t data = number(p, "{\"data\":");
		uint64_t at = number(p, ",\"offset\":");

		assert_int_equal(at, offset + 1);
		assert_int_equal(data, strtoul(epoch + 5, NULL, 10) * EPOCH + at);
		offset = at;
		p++;
	}
	return offset;
}

static void
on_subscribed(struct client *c, const char *text)
{
	bool recovered = strstr(text, "\"recovered\":true") != NULL;
	const char *epoch = strstr(text, "\"epoch\":\"");
	const char *list = strstr(text, "\"publications\":[");
	const char *end = list == NULL ? NULL : strchr(list, ']');
	uint64_t offset = number(end == NULL ? text : end, "\"offset\":");

	assert_true(c->asked);
	c->asked = false;
	c->subscribed = true;
	if (!c->placed)
		c->offset = 0;
	/* One that is cut short is told no position. */
	if (!c->placed || c->leaving)
		return;
	assert_non_null(strstr(text, "\"positioned\":true"));
	assert_non_null(epoch);
	memcpy(c->epoch, epoch + 9, ORDER_EPOCH_LEN);
	if (recovered) {
		assert_int_equal(offset, c->recover);
		c->offset = c->recover;
		if (list != NULL)
			c->offset = check_list(list, c->epoch, c->offset);
		recoveries++;
	} else {
		assert_null(list);
		failures += strstr(text, "was_recovering") != NULL;
		c->offset = offset;
	}
	c->knows = true;
}

static void
on_push(struct client *c, const char *text)
{
	uint64_t data;

	assert_true(c->subscribed);
	if (strstr(text, "\"unsubscribe\":{\"code\":2500") != NULL) {
		assert_true(c->placed);
		c->subscribed = false;
		losses++;
		return;
	}
	pushes++;
	if (c->placed) {
		c->offset = check_list(text, c->epoch, c->offset);
		return;
	}
	/* Not the same twice, and nothing older. */
	data = number(text, "{\"data\":");
	if (data <= c->offset)
		fail_msg("run %u: %s after %llu", this_run, text,
		    (unsigned long long)c->offset);
	c->offset = data;
}

static void
told(struct sess *s, const char *p, size_t len)
{
	struct client *c = BASE_CONTAINER(s, struct client, sess);
	char *text = base_memdup(p, len);

	assert_true(c->there);
	if (strstr(text, "\"push\"") != NULL)
		on_push(c, text);
	else if (strstr(text, "\"subscribe\"") != NULL)
		on_subscribed(c, text);
	else if (strstr(text, "\"error\"") != NULL)
		c->asked = false;
	free(text);
}

static void
closed(struct sess *s, enum proto_disconnect code)
{
	(void)s;
	fail_msg("closed with %d", (int)code);
}

static void
leave(struct client *c)
{
	if (!c->there)
		return;
	c->there = c->asked = c->subscribed = false;
	sess_close(&c->sess);
}

static void
arrive(struct client *c, bool placed)
{
	sess_init(&c->sess, &play.env);
	c->there = true;
	c->placed = placed;
	play_command(&c->sess, "{\"id\":1,\"connect\":{}}");
}

static void
subscribe(struct client *c)
{
	if (!c->there)
		arrive(c, roll(5) != 0);
	if (c->asked || c->subscribed)
		return;
	c->asked = true;
	if (!c->placed) {
		play_command(&c->sess, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
	} else if (!c->knows || roll(10) == 0) {
		play_command(&c->sess,
		    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"recoverable\":true}}");
	} else {
		c->recover = c->offset;
		play_command(&c->sess,
		    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"recoverable\":true,"
		    "\"recover\":true,\"offset\":%llu,\"epoch\":\"%s\"}}",
		    (unsigned long long)c->offset, c->epoch);
	}
}

static void
unsubscribe(struct client *c)
{
	if (!c->there)
		return;
	c->leaving = true;
	play_command(&c->sess, "{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}");
	assert_false(c->asked);
	c->subscribed = c->leaving = false;
}

/* ---- the play ---- */

/* The lane gets more than it holds. */
static void
lap(const char *channel)
{
	for (unsigned i = 0; i < 2 * PLAY_LANE / 192; i++)
		if (*channel == 'a')
			publish(true);
		else
			play_record(channel, i, pub_text(i));
}

static void
step(void)
{
	unsigned n = roll(1000);
	struct client *c = &clients[roll(CLIENTS)];

	if (n < 300)
		publish(roll(12) != 0);
	else if (n < 500)
		subscribe(c);
	else if (n < 530)
		unsubscribe(c);
	else if (n < 570)
		leave(c);
	else if (n < 700)
		take_question();
	else if (n < 800)
		give_answer();
	else if (n < 803)
		new_epoch();
	else if (n < 806)
		play_answer(&(struct order_msg){.kind = ORDER_BROKER_HELLO});
	else if (n < 810)
		lap(n < 807 ? "a" : "b");
	else
		play_turn();
}

/* Nobody waits, and, if it is to be, all have all. */
static bool
calm(bool all)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *c = &clients[i];

		if (c->asked)
			return false;
		if (all && c->subscribed && c->placed && c->offset != broker.top)
			return false;
	}
	return broker.n_answers == 0;
}

/* Long enough for the pauses between attempts. */
static void
settle(bool all)
{
	for (unsigned i = 0; i < 30000; i++) {
		take_question();
		give_answer();
		if (!play_turn() && calm(all) && i > 50)
			return;
		if (i > 50 && i % 4 == 0)
			usleep(500);
	}
	fail_msg("run %u: somebody waits forever", this_run);
}

static void
begin(unsigned number_of_run, const char *options)
{
	seed = this_run = number_of_run;
	memset(clients, 0, sizeof(clients));
	memset(&broker, 0, sizeof(broker));
	play_told = told;
	play_closed = closed;
	play_start(options);
	new_epoch();
}

static void
run(unsigned number_of_run, const char *options)
{
	begin(number_of_run, options);
	for (unsigned i = 0; i < 4000; i++)
		step();
	for (unsigned i = 0; i < CLIENTS; i++)
		subscribe(&clients[i]);
	settle(false);
	/* What the lane lost last is noticed by the next one. */
	publish(true);
	settle(true);
	publish(true);
	settle(true);
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];

		if (c->subscribed && c->placed) {
			assert_int_equal(c->offset, broker.top);
			assert_string_equal(c->epoch, broker.epoch);
		}
		leave(c);
	}
	healed += (unsigned)stat_get(play.env.stat, healed);
	play_stop();
}

#define NAMESPACE                                                                  \
	"namespace \"\" { subscribe = anyone publish = anyone history_size = 40 "  \
	"recover = optional }\n"

static void
nobody_misses_anything(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 60; i++)
		run(i, NAMESPACE);
	/* The model would prove nothing if these did not occur. */
	assert_true(recoveries > 500 && healed > 400 && failures > 100 && losses > 100);
	assert_true(pushes > 10000);
}

static void
nor_without_memory_for_tails(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++)
		run(i, NAMESPACE "tail_total = 0\n");
}

static void
nor_without_time_for_tails(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++)
		run(i, NAMESPACE "tail_linger = 0\n");
}

/*
 * A new broker publishes what has piled up, more than history has, and answers the
 * worker's question in the same turn: all of it is in the lane, so nobody missed it.
 */
static void
nor_when_the_answer_overtakes_the_lane(void **state)
{
	struct client *c = &clients[0];
	unsigned before = losses;

	(void)state;
	begin(1, NAMESPACE);
	arrive(c, true);
	subscribe(c);
	settle(true);
	publish(true);
	settle(true);
	play_answer(&(struct order_msg){.kind = ORDER_BROKER_HELLO});
	while (play_turn())
		;
	play_turn();
	for (unsigned i = 0; i < 2 * KEPT; i++)
		publish(true);
	/* Behind what the worker tells every new broker. */
	for (unsigned i = 0; i < 10 && broker.n_answers == 0; i++)
		take_question();
	assert_int_equal(broker.n_answers, 1);
	give_answer();
	settle(true);
	assert_int_equal(losses, before);
	assert_true(c->subscribed);
	assert_int_equal(c->offset, 2 * KEPT + 1);
	leave(c);
	play_stop();
}

/*
 * Who was not told a position gets what the lane has, also when it is no news to who
 * was told one just now.
 */
static void
nor_without_a_position(void **state)
{
	struct client *plain = &clients[0], *placed = &clients[1];
	unsigned before;

	(void)state;
	begin(1, NAMESPACE);
	arrive(plain, false);
	arrive(placed, true);
	subscribe(plain);
	subscribe(placed);
	for (unsigned i = 0; i < 3; i++)
		publish(true);
	take_question();
	give_answer();
	before = pushes;
	play_turn();
	assert_int_equal(pushes - before, 3);
	assert_int_equal(plain->offset, EPOCH + 3);
	assert_int_equal(placed->offset, 3);
	publish(true);
	settle(true);
	assert_int_equal(plain->offset, EPOCH + 4);
	leave(plain);
	leave(placed);
	play_stop();
}

/* The lane's word of another epoch is lost, and the next record that comes has the very
 * offset that is awaited. */
static void
nor_takes_another_epoch_for_its_own(void **state)
{
	struct client *c = &clients[0];
	unsigned before = losses;

	(void)state;
	begin(1, NAMESPACE);
	arrive(c, true);
	subscribe(c);
	settle(true);
	for (unsigned i = 0; i < 5; i++)
		publish(true);
	settle(true);
	new_epoch();
	for (unsigned i = 0; i < 5; i++)
		publish(true);
	lap("b");
	publish(true);
	assert_int_equal(broker.top, c->offset + 1);
	settle(false);
	while (losses == before)
		settle(false);
	assert_int_equal(c->offset, 5);
	subscribe(c);
	settle(false);
	assert_int_equal(c->offset, 6);
	leave(c);
	play_stop();
}

/* An answer says nothing about what was not asked for: who came too late for the
 * question is not told that it is lost. */
static void
nor_is_told_so_too_soon(void **state)
{
	struct client *first = &clients[0], *second = &clients[1];
	unsigned before = recoveries;

	(void)state;
	begin(1, NAMESPACE);
	for (unsigned i = 0; i < 3; i++)
		publish(true);
	arrive(first, true);
	arrive(second, true);
	subscribe(first);
	take_question();
	second->knows = true;
	second->offset = 1;
	memcpy(second->epoch, broker.epoch, sizeof(second->epoch));
	subscribe(second);
	give_answer();
	settle(true);
	assert_int_equal(recoveries - before, 1);
	assert_int_equal(second->offset, 3);
	leave(first);
	leave(second);
	play_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_misses_anything),
	    cmocka_unit_test(nor_without_memory_for_tails),
	    cmocka_unit_test(nor_without_time_for_tails),
	    cmocka_unit_test(nor_when_the_answer_overtakes_the_lane),
	    cmocka_unit_test(nor_without_a_position),
	    cmocka_unit_test(nor_is_told_so_too_soon),
	    cmocka_unit_test(nor_takes_another_epoch_for_its_own),
	};

	base_log_set_level(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
