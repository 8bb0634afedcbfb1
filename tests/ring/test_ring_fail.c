/*
 * test_ring_fail: a process killed at each named point of the ring's code
 * (ring_fail.h); what it leaves must do no harm.  Each point proves itself: the
 * child must have died of SIGKILL there.  Needs --enable-failpoints.
 */
#include "config.h"

#ifdef ENABLE_FAILPOINTS

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
		if (!ring_read_seek(own, 2, ring_read_position(own, 2)))
			exit(1);
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

/* What was told to the sender, and what the taker has committed. */
struct ledger {
	uint64_t acked; /* number of the last put that returned */
	uint64_t pos, seq; /* after the last record committed */
};

static struct ledger *ledger; /* shared; no kill point stands between its words */
static struct ring_queue_out *queue_out;
static struct ring_queue_in *queue_in;

static void
queue_open(void)
{
	char err[256];

	if (ring_queue_out_open(seg, 0, RING_QUEUE_CLIENT, &queue_out, err,
		sizeof(err)) != 0 ||
	    ring_queue_in_open(seg, 0, RING_QUEUE_BROKER, &ledger->pos, &queue_in, err,
		sizeof(err)) != 0) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
}

/* Commits what is there as one batch; false if a record is not the next one. */
static bool
queue_drain(void)
{
	struct ledger next = *ledger;
	struct ring_queue_item item;
	int r;

	while ((r = ring_queue_next(queue_in, &item)) == 1) {
		if (item.head.seq != next.seq + 1 ||
		    !util_item(&item, 0, ring_queue_max(queue_out)))
			return false;
		next.seq++;
		next.pos = item.end;
	}
	ledger->pos = next.pos;
	ledger->seq = next.seq;
	ring_queue_done(queue_in, next.pos);
	return r == 0;
}

static bool
queue_put(void)
{
	struct util_rec rec;
	int r;

	util_make(&rec, ++seed, ring_queue_max(queue_out));
	r = ring_queue_put(queue_out, &rec.head, rec.name, rec.pieces, rec.n);
	if (r == -EAGAIN)
		return queue_drain();
	if (r == 0)
		ledger->acked = rec.head.seq;
	return r == 0;
}

/* Both ends of a queue, which is drained when it is full. */
static void
queuer(void)
{
	queue_open();
	for (uint64_t i = 0; i < ENOUGH; i++)
		if (!queue_put())
			exit(1);
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

/*
 * Whatever was told to be sent is taken once; the successor's numbers go on.  A put
 * that did not return may have been done or not: one for each of DEATHS.
 */
static void
queue_succeed(unsigned deaths)
{
	uint64_t acked = ledger->acked;

	queue_open();
	assert_true(woken(1));
	ring_wake_disarm(seg, 1);
	assert_true(queue_drain());
	assert_in_range(ledger->seq, acked, acked + deaths);
	assert_int_equal(ledger->pos, ring_queue_tail(queue_out));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(queue_put());
		assert_int_equal(ledger->acked, ledger->seq + 1);
		assert_true(queue_drain());
	}
	assert_int_equal(ledger->acked, ledger->seq);
	ring_queue_out_close(queue_out);
	ring_queue_in_close(queue_in);
}

static void
queue_dies(const char *point)
{
	unsigned hits = 0;

	seg = util_queue_seg(2, 2, SIZE);
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ledger != MAP_FAILED);
	for (unsigned pass = 1; pass <= 2 * N_PASSES; pass++) {
		unsigned deaths;

		seed += ENOUGH;
		deaths = dies_at(point, pass, queuer);
		/* The successor may die where it began. */
		if (pass % 3 == 0)
			deaths += dies_at(point, 1, queuer);
		queue_succeed(deaths);
		hits += deaths;
	}
	if (hits == 0)
		fail_msg("%s was never reached", point);
	munmap(ledger, sizeof(*ledger));
	ring_seg_free(seg);
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
		else if (starts(points[i], "ring.queue."))
			queue_dies(points[i]);
		else if (starts(points[i], "ring.interest."))
			interested_dies(points[i]);
		else
			fail_msg("%s has no test", points[i]);
	}
}

/* The points in what both kinds of lane share. */
static void
test_kill_points_shared(void **state)
{
	(void)state;
	queue_dies("ring.put.after_pad");
	queue_dies("ring.put.after_head");
	queue_dies("ring.put.mid_copy");
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
	struct ring_geom geom = { .slots = 2, .lanes = 2, .lane_size = SIZE,
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
		cmocka_unit_test(test_kill_points_shared),
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
