/*
 * utf8: is it UTF-8?  (RFC 3629: no overlong forms, surrogates, or > U+10FFFF)
 */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include "base/base_defs.h"

#define UTF8_MAX 4 /* bytes of the longest character */

bool utf8_valid(const void *p, size_t n);

/*
 * For text that comes in pieces.  True if P can be the beginning of UTF-8 text;
 * *TAIL_R is then how many of its last bytes (0 to UTF8_MAX - 1) begin a character
 * whose rest is still to come.
 */
bool utf8_begins(const void *p, size_t n, unsigned *tail_r) BASE_MUST_CHECK;

/*
 * Largest length <= N at which P can be cut without splitting a character.  Looks
 * at the first N bytes only: a character that is not whole within them is left out.
 */
size_t utf8_cut(const char *p, size_t n);

#endif
