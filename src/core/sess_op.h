/*
 * sess_op: commands whose answer is awaited.  For core/ alone.
 *
 * A session knows all of its own, so that none outlives it.
 */
#ifndef CORE_SESS_OP_H
#define CORE_SESS_OP_H

#include "core/sess.h"
#include "proto/order_msg.h"

struct sess_op {
	struct sess *sess;
	struct sess_op *next, **prev; /* of the session */
	uint64_t req; /* order.h; 0: none of its own */
	/* Its answer is not wanted any more; not for the one with a req.  NULL: nothing
	 * is to be done. */
	void (*cancel)(struct sess_op *op);
	uint32_t id; /* of the command */
	uint8_t kind; /* enum cmd_kind */
};

/* SIZE bytes, zeroed, that begin with the struct; NULL: the session has too many. */
struct sess_op *sess_op_new(struct sess *sess, size_t size, const struct cmd *cmd);
/* It is answered. */
void sess_op_free(struct sess_op *op);
/* It will not be. */
void sess_op_drop(struct sess_op *op);

/*
 * Asks the broker MSG for CMD; FN gets the struct sess_op as its ARG and frees it.
 * When that cannot be, the command is answered with an error.
 */
void sess_op_ask(struct sess *sess, const struct cmd *cmd, struct order_msg *msg,
    void (*fn)(void *op, const struct order_msg *answer));

#endif
