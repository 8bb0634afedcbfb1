/*
 * stream_priv: what stream.c and stream_ask.c share.
 */
#ifndef CORE_STREAM_PRIV_H
#define CORE_STREAM_PRIV_H

#include "base/base_buf.h"
#include "core/stream.h"

/* What may be held back whatever tail_total says. */
#define HELD_BYTES (1u << 20)

enum stream_state {
	STREAM_NEW, /* (see stream.h) */
	STREAM_LIVE,
	STREAM_HEALING,
	STREAM_BROKEN,
};

struct stream {
	struct streams *streams;
	struct hub_chan *chan;
	struct base_list link; /* of all */
	struct base_list todo; /* to be looked at in the next turn */
	struct base_list idle; /* nobody needs it */
	struct base_list lru;  /* it has a tail; the one used last is the last */
	struct base_list waits;
	uint8_t state; /* enum stream_state */
	bool has_next; /* next_epoch is set */
	bool verify;   /* something may have been missed: ask */
	bool stale;    /* the answer to the question that is out is of no use */
	uint8_t tries; /* questions since it was last LIVE */
	char epoch[ORDER_EPOCH_LEN];
	char next_epoch[ORDER_EPOCH_LEN]; /* that the lane spoke of last */
	struct tail tail; /* its last is the position */
	struct tail held; /* above it, while not LIVE */
	uint64_t seen;    /* newest offset that was held, dropped again or not */
	uint64_t shown;   /* newest offset that went to those without a position */
	size_t counted;   /* of it, in streams->bytes */
	uint32_t n_placed;
	uint32_t keep; /* publications of the tail at most */
	int64_t ttl_ms;
	int64_t newest_ms; /* when the newest of the tail came */
	int64_t idle_until_ms, not_before_ms;
	uint64_t req;   /* the question that is out; 0: none */
	uint64_t since; /* what it asks for */
};

struct streams {
	struct sess_env *env;
	struct base_list all, todo, idle, lru;
	uint64_t n, bytes;
	unsigned n_asked; /* questions that are out */
	size_t given;     /* bytes of publications told in answers, this turn */
	bool more;
	struct base_buf frame;
};

/* ---- stream.c ---- */

void stream_account(struct stream *s);
void stream_drop_tail(struct stream *s);
/* Its tail was used just now. */
void stream_used(struct stream *s);
/* It is looked at in the next turn. */
void stream_todo(struct stream *s);
/* Appends to the tail. */
void stream_push(struct stream *s, struct base_slice json);
/* To all who do not wait. */
void stream_deliver(struct stream *s, uint64_t offset, struct base_slice json);
void stream_deliver_held(struct stream *s);
void stream_lose_placed(struct stream *s);

/* ---- stream_ask.c ---- */

/* Does what is to be done now: questions, answers. */
void stream_attend(struct stream *s);
void stream_forget_question(struct stream *s);

#endif
