/*
 * The pace of the archiver: ceiling, pauses, probes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/archive_pace.h"

#define SECOND INT64_C(1000000)

/* Messages that are sent in SECONDS, when there are always some. */
static int64_t
run(struct archive_pace *p, int64_t seconds)
{
	int64_t now = 0, n = 0;

	while (now < seconds * SECOND) {
		if (now >= archive_pace_due(p)) {
			size_t want = archive_pace_want(p);

			archive_pace_sent(p, want, now);
			archive_pace_good(p);
			n += (int64_t)want;
		}
		now += 100; /* a batch takes that long */
	}
	return n;
}

static void
test_ceiling(void **state)
{
	static const int64_t rates[] = {1, 7, 100, 2500, 40000};
	struct archive_pace p;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rates); i++) {
		int64_t n;

		archive_pace_init(&p);
		archive_pace_conf(&p, 1000, rates[i], 30000);
		n = run(&p, 20);
		/* Never above it, and not far below. */
		assert_true(n <= rates[i] * 20 + rates[i] / 10 + 1);
		assert_true(n >= rates[i] * 19);
	}
}

static void
test_no_ceiling(void **state)
{
	struct archive_pace p;

	(void)state;
	archive_pace_init(&p);
	archive_pace_conf(&p, 1000, 0, 30000);
	assert_int_equal(archive_pace_due(&p), 0);
	archive_pace_sent(&p, 1000000, 5);
	assert_int_equal(archive_pace_due(&p), 0);
}

/* What was sent while there was nothing to do cannot be caught up with. */
static void
test_no_credit(void **state)
{
	struct archive_pace p;

	(void)state;
	archive_pace_init(&p);
	archive_pace_conf(&p, 1000, 100, 30000);
	archive_pace_sent(&p, 10, 0);
	assert_int_equal(archive_pace_due(&p), SECOND / 10);
	archive_pace_sent(&p, 10, 1000 * SECOND);
	assert_int_equal(archive_pace_due(&p), 1000 * SECOND + SECOND / 10);
}

static void
test_start_is_slow(void **state)
{
	static const size_t want[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000};
	struct archive_pace p;
	size_t i;

	(void)state;
	archive_pace_init(&p);
	archive_pace_conf(&p, 1000, 0, 30000);
	for (i = 0; i < BASE_COUNT(want); i++) {
		assert_int_equal(archive_pace_want(&p), want[i]);
		assert_int_equal(archive_pace_full(&p), want[i] == 1000);
		archive_pace_good(&p);
	}
	archive_pace_conf(&p, 5, 0, 30000);
	assert_int_equal(archive_pace_want(&p), 5);
	assert_true(archive_pace_full(&p));
}

/* The bounds double up to the longest pause; all of a bound is used, and no more. */
static void
test_pauses(void **state)
{
	static const int64_t bounds[] = {100, 200, 400, 800, 1600, 3000, 3000, 3000};
	struct archive_pace p;
	int64_t now = 77 * SECOND;
	size_t i;

	(void)state;
	archive_pace_init(&p);
	archive_pace_conf(&p, 1000, 0, 3000);
	for (i = 0; i < BASE_COUNT(bounds); i++) {
		struct archive_pace low = p, high = p;

		archive_pace_bad(&low, now, 0);
		assert_int_equal(low.pause, 1);
		archive_pace_bad(&high, now, (uint32_t)bounds[i] * 7 - 1);
		assert_int_equal(high.pause, bounds[i]);
		assert_int_equal(archive_pace_due(&high), now + bounds[i] * 1000);
		p = high;
	}
	for (i = 0; i < 100; i++)
		archive_pace_bad(&p, now, UINT32_MAX);
	assert_in_range(p.pause, 1, 3000);
	archive_pace_good(&p);
	assert_int_equal(p.pause, 0);
	assert_int_equal(archive_pace_due(&p), 0);
	archive_pace_bad(&p, now, 99);
	assert_int_equal(p.pause, 100);
}

static void
test_probe(void **state)
{
	struct archive_pace p;
	int i;

	(void)state;
	archive_pace_init(&p);
	archive_pace_conf(&p, 1000, 0, 3000);
	for (i = 0; i < 10; i++)
		archive_pace_good(&p);
	assert_true(archive_pace_full(&p));
	archive_pace_bad(&p, 0, 0);
	assert_int_equal(archive_pace_want(&p), ARCHIVE_PROBE);
	assert_false(archive_pace_full(&p));
	archive_pace_good(&p);
	assert_int_equal(archive_pace_want(&p), 2 * ARCHIVE_PROBE);
}

static void
test_halves(void **state)
{
	struct archive_pace p;

	(void)state;
	archive_pace_init(&p);
	archive_pace_conf(&p, 1000, 0, 3000);
	archive_pace_halve(&p, 9);
	assert_int_equal(archive_pace_want(&p), 4);
	assert_int_equal(archive_pace_due(&p), 0);
	archive_pace_halve(&p, 1);
	assert_int_equal(archive_pace_want(&p), 1);
	/* A probe is not larger than what was found too large. */
	archive_pace_bad(&p, 0, 0);
	assert_int_equal(archive_pace_want(&p), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ceiling),
	    cmocka_unit_test(test_no_ceiling),
	    cmocka_unit_test(test_no_credit),
	    cmocka_unit_test(test_start_is_slow),
	    cmocka_unit_test(test_pauses),
	    cmocka_unit_test(test_probe),
	    cmocka_unit_test(test_halves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
