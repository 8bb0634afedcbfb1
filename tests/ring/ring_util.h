/*
 * ring_util: records that prove themselves, for the ring's tests.
 *
 * All of a record, name, body and head, follows from one seed that stands in
 * head.chan, so a reader can tell a whole record from any mixture of two.
 */
#ifndef RING_UTIL_H
#define RING_UTIL_H

#include <sys/types.h>

#include "ring/ring_interest.h"
#include "ring/ring_queue.h"
#include "ring/ring_wake.h"

struct util_rng {
	uint64_t state;
};

uint64_t util_rand(struct util_rng *rng);
/* In [0, BELOW). */
uint64_t util_below(struct util_rng *rng, uint64_t below);

/* Spends some cycles, BELOW at most. */
void util_dawdle(struct util_rng *rng, uint64_t below);

/* Sleeps. */
void util_nap(long us);

/* What a stress test is told: [-t] [SECONDS]. */
struct util_args {
	bool threads; /* instead of processes; always so for ThreadSanitizer */
	double seconds;
};

/* Exits with a usage message when they are not understood; 3 seconds if not said. */
struct util_args util_args(int argc, char **argv);

/* Zeroed memory that children share; exits the program on failure. */
void *util_shared(size_t size);

/* Forks; in the child, runs ROLE(SLOT, SALT) and exits with 0. */
pid_t util_start(void (*role)(unsigned slot, uint64_t salt), unsigned slot,
    uint64_t salt);

/* Kills PID and reaps it; false, and a message, if it had ended by itself. */
bool util_kill(pid_t pid);

/* Waits for the end of PID; true if its code was 0. */
bool util_ended_well(pid_t pid);

/* A segment with eventfds; exits the program on failure. */
struct ring_seg *util_seg(unsigned slots, uint64_t lane_size);

/* The same with queues, and lanes of 4 KiB. */
struct ring_seg *util_queue_seg(unsigned slots, unsigned lanes, uint64_t queue_size);

/* Both positions of an unused lane, its last number, and nothing in it. */
void util_preset(struct ring_seg *seg, unsigned slot, uint64_t pos, uint64_t seq);

/* A dead owner that stopped after it had announced a write of BYTES. */
void util_torn(struct ring_seg *seg, unsigned slot, uint64_t bytes);

/* Name and body lengths that follow from SEED for a lane with this maximum. */
void util_sizes(uint64_t seed, size_t max, size_t *name_len_r, size_t *body_len_r);

/* The record of SEED, as it is put. */
struct util_rec {
	struct ring_head head;
	struct base_slice name;
	struct iovec pieces[4];
	int n;
	char name_bytes[64], body[16384];
};
void util_make(struct util_rec *rec, uint64_t seed, size_t max);

/* True if ITEM is a whole record of a lane with this maximum, sent by ORIGIN. */
bool util_item(const struct ring_queue_item *item, unsigned origin, size_t max);

/* Both positions of an unused queue lane, its last number, nothing in it. */
void util_queue_preset(struct ring_seg *seg, unsigned slot, enum ring_queue_side sender,
    uint64_t pos, uint64_t seq);

/* Puts the record of SEED, its body in up to 4 pieces.  Returns ring_lane_put's. */
uint64_t util_put(struct ring_lane *lane, uint64_t seed);

/*
 * Takes the record that ring_read_next showed as HEAD.  1: whole; 0: overwritten
 * meanwhile; -1: not what a writer has written.
 */
int util_take(struct ring_reader *reader, unsigned slot, const struct ring_head *head,
    size_t max);

/* Bytes that a record takes of a lane. */
uint64_t util_need(size_t name_len, size_t body_len);

#endif
