/*
 * stress_kill: writers that are killed at any instruction, readers that are
 * lapped, and not one record delivered that is not whole.
 *
 *   stress_kill [-t] [SECONDS]
 *
 * Each writer fills a lane of 64 KiB as fast as it can and gets SIGKILL every few
 * milliseconds; its successor repairs the lane and goes on.  Each reader checks
 * every byte of what it takes.  In the end, what it took and what it was told to
 * have lost must be exactly what was written.
 *
 * Then, in turns: a writer that crashes in the middle of a copy, a successor that
 * writes little, a reader a whole lane behind, where the crash has spoiled what the
 * successor does not reach.
 *
 * -t: threads, without kills (a build for ThreadSanitizer does only that).
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
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

#define WRITERS   2
#define READERS   2
#define SLOTS     (WRITERS + READERS)
#define LANE_SIZE 65536
#define LANE_MAX  (LANE_SIZE / RING_SHARE - RING_HEAD_BYTES - 7)
#define SHARE     64 /* records of a lane in a turn */

/* What a reader has seen; written by it alone, read when it has ended. */
struct tally {
	uint64_t whole[WRITERS], lost[WRITERS];
	uint64_t laps, dropped, back, corrupt, damaged;
};

struct shared {
	atomic_bool stop_writers, stop_readers;
	struct tally tallies[READERS];
};

static struct ring_seg *seg;
static struct shared *shared;
static struct ring_reader *readers[READERS];

static void
run_writer(unsigned slot, uint64_t salt)
{
	struct util_rng rng = { salt };
	struct ring_lane *lane;

	ring_lane_open(seg, slot, &lane);
	while (!atomic_load_explicit(&shared->stop_writers, memory_order_relaxed)) {
		for (unsigned i = 0; i < 16; i++)
			util_put(lane, util_rand(&rng));
		ring_wake_mask(seg, slot, 0);
	}
	ring_lane_close(lane);
}

/* A place where the reader was, and what it had seen by then. */
struct mark {
	uint64_t pos, whole, lost;
};

/* Goes back to M, or makes it a place of now; numbers must be exact either way. */
static void
go_back(struct ring_reader *reader, unsigned lane, struct tally *t, struct mark *m,
    struct util_rng *rng)
{
	if (util_below(rng, 2) == 0) {
		m->pos = ring_read_position(reader, lane);
		m->whole = t->whole[lane];
		m->lost = t->lost[lane];
	} else if (ring_read_seek(reader, lane, m->pos)) {
		t->whole[lane] = m->whole;
		t->lost[lane] = m->lost;
		t->back++;
	}
}

/* Takes what LANE holds, SHARE records at most; true if there was something. */
static bool
drain(struct ring_reader *reader, unsigned lane, struct tally *t, struct util_rng *rng)
{
	struct ring_head head;
	uint64_t lost;
	unsigned n;

	for (n = 0; n < SHARE; n++) {
		switch (ring_read_next(reader, lane, &head, &lost)) {
		case RING_EMPTY:
			return n > 0;
		case RING_LAPPED:
			t->laps++;
			t->lost[lane] += lost;
			continue;
		case RING_RECORD:
			break;
		}
		if (util_below(rng, 16) == 0) {
			ring_read_skip(reader, lane);
			t->whole[lane]++;
			continue;
		}
		/* Time in which the writer may come round: the copy must notice. */
		if (util_below(rng, 2) == 0)
			util_dawdle(rng, 20000);
		switch (util_take(reader, lane, &head, LANE_MAX)) {
		case 1:
			t->whole[lane]++;
			break;
		case 0:
			t->dropped++;
			break;
		default:
			/* It may have been taken or not: the sums do not matter now. */
			t->corrupt++;
			return true;
		}
	}
	return true;
}

static void
run_reader(unsigned index)
{
	struct tally *t = &shared->tallies[index];
	struct util_rng rng = { index + 99 };
	struct mark marks[WRITERS] = { { .pos = 0 } };
	bool last, more;

	do {
		last = atomic_load(&shared->stop_readers);
		more = false;
		for (unsigned lane = 0; lane < WRITERS; lane++) {
			more |= drain(readers[index], lane, t, &rng);
			if (!last && util_below(&rng, 4) == 0)
				go_back(readers[index], lane, t, &marks[lane], &rng);
		}
		if (util_below(&rng, 200) == 0)
			util_nap(300); /* be lapped */
	} while (!last || more);
	t->damaged = ring_read_damaged(readers[index]);
}

static void
run(unsigned slot, uint64_t salt)
{
	ring_seg_confine(seg, slot);
	if (slot < WRITERS)
		run_writer(slot, salt);
	else
		run_reader(slot - WRITERS);
}

/* Kills writers in turn until END; returns how many were in mid-write. */
static unsigned
kill_writers(pid_t *pids, int64_t end, unsigned *kills_r)
{
	struct util_rng rng = { (uint64_t)end };
	unsigned torn = 0, kills = 0;

	while (base_time_ms() < end) {
		unsigned slot = kills % WRITERS;
		struct ring_lane_page *page = ring_seg_lane(seg, slot);

		util_nap((long)util_below(&rng, 4000) + 500);
		if (!util_kill(pids[slot]))
			exit(1);
		if (atomic_load(&page->intent) != atomic_load(&page->tail))
			torn++;
		pids[slot] = util_start(run, slot, util_rand(&rng));
		kills++;
	}
	*kills_r = kills;
	return torn;
}

static void
by_processes(double seconds)
{
	pid_t pids[SLOTS];
	unsigned torn, kills;
	bool well = true;

	for (unsigned i = 0; i < SLOTS; i++)
		pids[i] = util_start(run, i, i);
	torn = kill_writers(pids, base_time_ms() + (int64_t)(seconds * 1000), &kills);
	atomic_store(&shared->stop_writers, true);
	for (unsigned i = 0; i < WRITERS; i++)
		well &= util_ended_well(pids[i]);
	atomic_store(&shared->stop_readers, true);
	for (unsigned i = WRITERS; i < SLOTS; i++)
		well &= util_ended_well(pids[i]);
	printf("kills %u, in mid-write %u\n", kills, torn);
	if (!well || torn == 0) {
		printf("FAIL: %s\n", well ? "no kill met a write" : "a process died");
		exit(1);
	}
}

/* Puts some records; then dies in the middle of one, or not. */
static void
run_crasher(struct util_rng *rng, char *hole)
{
	static char body[LANE_MAX];
	struct ring_head head = { .type = RING_DATA };
	struct iovec pieces[2];
	struct ring_lane *lane;

	ring_seg_confine(seg, 0);
	ring_lane_open(seg, 0, &lane);
	for (uint64_t n = util_below(rng, 4); n > 0; n--)
		util_put(lane, util_rand(rng));
	if (util_below(rng, 2) == 0)
		_exit(0);
	signal(SIGSEGV, SIG_DFL); /* a sanitizer would report it */
	pieces[0] = (struct iovec){ body, (size_t)util_below(rng, LANE_MAX / 2) };
	pieces[1] = (struct iovec){ hole, (size_t)util_below(rng, LANE_MAX / 2) + 8 };
	ring_lane_put(lane, &head, (struct base_slice){ NULL, 0 }, pieces, 2);
	_exit(1);
}

/* Takes records until less than LEAVE bytes are left; true if all were whole. */
static bool
lag(struct ring_reader *reader, struct tally *t, uint64_t leave)
{
	struct ring_head head;
	uint64_t lost;

	while (ring_read_behind(reader, 0) > leave) {
		switch (ring_read_next(reader, 0, &head, &lost)) {
		case RING_EMPTY:
			return true; /* the rest is padding that was passed */
		case RING_LAPPED:
			t->laps++;
			t->lost[0] += lost;
			break;
		case RING_RECORD:
			if (util_take(reader, 0, &head, LANE_MAX) != 1) {
				t->corrupt++;
				return false;
			}
			t->whole[0]++;
			break;
		}
	}
	return true;
}

static void
by_crashes(double seconds)
{
	int64_t end = base_time_ms() + (int64_t)(seconds * 1000);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *hole = mmap(NULL, LANE_MAX, PROT_NONE, flags, -1, 0);
	struct util_rng rng = { (uint64_t)end };
	struct tally t = { .laps = 0 };
	struct ring_reader *reader;
	unsigned crashes = 0;
	bool good = true;
	uint64_t before;

	base_assert(hole != MAP_FAILED);
	before = atomic_load(&ring_seg_lane(seg, 0)->seq);
	ring_reader_new(seg, &reader);
	while (good && base_time_ms() < end) {
		int status;
		pid_t pid = fork();

		base_assert(pid >= 0);
		if (pid == 0)
			run_crasher(&rng, hole);
		util_rand(&rng); /* the child has moved its own copy */
		if (waitpid(pid, &status, 0) != pid)
			status = -1;
		crashes += status != 0;
		good = status == 0 ||
		    (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		if (good && util_below(&rng, 3) > 0)
			good = lag(reader, &t,
			    LANE_SIZE - util_below(&rng, LANE_SIZE / 4));
	}
	good = good && lag(reader, &t, 0) && ring_read_damaged(reader) == 0;
	good = good && before + t.whole[0] + t.lost[0] ==
	    atomic_load(&ring_seg_lane(seg, 0)->seq);
	printf("crashes %u: whole %" PRIu64 ", laps %" PRIu64 ", lost %" PRIu64
	       ", corrupt %" PRIu64 ", damaged %" PRIu64 "\n",
	    crashes, t.whole[0], t.laps, t.lost[0], t.corrupt,
	    ring_read_damaged(reader));
	if (!good || crashes == 0 || t.laps == 0)
		exit(1);
	ring_reader_free(reader);
	munmap(hole, LANE_MAX);
}

static void *
writer_thread(void *arg)
{
	run_writer((unsigned)(uintptr_t)arg, (uintptr_t)arg);
	return NULL;
}

static void *
reader_thread(void *arg)
{
	run_reader((unsigned)(uintptr_t)arg);
	return NULL;
}

static void
by_threads(double seconds)
{
	pthread_t ids[SLOTS];
	int r = 0;

	for (uintptr_t i = 0; i < WRITERS; i++)
		r |= pthread_create(&ids[i], NULL, writer_thread, (void *)i);
	for (uintptr_t i = 0; i < READERS; i++)
		r |= pthread_create(&ids[WRITERS + i], NULL, reader_thread, (void *)i);
	base_assert(r == 0);
	util_nap((long)(seconds * 1e6));
	atomic_store(&shared->stop_writers, true);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(ids[i], NULL);
	atomic_store(&shared->stop_readers, true);
	for (unsigned i = WRITERS; i < SLOTS; i++)
		pthread_join(ids[i], NULL);
}

static bool
check_reader(unsigned index)
{
	const struct tally *t = &shared->tallies[index];
	uint64_t whole = 0, lost = 0;
	bool exact = true;

	for (unsigned i = 0; i < WRITERS; i++) {
		uint64_t put = atomic_load(&ring_seg_lane(seg, i)->seq);

		if (t->whole[i] + t->lost[i] != put) {
			exact = false;
			printf("FAIL: lane %u: %" PRIu64 " put, %" PRIu64
			       " taken, %" PRIu64 " lost\n",
			    i, put, t->whole[i], t->lost[i]);
		}
		whole += t->whole[i];
		lost += t->lost[i];
	}
	printf("reader %u: whole %" PRIu64 ", laps %" PRIu64 ", lost %" PRIu64
	       ", dropped copies %" PRIu64 ", went back %" PRIu64 ", corrupt %" PRIu64
	       ", damaged %" PRIu64 "\n",
	    index, whole, t->laps, lost, t->dropped, t->back, t->corrupt, t->damaged);
	return exact && whole > 0 && t->back > 0 && t->laps > 0 && t->corrupt == 0 &&
	    t->damaged == 0;
}

int
main(int argc, char **argv)
{
	struct util_args args = util_args(argc, argv);
	bool good = true;

	base_log_set_level(BASE_LOG_ERROR);
	shared = util_shared(sizeof(*shared));
	seg = util_seg(SLOTS, LANE_SIZE);
	for (unsigned i = 0; i < READERS; i++)
		ring_reader_new(seg, &readers[i]);
	if (args.threads)
		by_threads(args.seconds);
	else
		by_processes(args.seconds * 2 / 3);
	for (unsigned i = 0; i < READERS; i++)
		good &= check_reader(i);
	if (!args.threads)
		by_crashes(args.seconds / 3);
	for (unsigned i = 0; i < READERS; i++)
		ring_reader_free(readers[i]);
	ring_seg_free(seg);
	return good ? 0 : 1;
}
