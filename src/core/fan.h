/*
 * fan: from the ring to what the transport writes.
 *
 * All records of one turn for one channel are copied out of the ring into one
 * block, frame after frame, so that a client gets them in one system call however
 * many they are.  Clients that agreed on compression share a second block for each
 * window size, made when the first of them needs it.
 *
 * A block is counted: a client that cannot take all of it at once keeps a
 * reference.  A block that nobody kept is used again in the next turn.
 */
#ifndef CORE_FAN_H
#define CORE_FAN_H

#include "base/base_buf.h"
#include "core/hub.h"
#include "core/stream.h"
#include "proto/ws_deflate.h"
#include "ring/ring_read.h"
#include "stat/stat_page.h"

struct fan_block {
	uint32_t refs;
	bool counted; /* its memory is in the pool's total: somebody kept it */
	uint32_t n_frames;
	size_t len, cap;
	uint8_t data[]; /* whole frames */
};

#define FAN_BITS_MIN 9
#define FAN_BITS_MAX 15

/*
 * A channel has several in a turn when not all of its subscribers get the same: then
 * they stand one behind the other, and each subscriber gets its own in order.
 */
struct fan_batch {
	struct hub_chan *chan;
	uint32_t need, skip; /* HUB_... that a subscription must, and must not, have */
	struct fan_block *raw;
	struct fan_block *deflated[FAN_BITS_MAX - FAN_BITS_MIN + 1]; /* or NULL */
};

struct fan; /* one a process */

/* SLOT: our own. */
struct fan *fan_new(struct ring_seg *seg, unsigned slot, struct hub *hub,
    struct ring_reader *reader, struct stat_page *stat);
void fan_free(struct fan *fan);

/* The streams that are told when records of the broker's lane are lost. */
void fan_set_streams(struct fan *fan, struct streams *streams);

/* Appends a whole frame to what all subscribers of CHAN get who do not wait; before
 * the turn's fan_drain. */
void fan_add(struct fan *fan, struct hub_chan *chan, struct base_slice frame);

/*
 * Reads up to a budget of what all lanes have into batches.  True: there may be
 * more.  The caller notes who gets each batch, calls fan_detach before anybody is
 * subscribed or unsubscribed, delivers, and calls fan_done.
 */
bool fan_drain(struct fan *fan);
uint32_t fan_batches(const struct fan *fan, struct fan_batch **batches_r);
/* The batches are on their way: from now on subscriptions may change. */
void fan_detach(struct fan *fan);
void fan_done(struct fan *fan);

/* Wakes those of the slots of MASK that sleep: there is something for them. */
void fan_wake(struct fan *fan, uint64_t mask);

/* Bytes of our own lane that we have not read ourselves. */
uint64_t fan_behind(const struct fan *fan);

/* The block for a client that agreed on a window of BITS; 0: no compression. */
struct fan_block *fan_block_for(struct fan *fan, struct fan_batch *batch, unsigned bits,
    struct ws_deflate *deflate, size_t min_size);

/* A block of the caller's own bytes, for what only one client gets; 1 reference,
 * counted. */
struct fan_block *fan_block_copy(struct fan *fan, const void *p, size_t len);
struct fan_block *fan_block_keep(struct fan *fan, struct fan_block *block);
void fan_block_drop(struct fan *fan, struct fan_block *block);

/* Memory of all blocks that clients keep, in bytes, and what was added to it. */
size_t fan_kept_bytes(const struct fan *fan);
/* What keeps them is memory too: MORE bytes of it, LESS fewer. */
void fan_kept_add(struct fan *fan, size_t more, size_t less);

#endif
