/*
 * conf_check: rules across options, and values that only a library can judge.
 *
 * No effects: it reads nothing but the user database.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "base/base_buf.h"
#include "conf/conf_table.h"

/* Where a value stands. */
struct conf_place {
	const char *file; /* NULL: not in a file, it is the default */
	int line;
	bool bad; /* it was reported already; the default stands in for it */
};

/* Where all values of a configuration stand. */
struct conf_places {
	const char *file; /* the one that the configuration began with */
	/* For each table: one for each option, instance by instance. */
	struct conf_place *at[CONF_TABLES];
};

/* Appends a line to ERRORS for each mistake. */
void conf_check(const struct conf *conf, const struct conf_places *places,
    struct base_buf *errors);

#endif
