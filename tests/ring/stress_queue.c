/*
 * stress_queue: a worker and a broker that are killed at any instruction, and every
 * request that was sent is done once, in order, and answered once.
 *
 *   stress_queue [-t] [SECONDS]
 *
 * The worker sends requests as fast as its lane lets it, and takes the replies; the
 * broker takes what waits as a batch, uses it in place, commits it together with its
 * position, answers, and gives the room back.  Each of them gets SIGKILL every few
 * milliseconds.  Every byte of every record is checked.
 *
 * What a database does is done by two copies of the state and one word that says
 * which of them counts.
 *
 * -t: threads, without kills (a build for ThreadSanitizer does only that).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_time.h"
#include "ring/ring_priv.h"
#include "ring_util.h"

#define QUEUE_SIZE 16384
#define QUEUE_MAX  (QUEUE_SIZE / RING_SHARE - RING_HEAD_BYTES - 7)
#define BATCH      64

/* One consumer's database: state[current] is what was committed. */
struct state {
	uint64_t pos, seq; /* after the last record that counts */
	uint64_t last; /* what the last reply was to */
};

struct db {
	_Atomic uint64_t current;
	struct state state[2];
};

struct shared {
	atomic_bool stop_worker, stop_broker, failed;
	/* Requests whose put has returned; the last one's number. */
	_Atomic uint64_t acked, refused;
	struct db requests, replies; /* the broker's, the worker's */
};

static struct ring_seg *seg;
static struct shared *shared;

static void
nap(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

static void
wrong(const char *what, const struct ring_queue_item *item, uint64_t seq)
{
	fprintf(stderr,
	    "stress_queue: %s seq=%" PRIu64 " end=%" PRIu64 " after=%" PRIu64 "\n",
	    what, item->head.seq, item->end, seq);
	atomic_store(&shared->failed, true);
}

static const struct state *
committed(struct db *db)
{
	return &db->state[atomic_load(&db->current)];
}

static void
commit(struct db *db, const struct state *state)
{
	uint64_t other = 1 - atomic_load(&db->current);

	db->state[other] = *state;
	atomic_store(&db->current, other);
}

static void
open_ends(enum ring_queue_side side, struct db *db, struct ring_queue_out **out_r,
    struct ring_queue_in **in_r)
{
	char err[256];

	if (ring_queue_out_open(seg, 0, side, out_r, err, sizeof(err)) != 0 ||
	    ring_queue_in_open(seg, 0, side, &committed(db)->pos, in_r, err,
		sizeof(err)) != 0) {
		fprintf(stderr, "stress_queue: %s\n", err);
		atomic_store(&shared->failed, true);
		exit(1);
	}
}

/* The worker: takes the replies that wait, each to a later request than the last. */
static bool
take_replies(struct ring_queue_in *in)
{
	struct state now = *committed(&shared->replies);
	struct ring_queue_item item;
	unsigned n;
	int r = 0;

	for (n = 0; n < BATCH && (r = ring_queue_next(in, &item)) == 1; n++) {
		uint64_t to;

		if (item.head.seq != now.seq + 1 || item.head.origin != 1 ||
		    item.head.body_len != sizeof(to))
			wrong("reply", &item, now.seq);
		memcpy(&to, item.body, sizeof(to));
		if (to != now.last + 1)
			wrong("reply to another request", &item, now.last);
		now.seq++;
		now.last = to;
		now.pos = item.end;
	}
	if (r < 0)
		wrong("damaged reply", &item, now.seq);
	if (n == 0)
		return false;
	commit(&shared->replies, &now);
	ring_queue_done(in, now.pos);
	return true;
}

static void
run_worker(uint64_t salt)
{
	struct util_rng rng = { salt };
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	struct util_rec rec;

	open_ends(RING_QUEUE_CLIENT, &shared->replies, &out, &in);
	while (!atomic_load_explicit(&shared->stop_worker, memory_order_relaxed)) {
		int r;

		util_make(&rec, util_rand(&rng), ring_queue_max(out));
		r = ring_queue_put(out, &rec.head, rec.name, rec.pieces, rec.n);
		if (r == 0)
			atomic_store(&shared->acked, rec.head.seq);
		else if (r == -EAGAIN)
			atomic_fetch_add(&shared->refused, 1);
		else
			atomic_store(&shared->failed, true);
		if (!take_replies(in) && r != 0)
			sched_yield();
	}
	while (!atomic_load(&shared->stop_broker))
		if (!take_replies(in))
			nap(100);
	while (take_replies(in))
		continue;
	ring_queue_out_close(out);
	ring_queue_in_close(in);
}

/* Sends one reply, and waits for room as a broker would not. */
static bool
reply(struct ring_queue_out *out, uint64_t to)
{
	struct ring_head head = { .type = RING_CTRL };
	struct iovec piece = { &to, sizeof(to) };
	int r;

	while ((r = ring_queue_put(out, &head, (struct base_slice){ NULL, 0 }, &piece,
		    1)) == -EAGAIN)
		sched_yield();
	return r == 0;
}

/*
 * Answers what is committed and was not yet.  The number of the last reply is the
 * lane's own, so a successor knows from it how many of them were sent.
 */
static void
answer(struct ring_queue_out *out, uint64_t *sent)
{
	while (*sent < committed(&shared->requests)->seq) {
		if (!reply(out, *sent + 1)) {
			atomic_store(&shared->failed, true);
			return;
		}
		++*sent;
	}
}

/* The number of the last reply before the tail. */
static uint64_t
replies_sent(void)
{
	struct ring_queue_page *page = ring_seg_queue(seg, 0, RING_QUEUE_BROKER);
	uint64_t tail = atomic_load(&page->tail);

	for (unsigned i = 0; i < 2; i++)
		if (atomic_load(&page->marks[i].end) == tail &&
		    atomic_load(&page->marks[i].seq) % 2 == i)
			return atomic_load(&page->marks[i].seq);
	return UINT64_MAX;
}

/* The broker: one batch; false if nothing waits. */
static bool
take_requests(struct ring_queue_in *in, struct ring_queue_out *out, uint64_t *sent,
    struct util_rng *rng)
{
	struct state now = *committed(&shared->requests);
	struct ring_queue_item items[BATCH];
	unsigned n;
	int r = 0;

	for (n = 0; n < BATCH && (r = ring_queue_next(in, &items[n])) == 1; n++) {
		if (items[n].head.seq != now.seq + 1)
			wrong("request", &items[n], now.seq);
		now.seq++;
		now.pos = items[n].end;
	}
	if (r < 0) {
		atomic_store(&shared->failed, true);
		return false;
	}
	if (n == 0)
		return false;
	/* Time in which the worker goes on: what lies in the lane must not move. */
	util_dawdle(rng, 20000);
	for (unsigned i = 0; i < n; i++)
		if (!util_item(&items[i], 0, QUEUE_MAX))
			wrong("request is not whole", &items[i], now.seq);
	commit(&shared->requests, &now);
	answer(out, sent);
	ring_queue_done(in, now.pos);
	return true;
}

static void
run_broker(uint64_t salt)
{
	struct util_rng rng = { salt };
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	uint64_t sent = replies_sent();
	bool last;

	open_ends(RING_QUEUE_BROKER, &shared->requests, &out, &in);
	answer(out, &sent);
	do {
		last = atomic_load(&shared->stop_broker);
		while (take_requests(in, out, &sent, &rng))
			continue;
		sched_yield();
	} while (!last);
	ring_queue_out_close(out);
	ring_queue_in_close(in);
}

static pid_t
start(unsigned slot, uint64_t salt)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid > 0)
		return pid;
	ring_seg_confine(seg, slot);
	if (slot == 0)
		run_worker(salt);
	else
		run_broker(salt);
	_exit(0);
}

static bool
ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Waits until the broker has done all that was sent, 10 s at most. */
static void
let_drain(void)
{
	struct ring_queue_page *page = ring_seg_queue(seg, 0, RING_QUEUE_CLIENT);
	int64_t end = base_time_ms() + 10000;

	while (atomic_load(&ring_seg_queue(seg, 0, RING_QUEUE_BROKER)->done) !=
	    atomic_load(&page->tail) && base_time_ms() < end)
		nap(1000);
}

static bool
by_processes(double seconds)
{
	int64_t end = base_time_ms() + (int64_t)(seconds * 1000);
	struct util_rng rng = { (uint64_t)end };
	unsigned kills[2] = { 0, 0 };
	pid_t pids[2];
	bool well;
	int status;

	for (unsigned i = 0; i < 2; i++)
		pids[i] = start(i, i);
	while (base_time_ms() < end && !atomic_load(&shared->failed)) {
		unsigned who = (unsigned)util_below(&rng, 2);

		nap((long)util_below(&rng, 4000) + 500);
		kill(pids[who], SIGKILL);
		if (waitpid(pids[who], &status, 0) != pids[who] ||
		    !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
			fprintf(stderr, "stress_queue: %s ended by itself: %#x\n",
			    who == 0 ? "worker" : "broker", status);
			atomic_store(&shared->failed, true);
		}
		pids[who] = start(who, util_rand(&rng));
		kills[who]++;
	}
	atomic_store(&shared->stop_worker, true);
	nap(10000);
	let_drain();
	atomic_store(&shared->stop_broker, true);
	well = ended_well(pids[1]);
	well &= ended_well(pids[0]);
	printf("kills: worker %u, broker %u\n", kills[0], kills[1]);
	return well && kills[0] > 0 && kills[1] > 0;
}

static void *
worker_thread(void *arg)
{
	(void)arg;
	run_worker(1);
	return NULL;
}

static void *
broker_thread(void *arg)
{
	(void)arg;
	run_broker(2);
	return NULL;
}

static bool
by_threads(double seconds)
{
	pthread_t worker, broker;
	int r;

	r = pthread_create(&worker, NULL, worker_thread, NULL);
	r |= pthread_create(&broker, NULL, broker_thread, NULL);
	base_assert(r == 0);
	nap((long)(seconds * 1e6));
	atomic_store(&shared->stop_worker, true);
	nap(10000);
	let_drain();
	atomic_store(&shared->stop_broker, true);
	pthread_join(broker, NULL);
	pthread_join(worker, NULL);
	return true;
}

/* The sums: all that was told to be sent was done, and answered. */
static bool
check_sums(void)
{
	const struct state *requests = committed(&shared->requests);
	const struct state *replies = committed(&shared->replies);
	uint64_t acked = atomic_load(&shared->acked), tail;

	tail = atomic_load(&ring_seg_queue(seg, 0, RING_QUEUE_CLIENT)->tail);
	printf("requests acknowledged %" PRIu64 ", done %" PRIu64 ", answered %" PRIu64
	       ", refused %" PRIu64 ", laps %" PRIu64 "\n",
	    acked, requests->seq, replies->last, atomic_load(&shared->refused),
	    tail / QUEUE_SIZE);
	/* A put that was killed before it returned may have been done. */
	return requests->pos == tail && requests->seq >= acked &&
	    replies->last == requests->seq && acked > 1000 &&
	    atomic_load(&shared->refused) > 0 && !atomic_load(&shared->failed);
}

int
main(int argc, char **argv)
{
	bool threads = false, good;
	double seconds = 3;

#ifdef ENABLE_TSAN
	threads = true;
#endif
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-t") == 0)
			threads = true;
		else
			seconds = strtod(argv[i], NULL);
	}
	base_log_set_level(BASE_LOG_ERROR);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	base_assert(shared != MAP_FAILED);
	seg = util_queue_seg(2, 2, QUEUE_SIZE);
	good = threads ? by_threads(seconds) : by_processes(seconds);
	good &= check_sums();
	if (!good)
		printf("FAIL\n");
	ring_seg_free(seg);
	return good ? 0 : 1;
}
