/*
 * ring_dump: what lies in a segment, as text; for tests and for a look at a
 * segment whose processes are dead or stopped.
 */
#ifndef RING_DUMP_H
#define RING_DUMP_H

#include <stdio.h>

#include "ring/ring_seg.h"

/*
 * Head, lanes and their positions; with RECORDS also each record that is still
 * there, oldest first.  Only reads, and believes nothing: a lane that is written
 * meanwhile gives a patchy picture, no worse.
 */
void ring_dump(const struct ring_seg *seg, bool records, FILE *out);

#endif
