/*
 * cmd_json: commands from JSON; see the header.
 *
 * What each command reads is a table of its members; all else is only checked to be
 * JSON.  One pass over the line.
 */
#include "config.h"

#include "proto/cmd_json.h"

#include "base/base_assert.h"
#include "proto/json_rd.h"

enum member_type {
	MEMBER_TEXT,   /* string, decoded */
	MEMBER_RAW,    /* any value */
	MEMBER_DATA,   /* any value, and null is one: data of publish */
	MEMBER_KEY,    /* string, whose presence counts: idempotency_key of publish */
	MEMBER_OBJECT, /* an object, not decoded */
	MEMBER_BOOL,
	MEMBER_UINT64,
	MEMBER_INT64,
	MEMBER_INT32,
	MEMBER_SINCE, /* since of history */
};

struct member {
	const char *name;
	uint8_t len;
	uint8_t type;
	uint16_t at; /* in struct cmd */
};

#define MEMBER(name, type, field) \
	{name, sizeof(name) - 1, MEMBER_##type, offsetof(struct cmd, field)}

static const struct member connect_members[] = {
	MEMBER("token", TEXT, connect.token),
	MEMBER("data", RAW, connect.data),
	MEMBER("subs", OBJECT, connect.subs),
	MEMBER("name", TEXT, connect.name),
	MEMBER("version", TEXT, connect.version),
};

static const struct member subscribe_members[] = {
	MEMBER("channel", TEXT, subscribe.channel),
	MEMBER("token", TEXT, subscribe.token),
	MEMBER("recover", BOOL, subscribe.recover),
	MEMBER("epoch", TEXT, subscribe.epoch),
	MEMBER("offset", UINT64, subscribe.offset),
	MEMBER("data", RAW, subscribe.data),
	MEMBER("positioned", BOOL, subscribe.positioned),
	MEMBER("recoverable", BOOL, subscribe.recoverable),
	MEMBER("join_leave", BOOL, subscribe.join_leave),
	MEMBER("delta", TEXT, subscribe.delta),
	MEMBER("tf", OBJECT, subscribe.tf),
	MEMBER("flag", INT64, subscribe.flag),
	MEMBER("type", INT32, subscribe.type),
};

static const struct member publish_members[] = {
	MEMBER("channel", TEXT, publish.channel),
	MEMBER("data", DATA, publish.data),
	MEMBER("type", INT32, publish.type),
	MEMBER("key", TEXT, publish.key),
	MEMBER("removed", BOOL, publish.removed),
	MEMBER("idempotency_key", KEY, publish.idempotency_key),
};

static const struct member history_members[] = {
	MEMBER("channel", TEXT, history.channel),
	MEMBER("limit", INT32, history.limit),
	MEMBER("since", SINCE, history),
	MEMBER("reverse", BOOL, history.reverse),
};

static const struct member since_members[] = {
	MEMBER("offset", UINT64, history.since_offset),
	MEMBER("epoch", TEXT, history.since_epoch),
};

static const struct member channel_members[] = {
	MEMBER("channel", TEXT, channel.channel),
};

static const struct member rpc_members[] = {
	MEMBER("data", RAW, rpc.data),
	MEMBER("method", TEXT, rpc.method),
};

static const struct member send_members[] = {
	MEMBER("data", RAW, rpc.data),
};

static const struct member refresh_members[] = {
	MEMBER("token", TEXT, refresh.token),
};

static const struct member sub_refresh_members[] = {
	MEMBER("channel", TEXT, refresh.channel),
	MEMBER("token", TEXT, refresh.token),
	MEMBER("type", INT32, refresh.type),
};

struct members {
	const struct member *v;
	size_t count;
};

#define MEMBERS(table) {table, BASE_COUNT(table)}

static const struct members members_of[] = {
	[CMD_CONNECT] = MEMBERS(connect_members),
	[CMD_SUBSCRIBE] = MEMBERS(subscribe_members),
	[CMD_UNSUBSCRIBE] = MEMBERS(channel_members),
	[CMD_PUBLISH] = MEMBERS(publish_members),
	[CMD_PRESENCE] = MEMBERS(channel_members),
	[CMD_PRESENCE_STATS] = MEMBERS(channel_members),
	[CMD_HISTORY] = MEMBERS(history_members),
	[CMD_PING] = {NULL, 0},
	[CMD_SEND] = MEMBERS(send_members),
	[CMD_RPC] = MEMBERS(rpc_members),
	[CMD_REFRESH] = MEMBERS(refresh_members),
	[CMD_SUB_REFRESH] = MEMBERS(sub_refresh_members),
};

static const struct base_slice command_names[] = {
	[CMD_NONE] = {"id", 2}, /* its place: "id" is looked up with the commands */
#define X(kind, member) [CMD_##kind] = {member, sizeof(member) - 1},
	CMD_KINDS(X)
#undef X
};

bool
cmd_json_line(struct base_slice *msg, struct base_slice *line)
{
	const char *feed;
	size_t taken;

	if (msg->len == 0)
		return false;
	feed = memchr(msg->p, '\n', msg->len);
	*line = *msg;
	taken = msg->len;
	if (feed != NULL) {
		line->len = (size_t)(feed - msg->p);
		taken = line->len + 1;
	}
	msg->p += taken;
	msg->len -= taken;
	return true;
}

static bool
read_members(struct json_rd *rd, struct members members, struct cmd *cmd,
    struct base_buf *scratch);

static bool
read_since(struct base_slice span, struct cmd *cmd, struct base_buf *scratch)
{
	static const struct members members = MEMBERS(since_members);
	struct json_rd rd;

	json_rd_init(&rd, span.p, span.len);
	cmd->history.has_since = true;
	return read_members(&rd, members, cmd, scratch);
}

static bool
store_int32(struct base_slice span, int32_t *out)
{
	int64_t n;

	if (!json_int(span, INT32_MIN, INT32_MAX, &n))
		return false;
	*out = (int32_t)n;
	return true;
}

/* False if a value of type TYPE cannot be what the table says. */
static bool
store(const struct member *m, enum json_type type, struct base_slice span,
    struct cmd *cmd, struct base_buf *scratch)
{
	void *to = (char *)cmd + m->at;

	switch ((enum member_type)m->type) {
	case MEMBER_TEXT:
		if (type != JSON_STRING)
			return false;
		*(struct base_slice *)to = json_text(span, scratch);
		return true;
	case MEMBER_KEY:
		if (type != JSON_STRING)
			return false;
		cmd->publish.has_key = true;
		*(struct base_slice *)to = json_text(span, scratch);
		return true;
	case MEMBER_DATA:
		cmd->publish.has_data = true;
		*(struct base_slice *)to = span;
		return true;
	case MEMBER_RAW:
		*(struct base_slice *)to = span;
		return true;
	case MEMBER_OBJECT:
		*(struct base_slice *)to = span;
		return type == JSON_OBJECT;
	case MEMBER_BOOL:
		*(bool *)to = type == JSON_TRUE;
		return type == JSON_TRUE || type == JSON_FALSE;
	case MEMBER_UINT64:
		return type == JSON_NUMBER && json_uint(span, UINT64_MAX, to);
	case MEMBER_INT64:
		return type == JSON_NUMBER && json_int(span, INT64_MIN, INT64_MAX, to);
	case MEMBER_INT32:
		return type == JSON_NUMBER && store_int32(span, to);
	case MEMBER_SINCE:
		return type == JSON_OBJECT && read_since(span, cmd, scratch);
	}
	return false;
}

static const struct member *
find_member(struct members members, struct base_slice name)
{
	size_t i;

	for (i = 0; i < members.count; i++) {
		if (members.v[i].len == name.len &&
		    memcmp(members.v[i].name, name.p, name.len) == 0)
			return &members.v[i];
	}
	return NULL;
}

/* Reads the object at the cursor; false if it is malformed or names one of MEMBERS
 * twice. */
static bool
read_members(struct json_rd *rd, struct members members, struct cmd *cmd,
    struct base_buf *scratch)
{
	char room[JSON_KEY_ROOM];
	const struct member *m;
	struct base_slice key, span;
	enum json_type type;
	uint32_t seen = 0;
	bool first = true;

	if (!json_rd_object(rd))
		return false;
	while (json_rd_member(rd, &first, &key)) {
		m = find_member(members, json_key(key, room));
		type = json_rd_value(rd, &span);
		if (type == JSON_BAD)
			return false;
		if (m == NULL)
			continue;
		if (seen & 1u << (m - members.v))
			return false;
		seen |= 1u << (m - members.v);
		if (type == JSON_NULL && m->type != MEMBER_DATA)
			continue;
		if (!store(m, type, span, cmd, scratch))
			return false;
	}
	return !rd->bad;
}

static bool
read_id(struct json_rd *rd, struct cmd *cmd)
{
	struct base_slice span;
	enum json_type type;
	uint64_t id;

	type = json_rd_value(rd, &span);
	if (type == JSON_NULL)
		return true;
	if (type != JSON_NUMBER || !json_uint(span, UINT32_MAX, &id))
		return false;
	cmd->id = (uint32_t)id;
	return true;
}

/* Of several commands in one object the first in the protocol's order counts; the
 * others have to be well-formed all the same. */
static bool
read_command(struct json_rd *rd, enum cmd_kind kind, struct cmd *cmd,
    struct base_buf *scratch)
{
	struct cmd other = {.kind = kind, .id = cmd->id};

	if (json_rd_peek(rd) == JSON_NULL)
		return json_rd_value(rd, NULL) == JSON_NULL;
	if (cmd->kind == CMD_NONE) {
		cmd->kind = kind;
		return read_members(rd, members_of[kind], cmd, scratch);
	}
	if (!read_members(rd, members_of[kind], &other, scratch))
		return false;
	if (kind < cmd->kind)
		*cmd = other;
	return true;
}

static int
find_name(struct base_slice name)
{
	size_t i;

	for (i = 0; i < BASE_COUNT(command_names); i++) {
		if (command_names[i].len == name.len &&
		    memcmp(command_names[i].p, name.p, name.len) == 0)
			return (int)i;
	}
	return -1;
}

/* One member of the outermost object.  SEEN has a bit for each that we know. */
static bool
read_top(struct json_rd *rd, struct base_slice key, uint32_t *seen, struct cmd *cmd,
    struct base_buf *scratch)
{
	char room[JSON_KEY_ROOM];
	int name = find_name(json_key(key, room));

	if (name < 0)
		return json_rd_value(rd, NULL) != JSON_BAD;
	if (*seen & 1u << name)
		return false;
	*seen |= 1u << name;
	if (name == CMD_NONE)
		return read_id(rd, cmd);
	return read_command(rd, (enum cmd_kind)name, cmd, scratch);
}

bool
cmd_json_parse(struct base_slice line, struct base_buf *scratch, struct cmd *cmd)
{
	struct json_rd rd;
	struct base_slice key;
	uint32_t seen = 0;
	bool first = true;

	*cmd = (struct cmd){0};
	scratch->len = 0;
	if (line.len == 0)
		return false;
	/* Enough for all of the line's strings: none of them moves. */
	base_buf_room(scratch, line.len);
	json_rd_init(&rd, line.p, line.len);
	if (!json_rd_object(&rd))
		return false;
	while (json_rd_member(&rd, &first, &key)) {
		if (!read_top(&rd, key, &seen, cmd, scratch))
			return false;
	}
	return json_rd_end(&rd);
}
