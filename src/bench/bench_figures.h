/*
 * bench_figures: what a result means: differences, shares and quotients.
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include "bench/bench_load.h"

struct bench_figures {
	uint32_t connections; /* opened between the two measurements of memory */
	double connect_seconds, connections_per_s;
	double cpu_us_per_connection; /* of the server, while they were opened */
	double seconds; /* measured */
	uint64_t expected; /* deliveries */
	double deliveries_per_s, published_per_s, confirmed_per_s, bytes_per_delivery,
	    reads_per_delivery;
	double cpu_us_per_delivery; /* of the server */
	double server_cpu_pct, server_user_pct, server_system_pct; /* of one core */
	double own_cpu_pct, other_cpu_pct, stolen_pct;
	uint64_t pss_before, pss_after;
	double pss_per_connection, kernel_per_connection;
	bool late; /* chatbench itself was the limit */
};

void bench_figures_make(
    struct bench_figures *f, const struct bench *b, const struct bench_result *r);

#endif
