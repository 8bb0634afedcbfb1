/*
 * ring_util: see the header.
 */
#include "config.h"

#include "ring_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "ring/ring_priv.h"

#define MAX_RECORD 16384

uint64_t
util_rand(struct util_rng *rng)
{
	uint64_t z;

	/* splitmix64: Steele, Lea, Flood 2014. */
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	z = rng->state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
util_below(struct util_rng *rng, uint64_t below)
{
	return util_rand(rng) % below;
}

void
util_dawdle(struct util_rng *rng, uint64_t below)
{
	for (uint64_t i = util_below(rng, below); i > 0; i--)
		atomic_signal_fence(memory_order_seq_cst);
}

struct ring_seg *
util_seg(unsigned slots, uint64_t lane_size)
{
	struct ring_geom geom = { .slots = slots, .lane_size = lane_size,
		.interest_buckets = 256, .stat_size = 4096 };
	struct ring_seg *seg;
	char err[256];

	if (ring_seg_create(&geom, &seg, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	if (ring_wake_init(seg) != 0) {
		perror("ring_wake_init");
		exit(1);
	}
	return seg;
}

void
util_preset(struct ring_seg *seg, unsigned slot, uint64_t pos, uint64_t seq)
{
	struct ring_lane_page *page = ring_seg_lane(seg, slot);

	atomic_store(&page->seq, seq);
	atomic_store(&page->base, seq);
	atomic_store(&page->intent, pos);
	atomic_store(&page->tail, pos);
}

void
util_torn(struct ring_seg *seg, unsigned slot, uint64_t bytes)
{
	struct ring_lane_page *page = ring_seg_lane(seg, slot);
	uint64_t size = ring_seg_geom(seg)->lane_size, tail = atomic_load(&page->tail);
	ring_word *data = ring_seg_data(seg, slot);

	atomic_store(&page->base, atomic_load(&page->seq));
	atomic_store(&page->intent, tail + bytes);
	for (uint64_t p = tail; p < tail + bytes; p += sizeof(*data))
		atomic_store(&data[(p & (size - 1)) / sizeof(*data)],
		    UINT64_C(0xdeaddeaddeaddead));
}

void
util_sizes(uint64_t seed, size_t max, size_t *name_len_r, size_t *body_len_r)
{
	struct util_rng rng = { seed };
	size_t sum;

	/* Half of them small, as chat is; the rest up to the limit. */
	sum = (size_t)util_below(&rng, (util_rand(&rng) & 1) != 0 ? 256 : max + 1);
	sum = BASE_MIN(sum, max);
	*name_len_r = (size_t)util_below(&rng, BASE_MIN(sum, 40) + 1);
	*body_len_r = sum - *name_len_r;
}

/* Fills P with the bytes of part WHICH of the record. */
static void
fill(char *p, size_t n, uint64_t seed, uint64_t which)
{
	struct util_rng rng = { seed ^ (which << 56) };
	uint64_t w;

	for (size_t i = 0; i < n; i += sizeof(w)) {
		w = util_rand(&rng);
		memcpy(p + i, &w, BASE_MIN(sizeof(w), n - i));
	}
}

uint64_t
util_put(struct ring_lane *lane, uint64_t seed)
{
	char name[64], body[MAX_RECORD];
	struct util_rng rng = { ~seed };
	struct iovec pieces[4];
	struct ring_head head;
	size_t name_len, body_len, at = 0;
	int n = (int)util_below(&rng, BASE_COUNT(pieces)) + 1;

	base_assert(ring_lane_max(lane) <= sizeof(body));
	util_sizes(seed, ring_lane_max(lane), &name_len, &body_len);
	fill(name, name_len, seed, 1);
	fill(body, body_len, seed, 2);
	for (int i = 0; i < n; i++) {
		size_t take = i == n - 1 ? body_len - at :
			(size_t)util_below(&rng, body_len - at + 1);

		pieces[i] = (struct iovec){ body + at, take };
		at += take;
	}
	memset(&head, 0, sizeof(head));
	head.chan = seed;
	head.mask = ~seed;
	head.offset = seed * 3;
	head.time = seed + 1;
	head.flags = (uint16_t)(seed >> 7);
	head.type = (seed & 8) != 0 ? RING_CTRL : RING_DATA;
	return ring_lane_put(lane, &head, (struct base_slice){ name, name_len }, pieces,
	    n);
}

int
util_take(struct ring_reader *reader, unsigned slot, const struct ring_head *head,
    size_t max)
{
	char name[MAX_RECORD], body[MAX_RECORD], want[MAX_RECORD];
	uint64_t seed = head->chan;
	size_t name_len, body_len;

	if (head->name_len > sizeof(name) || head->body_len > sizeof(body))
		return -1;
	if (!ring_read_copy(reader, slot, name, body))
		return 0;
	util_sizes(seed, max, &name_len, &body_len);
	if (head->mask != ~seed || head->offset != seed * 3 || head->time != seed + 1 ||
	    head->flags != (uint16_t)(seed >> 7) || head->origin != slot ||
	    head->type != ((seed & 8) != 0 ? RING_CTRL : RING_DATA) ||
	    head->name_len != name_len || head->body_len != body_len)
		return -1;
	fill(want, name_len, seed, 1);
	if (memcmp(name, want, name_len) != 0)
		return -1;
	fill(want, body_len, seed, 2);
	return memcmp(body, want, body_len) == 0 ? 1 : -1;
}

uint64_t
util_need(size_t name_len, size_t body_len)
{
	return BASE_ALIGN(RING_HEAD_BYTES + BASE_ALIGN(name_len, 8) + body_len,
	    RING_ALIGN);
}
