/*
 * json_rd: a strict JSON scanner (RFC 8259) that gives spans, not a tree.
 *
 * A value that is only passed on is never decoded: its bytes are validated and
 * its span is returned.
 */
#ifndef PROTO_JSON_RD_H
#define PROTO_JSON_RD_H

#include "base/base_buf.h"
#include "base/base_defs.h"

#define JSON_MAX_DEPTH 64

enum json_type {
	JSON_BAD,
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* A cursor with a sticky error; when bad, it stands where the text went wrong. */
struct json_rd {
	const char *p, *end;
	bool bad;
};

static inline void
json_rd_init(struct json_rd *rd, const char *p, size_t n)
{
	*rd = (struct json_rd){p, p + n, false};
}

/*
 * Reads one whole value, of any type and at most JSON_MAX_DEPTH deep, with the
 * blanks around it.  SPAN_R (may be NULL) gets its bytes without the blanks.
 */
enum json_type json_rd_value(struct json_rd *rd, struct base_slice *span_r);

/* What the value at the cursor is by its first byte (blanks were skipped by the
 * functions below); JSON_BAD when it cannot be one. */
enum json_type json_rd_peek(const struct json_rd *rd);

/* Enters an object or an array; false (and bad) if the value is something else. */
bool json_rd_object(struct json_rd *rd);
bool json_rd_array(struct json_rd *rd);

/*
 * The next member of the object that was entered: true with KEY (the bytes
 * between its quotes, still escaped) and the cursor before the value, which the
 * caller then reads; false at the end or on an error.  FIRST starts true and
 * belongs to the caller.
 */
bool json_rd_member(struct json_rd *rd, bool *first, struct base_slice *key);
/* The same for elements of an array. */
bool json_rd_element(struct json_rd *rd, bool *first);

/* True if all was read (but for blanks) and nothing was bad. */
bool json_rd_end(struct json_rd *rd);

/*
 * A string's text from the span of its value (quotes included): a slice of the
 * span when nothing is escaped, else decoded to the end of SCRATCH, whose bytes
 * must not move while the slice is used: reserve first (base_buf_room) as many bytes
 * as all the spans have together; decoding makes no text longer.
 */
struct base_slice json_text(struct base_slice span, struct base_buf *scratch);

/*
 * A key without its escapes, decoded into ROOM if it has some, to be compared with
 * the names that we know.  A key too long for ROOM is given back as it is: a
 * backslash is in none of our names.
 */
#define JSON_KEY_ROOM 96
struct base_slice json_key(struct base_slice key, char room[JSON_KEY_ROOM]);

/* True if P is one valid JSON value and nothing else. */
bool json_valid(const char *p, size_t n);

/* From the span of a number: false unless it is an integer within [MIN, MAX]. */
bool json_int(struct base_slice span, int64_t min, int64_t max, int64_t *out);
bool json_uint(struct base_slice span, uint64_t max, uint64_t *out);

#endif
