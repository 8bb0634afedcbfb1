/*
 * base_rand: random bytes of the kernel, fetched in blocks.
 *
 * The pool belongs to one process: call base_rand_forked() in a child before
 * its first use, or it repeats its parent's bytes.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/base_defs.h"

#define BASE_UUID_LEN 36

void base_rand_bytes(void *p, size_t n);
void base_rand_forked(void);
/* Uniform in [0, BELOW); BELOW > 0. */
uint32_t base_rand_below(uint32_t below);
/* A random (version 4, RFC 9562 section 5.4) UUID in 16 bytes. */
void base_rand_uuid(uint8_t uuid[16]);
/* Its text in lower case: BASE_UUID_LEN bytes and a terminator. */
void base_uuid_text(const uint8_t uuid[16], char text[BASE_UUID_LEN + 1]);

#endif
