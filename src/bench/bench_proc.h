/*
 * bench_proc: what a server's process tree has used, from /proc.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include "bench/bench_opts.h"

struct bench_process {
	int pid, ppid;
	char name[20];
	uint64_t user_ns, system_ns; /* with its children that have ended */
	uint64_t cpu_ns; /* its own, exact, and its ended children's */
};

/* A tree at one moment; zeros are empty. */
struct bench_tree {
	struct bench_process *v;
	unsigned n;
	uint64_t cpu_ns, user_ns, system_ns;
};

/* Finds the processes that descend from the roots, roots included, and reads them. */
void bench_tree_scan(struct bench_tree *t, const struct bench_list *roots);
/* Reads those again that the last scan found: quick, for the start of a measurement. */
void bench_tree_refresh(struct bench_tree *t);
void bench_tree_free(struct bench_tree *t);
/* Proportional set size of the tree, in bytes; 0 if it cannot be read. */
uint64_t bench_tree_pss(const struct bench_tree *t);

/* The whole machine. */
struct bench_machine {
	uint64_t busy_ns, stolen_ns; /* over all cores */
	uint64_t kernel_bytes; /* slab and socket buffers */
};

void bench_machine_read(struct bench_machine *m);
/* Of this process. */
uint64_t bench_own_cpu_ns(void);

#endif
