/*
 * base_mem: allocation that cannot fail.
 *
 * For what is small and bounded by configuration.  A process that cannot get it
 * logs and aborts, and the master starts it again.  What a peer's input sizes
 * is bounded by its limit before it is asked for.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/base_defs.h"

void *base_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *base_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Room for N elements of SIZE; overflow of the product aborts too. */
void *base_realloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *base_strdup(const char *s) __attribute__((malloc, returns_nonnull));
/* A terminated copy of LEN bytes. */
char *base_memdup(const void *p, size_t len) __attribute__((malloc, returns_nonnull));

#endif
