/*
 * origin: see the header.
 */
#include "config.h"

#include "net/origin.h"

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Linear in practice: only the last '*' is ever gone back to. */
static bool
glob(const char *pat, const char *p, const char *end)
{
	const char *star = NULL, *from = p;

	while (p < end) {
		if (*pat == '*') {
			star = ++pat;
			from = p;
		} else if (*pat != 0 && lower(*pat) == lower(*p)) {
			pat++;
			p++;
		} else if (star != NULL) {
			pat = star;
			p = ++from;
		} else {
			return false;
		}
	}
	while (*pat == '*')
		pat++;
	return *pat == 0;
}

bool
origin_allowed(const struct conf_list *patterns, struct base_slice origin)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (glob(patterns->items[i], origin.p, origin.p + origin.len))
			return true;
	return false;
}
