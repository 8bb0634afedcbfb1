/*
 * ring_wake: see the header.
 */
#include "config.h"

#include "ring/ring_wake.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"

/* Part of a lane that may pass a sleeper who is not asked for. */
#define SLEEP_SHARE 4

int
ring_wake_init(struct ring_seg *seg)
{
	for (unsigned i = 0; i < seg->geom.slots; i++) {
		int fd = -1;

		errno = EMFILE;
		if (!RING_FAILS(WAKE_EVENTFD))
			fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fd < 0)
			return -1; /* ring_seg_free closes those that were made */
		seg->wake_fds[i] = fd;
	}
	return 0;
}

int
ring_wake_fd(const struct ring_seg *seg, unsigned slot)
{
	base_assert(slot < seg->geom.slots);
	return seg->wake_fds[slot];
}

bool
ring_wake_arm(struct ring_seg *seg, unsigned slot, struct ring_reader *reader)
{
	ring_word *armed = ring_seg_armed(seg, slot);

	base_assert(slot < seg->geom.slots);
	atomic_store_explicit(armed, 1, memory_order_relaxed);
	RING_POINT(ARM_AFTER_FLAG);
	ring_fence_full();
	if (reader != NULL && ring_read_pending(reader)) {
		atomic_store_explicit(armed, 0, memory_order_relaxed);
		return false;
	}
	RING_POINT(ARM_BEFORE_SLEEP);
	return true;
}

bool
ring_wake_disarm(struct ring_seg *seg, unsigned slot)
{
	uint64_t count;

	base_assert(slot < seg->geom.slots);
	/* EAGAIN is the other usual answer: nobody has written. */
	if (seg->wake_fds[slot] >= 0)
		(void)!read(seg->wake_fds[slot], &count, sizeof(count));
	return atomic_exchange_explicit(ring_seg_armed(seg, slot), 0,
	    memory_order_acq_rel) == 1;
}

static unsigned
wake(const struct ring_seg *seg, unsigned slot)
{
	uint64_t one = 1;

	if (seg->wake_fds[slot] < 0)
		return 0;
	/* It can only fail when the counter is full: then it is readable. */
	(void)!write(seg->wake_fds[slot], &one, sizeof(one));
	RING_POINT(WAKE_AFTER_WRITE);
	return 1;
}

/* Has a quarter of SELF's lane been written since all were woken? */
static bool
passed_sleepers(struct ring_seg *seg, unsigned self)
{
	uint64_t tail;

	if (self >= seg->geom.lanes)
		return false;
	tail = ring_get_own(&ring_seg_lane(seg, self)->tail);
	if (tail - seg->wake_marks[self] < seg->geom.lane_size / SLEEP_SHARE)
		return false;
	seg->wake_marks[self] = tail;
	return true;
}

unsigned
ring_wake_mask(struct ring_seg *seg, unsigned self, uint64_t mask)
{
	unsigned written = 0;

	base_assert(self < seg->geom.slots);
	if (passed_sleepers(seg, self))
		mask = UINT64_MAX;
	mask &= ~(UINT64_C(1) << self);
	RING_POINT(WAKE_BEFORE);
	ring_fence_full();
	for (unsigned i = 0; i < seg->geom.slots; i++) {
		ring_word *armed = ring_seg_armed(seg, i);

		if ((mask >> i & 1) == 0 ||
		    atomic_load_explicit(armed, memory_order_relaxed) == 0 ||
		    atomic_exchange_explicit(armed, 0, memory_order_acq_rel) == 0)
			continue;
		RING_POINT(WAKE_AFTER_TAKE);
		written += wake(seg, i);
	}
	return written;
}

void
ring_wake_one(struct ring_seg *seg, unsigned slot)
{
	wake(seg, slot);
}

void
ring_wake_all(struct ring_seg *seg, unsigned self)
{
	for (unsigned i = 0; i < seg->geom.slots; i++)
		if (i != self)
			wake(seg, i);
}
