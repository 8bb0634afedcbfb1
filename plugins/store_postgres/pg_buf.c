/*
 * pg_buf: bytes in the order of the network, and lines of text.
 */
#include "pg_store.h"

#include <stdlib.h>
#include <string.h>

static bool
room(struct pg_buf *b, size_t n)
{
	size_t cap = b->cap > 0 ? b->cap : 512;
	char *p;

	if (b->failed)
		return false;
	while (cap - b->len < n)
		cap *= 2;
	if (cap == b->cap)
		return true;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void
pg_buf_add(struct pg_buf *b, const void *p, size_t n)
{
	if (n == 0 || !room(b, n))
		return;
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

/* The N lowest bytes of V, the highest first. */
static void
add_number(struct pg_buf *b, uint64_t v, size_t n)
{
	unsigned char bytes[8];
	size_t i;

	for (i = 0; i < n; i++)
		bytes[i] = (unsigned char)(v >> 8 * (n - 1 - i));
	pg_buf_add(b, bytes, n);
}

void
pg_buf_u16(struct pg_buf *b, uint16_t n)
{
	add_number(b, n, 2);
}

void
pg_buf_u32(struct pg_buf *b, uint32_t n)
{
	add_number(b, n, 4);
}

void
pg_buf_u64(struct pg_buf *b, uint64_t n)
{
	add_number(b, n, 8);
}

void
pg_buf_free(struct pg_buf *b)
{
	free(b->p);
	*b = (struct pg_buf){0};
}

void
pg_line(char *to, size_t size, const char *text)
{
	size_t len;

	snprintf(to, size, "%s", text);
	for (len = strlen(to); len > 0 && (unsigned char)to[len - 1] <= ' '; len--)
		to[len - 1] = 0;
	for (; *to != 0; to++)
		if ((unsigned char)*to < ' ' || *to == 0x7f)
			*to = ' ';
}
