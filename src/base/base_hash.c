/*
 * base_hash: see the header.
 */
#include "config.h"

#include "base/base_hash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void
rounds(struct state *s, int n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v2 = rotl(s->v2, 32);
	}
}

uint64_t
base_hash(const struct base_hash_key *key, const void *p, size_t n)
{
	struct state s = {
	    key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d,
	    key->k0 ^ 0x6c7967656e657261, key->k1 ^ 0x7465646279746573};
	const uint8_t *b = p;
	size_t left = n;
	uint64_t w;

	for (; left >= 8; left -= 8, b += 8) {
		memcpy(&w, b, 8);
		w = le64toh(w);
		s.v3 ^= w;
		rounds(&s, 2);
		s.v0 ^= w;
	}
	w = (uint64_t)n << 56;
	for (size_t i = 0; i < left; i++)
		w |= (uint64_t)b[i] << (8 * i);
	s.v3 ^= w;
	rounds(&s, 2);
	s.v0 ^= w;
	s.v2 ^= 0xff;
	rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
