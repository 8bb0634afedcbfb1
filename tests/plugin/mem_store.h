/*
 * mem_store: a whole store in memory, which store_mem and store_fail are made of.
 *
 * Its rows are the process's: they outlive fini, as those of a database do.
 */
#ifndef PLUGIN_MEM_STORE_H
#define PLUGIN_MEM_STORE_H

#include <chatd/plugin.h>

#define MEM_CAPS                                                            \
	(CHATD_STORE_TX | CHATD_STORE_HISTORY | CHATD_STORE_ASYNC |          \
	    CHATD_STORE_SCHEMA | CHATD_STORE_ORDERED)

struct mem_conf {
	int64_t max_rows; /* further ones are refused with CHATD_UNAVAIL; 0: no limit */
	uint64_t max_data;
	int64_t delay; /* until the answer to a write; 0: within the call */
	const char *log; /* file that says what was written, in that order */
	const char *bug; /* what it is to do wrong, for tests of tests */
	struct chatd_list schedule; /* store_fail */
	bool refuse; /* check() finds these options bad */
};

struct mem_store;

#define MEM_OPT(type, name, change, def, min, max, text)                         \
	{                                                                        \
#name, CHATD_OPT_##type, CHATD_OPT_##change,                             \
		    offsetof(struct mem_conf, name), def, min, max, text         \
	}

#define MEM_OPTS                                                                 \
	MEM_OPT(INT, max_rows, LIVE, "0", 0, 1000000, "Rows that there may be."), \
	    MEM_OPT(SIZE, max_data, LIVE, "1m", 1, 16777216, "Bytes of one row."), \
	    MEM_OPT(TIME, delay, RESTART, "0", 0, 10000, "Time of a write."),    \
	    MEM_OPT(BOOL, refuse, LIVE, "off", 0, 0, "Find the options bad."),   \
	    MEM_OPT(STR, log, RESTART, "", 0, 4096, "File that tells of all."), \
	    MEM_OPT(STR, bug, RESTART, "", 0, 20, "What is done wrong.")

int mem_init(struct chatd_host *host, const void *conf, void **self_r,
    struct chatd_error *err);
int mem_start(void *self, struct chatd_error *err);
void mem_stop(void *self, int64_t deadline);
void mem_fini(void *self);
int mem_reconf(void *self, const void *conf, struct chatd_error *err);
void mem_stats(void *self, struct chatd_sink *sink);
int mem_write(void *self, const struct chatd_batch *batch, struct chatd_error *err);
int mem_history(void *self, const struct chatd_history *ask, struct chatd_error *err);
int mem_migrate(void *self, unsigned flags, struct chatd_error *err);
int mem_ping(void *self, uint64_t token, struct chatd_error *err);

/* What it was configured with, and its host. */
const struct mem_conf *mem_conf_of(void *self);
struct chatd_host *mem_host_of(void *self);

#endif
