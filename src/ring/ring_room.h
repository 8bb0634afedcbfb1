/*
 * ring_room: whether this machine can hold so much more shared memory.
 *
 * fallocate on a memfd does not fail on a full machine or in a full control
 * group: the kernel kills a process instead.  So it is asked first.
 */
#ifndef RING_ROOM_H
#define RING_ROOM_H

#include "base/base_defs.h"

/*
 * 0, or -1 with a text in ERR: more than the memory that is available or that a
 * control group of this process (version 1 or 2, and those above it) still allows.
 * What cannot be read does not count.
 */
int ring_room_check(uint64_t bytes, char *err, size_t errlen) BASE_MUST_CHECK;

#endif
