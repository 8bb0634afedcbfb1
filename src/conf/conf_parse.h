/*
 * conf_parse: from the file to a checked struct conf.
 *
 * Includes conf_check's rules across options, so that what it returns can be
 * used.  It has no effects beside reading files.
 */
#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "base/base_buf.h"
#include "conf/conf_set.h"

/*
 * Reads the file at PATH and what it includes.  Returns a configuration that the
 * caller frees with conf_free, or NULL; then ERRORS holds one line for each
 * mistake, "FILE:LINE: what is wrong", with a newline after each.
 */
struct conf *conf_parse_file(const char *path, struct base_buf *errors) BASE_MUST_CHECK;

/* The same for a text; NAME stands for the file in messages. */
struct conf *conf_parse_text(const char *text, const char *name,
    struct base_buf *errors) BASE_MUST_CHECK;

#endif
