/*
 * conf_error: one line for each mistake, "FILE:LINE: option: what is wrong".
 */
#ifndef CONF_ERROR_H
#define CONF_ERROR_H

#include "base/base_buf.h"

/* Beyond this many bytes a list of mistakes helps nobody: the rest is not added. */
#define CONF_ERROR_MAX 65536

/* Appends a line; control characters in it become '?'. */
void conf_error(struct base_buf *errors, const char *file, int line, const char *fmt,
    ...) BASE_PRINTF(4, 5);

#endif
