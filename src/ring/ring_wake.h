/*
 * ring_wake: sleep and be woken, without a lost wake-up and without a system
 * call for a reader that is awake.
 *
 * One non-blocking eventfd a slot, made by the master before it forks.
 */
#ifndef RING_WAKE_H
#define RING_WAKE_H

#include "ring/ring_read.h"

/* Makes the eventfds; master only.  0, or -1 with errno. */
int ring_wake_init(struct ring_seg *seg) BASE_MUST_CHECK;

/* Descriptor that becomes readable when SLOT is woken. */
int ring_wake_fd(const struct ring_seg *seg, unsigned slot);

/*
 * Before sleeping: raises the flag of SLOT, then looks at all lanes once more.
 * True: sleep.  False: something came in; the flag is down again.
 */
bool ring_wake_arm(struct ring_seg *seg, unsigned slot, struct ring_reader *reader);

/* After sleeping: lowers the flag and empties the eventfd. */
void ring_wake_disarm(struct ring_seg *seg, unsigned slot);

/* At the end of a turn that published: wakes the slots of MASK that sleep, but
 * not SELF.  Returns how many eventfds were written. */
unsigned ring_wake_mask(struct ring_seg *seg, unsigned self, uint64_t mask);

#endif
