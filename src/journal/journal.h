/*
 * journal: order, history and spool on disk: one LMDB environment.
 *
 * A stream belongs to a channel: an epoch, and offsets that grow by one.  A
 * publication gets its place in the stream, is kept in history as long as the
 * namespace says, and in the spool until the database has it.  Beside them lie
 * idempotency keys, dead letters, and how far each queue lane was consumed, all
 * changed in one transaction.
 *
 * The broker is the only writer; it opens an environment once.  Readers
 * (journal_tail.h) are other processes.  Not across a fork.
 *
 * Errors: JOURNAL_RETRY means that the map was too small: abort, and do the whole
 * batch again.  JOURNAL_FULL is for one publication: nothing was changed, and the
 * transaction goes on.  JOURNAL_IO: abort; what was to be done is not done.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/base_buf.h"
#include "base/base_defs.h"

struct journal; /* one environment; the writer's handle */

enum journal_error {
	JOURNAL_OK = 0,
	JOURNAL_RETRY = -1, /* the map has grown: begin again */
	JOURNAL_FULL = -2, /* spool or history is at its limit, or the disk is full */
	JOURNAL_IO = -3, /* a system call failed, or memory is short */
	JOURNAL_ABSENT = -4, /* there is no such thing */
};

#define JOURNAL_EPOCH_LEN 8
#define JOURNAL_ID_LEN 16
#define JOURNAL_SLOTS 64

struct journal_opts {
	const char *dir; /* of the environment; made if it is not there */
	const char *name; /* for messages: "spool" or "history" */
	bool sync; /* each commit is durable */
	uint64_t spool_limit, history_limit; /* bytes of records */
	size_t map; /* bytes that a new one maps at first; it grows.  0: as is usual */
};

/* Gauges; of this moment. */
struct journal_figures {
	uint64_t spool_records, spool_bytes;
	uint64_t spool_first, spool_last; /* numbers, the last given; 0: none */
	uint64_t spool_first_ns; /* when the oldest was accepted; 0: none */
	uint64_t dead_records, dead_bytes; /* they count against the spool's limit */
	uint64_t history_records, history_bytes, streams, keys;
	uint64_t file_bytes, map_bytes;
	bool disk_full; /* no room could be reserved ahead */
	uint64_t sync_errors; /* of those in the background; journal_why tells */
};

/*
 * Opens or makes the environment.  One that cannot be opened or trusted is renamed to
 * DIR.aside-TIME and a new one made: *ASIDE_R says so and ERR why.  0, or -1 with a
 * text in ERR.
 */
int journal_open(const struct journal_opts *opts, struct journal **j_r, bool *aside_r,
    char *err, size_t errlen) BASE_MUST_CHECK;
/* Syncs, marks it as closed in good order. */
void journal_close(struct journal *j);
/* New limits. */
void journal_limits(struct journal *j, uint64_t spool_limit, uint64_t history_limit);
void journal_figures(struct journal *j, struct journal_figures *f_r);
/* What was read contradicts itself: the next journal_open looks at all of it, and sets
 * it aside if it is damaged.  Close it and open it again. */
bool journal_spoilt(const struct journal *j);
/* What the last error was, for the log. */
const char *journal_why(const struct journal *j);

/* ---- transactions ---- */

int journal_begin(struct journal *j) BASE_MUST_CHECK;
/* After any error but JOURNAL_FULL: journal_abort.  An error of commit has aborted. */
int journal_commit(struct journal *j) BASE_MUST_CHECK;
void journal_abort(struct journal *j);
/* Something was written in this transaction. */
bool journal_dirty(const struct journal *j);

/* ---- streams and publications; in a transaction ---- */

struct journal_rules { /* of a namespace */
	uint64_t history_size; /* 0: no history */
	int64_t history_ttl_ms, meta_ttl_ms;
	bool archive;
};

struct journal_place {
	uint64_t stream; /* number of the stream */
	char epoch[JOURNAL_EPOCH_LEN];
	uint64_t offset;
	bool created; /* the stream was made just now */
};

/*
 * Finds or makes the stream of CHANNEL and shows its top in PLACE_R->offset.  NOW_MS:
 * wall clock.  A stream whose meta_ttl has passed is made anew.
 */
int journal_stream(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, int64_t now_ms,
    struct journal_place *place_r) BASE_MUST_CHECK;

/* The next place of the stream that PLACE shows; JOURNAL_FULL: no room for BYTES of
 * publication, nothing changed. */
int journal_next(struct journal *j, const struct journal_rules *rules, size_t bytes,
    struct journal_place *place) BASE_MUST_CHECK;

struct journal_record { /* what is written to the database */
	unsigned char id[JOURNAL_ID_LEN];
	uint64_t time_ns;
	struct base_slice user, client, info, data;
};

/*
 * Keeps the publication: JSON is its object, with its offset, for history; REC for the
 * spool, if the rules say archive.  Drops what is too much of history.
 */
int journal_put(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, const struct journal_place *place,
    struct base_slice json, const struct journal_record *rec,
    int64_t now_ms) BASE_MUST_CHECK;

/* ---- idempotency keys; in a transaction ---- */

/* JOURNAL_OK: KEY was used in CHANNEL, with this place; JOURNAL_ABSENT. */
int journal_key_find(struct journal *j, struct base_slice channel,
    struct base_slice key, int64_t now_ms,
    struct journal_place *place_r) BASE_MUST_CHECK;
int journal_key_put(struct journal *j, struct base_slice channel, struct base_slice key,
    const struct journal_place *place, int64_t expire_ms) BASE_MUST_CHECK;

/* ---- the queue lanes; in a transaction ---- */

/* How far the queue of SLOT was consumed, by what is committed with it.  Valid for the
 * segment of BOOT (not 0) alone. */
int journal_position_put(
    struct journal *j, uint64_t boot, unsigned slot, uint64_t pos) BASE_MUST_CHECK;
/* False: nothing is known, or it is of another segment. */
bool journal_position(struct journal *j, uint64_t boot, unsigned slot, uint64_t *pos_r);

/* A text that is replaced by each batch (what became of its publications). */
int journal_note_put(struct journal *j, struct base_slice note) BASE_MUST_CHECK;
int journal_note(struct journal *j, struct base_buf *note_r) BASE_MUST_CHECK;

/* ---- reading; in a transaction or not ---- */

/* One publication of history; false: no more, please. */
typedef bool (*journal_pub_fn)(void *arg, uint64_t offset, struct base_slice json);

struct journal_range {
	/* After it; with reverse before it, and 0 is from the newest. */
	uint64_t since;
	uint64_t limit; /* publications */
	bool reverse;
	bool newest; /* of those after SINCE the newest LIMIT, oldest of them first */
};

/* What history a stream has at NOW. */
struct journal_extent {
	char epoch[JOURNAL_EPOCH_LEN];
	uint64_t top, first; /* first 0: nothing is stored */
};

/* JOURNAL_ABSENT: the channel has no stream. */
int journal_extent(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, int64_t now_ms,
    struct journal_extent *extent_r) BASE_MUST_CHECK;
int journal_history(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, const struct journal_range *range,
    int64_t now_ms, struct journal_extent *extent_r, journal_pub_fn fn,
    void *arg) BASE_MUST_CHECK;

/* ---- spool and dead letters; in a transaction ---- */

/* Forgets all up to NUMBER, at most BUDGET records; *LEFT_R: there are more. */
int journal_spool_done(
    struct journal *j, uint64_t number, unsigned budget, bool *left_r) BASE_MUST_CHECK;
/* Moves one record to the dead letters; JOURNAL_ABSENT: it is not in the spool. */
int journal_dead(struct journal *j, uint64_t number, int code, struct base_slice reason,
    int64_t now_ms) BASE_MUST_CHECK;
/* Puts dead letter NUMBER (0: the oldest) back at the end of the spool. */
int journal_dead_retry(struct journal *j, uint64_t number) BASE_MUST_CHECK;
int journal_dead_drop(struct journal *j, uint64_t number) BASE_MUST_CHECK;

struct journal_dead {
	uint64_t number;
	int code;
	int64_t time_ms;
	struct base_slice reason, channel;
	char epoch[JOURNAL_EPOCH_LEN];
	uint64_t offset;
	struct journal_record rec;
};
typedef bool (*journal_dead_fn)(void *arg, const struct journal_dead *dead);
/* Those after NUMBER; also outside a transaction. */
int journal_dead_list(
    struct journal *j, uint64_t number, journal_dead_fn fn, void *arg) BASE_MUST_CHECK;

/* ---- upkeep ---- */

/* In a transaction: drops up to BUDGET records of streams, keys and histories whose
 * time is over. */
int journal_sweep(struct journal *j, int64_t now_ms, unsigned budget) BASE_MUST_CHECK;
/* Of a journal that does not sync: when a second or so has passed since the last
 * time, begins to in the background. */
void journal_sync_due(struct journal *j, int64_t now_ms);

#endif
