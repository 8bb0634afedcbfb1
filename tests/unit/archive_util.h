/*
 * archive_util: an archiver in this process, between journals that the test writes and
 * a store of tests/plugin.
 */
#ifndef UNIT_ARCHIVE_UTIL_H
#define UNIT_ARCHIVE_UTIL_H

#include "archive/archive.h"
#include "journal/journal.h"

#define AT_MESSAGES 4096

/* What the broker was told; data is a copy, and terminated. */
struct at_message {
	enum order_kind kind;
	uint32_t flags;
	int32_t code;
	uint64_t req, number;
	char *data;
	size_t len;
};

struct at {
	char dir[64];
	struct conf *conf;
	struct event_base *base;
	struct journal *journal[2]; /* spool, history */
	struct stat_archiver stat;
	struct archive *archive;
	struct at_message got[AT_MESSAGES];
	size_t n_got, n_forgot;
	size_t room; /* messages that the queue has room for */
	bool forget; /* what is archived or dead goes from the journal, as in life */
	/* The archiver's call of the journal that fails next, and how many more then;
	 * 0: none (JOURNAL_LMDB). */
	unsigned long fail_at, fail_every;
	struct base_buf log; /* of the store: what it has written */
};

/* A directory with two empty journals; at_close removes it. */
void at_open(struct at *t);
void at_close(struct at *t);
/* What is in DIR; at_leave lets it be. */
void at_enter(struct at *t, const char *dir);
void at_leave(struct at *t);
/* Removes a directory and all that is in it. */
void at_remove(const char *dir);

/* Starts the archiver with these options; OPTIONS have the store and its section. */
void at_start(struct at *t, const char *options);
/* As SIGKILL would. */
void at_kill(struct at *t);
/* As SIGTERM would. */
void at_stop(struct at *t);

/* Publishes N messages with LEN bytes of data in CHANNEL. */
void at_publish(struct at *t, int journal, const char *channel, int n, size_t len);

/* Turns the loop until COND or for MS; the value of COND. */
bool at_until(struct at *t, bool (*cond)(struct at *t), int64_t ms);
void at_run(struct at *t, int64_t ms);

/* The highest number that the broker was told of. */
uint64_t at_archived(const struct at *t, int journal);
/* All that was published is archived or dead, and the broker knows it. */
bool at_drained(struct at *t);

/* What the store has written: rows of CHANNEL, which must be in order and once each. */
size_t at_rows(struct at *t, const char *channel);

#endif
