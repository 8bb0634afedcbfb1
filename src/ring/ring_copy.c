/*
 * ring_copy: see the header.
 */
#include "config.h"

#include "ring/ring_copy.h"

#include <string.h>

#include "ring/ring_fail.h"
#include "ring/ring_priv.h"

#define WORD sizeof(uint64_t)

/* A word that is being put together from the ends of pieces. */
struct gather {
	ring_word *dst;
	char part[WORD];
	size_t fill;
};

static inline void
put_word(ring_word *dst, const void *src)
{
	uint64_t w;

	memcpy(&w, src, WORD);
	atomic_store_explicit(dst, w, RING_DATA_STORE);
}

/* Eight at a time: the loop costs as much as a store, and more where it lies badly. */
static inline void
put_words(ring_word *dst, const char *p, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		put_word(dst + i, p + i * WORD);
		put_word(dst + i + 1, p + (i + 1) * WORD);
		put_word(dst + i + 2, p + (i + 2) * WORD);
		put_word(dst + i + 3, p + (i + 3) * WORD);
		put_word(dst + i + 4, p + (i + 4) * WORD);
		put_word(dst + i + 5, p + (i + 5) * WORD);
		put_word(dst + i + 6, p + (i + 6) * WORD);
		put_word(dst + i + 7, p + (i + 7) * WORD);
	}
	for (; i < n; i++)
		put_word(dst + i, p + i * WORD);
}

static void
gather_flush(struct gather *g)
{
	memset(g->part + g->fill, 0, WORD - g->fill);
	put_word(g->dst++, g->part);
	g->fill = 0;
}

static void
gather_piece(struct gather *g, const char *p, size_t n)
{
	size_t words;

	if (g->fill > 0) {
		size_t take = BASE_MIN(n, WORD - g->fill);

		memcpy(g->part + g->fill, p, take);
		g->fill += take;
		p += take;
		n -= take;
		if (g->fill < WORD)
			return;
		gather_flush(g);
	}
	words = n / WORD;
	put_words(g->dst, p, words);
	g->dst += words;
	g->fill = n % WORD;
	if (g->fill > 0)
		memcpy(g->part, p + words * WORD, g->fill);
}

ring_word *
ring_copy_in(ring_word *dst, const struct iovec *pieces, int n)
{
	struct gather g = { .dst = dst };

	for (int i = 0; i < n; i++) {
		if (pieces[i].iov_len > 0)
			gather_piece(&g, pieces[i].iov_base, pieces[i].iov_len);
		RING_POINT(PUT_MID_COPY);
	}
	if (g.fill > 0)
		gather_flush(&g);
	return g.dst;
}

void
ring_copy_out(void *dst, const ring_word *src, size_t n)
{
	char *to = dst;
	size_t words = n / WORD;
	uint64_t w;

	for (size_t i = 0; i < words; i++) {
		w = atomic_load_explicit(&src[i], RING_DATA_LOAD);
		memcpy(to + i * WORD, &w, WORD);
	}
	RING_POINT(READ_MID_COPY);
	if (n % WORD > 0) {
		w = atomic_load_explicit(&src[words], RING_DATA_LOAD);
		memcpy(to + words * WORD, &w, n % WORD);
	}
}
