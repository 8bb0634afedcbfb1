/*
 * stat_page: see the header.
 */
#include "config.h"

#include "stat/stat_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNTER "counter"
#define GAUGE "gauge"

struct item {
	const char *name, *kind, *help;
	size_t offset;
};

static const struct item list[] = {
#define X(kind, name, help) {#name, kind, help, offsetof(struct stat_page, name)},
    STAT_LIST(X)
#undef X
};

static const struct item broker_list[] = {
#define X(kind, name, help) {#name, kind, help, offsetof(struct stat_broker, name)},
    STAT_BROKER(X)
#undef X
};

static const struct item archiver_list[] = {
#define X(kind, name, help) {#name, kind, help, offsetof(struct stat_archiver, name)},
    STAT_ARCHIVER(X)
#undef X
};

static _Atomic uint64_t *
value(void *page, const struct item *item)
{
	return (void *)((char *)page + item->offset);
}

static void
reset(void *page, const struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(items[i].kind, GAUGE) == 0)
			atomic_store_explicit(
			    value(page, &items[i]), 0, memory_order_relaxed);
}

void
stat_reset_gauges(struct stat_page *page)
{
	reset(page, list, BASE_COUNT(list));
}

void
stat_archiver_reset(struct stat_archiver *page)
{
	reset(page, archiver_list, BASE_COUNT(archiver_list));
}

/* By convention a counter's name says that it is one. */
static const char *
suffix(const struct item *item)
{
	return strcmp(item->kind, COUNTER) == 0 ? "_total" : "";
}

static void
show_head(struct base_buf *out, const struct item *item)
{
	base_buf_printf(out, "# HELP chatd_%s%s %s\n# TYPE chatd_%s%s %s\n", item->name,
	    suffix(item), item->help, item->name, suffix(item), item->kind);
}

static void
show(struct base_buf *out, const struct item *item, const char *labels, void *page)
{
	base_buf_printf(out, "chatd_%s%s%s %" PRIu64 "\n", item->name, suffix(item),
	    labels, atomic_load_explicit(value(page, item), memory_order_relaxed));
}

static void
show_single(struct base_buf *out, const struct item *items, size_t n, void *page)
{
	for (size_t i = 0; i < n; i++) {
		show_head(out, &items[i]);
		show(out, &items[i], "", page);
	}
}

void
stat_prometheus(struct base_buf *out, const struct stat_all *all)
{
	char labels[32];

	for (size_t i = 0; i < BASE_COUNT(list); i++) {
		show_head(out, &list[i]);
		for (unsigned w = 0; w < all->n_workers; w++) {
			snprintf(labels, sizeof(labels), "{worker=\"%u\"}", w);
			show(out, &list[i], labels, all->workers[w]);
		}
	}
	show_single(out, broker_list, BASE_COUNT(broker_list), all->broker);
	show_single(out, archiver_list, BASE_COUNT(archiver_list), all->archiver);
}
