/*
 * plug_batch: records for a plugin, in one block of memory with a count of owners.
 *
 * Any thread may take and give up a reference: plugins do so by hold and drop.
 */
#ifndef PLUG_BATCH_H
#define PLUG_BATCH_H

#include <chatd/plugin.h>

#include "base/base_defs.h"

/*
 * Copies N records, at least one, and all that they point to; one reference.  The
 * batch has no deadline.
 */
struct chatd_batch *plug_batch_new(
    const struct chatd_record *const *recs, size_t n, uint64_t token);
void plug_batch_ref(const struct chatd_batch *batch);
/* The last one frees it. */
void plug_batch_unref(const struct chatd_batch *batch);

#endif
