/*
 * tail: the newest publications of a channel, back to back by offset.
 *
 * A run without a gap that ends at LAST; pushing to one end, dropping from the other.
 */
#ifndef CORE_TAIL_H
#define CORE_TAIL_H

#include "base/base_defs.h"

struct tail_pub {
	char *json; /* the publication's object, as it stands in pushes and replies */
	uint32_t len;
};

struct tail {
	uint64_t last; /* offset of the newest one, or where an empty one begins */
	size_t bytes; /* memory of all of them */
	uint32_t head, n, cap; /* of the ring of pubs */
	struct tail_pub *pubs;
};

/* Drops all; the next one that is pushed is LAST + 1. */
void tail_clear(struct tail *tail, uint64_t last);
void tail_free(struct tail *tail);

/* Appends a copy of JSON as LAST + 1. */
void tail_push(struct tail *tail, struct base_slice json);

/* Drops the oldest until at most N with at most BYTES are left; one may always stay
 * if N is not 0. */
void tail_trim(struct tail *tail, uint32_t n, size_t bytes);

/* Offset of the oldest one; LAST + 1 when there is none. */
static inline uint64_t
tail_first(const struct tail *tail)
{
	return tail->last + 1 - tail->n;
}

/* OFFSET is from tail_first to LAST. */
struct base_slice tail_get(const struct tail *tail, uint64_t offset);

#endif
