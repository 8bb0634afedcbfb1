/*
 * utf8: is it UTF-8?  (RFC 3629: no overlong forms, surrogates, or > U+10FFFF)
 */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include "base/base_defs.h"

bool utf8_valid(const void *p, size_t n);
/* Largest length <= N at which P can be cut without splitting a character. */
size_t utf8_cut(const char *p, size_t n);

#endif
