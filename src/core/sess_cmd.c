/*
 * sess_cmd: what each command does.
 *
 * Codes and the order of the checks are the protocol's: SDKs tell a wrong token
 * from an expired one, and a closed channel from an unknown one, by them.
 */
#include "config.h"

#include "core/sess_cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "proto/cmd_json.h"
#include "proto/ws_frame.h"

#define MAX_TTL (365 * 24 * 3600) /* seconds */

static void
send_out(struct sess *s)
{
	s->env->ops->send(s, s->env->out.p, s->env->out.len);
}

static void
reply_error(struct sess *s, const struct cmd *cmd, enum proto_error code)
{
	stat_add(s->env->stat, errors, 1);
	cmd_json_error(&s->env->out, cmd->id, code);
	send_out(s);
}

static void
reply_empty(struct sess *s, const struct cmd *cmd)
{
	cmd_json_empty(&s->env->out, cmd->id, cmd->kind);
	send_out(s);
}

static const char *
user_of(const struct sess *s)
{
	return s->user == NULL ? "" : s->user;
}

static uint32_t
ttl_of(const struct sess *s)
{
	int64_t ttl = s->expire_at - s->env->now_s;

	return ttl > MAX_TTL ? MAX_TTL : ttl < 1 ? 1 : (uint32_t)ttl;
}

/* ---- connect ---- */

/* Takes over what the token says.  False: answered already. */
static bool
authenticate(struct sess *s, const struct cmd *cmd)
{
	struct token_claims claims;

	if (cmd->connect.token.len == 0) {
		if (!s->env->conf->allow_anonymous) {
			sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
			return false;
		}
		return true;
	}
	switch (token_check(s->env->keys, cmd->connect.token, s->env->now_s, &claims)) {
	case TOKEN_INVALID:
		sess_disconnect(s, PROTO_DISCONNECT_INVALID_TOKEN);
		return false;
	case TOKEN_EXPIRED:
		s->state = SESS_REFUSED;
		reply_error(s, cmd, PROTO_ERROR_TOKEN_EXPIRED);
		return false;
	case TOKEN_OK:
		break;
	}
	if (claims.expire_at != 0 && claims.expire_at <= s->env->now_s) {
		token_claims_free(&claims);
		s->state = SESS_REFUSED;
		reply_error(s, cmd, PROTO_ERROR_EXPIRED);
		return false;
	}
	if (claims.user[0] != 0)
		s->user = base_strdup(claims.user);
	if (claims.info != NULL) {
		s->info = base_memdup(claims.info, claims.info_len);
		s->info_len = (uint32_t)claims.info_len;
	}
	s->expire_at = claims.expire_at;
	token_claims_free(&claims);
	return true;
}

static void
run_connect(struct sess *s, const struct cmd *cmd)
{
	struct cmd_connect_result r = {
	    .version = {PACKAGE_VERSION, sizeof(PACKAGE_VERSION) - 1}};
	char id[BASE_UUID_LEN + 1], data[48];

	if (s->state != SESS_NEW) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	if (!authenticate(s, cmd))
		return;
	base_rand_uuid(s->id);
	base_uuid_text(s->id, id);
	s->state = SESS_CONNECTED;
	stat_add(s->env->stat, clients, 1);
	r.client = (struct base_slice){id, BASE_UUID_LEN};
	r.ping = (uint32_t)(s->env->conf->ping_interval / 1000);
	r.pong = true;
	if (s->expire_at != 0) {
		r.expires = true;
		r.ttl = ttl_of(s);
	}
	if (s->env->conf->demo) {
		r.data.p = data;
		r.data.len = (size_t)snprintf(
		    data, sizeof(data), "{\"worker\":%u}", s->env->worker);
	}
	/* May switch pings off for this client. */
	s->env->ops->connected(s);
	if (s->no_ping) {
		r.ping = 0;
		r.pong = false;
	}
	cmd_json_connect(&s->env->out, cmd->id, &r);
	send_out(s);
}

/* A client whose token expires comes with a new one. */
static void
run_refresh(struct sess *s, const struct cmd *cmd)
{
	struct token_claims claims;
	enum token_result result;
	bool same, past;

	if (cmd->refresh.token.len == 0 || s->expire_at == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	result = token_check(s->env->keys, cmd->refresh.token, s->env->now_s, &claims);
	if (result != TOKEN_OK) {
		sess_disconnect(s,
		    result == TOKEN_EXPIRED ? PROTO_DISCONNECT_EXPIRED
					    : PROTO_DISCONNECT_INVALID_TOKEN);
		return;
	}
	same = strcmp(claims.user, user_of(s)) == 0;
	past = claims.expire_at != 0 && claims.expire_at <= s->env->now_s;
	if (same && !past) {
		free(s->info);
		s->info = claims.info == NULL
		    ? NULL
		    : base_memdup(claims.info, claims.info_len);
		s->info_len = (uint32_t)claims.info_len;
		s->expire_at = claims.expire_at;
	}
	token_claims_free(&claims);
	if (!same) {
		sess_disconnect(s, PROTO_DISCONNECT_INVALID_TOKEN);
		return;
	}
	if (past) {
		reply_error(s, cmd, PROTO_ERROR_EXPIRED);
		return;
	}
	s->env->ops->expiry(s);
	cmd_json_refresh(&s->env->out, cmd->id, s->expire_at != 0,
	    s->expire_at == 0 ? 0 : ttl_of(s));
	send_out(s);
}

/* ---- subscribe, unsubscribe ---- */

static void
run_subscribe(struct sess *s, const struct cmd *cmd)
{
	const struct cmd_subscribe *c = &cmd->subscribe;
	struct sess_env *env = s->env;
	const struct conf_namespace *ns;
	uint64_t hash;

	if (c->channel.len == 0 ||
	    (c->delta.len > 0 &&
		(c->delta.len != 6 || memcmp(c->delta.p, "fossil", 6) != 0))) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	if (c->channel.len > (size_t)env->conf->max_channel_length) {
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	hash = hub_hash(env->hub, c->channel);
	if (hub_slot(hub_find(env->hub, c->channel, hash), s) >= 0) {
		reply_error(s, cmd, PROTO_ERROR_ALREADY_SUBSCRIBED);
		return;
	}
	if (s->n_subs >= env->conf->max_subscriptions) {
		reply_error(s, cmd, PROTO_ERROR_LIMIT_EXCEEDED);
		return;
	}
	ns = chan_namespace(env->channels, c->channel);
	if (ns == NULL) {
		reply_error(s, cmd, PROTO_ERROR_UNKNOWN_CHANNEL);
		return;
	}
	if (!chan_name_valid(c->channel)) {
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	/* There are no subscription tokens to check yet: one that is needed or given
	 * cannot be granted. */
	if (c->type != 0 || c->token.len > 0 ||
	    !chan_may_subscribe(ns, c->channel, user_of(s))) {
		reply_error(s, cmd, PROTO_ERROR_PERMISSION_DENIED);
		return;
	}
	if (c->tf.len > 0) { /* no namespace has filters */
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	hub_subscribe(env->hub, s, c->channel, hash);
	stat_add(env->stat, subscriptions, 1);
	stat_set(env->stat, channels, hub_channels(env->hub));
	cmd_json_subscribe(&env->out, cmd->id, c->recover);
	send_out(s);
}

static void
run_unsubscribe(struct sess *s, const struct cmd *cmd)
{
	const struct base_slice name = cmd->channel.channel;
	struct hub *hub = s->env->hub;
	int64_t slot;

	if (name.len == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	slot = hub_slot(hub_find(hub, name, hub_hash(hub, name)), s);
	if (slot >= 0) {
		hub_unsubscribe(hub, s, (uint32_t)slot);
		stat_sub(s->env->stat, subscriptions, 1);
		stat_set(s->env->stat, channels, hub_channels(hub));
	}
	reply_empty(s, cmd);
}

/* ---- publish ---- */

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

/* The push as one WebSocket frame, made once for all who get it. */
static struct base_slice
encode_push(struct sess *s, const struct cmd_publish *c)
{
	struct base_buf *b = &s->env->frame;
	char id[BASE_UUID_LEN + 1];
	const char *user = user_of(s);
	struct cmd_client_info info = {
	    .user = {user, strlen(user)},
	    .client = {id, BASE_UUID_LEN},
	    .conn_info = {s->info, s->info_len},
	};
	uint8_t head[WS_HEAD_MAX];
	size_t n;

	base_uuid_text(s->id, id);
	b->len = 0;
	base_buf_room(b, WS_HEAD_MAX);
	b->len = WS_HEAD_MAX;
	cmd_json_pub(b, c->channel, c->data, &info);
	/* The head's length depends on the text's: it ends where the text begins. */
	n = ws_frame_head(head, WS_FIN | WS_TEXT, b->len - WS_HEAD_MAX);
	memcpy(b->p + WS_HEAD_MAX - n, head, n);
	return (struct base_slice){b->p + WS_HEAD_MAX - n, b->len - WS_HEAD_MAX + n};
}

/* False: it is too large for a record of the ring. */
static bool
put_in_lane(struct sess *s, struct base_slice name, struct base_slice frame,
    uint64_t hash, uint64_t mask)
{
	struct sess_env *env = s->env;
	struct ring_head head = {
	    .chan = hash, .mask = mask, .time = base_time_wall_ns(), .type = RING_DATA};
	struct iovec body = {(void *)(uintptr_t)frame.p, frame.len};

	/* Data and the publisher's info, each of which may be as large as a message. */
	if (name.len + frame.len > ring_lane_max(env->lane))
		return false;
	env->ops->make_room(s, name.len + frame.len);
	ring_lane_put(env->lane, &head, name, &body, 1);
	env->wake_mask |= mask;
	return true;
}

static void
run_publish(struct sess *s, const struct cmd *cmd)
{
	const struct cmd_publish *c = &cmd->publish;
	struct sess_env *env = s->env;
	const struct conf_namespace *ns;
	uint64_t hash, mask;
	bool subscribed;

	if (c->channel.len == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	if (c->channel.len > (size_t)env->conf->max_channel_length) {
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	ns = chan_namespace(env->channels, c->channel);
	if (ns == NULL) {
		reply_error(s, cmd, PROTO_ERROR_UNKNOWN_CHANNEL);
		return;
	}
	if (!c->has_data || !chan_name_valid(c->channel)) {
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
		return;
	}
	hash = hub_hash(env->hub, c->channel);
	subscribed = hub_slot(hub_find(env->hub, c->channel, hash), s) >= 0;
	if (!chan_may_publish(ns, user_of(s), subscribed)) {
		reply_error(s, cmd, PROTO_ERROR_PERMISSION_DENIED);
		return;
	}
	if (!within_rate(s)) {
		reply_error(s, cmd, PROTO_ERROR_TOO_MANY_REQUESTS);
		return;
	}
	mask = ring_interest_mask(env->seg, hash);
	/* Nobody anywhere: then there is nothing to carry. */
	if (mask != 0 && !put_in_lane(s, c->channel, encode_push(s, c), hash, mask)) {
		reply_error(s, cmd, PROTO_ERROR_LIMIT_EXCEEDED);
		return;
	}
	stat_add(env->stat, published, 1);
	if (s->state == SESS_CONNECTED)
		reply_empty(s, cmd);
}

/* ---- what plain channels do not have ---- */

/* presence, presence_stats, history: no namespace has them on. */
static void
run_not_available(struct sess *s, const struct cmd *cmd)
{
	/* Both structs begin with the channel. */
	const struct base_slice name =
	    cmd->kind == CMD_HISTORY ? cmd->history.channel : cmd->channel.channel;

	if (name.len == 0)
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
	else if (chan_namespace(s->env->channels, name) == NULL)
		reply_error(s, cmd, PROTO_ERROR_UNKNOWN_CHANNEL);
	else if (!chan_name_valid(name))
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
	else
		reply_error(s, cmd, PROTO_ERROR_NOT_AVAILABLE);
}

static void
run_rpc(struct sess *s, const struct cmd *cmd)
{
	reply_error(s, cmd, PROTO_ERROR_METHOD_NOT_FOUND);
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
		reply_error(s, cmd, PROTO_ERROR_PERMISSION_DENIED);
	else if (cmd->refresh.token.len == 0)
		reply_error(s, cmd, PROTO_ERROR_BAD_REQUEST);
	else
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
}

static const struct sess_cmd_entry table[] = {
    [CMD_CONNECT] = {false, run_connect},
    [CMD_SUBSCRIBE] = {false, run_subscribe},
    [CMD_UNSUBSCRIBE] = {false, run_unsubscribe},
    [CMD_PUBLISH] = {false, run_publish},
    [CMD_PRESENCE] = {false, run_not_available},
    [CMD_PRESENCE_STATS] = {false, run_not_available},
    [CMD_HISTORY] = {false, run_not_available},
    [CMD_SEND] = {true, run_send},
    [CMD_RPC] = {false, run_rpc},
    [CMD_REFRESH] = {false, run_refresh},
    [CMD_SUB_REFRESH] = {false, run_sub_refresh},
};

const struct sess_cmd_entry *
sess_cmd_find(enum cmd_kind kind)
{
	if (kind >= BASE_COUNT(table) || table[kind].run == NULL)
		return NULL;
	return &table[kind];
}
