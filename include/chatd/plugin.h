/*
 * chatd/plugin.h: what a plugin of chatd is, and what chatd gives to it.
 *
 * A plugin is a shared object NAME.so in chatd's plugin directory that exports one
 * symbol, the constant table chatd_plugin.  It needs no symbol of the daemon and no
 * other header of it.  chatd-plugin(3) explains how one is made.
 *
 * Versions
 *	The major number must be that of the daemon.  The minor number may be older.
 *	Major is raised when something here changes its meaning, size or place; minor
 *	when something is added at the end of a structure that bears its size, or a
 *	number is given that was free.  Structures without a size, which are passed in
 *	arrays or embedded, never change within a major version.
 *
 *	1.0 (2026-11-24)
 *		First version: the table, options, host services, stores.
 *
 * Threads
 *	The daemon calls a plugin on its event loop's thread, never twice at a time
 *	and never from inside a host service that the plugin has called.  What blocks
 *	keeps a whole process from working: a call of more than 5 ms is logged.  A
 *	plugin may have threads of its own, started by start() and joined by fini().
 *	They may call the services post, hold and drop, and nothing else of the host.
 *
 * Ownership
 *	What is passed to a function, either way, is valid until it returns.  The two
 *	exceptions are the host, which is valid until fini() has returned, and a batch,
 *	which hold() keeps until drop().  A configuration is valid until the plugin has
 *	accepted the next one with reconf(), or until fini() has returned.
 *
 * Errors
 *	Functions return 0 or a negative code of enum chatd_err.  Its class alone
 *	decides what the daemon does:
 *
 *	retry	AGAIN UNAVAIL TIMEOUT	keeps the batch and comes again later
 *	reject	TOOBIG BADMSG DENIED	puts the record aside with the reason, goes on
 *	absent	NOTSUP			does without the function
 *	broken	all others		stops the plugin, goes on serving its clients
 */
#ifndef CHATD_PLUGIN_H
#define CHATD_PLUGIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CHATD_PLUGIN_MAGIC 0x74616863u
#define CHATD_ABI_MAJOR    1
#define CHATD_ABI_MINOR    0

/* For the definition of chatd_plugin, when all else is built with hidden symbols. */
#define CHATD_EXPORT __attribute__((visibility("default")))

/*
 * Code with a sanitizer and code without one do not share a process well, so both
 * sides name theirs.
 */
#ifdef __has_feature
#define CHATD_HAS_FEATURE(x) __has_feature(x)
#else
#define CHATD_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || CHATD_HAS_FEATURE(address_sanitizer)
#define CHATD_BUILD "asan"
#elif defined(__SANITIZE_THREAD__) || CHATD_HAS_FEATURE(thread_sanitizer)
#define CHATD_BUILD "tsan"
#else
#define CHATD_BUILD ""
#endif

/* ---- errors ---------------------------------------------------------------------- */

enum chatd_err {
	CHATD_OK = 0,
	/* retry */
	CHATD_AGAIN = -1,   /* full: wait for the service ready */
	CHATD_UNAVAIL = -2, /* the other side cannot be reached */
	CHATD_TIMEOUT = -3,
	/* reject: of one record, for good */
	CHATD_TOOBIG = -11,
	CHATD_BADMSG = -12,
	CHATD_DENIED = -13,
	/* absent */
	CHATD_NOTSUP = -21,
	/* broken */
	CHATD_CONFIG = -31,  /* cannot work as it is configured */
	CHATD_VERSION = -32, /* the other side is too old or new, or its schema */
	CHATD_BUG = -33,
};

enum chatd_err_class {
	CHATD_CLASS_OK,
	CHATD_CLASS_RETRY,
	CHATD_CLASS_REJECT,
	CHATD_CLASS_ABSENT,
	CHATD_CLASS_BROKEN,
};

static inline enum chatd_err_class
chatd_err_class(int code)
{
	switch (code) {
	case CHATD_OK:
		return CHATD_CLASS_OK;
	case CHATD_AGAIN:
	case CHATD_UNAVAIL:
	case CHATD_TIMEOUT:
		return CHATD_CLASS_RETRY;
	case CHATD_TOOBIG:
	case CHATD_BADMSG:
	case CHATD_DENIED:
		return CHATD_CLASS_REJECT;
	case CHATD_NOTSUP:
		return CHATD_CLASS_ABSENT;
	default:
		return CHATD_CLASS_BROKEN;
	}
}

/* Why a call failed, for people: one line, without secrets and payloads. */
struct chatd_error {
	int32_t code; /* 0: none */
	char text[252];
};

/* Fills ERR and returns CODE. */
__attribute__((format(printf, 3, 4))) static inline int
chatd_fail(struct chatd_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

/* ---- options --------------------------------------------------------------------- */

/*
 * The options of a plugin stand in its section of chat.conf.  The daemon parses them,
 * checks their limits and puts the values into a structure of the plugin's own, at
 * the place that the option names.
 */
enum chatd_opt_type {
	CHATD_OPT_INT = 1, /* int64_t */
	CHATD_OPT_SIZE,    /* uint64_t, bytes: 65536, "64k", "8m", "1g" */
	CHATD_OPT_TIME,    /* int64_t, milliseconds: "500ms", "25s", "5m" */
	CHATD_OPT_BOOL,    /* bool */
	CHATD_OPT_STR,     /* const char *, never NULL */
	CHATD_OPT_SECRET,  /* the same; the daemon never shows it */
	CHATD_OPT_FILE,    /* struct chatd_file; read by whoever takes the options */
	CHATD_OPT_LIST,    /* struct chatd_list */
};

enum chatd_opt_change {
	CHATD_OPT_LIVE = 1, /* a change goes to reconf() */
	CHATD_OPT_RESTART,  /* for a change the daemon stops and starts the plugin */
};

struct chatd_file {
	const char *path; /* empty: not set */
	const char *data; /* NULL: not set */
	size_t len;
};

struct chatd_list {
	const char *const *items;
	size_t n;
};

struct chatd_opt {
	const char *name; /* letters, digits and _ */
	uint32_t type;    /* enum chatd_opt_type */
	uint32_t change;  /* enum chatd_opt_change */
	size_t at;        /* offsetof() in the plugin's structure */
	const char *def;  /* as it would stand in the file; "{}" is the empty list */
	/*
	 * Not negative.  Limits of INT, SIZE and TIME, and of the length of STR and
	 * SECRET; max 0: no upper bound.  A string with the default "" and a min above
	 * 0 must be given.
	 */
	int64_t min, max;
	const char *text; /* what it is, for people: whole sentences */
};

/* ---- services of the daemon ------------------------------------------------------ */

struct event_base;
struct chatd_batch;
struct chatd_record;
struct chatd_result;
struct chatd_timer;

enum chatd_level {
	CHATD_LOG_ERROR,
	CHATD_LOG_WARN,
	CHATD_LOG_INFO,
	CHATD_LOG_DEBUG,
};

/* How the plugin stands to what it is connected to. */
enum chatd_state {
	CHATD_DOWN,
	CHATD_CONNECTING,
	CHATD_UP,
	CHATD_DEGRADED, /* works, but not as it should */
};

typedef void (*chatd_post_fn)(void *arg);
typedef void (*chatd_timer_fn)(void *arg);

struct chatd_host {
	uint32_t size; /* of this structure as the daemon has it */
	uint16_t abi_major, abi_minor;
	const char *version; /* of the daemon, for logs */
	const char *node;    /* name of this daemon among its peers */
	/* libevent's loop, for libraries that have an adapter; used on its thread. */
	struct event_base *base;

	/* One line, without secrets and payloads. */
	void (*log)(struct chatd_host *host, int level, const char *text);

	/*
	 * Runs FN on the loop's thread, soon, in the order of the calls.  Any thread
	 * may call it until fini() returns.  What was posted and has not run by then
	 * runs before fini() is called; what is posted later does not run.
	 */
	void (*post)(struct chatd_host *host, chatd_post_fn fn, void *arg);

	/* To be told of each change of state; WHY for people, may be "". */
	void (*state)(struct chatd_host *host, int state, const char *why);
	/* After CHATD_AGAIN: there is room again. */
	void (*ready)(struct chatd_host *host);
	/*
	 * Ends stop(): nothing is in flight; no service but log, drop and timer_free
	 * will be called before the next start.
	 */
	void (*stopped)(struct chatd_host *host);

	/*
	 * The answer to a request that was taken, once, by its token; it may come
	 * before the function that takes the request has returned.  CODE 0: done, and
	 * RESULTS, if not NULL, has one for each record of the batch, in its
	 * order.  Otherwise nothing was done, and WHY says why.
	 */
	void (*done)(struct chatd_host *host, uint64_t token, int code, const char *why,
	    const struct chatd_result *results, size_t n);
	/* One row of a history request, before its done. */
	void (*row)(
	    struct chatd_host *host, uint64_t token, const struct chatd_record *row);

	/* Any thread: keeps BATCH and what it points to until as many drops. */
	void (*hold)(struct chatd_host *host, const struct chatd_batch *batch);
	void (*drop)(struct chatd_host *host, const struct chatd_batch *batch);

	/* A timer that is not set; FN is called once each time that it runs out. */
	struct chatd_timer *(*timer_new)(
	    struct chatd_host *host, chatd_timer_fn fn, void *arg);
	/* Milliseconds from now; negative: not at all. */
	void (*timer_set)(struct chatd_timer *timer, int64_t ms);
	/* Before fini() returns. */
	void (*timer_free)(struct chatd_timer *timer);

	/* Monotonic clock, milliseconds. */
	int64_t (*now)(struct chatd_host *host);
	void (*random)(struct chatd_host *host, void *p, size_t n);

	/*
	 * Directory of what must survive a restart, absolute; a plugin's relative paths
	 * count from it.
	 */
	const char *state_dir;
};

/* Logs one line made as by printf. */
__attribute__((format(printf, 3, 4))) static inline void
chatd_log(struct chatd_host *host, int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	host->log(host, level, text);
}

/* Where a plugin puts its numbers. */
struct chatd_sink {
	uint32_t size;
	/* It has grown since the start, or is what it is now. */
	void (*counter)(struct chatd_sink *sink, const char *name, uint64_t value);
	void (*gauge)(struct chatd_sink *sink, const char *name, uint64_t value);
};

/* ---- what all kinds have --------------------------------------------------------- */

/*
 * The life of a plugin: check; init, start, the functions of its kind, stop, start
 * again or fini.  SELF is what init has set.
 * CONF is the plugin's own structure, filled from its options.
 */
struct chatd_life {
	/*
	 * Optional.  Are the options good together?  Without effects: no sockets, no
	 * threads, no files.
	 */
	int (*check)(const void *conf, struct chatd_error *err);
	/*
	 * Before the loop runs.  May allocate and make its objects; must not wait for
	 * anything, and changes nothing outside of the process, because fini may
	 * follow at once: chatd also tries whether a configuration works so far.  When
	 * it fails it leaves nothing behind: fini is not called.
	 */
	int (*init)(struct chatd_host *host, const void *conf, void **self_r,
	    struct chatd_error *err);
	/* The loop runs: begins to connect and returns.  Success is told by state. */
	int (*start)(void *self, struct chatd_error *err);
	/*
	 * Finishes what is in flight or answers it with CHATD_UNAVAIL, disconnects, and
	 * calls the service stopped by DEADLINE (the host's clock), at once if it can.
	 */
	void (*stop)(void *self, int64_t deadline);
	/* Frees all.  After stopped, or when the deadline has passed without it. */
	void (*fini)(void *self);
	/*
	 * Optional.  Options that may change live have changed.  Takes CONF over or
	 * keeps the old one; CHATD_NOTSUP: the daemon stops and starts the plugin
	 * instead.
	 */
	int (*reconf)(void *self, const void *conf, struct chatd_error *err);
	/* Optional: once a second, for time-outs. */
	void (*tick)(void *self, int64_t now);
	/* Optional. */
	void (*stats)(void *self, struct chatd_sink *sink);
};

enum chatd_kind {
	CHATD_KIND_BUS = 1, /* between nodes; reserved */
	CHATD_KIND_LOG = 2, /* durable log; reserved */
	CHATD_KIND_STORE = 3,
};

struct chatd_plugin {
	uint32_t magic; /* CHATD_PLUGIN_MAGIC */
	uint16_t abi_major, abi_minor;
	uint32_t size; /* of this structure; what lies past it reads as zero */
	uint32_t kind;
	const char *name;    /* of its file, without .so */
	const char *version; /* for logs */
	const char *build;   /* CHATD_BUILD */
	uint64_t caps;       /* bits of its kind, all known to the daemon */
	uint64_t max_payload; /* bytes of the largest data that it takes; 0: no limit */
	const struct chatd_opt *opts;
	size_t n_opts;
	size_t conf_size; /* of the plugin's structure of options */
	/* Functions past the end of a structure of this size are absent. */
	const struct chatd_life *life;
	size_t life_size;
	const void *ops; /* struct chatd_store_ops for a store */
	size_t ops_size;
};

/* The first members of chatd_plugin, which are the same for all plugins. */
#define CHATD_PLUGIN_HEAD(kind_, name_, version_)                                \
	.magic = CHATD_PLUGIN_MAGIC, .abi_major = CHATD_ABI_MAJOR,               \
	.abi_minor = CHATD_ABI_MINOR, .size = sizeof(struct chatd_plugin),       \
	.kind = (kind_), .name = (name_), .version = (version_), .build = CHATD_BUILD

/* What the daemon looks for; each plugin defines it. */
extern CHATD_EXPORT const struct chatd_plugin chatd_plugin;

/* ---- stores ---------------------------------------------------------------------- */

/* What is passed as bytes: not terminated; P may be NULL when LEN is 0. */
struct chatd_bytes {
	const char *p;
	size_t len;
};

/*
 * One message.  (channel, epoch, offset) is its place: offsets of one epoch of a
 * channel grow.  The id was given once, when the message was accepted.
 */
struct chatd_record {
	uint32_t size; /* of this structure; what lies past it reads as zero */
	uint32_t flags;
	unsigned char id[16];
	uint64_t offset;
	uint64_t time; /* of acceptance, nanoseconds since 1970 */
	struct chatd_bytes channel, epoch;
	struct chatd_bytes user, client; /* of the publisher; empty: the server */
	struct chatd_bytes info;         /* of the publisher, JSON, or empty */
	struct chatd_bytes data;         /* as published */
};

#define CHATD_REC_BINARY 1u /* data is not JSON */

struct chatd_batch {
	uint32_t size;
	uint64_t token;
	const struct chatd_record *const *recs;
	size_t n; /* at least 1 */
	/*
	 * The host's clock; then CHATD_TIMEOUT.  The daemon takes a plugin that has not
	 * answered some seconds later for one that hangs.  0: none.
	 */
	int64_t deadline;
};

/* What became of one record of a batch: 0, or a code of the class reject. */
struct chatd_result {
	int32_t code;
	const char *why; /* for people; NULL when code is 0 */
};

/*
 * Asks for the messages of one epoch of a channel in the order of their offsets:
 * after SINCE, or with REVERSE the newest first, before SINCE (0: from the newest).
 */
struct chatd_history {
	uint32_t size;
	uint64_t token;
	struct chatd_bytes channel, epoch;
	uint64_t since;
	uint64_t limit;     /* rows; at least 1 */
	uint64_t max_bytes; /* of data, but at least one row; 0: no limit */
	int64_t deadline;   /* the host's clock; then CHATD_TIMEOUT */
	bool reverse;
};

/* Capabilities of a store. */
#define CHATD_STORE_TX      1u /* a batch is written whole or not at all */
#define CHATD_STORE_HISTORY 2u /* has history */
#define CHATD_STORE_ASYNC   4u /* done may come after the function has returned */
#define CHATD_STORE_SCHEMA  8u /* has migrate, and needs it before the first write */
/*
 * Batches are written in the order in which they were taken; one that fails makes
 * those that were taken after it fail too.  A store without it gets a batch when the
 * one before it is answered, because messages of a channel are written in order.
 */
#define CHATD_STORE_ORDERED 16u

#define CHATD_MIGRATE_CHECK 1u /* only look: CHATD_VERSION when there is work to do */

struct chatd_store_ops {
	/*
	 * Writes a batch; once it returns 0 the answer is the service done.  A record
	 * whose id the store has already counts as written and changes nothing, so
	 * that a batch can be sent again after any failure; the same holds within a
	 * batch. One that the store refuses for good gets a result of the class reject
	 * and does not keep the others from being written.  When done gives 0, all
	 * that was not refused is durable.  Not 0: nothing was taken, done will not
	 * come.
	 */
	int (*write)(
	    void *self, const struct chatd_batch *batch, struct chatd_error *err);
	/*
	 * Rows by the service row, then done.  A channel that the store does not know
	 * has no rows.  Not 0: nothing was taken.
	 */
	int (*history)(
	    void *self, const struct chatd_history *ask, struct chatd_error *err);
	/*
	 * Makes the schema or brings it up to date, once or any number of times.  Only
	 * between init and start, and may wait.
	 */
	int (*migrate)(void *self, unsigned flags, struct chatd_error *err);
	/* Optional: a cheap look whether the store answers, then done. */
	int (*ping)(void *self, uint64_t token, struct chatd_error *err);
};

#endif
