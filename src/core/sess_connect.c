/*
 * sess_connect: connect and refresh: who a client is, by its token.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"
#include "base/base_rand.h"
#include "core/sess_cmd.h"
#include "proto/cmd_json.h"

#define MAX_TTL (365 * 24 * 3600) /* seconds */

static uint32_t
ttl_of(const struct sess *s)
{
	int64_t ttl = s->expire_at - s->env->now_s;

	return ttl > MAX_TTL ? MAX_TTL : ttl < 1 ? 1 : (uint32_t)ttl;
}

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
		sess_reply_error(s, cmd->id, PROTO_ERROR_TOKEN_EXPIRED);
		return false;
	case TOKEN_OK:
		break;
	}
	if (claims.expire_at != 0 && claims.expire_at <= s->env->now_s) {
		token_claims_free(&claims);
		s->state = SESS_REFUSED;
		sess_reply_error(s, cmd->id, PROTO_ERROR_EXPIRED);
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

void
sess_cmd_connect(struct sess *s, const struct cmd *cmd)
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
	sess_send_out(s, SESS_REPLY);
}

/* A client whose token expires comes with a new one. */
void
sess_cmd_refresh(struct sess *s, const struct cmd *cmd)
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
	same = strcmp(claims.user, sess_user(s)) == 0;
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
		sess_reply_error(s, cmd->id, PROTO_ERROR_EXPIRED);
		return;
	}
	s->env->ops->expiry(s);
	cmd_json_refresh(&s->env->out, cmd->id, s->expire_at != 0,
	    s->expire_at == 0 ? 0 : ttl_of(s));
	sess_send_out(s, SESS_REPLY);
}
