/*
 * fuzz: what a fuzz target is made of.
 *
 * A target is one C file with LLVMFuzzerTestOneInput().  It is linked with libFuzzer
 * (configure --enable-fuzzers) or with fuzz_main.c, which runs it over its corpus and
 * over mutations of that.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_defs.h"

/* The name is libFuzzer's.  Returns 0.  DATA, of exactly SIZE bytes, stays as it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that has to hold whatever the input is. */
#define FUZZ_CHECK(expr)                                                         \
	do {                                                                     \
		if (BASE_UNLIKELY(!(expr))) {                                    \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__,       \
			    __LINE__, #expr);                                    \
			abort();                                                 \
		}                                                                \
	} while (0)

/* A copy of exactly N bytes, so that a sanitizer sees one byte too far. */
static inline void *
fuzz_copy(const void *p, size_t n)
{
	void *q = malloc(n > 0 ? n : 1);

	FUZZ_CHECK(q != NULL);
	if (n > 0)
		memcpy(q, p, n);
	return q;
}

/* The same numbers for the same input: a place to cut it, and so on. */
static inline uint64_t
fuzz_hash(const uint8_t *p, size_t n, uint64_t salt)
{
	uint64_t h = 0xcbf29ce484222325u ^ salt;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

#endif
