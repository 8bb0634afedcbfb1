/*
 * conf_scan: the shape of a configuration file, checked before libConfuse
 * reads the values.
 *
 * libConfuse alone would take a section that is never closed, a string that is
 * never closed (and would begin the next file inside it), an option given twice
 * (the last counts), two sections of one title (the first is lost), a variable
 * that is not set (as empty), and stray characters; it would stop at the first
 * option that it does not know; and comments disturb its count of lines.
 *
 * So this scan reports all those with their lines and writes a text for
 * libConfuse that holds what is good: without comments and bad statements, every
 * word in quotes, every line where it was.
 *
 *	file      = { option | section | "include" string }
 *	section   = name string "{" { option } "}" | plugin "{" { option } "}"
 *	option    = name "=" value
 *	value     = string | "{" [ string { "," string } [ "," ] ] "}"
 *	string    = word | "text" | 'text' | ${VARIABLE} | ${VARIABLE:-default}
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "base/base_buf.h"

/* Names that the text for libConfuse uses for what is no option of ours. */
#define CONF_SCAN_INCLUDE "include" /* a list, in the file */
#define CONF_SCAN_TITLE   "-title-" /* in each section */
/* Each list begins with this, so that an empty one has a line too. */
#define CONF_SCAN_MARK    "\"\""

struct conf;

/*
 * Appends the text to OUT, terminated, and mistakes to ERRORS; sections of plugins
 * are added to CONF.  Returns false when the shape is so bad that OUT must not be
 * read; true may come with mistakes too.
 */
bool conf_scan(const char *file, const char *text, size_t len, struct conf *conf,
    struct base_buf *out, struct base_buf *errors) BASE_MUST_CHECK;

struct conf_body;
struct conf_table;

/* The same for what stands between the braces of a section that has the options TAB. */
bool conf_scan_body(const struct conf_body *body, const struct conf_table *tab,
    struct base_buf *out, struct base_buf *errors) BASE_MUST_CHECK;

#endif
