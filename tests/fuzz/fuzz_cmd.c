/*
 * fuzz_cmd: any bytes as a message of a client.
 *
 * What must hold: a line that we take is JSON to yajl too, and the other way round but
 * for what yajl is known to be lax about; slices lie inside the line or the scratch
 * buffer; what goes into a push comes out of it again, data byte for byte.
 */
#include "config.h"

#include "fuzz.h"
#include "proto/cmd_json.h"
#include "proto/json_rd.h"

#ifdef HAVE_YAJL
#include "json_oracle.h"
#endif

static struct base_buf scratch;

static bool
equal(struct base_slice a, struct base_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool
within(struct base_slice s, const char *p, size_t n)
{
	return s.p >= p && s.p <= p + n && s.len <= (size_t)(p + n - s.p);
}

static void
check_slice(struct base_slice s, struct base_slice line)
{
	FUZZ_CHECK(s.len == 0 || within(s, line.p, line.len) ||
	    within(s, scratch.p, scratch.len));
}

static void
check_raw(struct base_slice s, struct base_slice line)
{
	if (s.len > 0)
		FUZZ_CHECK(within(s, line.p, line.len) && json_valid(s.p, s.len));
}

static void
check_slices(const struct cmd *cmd, struct base_slice line)
{
	switch (cmd->kind) {
	case CMD_CONNECT:
		check_slice(cmd->connect.token, line);
		check_slice(cmd->connect.name, line);
		check_slice(cmd->connect.version, line);
		check_raw(cmd->connect.data, line);
		check_raw(cmd->connect.subs, line);
		break;
	case CMD_SUBSCRIBE:
		check_slice(cmd->subscribe.channel, line);
		check_slice(cmd->subscribe.token, line);
		check_slice(cmd->subscribe.epoch, line);
		check_slice(cmd->subscribe.delta, line);
		check_raw(cmd->subscribe.data, line);
		check_raw(cmd->subscribe.tf, line);
		break;
	case CMD_PUBLISH:
		check_slice(cmd->publish.channel, line);
		check_slice(cmd->publish.key, line);
		check_raw(cmd->publish.data, line);
		FUZZ_CHECK(cmd->publish.has_data == (cmd->publish.data.len > 0));
		break;
	case CMD_HISTORY:
		check_slice(cmd->history.channel, line);
		check_slice(cmd->history.since_epoch, line);
		break;
	case CMD_RPC:
	case CMD_SEND:
		check_slice(cmd->rpc.method, line);
		check_raw(cmd->rpc.data, line);
		break;
	case CMD_UNSUBSCRIBE:
	case CMD_PRESENCE:
	case CMD_PRESENCE_STATS:
		check_slice(cmd->channel.channel, line);
		break;
	case CMD_REFRESH:
	case CMD_SUB_REFRESH:
		check_slice(cmd->refresh.channel, line);
		check_slice(cmd->refresh.token, line);
		break;
	case CMD_NONE:
	case CMD_PING:
		break;
	}
}

/* Enters the object at the cursor, whose next member has to be NAME. */
static void
enter(struct json_rd *rd, bool *first, const char *name)
{
	struct base_slice key;

	FUZZ_CHECK(!*first || json_rd_object(rd));
	FUZZ_CHECK(json_rd_member(rd, first, &key));
	FUZZ_CHECK(equal(key, (struct base_slice){name, strlen(name)}));
}

/* The push of a publication, read back.  Data as deep as we take it is within. */
static void
check_push(const struct cmd_publish *publish)
{
	bool push = true, inner = true, pub = true;
	struct base_buf out = {0}, text = {0};
	struct base_slice channel, data;
	struct json_rd rd;

	cmd_json_pub(&out, publish->channel, publish->data, NULL);
	FUZZ_CHECK(memchr(out.p, '\n', out.len) == NULL);
	json_rd_init(&rd, out.p, out.len);
	enter(&rd, &push, "push");
	enter(&rd, &inner, "channel");
	FUZZ_CHECK(json_rd_value(&rd, &channel) == JSON_STRING);
	FUZZ_CHECK(equal(json_text(channel, &text), publish->channel));
	enter(&rd, &inner, "pub");
	enter(&rd, &pub, "data");
	FUZZ_CHECK(json_rd_value(&rd, &data) != JSON_BAD);
	FUZZ_CHECK(equal(data, publish->data));
	FUZZ_CHECK(!json_rd_member(&rd, &pub, &data));
	FUZZ_CHECK(!json_rd_member(&rd, &inner, &data));
	FUZZ_CHECK(!json_rd_member(&rd, &push, &data));
	FUZZ_CHECK(json_rd_end(&rd));
	base_buf_free(&out);
	base_buf_free(&text);
}

static void
check_oracle(struct base_slice line, bool taken)
{
#ifdef HAVE_YAJL
	bool theirs = json_oracle_accepts(line.p, line.len);

	if (taken || json_valid(line.p, line.len))
		FUZZ_CHECK(theirs);
	else
		FUZZ_CHECK(!theirs || json_oracle_is_lax(line.p, line.len));
#else
	(void)taken;
	json_valid(line.p, line.len);
#endif
}

static void
check_line(struct base_slice line)
{
	struct cmd cmd;
	bool taken;

	taken = cmd_json_parse(line, &scratch, &cmd);
	check_oracle(line, taken);
	if (!taken)
		return;
	check_slices(&cmd, line);
	if (cmd.kind == CMD_PUBLISH && cmd.publish.has_data)
		check_push(&cmd.publish);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct base_slice msg = {(const char *)data, size}, line;
	char *copy;

	while (cmd_json_line(&msg, &line)) {
		copy = fuzz_copy(line.p, line.len);
		check_line((struct base_slice){copy, line.len});
		free(copy);
	}
	FUZZ_CHECK(msg.len == 0);
	return 0;
}
