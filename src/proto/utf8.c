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

static const struct lead leads[256 - 0x80] = {
    [0xc2 - 0x80 ... 0xdf - 0x80] = {2, 0x80, 0xbf},
    [0xe0 - 0x80] = {3, 0xa0, 0xbf},
    [0xe1 - 0x80 ... 0xec - 0x80] = {3, 0x80, 0xbf},
    [0xed - 0x80] = {3, 0x80, 0x9f},
    [0xee - 0x80 ... 0xef - 0x80] = {3, 0x80, 0xbf},
    [0xf0 - 0x80] = {4, 0x90, 0xbf},
    [0xf1 - 0x80 ... 0xf3 - 0x80] = {4, 0x80, 0xbf},
    [0xf4 - 0x80] = {4, 0x80, 0x8f},
};

/* C is not ASCII. */
static struct lead
lead_of(uint8_t c)
{
	return leads[c - 0x80];
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

/* The length of the character at P if it is whole and right, else 0. */
static size_t
whole_char(const uint8_t *p, size_t have)
{
	struct lead lead = lead_of(p[0]);

	if (lead.len == 0 || have < lead.len || p[1] < lead.min || p[1] > lead.max)
		return 0;
	/* Constants, so that the next character need not wait for the table. */
	if (lead.len == 2)
		return 2;
	if ((p[2] & 0xc0) != 0x80)
		return 0;
	if (lead.len == 3)
		return 3;
	return (p[3] & 0xc0) == 0x80 ? 4 : 0;
}

/* True if the bytes at P, fewer than the character needs, can begin it. */
static bool
begins_char(const uint8_t *p, size_t have)
{
	struct lead lead = lead_of(p[0]);
	size_t i;

	if (have >= lead.len)
		return false;
	if (have > 1 && (p[1] < lead.min || p[1] > lead.max))
		return false;
	for (i = 2; i < have; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

bool
utf8_begins(const void *text, size_t n, unsigned *tail_r)
{
	const uint8_t *p = text, *end;
	size_t len;

	*tail_r = 0;
	if (n == 0)
		return true;
	for (end = p + n; (p = skip_ascii(p, end)) < end;) {
		for (; p < end && *p >= 0x80; p += len) {
			len = whole_char(p, (size_t)(end - p));
			if (len == 0) {
				*tail_r = (unsigned)(end - p);
				return begins_char(p, (size_t)(end - p));
			}
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
		if (c < 0x80)
			return n;
		if (c >= 0xc0)
			return i < lead_of(c).len ? n - i : n;
	}
	return n;
}
