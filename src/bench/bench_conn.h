/*
 * bench_conn: sockets: opening, TLS, input, output, cuts and coming back.
 */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "bench/bench_run.h"
#include "bench/bench_ws.h"

#define BENCH_RBUF (256u << 10)

enum bench_state {
	BENCH_NEW, /* not started */
	BENCH_TCP, /* being connected */
	BENCH_TLS, /* TLS handshake */
	BENCH_UPGRADE, /* the WebSocket request was sent */
	BENCH_HELLO, /* connect and subscribe were sent */
	BENCH_READY,
	BENCH_LEAVING, /* churn: our close frame was sent */
	BENCH_AWAY, /* cut, waits for its back-off */
	BENCH_DEAD,
};

struct bench_conn {
	struct base_list wait; /* b->waiting */
	uint64_t due; /* when to look at it, while on that list */
	uint64_t t_open; /* when the attempt began; key of the handshake, too */
	uint64_t t_cut; /* when it was cut; 0: was not */
	uint64_t waited; /* back-off since then, ns */
	int fd;
	uint8_t state;
	uint8_t attempts; /* to come back */
	bool want_out;
	bool deflate;
	bool pong; /* the server wants pongs */
	bool left; /* churn: leaves or is coming back */
	uint32_t num;
	uint32_t room;
	int64_t pub; /* its publisher, or -1 */
	uint32_t url;
	uint32_t cmd; /* last command id used in this session */
	uint32_t seq0; /* publisher's last number at the start of the session */
	uint32_t ping; /* announced interval, s; 0: none */
	uint32_t worker; /* that serves it, + 1; 0: it does not say */
	uint64_t t_in; /* last input */
	SSL *ssl;
	struct base_buf in; /* a frame that is not complete yet */
	struct base_buf out; /* what the socket did not take yet */
	struct bench_ws_rx rx;
	struct bench_track
	    *tracks; /* one a publisher of the room; NULL: not a member */
};

/* A fatal error of the machine (no more descriptors...) is noted and fails it. */
void bench_conn_open(struct bench *b, struct bench_conn *c);
void bench_conn_event(struct bench *b, struct bench_conn *c, uint32_t events);

/* Sends b->frame, which is emptied. */
void bench_conn_send(struct bench *b, struct bench_conn *c);
static inline bool
bench_conn_blocked(const struct bench_conn *c)
{
	return c->out.len > 0;
}

/* The handshakes and the subscription are done. */
void bench_conn_ready(struct bench *b, struct bench_conn *c);

/*
 * It is over, by what the text says.  AGAIN: an SDK would come back, and so it
 * does with --reconnect.
 */
void bench_conn_down(struct bench *b, struct bench_conn *c, bool again, const char *fmt,
    ...) BASE_PRINTF(4, 5);

/* Says good-bye, and comes back once the server has closed. */
void bench_conn_leave(struct bench *b, struct bench_conn *c);

/* Looks at what waits for its time, and for connections that went silent. */
void bench_conn_timers(struct bench *b, uint64_t now);

void bench_conn_free(struct bench_conn *c);

#endif
