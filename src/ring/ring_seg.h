/*
 * ring_seg: the shared segment: memory, its layout, and who may write what.
 */
#ifndef RING_SEG_H
#define RING_SEG_H

#include "base/base_defs.h"
#include "base/base_hash.h"

struct ring_seg; /* one process's view; private memory */

#define RING_MAX_SLOTS 64 /* processes; bits of an interest mask */

/*
 * Sizes, from the configuration.
 *
 * Slots 0 to lanes - 2 are workers and lanes - 1 is the broker: each owns a
 * broadcast lane (ring_lane.h).  Slots from lanes on have none.  All but the broker
 * are its clients, each with a queue to it and one back (ring_queue.h).
 */
struct ring_geom {
	unsigned slots; /* processes with counters, an armed word and an eventfd */
	unsigned lanes; /* broadcast lanes; slots at most */
	uint64_t lane_size; /* data bytes of a lane; a power of two, 4 KiB to 1 TiB */
	/* Data bytes of a queue in one direction, limits as of lane_size; or 0: there
	 * are no queues, and the last lane is as any other. */
	uint64_t queue_size;
	uint64_t interest_buckets; /* a power of two, 16 Mi at most */
	uint64_t stat_size; /* bytes of counters of each slot, 1 MiB at most */
};

/*
 * Makes the segment (memfd, sealed against resizing), reserves all of its
 * memory, lays it out and maps it.  For the master, before the first fork.
 * Returns 0, or -1 with a text in ERR: bad sizes, no such room on this machine or
 * in its control group (ring_room.h), a system call that failed.  After it no store
 * to the segment can fail.
 */
int ring_seg_create(const struct ring_geom *geom, struct ring_seg **seg_r, char *err,
    size_t errlen) BASE_MUST_CHECK;

/*
 * Maps a segment that another process made: checks magic, version, sizes, and
 * that it is sealed.  FD stays the caller's.  0, or -1 with a text in ERR.
 */
int ring_seg_attach(int fd, struct ring_seg **seg_r, char *err, size_t errlen)
    BASE_MUST_CHECK;

/*
 * In a child, before it serves: from now on this process can write only the lane
 * (if it has one) and the counters of SLOT, the armed words (a waker lowers those of
 * others) and the interest table; of the queues, a client its own side of its own,
 * which is what it sends and how far it is done with what it receives; the broker,
 * its side of all.  All else is read-only for it, and a store there is a SIGSEGV.
 */
void ring_seg_confine(struct ring_seg *seg, unsigned slot);

void ring_seg_free(struct ring_seg *seg); /* unmaps and closes */

int ring_seg_fd(const struct ring_seg *seg);
const struct ring_geom *ring_seg_geom(const struct ring_seg *seg);
uint64_t ring_seg_bytes(const struct ring_seg *seg); /* whole size */
/* Slot of the broker, whether one lives or not; no client has it. */
unsigned ring_seg_broker(const struct ring_seg *seg);
/* Random, another one for each segment: what positions on disk belong to. */
uint64_t ring_seg_boot(const struct ring_seg *seg);
/* Key of channel hashes; the same for all processes of this segment. */
const struct base_hash_key *ring_seg_key(const struct ring_seg *seg);
/* Counter page of SLOT: geom.stat_size bytes, written by its owner alone. */
void *ring_seg_stats(struct ring_seg *seg, unsigned slot);

#endif
