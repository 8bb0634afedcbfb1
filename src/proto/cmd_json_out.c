/*
 * cmd_json_out: replies and pushes in JSON; see cmd_json.h.
 *
 * Members stand in the order of their numbers in the protocol.
 */
#include "config.h"

#include "base/base_assert.h"
#include "proto/cmd_json.h"
#include "proto/json_wr.h"

#define ADD(out, literal) base_buf_add(out, literal, sizeof(literal) - 1)

/* Opens the reply to command ID, up to the member of the answer. */
static void
open_reply(struct base_buf *out, uint32_t id)
{
	base_assert(id != 0);
	ADD(out, "{\"id\":");
	json_wr_uint(out, id);
}

static struct base_slice
text(const char *s)
{
	return (struct base_slice){s, strlen(s)};
}

static void
error(struct base_buf *out, uint32_t id, enum proto_error code,
    struct base_slice message, bool temporary)
{
	open_reply(out, id);
	ADD(out, ",\"error\":{\"code\":");
	json_wr_uint(out, code);
	ADD(out, ",\"message\":");
	json_wr_string(out, message);
	if (temporary)
		ADD(out, ",\"temporary\":true");
	ADD(out, "}}");
}

void
cmd_json_error(struct base_buf *out, uint32_t id, enum proto_error code)
{
	error(out, id, code, text(proto_error_message(code)),
	    proto_error_temporary(code));
}

void
cmd_json_error_text(
    struct base_buf *out, uint32_t id, enum proto_error code, struct base_slice message)
{
	error(out, id, code, message, true);
}

void
cmd_json_empty(struct base_buf *out, uint32_t id, enum cmd_kind kind)
{
	open_reply(out, id);
	switch (kind) {
	case CMD_NONE:
		base_assert(kind != CMD_NONE);
		break;
#define X(name, member)                            \
	case CMD_##name:                           \
		ADD(out, ",\"" member "\":{}}");   \
		break;
		CMD_KINDS(X)
#undef X
	}
}

/* Members of an object: a comma before all but the first. */
static void
member(struct base_buf *out, const char *name)
{
	if (out->p[out->len - 1] != '{')
		base_buf_byte(out, ',');
	base_buf_byte(out, '"');
	base_buf_str(out, name);
	ADD(out, "\":");
}

static void
flag(struct base_buf *out, const char *name, bool value)
{
	if (!value)
		return;
	member(out, name);
	ADD(out, "true");
}

static void
list(struct base_buf *out, const char *name, cmd_next_fn next, void *arg)
{
	struct base_slice json;
	bool first = true;

	member(out, name);
	base_buf_byte(out, '[');
	for (; next(arg, &json); first = false) {
		if (!first)
			base_buf_byte(out, ',');
		base_buf_add(out, json.p, json.len);
	}
	base_buf_byte(out, ']');
}

void
cmd_json_subscribe(
    struct base_buf *out, uint32_t id, const struct cmd_subscribe_result *r)
{
	open_reply(out, id);
	ADD(out, ",\"subscribe\":{");
	flag(out, "recoverable", r->recoverable);
	if (r->epoch.len > 0) {
		member(out, "epoch");
		json_wr_string(out, r->epoch);
	}
	if (r->publications != NULL)
		list(out, "publications", r->publications, r->publications_arg);
	flag(out, "recovered", r->recovered);
	if (r->offset != 0) {
		member(out, "offset");
		json_wr_uint(out, r->offset);
	}
	flag(out, "positioned", r->positioned);
	flag(out, "was_recovering", r->was_recovering);
	ADD(out, "}}");
}

void
cmd_json_history(
    struct base_buf *out, uint32_t id, const struct cmd_history_result *r)
{
	open_reply(out, id);
	ADD(out, ",\"history\":{");
	list(out, "publications", r->publications, r->publications_arg);
	member(out, "epoch");
	json_wr_string(out, r->epoch);
	member(out, "offset");
	json_wr_uint(out, r->offset);
	ADD(out, "}}");
}

void
cmd_json_presence_begin(struct base_buf *out, uint32_t id)
{
	open_reply(out, id);
	ADD(out, ",\"presence\":{\"presence\":{");
}

void
cmd_json_presence_add(struct base_buf *out, bool first, struct base_slice client,
    struct base_slice info)
{
	if (!first)
		base_buf_byte(out, ',');
	json_wr_string(out, client);
	base_buf_byte(out, ':');
	base_buf_add(out, info.p, info.len);
}

void
cmd_json_presence_end(struct base_buf *out)
{
	ADD(out, "}}}");
}

void
cmd_json_presence_stats(
    struct base_buf *out, uint32_t id, uint64_t num_clients, uint64_t num_users)
{
	open_reply(out, id);
	ADD(out, ",\"presence_stats\":{\"num_clients\":");
	json_wr_uint(out, num_clients);
	ADD(out, ",\"num_users\":");
	json_wr_uint(out, num_users);
	ADD(out, "}}");
}

void
cmd_json_connect(struct base_buf *out, uint32_t id,
    const struct cmd_connect_result *result)
{
	open_reply(out, id);
	ADD(out, ",\"connect\":{\"client\":");
	json_wr_string(out, result->client);
	ADD(out, ",\"version\":");
	json_wr_string(out, result->version);
	if (result->expires)
		ADD(out, ",\"expires\":true");
	if (result->ttl > 0) {
		ADD(out, ",\"ttl\":");
		json_wr_uint(out, result->ttl);
	}
	if (result->data.len > 0) {
		ADD(out, ",\"data\":");
		json_wr_raw(out, result->data);
	}
	if (result->ping > 0) {
		ADD(out, ",\"ping\":");
		json_wr_uint(out, result->ping);
		if (result->pong)
			ADD(out, ",\"pong\":true");
	}
	ADD(out, "}}");
}

void
cmd_json_refresh(struct base_buf *out, uint32_t id, bool expires, uint32_t ttl)
{
	open_reply(out, id);
	ADD(out, ",\"refresh\":{");
	if (expires) {
		ADD(out, "\"expires\":true");
		if (ttl > 0) {
			ADD(out, ",\"ttl\":");
			json_wr_uint(out, ttl);
		}
	}
	ADD(out, "}}");
}

void
cmd_json_info(struct base_buf *out, const struct cmd_client_info *info)
{
	ADD(out, "{\"user\":");
	json_wr_string(out, info->user);
	ADD(out, ",\"client\":");
	json_wr_string(out, info->client);
	if (info->conn_info.len > 0) {
		ADD(out, ",\"conn_info\":");
		json_wr_raw(out, info->conn_info);
	}
	if (info->chan_info.len > 0) {
		ADD(out, ",\"chan_info\":");
		json_wr_raw(out, info->chan_info);
	}
	base_buf_byte(out, '}');
}

void
cmd_json_pub(struct base_buf *out, struct base_slice channel, struct base_slice data,
    const struct cmd_client_info *info)
{
	ADD(out, "{\"push\":{\"channel\":");
	json_wr_string(out, channel);
	ADD(out, ",\"pub\":{\"data\":");
	json_wr_raw(out, data);
	if (info != NULL) {
		ADD(out, ",\"info\":");
		cmd_json_info(out, info);
	}
	ADD(out, "}}}");
}

void
cmd_json_presence(struct base_buf *out, struct base_slice channel, bool join,
    struct base_slice info)
{
	ADD(out, "{\"push\":{\"channel\":");
	json_wr_string(out, channel);
	if (join)
		ADD(out, ",\"join\":{\"info\":");
	else
		ADD(out, ",\"leave\":{\"info\":");
	base_buf_add(out, info.p, info.len);
	ADD(out, "}}}");
}

void
cmd_json_unsubscribe(struct base_buf *out, struct base_slice channel, uint32_t code,
    const char *reason)
{
	ADD(out, "{\"push\":{\"channel\":");
	json_wr_string(out, channel);
	ADD(out, ",\"unsubscribe\":{\"code\":");
	json_wr_uint(out, code);
	ADD(out, ",\"reason\":");
	json_wr_string(out, text(reason));
	ADD(out, "}}}");
}
