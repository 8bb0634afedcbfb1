/*
 * Old messages that are read back through the archiver.
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
#include "proto/codes.h"
#include "store_run.h"

static struct at t;
static struct store_run run;

/* Writes N rows "conform:x" of the epoch abcdefgh into the store. */
static void
fill(int n, size_t len)
{
	struct run_record *recs = calloc((size_t)n, sizeof(*recs));
	char *data = malloc(len);
	int i;

	memset(data, 'x', len);
	data[0] = data[len - 1] = '"';
	for (i = 0; i < n; i++) {
		run_make(&recs[i], "x", (uint64_t)i + 1);
		run_data(&recs[i], data, len);
	}
	assert_int_equal(run_write(&run, recs, (size_t)n, NULL), 0);
	run_drop(recs, (size_t)n);
	free(recs);
	free(data);
}

static int
open_store(const char *name)
{
	struct base_buf why = {0};

	at_open(&t);
	assert_true(run_open(&run, name, "", &why));
	assert_true(run_start(&run, &why));
	base_buf_free(&why);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return open_store("store_mem");
}

static int
setup_fail(void **state)
{
	(void)state;
	return open_store("store_fail");
}

static int
teardown(void **state)
{
	struct base_buf why = {0};

	(void)state;
	at_close(&t);
	assert_true(run_stop(&run, &why));
	run_close(&run);
	base_buf_free(&why);
	return 0;
}

static void
ask(uint64_t req, uint64_t offset, int limit, uint64_t bytes, uint32_t flags)
{
	struct order_msg msg = {.kind = ORDER_READ,
	    .req = req,
	    .channel = {"x", 1},
	    .epoch = {"abcdefgh", 8},
	    .offset = offset,
	    .limit = limit,
	    .number = bytes,
	    .flags = flags};

	archive_message(t.archive, &msg);
}

static bool
answered(struct at *at)
{
	return at->n_got > 0 && (at->got[at->n_got - 1].flags & ORDER_F_MORE) == 0;
}

/* The publications of the answers so far are these; returns how many. */
static size_t
check_rows(uint64_t req, uint64_t first, int step)
{
	struct order_pub pub;
	struct base_slice list;
	char want[128];
	size_t i, n = 0;
	int r;

	for (i = 0; i < t.n_got; i++) {
		assert_int_equal(t.got[i].kind, ORDER_ROWS);
		assert_int_equal(t.got[i].req, req);
		assert_int_equal(t.got[i].code, 0);
		assert_true(t.got[i].len <= 4000);
		list = (struct base_slice){t.got[i].data, t.got[i].len};
		while ((r = order_pub_next(&list, &pub)) > 0) {
			assert_int_equal(pub.offset, first + n * (uint64_t)step);
			snprintf(want, sizeof(want),
			    "{\"data\":\"xxxxxxxx\",\"info\":{\"name\":\"\xc3\xa4 ' "
			    "\\\\\"},\"offset\":%llu}",
			    (unsigned long long)pub.offset);
			assert_int_equal(pub.json.len, strlen(want));
			assert_memory_equal(pub.json.p, want, pub.json.len);
			n++;
		}
		assert_int_equal(r, 0);
	}
	return n;
}

static void
test_read(void **state)
{
	(void)state;
	fill(300, 10);
	at_start(&t, "store = \"mem\"");
	at_run(&t, 50);
	ask(7, 0, 1000, 100000, 0);
	assert_true(at_until(&t, answered, 1000));
	assert_int_equal(check_rows(7, 1, 1), 300);
	/* It took more than one message. */
	assert_true(t.n_got > 2);
	assert_int_equal(stat_get(&t.stat, reads_answered), 1);
}

static void
test_read_back(void **state)
{
	(void)state;
	fill(30, 10);
	at_start(&t, "store = \"mem\"");
	at_run(&t, 50);
	ask(8, 21, 12, 100000, ORDER_F_REVERSE);
	assert_true(at_until(&t, answered, 1000));
	assert_int_equal(check_rows(8, 20, -1), 12);
}

static void
test_bytes(void **state)
{
	(void)state;
	fill(30, 10);
	at_start(&t, "store = \"mem\"");
	at_run(&t, 50);
	ask(9, 0, 1000, 55, 0);
	assert_true(at_until(&t, answered, 1000));
	assert_int_equal(check_rows(9, 1, 1), 5);
}

static void
test_nothing(void **state)
{
	(void)state;
	at_start(&t, "store = \"mem\"");
	at_run(&t, 50);
	ask(9, 0, 1000, 55, 0);
	assert_true(at_until(&t, answered, 1000));
	assert_int_equal(check_rows(9, 1, 1), 0);
	assert_int_equal(t.n_got, 1);
}

/* What is larger than a message to the broker ends the answer; nothing is cut. */
static void
test_too_large(void **state)
{
	(void)state;
	fill(3, 5000);
	at_start(&t, "store = \"mem\"");
	at_run(&t, 50);
	ask(9, 0, 1000, 100000, 0);
	assert_true(at_until(&t, answered, 1000));
	assert_int_equal(t.n_got, 1);
	assert_int_equal(t.got[0].len, 0);
}

static bool
four(struct at *at)
{
	return at->n_got == 4;
}

/* Each of many has its answer, though the queue has little room. */
static void
test_many(void **state)
{
	uint64_t req;
	size_t i;

	(void)state;
	fill(30, 10);
	at_start(&t, "store = \"mem\"");
	at_run(&t, 50);
	t.room = 4;
	for (req = 1; req <= 40; req++)
		ask(req, 0, 1, 100000, 0);
	assert_true(at_until(&t, four, 1000));
	at_run(&t, 100);
	assert_int_equal(t.n_got, 4);
	t.room = SIZE_MAX;
	at_run(&t, 300);
	assert_int_equal(t.n_got, 40);
	for (i = 0; i < 40; i++) {
		assert_int_equal(t.got[i].req, i + 1);
		assert_int_equal(t.got[i].code, 0);
		assert_true(t.got[i].len > 0);
	}
}

static void
test_failure(void **state)
{
	(void)state;
	at_start(&t, "store = \"fail\"\nfail { schedule = {\"history -2 1\"} }");
	at_run(&t, 50);
	ask(5, 0, 10, 1000, 0);
	assert_true(at_until(&t, answered, 1000));
	assert_int_equal(t.got[0].code, PROTO_ERROR_INTERNAL);
	ask(6, 0, 10, 1000, 0);
	at_run(&t, 100);
	assert_int_equal(t.n_got, 2);
	assert_int_equal(t.got[1].code, 0);
}

/* A store that cannot be started answers nothing, so the broker hears so at once. */
static void
test_no_store(void **state)
{
	(void)state;
	at_start(&t, "store = \"fail\"\nfail { schedule = {\"init -2 1000\"} }");
	at_run(&t, 50);
	ask(5, 0, 10, 1000, 0);
	assert_true(at_until(&t, answered, 100));
	assert_int_equal(t.got[0].code, PROTO_ERROR_INTERNAL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_read),
	    TEST(test_read_back),
	    TEST(test_bytes),
	    TEST(test_nothing),
	    TEST(test_too_large),
	    TEST(test_many),
	    cmocka_unit_test_setup_teardown(test_failure, setup_fail, teardown),
	    cmocka_unit_test_setup_teardown(test_no_store, setup_fail, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
