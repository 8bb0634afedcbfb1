/*
 * ring_layout: every structure that lies in the shared segment, and the only
 * place that knows offsets.
 *
 * The segment is a memfd.  It holds offsets and numbers, never pointers; every
 * word that two processes touch is a lock-free 64-bit atomic.  Each area starts
 * on a page of its own, so that a process can be confined to its own areas
 * (ring_seg_confine).  P is the page size of the machine that made it.
 *
 *   offset     area                              written by
 *   0          head, one page                    the maker, once, before the first fork
 *   slots      128 bytes a slot                  everybody (armed words)
 *   interest   8 bytes a bucket                  everybody (each its own bit)
 *   stats      stat_size a slot, from a page     owner of the slot
 *   lane[0]    lane page, then lane_size bytes   owner of the slot
 *   lane[1]    ... the last one is the broker's
 *   queue[0]   client's page, then queue_size    the client
 *              bytes; broker's page, then as     the broker
 *              many bytes
 *   queue[1]   ... one for each slot but the broker's, in their order
 *
 * Queues are there when queue_size is not 0.
 *
 * Head                      Slot line                 Lane page
 *   0 magic "CHATRNG1"        0 armed: 1 = asleep       0 intent   end of the write
 *   8 layout version         64 nothing: the next                  in progress
 *  16 byte order                line is fetched with    8 tail     end of what is
 *  24 page size                 this one                           published
 *  32 bytes of the whole                               16 seq      last number given
 *  40 slots                                            24 base     seq before the write
 *  48 lane_size                                                    in progress
 *  56 interest buckets                                128 epoch    owners so far
 *  64 stat_size                                       136 pid      of the owner
 *  72 boot id, random
 *  80 key of the channel hash, 2 words
 *  96 lanes
 * 104 queue_size
 *
 * Page of one side of a queue; the bytes behind it are what this side sends
 *   0 tail     end of what it has sent         128 done   it is done with all that the
 *   8 end, 16 seq  twice: where a record ends,            other side sent before this
 *              and its number; the pair whose  256 sender  senders so far
 *              end is the tail holds           264 taker   takers so far
 *
 * Positions count bytes since the lane was made and never wrap (64 bits); the
 * byte of position p lies at p modulo lane_size.  A record starts at a multiple
 * of 64 and does not cross the end of the lane: a padding record fills the rest.
 *
 * Record: 8 header words (one cache line), name, body
 *   0 pos       of this record: it names itself
 *   8 shape     bits 0-31 length, 32-47 type, 48-63 flags
 *  16 seq       counts RING_DATA and RING_CTRL of the lane, from 1
 *  24 chan      hash of the channel name
 *  32 mask      slots with interest when it was written
 *  40 time      wall clock, ns
 *  48 offset    place in the channel's stream, or 0
 *  56 name      bits 0-31 bytes of the name, 32-47 slot of the writer
 *  64 name, filled with zeros to a word; then the body, likewise
 *
 * Length is header, filled name, and body.  The next record starts at the next
 * multiple of 64.  Of a padding record only pos and shape count.
 */
#ifndef RING_LAYOUT_H
#define RING_LAYOUT_H

#include <stdatomic.h>

#include "ring/ring_seg.h"

/* Raised with every change of this file that an older process would misread. */
#define RING_LAYOUT_VERSION 2
#define RING_MAGIC          "CHATRNG1"
#define RING_BYTE_ORDER     UINT64_C(0x0102030405060708)

#define RING_MIN_LANE UINT64_C(4096)
#define RING_MAX_LANE (UINT64_C(1) << 40)
#define RING_MAX_BUCKETS (UINT64_C(1) << 24)
#define RING_MAX_STAT (UINT64_C(1) << 20)
#define RING_ALIGN    UINT64_C(64) /* of records */
#define RING_SHARE    8 /* a record takes at most this part of its lane */
#define RING_PAD      3 /* record type beside RING_DATA and RING_CTRL */

/* C11 says nothing of processes, but lock-free atomics are address-free. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics need a lock");
_Static_assert(sizeof(unsigned long long) == 8, "long long is not 64 bits");

typedef _Atomic uint64_t ring_word;
_Static_assert(sizeof(ring_word) == 8 && _Alignof(ring_word) == 8, "torn words");

struct ring_seg_head {
	char magic[8];
	uint64_t version, byte_order, page, bytes;
	uint64_t slots, lane_size, buckets, stat_size;
	uint64_t boot_id;
	struct base_hash_key key;
	uint64_t lanes, queue_size;
};
_Static_assert(sizeof(struct ring_seg_head) == 112, "head moved");
_Static_assert(offsetof(struct ring_seg_head, lanes) == 96, "head moved");
_Static_assert(offsetof(struct ring_seg_head, slots) == 40, "head moved");
_Static_assert(offsetof(struct ring_seg_head, key) == 80, "head moved");

struct ring_slot {
	ring_word armed;
	char pad[BASE_PAD - sizeof(ring_word)];
};
_Static_assert(sizeof(struct ring_slot) == BASE_PAD, "slots share lines");

struct ring_lane_page {
	ring_word intent, tail, seq, base; /* hot: read by all at each record */
	char pad[BASE_PAD - 4 * sizeof(ring_word)];
	ring_word epoch, pid; /* cold */
};
_Static_assert(offsetof(struct ring_lane_page, tail) == 8, "lane page moved");
_Static_assert(offsetof(struct ring_lane_page, base) < BASE_CACHE_LINE, "two lines");
_Static_assert(offsetof(struct ring_lane_page, epoch) == BASE_PAD, "false sharing");

/* Where a record of a queue lane ends, and its number. */
struct ring_queue_mark {
	ring_word end, seq;
};

/* Of one side of a queue, written by that side alone. */
struct ring_queue_page {
	ring_word tail; /* what it has sent: read by the other at each look */
	struct ring_queue_mark marks[2];
	char pad0[BASE_PAD - 5 * sizeof(ring_word)];
	ring_word done; /* what it has taken: read by the other when it is short */
	char pad1[BASE_PAD - sizeof(ring_word)];
	ring_word sender, taker; /* cold */
};
_Static_assert(sizeof(struct ring_queue_mark) == 16, "queue page moved");
_Static_assert(offsetof(struct ring_queue_page, marks) == 8, "queue page moved");
_Static_assert(offsetof(struct ring_queue_page, pad0) <= BASE_CACHE_LINE, "two lines");
_Static_assert(offsetof(struct ring_queue_page, done) == BASE_PAD, "false sharing");
_Static_assert(offsetof(struct ring_queue_page, sender) == 2 * BASE_PAD, "cold moved");

/* Words of a record's header. */
enum ring_rec_word {
	RING_W_POS,
	RING_W_SHAPE,
	RING_W_SEQ,
	RING_W_CHAN,
	RING_W_MASK,
	RING_W_TIME,
	RING_W_OFFSET,
	RING_W_NAME,
	RING_WORDS,
};
#define RING_HEAD_BYTES (RING_WORDS * sizeof(uint64_t))
_Static_assert(RING_HEAD_BYTES == BASE_CACHE_LINE, "a header is one line");
_Static_assert(RING_HEAD_BYTES == RING_ALIGN, "a padding record always fits");

static inline uint64_t
ring_shape(uint32_t len, uint16_t type, uint16_t flags)
{
	return (uint64_t)len | (uint64_t)type << 32 | (uint64_t)flags << 48;
}

static inline uint32_t
ring_shape_len(uint64_t shape)
{
	return (uint32_t)shape;
}

static inline uint16_t
ring_shape_type(uint64_t shape)
{
	return (uint16_t)(shape >> 32);
}

static inline uint16_t
ring_shape_flags(uint64_t shape)
{
	return (uint16_t)(shape >> 48);
}

static inline uint64_t
ring_name_word(uint32_t name_len, uint16_t origin)
{
	return (uint64_t)name_len | (uint64_t)origin << 32;
}

/* Where the areas lie: made from the sizes, the same in every process. */
struct ring_layout {
	uint64_t slots, interest, stats, lanes; /* offsets of the areas */
	uint64_t stat_step, lane_step; /* from one slot's to the next one's */
	uint64_t lane_data; /* from a lane's page to its bytes */
	uint64_t queues, queue_step; /* the same of the queues; 0 without */
	uint64_t queue_side; /* from the client's side of a queue to the broker's */
	uint64_t bytes; /* of the whole */
};

/* GEOM must be within the limits (ring_seg_create checks it). */
static inline void
ring_layout_make(const struct ring_geom *geom, uint64_t page, struct ring_layout *lay)
{
	lay->slots = page;
	lay->interest = lay->slots +
	    BASE_ALIGN((uint64_t)geom->slots * sizeof(struct ring_slot), page);
	lay->stats = lay->interest +
	    BASE_ALIGN(geom->interest_buckets * sizeof(ring_word), page);
	lay->stat_step = BASE_ALIGN(geom->stat_size, page);
	lay->lanes = lay->stats + geom->slots * lay->stat_step;
	lay->lane_data = page;
	lay->lane_step = page + BASE_ALIGN(geom->lane_size, page);
	lay->bytes = lay->lanes + geom->lanes * lay->lane_step;
	lay->queues = lay->queue_step = lay->queue_side = 0;
	if (geom->queue_size == 0)
		return;
	lay->queues = lay->bytes;
	lay->queue_side = page + BASE_ALIGN(geom->queue_size, page);
	lay->queue_step = 2 * lay->queue_side;
	lay->bytes += (geom->slots - 1) * lay->queue_step;
}

#endif
