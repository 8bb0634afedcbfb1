/*
 * sess_pub: publish.
 *
 * A plain channel's publication goes into our own lane.  One that gets a place in an
 * order, or that must not be done twice, goes to the broker, and is confirmed when the
 * broker says so.
 */
#include "config.h"

#include <string.h>

#include "base/base_rand.h"
#include "core/pub.h"
#include "core/sess_cmd.h"
#include "core/sess_op.h"

#define KEY_MAX 128 /* bytes of an idempotency key */

/* A token bucket in thousandths of a publication. */
static bool
within_rate(struct sess *s)
{
	const struct conf *conf = s->env->conf;
	int64_t burst =
	    conf->publish_burst > 0 ? conf->publish_burst : conf->publish_rate;
	uint32_t now = (uint32_t)s->env->now_ms;
	int64_t have;

	if (conf->publish_rate == 0)
		return true;
	if (!s->rated) {
		s->rated = true;
		have = burst * 1000;
	} else {
		have = s->tokens + (int64_t)(now - s->tokens_ms) * conf->publish_rate;
	}
	s->tokens_ms = now;
	s->tokens = (uint32_t)BASE_MIN(have, BASE_MIN(burst * 1000, UINT32_MAX));
	if (s->tokens < 1000)
		return false;
	s->tokens -= 1000;
	return true;
}

static struct base_slice
encode_push(struct sess *s, const struct cmd_publish *c)
{
	char id[BASE_UUID_LEN + 1];
	const char *user = sess_user(s);
	struct cmd_client_info info = {
	    .user = {user, strlen(user)},
	    .client = {id, BASE_UUID_LEN},
	    .conn_info = {s->info, s->info_len},
	};

	base_uuid_text(s->id, id);
	return pub_frame(s->env, c->channel, c->data, &info);
}

/* False: it is too large for a record of the ring. */
static bool
put_in_lane(struct sess *s, struct base_slice name, struct base_slice frame,
    uint64_t hash, uint64_t mask)
{
	struct sess_env *env = s->env;

	/* Data and the publisher's info, each of which may be as large as a message. */
	if (!pub_fits(env, name, frame))
		return false;
	env->ops->make_room(s, name.len + frame.len);
	pub_put(env, name, frame, hash, mask);
	return true;
}

/* The push goes out before the reply, as far as it comes in this turn. */
static void
on_published(void *arg, const struct order_msg *answer)
{
	struct sess_op *op = arg;
	struct sess *s = op->sess;

	if (answer->code == 0) {
		stat_add(s->env->stat, published, 1);
		sess_reply_empty(s, op->id, CMD_PUBLISH, SESS_BEHIND);
	} else {
		sess_reply_error_text(
		    s, op->id, (enum proto_error)answer->code, answer->data);
	}
	sess_op_free(op);
}

static void
publish_ordered(struct sess *s, const struct cmd *cmd)
{
	const struct cmd_publish *c = &cmd->publish;
	char uuid[BASE_UUID_LEN + 1];
	struct order_msg m = {
	    .kind = ORDER_PUBLISH,
	    .channel = c->channel,
	    .key = c->idempotency_key,
	    .data = c->data,
	};

	sess_tell_who(s, uuid, &m);
	sess_op_ask(s, cmd, &m, on_published);
}

static void
publish_plain(struct sess *s, const struct cmd *cmd, uint64_t hash)
{
	const struct cmd_publish *c = &cmd->publish;
	struct sess_env *env = s->env;
	uint64_t mask = ring_interest_mask(env->seg, hash);

	/* Nobody anywhere: then there is nothing to carry. */
	if (mask != 0 && !put_in_lane(s, c->channel, encode_push(s, c), hash, mask)) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_LIMIT_EXCEEDED);
		return;
	}
	stat_add(env->stat, published, 1);
	if (s->state == SESS_CONNECTED)
		sess_reply_empty(s, cmd->id, CMD_PUBLISH, SESS_BEHIND);
}

static bool
well_formed(const struct cmd_publish *c)
{
	return c->has_data && chan_name_valid(c->channel) &&
	    (!c->has_key ||
		(c->idempotency_key.len > 0 && c->idempotency_key.len <= KEY_MAX));
}

void
sess_cmd_publish(struct sess *s, const struct cmd *cmd)
{
	const struct cmd_publish *c = &cmd->publish;
	struct sess_env *env = s->env;
	const struct conf_namespace *ns;
	uint64_t hash;
	bool subscribed;

	if (c->channel.len == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	if (c->channel.len > (size_t)env->conf->max_channel_length) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	ns = chan_namespace(env->channels, c->channel);
	if (ns == NULL) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_UNKNOWN_CHANNEL);
		return;
	}
	if (!well_formed(c)) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	hash = hub_hash(env->hub, c->channel);
	subscribed = hub_slot(hub_find(env->hub, c->channel, hash), s) >= 0;
	if (!chan_may_publish(ns, sess_user(s), subscribed)) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_PERMISSION_DENIED);
		return;
	}
	if (!within_rate(s)) {
		sess_reply_error(s, cmd->id, PROTO_ERROR_TOO_MANY_REQUESTS);
		return;
	}
	if (conf_ordered(ns) || c->has_key)
		publish_ordered(s, cmd);
	else
		publish_plain(s, cmd, hash);
}
