/*
 * ctl_units: figures as people read them.
 */
#ifndef CTL_CTL_UNITS_H
#define CTL_CTL_UNITS_H

#include "base/base_defs.h"

/* "1.5 MiB" */
void ctl_units_bytes(uint64_t n, char *text, size_t size);
/* "90 ms", "12 s", "3 min", "5 h", "2 d" */
void ctl_units_time(uint64_t ms, char *text, size_t size);

/* The lines about spool and database, of an answer that has both. */
void ctl_units_spool(struct base_slice result);

#endif
