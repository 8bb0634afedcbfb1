/*
 * utf8: ASCII is skipped eight bytes at a time, the rest goes character by
 * character through the table of RFC 3629 section 4.
 */
#include "config.h"

#include "proto/utf8.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080u

/*
 * What a first byte says: the length of the character (0: it cannot begin one) and
 * the range of the second byte, which alone decides about overlong forms,
 * surrogates and the end of the code space.
 */
struct lead {
	uint8_t len, min, max;
};

static struct lead
lead_of(uint8_t c)
{
	if (c < 0xc2)
		return (struct lead){0, 0, 0};
	if (c < 0xe0)
		return (struct lead){2, 0x80, 0xbf};
	if (c < 0xf0)
		return (struct lead){3, c == 0xe0 ? 0xa0 : 0x80,
		    c == 0xed ? 0x9f : 0xbf};
	if (c < 0xf5)
		return (struct lead){4, c == 0xf0 ? 0x90 : 0x80,
		    c == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0, 0, 0};
}

static const uint8_t *
skip_ascii(const uint8_t *p, const uint8_t *end)
{
	uint64_t word;

	while (end - p >= 8) {
		memcpy(&word, p, 8);
		if ((word & HIGH_BITS) != 0)
			break;
		p += 8;
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

bool
utf8_begins(const void *text, size_t n, unsigned *tail_r)
{
	const uint8_t *p = text, *end;
	struct lead lead;
	size_t i, have;

	*tail_r = 0;
	if (n == 0)
		return true;
	for (end = p + n; (p = skip_ascii(p, end)) < end; p += lead.len) {
		lead = lead_of(*p);
		have = (size_t)(end - p);
		if (lead.len == 0)
			return false;
		if (have > 1 && (p[1] < lead.min || p[1] > lead.max))
			return false;
		for (i = 2; i < lead.len && i < have; i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
		if (have < lead.len) {
			*tail_r = (unsigned)have;
			return true;
		}
	}
	return true;
}

bool
utf8_valid(const void *p, size_t n)
{
	unsigned tail;

	return utf8_begins(p, n, &tail) && tail == 0;
}

size_t
utf8_cut(const char *p, size_t n)
{
	size_t i;
	uint8_t c;

	for (i = 1; i <= n && i < UTF8_MAX; i++) {
		c = (uint8_t)p[n - i];
		if ((c & 0xc0) != 0x80)
			return i < lead_of(c).len ? n - i : n;
	}
	return n;
}
