/*
 * json_wr: JSON text appended to a buffer.
 */
#ifndef PROTO_JSON_WR_H
#define PROTO_JSON_WR_H

#include "base/base_buf.h"

/* A quoted string; control characters, quotes and backslashes are escaped.  TEXT
 * is valid UTF-8. */
void json_wr_string(struct base_buf *out, struct base_slice text);
void json_wr_uint(struct base_buf *out, uint64_t n);
/* The name of a member, with a comma before it if it is not the first one; NAME needs
 * no escapes. */
void json_wr_key(struct base_buf *out, const char *name);
/* Before an element of an array: the comma, if it is not the first one. */
void json_wr_next(struct base_buf *out);
/* A value that is already JSON, without the line feeds that it may have between
 * its tokens (they would end the line of the protocol's framing). */
void json_wr_raw(struct base_buf *out, struct base_slice json);

#endif
