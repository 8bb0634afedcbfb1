/*
 * broker_fail: the points at which a test kills the broker (base_fail.h).
 *
 * The list is complete: a test walks it and proves that each point is reached.
 */
#ifndef BROKER_BROKER_FAIL_H
#define BROKER_BROKER_FAIL_H

#include "base/base_fail.h"

/* X(id, name) */
#define BROKER_KILL_POINTS(X)                           \
	X(COLLECTED, "broker.collected")                \
	X(BEFORE_COMMIT, "broker.commit.before")        \
	X(AFTER_COMMIT, "broker.commit.after")          \
	X(COMMITTED, "broker.committed")                \
	X(BEFORE_PUSH, "broker.push.before")            \
	X(AFTER_PUSH, "broker.push.after")              \
	X(AFTER_ANSWER, "broker.answer.after")          \
	X(BEFORE_DONE, "broker.done.before")            \
	X(AFTER_DONE, "broker.done.after")              \
	X(BEFORE_WAKE, "broker.wake.before")            \
	X(REPLAY_OPENED, "broker.replay.opened")        \
	X(REPLAY_WALKED, "broker.replay.walked")        \
	X(REPLAY_PUSHED, "broker.replay.pushed")

#ifdef ENABLE_FAILPOINTS
enum broker_fail_id {
#define X(id, name) BROKER_FAIL_##id,
	BROKER_KILL_POINTS(X)
#undef X
};

static inline const char *
broker_fail_name(enum broker_fail_id id)
{
	static const char *const names[] = {
#define X(id, name) name,
		BROKER_KILL_POINTS(X)
#undef X
	};

	return names[id];
}
#define BROKER_POINT(id) BASE_FAIL_POINT(broker_fail_name(BROKER_FAIL_##id))
#else
#define BROKER_POINT(id) ((void)0)
#endif

#endif
