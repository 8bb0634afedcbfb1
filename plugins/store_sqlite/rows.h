/*
 * rows: messages into the database and out of it.
 */
#ifndef STORE_SQLITE_ROWS_H
#define STORE_SQLITE_ROWS_H

#include "db.h"

/* What became of a batch. */
struct rows_written {
	struct chatd_result *results; /* one for each record; NULL: none was refused */
	size_t n;
	size_t fresh, repeated, refused;
};

/*
 * Writes a batch in one transaction, all but what is refused for good.  0, or a code
 * when nothing was written.  rows_forget frees what OUT holds, in any case.
 */
int rows_write(struct db *db, const struct chatd_batch *batch, struct rows_written *out,
    struct chatd_error *err);
void rows_forget(struct rows_written *out);

struct row {
	struct row *next;
	struct chatd_record rec; /* its bytes are behind it */
};

struct rows_read {
	struct row *first;
	size_t n;
};

/* The rows that ASK is for; its deadline and token are the caller's affair. */
int rows_read(struct db *db, const struct chatd_history *ask, struct rows_read *out,
    struct chatd_error *err);
void rows_free(struct rows_read *out);

#endif
