/*
 * bench_stat: a histogram of durations.
 *
 * 64 steps to each power of two, so a value that is read back is within 0.8 % of
 * one that was put in.  Any 64-bit number, nanoseconds for one.
 */
#ifndef BENCH_STAT_H
#define BENCH_STAT_H

#include "base/base_defs.h"

#define BENCH_HIST_BITS  6
#define BENCH_HIST_STEPS ((65 - BENCH_HIST_BITS) << BENCH_HIST_BITS)

struct bench_hist {
	uint64_t n, max;
	double sum;
	uint64_t count[BENCH_HIST_STEPS];
};

static inline unsigned
bench_hist_index(uint64_t v)
{
	unsigned shift;

	if (v < 2u << BENCH_HIST_BITS)
		return (unsigned)v;
	shift = 63 - (unsigned)__builtin_clzll(v) - BENCH_HIST_BITS;
	return (shift << BENCH_HIST_BITS) + (unsigned)(v >> shift);
}

static inline void
bench_hist_add(struct bench_hist *h, uint64_t v)
{
	h->count[bench_hist_index(v)]++;
	h->n++;
	h->sum += (double)v;
	if (v > h->max)
		h->max = v;
}

void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from);

/* What is at or below it is the share Q (0 to 1) of all; 0 when there is none. */
uint64_t bench_hist_quantile(const struct bench_hist *h, double q);
double bench_hist_mean(const struct bench_hist *h);

/* Of what was added to NOW since it was copied to BEFORE. */
uint64_t bench_hist_quantile_since(
    const struct bench_hist *now, const struct bench_hist *before, double q);

#endif
