/*
 * bench_helper: processes that hold a share of the connections, for the modes idle
 * and connect: one process may not open as many files as are wanted, and one core
 * may not be enough to open connections as fast as the server takes them.
 */
#ifndef BENCH_HELPER_H
#define BENCH_HELPER_H

#include "bench/bench_run.h"

struct bench_share; /* what a helper shares with us */

struct bench_helpers {
	struct bench_share *v; /* shared memory */
	unsigned n;
	uint32_t connections; /* that are left for this process */
};

/*
 * Forks --processes - 1 helpers, which wait for bench_helpers_go; they end with
 * their parent.  Returns 0, or -1 with a text in ERR.
 */
int bench_helpers_start(struct bench_helpers *h, const struct bench_opts *opt,
    struct bench_url *urls, char *err, size_t errlen) BASE_MUST_CHECK;
void bench_helpers_go(struct bench_helpers *h);
/* True once each has opened what it can. */
bool bench_helpers_connected(const struct bench_helpers *h);
/* How many connections they had open then; after bench_helpers_stop: at the end. */
uint32_t bench_helpers_ready(const struct bench_helpers *h);
/* Lets them close all and end, and waits for that. */
void bench_helpers_stop(struct bench_helpers *h);
/* Adds what they counted to B. */
void bench_helpers_merge(const struct bench_helpers *h, struct bench *b);

#endif
