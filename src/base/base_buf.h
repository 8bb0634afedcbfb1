/*
 * base_buf: a growable byte buffer.
 *
 * Owned by one struct; zero-initialised is empty.  Appending cannot fail (see
 * base_mem); callers bound what they append.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <string.h>

#include "base/base_defs.h"

struct base_buf {
	char *p;
	size_t len, cap;
};

/* Makes room for N more bytes and returns where they go; len is not changed. */
char *base_buf_room(struct base_buf *b, size_t n);
void base_buf_free(struct base_buf *b);
void base_buf_printf(struct base_buf *b, const char *fmt, ...) BASE_PRINTF(2, 3);

static inline void
base_buf_add(struct base_buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(base_buf_room(b, n), p, n);
	b->len += n;
}

static inline void
base_buf_byte(struct base_buf *b, char c)
{
	*base_buf_room(b, 1) = c;
	b->len++;
}

/* For a literal or another terminated string. */
static inline void
base_buf_str(struct base_buf *b, const char *s)
{
	base_buf_add(b, s, strlen(s));
}

/* Drops the first N bytes. */
static inline void
base_buf_drop(struct base_buf *b, size_t n)
{
	b->len -= n;
	if (b->len > 0)
		memmove(b->p, b->p + n, b->len);
}

#endif
