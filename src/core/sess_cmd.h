/*
 * sess_cmd: one handler a command.  For sess.c alone.
 */
#ifndef CORE_SESS_CMD_H
#define CORE_SESS_CMD_H

#include "core/sess.h"

struct sess_cmd_entry {
	bool without_id; /* it has no id and no reply */
	void (*run)(struct sess *sess, const struct cmd *cmd);
};

/* NULL: not a command of the protocol. */
const struct sess_cmd_entry *sess_cmd_find(enum cmd_kind kind);

/* In sess.c: closes the connection with CODE and leaves the hub. */
void sess_disconnect(struct sess *sess, enum proto_disconnect code);

#endif
