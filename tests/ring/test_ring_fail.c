/*
 * test_ring_fail: a process killed at each named point of the ring's code
 * (ring_fail.h); what it leaves must do no harm.  Each point proves itself: the
 * child must have died of SIGKILL there.  Needs --enable-failpoints.
 */
#include "config.h"

#ifdef ENABLE_FAILPOINTS

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"
#include "ring_util.h"

#define SIZE     UINT64_C(4096)
#define WRITER   0
#define SLEEPER  1
#define ENOUGH   40 /* records that make each point of a put be passed */
#define N_PASSES 12 /* kill at the first, second, ... pass */

static struct ring_seg *seg;
static struct ring_reader *reader; /* of the test itself; lives through all deaths */
static uint64_t seed, next_seq;

static void
setup(void)
{
	seg = util_seg(3, SIZE);
	ring_reader_new(seg, &reader);
	next_seq = 1;
}

static void
teardown(void)
{
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_seg_free(seg);
}

static void
writer(void)
{
	struct ring_lane *lane;

	ring_lane_open(seg, WRITER, &lane);
	for (uint64_t i = 0; i < ENOUGH; i++)
		util_put(lane, ++seed);
	ring_lane_close(lane);
}

/* Publishes as a worker does, with a sleeper to wake each time. */
static void
waker(void)
{
	struct ring_lane *lane;

	ring_lane_open(seg, WRITER, &lane);
	for (uint64_t i = 0; i < ENOUGH; i++) {
		util_put(lane, ++seed);
		atomic_store(ring_seg_armed(seg, SLEEPER), 1);
		ring_wake_mask(seg, WRITER, UINT64_C(1) << SLEEPER);
	}
}

/* Reads what lies there and what it is lapped by, and goes to sleep. */
static void
sleeper(void)
{
	struct ring_reader *own;
	struct ring_lane *lane;
	struct ring_head head;
	uint64_t lost;

	ring_reader_new(seg, &own);
	ring_lane_open(seg, 2, &lane);
	for (uint64_t i = 0; i < ENOUGH; i++) {
		util_put(lane, ++seed);
		if (i < ENOUGH / 2)
			continue; /* the first look is at a lap */
		while (ring_read_next(own, 2, &head, &lost) != RING_EMPTY)
			if (lost == 0)
				util_take(own, 2, &head, ring_lane_max(lane));
			else
				lost = 0;
		ring_wake_arm(seg, SLEEPER, own);
		ring_wake_disarm(seg, SLEEPER);
	}
}

static void
interested(void)
{
	struct ring_interest *in;

	ring_interest_open(seg, SLEEPER, &in);
	for (uint64_t i = 0; i < ENOUGH; i++)
		ring_interest_add(in, i);
	for (uint64_t i = 0; i < ENOUGH / 2; i++)
		ring_interest_del(in, i);
}

/* Runs ROLE in a child that is to die at pass PASS of POINT; true if it did. */
static bool
dies_at(const char *point, unsigned pass, void (*role)(void))
{
	char spec[96];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(spec, sizeof(spec), "%s=kill@%u", point, pass);
		base_fail_set(spec);
		role();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(status, 0);
	return false;
}

/* The test's reader finds whole records only, and each number once or lost. */
static void
read_all(unsigned slot)
{
	struct ring_head head;
	uint64_t lost = 0;

	for (;;) {
		switch (ring_read_next(reader, slot, &head, &lost)) {
		case RING_EMPTY:
			return;
		case RING_LAPPED:
			next_seq += lost;
			break;
		case RING_RECORD:
			assert_int_equal(head.seq, next_seq);
			next_seq++;
			assert_int_equal(util_take(reader, slot, &head,
					     SIZE / 8 - RING_HEAD_BYTES - 7), 1);
			break;
		}
	}
}

static bool
woken(unsigned slot)
{
	struct pollfd p = { .fd = ring_wake_fd(seg, slot), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* The successor: wakes the sleeper, loses nothing published, goes on. */
static void
succeed(void)
{
	struct ring_lane_page *page = ring_seg_lane(seg, WRITER);
	uint64_t tail = atomic_load(&page->tail), intent = atomic_load(&page->intent);
	struct ring_lane *lane;

	read_all(WRITER);
	ring_lane_open(seg, WRITER, &lane);
	assert_int_equal(ring_lane_tail(lane), BASE_MAX(tail, intent));
	assert_int_equal(atomic_load(&page->intent), BASE_MAX(tail, intent));
	assert_true(woken(SLEEPER));
	ring_wake_disarm(seg, SLEEPER);
	read_all(WRITER);
	assert_int_equal(atomic_load(&page->seq), next_seq - 1);
	for (unsigned i = 0; i < 3; i++) {
		util_put(lane, ++seed);
		read_all(WRITER);
	}
	assert_int_equal(atomic_load(&page->seq), next_seq - 1);
	ring_lane_close(lane);
}

static void
writer_dies(const char *point, void (*role)(void))
{
	unsigned hits = 0;

	setup();
	for (unsigned pass = 1; pass <= N_PASSES; pass++) {
		seed += ENOUGH;
		hits += dies_at(point, pass, role);
		succeed();
	}
	/* Few puts have padding before them, but the first pass must be there. */
	if (hits == 0)
		fail_msg("%s was never reached", point);
	teardown();
}

/* One is torn, its successor is killed in the repair, and that one's too. */
static void
repair_dies(const char *point)
{
	unsigned hits = 0, torn = 0;

	setup();
	for (unsigned pass = 1; pass <= 4 * N_PASSES; pass++) {
		seed += ENOUGH;
		torn += dies_at("ring.put.mid_copy", 3 * pass % 17 + 1, writer);
		for (unsigned i = 0; i < 3; i++)
			hits += dies_at(point, i == 1 ? 2 : 1, writer);
		succeed();
	}
	assert_true(torn > 0);
	if (hits == 0)
		fail_msg("%s was never reached", point);
	teardown();
}

/* A reader leaves nothing that disturbs a writer or its own successor. */
static void
reader_dies(const char *point)
{
	struct ring_lane *lane;
	unsigned hits = 0;

	setup();
	for (unsigned pass = 1; pass <= N_PASSES; pass++) {
		hits += dies_at(point, pass, sleeper);
		read_all(2);
		ring_lane_open(seg, WRITER, &lane);
		ring_wake_mask(seg, WRITER, UINT64_MAX);
		ring_lane_close(lane);
		assert_true(woken(SLEEPER));
		assert_false(ring_wake_disarm(seg, SLEEPER));
		assert_true(ring_wake_arm(seg, SLEEPER, reader));
		ring_wake_disarm(seg, SLEEPER);
	}
	if (hits == 0)
		fail_msg("%s was never reached", point);
	teardown();
}

static void
interested_dies(const char *point)
{
	struct ring_interest *in;
	unsigned hits = 0;

	setup();
	for (unsigned pass = 1; pass <= N_PASSES; pass++) {
		/* What one leaves lets the next one pass the point of opening. */
		dies_at("ring.interest.add", ENOUGH, interested);
		hits += dies_at(point, pass, interested);
		ring_interest_open(seg, SLEEPER, &in);
		for (uint64_t i = 0; i < 256; i++)
			assert_int_equal(ring_interest_mask(seg, i), 0);
		ring_interest_close(in);
	}
	if (hits == 0)
		fail_msg("%s was never reached", point);
	teardown();
}

static bool
starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static void
test_kill_points(void **state)
{
	static const char *const points[] = {
#define X(id, name) name,
		RING_KILL_POINTS(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(points); i++) {
		if (starts(points[i], "ring.put."))
			writer_dies(points[i], writer);
		else if (starts(points[i], "ring.wake."))
			writer_dies(points[i], waker);
		else if (starts(points[i], "ring.repair."))
			repair_dies(points[i]);
		else if (starts(points[i], "ring.read.") ||
		    starts(points[i], "ring.arm."))
			reader_dies(points[i]);
		else if (starts(points[i], "ring.interest."))
			interested_dies(points[i]);
		else
			fail_msg("%s has no test", points[i]);
	}
}

/* Each system call at start fails with a text, and nothing is left open. */
static void
test_call_points(void **state)
{
	static const char *const points[] = {
#define X(id, name) name,
		RING_CALL_POINTS(X)
#undef X
	};
	struct ring_geom geom = { .slots = 2, .lane_size = SIZE,
		.interest_buckets = 64, .stat_size = 64 };
	struct ring_seg *s;

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(points); i++) {
		int next = dup(0), r;
		char spec[96], err[256] = "";

		close(next);
		snprintf(spec, sizeof(spec), "%s=fail", points[i]);
		base_fail_set(spec);
		r = ring_seg_create(&geom, &s, err, sizeof(err));
		if (strcmp(points[i], "ring.wake.eventfd") == 0) {
			assert_int_equal(r, 0);
			assert_int_equal(ring_wake_init(s), -1);
			ring_seg_free(s);
		} else {
			assert_int_equal(r, -1);
			assert_non_null(strstr(err, "shared segment: "));
		}
		base_fail_set(NULL);
		assert_int_equal(dup(0), next);
		close(next);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_points),
		cmocka_unit_test(test_call_points),
	};

	base_log_set_level(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
	return 77; /* skipped */
}

#endif
