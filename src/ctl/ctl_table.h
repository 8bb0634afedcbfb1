/*
 * ctl_table: rows and columns on a terminal.
 */
#ifndef CTL_CTL_TABLE_H
#define CTL_CTL_TABLE_H

#include "base/base_buf.h"

#define CTL_TABLE_COLUMNS 10

struct ctl_table {
	int columns;
	bool right[CTL_TABLE_COLUMNS]; /* numbers are aligned to the right */
	struct base_buf *cells; /* row by row, the heads first */
	size_t n, cap;
};

/* HEADS: a name for each column; one that begins with '>' is for numbers. */
void ctl_table_init(struct ctl_table *t, const char *const *heads, int columns);
/* The next cell, empty, to be filled. */
struct base_buf *ctl_table_cell(struct ctl_table *t);
void ctl_table_free(struct ctl_table *t);
/* Prints it, and frees it.  The rows may be sorted by their first cell. */
void ctl_table_print(struct ctl_table *t, bool sorted);

#endif
