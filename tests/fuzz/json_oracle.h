/*
 * json_oracle: what yajl says of a text, and where it is known to be laxer than
 * RFC 8259 and we have to differ.
 */
#ifndef FUZZ_JSON_ORACLE_H
#define FUZZ_JSON_ORACLE_H

#include <ctype.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "proto/json_rd.h"
#include "proto/utf8.h"

static inline bool
json_oracle_parse(const char *before, const char *p, size_t n, const char *after)
{
	yajl_handle handle = yajl_alloc(NULL, NULL, NULL);
	bool ok;

	ok = yajl_parse(handle, (const unsigned char *)before, strlen(before)) ==
		yajl_status_ok &&
	    yajl_parse(handle, (const unsigned char *)p, n) == yajl_status_ok &&
	    yajl_parse(handle, (const unsigned char *)after, strlen(after)) ==
		yajl_status_ok &&
	    yajl_complete_parse(handle) == yajl_status_ok;
	yajl_free(handle);
	return ok;
}

/* Twice, because yajl does not notice that a token is cut off when it stands behind a
 * whole value ({} "a); within an array it does. */
static inline bool
json_oracle_accepts(const char *p, size_t n)
{
	return json_oracle_parse("", p, n, "") && json_oracle_parse("[", p, n, "]");
}

/*
 * True if yajl may accept P where a strict reader refuses: overlong UTF-8 and raw
 * surrogates, surrogate escapes that make no pair, vertical tabs and form feeds as
 * blanks, and any depth.  What looks so inside
 * a key or behind a backslash is let off too: this is for a comparison that may miss a
 * text in a thousand, not for a verdict.
 */
static inline bool
json_oracle_is_lax(const char *p, size_t n)
{
	size_t i, open = 0;

	if (!utf8_valid(p, n) || memchr(p, '\v', n) != NULL ||
	    memchr(p, '\f', n) != NULL)
		return true;
	for (i = 0; i < n; i++) {
		open += p[i] == '{' || p[i] == '[';
		if (n - i > 3 && p[i] == '\\' && p[i + 1] == 'u' &&
		    tolower((unsigned char)p[i + 2]) == 'd' &&
		    strchr("89abcdef", tolower((unsigned char)p[i + 3])) != NULL)
			return true;
	}
	return open > JSON_MAX_DEPTH;
}

#endif
