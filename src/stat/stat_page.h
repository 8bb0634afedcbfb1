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

/* Sets all gauges to 0. */
void stat_reset_gauges(struct stat_page *page);
void stat_archiver_reset(struct stat_archiver *page);

/*
 * Appends the N pages in Prometheus' text format (version 0.0.4), each value with
 * the label worker="I".
 */
void stat_prometheus(struct base_buf *out, struct stat_page *const *pages, unsigned n);

#endif
