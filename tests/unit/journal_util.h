/*
 * journal_util: a journal in a directory of its own, for tests.
 */
#ifndef UNIT_JOURNAL_UTIL_H
#define UNIT_JOURNAL_UTIL_H

#include "journal/journal.h"

#define UTIL_PATH 256

extern char util_dir[UTIL_PATH]; /* util_setup makes it */
extern char util_path[UTIL_PATH]; /* of the journal in it */

/* Of cmocka, before and after a test. */
int util_setup(void **state);
int util_teardown(void **state);
/* Removes the journal, which is closed. */
void util_wipe(void);
/* Names in util_dir that begin with PREFIX. */
unsigned util_count(const char *prefix);

struct base_slice util_text(const char *s);

/* With wide limits; must work, and must not set aside. */
struct journal *util_open(bool sync);
struct journal *util_open_small(bool sync, size_t map);

/* Fails the test unless RC is JOURNAL_OK. */
#define util_ok(j, rc) util_ok_at((j), (rc), __FILE__, __LINE__)
void util_ok_at(struct journal *j, int rc, const char *file, int line);

/* A publication of its channel's next offset, with the text "CHANNEL OFFSET" as its
 * JSON and data; in the open transaction.  As journal_next and journal_put. */
int util_publish(struct journal *j, const char *channel,
    const struct journal_rules *rules, int64_t now_ms, struct journal_place *place_r);

/* The offsets of history as text: "3 4 5". */
const char *util_history(struct journal *j, const char *channel,
    const struct journal_rules *rules, const struct journal_range *range,
    int64_t now_ms);

#endif
