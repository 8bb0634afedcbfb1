/*
 * archive_batch: messages that are gathered from a spool, and then sent as one.
 */
#ifndef ARCHIVE_ARCHIVE_BATCH_H
#define ARCHIVE_ARCHIVE_BATCH_H

#include "base/base_buf.h"
#include "journal/journal_tail.h"
#include "plug/plug_host.h"

/* Bytes of a batch, but for its last message. */
#define ARCHIVE_BATCH_BYTES ((size_t)4 << 20)

struct archive_row;

/* Zero-initialised is empty. */
struct archive_gather {
	struct base_buf texts;
	struct archive_row *rows;
	size_t n, cap;
	uint64_t last; /* number of the last one */
	uint64_t first_ns; /* when the first one was accepted */
};

void archive_gather_add(struct archive_gather *g, const struct journal_spooled *rec);
/* Empty, but its memory is kept for the next. */
void archive_gather_clear(struct archive_gather *g);
void archive_gather_free(struct archive_gather *g);
size_t archive_gather_bytes(const struct archive_gather *g); /* of memory */

/* A message that the database refuses for good. */
struct archive_dead {
	uint64_t number;
	int code; /* enum chatd_err */
	char *why;
};

struct archive_batch {
	unsigned source; /* ARCHIVE_SPOOL or ARCHIVE_MEMORY */
	uint64_t last; /* number of the last message */
	uint64_t first_ns;
	size_t n; /* messages, with those that are dead */
	struct chatd_batch *batch; /* NULL: all were too large */
	uint64_t *numbers; /* of the records in batch */
	size_t bytes; /* of memory */
	struct archive_dead *dead; /* in the order of their numbers */
	size_t n_dead;
	bool answered;
	int code; /* of the answer */
	char why[256];
};

/*
 * All that G has, as a batch with TOKEN; messages with more than MAX_PAYLOAD bytes
 * (0: no limit) are dead.  G is empty then.
 */
struct archive_batch *archive_batch_new(
    struct archive_gather *g, uint64_t token, uint64_t max_payload);
void archive_batch_free(struct archive_batch *b);

/* The store's answer, as of the service done. */
void archive_batch_answer(struct archive_batch *b, int code, const char *why,
    const struct chatd_result *results, size_t n);
/* The one message of B is dead, because B was refused as a whole. */
void archive_batch_bury(struct archive_batch *b);

#endif
