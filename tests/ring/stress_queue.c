/*
 * stress_queue: clients and a broker that are killed at any instruction, and every
 * request that was sent is done once, in order, and answered once.
 *
 *   stress_queue [-t] [SECONDS]
 *
 * A client sends requests in bursts as large as its queue lets it, and takes the
 * replies; at times it sleeps until all are there.  The broker takes what waits as a
 * batch, uses it in place, commits it together with its position, answers, and gives
 * the room back; when nothing waits, it sleeps.  For two thirds of the time each of
 * them gets SIGKILL every few milliseconds.  Every byte of every record is checked,
 * and nobody sleeps on one.
 *
 * What a database does is done by two copies of the state and one word that says
 * which of them counts.
 *
 * -t: threads, without kills (a build for ThreadSanitizer does only that).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_time.h"
#include "ring/ring_priv.h"
#include "ring_util.h"

#define QUEUE_SIZE 16384
#define QUEUE_MAX  (QUEUE_SIZE / RING_SHARE - RING_HEAD_BYTES - 7)
#define BATCH      64
/* Twice that is longer than the time from a put to its wake, ever. */
#define NAP_MS 500

/* A worker, the broker, and one without a lane, as the archiver. */
#define SLOTS   3
#define LANES   2
#define BROKER  1
#define CLIENTS 2
#define INDEX(slot) ((slot) / 2) /* of a client */
#define SLOT(index) ((index) * 2)

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
	atomic_bool stop_clients, stop_broker, failed;
	_Atomic uint64_t broker_sleeps;
	struct {
		_Atomic uint64_t acked; /* number of the last put that returned */
		_Atomic uint64_t refused, sleeps;
		struct db requests, replies; /* the broker's, the client's */
	} clients[CLIENTS];
};

/* One side of a client's queue. */
struct ends {
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	uint64_t sent; /* number of the last reply; the broker's */
	unsigned index;
};

static struct ring_seg *seg;
static struct shared *shared;

static void
wrong(const char *what, uint64_t got, uint64_t before)
{
	fprintf(stderr, "stress_queue: %s: %" PRIu64 " after %" PRIu64 "\n", what, got,
	    before);
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
open_ends(struct ends *e, unsigned index, enum ring_queue_side side)
{
	struct db *db = side == RING_QUEUE_BROKER ? &shared->clients[index].requests :
		&shared->clients[index].replies;
	unsigned slot = SLOT(index);
	char err[256];

	e->index = index;
	if (ring_queue_out_open(seg, slot, side, &e->out, err, sizeof(err)) != 0 ||
	    ring_queue_in_open(seg, slot, side, &committed(db)->pos, &e->in, err,
		sizeof(err)) != 0) {
		fprintf(stderr, "stress_queue: %s\n", err);
		atomic_store(&shared->failed, true);
		exit(1);
	}
}

static void
close_ends(struct ends *e)
{
	ring_queue_out_close(e->out);
	ring_queue_in_close(e->in);
}

/* Sleeps until SLOT is woken, if nothing waits for it in any of the N queues. */
static void
sleep_on(unsigned slot, const struct ends *ends, unsigned n, _Atomic uint64_t *sleeps)
{
	struct pollfd p = { .fd = ring_wake_fd(seg, slot), .events = POLLIN };
	bool pending = !ring_wake_arm(seg, slot, NULL);
	int r = 1;

	for (unsigned i = 0; i < n; i++)
		pending |= ring_queue_pending(ends[i].in);
	if (!pending) {
		atomic_fetch_add(sleeps, 1);
		r = poll(&p, 1, NAP_MS);
		if (r == 0)
			r = poll(&p, 1, NAP_MS);
	}
	for (unsigned i = 0; r == 0 && i < n; i++)
		if (ring_queue_pending(ends[i].in))
			wrong("slept on a record", slot, i);
	ring_wake_disarm(seg, slot);
}

/* The client: takes the replies that wait, each to the request after the last. */
static bool
take_replies(struct ends *e)
{
	struct db *db = &shared->clients[e->index].replies;
	struct state now = *committed(db);
	struct ring_queue_item item;
	unsigned n;
	int r = 0;

	for (n = 0; n < BATCH && (r = ring_queue_next(e->in, &item)) == 1; n++) {
		uint64_t to = 0;

		if (item.head.seq != now.seq + 1)
			wrong("reply", item.head.seq, now.seq);
		if (item.head.origin != BROKER || item.head.body_len != sizeof(to))
			wrong("reply of another", item.head.origin, now.seq);
		memcpy(&to, item.body, sizeof(to));
		if (to != now.last + 1)
			wrong("reply to another request", to, now.last);
		now.seq++;
		now.last = to;
		now.pos = item.end;
	}
	if (r < 0)
		wrong("damaged reply", 0, now.seq);
	if (n == 0)
		return false;
	commit(db, &now);
	ring_queue_done(e->in, now.pos);
	return true;
}

static void
send_burst(struct ends *e, struct util_rng *rng)
{
	struct util_rec rec;

	for (uint64_t n = util_below(rng, 100) + 1; n > 0; n--) {
		int r;

		util_make(&rec, util_rand(rng), ring_queue_max(e->out));
		r = ring_queue_put(e->out, &rec.head, rec.name, rec.pieces, rec.n);
		if (r == 0) {
			atomic_store(&shared->clients[e->index].acked, rec.head.seq);
			continue;
		}
		if (r != -EAGAIN)
			wrong("put", (uint64_t)-r, rec.head.seq);
		atomic_fetch_add(&shared->clients[e->index].refused, 1);
		break;
	}
	ring_wake_mask(seg, SLOT(e->index), UINT64_C(1) << BROKER);
}

static void
run_client(unsigned slot, uint64_t salt)
{
	struct util_rng rng = { salt };
	_Atomic uint64_t *sleeps = &shared->clients[INDEX(slot)].sleeps;
	struct db *db = &shared->clients[INDEX(slot)].replies;
	struct ends e;

	open_ends(&e, INDEX(slot), RING_QUEUE_CLIENT);
	while (!atomic_load_explicit(&shared->stop_clients, memory_order_relaxed)) {
		uint64_t acked;

		send_burst(&e, &rng);
		if (!take_replies(&e))
			sched_yield();
		if (util_below(&rng, 4) != 0)
			continue;
		acked = atomic_load(&shared->clients[e.index].acked);
		while (committed(db)->last < acked && !atomic_load(&shared->failed))
			if (!take_replies(&e))
				sleep_on(slot, &e, 1, sleeps);
	}
	while (!atomic_load(&shared->stop_broker))
		if (!take_replies(&e))
			util_nap(100);
	while (take_replies(&e))
		continue;
	close_ends(&e);
}

/* Sends one reply, and waits for room as a broker would not. */
static bool
reply(struct ends *e, uint64_t to)
{
	struct ring_head head = { .type = RING_CTRL };
	struct iovec piece = { &to, sizeof(to) };
	int r;

	while ((r = ring_queue_put(e->out, &head, (struct base_slice){ NULL, 0 },
		    &piece, 1)) == -EAGAIN) {
		ring_wake_mask(seg, BROKER, UINT64_C(1) << SLOT(e->index));
		sched_yield();
	}
	return r == 0;
}

/*
 * Answers what is committed and was not yet.  The number of the last reply is the
 * lane's own, so a successor knows from it how many of them were sent.
 */
static void
answer(struct ends *e)
{
	struct db *db = &shared->clients[e->index].requests;

	while (e->sent < committed(db)->seq) {
		if (!reply(e, e->sent + 1)) {
			wrong("reply not sent", e->sent + 1, e->sent);
			return;
		}
		e->sent++;
	}
	ring_wake_mask(seg, BROKER, UINT64_C(1) << SLOT(e->index));
}

/* The number of the last reply before the tail. */
static uint64_t
replies_sent(unsigned index)
{
	struct ring_queue_page *page =
	    ring_seg_queue(seg, SLOT(index), RING_QUEUE_BROKER);
	uint64_t tail = atomic_load(&page->tail);

	for (unsigned i = 0; i < 2; i++)
		if (atomic_load(&page->marks[i].end) == tail &&
		    atomic_load(&page->marks[i].seq) % 2 == i)
			return atomic_load(&page->marks[i].seq);
	return UINT64_MAX;
}

/* The broker: one batch; false if nothing waits. */
static bool
take_requests(struct ends *e, struct util_rng *rng)
{
	struct db *db = &shared->clients[e->index].requests;
	struct state now = *committed(db);
	struct ring_queue_item items[BATCH];
	unsigned n;
	int r = 0;

	for (n = 0; n < BATCH && (r = ring_queue_next(e->in, &items[n])) == 1; n++) {
		if (items[n].head.seq != now.seq + 1)
			wrong("request", items[n].head.seq, now.seq);
		now.seq++;
		now.pos = items[n].end;
	}
	if (r < 0)
		wrong("damaged request", now.seq + 1, now.seq);
	if (n == 0)
		return false;
	/* Time in which the client goes on: what lies in the lane must not move. */
	util_dawdle(rng, 20000);
	for (unsigned i = 0; i < n; i++)
		if (!util_item(&items[i], SLOT(e->index), QUEUE_MAX))
			wrong("request is not whole", items[i].head.seq, now.seq);
	commit(db, &now);
	answer(e);
	ring_queue_done(e->in, now.pos);
	return true;
}

static void
run_broker(unsigned slot, uint64_t salt)
{
	struct util_rng rng = { salt };
	struct ends ends[CLIENTS];
	bool last, more;

	for (unsigned i = 0; i < CLIENTS; i++) {
		ends[i].sent = replies_sent(i);
		open_ends(&ends[i], i, RING_QUEUE_BROKER);
		answer(&ends[i]);
	}
	do {
		last = atomic_load(&shared->stop_broker);
		do {
			more = false;
			for (unsigned i = 0; i < CLIENTS; i++)
				more |= take_requests(&ends[i], &rng);
		} while (more && !atomic_load(&shared->failed));
		if (!last)
			sleep_on(slot, ends, CLIENTS, &shared->broker_sleeps);
	} while (!last);
	for (unsigned i = 0; i < CLIENTS; i++)
		close_ends(&ends[i]);
}

static void
run(unsigned slot, uint64_t salt)
{
	if (slot == BROKER)
		run_broker(slot, salt);
	else
		run_client(slot, salt);
}

static void
run_confined(unsigned slot, uint64_t salt)
{
	ring_seg_confine(seg, slot);
	run(slot, salt);
}

/* Lets the broker do all that was sent, 10 s at most, and stops it. */
static void
stop_all(void)
{
	int64_t end = base_time_ms() + 10000;
	bool idle;

	atomic_store(&shared->stop_clients, true);
	util_nap(10000);
	do {
		util_nap(1000);
		idle = true;
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct ring_queue_page *client =
			    ring_seg_queue(seg, SLOT(i), RING_QUEUE_CLIENT);
			struct ring_queue_page *broker =
			    ring_seg_queue(seg, SLOT(i), RING_QUEUE_BROKER);

			if (atomic_load(&broker->done) != atomic_load(&client->tail))
				idle = false;
		}
	} while (!idle && base_time_ms() < end);
	atomic_store(&shared->stop_broker, true);
	ring_wake_one(seg, BROKER);
}

static bool
by_processes(double seconds)
{
	int64_t end = base_time_ms() + (int64_t)(seconds * 1000 * 2 / 3);
	struct util_rng rng = { (uint64_t)end };
	unsigned kills[SLOTS] = { 0 };
	pid_t pids[SLOTS];
	bool well = true;

	for (unsigned i = 0; i < SLOTS; i++)
		pids[i] = util_start(run_confined, i, i);
	while (well && base_time_ms() < end && !atomic_load(&shared->failed)) {
		unsigned who = (unsigned)util_below(&rng, SLOTS);

		util_nap((long)util_below(&rng, 4000) + 500);
		well = util_kill(pids[who]);
		pids[who] = util_start(run_confined, who, util_rand(&rng));
		kills[who]++;
	}
	/* A death would end a sleep that nobody else ends. */
	util_nap((long)(seconds * 1e6 / 3));
	stop_all();
	for (unsigned i = 0; i < SLOTS; i++)
		well &= util_ended_well(pids[i]) && kills[i] > 0;
	printf("kills: broker %u, clients %u and %u\n", kills[1], kills[0], kills[2]);
	return well;
}

static void *
thread(void *arg)
{
	run((unsigned)(uintptr_t)arg, (uintptr_t)arg);
	return NULL;
}

static bool
by_threads(double seconds)
{
	pthread_t ids[SLOTS];
	int r = 0;

	for (uintptr_t i = 0; i < SLOTS; i++)
		r |= pthread_create(&ids[i], NULL, thread, (void *)i);
	base_assert(r == 0);
	util_nap((long)(seconds * 1e6));
	stop_all();
	for (unsigned i = 0; i < SLOTS; i++)
		pthread_join(ids[i], NULL);
	return true;
}

/* The sums: all that was told to be sent was done, and answered. */
static bool
check_sums(unsigned index)
{
	const struct state *requests = committed(&shared->clients[index].requests);
	const struct state *replies = committed(&shared->clients[index].replies);
	uint64_t acked = atomic_load(&shared->clients[index].acked);
	uint64_t refused = atomic_load(&shared->clients[index].refused);
	uint64_t sleeps = atomic_load(&shared->clients[index].sleeps), tail;

	tail = atomic_load(&ring_seg_queue(seg, SLOT(index), RING_QUEUE_CLIENT)->tail);
	printf("client %u: acknowledged %" PRIu64 ", done %" PRIu64
	       ", answered %" PRIu64 ", refused %" PRIu64 ", laps %" PRIu64
	       ", sleeps %" PRIu64 "\n",
	    index, acked, requests->seq, replies->last, refused, tail / QUEUE_SIZE,
	    sleeps);
	/* A put that was killed before it returned may have been done. */
	return requests->pos == tail && requests->seq >= acked &&
	    replies->last == requests->seq && acked > 1000 && refused > 0 && sleeps > 0;
}

int
main(int argc, char **argv)
{
	struct util_args args = util_args(argc, argv);
	bool good;

	base_log_set_level(BASE_LOG_ERROR);
	shared = util_shared(sizeof(*shared));
	seg = util_queue_seg(SLOTS, LANES, QUEUE_SIZE);
	good = args.threads ? by_threads(args.seconds) : by_processes(args.seconds);
	for (unsigned i = 0; i < CLIENTS; i++)
		good &= check_sums(i);
	printf("broker: sleeps %" PRIu64 "\n", atomic_load(&shared->broker_sleeps));
	good = good && atomic_load(&shared->broker_sleeps) > 0 &&
	    !atomic_load(&shared->failed);
	if (!good)
		printf("FAIL\n");
	ring_seg_free(seg);
	return good ? 0 : 1;
}
