/*
 * order: what this process asks the broker, and what it is told.
 *
 * Messages (order_msg.h) go over the queue pair of our slot.  A question is known by
 * its number until it is answered, forgotten, or broker_timeout has passed; an answer
 * to a number that is not known is passed over: it was asked by our predecessor, or is
 * given a second time by the broker's successor.
 *
 * Nothing waits: a full queue refuses the message, and the one who caused it is told
 * so.  The broker is woken once a turn, with the others that the turn wakes.
 */
#ifndef CORE_ORDER_H
#define CORE_ORDER_H

#include "proto/order_msg.h"
#include "ring/ring_seg.h"
#include "stat/stat_page.h"

struct order; /* one a process */

struct order_env {
	struct ring_seg *seg;
	unsigned slot; /* our own */
	uint64_t generation; /* of our slot */
	struct stat_page *stat;
	uint64_t *wake_mask; /* the broker's bit is set in it when it is to be woken */
};

/*
 * ANSWER's slices hold until the call returns; what came in parts is put together.  On
 * a time-out its code is PROTO_ERROR_INTERNAL, on an answer that is longer than may be
 * PROTO_ERROR_LIMIT_EXCEEDED, and all else is empty.
 */
typedef void (*order_fn)(void *arg, const struct order_msg *answer);

/* What the broker says without having been asked. */
struct order_events {
	/* It is a new one, which knows nothing of what was told to the dead one. */
	void (*broker_new)(void *arg);
	/* ORDER_ASK_CHANNELS */
	void (*channels)(void *arg, const struct order_msg *msg);
};

/* Says hello.  Returns 0, or -1 with a text in ERR. */
int order_new(const struct order_env *env, struct order **order_r, char *err,
    size_t errlen) BASE_MUST_CHECK;
void order_free(struct order *order);

void order_listen(struct order *order, const struct order_events *events, void *arg);

/* TIMEOUT_MS: how long an answer is awaited; REPLY_MAX: bytes of its data. */
void order_limits(struct order *order, int64_t timeout_ms, size_t reply_max);

/* Bytes of all slices of the largest message that there may ever be. */
size_t order_max(const struct order *order);
/* False: MSG is larger. */
bool order_fits(const struct order *order, const struct order_msg *msg);

/*
 * Asks; sets msg->req.  FN is called once, from order_turn, unless the question is
 * forgotten before.  Returns the number; 0: the queue is full, which is counted.
 */
uint64_t order_ask(struct order *order, struct order_msg *msg, order_fn fn, void *arg)
    BASE_MUST_CHECK;
/* FN is not called any more.  0 and numbers that are not known are passed over. */
void order_forget(struct order *order, uint64_t req);

/* The queue is at most half full: for what comes in masses and can wait. */
bool order_roomy(struct order *order);

/* A message that has no answer.  False: the queue is full. */
bool order_tell(struct order *order, const struct order_msg *msg) BASE_MUST_CHECK;

/*
 * Takes answers, up to a budget, and gives up questions that have waited too long.
 * Outside of it no order_fn is called.  True: there is more.
 */
bool order_turn(struct order *order, int64_t now_ms);
/* There is something to take: do not sleep (ring_queue.h). */
bool order_pending(const struct order *order);

#endif
