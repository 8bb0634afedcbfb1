/*
 * ctl_table: see the header.
 */
#include "config.h"

#include "ctl/ctl_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

#define GAP 2

struct base_buf *
ctl_table_cell(struct ctl_table *t)
{
	if (t->n == t->cap) {
		t->cap = t->cap * 2 + 64;
		t->cells = base_realloc(t->cells, t->cap, sizeof(*t->cells));
	}
	t->cells[t->n] = (struct base_buf){0};
	return &t->cells[t->n++];
}

void
ctl_table_init(struct ctl_table *t, const char *const *heads, int columns)
{
	base_assert(columns <= CTL_TABLE_COLUMNS);
	*t = (struct ctl_table){.columns = columns};
	for (int i = 0; i < columns; i++) {
		t->right[i] = heads[i][0] == '>';
		base_buf_str(ctl_table_cell(t), heads[i] + t->right[i]);
	}
}

/* Characters, not bytes. */
static size_t
width(const struct base_buf *cell)
{
	size_t n = 0;

	for (size_t i = 0; i < cell->len; i++)
		n += ((unsigned char)cell->p[i] & 0xc0) != 0x80;
	return n;
}

static void
print_row(const struct ctl_table *t, const struct base_buf *row, const size_t *widths)
{
	for (int i = 0; i < t->columns; i++) {
		size_t pad = widths[i] - width(&row[i]);

		if (t->right[i])
			printf("%*s", (int)pad, "");
		printf("%.*s", (int)row[i].len, row[i].len > 0 ? row[i].p : "");
		if (i + 1 < t->columns)
			printf("%*s", (int)(t->right[i] ? GAP : pad + GAP), "");
	}
	printf("\n");
}

static int
compare(const void *a, const void *b)
{
	const struct base_buf *x = a, *y = b;
	size_t n = BASE_MIN(x->len, y->len);
	int r = n > 0 ? memcmp(x->p, y->p, n) : 0;

	return r != 0 ? r : (x->len > y->len) - (x->len < y->len);
}

void
ctl_table_free(struct ctl_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		base_buf_free(&t->cells[i]);
	free(t->cells);
	*t = (struct ctl_table){0};
}

void
ctl_table_print(struct ctl_table *t, bool sorted)
{
	size_t widths[CTL_TABLE_COLUMNS] = {0}, columns = (size_t)t->columns;

	for (size_t i = 0; i < t->n; i++)
		widths[i % columns] =
		    BASE_MAX(widths[i % columns], width(&t->cells[i]));
	if (sorted)
		qsort(t->cells + columns, t->n / columns - 1,
		    columns * sizeof(*t->cells), compare);
	for (size_t i = 0; i < t->n; i += columns)
		print_row(t, &t->cells[i], widths);
	ctl_table_free(t);
}
