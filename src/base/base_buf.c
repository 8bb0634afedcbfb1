/*
 * base_buf: see the header.
 */
#include "config.h"

#include "base/base_buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

char *
base_buf_room(struct base_buf *b, size_t n)
{
	size_t need, cap;

	base_assert(!__builtin_add_overflow(b->len, n, &need));
	if (need > b->cap) {
		cap = b->cap < 64 ? 64 : b->cap;
		while (cap < need)
			cap = cap < SIZE_MAX / 2 ? cap * 2 : need;
		b->p = base_realloc(b->p, cap, 1);
		b->cap = cap;
	}
	return b->p + b->len;
}

void
base_buf_free(struct base_buf *b)
{
	free(b->p);
	*b = (struct base_buf){0};
}

void
base_buf_printf(struct base_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	base_assert(n >= 0);
	vsnprintf(base_buf_room(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}
