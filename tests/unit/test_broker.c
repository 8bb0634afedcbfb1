/*
 * The broker: publications, their places and pushes, keys, refusals.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker_util.h"
#include "journal/journal_tail.h"
#include "ring/ring_priv.h"

static void
placed(const struct order_msg *answer, uint64_t offset, char epoch_r[ORDER_EPOCH_LEN])
{
	assert_int_equal(answer->code, 0);
	assert_true(answer->offset == offset);
	assert_int_equal(answer->epoch.len, ORDER_EPOCH_LEN);
	memcpy(epoch_r, answer->epoch.p, ORDER_EPOCH_LEN);
}

static void
gives_places(void **state)
{
	char epoch[ORDER_EPOCH_LEN], told[ORDER_EPOCH_LEN], text[256];
	struct order_msg answer;

	(void)state;
	util_broker();
	util_interest("hist:a");
	answer = util_publish("hist:a", NULL, "{\"x\": 1}");
	placed(&answer, 1, epoch);
	util_epoch_is("hist:a", told);
	assert_memory_equal(told, epoch, sizeof(epoch));
	snprintf(text, sizeof(text),
	    "{\"push\":{\"channel\":\"hist:a\",\"pub\":{\"data\":{\"x\": 1},"
	    "\"offset\":1,\"epoch\":\"%.8s\"}}}",
	    epoch);
	util_push_is("hist:a", 1, text);
	answer = util_publish("hist:a", NULL, "\n[2,\n3]");
	placed(&answer, 2, told);
	assert_memory_equal(told, epoch, sizeof(epoch));
	util_push_is("hist:a", 2,
	    "{\"push\":{\"channel\":\"hist:a\",\"pub\":{\"data\":[2,3],"
	    "\"offset\":2}}}");
	/* Nobody is there to be told. */
	answer = util_publish("hist:b", NULL, "1");
	placed(&answer, 1, told);
	assert_memory_not_equal(told, epoch, sizeof(epoch));
	util_no_push();
	assert_int_equal(stat_get(util.stat, broker_published), 3);
}

static void
says_who_published(void **state)
{
	const struct order_msg msg = {.kind = ORDER_PUBLISH,
	    .channel = UTIL_S("spool:c"),
	    .user = UTIL_S("u\"1"),
	    .client = UTIL_S("c-1"),
	    .conn_info = UTIL_S("{\"n\":1}"),
	    .chan_info = UTIL_S("[]"),
	    .data = UTIL_S("null")};
	char epoch[ORDER_EPOCH_LEN], text[256];

	(void)state;
	util_broker();
	util_interest("spool:c");
	util_send(0, &msg);
	util_turns();
	util_epoch_is("spool:c", epoch);
	snprintf(text, sizeof(text),
	    "{\"push\":{\"channel\":\"spool:c\",\"pub\":{\"data\":null,\"info\":"
	    "{\"user\":\"u\\\"1\",\"client\":\"c-1\",\"conn_info\":{\"n\":1},"
	    "\"chan_info\":[]},\"offset\":1,\"epoch\":\"%.8s\"}}}",
	    epoch);
	util_push_is("spool:c", 1, text);
	/* It wanted no answer. */
	util_no_reply(0);
}

struct spooled {
	unsigned n;
	unsigned char last_id[JOURNAL_ID_LEN];
	struct base_slice channel;
	bool good;
};

static bool
is(struct base_slice got, struct base_slice want)
{
	return got.len == want.len && memcmp(got.p, want.p, want.len) == 0;
}

static bool
count_spooled(void *arg, const struct journal_spooled *rec)
{
	struct spooled *s = arg;

	s->n++;
	/* Version 7, variant 2, and each later than the one before. */
	s->good = s->good && rec->rec.id[6] >> 4 == 7 && rec->rec.id[8] >> 6 == 2 &&
	    memcmp(rec->rec.id, s->last_id, 8) > 0 && rec->offset == s->n &&
	    is(rec->channel, s->channel) && is(rec->rec.user, UTIL_S("u")) &&
	    is(rec->rec.info, UTIL_S("{\"user\":\"u\",\"client\":\"\"}")) &&
	    is(rec->rec.data, UTIL_S("[1]"));
	memcpy(s->last_id, rec->rec.id, sizeof(s->last_id));
	return true;
}

static bool
spool_is_good(const char *name, const char *channel, unsigned n)
{
	struct spooled s = {.channel = {channel, strlen(channel)}, .good = true};
	struct journal_tail *t;
	char path[128], err[256];
	bool absent;
	int r;

	snprintf(path, sizeof(path), "%s/%s", util.dir, name);
	if (journal_tail_open(path, &t, &absent, err, sizeof(err)) < 0)
		return false;
	r = journal_tail_read(t, 0, count_spooled, &s);
	journal_tail_close(t);
	if (s.n != n)
		fprintf(stderr, "%s: %u, not %u\n", name, s.n, n);
	return r == JOURNAL_OK && s.good && s.n == n;
}

/* In another process, as LMDB wants it. */
static void
check_spool(const char *name, const char *channel, unsigned n)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(spool_is_good(name, channel, n) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
publish_many(const char *channel, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct order_msg msg = {.kind = ORDER_PUBLISH,
		    .req = 100 + i,
		    .channel = {channel, strlen(channel)},
		    .user = UTIL_S("u"),
		    .data = UTIL_S("[\n1]")};

		util_send(i % UTIL_WORKERS, &msg);
	}
	util_turns();
}

/* The archiver is told, the spool has them in their order, until it has them too. */
static void
spools(void **state)
{
	static const struct {
		unsigned journal;
		const char *channel;
		uint32_t flags;
	} rows[] = {{BROKER_SPOOL, "arch:a", 0},
	    {BROKER_HISTORY, "quick:a", ORDER_F_MEMORY}};
	struct order_msg msg;

	(void)state;
	util_broker();
	for (size_t i = 0; i < BASE_COUNT(rows); i++) {
		struct broker_journal *bj = &util.b->journals[rows[i].journal];

		util_turns();
		util_no_reply(UTIL_ARCHIVER);
		publish_many(rows[i].channel, 300);
		util_reply(UTIL_ARCHIVER, ORDER_SPOOLED);
		check_spool(bj->name, rows[i].channel, 300);
		journal_figures(bj->j, &bj->figures);
		assert_int_equal(bj->figures.spool_records, 300);
		msg = (struct order_msg){.kind = ORDER_ARCHIVED,
		    .number = bj->figures.spool_last,
		    .flags = rows[i].flags};
		util_send(UTIL_ARCHIVER, &msg);
		util_turns();
		check_spool(bj->name, rows[i].channel, 0);
		for (unsigned k = 0; k < 150; k++) {
			util_reply(0, ORDER_PUBLISHED);
			util_reply(1, ORDER_PUBLISHED);
		}
	}
}

/* Two workers, one order, and all of it in a few transactions. */
static void
takes_batches(void **state)
{
	uint64_t last[UTIL_WORKERS] = {0}, sum = 0;

	(void)state;
	util_broker();
	util_interest("hist:x");
	publish_many("hist:x", 400);
	assert_in_range(stat_get(util.stat, broker_batches), 1, 3);
	for (unsigned i = 0; i < 400; i++) {
		struct order_msg answer = util_reply(i % UTIL_WORKERS, ORDER_PUBLISHED);

		assert_true(answer.req == 100 + i);
		assert_true(answer.offset > last[i % UTIL_WORKERS]);
		last[i % UTIL_WORKERS] = answer.offset;
		sum += answer.offset;
	}
	assert_int_equal(sum, 400 * 401 / 2);
	for (uint64_t offset = 0; offset <= 400; offset++) {
		struct base_slice name, text;
		struct ring_head head;

		assert_true(util_pushed(&head, &name, &text));
		assert_true(head.offset == offset);
		assert_int_equal(head.type, offset == 0 ? RING_CTRL : RING_DATA);
	}
	util_no_push();
}

static void
knows_keys(void **state)
{
	struct order_msg answer;
	char epoch[ORDER_EPOCH_LEN], again[ORDER_EPOCH_LEN];

	(void)state;
	util_broker();
	util_interest("hist:k");
	util_interest("plain:k");
	answer = util_publish("hist:k", "one", "1");
	placed(&answer, 1, epoch);
	answer = util_publish("hist:k", "two", "2");
	placed(&answer, 2, again);
	answer = util_publish("hist:k", "one", "3");
	placed(&answer, 1, again);
	assert_memory_equal(again, epoch, sizeof(epoch));
	/* The key is the channel's own. */
	answer = util_publish("hist:l", "one", "3");
	placed(&answer, 1, again);
	assert_memory_not_equal(again, epoch, sizeof(epoch));
	util_epoch_is("hist:k", again);
	for (unsigned i = 0; i < 2; i++) {
		struct base_slice name, text;
		struct ring_head head;

		assert_true(util_pushed(&head, &name, &text));
		assert_true(head.offset == i + 1);
	}
	util_no_push();
	for (unsigned i = 0; i < 2; i++) {
		answer = util_publish("plain:k", "one", "1");
		assert_int_equal(answer.code, 0);
		assert_int_equal(answer.epoch.len, 0);
		assert_true(answer.offset == 0);
	}
	util_push_is(
	    "plain:k", 0, "{\"push\":{\"channel\":\"plain:k\",\"pub\":{\"data\":1}}}");
	util_no_push();
	assert_int_equal(stat_get(util.stat, broker_repeated), 2);
}

/* The first thing that a new broker says to each. */
static void
says_hello(void **state)
{
	struct order_msg msg;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		util_broker();
		for (unsigned i = 0; i < UTIL_SLOTS; i++) {
			if (i == UTIL_BROKER)
				continue;
			assert_true(util_next(i, &msg));
			assert_int_equal(msg.kind, ORDER_BROKER_HELLO);
			assert_true(msg.number == util.generation);
			assert_false(util_next(i, &msg));
		}
	}
}

/* A new broker goes on where the last one was, after a good end as well. */
static void
goes_on(void **state)
{
	static const char *const channels[] = {"hist:g", "spool:g"};
	char epochs[2][ORDER_EPOCH_LEN], epoch[ORDER_EPOCH_LEN];
	struct order_msg answer;

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		util_broker();
		for (unsigned i = 0; i < BASE_COUNT(channels); i++) {
			answer = util_publish(channels[i], NULL, "1");
			placed(&answer, round, epoch);
			if (round == 1)
				memcpy(epochs[i], epoch, sizeof(epoch));
			assert_memory_equal(epoch, epochs[i], sizeof(epoch));
		}
		/* Of another life of the daemon. */
		if (round == 2)
			util_world((struct util_sizes){1u << 20, 64u << 10});
	}
}

static void
refuses_strangers(void **state)
{
	struct order_msg msg = {.kind = ORDER_PUBLISH,
	    .req = 5,
	    .channel = UTIL_S("nowhere:x"),
	    .data = UTIL_S("1")};
	char big[200000];
	struct ring_head head = {.type = RING_DATA};
	struct iovec junk = {big, 30};

	(void)state;
	util_world((struct util_sizes){256u << 10, 2u << 20});
	util_broker();
	assert_int_equal(
	    util_ask(&msg, ORDER_PUBLISHED).code, PROTO_ERROR_UNKNOWN_CHANNEL);
	/* Too large for a push. */
	memset(big, '1', sizeof(big));
	msg.channel = UTIL_S("hist:x");
	msg.data = (struct base_slice){big, sizeof(big)};
	assert_int_equal(
	    util_ask(&msg, ORDER_PUBLISHED).code, PROTO_ERROR_LIMIT_EXCEEDED);
	/* It took no place. */
	assert_true(util_publish("hist:x", NULL, "1").offset == 1);
	/* What makes no sense is passed over. */
	assert_int_equal(ring_queue_put(util.clients[0].out, &head, UTIL_S("x"), &junk,
			     1), 0);
	msg = (struct order_msg){.kind = ORDER_ARCHIVED, .number = 1000};
	util_send(0, &msg);
	util_turns();
	util_no_reply(0);
	assert_true(util_publish("hist:x", NULL, "1").offset == 2);
}

/* What a mad worker has written of its queue is its own loss. */
static void
shuns_the_mad(void **state)
{
	const struct order_msg msg = {.kind = ORDER_PUBLISH,
	    .req = 5,
	    .channel = UTIL_S("hist:m"),
	    .data = UTIL_S("1")};

	(void)state;
	util_broker();
	util_send(0, &msg);
	atomic_store(
	    &ring_seg_queue(util.seg, 0, RING_QUEUE_CLIENT)->tail, UINT64_C(1) << 40);
	util_turns();
	assert_false(broker_pending(util.b));
	util_no_reply(0);
	util_send(1, &msg);
	assert_true(broker_pending(util.b));
	util_turns();
	assert_true(util_reply(1, ORDER_PUBLISHED).offset == 1);
}

static void
says_what_is_full(void **state)
{
	static char data[60002];
	struct order_msg answer;
	unsigned n = 0;

	(void)state;
	memset(data, 'x', sizeof(data) - 1);
	data[0] = data[sizeof(data) - 2] = '"';
	util_conf("spool_size = 1m\nhistory_total = 1m\n");
	util_world((struct util_sizes){1u << 20, 1u << 20});
	util_broker();
	do
		answer = util_publish("arch:f", NULL, data);
	while (answer.code == 0 && n++ < 40);
	assert_in_range(n, 14, 18);
	assert_int_equal(answer.code, PROTO_ERROR_INTERNAL);
	util_text_is(answer.data, "spool is full, try again");
	/* Others go on. */
	assert_int_equal(util_publish("hist:f", NULL, data).code, 0);
	for (n = 0, answer.code = 0; answer.code == 0 && n < 40; n++) {
		char channel[32];

		snprintf(channel, sizeof(channel), "hist:f%u", n);
		answer = util_publish(channel, NULL, data);
	}
	util_text_is(answer.data, "history is full, try again");
	/* More room, and it goes on where it was. */
	util_conf("");
	answer = util_publish("arch:f", NULL, data);
	assert_int_equal(answer.code, 0);
	assert_in_range(answer.offset, 15, 19);
	assert_int_equal(stat_get(util.stat, broker_refused), 2);
}

/* A channel that begins anew with a publication that finds no room: whoever follows
 * the old one has to know before the next one comes. */
static void
begins_with_a_refusal(void **state)
{
	static const char more[] =
	    "history_total = 1m\n"
	    "namespace \"brief\" { history_size = 5 history_ttl = 1s "
	    "history_meta_ttl = 1s }\n";
	char old[ORDER_EPOCH_LEN], fresh[ORDER_EPOCH_LEN];
	static char data[60002];
	struct base_slice name, text;
	struct order_msg answer;
	struct ring_head head;
	unsigned n = 0;

	(void)state;
	memset(data, 'x', sizeof(data) - 1);
	data[0] = data[sizeof(data) - 2] = '"';
	util_conf(more);
	util_world((struct util_sizes){1u << 20, 1u << 20});
	util_broker();
	util_interest("brief:a");
	answer = util_publish("brief:a", NULL, "1");
	placed(&answer, 1, old);
	util_epoch_is("brief:a", fresh);
	assert_true(util_pushed(&head, &name, &text));
	do {
		char channel[32];

		snprintf(channel, sizeof(channel), "hist:%u", n);
		answer = util_publish(channel, NULL, data);
	} while (answer.code == 0 && n++ < 40);
	util_text_is(answer.data, "history is full, try again");
	usleep(1100000);
	answer = util_publish("brief:a", NULL, data);
	assert_int_equal(answer.code, PROTO_ERROR_INTERNAL);
	util_epoch_is("brief:a", fresh);
	assert_memory_not_equal(fresh, old, sizeof(old));
	util_no_push();
	answer = util_publish("brief:a", NULL, "1");
	placed(&answer, 1, old);
	assert_memory_equal(fresh, old, sizeof(old));
}

static void
lives_without_journal(void **state)
{
	struct order_msg answer;
	char path[128];

	(void)state;
	/* The directory cannot be made, nor moved away. */
	snprintf(path, sizeof(path), "%s/spool.lock", util.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	util_broker();
	answer = util_publish("spool:d", NULL, "1");
	assert_int_equal(answer.code, PROTO_ERROR_INTERNAL);
	util_text_is(answer.data, "spool is not available, try again");
	assert_int_equal(util_publish("hist:d", NULL, "1").code, 0);
	assert_int_equal(rmdir(path), 0);
	for (unsigned i = 0; answer.code != 0 && i < 40; i++) {
		usleep(50000);
		util_turns();
		answer = util_publish("spool:d", NULL, "1");
	}
	assert_int_equal(answer.code, 0);
	assert_true(answer.offset == 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, util_setup, util_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(gives_places),
	    TEST(says_who_published),
	    TEST(spools),
	    TEST(takes_batches),
	    TEST(knows_keys),
	    TEST(says_hello),
	    TEST(goes_on),
	    TEST(refuses_strangers),
	    TEST(shuns_the_mad),
	    TEST(says_what_is_full),
	    TEST(begins_with_a_refusal),
	    TEST(lives_without_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
