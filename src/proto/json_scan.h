/*
 * json_scan: where a run of plain text in a JSON string ends.
 *
 * Shared by the reader and the writer: the bytes that a string cannot hold as they
 * are (RFC 8259 section 7) are the same for both.
 */
#ifndef PROTO_JSON_SCAN_H
#define PROTO_JSON_SCAN_H

#include <endian.h>
#include <string.h>

#include "base/base_defs.h"

#define JSON_SCAN_ONES 0x0101010101010101u
#define JSON_SCAN_HIGH (JSON_SCAN_ONES * 0x80)

static inline bool
json_scan_special(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

/*
 * The first quote, backslash or control character from P on; END if there is none.
 * HIGH gets the bytes that were looked at or-ed into it: when HIGH & JSON_SCAN_HIGH
 * is 0, all of the run is ASCII (the reverse does not hold: bytes behind the run are
 * looked at too).
 *
 * Eight bytes at a time.  (x - 1) & ~x & 0x80 is set in a byte that is zero; a
 * borrow can set it falsely only above a byte where it is set truly, and the lowest
 * is what counts.
 */
static inline const char *
json_scan_plain(const char *p, const char *end, uint64_t *high)
{
	uint64_t w, quote, back, hit;

	for (; end - p >= 8; p += 8) {
		memcpy(&w, p, 8);
		w = le64toh(w);
		*high |= w;
		quote = w ^ (JSON_SCAN_ONES * '"');
		back = w ^ (JSON_SCAN_ONES * '\\');
		hit = (quote - JSON_SCAN_ONES) & ~quote;
		hit |= (back - JSON_SCAN_ONES) & ~back;
		hit |= (w - JSON_SCAN_ONES * 0x20) & ~w;
		hit &= JSON_SCAN_HIGH;
		if (hit != 0)
			return p + (__builtin_ctzll(hit) >> 3);
	}
	for (; p < end && !json_scan_special((unsigned char)*p); p++)
		*high |= (unsigned char)*p;
	return p;
}

#endif
