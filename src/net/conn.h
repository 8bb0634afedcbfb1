/*
 * conn: one connection, plain or TLS, from accept to close.
 *
 * A connection is one allocation; it owns a raw event, a place in the wheel, the
 * bytes of an unfinished request or frame, and what its socket did not take yet.
 * The session is embedded.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>

#include "core/sess.h"
#include "ev/ev_wheel.h"
#include "net/net.h"
#include "proto/http_parse.h"
#include "proto/ws_frame.h"

#define CONN_TLS_WRITE 16384 /* most that goes into one TLS record */

enum conn_state {
	CONN_TLS,       /* in the TLS handshake */
	CONN_HTTP,      /* a request is awaited */
	CONN_WS,        /* WebSocket messages go to the application */
	CONN_CLOSING,   /* our close frame is queued: the peer's is awaited */
	CONN_FINISHING, /* what is queued goes out, then the socket is closed */
	CONN_LINGER,    /* closed in our direction: read until the peer closes too */
	CONN_DEAD,      /* closed: on the net's list, freed at the end of the turn */
};

struct api_call;

/* Of the request at hand; before the handshake, after which there is a session. */
struct conn_http {
	struct api_call *call; /* being answered: no other is taken; or NULL */
	uint32_t need; /* bytes of head and body, when the body is awaited; or 0 */
	bool told; /* that it may send the body */
};

struct conn {
	struct event ev;
	struct ev_wheel_node timer;
	struct net *net;
	SSL *ssl;             /* NULL: plain */
	struct base_list all; /* on net->conns, or on net->dead */
	struct base_buf in;   /* an unfinished request or frame */
	struct ws_rx rx;
	struct outq *outq;   /* NULL: nothing waits */
	struct turn *turn;   /* what it gets at the end of this turn, or NULL */
	uint32_t in_counted; /* of in and rx, in net->in_bytes */
	/* Deadlines in ticks of the net's wheel; 0: none. */
	uint32_t due;       /* of the state: handshake, connect command, close */
	uint32_t due_frame; /* a frame or a message in fragments has begun */
	uint32_t due_ping, due_pong, due_expiry;
	uint16_t ping_ticks, pong_ticks; /* as announced when it connected */
	uint8_t state;                   /* enum conn_state */
	uint8_t deflate_bits; /* window of what we compress for it; 0: none */
	bool input_ended;     /* the peer sends no more, but reads */
	bool want_write;      /* the event listens for EV_WRITE */
	bool tls_wants_write; /* in a handshake or a read */
	bool frame_pings;     /* RFC 6455 pings instead of the protocol's */
	bool over_limit;      /* only there to be told 503 */
	bool refused;         /* only there to be told 403 */
	bool linger;          /* the peer may still be sending when all went out */
	bool head_only; /* the request at hand is a HEAD: its answer has no body */
	uint8_t serve;  /* CONF_SERVE_* of its listener */
	union {
		struct conn_http http;
		struct sess sess; /* from CONN_WS on */
	};
};

/* Takes over FD; SSL_CTX: NULL for plain.  NULL (and FD closed) for want of memory. */
struct conn *conn_new(struct net *net, int fd, SSL_CTX *ctx, bool over_limit);

/*
 * Bytes P..P+N came in (they follow what is in c->in, which is at their front
 * already).  Called by the reader; consumes what is whole, keeps the rest.
 */
void conn_input(struct conn *c, uint8_t *p, size_t n);

/* Throws away an unfinished frame and message; not while a message is at work. */
void conn_forget_input(struct conn *c);

/* (Re)computes when its timer is due. */
void conn_schedule(struct conn *c);
/* In conn_timer.c: NODE's connection has a deadline now. */
void conn_timer(struct ev_wheel_node *node, void *arg);

/* Moves to STATE, with a deadline DELAY_MS from now. */
void conn_set_state(struct conn *c, enum conn_state state, int64_t delay_ms);

/* Listens for writability, or no longer. */
void conn_want_write(struct conn *c, bool want);

/* Closes the socket now; the memory goes at the end of the turn.  Idempotent. */
void conn_kill(struct conn *c);
/* All went out in CONN_FINISHING: closes, or lingers. */
void conn_finished(struct conn *c);
/* Frees the dead. */
void conn_reap(struct net *net);

/* True: nothing more is read from it, but for a close frame. */
static inline bool
conn_ending(const struct conn *c)
{
	return c->state >= CONN_CLOSING;
}

/* ---- conn_http.c: requests ---- */

/* As conn_input, in state CONN_HTTP.  Returns the bytes used; 0: more are needed. */
size_t conn_http_input(struct conn *c, const uint8_t *p, size_t n);

/* Answers and, unless CLOSE or the request says otherwise, waits for the next one. */
void conn_http_respond(struct conn *c, int status, const char *headers,
    const char *type, struct base_slice body, bool close);

/* A request was answered out of turn: takes up those that came meanwhile. */
void conn_http_resume(struct conn *c);

/* A request is being answered. */
static inline bool
conn_http_busy(const struct conn *c)
{
	return c->state == CONN_HTTP && c->http.call != NULL;
}

/* ---- conn_ws.c: WebSocket ---- */

/* As conn_input, in the states CONN_WS and CONN_CLOSING. */
size_t conn_ws_input(struct conn *c, uint8_t *p, size_t n);

/* Sends a close frame and waits for the peer's.  Once it was called nothing else is
 * sent.  REASON is not empty. */
void conn_ws_close(struct conn *c, uint16_t code, const char *reason);

/* The same for input that cannot be read on (RFC 6455 section 7.1.7), so that the
 * peer's close frame could not be either: it is shown the end of the stream. */
void conn_ws_fail(struct conn *c, uint16_t code, const char *reason);

/* ---- conn_io.c: the socket ---- */

/* Reads into P: bytes, 0: nothing now, -1: end of file (errno is 0) or an error. */
ssize_t conn_read(struct conn *c, void *p, size_t n);
/* Writes what it can of IOV: bytes (0: nothing now), -1: an error. */
ssize_t conn_write(struct conn *c, const struct iovec *iov, int n);
/* Goes on with the TLS handshake: 1 done, 0 not yet, -1 failed. */
int conn_tls_handshake(struct conn *c);

#endif
