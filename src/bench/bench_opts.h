/*
 * bench_opts: the command line of chatbench.
 *
 * One table (bench_opts.c) holds every option: parsing, limits, defaults, which
 * modes it belongs to, --help, and the test that holds the manual against it.
 */
#ifndef BENCH_OPTS_H
#define BENCH_OPTS_H

#include "base/base_defs.h"

enum bench_mode {
	BENCH_RATE = 1, /* publish at a fixed rate */
	BENCH_SATURATE = 2, /* publish as fast as deliveries come */
	BENCH_IDLE = 4, /* hold connections */
	BENCH_CONNECT = 8, /* open connections */
	BENCH_PUBLISH = 16, /* publish as fast as it is confirmed */
};

/* Of the size of a message's data, in bytes. */
#define BENCH_SIZE_MIN 64
#define BENCH_SIZE_MAX 60000

struct bench_list {
	char **v;
	unsigned n;
};

struct bench_opts {
	enum bench_mode mode;
	/* server */
	struct bench_list urls;
	bool allow_remote;
	bool insecure;
	char *ca; /* file; NULL: the system's */
	struct bench_list headers;
	char *token, *token_secret;
	bool compression;
	bool raw;
	/* load */
	int64_t rooms, members, publishers;
	bool outside;
	double rate; /* messages a second and publisher */
	int64_t size; /* bytes of a message's data */
	int64_t window; /* messages outstanding; of each publisher in BENCH_PUBLISH */
	int64_t connections;
	char *channel_prefix;
	double churn; /* connections a second */
	bool reconnect;
	/* times, in seconds */
	double duration, warmup, drain, settle, timeout;
	/* machine */
	int64_t concurrency, sources, processes, prime, poll_us, seed;
	struct bench_list pids;
	/* output */
	bool json, quiet;
	char *label;
	bool help, version;
};

enum bench_opts_result {
	BENCH_OPTS_RUN,
	BENCH_OPTS_DONE, /* help or version was printed */
	BENCH_OPTS_BAD, /* what is wrong was printed on stderr */
};

enum bench_opts_result bench_opts_parse(
    struct bench_opts *o, int argc, char **argv) BASE_MUST_CHECK;
void bench_opts_free(struct bench_opts *o);

const char *bench_mode_name(enum bench_mode mode);

#endif
