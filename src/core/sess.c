/*
 * sess: life of a session, and the way of a message to its commands.
 */
#include "config.h"

#include "core/sess.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_rand.h"
#include "core/sess_cmd.h"
#include "core/sess_op.h"
#include "core/sess_sub.h"
#include "proto/cmd_json.h"

void
sess_init(struct sess *s, struct sess_env *env)
{
	*s = (struct sess){.env = env, .state = SESS_NEW};
}

void
sess_disconnect(struct sess *s, enum proto_disconnect code)
{
	s->env->ops->close(s, code);
	sess_close(s);
}

/* False: the rest of the message is not to be looked at. */
static bool
run(struct sess *s, const struct cmd *cmd)
{
	const struct sess_cmd_entry *e;

	if (s->state == SESS_NEW && cmd->kind != CMD_CONNECT) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return false;
	}
	if (cmd->kind == CMD_NONE && cmd->id == 0) {
		/* {}: the answer to a ping, once. */
		if (!s->ping_open)
			sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		s->ping_open = false;
		return s->state == SESS_CONNECTED;
	}
	stat_add(s->env->stat, commands, 1);
	e = sess_cmd_find(cmd->kind);
	if (e == NULL || (cmd->id == 0) != e->without_id) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return false;
	}
	s->env->out.len = 0;
	e->run(s, cmd);
	return s->state == SESS_CONNECTED;
}

void
sess_message(struct sess *s, struct base_slice msg)
{
	struct base_slice line;
	struct cmd cmd;

	if (s->state == SESS_REFUSED || s->state == SESS_CLOSED)
		return;
	if (msg.len == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	while (cmd_json_line(&msg, &line)) {
		if (!cmd_json_parse(line, &s->env->text, &cmd)) {
			sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
			return;
		}
		if (!run(s, &cmd))
			return;
	}
}

void
sess_ping(struct sess *s)
{
	base_assert(s->state == SESS_CONNECTED);
	s->ping_open = true;
	s->env->ops->send(s, SESS_REPLY, "{}", 2);
}

void
sess_close(struct sess *s)
{
	if (s->state == SESS_CLOSED)
		return;
	if (s->state == SESS_CONNECTED)
		stat_sub(s->env->stat, clients, 1);
	s->state = SESS_CLOSED;
	while (s->ops != NULL)
		sess_op_drop(s->ops);
	while (s->n_subs > 0)
		sess_sub_remove(s, s->n_subs - 1);
	free(s->user);
	free(s->info);
	s->user = s->info = NULL;
}
