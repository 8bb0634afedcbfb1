/*
 * bench_ws: the client's side of WebSocket (RFC 6455) and of permessage-deflate
 * without context takeover (RFC 7692).
 *
 * Bytes in, bytes out; no I/O.  As strict as a checker has to be: what a server
 * must not send is an error.
 */
#ifndef BENCH_WS_H
#define BENCH_WS_H

#include "base/base_buf.h"
#include "bench/bench_opts.h"
#include "bench/bench_url.h"

/* Largest message that is taken, inflated. */
#define BENCH_WS_MESSAGE_MAX (4u << 20)

#define BENCH_WS_TEXT  1
#define BENCH_WS_CLOSE 8
#define BENCH_WS_PONG  10

/* Appends an upgrade request; its key is made from NONCE. */
void bench_ws_request(struct base_buf *out, const struct bench_url *url,
    const struct bench_list *headers, bool deflate, uint64_t nonce);

/*
 * Checks the response to it.  Returns its length, 0 when it is not complete, or -1
 * with a text in ERR.  DEFLATE_R: whether permessage-deflate was agreed on.
 */
ssize_t bench_ws_response(const char *p, size_t n, uint64_t nonce, bool offered,
    bool *deflate_r, char *err, size_t errlen) BASE_MUST_CHECK;

/* Appends one masked frame; DATA may not be part of OUT. */
void bench_ws_frame(
    struct base_buf *out, uint8_t opcode, struct base_slice data, uint32_t mask);

/* What one connection has of a fragmented message; zeros are the start. */
struct bench_ws_rx {
	struct base_buf msg;
	uint8_t opcode; /* 0: none has begun */
	bool compressed;
};

enum bench_ws_kind {
	BENCH_WS_MORE, /* the frame is not complete */
	BENCH_WS_PART, /* a fragment was taken */
	BENCH_WS_MESSAGE, /* data, inflated */
	BENCH_WS_GOT_PING, /* data */
	BENCH_WS_GOT_PONG,
	BENCH_WS_GOT_CLOSE, /* code (1005: none) and data: the reason */
	BENCH_WS_BAD, /* why */
};

struct bench_ws_event {
	enum bench_ws_kind kind;
	unsigned code;
	const char *data; /* valid until the next call */
	size_t len;
	const char *why;
};

/* Takes at most one frame; returns the bytes used, 0 with BENCH_WS_MORE. */
size_t bench_ws_next(struct bench_ws_rx *rx, bool deflate, const char *p, size_t n,
    struct bench_ws_event *ev);
void bench_ws_rx_free(struct bench_ws_rx *rx);

#endif
