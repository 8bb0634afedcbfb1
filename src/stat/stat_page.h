/*
 * stat_page: a process's counters, and the text that shows all of them.
 */
#ifndef STAT_PAGE_H
#define STAT_PAGE_H

#include <stdatomic.h>

#include "base/base_buf.h"
#include "stat/stat_list.h"

/* Read by other processes while its owner writes: hence atomic, relaxed. */
struct stat_page {
#define X(kind, name, help) _Atomic uint64_t name;
	STAT_LIST(X)
#undef X
};

struct stat_broker {
#define X(kind, name, help) _Atomic uint64_t name;
	STAT_BROKER(X)
#undef X
};

struct stat_archiver {
#define X(kind, name, help) _Atomic uint64_t name;
	STAT_ARCHIVER(X)
#undef X
};

/* Only the owner writes, so no locked instruction is needed. */
#define stat_add(page, name, n)                                                        \
	atomic_store_explicit(&(page)->name,                                           \
	    atomic_load_explicit(&(page)->name, memory_order_relaxed) + (uint64_t)(n), \
	    memory_order_relaxed)
#define stat_sub(page, name, n) stat_add(page, name, -(uint64_t)(n))
#define stat_set(page, name, n) \
	atomic_store_explicit(&(page)->name, (uint64_t)(n), memory_order_relaxed)
#define stat_get(page, name) atomic_load_explicit(&(page)->name, memory_order_relaxed)

/* What store_state and spool_state say. */
enum stat_store {
	STAT_STORE_NONE,
	STAT_STORE_DOWN,
	STAT_STORE_CONNECTING,
	STAT_STORE_UP,
	STAT_STORE_SCHEMA, /* waits for chatctl store init */
};

enum stat_spool {
	STAT_SPOOL_OK,
	STAT_SPOOL_FULL, /* at its bound */
	STAT_SPOOL_FAILS, /* the disk is full or fails */
};

/* Sets all gauges to 0. */
void stat_reset_gauges(struct stat_page *page);
void stat_archiver_reset(struct stat_archiver *page);

/* All pages of a daemon. */
struct stat_all {
	struct stat_page **workers;
	unsigned n_workers;
	struct stat_broker *broker;
	struct stat_archiver *archiver;
};

/*
 * Appends them in Prometheus' text format (version 0.0.4), the values of workers each
 * with the label worker="I".
 */
void stat_prometheus(struct base_buf *out, const struct stat_all *all);

/* Sum over the workers of a counter or a gauge. */
#define stat_sum(all, name)                                              \
	({                                                               \
		uint64_t sum_ = 0;                                       \
									 \
		for (unsigned i_ = 0; i_ < (all)->n_workers; i_++)       \
			sum_ += stat_get((all)->workers[i_], name);      \
		sum_;                                                    \
	})

#endif
