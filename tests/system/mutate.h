/*
 * mutate: input for a server that no client would send on purpose.
 *
 * A case is a function of the seed and its number alone, so that one that does
 * harm can be sent again.
 */
#ifndef SYSTEM_MUTATE_H
#define SYSTEM_MUTATE_H

#include "base/base_buf.h"

enum mutate_kind {
	MUTATE_FRAMES,   /* WebSocket frames, with mutations anywhere */
	MUTATE_COMMANDS, /* well-formed frames around mutated commands */
	MUTATE_HTTP,     /* the first bytes of a connection */
	MUTATE_KINDS
};

struct mutate {
	uint64_t seed;
	const char *token; /* a good connection token, or "" */
};

/* Appends case NUMBER to OUT; a kind of frames is for an open WebSocket. */
enum mutate_kind mutate_case(
    const struct mutate *m, uint64_t number, struct base_buf *out);

/* What every WebSocket connection of the mutator begins with. */
void mutate_handshake(struct base_buf *out, bool deflate);
void mutate_login(struct base_buf *out);
/* A ping with NUMBER, 8 bytes with the highest first, as its payload. */
void mutate_ping(struct base_buf *out, uint64_t number);

#endif
