/*
 * base64: see the header.
 */
#include "config.h"

#include "proto/base64.h"

static int
sextet(enum base64_kind kind, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (kind == BASE64_URL ? '-' : '+'))
		return 62;
	return c == (kind == BASE64_URL ? '_' : '/') ? 63 : -1;
}

bool
base64_decode(enum base64_kind kind, struct base_slice text, struct base_buf *out)
{
	size_t n = text.len, i;
	uint32_t bits = 0;
	unsigned have = 0;
	int value;
	char *to;

	if (kind == BASE64_STD) {
		if (n % 4 != 0)
			return false;
		for (i = 0; i < 2 && n > 0 && text.p[n - 1] == '='; i++)
			n--;
	}
	if (n % 4 == 1)
		return false;
	to = base_buf_room(out, n / 4 * 3 + 3);
	for (i = 0; i < n; i++) {
		value = sextet(kind, text.p[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			*to++ = (char)(bits >> have);
		}
	}
	out->len = (size_t)(to - out->p);
	return (bits & ((1u << have) - 1)) == 0;
}
