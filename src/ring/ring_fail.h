/*
 * ring_fail: the points at which a test kills a process in the ring's code, or
 * makes a system call of it fail (base_fail.h).
 *
 * The list is complete: code names a point by its id only, and a test walks the
 * list and proves that each one is reached.
 */
#ifndef RING_FAIL_H
#define RING_FAIL_H

#include "base/base_fail.h"

/* A writer, a successor that repairs, a waker, a reader: X(id, name). */
#define RING_KILL_POINTS(X)                                \
	X(PUT_BEFORE_INTENT, "ring.put.before_intent")     \
	X(PUT_AFTER_INTENT, "ring.put.after_intent")       \
	X(PUT_AFTER_PAD, "ring.put.after_pad")             \
	X(PUT_AFTER_HEAD, "ring.put.after_head")           \
	X(PUT_MID_COPY, "ring.put.mid_copy")               \
	X(PUT_BEFORE_SEQ, "ring.put.before_seq")           \
	X(PUT_BEFORE_TAIL, "ring.put.before_tail")         \
	X(PUT_AFTER_TAIL, "ring.put.after_tail")           \
	X(REPAIR_BEFORE, "ring.repair.before")             \
	X(REPAIR_MID, "ring.repair.mid")                   \
	X(REPAIR_BEFORE_TAIL, "ring.repair.before_tail")   \
	X(REPAIR_AFTER_TAIL, "ring.repair.after_tail")     \
	X(REPAIR_BEFORE_WAKE, "ring.repair.before_wake")   \
	X(WAKE_BEFORE, "ring.wake.before")                 \
	X(WAKE_AFTER_TAKE, "ring.wake.after_take")         \
	X(WAKE_AFTER_WRITE, "ring.wake.after_write")       \
	X(ARM_AFTER_FLAG, "ring.arm.after_flag")           \
	X(ARM_BEFORE_SLEEP, "ring.arm.before_sleep")       \
	X(READ_BEFORE_HEAD, "ring.read.before_head")       \
	X(READ_AFTER_HEAD, "ring.read.after_head")         \
	X(READ_MID_COPY, "ring.read.mid_copy")             \
	X(READ_BEFORE_CHECK, "ring.read.before_check")     \
	X(READ_AFTER_CHECK, "ring.read.after_check")       \
	X(READ_LAPPED, "ring.read.lapped")                 \
	X(READ_SOUGHT, "ring.read.sought")                 \
	X(QUEUE_OUT_OPEN, "ring.queue.out.open")           \
	X(QUEUE_OUT_BEFORE_WAKE, "ring.queue.out.wake")    \
	X(QUEUE_PUT_BEFORE, "ring.queue.put.before")       \
	X(QUEUE_PUT_FULL, "ring.queue.put.full")           \
	X(QUEUE_BEFORE_MARK, "ring.queue.put.before_mark") \
	X(QUEUE_MID_MARK, "ring.queue.put.mid_mark")       \
	X(QUEUE_BEFORE_TAIL, "ring.queue.put.before_tail") \
	X(QUEUE_AFTER_TAIL, "ring.queue.put.after_tail")   \
	X(QUEUE_IN_OPEN, "ring.queue.in.open")             \
	X(QUEUE_BEFORE_HEAD, "ring.queue.in.before_head")  \
	X(QUEUE_SHOWN, "ring.queue.in.shown")              \
	X(QUEUE_BEFORE_DONE, "ring.queue.in.before_done")  \
	X(QUEUE_AFTER_DONE, "ring.queue.in.after_done")    \
	X(INTEREST_OPEN, "ring.interest.open")             \
	X(INTEREST_ADD, "ring.interest.add")               \
	X(INTEREST_DEL, "ring.interest.del")

/* System calls at start. */
#define RING_CALL_POINTS(X)                 \
	X(SEG_MEMFD, "ring.seg.memfd")      \
	X(SEG_RESERVE, "ring.seg.reserve")  \
	X(SEG_SEAL, "ring.seg.seal")        \
	X(SEG_MAP, "ring.seg.map")          \
	X(WAKE_EVENTFD, "ring.wake.eventfd")

#ifdef ENABLE_FAILPOINTS
enum ring_fail_id {
#define X(id, name) RING_FAIL_##id,
	RING_KILL_POINTS(X) RING_CALL_POINTS(X)
#undef X
};

static inline const char *
ring_fail_name(enum ring_fail_id id)
{
	static const char *const names[] = {
#define X(id, name) name,
		RING_KILL_POINTS(X) RING_CALL_POINTS(X)
#undef X
	};

	return names[id];
}
#define RING_POINT(id) BASE_FAIL_POINT(ring_fail_name(RING_FAIL_##id))
#define RING_FAILS(id) BASE_FAIL(ring_fail_name(RING_FAIL_##id))
#else
#define RING_POINT(id) ((void)0)
#define RING_FAILS(id) (false)
#endif

#endif
