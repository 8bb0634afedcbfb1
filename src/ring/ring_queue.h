/*
 * ring_queue: queue lanes: a client's requests to the broker, and its replies.  A
 * client is a worker or the archiver: every slot but the broker's (ring_geom).
 *
 * Two lanes a client, one each way, with one producer and one consumer each.
 * Nothing is ever overwritten that the consumer is not done with: a producer that
 * finds no room is refused, and pushes back to who asked.  Nobody waits, there is no
 * lock and no compare-and-swap, and a process may be killed between any two
 * instructions: what a lane holds survives the death of either side.
 *
 * Steps of a put, for a record that ends at END (layout: ring_layout.h):
 *
 *   1  END - done > size, by the copy of done: load done; still so: refused
 *   2  padding, if the record does not fit before the end; header, name, body
 *   3  the mark that is not the tail's: end = END, then its seq
 *   4  tail = END                      from here on the record exists
 *   5  ring_wake_mask, once a turn     (ring_wake.h)
 *
 * Steps of the consumer at cursor C:
 *
 *   1  load tail, when C has come to the one that was loaded last
 *   2  copy the header and check it; name and body are used where they lie
 *   3  ... any number of records, to the end of a batch; commit it
 *   4  done = position after the last one that was committed
 *
 * Memory ordering, by C11:
 *
 *   operation                  order      pairs with
 *   data words (put 2)         relaxed    each other: plain loads of the consumer come
 *                                         between tail and done
 *   mark: end, then seq (3)    release    acquire of the successor, after a death
 *   tail (4)                   release    tail acquire (consumer 1)
 *   done (consumer 4)          release    done acquire (put 1)
 *   tail, then armed (5)       seq_cst fence between, as in ring_wake.h
 *
 * Why it holds: a consumer that loads a tail sees all bytes before it.  A producer
 * that loads a done writes to those bytes after the consumer's last load of them,
 * for release keeps loads before it.  Neither side looks back, so no fence is needed.
 *
 * What a death leaves:
 *
 *   died                        the other sees     the successor
 *   producer, before 3          nothing            writes over it from tail
 *   in 3, end stored, seq not   nothing            that end is not tail: the other
 *                                                  mark has the number
 *   after 3, before 4           nothing            likewise; gives the number again
 *   after 4, before 5           the record; maybe  wakes the other side
 *                               it is not awake
 *   consumer, before 3          less room          sees the same records again
 *   after the commit, before 4  less room          starts at the position that was
 *                                                  committed: sees none again
 *   after 4                     room               starts there
 *
 * A successor writes nothing before its first put or done, save its turn number and
 * the other side's eventfd, so its own death while it starts leaves what it found.
 *
 * Sleeping: ring_wake_arm, then ring_queue_pending of each queue; if one has
 * something, ring_wake_disarm and take it.  The flag is raised and the fence has
 * been made when ring_wake_arm returns true, so no record is slept upon.
 */
#ifndef RING_QUEUE_H
#define RING_QUEUE_H

#include "ring/ring_lane.h"

/* Who the caller is. */
enum ring_queue_side {
	RING_QUEUE_CLIENT, /* sends requests, takes replies */
	RING_QUEUE_BROKER, /* takes requests, sends replies */
};

struct ring_queue_out; /* a producer's handle; private memory */
struct ring_queue_in; /* a consumer's */

/* A record in place: both pointers hold until the consumer is done with it. */
struct ring_queue_item {
	struct ring_head head;
	const char *name, *body; /* head.name_len and head.body_len bytes */
	uint64_t end; /* position after it: what ring_queue_done takes */
};

/*
 * Takes over the sending end of SIDE of the queue of client SLOT, whose former owner
 * is dead and reaped; goes on behind the last record that was published, and wakes
 * the other side.  0, or -1 with a text in ERR: the positions contradict each other.
 */
int ring_queue_out_open(struct ring_seg *seg, unsigned slot, enum ring_queue_side side,
    struct ring_queue_out **out_r, char *err, size_t errlen) BASE_MUST_CHECK;
void ring_queue_out_close(struct ring_queue_out *out);

/* Largest name + body of a record: an eighth of the lane less its head. */
size_t ring_queue_max(const struct ring_queue_out *out);

/*
 * Appends one record; what is copied and set is as of ring_lane_put.  0; -EAGAIN: no
 * room, nothing was written; -EBADMSG: the consumer's position is impossible, which
 * is logged once, and nothing is ever sent again.
 */
int ring_queue_put(struct ring_queue_out *out, struct ring_head *head,
    struct base_slice name, const struct iovec *body, int n_body) BASE_MUST_CHECK;

/* End of what has been sent. */
uint64_t ring_queue_tail(const struct ring_queue_out *out);

/* True if at most half of the lane holds what the consumer is not done with: for what
 * is to leave room to others. */
bool ring_queue_roomy(struct ring_queue_out *out);

/*
 * Takes over the taking end of SIDE.  FROM is where to start: an item's end that the
 * former owner has committed with its batch, valid for this segment alone
 * (ring_seg_boot); or NULL: after what it was done with.  0, or -1 with a text in
 * ERR: a position that is not from done to tail.
 */
int ring_queue_in_open(struct ring_seg *seg, unsigned slot, enum ring_queue_side side,
    const uint64_t *from, struct ring_queue_in **in_r, char *err,
    size_t errlen) BASE_MUST_CHECK;
void ring_queue_in_close(struct ring_queue_in *in);

/*
 * Shows the next record and moves past it.  1; 0: nothing there; -EBADMSG: a record
 * or the producer's position contradicts itself, which is logged once, and nothing
 * is shown again.  Numbers (head.seq) rise by one from record to record.
 */
int ring_queue_next(struct ring_queue_in *in,
    struct ring_queue_item *item_r) BASE_MUST_CHECK;

/* End of the last record that was shown, or where the handle started. */
uint64_t ring_queue_position(const struct ring_queue_in *in);

/* Gives back the room of all records up to END, the end of one that was shown, or
 * where the handle started. */
void ring_queue_done(struct ring_queue_in *in, uint64_t end);

/* True if ring_queue_next would not say 0. */
bool ring_queue_pending(const struct ring_queue_in *in);

#endif
