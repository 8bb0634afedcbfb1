/*
 * ring_wake: sleep and be woken, without a lost wake-up and without a system
 * call for a reader that is awake.
 *
 * One non-blocking eventfd a slot, made by the master before it forks, and one
 * word a slot in the segment, "armed", on a line of its own.
 *
 *   sleeper                          waker
 *   armed = 1                        tail = ... (ring_lane_put)
 *   full fence                       full fence
 *   look at all tails once more      armed is 1, and exchange with 0 gives 1:
 *   nothing: sleep on the eventfd      write the eventfd
 *
 * One of the two sees the other's store: without either fence both may pass their
 * load before their store is seen, and the sleeper sleeps on a record.  The
 * exchange lets one of several wakers write, so a burst costs one write a sleeper.
 *
 * A waker that is killed before or in this leaves sleepers asleep until its
 * successor opens the lane, which writes all eventfds.  Against that, and as a
 * belt against what we do not know, a sleeper wakes once a second by a timer:
 *
 *   asleep = ring_wake_disarm(seg, slot)     flag still up: nobody woke it
 *   take what the lanes hold, as after any wake
 *   each record: asleep && ring_wake_late(head, slot, now): count it
 *
 * ring_read_pending alone proves no lost wake-up: records for others are no
 * reason to wake.  The count is 0 while no writer dies.
 */
#ifndef RING_WAKE_H
#define RING_WAKE_H

#include "ring/ring_read.h"

/* Makes the eventfds; master only.  0, or -1 with errno. */
int ring_wake_init(struct ring_seg *seg) BASE_MUST_CHECK;

/* Descriptor that becomes readable when SLOT is woken. */
int ring_wake_fd(const struct ring_seg *seg, unsigned slot);

/*
 * Before sleeping: raises the flag of SLOT, then looks at all lanes once more, if it
 * has a READER of them (else NULL).  True: sleep, after a look at the queues if SLOT
 * takes from any (ring_queue.h).  False: something came in; the flag is down again.
 */
bool ring_wake_arm(struct ring_seg *seg, unsigned slot, struct ring_reader *reader);

/* After sleeping: lowers the flag and empties the eventfd.  True if the flag was
 * still up, that is, if nobody has woken SLOT. */
bool ring_wake_disarm(struct ring_seg *seg, unsigned slot);

/* Older than that, a record found by the timer had no wake-up under way, ns. */
#define RING_WAKE_LATE UINT64_C(250000000)

/* NOW: wall clock, as in head->time. */
static inline bool
ring_wake_late(const struct ring_head *head, unsigned slot, uint64_t now)
{
	return (head->mask >> slot & 1) != 0 && now > head->time &&
	    now - head->time > RING_WAKE_LATE;
}

/*
 * At the end of a turn that published: wakes the slots of MASK that sleep, but
 * not SELF.  Returns how many eventfds were written.
 *
 * Every quarter of a lane it wakes all: a sleeper who is not asked for would
 * otherwise be lapped by what is not for it, and could not know that.
 */
unsigned ring_wake_mask(struct ring_seg *seg, unsigned self, uint64_t mask);

#endif
