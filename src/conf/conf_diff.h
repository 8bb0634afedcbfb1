/*
 * conf_diff: what a reload changes, and what it may not change.
 */
#ifndef CONF_DIFF_H
#define CONF_DIFF_H

#include "base/base_buf.h"
#include "conf/conf_set.h"

/*
 * Makes FRESH hold OLD's values for options of class DAEMON that differ (and for
 * listen sections that were added, removed or moved), so that it can be
 * applied.  Appends one line to NOTES for each: "workers needs a restart of
 * chatd: still 2, not 4".  Returns how many options of the other classes
 * differ.
 */
size_t conf_diff_settle(const struct conf *old, struct conf *fresh,
    struct base_buf *notes);

/* Whether the archiver has to be started again for what it takes from FRESH. */
bool conf_diff_store(const struct conf *old, const struct conf *fresh);

#endif
