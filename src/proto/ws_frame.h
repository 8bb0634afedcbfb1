/*
 * ws_frame: WebSocket frames (RFC 6455 section 5), server side.
 *
 * Bytes in, events out; no I/O.  The caller owns the bytes and keeps what was not
 * used for the next call.
 */
#ifndef PROTO_WS_FRAME_H
#define PROTO_WS_FRAME_H

#include "base/base_buf.h"
#include "base/base_defs.h"

#define WS_TEXT   1
#define WS_BINARY 2
#define WS_CLOSE  8
#define WS_PING   9
#define WS_PONG   10

#define WS_FIN  0x80
#define WS_RSV1 0x40 /* compressed, RFC 7692 */

#define WS_HEAD_MAX  10 /* of a frame that a server sends */
#define WS_CLOSE_MAX (2 + 2 + 123)

/* Close codes of RFC 6455 section 7.4.1 that we send. */
#define WS_CODE_NORMAL   1000
#define WS_CODE_PROTOCOL 1002
#define WS_CODE_NONE     1005 /* never sent: the close frame had no code */
#define WS_CODE_DATA     1007
#define WS_CODE_POLICY   1008
#define WS_CODE_TOO_BIG  1009
#define WS_CODE_TRY_LATER 1013

struct ws_limits {
	uint64_t frame; /* largest payload of a frame */
	uint64_t message; /* largest message */
	bool deflate; /* RSV1 was negotiated */
};

/* One connection's state; zero-initialised is the start. */
struct ws_rx {
	struct base_buf msg; /* pieces of a fragmented message */
	uint8_t opcode; /* of that message; 0: none has begun */
	bool compressed; /* that message is */
	uint8_t tail; /* last bytes of msg that begin a character, 0..3 */
};

enum ws_event_kind {
	WS_EV_MORE, /* the frame is not complete: call again with more bytes */
	WS_EV_PART, /* a fragment was taken in: call again */
	WS_EV_MESSAGE, /* opcode, compressed, data */
	WS_EV_PING, /* data */
	WS_EV_PONG, /* data */
	WS_EV_CLOSE, /* code (1005: none came) and data: the reason */
	WS_EV_ERROR, /* code to close with: 1002, 1007 or 1009 */
};

struct ws_event {
	enum ws_event_kind kind;
	uint8_t opcode;
	bool compressed;
	uint16_t code;
	char *data; /* valid until the next call or until the caller's bytes move */
	size_t len;
};

/*
 * Takes at most one frame from the N bytes at P (which it unmasks in place).
 * Returns the bytes used: 0 with WS_EV_MORE, N with WS_EV_ERROR.  A message is
 * whole and, when it is text and not compressed, valid UTF-8.  An unfragmented
 * message is a slice of P; pieces of a fragmented one take at most limits->message
 * bytes.  What the head alone shows to be wrong is an error as soon as the head is
 * there, and bad UTF-8 with the fragment that has it.  After WS_EV_ERROR or
 * WS_EV_CLOSE the connection is to be closed; nothing more is to be read from it.
 *
 * A length in a longer form than it needs is accepted (RFC 6455 section 5.2 wants
 * the shortest, of senders): it can be read in one way only.
 */
size_t ws_rx_next(struct ws_rx *rx, const struct ws_limits *limits, uint8_t *p,
    size_t n, struct ws_event *ev);

/* To call once the message of WS_EV_MESSAGE was dealt with; frees its pieces. */
void ws_rx_done(struct ws_rx *rx);
void ws_rx_free(struct ws_rx *rx);

/*
 * After WS_EV_MORE: the bytes that the frame at P will have in all, head included,
 * 0 when the head is not complete yet.  It is within the limits: the call said so.
 */
size_t ws_frame_need(const uint8_t *p, size_t n);

/* Writes a head for LEN payload bytes; FIRST is e.g. WS_FIN | WS_TEXT.  Returns its
 * length, 2 to WS_HEAD_MAX. */
size_t ws_frame_head(uint8_t out[WS_HEAD_MAX], uint8_t first, uint64_t len);

/*
 * Writes a whole close frame and returns its length; REASON (UTF-8) is cut at 123
 * bytes on a character.  CODE 1005, which must not be sent, writes an empty one:
 * the answer to a close frame without a code.
 */
size_t ws_frame_close(uint8_t out[WS_CLOSE_MAX], uint16_t code, const char *reason);

/*
 * How long the frame at P is that a server sent, head included: for walking
 * through a block of frames.  P has at least its head.
 */
size_t ws_frame_sent_len(const uint8_t *p);

#endif
