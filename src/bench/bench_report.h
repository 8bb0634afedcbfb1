/*
 * bench_report: progress while a run goes on, its result, and the verdict.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/bench_load.h"

/* Starts the line a second on stderr. */
void bench_progress_start(struct bench *b);
void bench_progress_tick(struct bench *b, uint64_t now);
void bench_progress_stop(struct bench *b);

/* For people. */
void bench_report_text(const struct bench *b, const struct bench_result *r, FILE *out);
/* One line of JSON; the members are described in chatbench(1). */
void bench_report_json(const struct bench *b, const struct bench_result *r, FILE *out);

/* True if nothing was lost, doubled, reordered or otherwise wrong. */
bool bench_report_ok(const struct bench *b, const struct bench_result *r);

#endif
