/*
 * test_rand: numbers that are the same in every run, so that a failure is too.
 */
#ifndef TESTS_TEST_RAND_H
#define TESTS_TEST_RAND_H

#include "base/base_defs.h"

/* A counter hashed (splitmix64): any seed is good, also 0. */
static uint64_t test_rand_state;

static inline uint64_t
test_rand64(void)
{
	uint64_t x = test_rand_state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* In [0, BELOW); BELOW > 0.  The bias is of no matter here. */
static inline size_t
test_rand(size_t below)
{
	return (size_t)(test_rand64() % below);
}

#endif
