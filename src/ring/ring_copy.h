/*
 * ring_copy: bytes into and out of a lane.
 *
 * A reader may copy while the writer overwrites, so both sides use 64-bit atomic
 * words: plain memcpy would be a data race, and the lap check after the copy
 * would prove nothing (see the ordering table in ring_lane.h).  What lies in
 * private memory may have any alignment.
 */
#ifndef RING_COPY_H
#define RING_COPY_H

#include <sys/uio.h>

#include "ring/ring_layout.h"

/*
 * Copies the pieces to DST one after the other, without gaps, and fills the last
 * word with zeros.  Returns the word after it.
 */
ring_word *ring_copy_in(ring_word *dst, const struct iovec *pieces, int n);

/* Copies N bytes from SRC on to DST; DST may be NULL when N is 0. */
void ring_copy_out(void *dst, const ring_word *src, size_t n);

#endif
