/* bench_track: see bench_track.h. */
#include "config.h"

#include "bench/bench_track.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

/* Makes room for a range at place I. */
static void
gaps_insert(struct bench_gaps *g, uint32_t i, struct bench_gap gap)
{
	if (g->n == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 4;
		g->v = base_realloc(g->v, g->cap, sizeof(*g->v));
	}
	memmove(g->v + i + 1, g->v + i, (g->n - i) * sizeof(*g->v));
	g->v[i] = gap;
	g->n++;
}

static void
gaps_remove(struct bench_gaps *g, uint32_t i)
{
	g->n--;
	memmove(g->v + i, g->v + i + 1, (g->n - i) * sizeof(*g->v));
}

/* The first range that ends at SEQ or later. */
static uint32_t
gaps_find(const struct bench_gaps *g, uint32_t seq)
{
	uint32_t low = 0, high = g->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (g->v[mid].to < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* How many of FROM..TO are not excused. */
static uint64_t
not_excused(const struct bench_pub *pub, uint32_t from, uint32_t to)
{
	const struct bench_gaps *g = &pub->excused;
	uint64_t n;

	if (from > to)
		return 0;
	n = (uint64_t)to - from + 1;
	for (uint32_t i = gaps_find(g, from); i < g->n && g->v[i].from <= to; i++)
		n -= (uint64_t)BASE_MIN(to, g->v[i].to) - BASE_MAX(from, g->v[i].from) +
		     1;
	return n;
}

void
bench_track_start(struct bench_track *t, const struct bench_pub *pub)
{
	base_assert(t->holes.n == 0);
	t->base = t->last = pub->seq;
}

/* Takes SEQ out of the hole I. */
static void
fill_hole(struct bench_gaps *g, uint32_t i, uint32_t seq)
{
	struct bench_gap gap = g->v[i];

	if (gap.from == gap.to) {
		gaps_remove(g, i);
	} else if (seq == gap.from) {
		g->v[i].from++;
	} else if (seq == gap.to) {
		g->v[i].to--;
	} else {
		g->v[i].to = seq - 1;
		gaps_insert(g, i + 1, (struct bench_gap){seq + 1, gap.to});
	}
}

enum bench_seen
bench_track_take_slow(
    struct bench_track *t, const struct bench_pub *pub, uint32_t seq, uint64_t *lost_r)
{
	struct bench_gaps *g = &t->holes;
	uint32_t i;

	if (seq > t->last) {
		if (g->n >= BENCH_GAPS_MAX) {
			*lost_r += not_excused(pub, g->v[0].from, g->v[0].to);
			t->base = g->v[0].to;
			gaps_remove(g, 0);
		}
		if (seq > t->last + 1)
			gaps_insert(g, g->n, (struct bench_gap){t->last + 1, seq - 1});
		t->last = seq;
		return BENCH_SEEN_NEW;
	}
	if (seq <= t->base)
		return t->last == t->base ? BENCH_SEEN_EARLY : BENCH_SEEN_OLD;
	i = gaps_find(g, seq);
	if (i == g->n || g->v[i].from > seq)
		return BENCH_SEEN_AGAIN;
	fill_hole(g, i, seq);
	return BENCH_SEEN_LATE;
}

void
bench_track_end(struct bench_track *t, const struct bench_pub *pub, uint64_t *holes_r,
    uint64_t *tail_r)
{
	for (uint32_t i = 0; i < t->holes.n; i++)
		*holes_r += not_excused(pub, t->holes.v[i].from, t->holes.v[i].to);
	*tail_r += not_excused(pub, t->last + 1, pub->seq);
	free(t->holes.v);
	memset(&t->holes, 0, sizeof(t->holes));
	t->base = t->last = pub->seq;
}

void
bench_pub_excuse(struct bench_pub *pub, uint32_t from, uint32_t to)
{
	struct bench_gaps *g = &pub->excused;
	struct bench_gap *last = g->n > 0 ? &g->v[g->n - 1] : NULL;

	if (last != NULL && from <= last->to)
		from = last->to + 1;
	if (from > to)
		return;
	if (last != NULL && from == last->to + 1)
		last->to = to;
	else
		gaps_insert(g, g->n, (struct bench_gap){from, to});
}
