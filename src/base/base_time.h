/*
 * base_time: clocks.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <time.h>

#include "base/base_defs.h"

/* Monotonic, in milliseconds; for deadlines. */
static inline int64_t
base_time_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wall clock, in nanoseconds since 1970. */
static inline uint64_t
base_time_wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
