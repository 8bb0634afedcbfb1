/*
 * bench_load: the modes: what is opened, published and held, and when it is measured.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/bench_helper.h"
#include "bench/bench_proc.h"
#include "bench/bench_run.h"

/* What a measurement is the difference of two of. */
struct bench_moment {
	uint64_t t, own_ns;
	struct bench_tree tree;
	struct bench_machine machine;
	struct bench_count count;
};

struct bench_result {
	struct bench_moment opening, opened; /* around connecting */
	struct bench_moment from, to; /* around the measured time */
	uint64_t pss_before, pss_after;
	uint64_t kernel_before, kernel_after;
	uint32_t connected; /* since the memory was first measured */
	uint32_t ready, away; /* at the end */
	uint64_t stalls; /* saturate: half a second without a delivery */
	bool interrupted;
};

/*
 * Runs what the options ask for.  Returns 0, or -1 with a text in ERR when nothing
 * could be measured.
 */
int bench_load_run(struct bench *b, struct bench_helpers *helpers,
    struct bench_result *r, char *err, size_t errlen) BASE_MUST_CHECK;
void bench_result_free(struct bench_result *r);

/* For helper processes: opens their share of connections. */
void bench_load_connect(struct bench *b, uint32_t upto);
/* Handles what comes, for at most until UNTIL. */
void bench_load_pump(struct bench *b, uint64_t until);

#endif
