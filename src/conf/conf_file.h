/*
 * conf_file: files that a configuration is made of.
 */
#ifndef CONF_FILE_H
#define CONF_FILE_H

#include "base/base_buf.h"

#define CONF_FILE_MAX (1 << 20) /* bytes of one file */

/*
 * Reads a whole regular file of at most CONF_FILE_MAX bytes; *DATA_R is
 * terminated beyond *LEN_R and the caller frees it.  Returns 0, or -1 and appends
 * the reason to WHY.
 */
int conf_file_read(const char *path, char **data_r, size_t *len_r, struct base_buf *why)
    BASE_MUST_CHECK;

/* PATH as it is meant in the file NEAR: relative to NEAR's directory.  Caller frees. */
char *conf_file_path(const char *path, const char *near);

#endif
