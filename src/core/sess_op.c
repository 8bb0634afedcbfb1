/*
 * sess_op: see the header.
 */
#include "config.h"

#include "core/sess_op.h"

#include <stdlib.h>

#include "base/base_mem.h"
#include "core/order.h"
#include "core/sess_cmd.h"

/* Of one session: a client that does not wait for answers has to at some time. */
#define OPS_MAX 4096

struct sess_op *
sess_op_new(struct sess *s, size_t size, const struct cmd *cmd)
{
	struct sess_op *op;

	if (s->n_ops >= OPS_MAX)
		return NULL;
	op = base_zalloc(size);
	op->sess = s;
	op->id = cmd->id;
	op->kind = (uint8_t)cmd->kind;
	op->next = s->ops;
	op->prev = &s->ops;
	if (op->next != NULL)
		op->next->prev = &op->next;
	s->ops = op;
	s->n_ops++;
	return op;
}

void
sess_op_free(struct sess_op *op)
{
	*op->prev = op->next;
	if (op->next != NULL)
		op->next->prev = op->prev;
	op->sess->n_ops--;
	free(op);
}

void
sess_op_drop(struct sess_op *op)
{
	if (op->req != 0)
		order_forget(op->sess->env->order, op->req);
	if (op->cancel != NULL)
		op->cancel(op);
	sess_op_free(op);
}

void
sess_op_ask(struct sess *s, const struct cmd *cmd, struct order_msg *msg,
    void (*fn)(void *op, const struct order_msg *answer))
{
	struct sess_op *op;

	if (!order_fits(s->env->order, msg)) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_LIMIT_EXCEEDED);
		return;
	}
	op = sess_op_new(s, sizeof(*op), cmd);
	if (op == NULL) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_TOO_MANY_REQUESTS);
		return;
	}
	op->req = order_ask(s->env->order, msg, fn, op);
	if (op->req == 0) {
		sess_op_free(op);
		sess_reply_error(s, cmd->id, PROTO_ERROR_INTERNAL);
	}
}
