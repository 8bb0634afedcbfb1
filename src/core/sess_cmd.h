/*
 * sess_cmd: the commands of a session.  For sess*.c alone.
 *
 * sess_connect.c has connect and refresh, sess_sub.c subscribe and unsubscribe,
 * sess_pub.c publish, sess_read.c history and presence, and sess_cmd.c the others.
 */
#ifndef CORE_SESS_CMD_H
#define CORE_SESS_CMD_H

#include "base/base_rand.h"
#include "core/sess.h"
#include "proto/order_msg.h"

struct sess_cmd_entry {
	bool without_id; /* it has no id and no reply */
	void (*run)(struct sess *sess, const struct cmd *cmd);
};

/* NULL: not a command of the protocol. */
const struct sess_cmd_entry *sess_cmd_find(enum cmd_kind kind);

void sess_cmd_connect(struct sess *sess, const struct cmd *cmd);
void sess_cmd_refresh(struct sess *sess, const struct cmd *cmd);
void sess_cmd_subscribe(struct sess *sess, const struct cmd *cmd);
void sess_cmd_unsubscribe(struct sess *sess, const struct cmd *cmd);
void sess_cmd_publish(struct sess *sess, const struct cmd *cmd);
void sess_cmd_history(struct sess *sess, const struct cmd *cmd);
void sess_cmd_presence(struct sess *sess, const struct cmd *cmd); /* and _stats */

/* In sess.c: closes the connection with CODE and leaves the hub. */
void sess_disconnect(struct sess *sess, enum proto_disconnect code);

/* ---- replies ---- */

/* Sends env->out. */
void sess_send_out(struct sess *sess, enum sess_place place);
void sess_reply_error(struct sess *sess, uint32_t id, enum proto_error code);
/* TEXT, if it is not empty, is what the message says, and the error temporary. */
void sess_reply_error_text(struct sess *sess, uint32_t id, enum proto_error code,
    struct base_slice text);
void sess_reply_empty(
    struct sess *sess, uint32_t id, enum cmd_kind kind, enum sess_place place);

/* ---- who it is ---- */

const char *sess_user(const struct sess *sess);

/* Fills what a message to the broker says of a client; UUID is its text. */
void sess_tell_who(
    const struct sess *sess, char uuid[BASE_UUID_LEN + 1], struct order_msg *msg);

#endif
