/*
 * out: what goes to clients, gathered over a turn and written once for each.
 */
#ifndef NET_OUT_H
#define NET_OUT_H

#include "net/conn.h"

struct out; /* one a process */

struct out *out_new(void);
void out_free(struct out *out);

/*
 * Queues one frame for C: the turn's replies and control frames, which go out before
 * the turn's pushes.
 */
void out_frame(struct conn *c, uint8_t first, const void *p, size_t len);
/* Queues bytes that are no frame: an HTTP response. */
void out_bytes(struct conn *c, const void *p, size_t len);

/* From now on what is queued for C in this turn goes out behind the pushes. */
void out_late(struct conn *c);
/* No longer; what was to go behind them goes before them after all. */
void out_early(struct conn *c);

/* Delivers all batches of the fan and writes what all clients got this turn. */
void out_flush(struct net *net);

/* The socket of C takes bytes again. */
void out_continue(struct conn *c);

/* Bytes that wait for C. */
size_t out_waiting(const struct conn *c);
/* True if replies of this turn wait for out_flush and fill a good part of it. */
bool out_full(const struct out *out);
/* Drops all that waits for C, when it dies. */
void out_drop(struct conn *c);

#endif
