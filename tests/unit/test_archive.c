/*
 * The archiver between a real spool and stores that do as they are told.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive_util.h"
#include "base/base_time.h"
#include "conf_util.h"
#include "plug/plug_load.h"
#include "plug/plug_store.h"

#define SPOOL 0
#define MEMORY 1

static struct at t;
static struct plug_module *keep; /* store_mem stays loaded, with its rows */
static char options[1024];

/*
 * The store NAME with its schema.  Its tables are the process's as long as it is
 * loaded.
 */
static struct plug_module *
make_store(const char *name)
{
	struct base_buf why = {0};
	struct plug_module *mod;
	struct conf *conf;
	char text[128];

	snprintf(text, sizeof(text), "store_%s", name);
	mod = plug_load(plug_load_dir(), text, CHATD_KIND_STORE, &why);
	assert_non_null(mod);
	snprintf(text, sizeof(text),
	    "store = \"%s\"\nstate_dir = \"%s\"\n"
	    "listen \"a\" { address = \"127.0.0.1:1\" }",
	    name, t.dir);
	conf = conf_util_good(text);
	assert_int_equal(plug_store_migrate(conf, 0, &why), 0);
	conf_free(conf);
	base_buf_free(&why);
	return mod;
}

static int
setup(void **state)
{
	(void)state;
	at_open(&t);
	keep = make_store("mem");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	at_close(&t);
	if (keep != NULL)
		plug_unload(keep);
	return 0;
}

/* Options with store_mem and EXTRA ones of it. */
static const char *
mem(const char *core, const char *extra)
{
	snprintf(options, sizeof(options),
	    "store = \"mem\"\n%s%s\nmem { log = \"%s/log\" %s }",
	    strstr(core, "store_batch_time") == NULL ? "store_batch_time = 0\n" : "",
	    core, t.dir, extra);
	return options;
}

static uint64_t
spool_last(int journal)
{
	struct journal_figures f;

	journal_figures(t.journal[journal], &f);
	return f.spool_last;
}

static size_t
count(enum order_kind kind)
{
	size_t i, n = 0;

	for (i = 0; i < t.n_got; i++)
		n += t.got[i].kind == kind;
	return n;
}

/* ---- in good order ---- */

static void
test_all_arrive_in_order(void **state)
{
	uint64_t last;
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		at_publish(&t, SPOOL, "a", 30, 40);
		at_publish(&t, SPOOL, "b", 10, 40);
		at_publish(&t, MEMORY, "m", 20, 40);
	}
	last = spool_last(SPOOL);
	at_start(&t, mem("store_batch = 100", "delay = 1ms"));
	assert_true(at_until(&t, at_drained, 10000));
	assert_int_equal(at_rows(&t, "a"), 1500);
	assert_int_equal(at_rows(&t, "b"), 500);
	assert_int_equal(at_rows(&t, "m"), 1000);
	assert_int_equal(at_archived(&t, SPOOL), last);
	assert_int_equal(stat_get(&t.stat, archived), 3000);
	assert_int_equal(stat_get(&t.stat, archive_errors), 0);
	assert_int_equal(stat_get(&t.stat, store_state), 3);
	assert_true(
	    stat_get(&t.stat, archive_bytes) < stat_get(&t.stat, archive_limit_bytes));
	/* What comes later is noticed by the broker's word for it. */
	at_publish(&t, SPOOL, "a", 1, 40);
	archive_message(t.archive, &(struct order_msg){.kind = ORDER_SPOOLED});
	assert_true(at_until(&t, at_drained, 500));
	assert_int_equal(at_rows(&t, "a"), 1501);
}

/* Nothing is forgotten that the store has not confirmed. */
static void
test_confirmed_first(void **state)
{
	(void)state;
	at_publish(&t, SPOOL, "a", 5, 40);
	at_start(&t, mem("", "delay = 300ms"));
	at_run(&t, 200);
	assert_int_equal(t.n_got, 0);
	assert_true(at_until(&t, at_drained, 3000));
	assert_int_equal(count(ORDER_ARCHIVED), 1);
}

static bool
told_twice(struct at *at)
{
	(void)at;
	return count(ORDER_ARCHIVED) == 2;
}

/* A new broker may still have what the dead one had only begun to forget. */
static void
test_a_new_broker_is_told_again(void **state)
{
	const struct order_msg hello = {.kind = ORDER_BROKER_HELLO, .number = 2};

	(void)state;
	at_publish(&t, SPOOL, "a", 5, 40);
	at_start(&t, mem("", ""));
	assert_true(at_until(&t, at_drained, 1000));
	assert_int_equal(count(ORDER_ARCHIVED), 1);
	archive_message(t.archive, &hello);
	assert_true(at_until(&t, told_twice, 1000));
	assert_int_equal(t.got[1].number, t.got[0].number);
}

static bool
two_rows(struct at *at)
{
	return at_rows(at, "a") == 2;
}

static void
test_batch_time(void **state)
{
	int64_t begin;

	(void)state;
	at_start(&t, mem("store_batch_time = 400ms\nstore_batch = 2", ""));
	at_run(&t, 100);
	at_publish(&t, SPOOL, "a", 1, 40);
	archive_message(t.archive, &(struct order_msg){.kind = ORDER_SPOOLED});
	at_run(&t, 200);
	assert_int_equal(at_rows(&t, "a"), 0);
	/* A batch that is full does not wait. */
	at_publish(&t, SPOOL, "a", 1, 40);
	archive_message(t.archive, &(struct order_msg){.kind = ORDER_SPOOLED});
	assert_true(at_until(&t, two_rows, 100));
	begin = base_time_ms();
	at_publish(&t, SPOOL, "a", 1, 40);
	archive_message(t.archive, &(struct order_msg){.kind = ORDER_SPOOLED});
	assert_true(at_until(&t, at_drained, 2000));
	assert_in_range(base_time_ms() - begin, 380, 700);
}

static void
test_rate(void **state)
{
	size_t before, rows;

	(void)state;
	at_publish(&t, SPOOL, "a", 2000, 40);
	at_start(&t, mem("store_rate = 200", ""));
	at_run(&t, 1000);
	before = at_rows(&t, "a");
	at_run(&t, 2000);
	rows = at_rows(&t, "a") - before;
	assert_in_range(rows, 340, 440);
	assert_true(at_rows(&t, "a") <= 640);
}

/* ---- restarts ---- */

static void
test_restart(void **state)
{
	int i;

	(void)state;
	at_publish(&t, SPOOL, "a", 3000, 40);
	for (i = 0; i < 20; i++) {
		at_start(&t, mem("store_batch = 100", "delay = 3ms"));
		at_run(&t, 10 + i * 3);
		if (i % 3 == 0)
			at_stop(&t);
		else
			at_kill(&t);
	}
	at_start(&t, mem("store_batch = 100", "delay = 1ms"));
	assert_true(at_until(&t, at_drained, 10000));
	assert_int_equal(at_rows(&t, "a"), 3000);
}

/* The broker's queue is full for a while: it is told later, and the last word only. */
static void
test_queue_is_full(void **state)
{
	(void)state;
	at_publish(&t, SPOOL, "a", 1000, 40);
	t.room = 0;
	at_start(&t, mem("store_batch = 100", ""));
	at_run(&t, 300);
	assert_int_equal(t.n_got, 0);
	t.room = SIZE_MAX;
	assert_true(at_until(&t, at_drained, 3000));
	assert_int_equal(at_rows(&t, "a"), 1000);
}

/* ---- refusals ---- */

static void
test_dead_letters(void **state)
{
	size_t i, n = 0;

	(void)state;
	at_publish(&t, SPOOL, "a", 25, 40);
	at_publish(&t, SPOOL, "a", 1, 2000);
	at_publish(&t, SPOOL, "a", 30, 40);
	at_publish(&t, SPOOL, "a", 1, 3000);
	at_publish(&t, SPOOL, "a", 1, 40);
	at_start(&t, mem("", "max_data = 1000"));
	assert_true(at_until(&t, at_drained, 3000));
	assert_int_equal(at_rows(&t, "a"), 56);
	assert_int_equal(count(ORDER_DEAD), 2);
	for (i = 0; i < t.n_got; i++) {
		if (t.got[i].kind != ORDER_DEAD)
			continue;
		/* Before its number is archived, or the broker would forget it. */
		assert_int_equal(t.got[i].code, CHATD_TOOBIG);
		assert_string_equal(t.got[i].data, "larger than max_data");
		n++;
	}
	assert_int_equal(n, 2);
	assert_int_equal(stat_get(&t.stat, archive_refused), 2);
	assert_int_equal(stat_get(&t.stat, archived), 56);
}

static bool
dead_one(struct at *at)
{
	(void)at;
	return count(ORDER_DEAD) == 1;
}

/* The queue is full between the dead letters: none is archived unnamed. */
static void
test_dead_letters_wait(void **state)
{
	size_t i;

	(void)state;
	at_publish(&t, SPOOL, "a", 9, 2000);
	t.room = 1;
	at_start(&t, mem("", "max_data = 1000"));
	assert_true(at_until(&t, dead_one, 1000));
	at_run(&t, 100);
	assert_int_equal(t.n_got, 1);
	t.room = SIZE_MAX;
	assert_true(at_until(&t, at_drained, 1000));
	assert_int_equal(t.n_got, 10);
	for (i = 0; i < 9; i++)
		assert_int_equal(t.got[i].kind, ORDER_DEAD);
	assert_int_equal(t.got[9].kind, ORDER_ARCHIVED);
}

/* More than the plugin takes at all; it never sees them. */
static void
test_larger_than_the_plugin_takes(void **state)
{
	(void)state;
	at_publish(&t, SPOOL, "a", 3, 2000);
	at_start(&t,
	    "store = \"small\"\nmax_message_size = 1000\nmax_frame_size = 1000\n"
	    "store_batch = 2\nstore_batch_time = 0");
	assert_true(at_until(&t, at_drained, 3000));
	assert_int_equal(count(ORDER_DEAD), 3);
	assert_int_equal(t.got[0].code, CHATD_TOOBIG);
	assert_non_null(strstr(t.got[0].data, "2000"));
	assert_int_equal(stat_get(&t.stat, archived), 0);
}

/* ---- failures ---- */

/* Options with store_fail and its schedule. */
static const char *
failing(const char *core, const char *schedule)
{
	snprintf(options, sizeof(options),
	    "store = \"fail\"\nstore_batch_time = 0\n%s\n"
	    "fail { log = \"%s/log\" schedule = {%s} }",
	    core, t.dir, schedule);
	return options;
}

struct failure {
	const char *schedule;
	uint64_t errors;
};

static void
test_failures(void **state)
{
	static const struct failure failures[] = {
	    {"\"done -2 3\"", 3}, /* CHATD_UNAVAIL */
	    {"\"done -3 2\"", 2}, /* CHATD_TIMEOUT */
	    {"\"write -2 4\"", 4}, {"\"start -2 2\"", 0}, {"\"init -2 2\"", 0},
	    {"\"write -33 1\"", 1}, /* CHATD_BUG: the plugin is started anew */
	    {"\"done -31 1\"", 1}, /* CHATD_CONFIG */
	    {"\"write -11 3\"", 3}, /* CHATD_TOOBIG: halved, with no pause */
	};
	struct plug_module *mod;
	char channel[16];
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(failures); i++) {
		mod = make_store("fail");
		t.stat.archive_errors = 0;
		snprintf(channel, sizeof(channel), "f%zu", i);
		at_publish(&t, SPOOL, channel, 100, 40);
		at_start(&t, failing("store_retry_max = 100ms", failures[i].schedule));
		assert_true(at_until(&t, at_drained, 10000));
		assert_int_equal(at_rows(&t, channel), 100);
		assert_int_equal(stat_get(&t.stat, archive_errors), failures[i].errors);
		assert_int_equal(count(ORDER_DEAD), 0);
		at_kill(&t);
		plug_unload(mod);
	}
}

/* A batch of one that is refused as a whole is a dead letter. */
static void
test_refused_as_a_whole(void **state)
{
	struct plug_module *mod = make_store("fail");

	(void)state;
	at_publish(&t, SPOOL, "a", 20, 40);
	at_start(&t, failing("", "\"write -13 4\""));
	assert_true(at_until(&t, at_drained, 3000));
	assert_int_equal(at_rows(&t, "a"), 19);
	assert_int_equal(count(ORDER_DEAD), 1);
	assert_int_equal(t.got[0].code, CHATD_DENIED);
	at_kill(&t);
	plug_unload(mod);
}

/* No room in the plugin is no failure; one that forgets to say ready is asked again. */
static void
test_again(void **state)
{
	struct plug_module *mod = make_store("fail");

	(void)state;
	at_publish(&t, SPOOL, "a", 20, 40);
	at_start(&t, failing("", "\"write -1 1\""));
	assert_true(at_until(&t, at_drained, 3000));
	assert_int_equal(at_rows(&t, "a"), 20);
	assert_int_equal(stat_get(&t.stat, archive_errors), 0);
	at_kill(&t);
	plug_unload(mod);
}

static bool
waits_for_schema(struct at *at)
{
	return stat_get(&at->stat, store_state) == 4;
}

static void
test_no_schema(void **state)
{
	(void)state;
	/* A new copy of the plugin knows of no schema. */
	plug_unload(keep);
	keep = NULL;
	at_publish(&t, SPOOL, "a", 20, 40);
	at_start(&t, mem("store_retry_max = 200ms", ""));
	assert_true(at_until(&t, waits_for_schema, 3000));
	at_run(&t, 500);
	assert_int_equal(t.n_got, 0);
	keep = make_store("mem");
	assert_true(at_until(&t, at_drained, 3000));
	at_run(&t, 1100);
	assert_int_equal(stat_get(&t.stat, store_state), 3);
	assert_int_equal(at_rows(&t, "a"), 20);
}

/* With nothing to write, the store is asked whether it is back. */
static bool
is_up(struct at *at)
{
	return stat_get(&at->stat, store_state) == 3;
}

static void
test_lag(void **state)
{
	struct plug_module *mod = make_store("fail");

	(void)state;
	at_publish(&t, SPOOL, "a", 1, 40);
	at_start(&t, failing("store_retry_max = 100ms", "\"write -2 40\""));
	at_run(&t, 1500);
	assert_in_range(stat_get(&t.stat, archive_lag_ms), 400, 1600);
	assert_in_range(stat_get(&t.stat, archive_pause_ms), 1, 100);
	assert_true(at_until(&t, at_drained, 10000));
	at_run(&t, 1100);
	assert_int_equal(stat_get(&t.stat, archive_lag_ms), 0);
	assert_int_equal(stat_get(&t.stat, archive_pause_ms), 0);
	assert_true(is_up(&t));
	at_kill(&t);
	plug_unload(mod);
}

/* New options hold at once. */
static void
test_reload(void **state)
{
	struct conf *slow, *fast;

	(void)state;
	at_publish(&t, SPOOL, "a", 300, 40);
	at_start(&t, mem("store_rate = 10", ""));
	at_run(&t, 500);
	assert_in_range(at_rows(&t, "a"), 1, 10);
	slow = t.conf;
	fast = conf_util_good(
	    "store = \"mem\"\nlisten \"a\" { address = \"127.0.0.1:1\" }");
	archive_conf(t.archive, fast);
	t.conf = fast;
	conf_free(slow);
	assert_true(at_until(&t, at_drained, 1000));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_all_arrive_in_order),
	    TEST(test_confirmed_first),
	    TEST(test_a_new_broker_is_told_again),
	    TEST(test_batch_time),
	    TEST(test_rate),
	    TEST(test_restart),
	    TEST(test_queue_is_full),
	    TEST(test_dead_letters),
	    TEST(test_dead_letters_wait),
	    TEST(test_larger_than_the_plugin_takes),
	    TEST(test_failures),
	    TEST(test_refused_as_a_whole),
	    TEST(test_again),
	    TEST(test_no_schema),
	    TEST(test_lag),
	    TEST(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
