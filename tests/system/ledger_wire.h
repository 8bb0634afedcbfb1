/*
 * ledger_wire: a WebSocket connection of ledger.c, and a look into JSON.
 *
 * Written for the test alone: what it checks shares no line with it.
 */
#ifndef SYSTEM_LEDGER_WIRE_H
#define SYSTEM_LEDGER_WIRE_H

#include "base/base_buf.h"
#include "base/base_defs.h"

struct wire {
	int fd; /* -1: there is none */
	bool open; /* the handshake is over */
	bool watching; /* for room to write */
	struct base_buf in, out;
	size_t sent; /* of OUT */
};

/* A line of a message of the server. */
typedef void (*wire_line_fn)(void *arg, struct base_slice line);

/* Begins to connect, and puts the handshake into OUT.  -1: not now. */
int wire_connect(struct wire *w, uint16_t port);
void wire_close(struct wire *w);
/* Puts a masked text message into OUT. */
void wire_text(struct wire *w, const char *p, size_t len);
/* Reads what there is.  -1: the server is gone, or does not speak WebSocket. */
int wire_read(struct wire *w, wire_line_fn fn, void *arg);
/* Writes what it can.  -1: the server is gone. */
int wire_flush(struct wire *w);
/* Something is left of OUT. */
bool wire_waits(const struct wire *w);

/* The value of a member as it stands there; empty when there is none. */
struct base_slice json_get(struct base_slice object, const char *key);
/* The value of a number, or what stands in a string without escapes. */
uint64_t json_number(struct base_slice value);
struct base_slice json_string(struct base_slice value);
bool json_is(struct base_slice value, const char *text);
/* Cuts the next value off an array; false: its end. */
bool json_next(struct base_slice *array, struct base_slice *value_r);

#endif
