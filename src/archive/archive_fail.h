/*
 * archive_fail: the points at which a test kills the archiver (base_fail.h).
 *
 * The list is complete: a test walks it and proves that each point is reached.
 */
#ifndef ARCHIVE_ARCHIVE_FAIL_H
#define ARCHIVE_ARCHIVE_FAIL_H

#include "base/base_fail.h"

/* X(id, name) */
#define ARCHIVE_KILL_POINTS(X)                \
	X(GATHERED, "archive.gathered")       \
	X(GIVEN, "archive.given")             \
	X(ANSWERED, "archive.answered")       \
	X(CONFIRMED, "archive.confirmed")     \
	X(DEAD_BEFORE, "archive.dead.before") \
	X(DEAD_AFTER, "archive.dead.after")   \
	X(TOLD_BEFORE, "archive.told.before") \
	X(TOLD_AFTER, "archive.told.after")

#ifdef ENABLE_FAILPOINTS
enum archive_fail_id {
#define X(id, name) ARCHIVE_FAIL_##id,
	ARCHIVE_KILL_POINTS(X)
#undef X
	    ARCHIVE_FAIL_N,
};

static inline const char *
archive_fail_name(enum archive_fail_id id)
{
	static const char *const names[] = {
#define X(id, name) name,
	    ARCHIVE_KILL_POINTS(X)
#undef X
	};

	return names[id];
}
#define ARCHIVE_POINT(id) BASE_FAIL_POINT(archive_fail_name(ARCHIVE_FAIL_##id))
#else
#define ARCHIVE_POINT(id) ((void)0)
#endif

#endif
