/*
 * store_run: a store in a loop of its own, for tests: asks it and waits.
 *
 * Counts what a store must never do; a test looks at it in the end.
 */
#ifndef PLUGIN_STORE_RUN_H
#define PLUGIN_STORE_RUN_H

#include <event2/event.h>
#include <limits.h>

#include "base/base_buf.h"
#include "plug/plug_call.h"
#include "plug/plug_host.h"

#define RUN_TOKENS 4096
#define RUN_ROWS   4096

/* A record with storage of its own. */
struct run_record {
	struct chatd_record rec;
	char channel[32], epoch[16], user[16], client[24], info[48];
	char *data;
};

struct store_run {
	char dir[PATH_MAX]; /* state_dir: the current directory */
	struct plug_module *mod;
	void *conf;
	struct event_base *base;
	struct plug *plug;
	int64_t time; /* ms that a batch may take; 0: any, and a read 10000 */
	/* What was reported: */
	enum chatd_state state;
	char why[256]; /* of the last answer that was not 0 */
	int stopped, ready;
	int answers[RUN_TOKENS]; /* how many */
	int codes[RUN_TOKENS];
	int refused[RUN_TOKENS]; /* code of the last refused record; 0: none */
	size_t refused_at[RUN_TOKENS];
	uint64_t next_token; /* those below are in use */
	struct run_record *rows; /* of the last history */
	size_t n_rows;
	/* Is shown each record that was refused; NULL: nobody is. */
	void (*refusal)(size_t i, const struct chatd_result *result);
	struct base_buf wrong; /* a line for each thing that is never right */
};

/* Loads the plugin NAME of the test directory; false and a reason in WHY. */
bool run_open(struct store_run *run, const char *name, const char *options,
    struct base_buf *why);
/* init alone. */
bool run_init(struct store_run *run, struct base_buf *why);
/* init, if that was not done, migrate if it needs it, start, and up. */
bool run_start(struct store_run *run, struct base_buf *why);
/* stop and fini. */
bool run_stop(struct store_run *run, struct base_buf *why);
void run_close(struct store_run *run);

/* Turns the loop until *FLAG is not 0; false after MS. */
bool run_until(struct store_run *run, const int *flag, int64_t ms);

/*
 * Writes and waits.  Returns the code of write, or else that of done; -1000 when no
 * answer comes.  *TOKEN_R may be NULL.
 */
int run_write(struct store_run *run, const struct run_record *recs, size_t n,
    uint64_t *token_r);
/* Only hands it over: the code of write. */
int run_send(struct store_run *run, const struct run_record *recs, size_t n,
    uint64_t *token_r);
/* Asks and waits, as run_write; the rows are in RUN. */
int run_history(struct store_run *run, const char *channel, const char *epoch,
    const struct chatd_history *ask);
int run_ping(struct store_run *run);

/* A record of its own at a place; what it holds follows from the place. */
void run_make(struct run_record *r, const char *channel, uint64_t offset);
/* With other data. */
void run_data(struct run_record *r, const void *data, size_t len);
void run_drop(struct run_record *recs, size_t n);
bool run_same(const struct run_record *a, const struct run_record *b);

#endif
