/*
 * journal_tail: the spool of a journal as another process reads it.
 *
 * Read-only.  Each reading is a short transaction, so that the writer's pages can be
 * used again.
 */
#ifndef JOURNAL_JOURNAL_TAIL_H
#define JOURNAL_JOURNAL_TAIL_H

#include "journal/journal.h"

struct journal_tail;

struct journal_spooled {
	uint64_t number; /* in the spool; grows */
	struct base_slice channel;
	char epoch[JOURNAL_EPOCH_LEN];
	uint64_t offset;
	struct journal_record rec;
};

/* False: this one is not taken, and no more. */
typedef bool (*journal_spooled_fn)(void *arg, const struct journal_spooled *rec);

/* The environment must exist: 0, -1 with a text in ERR; *ABSENT_R: not there yet. */
int journal_tail_open(const char *dir, struct journal_tail **t_r, bool *absent_r,
    char *err, size_t errlen) BASE_MUST_CHECK;
void journal_tail_close(struct journal_tail *t);

/*
 * Shows records after NUMBER, in their order.  What is shown is valid in FN alone.
 * JOURNAL_OK, JOURNAL_RETRY (the map has grown, which is dealt with: again) or
 * JOURNAL_IO.
 */
int journal_tail_read(struct journal_tail *t, uint64_t number, journal_spooled_fn fn,
    void *arg) BASE_MUST_CHECK;
const char *journal_tail_why(const struct journal_tail *t);

#endif
