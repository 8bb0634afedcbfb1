/*
 * stat_page: see the header.
 */
#include "config.h"

#include "stat/stat_page.h"

#include <inttypes.h>
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

void
stat_prometheus(struct base_buf *out, struct stat_page *const *pages, unsigned n)
{
	for (size_t i = 0; i < BASE_COUNT(list); i++) {
		/* By convention a counter's name says that it is one. */
		const char *end = list[i].kind[0] == 'c' ? "_total" : "";

		base_buf_printf(out, "# HELP chatd_%s%s %s\n# TYPE chatd_%s%s %s\n",
		    list[i].name, end, list[i].help, list[i].name, end, list[i].kind);
		for (unsigned w = 0; w < n; w++)
			base_buf_printf(out, "chatd_%s%s{worker=\"%u\"} %" PRIu64 "\n",
			    list[i].name, end, w,
			    atomic_load_explicit(
				value(pages[w], &list[i]), memory_order_relaxed));
	}
}
