/*
 * base_mem: see the header.
 */
#include "config.h"

#include "base/base_mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_log.h"

static void
out_of_memory(size_t size) BASE_NORETURN;

static void
out_of_memory(size_t size)
{
	log_error(LOG_CORE, "out of memory bytes=%zu", size);
	abort();
}

void *
base_malloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
base_zalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *
base_realloc(void *p, size_t n, size_t size)
{
	size_t total;
	void *q;

	if (__builtin_mul_overflow(n, size, &total))
		out_of_memory(SIZE_MAX);
	q = realloc(p, total ? total : 1);
	if (q == NULL)
		out_of_memory(total);
	return q;
}

char *
base_memdup(const void *p, size_t len)
{
	char *q = base_malloc(len + 1);

	if (len > 0)
		memcpy(q, p, len);
	q[len] = 0;
	return q;
}

char *
base_strdup(const char *s)
{
	return base_memdup(s, strlen(s));
}
