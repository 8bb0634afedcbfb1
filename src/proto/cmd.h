/*
 * cmd: commands of clients and replies to them, whatever their encoding.
 *
 * Slices point into the message that was parsed, or into the scratch buffer
 * given with it.  A member that is absent, null or empty has len == 0.
 */
#ifndef PROTO_CMD_H
#define PROTO_CMD_H

#include "base/base_buf.h"
#include "base/base_defs.h"
#include "proto/codes.h"

/* X(KIND, "member"): the commands in the order of the protocol's numbers. */
#define CMD_KINDS(X)                         \
	X(CONNECT, "connect")                \
	X(SUBSCRIBE, "subscribe")            \
	X(UNSUBSCRIBE, "unsubscribe")        \
	X(PUBLISH, "publish")                \
	X(PRESENCE, "presence")              \
	X(PRESENCE_STATS, "presence_stats")  \
	X(HISTORY, "history")                \
	X(PING, "ping")                      \
	X(SEND, "send")                      \
	X(RPC, "rpc")                        \
	X(REFRESH, "refresh")                \
	X(SUB_REFRESH, "sub_refresh")

enum cmd_kind {
	CMD_NONE, /* {}: a pong; or an id without a command that we know */
#define X(kind, member) CMD_##kind,
	CMD_KINDS(X)
#undef X
};

struct cmd_connect {
	struct base_slice token, name, version;
	struct base_slice data; /* raw JSON */
	struct base_slice subs; /* raw: an object by channel, or empty */
};

struct cmd_subscribe {
	struct base_slice channel, token, epoch, delta;
	struct base_slice data, tf; /* raw */
	uint64_t offset;
	int64_t flag;
	int32_t type;
	bool recover, positioned, recoverable, join_leave;
};

struct cmd_publish {
	struct base_slice channel, key;
	struct base_slice data; /* raw; has_data tells "" and null apart from nothing */
	struct base_slice idempotency_key; /* ours; has_key tells "" from nothing */
	bool has_data, has_key;
	int32_t type;
	bool removed;
};

struct cmd_history {
	struct base_slice channel, since_epoch;
	uint64_t since_offset;
	int32_t limit;
	bool has_since, reverse;
};

struct cmd_rpc { /* and send */
	struct base_slice method;
	struct base_slice data; /* raw */
};

struct cmd_channel { /* unsubscribe, presence, presence_stats */
	struct base_slice channel;
};

struct cmd_refresh { /* refresh, sub_refresh */
	struct base_slice channel, token;
	int32_t type;
};

struct cmd {
	uint32_t id; /* 0: none */
	enum cmd_kind kind;
	union {
		struct cmd_connect connect;
		struct cmd_subscribe subscribe;
		struct cmd_publish publish;
		struct cmd_history history;
		struct cmd_rpc rpc;
		struct cmd_channel channel;
		struct cmd_refresh refresh;
	};
};

/* Who published, joined or left. */
struct cmd_client_info {
	struct base_slice user, client;
	struct base_slice conn_info, chan_info; /* raw; left out when empty */
};

/* Shows one JSON value after another; false: that was all. */
typedef bool (*cmd_next_fn)(void *arg, struct base_slice *json_r);

struct cmd_subscribe_result {
	bool positioned, recoverable; /* of a subscription that knows its position */
	bool was_recovering, recovered;
	struct base_slice epoch;
	uint64_t offset;
	cmd_next_fn publications; /* NULL: none */
	void *publications_arg;
};

struct cmd_history_result {
	struct base_slice epoch;
	uint64_t offset;
	cmd_next_fn publications;
	void *publications_arg;
};

struct cmd_connect_result {
	struct base_slice client, version;
	struct base_slice data; /* raw */
	bool expires;
	uint32_t ttl; /* seconds */
	uint32_t ping; /* seconds; 0: no pings, and no pong member */
	bool pong;
};

#endif
