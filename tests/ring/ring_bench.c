/*
 * ring_bench: what a put, a next with copy, and a skip cost, in one process; and
 * what a put into a queue and a look at what it put cost, done once a batch.
 * Prints nanoseconds an operation for some body sizes.  Not a test.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base_assert.h"
#include "ring/ring_queue.h"
#include "ring/ring_wake.h"

#define ROUNDS 2000
#define BATCH  500
#define NAME   "bench:channel-17"

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double
per_op(uint64_t ns)
{
	return (double)ns / ((double)ROUNDS * BATCH);
}

static void
measure(struct ring_seg *seg, struct ring_lane *lane, size_t size)
{
	static char body[16384], name[64];
	struct ring_head head = { .type = RING_DATA, .chan = 17, .mask = 3 }, seen;
	struct base_slice chan = { NAME, sizeof(NAME) - 1 };
	struct iovec piece = { body, size };
	uint64_t put = 0, copy = 0, skip = 0, lost, t0, t1, t2, t3;
	struct ring_reader *copier, *skipper;

	ring_reader_new(seg, &copier);
	ring_reader_new(seg, &skipper);
	for (unsigned r = 0; r < ROUNDS; r++) {
		t0 = now_ns();
		for (unsigned i = 0; i < BATCH; i++)
			ring_lane_put(lane, &head, chan, &piece, 1);
		t1 = now_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			base_assert(ring_read_next(copier, 0, &seen, &lost) ==
			    RING_RECORD);
			base_assert(ring_read_copy(copier, 0, name, body));
		}
		t2 = now_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			base_assert(ring_read_next(skipper, 0, &seen, &lost) ==
			    RING_RECORD);
			ring_read_skip(skipper, 0);
		}
		t3 = now_ns();
		put += t1 - t0;
		copy += t2 - t1;
		skip += t3 - t2;
	}
	base_assert(!ring_read_pending(copier) && ring_read_damaged(copier) == 0);
	printf("%8zu %8.1f %10.1f %8.1f\n", size, per_op(put), per_op(copy),
	    per_op(skip));
	ring_reader_free(copier);
	ring_reader_free(skipper);
}

static void
measure_queue(struct ring_queue_out *out, struct ring_queue_in *in, size_t size)
{
	static char body[16384];
	struct ring_head head = { .type = RING_DATA, .chan = 17, .mask = 3 };
	struct base_slice chan = { NAME, sizeof(NAME) - 1 };
	struct iovec piece = { body, size };
	uint64_t put = 0, take = 0, t0, t1, t2;
	struct ring_queue_item item = { .end = 0 };

	for (unsigned r = 0; r < ROUNDS; r++) {
		t0 = now_ns();
		for (unsigned i = 0; i < BATCH; i++)
			base_assert(ring_queue_put(out, &head, chan, &piece, 1) == 0);
		t1 = now_ns();
		for (unsigned i = 0; i < BATCH; i++)
			base_assert(ring_queue_next(in, &item) == 1);
		ring_queue_done(in, item.end);
		t2 = now_ns();
		put += t1 - t0;
		take += t2 - t1;
	}
	printf("%8zu %8.1f %10.1f\n", size, per_op(put), per_op(take));
}

int
main(void)
{
	static const size_t sizes[] = { 0, 100, 300, 1024, 4096, 16384 };
	struct ring_geom geom = { .slots = 2, .lanes = 2, .lane_size = 32 << 20,
		.queue_size = 32 << 20, .interest_buckets = 4096, .stat_size = 4096 };
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	struct ring_lane *lane;
	struct ring_seg *seg;
	char err[256];

	if (ring_seg_create(&geom, &seg, err, sizeof(err)) != 0) {
		fprintf(stderr, "ring_bench: %s\n", err);
		return 1;
	}
	ring_lane_open(seg, 0, &lane);
	printf("%8s %8s %10s %8s\n", "body", "put", "next+copy", "skip");
	for (unsigned i = 0; i < BASE_COUNT(sizes); i++)
		measure(seg, lane, sizes[i]);
	ring_lane_close(lane);
	if (ring_queue_out_open(seg, 0, RING_QUEUE_CLIENT, &out, err,
		sizeof(err)) != 0 ||
	    ring_queue_in_open(seg, 0, RING_QUEUE_BROKER, NULL, &in, err,
		sizeof(err)) != 0) {
		fprintf(stderr, "ring_bench: %s\n", err);
		return 1;
	}
	printf("%8s %8s %10s\n", "queue", "put", "next");
	for (unsigned i = 0; i < BASE_COUNT(sizes); i++)
		measure_queue(out, in, sizes[i]);
	ring_queue_out_close(out);
	ring_queue_in_close(in);
	ring_seg_free(seg);
	return 0;
}
