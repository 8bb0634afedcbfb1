/*
 * bench_token: connection tokens (RFC 7519, HS256) for users that do not exist.
 */
#ifndef BENCH_TOKEN_H
#define BENCH_TOKEN_H

#include "base/base_buf.h"

/* Appends a token of the user "chatbench-N" that does not expire. */
void bench_token(struct base_buf *out, const char *secret, uint32_t n);

#endif
