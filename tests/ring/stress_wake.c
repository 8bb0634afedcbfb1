/*
 * stress_wake: the handshake between going to sleep and waking, at the moment
 * where a missing fence loses a wake-up.
 *
 *   stress_wake [-t] [SECONDS]
 *
 * The waker publishes a record, wakes, says that it has, and waits until the
 * sleeper has taken it; a random pause moves its store through the moments in
 * which the sleeper raises its flag.  A wake-up is lost if the sleeper sleeps with
 * its flag up on a record whose waker has done all it does.
 *
 * -t: threads (a build for ThreadSanitizer does only that).
 */
#include "config.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_time.h"
#include "ring/ring_priv.h"
#include "ring_util.h"

#define WAKER   0
#define SLEEPER 1
/* Longer than most wake-ups take on a busy machine: it is not the proof. */
#define NAP_MS 20
/* One in so many naps is a real one. */
#define REAL_NAPS 64

/* Each word is written by one side, on a line of its own. */
struct shared {
	ring_word woken; /* records that were put and woken for */
	char pad1[BASE_PAD - sizeof(ring_word)];
	ring_word taken; /* records that were taken */
	char pad2[BASE_PAD - sizeof(ring_word)];
	atomic_bool stop;
	ring_word sleeps, writes, lost, stalled;
};

static struct ring_seg *seg;
static struct shared *shared;
static struct ring_reader *reader;

static void
run_waker(void)
{
	struct ring_head head = { .type = RING_DATA };
	struct base_slice none = { NULL, 0 };
	struct util_rng rng = { 1 };
	struct ring_lane *lane;
	uint64_t n = 0, writes = 0;

	ring_lane_open(seg, WAKER, &lane);
	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		int64_t patience = base_time_ms() + 10000;

		util_dawdle(&rng, 64);
		ring_lane_put(lane, &head, none, NULL, 0);
		n++;
		writes += ring_wake_mask(seg, WAKER, UINT64_C(1) << SLEEPER);
		atomic_store(&shared->woken, n);
		for (unsigned spins = 1; atomic_load(&shared->taken) < n; spins++) {
			if (spins % 1024 != 0)
				continue;
			if (atomic_load(&shared->stop))
				break;
			sched_yield();
			if (base_time_ms() < patience)
				continue;
			atomic_store(&shared->stalled, 1);
			atomic_store(&shared->stop, true);
			break;
		}
	}
	atomic_store(&shared->writes, writes);
	ring_lane_close(lane);
}

static void
take_all(uint64_t *taken)
{
	struct ring_head head;
	uint64_t lost;

	while (ring_read_next(reader, WAKER, &head, &lost) == RING_RECORD) {
		ring_read_skip(reader, WAKER);
		atomic_store(&shared->taken, ++*taken);
	}
}

/* Sleeps on the eventfd, not for ever; true if it was a lost wake-up. */
static bool
nap(uint64_t taken)
{
	struct pollfd p = { .fd = ring_wake_fd(seg, SLEEPER), .events = POLLIN };
	int n = poll(&p, 1, NAP_MS);
	/* Before the flag is lowered: then all that the waker does was done. */
	bool woken = atomic_load(&shared->woken) > taken;
	bool asleep = ring_wake_disarm(seg, SLEEPER);

	return n == 0 && asleep && woken;
}

/* Stays awake and looks whether a sleeper would have been woken. */
static bool
watch(uint64_t taken)
{
	for (unsigned spins = 1; atomic_load(&shared->woken) <= taken; spins++) {
		if (spins % 1024 != 0)
			continue;
		if (atomic_load(&shared->stop))
			break;
		sched_yield();
	}
	return ring_wake_disarm(seg, SLEEPER) && atomic_load(&shared->woken) > taken;
}

static void
run_sleeper(void)
{
	struct util_rng rng = { 2 };
	uint64_t taken = 0, sleeps = 0, lost = 0;

	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		take_all(&taken);
		util_dawdle(&rng, 1000); /* the news of it travels meanwhile */
		if (!ring_wake_arm(seg, SLEEPER, reader))
			continue;
		lost += ++sleeps % REAL_NAPS == 0 ? nap(taken) : watch(taken);
	}
	atomic_store(&shared->sleeps, sleeps);
	atomic_store(&shared->lost, lost);
}

static void *
waker_thread(void *arg)
{
	run_waker();
	return arg;
}

static void *
sleeper_thread(void *arg)
{
	run_sleeper();
	return arg;
}

static void
wait_for(double seconds)
{
	int64_t end = base_time_ms() + (int64_t)(seconds * 1000);

	while (base_time_ms() < end && !atomic_load(&shared->stop))
		poll(NULL, 0, 10);
	atomic_store(&shared->stop, true);
}

static bool
by_threads(double seconds)
{
	pthread_t waker, sleeper;
	int r = pthread_create(&waker, NULL, waker_thread, NULL);

	r |= pthread_create(&sleeper, NULL, sleeper_thread, NULL);
	base_assert(r == 0);
	wait_for(seconds);
	return pthread_join(waker, NULL) == 0 && pthread_join(sleeper, NULL) == 0;
}

static void
run(unsigned slot, uint64_t salt)
{
	(void)salt;
	if (slot == WAKER)
		run_waker();
	else
		run_sleeper();
}

static bool
by_processes(double seconds)
{
	pid_t waker = util_start(run, WAKER, 0), sleeper = util_start(run, SLEEPER, 0);
	bool well;

	wait_for(seconds);
	well = util_ended_well(waker);
	return util_ended_well(sleeper) && well;
}

int
main(int argc, char **argv)
{
	struct util_args args = util_args(argc, argv);
	bool well;

	base_log_set_level(BASE_LOG_ERROR);
	shared = util_shared(sizeof(*shared));
	seg = util_seg(2, 65536);
	ring_reader_new(seg, &reader);
	well = args.threads ? by_threads(args.seconds) : by_processes(args.seconds);
	printf("rounds %" PRIu64 ", sleeps %" PRIu64 ", eventfd writes %" PRIu64
	       ", lost wake-ups %" PRIu64 "\n",
	    atomic_load(&shared->taken), atomic_load(&shared->sleeps),
	    atomic_load(&shared->writes), atomic_load(&shared->lost));
	well = well && atomic_load(&shared->lost) == 0 &&
	    atomic_load(&shared->stalled) == 0 && atomic_load(&shared->sleeps) > 0;
	ring_reader_free(reader);
	ring_seg_free(seg);
	return well ? 0 : 1;
}
