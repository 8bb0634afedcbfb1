/*
 * tail: see the header.
 */
#include "config.h"

#include "core/tail.h"

#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

#define OVERHEAD 32 /* of an entry: its place in the ring, and the allocator's */

static void
drop_oldest(struct tail *t)
{
	struct tail_pub *p = &t->pubs[t->head];

	t->bytes -= p->len + (size_t)OVERHEAD;
	free(p->json);
	t->head = (t->head + 1) & (t->cap - 1);
	t->n--;
}

void
tail_clear(struct tail *t, uint64_t last)
{
	tail_free(t);
	t->last = last;
}

void
tail_free(struct tail *t)
{
	while (t->n > 0)
		drop_oldest(t);
	free(t->pubs);
	*t = (struct tail){.last = t->last};
}

/* Twice the room; what is in it begins at 0 then. */
static void
grow(struct tail *t)
{
	uint32_t cap = t->cap == 0 ? 4 : t->cap * 2;
	struct tail_pub *pubs = base_malloc(cap * sizeof(*pubs));

	for (uint32_t i = 0; i < t->n; i++)
		pubs[i] = t->pubs[(t->head + i) & (t->cap - 1)];
	free(t->pubs);
	t->pubs = pubs;
	t->head = 0;
	t->cap = cap;
}

void
tail_push(struct tail *t, struct base_slice json)
{
	base_assert(json.len < UINT32_MAX);
	if (t->n == t->cap)
		grow(t);
	t->pubs[(t->head + t->n++) & (t->cap - 1)] = (struct tail_pub){
	    base_memdup(json.p, json.len), (uint32_t)json.len};
	t->bytes += json.len + OVERHEAD;
	t->last++;
}

void
tail_trim(struct tail *t, uint32_t n, size_t bytes)
{
	while (t->n > n || (t->n > 1 && t->bytes > bytes))
		drop_oldest(t);
	if (t->n == 0 && t->cap > 0)
		tail_free(t);
}

struct base_slice
tail_get(const struct tail *t, uint64_t offset)
{
	const struct tail_pub *p;

	base_assert(offset >= tail_first(t) && offset <= t->last);
	p = &t->pubs[(t->head + (uint32_t)(offset - tail_first(t))) & (t->cap - 1)];
	return (struct base_slice){p->json, p->len};
}
