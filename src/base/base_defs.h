/*
 * base_defs: attributes, sizes and small helpers that every file may use.
 */
#ifndef BASE_DEFS_H
#define BASE_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define BASE_MUST_CHECK        __attribute__((warn_unused_result))
#define BASE_NORETURN          __attribute__((noreturn))
#define BASE_UNUSED            __attribute__((unused))
#define BASE_LIKELY(x)         __builtin_expect(!!(x), 1)
#define BASE_UNLIKELY(x)       __builtin_expect(!!(x), 0)

#define BASE_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BASE_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define BASE_MAX(a, b)    ((a) > (b) ? (a) : (b))

/* The structure that holds MEMBER at PTR. */
#define BASE_CONTAINER(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Rounds up to a power-of-two alignment. */
#define BASE_ALIGN(n, to) (((n) + ((to) - 1)) & ~((__typeof__(n))(to) - 1))

#define BASE_CACHE_LINE 64
/* Two lines: the adjacent-line prefetcher makes neighbours share. */
#define BASE_PAD        128

/* A piece of memory that somebody else owns; not terminated. */
struct base_slice {
	const char *p;
	size_t len;
};

#endif
