/*
 * bench_run: what one process of chatbench works on, and its counters.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <openssl/ssl.h>
#include <time.h>

#include "base/base_buf.h"
#include "base/base_list.h"
#include "bench/bench_opts.h"
#include "bench/bench_stat.h"
#include "bench/bench_track.h"
#include "bench/bench_url.h"

#define BENCH_NSEC 1000000000u

struct bench_conn;

struct bench_count {
	/* publications */
	uint64_t published; /* given to the socket */
	uint64_t answered; /* with or without an error */
	uint64_t refused; /* answered with an error */
	uint64_t unsure; /* their publisher was cut before the answer */
	uint64_t unanswered; /* no answer came, though the connection was up */
	uint64_t skipped; /* due while their publisher was away */
	uint64_t behind; /* due and not sent by the end: we were too slow */
	/* deliveries */
	uint64_t received; /* all that bear a stamp */
	uint64_t unique; /* the first of each */
	uint64_t duplicates;
	uint64_t reordered;
	uint64_t early; /* published before the subscription was confirmed */
	uint64_t misrouted; /* of another room, or to who did not subscribe */
	uint64_t damaged; /* stamp or data are not as they were sent */
	uint64_t lost; /* on connections that were up */
	uint64_t lost_cut; /* at the cut of a connection, or while it was away */
	uint64_t left; /* on their way when a member left, or while it was away */
	/* connections */
	uint64_t failed; /* could not be opened */
	uint64_t cut; /* were open, and ended without our doing */
	uint64_t retries; /* attempts to come back that failed */
	uint64_t back; /* came back after a cut */
	uint64_t churned; /* left and came back */
	uint64_t compressed; /* agreed on permessage-deflate */
	/* wire */
	uint64_t protocol_errors;
	uint64_t pings;
	uint64_t other_pushes; /* join, leave */
	uint64_t rx_bytes, rx_calls, rx_messages;
};

struct bench {
	const struct bench_opts *opt;
	struct bench_url *urls;
	unsigned n_urls;
	SSL_CTX *tls; /* NULL: no wss: among the URLs */
	int epfd;
	uint64_t random; /* state of the generator */

	struct bench_conn *conns; /* members first, then publishers outside */
	uint32_t n_conns, n_members;
	uint32_t first_user; /* number of the first connection's user */
	uint32_t started, opening, ready;
	struct base_list waiting; /* connections with a time at which to look at them */
	uint64_t next_look; /* at that list */
	uint64_t next_silence; /* when to look for silent connections */

	struct bench_pub *pubs; /* room * publishers + n */
	uint32_t n_pubs;
	/* of each room: the text of a push up to its data */
	struct base_slice *heads;
	uint32_t n_rooms;
	struct base_buf payload; /* data of each message; the stamp is put in */

	char *rbuf; /* for input, BENCH_RBUF bytes */
	struct base_buf text, frame; /* what is being sent */

	struct bench_count count;
	uint64_t win_from, win_to; /* sent within: counts for latency */
	struct bench_hist latency, lag;
	/* of LATENCY: publisher and member at one worker, and at two; demo = on only */
	struct bench_hist latency_within, latency_across;
	struct bench_hist confirm; /* from sending to the answer */
	struct bench_hist connect_time;
	struct bench_hist back_time, back_excess; /* all, and beyond the back-off */
	char error[256]; /* the first that was noted */
	const char *phase; /* what the run is doing, for the progress */
	struct bench_progress *progress; /* NULL: quiet */
};

static inline uint64_t
bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * BENCH_NSEC + (uint64_t)ts.tv_nsec;
}

/* splitmix64 (Steele, Lea, Flood 2014): repeatable, which getrandom is not. */
static inline uint64_t
bench_random(struct bench *b)
{
	uint64_t z = (b->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Keeps the text if it is the first. */
void bench_note(struct bench *b, const char *fmt, ...) BASE_PRINTF(2, 3);

/*
 * Makes everything that the options ask for, without connecting.  N: the members,
 * or the connections of this process.  Returns 0, or -1 with a text in ERR.
 */
int bench_run_init(struct bench *b, const struct bench_opts *opt,
    struct bench_url *urls, uint32_t n, uint32_t first_user, char *err,
    size_t errlen) BASE_MUST_CHECK;
/* Closes all connections. */
void bench_run_fini(struct bench *b);

#endif
