/*
 * ws_deflate: permessage-deflate (RFC 7692) without context takeover.
 *
 * One set of zlib streams a process serves all its connections, so memory does
 * not grow with them: at most one deflate stream for each window size in use
 * (about 270 KiB for the largest) and one inflate stream (about 45 KiB).  They are
 * made when they are first needed.
 */
#ifndef PROTO_WS_DEFLATE_H
#define PROTO_WS_DEFLATE_H

#include "base/base_buf.h"
#include "base/base_defs.h"

struct ws_deflate; /* one a process */

/* LEVEL: zlib's, 0 to 9, or -1 for its default. */
struct ws_deflate *ws_deflate_new(int level);
void ws_deflate_free(struct ws_deflate *d);
/* Takes effect with the next message. */
void ws_deflate_set_level(struct ws_deflate *d, int level);
/* Memory that its streams hold now, in bytes. */
size_t ws_deflate_bytes(const struct ws_deflate *d);

/* Appends the compressed form of a message, window 2^BITS (9..15), to OUT. */
void ws_deflate_message(struct ws_deflate *d, unsigned bits, struct base_slice data,
    struct base_buf *out);

/*
 * Inflates a message of at most MAX bytes into OUT (emptied first), which grows with
 * what comes out and to no more than twice MAX.  Returns 0, -WS_CODE_TOO_BIG, or
 * -WS_CODE_DATA when it is damaged: also when it ends within a block.  Blocks with
 * BFINAL set are taken (section 7.2.3.4).  A last block that is whole without the
 * four bytes that a receiver adds is taken as it is, and no bytes at all as an empty
 * message.  For text the caller checks UTF-8 with utf8_valid.
 */
int ws_inflate_message(struct ws_deflate *d, struct base_slice data, size_t max,
    struct base_buf *out) BASE_MUST_CHECK;

#endif
