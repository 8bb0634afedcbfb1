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

/* What stands between the braces of a section whose options are not the daemon's. */
struct conf_body {
	const char *name; /* the section and its title, for messages */
	const char *file;
	int line; /* where the text begins */
	const char *text;
	size_t len;
};

struct conf_table;

/*
 * Sets what the text gives in INSTANCE, which has the defaults, by the table TAB;
 * LINES gets the line of each option, 0 for those that are not given.  Returns false
 * and adds the mistakes to ERRORS if there are any; INSTANCE can be freed then.
 */
bool conf_parse_body(const struct conf_body *body, const struct conf_table *tab,
    void *instance, int *lines, struct base_buf *errors) BASE_MUST_CHECK;

#endif
