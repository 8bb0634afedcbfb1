/*
 * base_rand: see the header.
 */
#include "config.h"

#include "base/base_rand.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/base_assert.h"

static struct {
	size_t used;
	uint8_t bytes[4096];
} pool = {sizeof(pool.bytes), {0}};

void
base_rand_forked(void)
{
	explicit_bzero(pool.bytes, sizeof(pool.bytes));
	pool.used = sizeof(pool.bytes);
}

static void
fill(void *p, size_t n)
{
	ssize_t r;

	while (n > 0) {
		r = getrandom(p, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		base_assert(r > 0);
		p = (uint8_t *)p + r;
		n -= (size_t)r;
	}
}

void
base_rand_bytes(void *p, size_t n)
{
	if (n > sizeof(pool.bytes) / 4) {
		fill(p, n);
		return;
	}
	if (sizeof(pool.bytes) - pool.used < n) {
		fill(pool.bytes, sizeof(pool.bytes));
		pool.used = 0;
	}
	memcpy(p, pool.bytes + pool.used, n);
	/* What was handed out is not kept. */
	memset(pool.bytes + pool.used, 0, n);
	pool.used += n;
}

uint32_t
base_rand_below(uint32_t below)
{
	uint32_t r, limit;

	base_assert(below > 0);
	limit = UINT32_MAX - UINT32_MAX % below;
	do
		base_rand_bytes(&r, sizeof(r));
	while (r >= limit);
	return r % below;
}

void
base_rand_uuid(uint8_t uuid[16])
{
	base_rand_bytes(uuid, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void
base_uuid_text(const uint8_t uuid[16], char text[BASE_UUID_LEN + 1])
{
	static const char hex[] = "0123456789abcdef";
	char *p = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[uuid[i] >> 4];
		*p++ = hex[uuid[i] & 15];
	}
	*p = 0;
}
