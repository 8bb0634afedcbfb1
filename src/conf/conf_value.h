/*
 * conf_value: one value of an option: from text, to text, compared, copied.
 *
 * FIELD is the option's field in an instance (conf_opt_field).  A field is
 * zero or holds a value; the functions free what they replace.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "base/base_buf.h"
#include "conf/conf_table.h"

/*
 * Sets the field from the words of the file: one, or any number for a list.
 * NEAR is the file that they stand in: paths are relative to its directory.
 * Returns 0, or -1 and appends what is wrong and what is allowed to WHY; no
 * secret is repeated there.
 */
int conf_value_set(const struct conf_opt *opt, void *field, const char *const *words,
    size_t n, const char *near, struct base_buf *why) BASE_MUST_CHECK;

void conf_value_default(const struct conf_opt *opt, void *field);

/* Appends the value as it would stand in the file; a secret as "...". */
void conf_value_format(const struct conf_opt *opt, const void *field,
    struct base_buf *out);

/* Whether the option takes more than one value. */
bool conf_value_is_list(const struct conf_opt *opt);

/*
 * The field of an option that is a number, a word or a set of words, as a number.
 * Setting one that the type or the range does not allow returns -1.
 */
int64_t conf_value_number(const struct conf_opt *opt, const void *field);
int conf_value_set_number(const struct conf_opt *opt, void *field, int64_t n)
    BASE_MUST_CHECK;

/* A file is equal when its path and its content are. */
bool conf_value_equal(const struct conf_opt *opt, const void *a, const void *b);

void conf_value_copy(const struct conf_opt *opt, void *to, const void *from);
void conf_value_free(const struct conf_opt *opt, void *field);

/* Appends S in double quotes, so that the file's syntax gives it back. */
void conf_value_quote(struct base_buf *out, const char *s);

#endif
