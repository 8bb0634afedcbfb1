/*
 * conf_dump: a configuration as text for people, and as bytes for children.
 */
#ifndef CONF_DUMP_H
#define CONF_DUMP_H

#include "base/base_buf.h"
#include "conf/conf_table.h"

/* Appends the effective configuration in chat.conf's syntax; secrets are masked. */
void conf_dump(const struct conf *conf, struct base_buf *out);

/* The same for the options of one section, without its name and braces. */
void conf_dump_options(const struct conf_table *tab, const void *instance,
    struct base_buf *out);

/*
 * Appends all of CONF, contents of files included, in a form that conf_unpack of
 * the same binary reads.  A master reads the files as root and packs them for
 * workers that may not.
 */
void conf_pack(const struct conf *conf, struct base_buf *out);

/* Returns NULL when the bytes are not a whole pack. */
struct conf *conf_unpack(const void *p, size_t len) BASE_MUST_CHECK;

/* The same from a file that holds nothing else. */
struct conf *conf_unpack_fd(int fd) BASE_MUST_CHECK;

#endif
