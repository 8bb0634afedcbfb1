/*
 * base64: strict decoding (RFC 4648).
 */
#ifndef PROTO_BASE64_H
#define PROTO_BASE64_H

#include "base/base_buf.h"
#include "base/base_defs.h"

enum base64_kind {
	BASE64_STD, /* section 4: + and /, padded with = to a multiple of four */
	BASE64_URL, /* section 5: - and _, without padding, as RFC 7515 has it */
};

/*
 * Appends what TEXT stands for to OUT.  False (and OUT may have got a part of it) for
 * other characters, wrong padding, an impossible length, and bits at the end that are
 * not zero: each value has one spelling only.
 */
bool base64_decode(enum base64_kind kind, struct base_slice text, struct base_buf *out)
    BASE_MUST_CHECK;

#endif
