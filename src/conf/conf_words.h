/*
 * conf_words: numbers with units and words of the configuration, both ways.
 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

#include "base/base_buf.h"

struct conf_word {
	const char *word;
	int64_t value;
};

/* Terminated by a NULL word; the first word of a value is the one written. */
extern const struct conf_word conf_words_bool[];
extern const struct conf_word conf_words_who[];
extern const struct conf_word conf_words_mode[];
extern const struct conf_word conf_words_ack[];
extern const struct conf_word conf_words_level[];
extern const struct conf_word conf_words_serve[];
extern const struct conf_word conf_words_size[]; /* suffix and factor */
extern const struct conf_word conf_words_time[];
extern const struct conf_word conf_words_plain[]; /* no suffix */

/* 0, or -1 when TEXT is none of them. */
int conf_words_find(const struct conf_word *words, const char *text, int64_t *value_r)
    BASE_MUST_CHECK;

/* The word of a value, or NULL. */
const char *conf_words_name(const struct conf_word *words, int64_t value);

/*
 * A whole number with one of the suffixes.  0 needs no suffix, other numbers do
 * when the table has no empty one.  0, or -1 for bad syntax or overflow.
 */
int conf_words_number(const struct conf_word *suffixes, const char *text,
    int64_t *value_r) BASE_MUST_CHECK;

/* Appends the number with the largest suffix that leaves it whole. */
void conf_words_format(const struct conf_word *suffixes, int64_t value,
    struct base_buf *out);

#endif
