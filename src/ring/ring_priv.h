/*
 * ring_priv: what the files of ring/ share and nobody else sees: one process's
 * view of the segment, access to its areas, and the fences.
 */
#ifndef RING_PRIV_H
#define RING_PRIV_H

#include "ring/ring_layout.h"

struct ring_seg {
	char *map;
	int fd;
	struct ring_geom geom;
	struct ring_layout lay;
	int wake_fds[RING_MAX_SLOTS]; /* -1 before ring_wake_init */
	/* Tail of each own lane when all were last woken (ring_wake_mask). */
	uint64_t wake_marks[RING_MAX_SLOTS];
};

/* Wakes every slot but SELF, asleep or not; for the successor on a lane. */
void ring_wake_all(struct ring_seg *seg, unsigned self);

/* Wakes SLOT, asleep or not; for the successor on an end of its queue. */
void ring_wake_one(struct ring_seg *seg, unsigned slot);

static inline const struct ring_seg_head *
ring_seg_head(const struct ring_seg *seg)
{
	return (const struct ring_seg_head *)(const void *)seg->map;
}

static inline ring_word *
ring_seg_armed(const struct ring_seg *seg, unsigned slot)
{
	return &((struct ring_slot *)(void *)(seg->map + seg->lay.slots))[slot].armed;
}

static inline ring_word *
ring_seg_interest(const struct ring_seg *seg)
{
	return (ring_word *)(void *)(seg->map + seg->lay.interest);
}

static inline struct ring_lane_page *
ring_seg_lane(const struct ring_seg *seg, unsigned slot)
{
	return (struct ring_lane_page *)(void *)(seg->map + seg->lay.lanes +
	    slot * seg->lay.lane_step);
}

static inline ring_word *
ring_seg_data(const struct ring_seg *seg, unsigned slot)
{
	return (ring_word *)(void *)(seg->map + seg->lay.lanes +
	    slot * seg->lay.lane_step + seg->lay.lane_data);
}

/* Where SIDE (enum ring_queue_side) of the queue of client SLOT begins. */
static inline uint64_t
ring_seg_queue_at(const struct ring_seg *seg, unsigned slot, unsigned side)
{
	unsigned index = slot - (slot >= seg->geom.lanes);

	return seg->lay.queues + index * seg->lay.queue_step +
	    side * seg->lay.queue_side;
}

static inline struct ring_queue_page *
ring_seg_queue(const struct ring_seg *seg, unsigned slot, unsigned side)
{
	return (struct ring_queue_page *)(void *)(seg->map +
	    ring_seg_queue_at(seg, slot, side));
}

/* What that side sends: it lies behind its page, as in a lane. */
static inline ring_word *
ring_seg_queue_data(const struct ring_seg *seg, unsigned slot, unsigned side)
{
	return (ring_word *)(void *)(seg->map + ring_seg_queue_at(seg, slot, side) +
	    seg->lay.lane_data);
}

/* A word that others may change or that tells of other words. */
static inline uint64_t
ring_get(const ring_word *word)
{
	return atomic_load_explicit((ring_word *)(uintptr_t)word, memory_order_acquire);
}

/* A word that only the caller changes. */
static inline uint64_t
ring_get_own(const ring_word *word)
{
	return atomic_load_explicit((ring_word *)(uintptr_t)word, memory_order_relaxed);
}

static inline void
ring_set(ring_word *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/*
 * Fences, and the order of the data words that they govern.
 *
 * ThreadSanitizer does not model fences.  For it, the data words themselves
 * carry release and acquire, and the store-load fence of the handshake is a
 * read-modify-write of one word that all threads share: of two such, one reads
 * from the other, which orders what stands around them.
 */
#ifdef ENABLE_TSAN
#define RING_DATA_STORE memory_order_release
#define RING_DATA_LOAD  memory_order_acquire
extern ring_word ring_tsan_word;

static inline void
ring_fence_release(void)
{
}

static inline void
ring_fence_acquire(void)
{
}

static inline void
ring_fence_full(void)
{
	atomic_fetch_add(&ring_tsan_word, 1);
}
#else
#define RING_DATA_STORE memory_order_relaxed
#define RING_DATA_LOAD  memory_order_relaxed

static inline void
ring_fence_release(void)
{
	atomic_thread_fence(memory_order_release);
}

static inline void
ring_fence_acquire(void)
{
	atomic_thread_fence(memory_order_acquire);
}

static inline void
ring_fence_full(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}
#endif

#endif
