/*
 * archive_priv: what the files of archive/ know of each other.
 */
#ifndef ARCHIVE_ARCHIVE_PRIV_H
#define ARCHIVE_ARCHIVE_PRIV_H

#include "archive/archive.h"
#include "archive/archive_batch.h"
#include "archive/archive_pace.h"
#include "base/base_list.h"
#include "plug/plug_store.h"

/* ---- where messages come from (archive_source.c) ---- */

enum { ARCHIVE_SPOOL, ARCHIVE_MEMORY, ARCHIVE_SOURCES };

struct archive_source {
	const char *name; /* of the journal */
	char *dir;
	struct journal_tail *tail; /* NULL: not open */
	uint64_t next; /* all up to it were gathered */
	uint64_t done; /* all up to it are in the database, or dead */
	uint64_t told; /* the broker that lives knows that of all up to it */
	bool more; /* there may be some after NEXT */
	uint64_t oldest_ns; /* of what is not in the database; 0: nothing */
	struct archive_gather gather;
	char why[256]; /* of the last error that was logged */
};

void archive_source_init(struct archive_source *s, const char *state_dir, bool memory);
void archive_source_fini(struct archive_source *s);
/* Gathers up to N messages. */
void archive_source_fill(struct archive_source *s, size_t n);
/* What was gathered or sent is to come again. */
void archive_source_rewind(struct archive_source *s);
/* Once a second: opens it when it is there, and looks how old its oldest message is. */
void archive_source_look(struct archive_source *s);

/* ---- the plugin (archive_store.c) ---- */

enum archive_store_state {
	ARCHIVE_CLOSED, /* to be opened when the pause is over */
	ARCHIVE_OPEN,
	ARCHIVE_STOPPING,
	ARCHIVE_STOPPED, /* to be freed in the next turn */
};

struct archive_store {
	struct plug_store store;
	struct plug *plug;
	enum archive_store_state life;
	enum chatd_state state; /* as it says */
	int64_t stop_deadline;
	bool schema; /* it waits for its schema */
	bool no_ping;
	uint64_t ping; /* token; 0: none is under way */
	bool ping_answered;
	int ping_code;
	char why[256]; /* of its state, or of the ping */
	char logged[256]; /* the trouble that the log has; empty: none */
	int64_t trouble_since;
};

/* Opens it when it is time, frees it when it has stopped. */
void archive_store_turn(struct archive *a);
void archive_store_tick(struct archive *a);
void archive_store_stop(struct archive *a, int64_t deadline);
void archive_store_fini(struct archive *a);
/* Deals with a failure of CODE: the log, the pause, the end of a broken plugin. */
void archive_store_failed(struct archive *a, int code, const char *why);
/* It has taken something. */
void archive_store_works(struct archive *a);
/* It may be asked something. */
bool archive_store_open(const struct archive *a);
bool archive_store_has(const struct archive *a, uint64_t caps);

/* ---- batches (archive_write.c) ---- */

#define ARCHIVE_FLIGHT 2

struct archive_write {
	struct archive_batch *flight[ARCHIVE_FLIGHT]; /* the oldest first */
	unsigned n_flight;
	struct archive_batch *held; /* the plugin had no room for it */
	bool full; /* wait for ready */
	unsigned turn; /* whose messages are next */
	int64_t wait; /* ms: what was gathered waits for others; 0: no */
	/* Dead letters that the broker has to know of, before ARCHIVED. */
	struct archive_batch *burials[ARCHIVE_FLIGHT]; /* the oldest first */
	unsigned n_burials;
	size_t buried; /* of the first of them */
	int64_t told_at; /* ms: when it was told last of what is done */
	uint64_t seconds[10]; /* messages of the last seconds, for the rate */
	unsigned second; /* the one that goes by */
};

/* What the plugin has answered. */
void archive_write_results(struct archive *a);
/* Tells the broker; false: it has no room. */
bool archive_write_tell(struct archive *a);
/* When there will be something to tell: ms; INT64_MAX: nothing now. */
int64_t archive_write_tell_at(const struct archive *a);
void archive_write_send(struct archive *a);
void archive_write_done(struct archive *a, uint64_t token, int code, const char *why,
    const struct chatd_result *results, size_t n);
void archive_write_tick(struct archive *a);
/* The plugin is gone: what it had comes again. */
void archive_write_reset(struct archive *a);
void archive_write_fini(struct archive *a);
size_t archive_write_bytes(const struct archive *a);

/* ---- reads (archive_read.c) ---- */

#define ARCHIVE_READS 4 /* that the plugin has at once */
#define ARCHIVE_READS_WAITING 1024

struct archive_read;

struct archive_reads {
	struct base_list waiting, active, ready; /* of struct archive_read */
	size_t n_waiting, n_active, bytes;
	bool full; /* the plugin had no room: wait for ready */
};

void archive_read_init(struct archive *a);
void archive_read_ask(struct archive *a, const struct order_msg *msg);
void archive_read_send(struct archive *a);
/* One that waits can be sent now. */
bool archive_read_more(const struct archive *a);
bool archive_read_tell(struct archive *a);
/* Those whose time is over are answered; NOW: ms. */
void archive_read_tick(struct archive *a, int64_t now);
/* The plugin will answer no more. */
void archive_read_fail(struct archive *a);
void archive_read_row(
    struct archive *a, uint64_t token, const struct chatd_record *row);
/* False: it is not one of them. */
bool archive_read_done(struct archive *a, uint64_t token, int code);
void archive_read_fini(struct archive *a);

/* ---- the whole ---- */

struct archive {
	struct archive_place place;
	const struct conf *conf;
	struct archive_source sources[ARCHIVE_SOURCES];
	struct archive_pace pace;
	struct archive_store store;
	struct archive_write write;
	struct archive_reads reads;
	uint64_t next_token;
	int64_t tick_at; /* ms */
	bool stopping, hung;
	bool stuck; /* the queue to the broker is full */
	int64_t stop_deadline;
};

/* Microseconds of the monotonic clock, for the pace. */
int64_t archive_now_us(void);

#endif
