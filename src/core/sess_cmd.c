/*
 * sess_cmd: which command is whose, and what they share.
 *
 * Codes and the order of the checks are the protocol's: SDKs tell a wrong token
 * from an expired one, and a closed channel from an unknown one, by them.
 */
#include "config.h"

#include "core/sess_cmd.h"

#include <string.h>

#include "proto/cmd_json.h"

void
sess_send_out(struct sess *s, enum sess_place place)
{
	s->env->ops->send(s, place, s->env->out.p, s->env->out.len);
	s->env->out.len = 0;
}

void
sess_reply_error(struct sess *s, uint32_t id, enum proto_error code)
{
	const struct base_slice none = {NULL, 0};

	sess_reply_error_text(s, id, code, none);
}

void
sess_reply_error_text(
    struct sess *s, uint32_t id, enum proto_error code, struct base_slice text)
{
	stat_add(s->env->stat, errors, 1);
	if (text.len > 0)
		cmd_json_error_text(&s->env->out, id, code, text);
	else
		cmd_json_error(&s->env->out, id, code);
	sess_send_out(s, SESS_REPLY);
}

void
sess_reply_empty(
    struct sess *s, uint32_t id, enum cmd_kind kind, enum sess_place place)
{
	cmd_json_empty(&s->env->out, id, kind);
	sess_send_out(s, place);
}

const char *
sess_user(const struct sess *s)
{
	return s->user == NULL ? "" : s->user;
}

void
sess_tell_who(
    const struct sess *s, char uuid[BASE_UUID_LEN + 1], struct order_msg *msg)
{
	const char *user = sess_user(s);

	base_uuid_text(s->id, uuid);
	msg->user = (struct base_slice){user, strlen(user)};
	msg->client = (struct base_slice){uuid, BASE_UUID_LEN};
	msg->conn_info = (struct base_slice){s->info, s->info_len};
}

static void
run_rpc(struct sess *s, const struct cmd *cmd)
{
	sess_reply_error(s, cmd->id, PROTO_ERROR_METHOD_NOT_FOUND);
}

/* Without a handler for messages the protocol wants the connection closed. */
static void
run_send(struct sess *s, const struct cmd *cmd)
{
	(void)cmd;
	sess_disconnect(s, PROTO_DISCONNECT_NOT_AVAILABLE);
}

/* No subscription has a token of its own, so none can be refreshed. */
static void
run_sub_refresh(struct sess *s, const struct cmd *cmd)
{
	const struct base_slice name = cmd->refresh.channel;
	struct hub *hub = s->env->hub;

	if (name.len == 0)
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
	else if (hub_slot(hub_find(hub, name, hub_hash(hub, name)), s) < 0)
		sess_reply_error(s, cmd->id, PROTO_ERROR_PERMISSION_DENIED);
	else if (cmd->refresh.token.len == 0)
		sess_reply_error(s, cmd->id, PROTO_ERROR_BAD_REQUEST);
	else
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
}

static const struct sess_cmd_entry table[] = {
    [CMD_CONNECT] = {false, sess_cmd_connect},
    [CMD_SUBSCRIBE] = {false, sess_cmd_subscribe},
    [CMD_UNSUBSCRIBE] = {false, sess_cmd_unsubscribe},
    [CMD_PUBLISH] = {false, sess_cmd_publish},
    [CMD_PRESENCE] = {false, sess_cmd_presence},
    [CMD_PRESENCE_STATS] = {false, sess_cmd_presence},
    [CMD_HISTORY] = {false, sess_cmd_history},
    [CMD_SEND] = {true, run_send},
    [CMD_RPC] = {false, run_rpc},
    [CMD_REFRESH] = {false, sess_cmd_refresh},
    [CMD_SUB_REFRESH] = {false, run_sub_refresh},
};

const struct sess_cmd_entry *
sess_cmd_find(enum cmd_kind kind)
{
	if (kind >= BASE_COUNT(table) || table[kind].run == NULL)
		return NULL;
	return &table[kind];
}
