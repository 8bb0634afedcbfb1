/*
 * base_assert: invariants that are checked in production too.
 *
 * An assert is for what our own code guarantees.  Bytes from a peer, a file or
 * a library are never asserted on: they give an error.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include "base/base_defs.h"

/* Logs what failed and where, then aborts. */
void base_assert_fail(const char *file, int line, const char *func, const char *expr)
    BASE_NORETURN;

#define base_assert(expr)                                                     \
	do {                                                                  \
		if (BASE_UNLIKELY(!(expr)))                                   \
			base_assert_fail(__FILE__, __LINE__, __func__, #expr); \
	} while (0)

#endif
