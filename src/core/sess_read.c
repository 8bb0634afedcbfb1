/*
 * sess_read: history, presence, presence_stats: what the broker is asked for.
 */
#include "config.h"

#include <string.h>

#include "core/sess_cmd.h"
#include "core/sess_op.h"
#include "proto/cmd_json.h"

typedef bool (*may_fn)(
    const struct conf_namespace *ns, const char *user, bool subscribed);

/* False: it was refused, or the connection closed.  AVAILABLE: for its namespace. */
static bool
allowed(struct sess *s, const struct cmd *cmd, struct base_slice name,
    bool (*available)(const struct conf_namespace *ns), may_fn may)
{
	struct sess_env *env = s->env;
	const struct conf_namespace *ns;
	enum proto_error error = 0;

	if (name.len == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return false;
	}
	if (name.len > (size_t)env->conf->max_channel_length)
		error = PROTO_ERROR_BAD_REQUEST;
	else if ((ns = chan_namespace(env->channels, name)) == NULL)
		error = PROTO_ERROR_UNKNOWN_CHANNEL;
	else if (!chan_name_valid(name))
		error = PROTO_ERROR_BAD_REQUEST;
	else if (!available(ns))
		error = PROTO_ERROR_NOT_AVAILABLE;
	else if (!may(ns, sess_user(s),
		     hub_slot(hub_find(env->hub, name, hub_hash(env->hub, name)), s) >=
			 0))
		error = PROTO_ERROR_PERMISSION_DENIED;
	if (error == 0)
		return true;
	sess_reply_error(s, cmd->id, error);
	return false;
}

/* ---- history ---- */

static bool
next_of_list(void *arg, struct base_slice *json_r)
{
	struct order_pub pub;

	if (order_pub_next(arg, &pub) <= 0)
		return false;
	*json_r = pub.json;
	return true;
}

static void
on_history(void *arg, const struct order_msg *answer)
{
	struct sess_op *op = arg;
	struct sess *s = op->sess;
	struct base_slice list = answer->data;
	const struct cmd_history_result r = {
	    .epoch = answer->epoch,
	    .offset = answer->number,
	    .publications = next_of_list,
	    .publications_arg = &list,
	};

	if (answer->code != 0) {
		sess_reply_error_text(
		    s, op->id, (enum proto_error)answer->code, answer->data);
	} else {
		cmd_json_history(&s->env->out, op->id, &r);
		sess_send_out(s, SESS_REPLY);
	}
	sess_op_free(op);
}

void
sess_cmd_history(struct sess *s, const struct cmd *cmd)
{
	const struct cmd_history *c = &cmd->history;
	int32_t max = (int32_t)s->env->conf->history_limit;
	struct order_msg m = {
	    .kind = ORDER_HISTORY,
	    .channel = c->channel,
	    .epoch = c->since_epoch,
	    .offset = c->since_offset,
	    .limit = c->limit < 0 || c->limit > max ? max : c->limit,
	    .flags = (c->reverse ? ORDER_F_REVERSE : 0) |
		(c->has_since ? ORDER_F_SINCE : 0),
	};

	if (!allowed(s, cmd, c->channel, conf_ordered, chan_may_read))
		return;
	if (c->has_since && c->reverse && c->since_offset == 0) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	sess_op_ask(s, cmd, &m, on_history);
}

/* ---- presence ---- */

static void
on_presence(void *arg, const struct order_msg *answer)
{
	struct sess_op *op = arg;
	struct sess *s = op->sess;
	struct base_buf *out = &s->env->out;
	struct base_slice list = answer->data;
	struct order_pair pair;
	bool first = true;

	if (answer->code != 0) {
		sess_reply_error_text(
		    s, op->id, (enum proto_error)answer->code, answer->data);
	} else if (op->kind == CMD_PRESENCE_STATS) {
		cmd_json_presence_stats(out, op->id, answer->number, answer->offset);
		sess_send_out(s, SESS_REPLY);
	} else {
		cmd_json_presence_begin(out, op->id);
		for (; order_pair_next(&list, &pair) > 0; first = false)
			cmd_json_presence_add(out, first, pair.name, pair.value);
		cmd_json_presence_end(out);
		sess_send_out(s, SESS_REPLY);
	}
	sess_op_free(op);
}

static bool
has_presence(const struct conf_namespace *ns)
{
	return ns->presence;
}

void
sess_cmd_presence(struct sess *s, const struct cmd *cmd)
{
	struct order_msg m = {
	    .kind = cmd->kind == CMD_PRESENCE ? ORDER_PRESENCE : ORDER_PRESENCE_STATS,
	    .channel = cmd->channel.channel,
	};

	if (allowed(s, cmd, m.channel, has_presence, chan_may_see))
		sess_op_ask(s, cmd, &m, on_presence);
}
