/*
 * base_hash: SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash, so that a
 * client that chooses names cannot choose collisions.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base_defs.h"

struct base_hash_key {
	uint64_t k0, k1;
};

uint64_t base_hash(const struct base_hash_key *key, const void *p, size_t n);

#endif
