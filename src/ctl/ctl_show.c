/*
 * ctl_show: the commands that show how the daemon and its channels are, and publish.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl_client.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_units.h"
#include "proto/json_wr.h"
#include "proto/utf8.h"

static void
add_string(struct base_buf *out, const char *name, const char *text)
{
	json_wr_key(out, name);
	json_wr_string(out, (struct base_slice){text, strlen(text)});
}

/* What goes into JSON has to be UTF-8. */
static bool
check_text(const char *what, const char *text)
{
	if (utf8_valid(text, strlen(text)))
		return true;
	ctl_complain("%s is not UTF-8", what);
	return false;
}

/* Asks with BODY, which it frees. */
static enum ctl_exit
ask(const struct ctl_args *args, const char *path, struct base_buf *body,
    void (*show)(struct base_slice result))
{
	enum ctl_exit code = ctl_ask_show(args, path, body, show);

	base_buf_free(body);
	return code;
}

static void
print_text(struct base_slice object, const char *path)
{
	struct base_buf text = {0};

	ctl_json_text(object, path, &text);
	printf("%.*s", (int)text.len, text.len > 0 ? text.p : "");
	base_buf_free(&text);
}

/* ---- status ---- */

static void
show_reasons(struct base_slice result)
{
	struct base_slice list, reason;
	struct ctl_json_walk w;
	struct base_buf text = {0};

	if (!ctl_json_get(result, "reasons", &list))
		return;
	ctl_json_walk(&w, list);
	while (ctl_json_element(&w, &reason)) {
		text.len = 0;
		ctl_json_show(reason, &text);
		printf("%-16s%.*s\n", "", (int)text.len, text.p);
	}
	base_buf_free(&text);
}

static void
show_use(struct base_slice object, const char *name)
{
	char used[32], limit[32];
	struct base_slice pair;

	if (!ctl_json_get(object, name, &pair))
		return;
	ctl_units_bytes(ctl_json_uint(pair, "bytes"), used, sizeof(used));
	ctl_units_bytes(ctl_json_uint(pair, "limit_bytes"), limit, sizeof(limit));
	printf("  %-14s%s of %s\n", name, used, limit);
}

static void
show_memory(struct base_slice result)
{
	struct base_slice memory, key, value;
	struct ctl_json_walk w;
	char name[32];

	if (!ctl_json_get(result, "memory", &memory))
		return;
	printf("memory\n");
	ctl_json_walk(&w, memory);
	while (ctl_json_member(&w, &key, &value)) {
		snprintf(name, sizeof(name), "%.*s", (int)BASE_MIN(key.len, 31), key.p);
		show_use(memory, name);
	}
}

static void
show_workers(struct base_slice result)
{
	static const char *const heads[] = {">WORKER", ">CONNECTIONS", ">CLIENTS",
	    ">CHANNELS", ">SUBSCRIPTIONS", ">PUBLISHED", ">DELIVERED"};
	static const char *const names[] = {"worker", "connections", "clients",
	    "channels", "subscriptions", "published", "delivered"};
	struct base_slice list, one;
	struct ctl_json_walk w;
	struct ctl_table t;

	if (!ctl_json_get(result, "workers", &list))
		return;
	ctl_table_init(&t, heads, BASE_COUNT(heads));
	ctl_json_walk(&w, list);
	while (ctl_json_element(&w, &one))
		for (size_t i = 0; i < BASE_COUNT(names); i++)
			ctl_json_text(one, names[i], ctl_table_cell(&t));
	printf("\n");
	ctl_table_print(&t, false);
}

static void
show_status(struct base_slice result)
{
	char up[32], bytes[32], limit[32];

	printf("%-16s", "status");
	print_text(result, "status");
	printf("\n");
	show_reasons(result);
	ctl_units_time(ctl_json_uint(result, "uptime_s") * 1000, up, sizeof(up));
	printf("%-16s", "version");
	print_text(result, "version");
	printf(", up %s\n", up);
	printf("%-16s%" PRIu64 " of %" PRIu64 ", %" PRIu64 " clients, %" PRIu64
	       " subscriptions\n",
	    "connections", ctl_json_uint(result, "connections.open"),
	    ctl_json_uint(result, "connections.limit"),
	    ctl_json_uint(result, "connections.clients"),
	    ctl_json_uint(result, "connections.subscriptions"));
	ctl_units_bytes(ctl_json_uint(result, "history.bytes"), bytes, sizeof(bytes));
	ctl_units_bytes(
	    ctl_json_uint(result, "history.limit_bytes"), limit, sizeof(limit));
	printf("%-16s%" PRIu64 " publications of %" PRIu64 " channels, %s of %s\n",
	    "history", ctl_json_uint(result, "history.records"),
	    ctl_json_uint(result, "history.streams"), bytes, limit);
	printf("%-16s%" PRIu64 " clients in channels\n", "presence",
	    ctl_json_uint(result, "presence.entries"));
	ctl_units_spool(result);
	show_memory(result);
	show_workers(result);
}

enum ctl_exit
ctl_status(const struct ctl_args *args)
{
	struct base_buf body = {0};

	return ask(args, "/admin/status", &body, show_status);
}

/* ---- channels ---- */

static void
show_channels(struct base_slice result)
{
	static const char *const heads[] = {"CHANNEL", ">CLIENTS"};
	struct base_slice list, key, value;
	struct ctl_json_walk w;
	struct ctl_table t;

	ctl_table_init(&t, heads, BASE_COUNT(heads));
	(void)ctl_json_get(result, "channels", &list);
	ctl_json_walk(&w, list);
	while (ctl_json_member(&w, &key, &value)) {
		ctl_json_show_key(key, ctl_table_cell(&t));
		ctl_json_text(value, "num_clients", ctl_table_cell(&t));
	}
	ctl_table_print(&t, true);
}

enum ctl_exit
ctl_channels(const struct ctl_args *args)
{
	struct base_buf body = {0};

	if (args->argc > 0) {
		if (!check_text("GLOB", args->argv[0]))
			return CTL_USAGE;
		add_string(&body, "pattern", args->argv[0]);
	}
	return ask(args, "/api/channels", &body, show_channels);
}

/* ---- history ---- */

static void
show_history(struct base_slice result)
{
	static const char *const heads[] = {">OFFSET", "USER", "DATA"};
	struct base_slice list, one;
	struct ctl_json_walk w;
	struct ctl_table t;

	ctl_table_init(&t, heads, BASE_COUNT(heads));
	(void)ctl_json_get(result, "publications", &list);
	ctl_json_walk(&w, list);
	while (ctl_json_element(&w, &one)) {
		ctl_json_text(one, "offset", ctl_table_cell(&t));
		ctl_json_text(one, "info.user", ctl_table_cell(&t));
		(void)ctl_json_get(one, "data", &one);
		ctl_json_show_raw(one, ctl_table_cell(&t));
	}
	ctl_table_print(&t, false);
	printf("newest offset %" PRIu64 ", epoch ", ctl_json_uint(result, "offset"));
	print_text(result, "epoch");
	printf("\n");
}

/* OFFSET or OFFSET:EPOCH. */
static bool
add_since(struct base_buf *body, const char *text)
{
	const char *colon = strchrnul(text, ':');
	struct base_slice number = {text, (size_t)(colon - text)};
	uint64_t offset;

	if (!json_uint(number, UINT64_MAX, &offset) || !check_text("EPOCH", colon)) {
		ctl_complain("--since takes OFFSET or OFFSET:EPOCH");
		return false;
	}
	json_wr_key(body, "since");
	base_buf_str(body, "{\"offset\":");
	json_wr_uint(body, offset);
	if (*colon != 0)
		add_string(body, "epoch", colon + 1);
	base_buf_byte(body, '}');
	return true;
}

static bool
add_history(struct base_buf *body, const struct ctl_args *args)
{
	const char *limit = args->limit != NULL ? args->limit : "-1";
	int64_t n;

	if (!json_int((struct base_slice){limit, strlen(limit)}, -1, INT32_MAX, &n)) {
		ctl_complain("--limit takes a number");
		return false;
	}
	json_wr_key(body, "limit");
	base_buf_str(body, limit);
	if (args->reverse != NULL)
		base_buf_str(body, ",\"reverse\":true");
	return args->since == NULL || add_since(body, args->since);
}

enum ctl_exit
ctl_history(const struct ctl_args *args)
{
	struct base_buf body = {0};

	if (!check_text("CHANNEL", args->argv[0]))
		return CTL_USAGE;
	add_string(&body, "channel", args->argv[0]);
	if (add_history(&body, args))
		return ask(args, "/api/history", &body, show_history);
	base_buf_free(&body);
	return CTL_USAGE;
}

/* ---- presence ---- */

static void
show_presence(struct base_slice result)
{
	static const char *const heads[] = {"CLIENT", "USER", "INFO"};
	struct base_slice list, key, value, info;
	struct ctl_json_walk w;
	struct ctl_table t;

	ctl_table_init(&t, heads, BASE_COUNT(heads));
	(void)ctl_json_get(result, "presence", &list);
	ctl_json_walk(&w, list);
	while (ctl_json_member(&w, &key, &value)) {
		ctl_json_show_key(key, ctl_table_cell(&t));
		ctl_json_text(value, "user", ctl_table_cell(&t));
		(void)ctl_json_get(value, "conn_info", &info);
		ctl_json_show_raw(info, ctl_table_cell(&t));
	}
	ctl_table_print(&t, true);
}

static void
show_stats(struct base_slice result)
{
	printf("%-16s%" PRIu64 "\n%-16s%" PRIu64 "\n", "clients",
	    ctl_json_uint(result, "num_clients"), "users",
	    ctl_json_uint(result, "num_users"));
}

enum ctl_exit
ctl_presence(const struct ctl_args *args)
{
	struct base_buf body = {0};

	if (!check_text("CHANNEL", args->argv[0]))
		return CTL_USAGE;
	add_string(&body, "channel", args->argv[0]);
	if (args->stats != NULL)
		return ask(args, "/api/presence_stats", &body, show_stats);
	return ask(args, "/api/presence", &body, show_presence);
}

/* ---- publish ---- */

static void
show_published(struct base_slice result)
{
	struct base_slice epoch;

	printf("published");
	if (ctl_json_get(result, "epoch", &epoch)) {
		printf(": offset %" PRIu64 ", epoch ", ctl_json_uint(result, "offset"));
		print_text(result, "epoch");
	}
	printf("\n");
}

enum ctl_exit
ctl_publish(const struct ctl_args *args)
{
	const char *data = args->argv[1];
	struct base_buf body = {0};

	if (!check_text("CHANNEL", args->argv[0]) ||
	    (args->key != NULL && !check_text("KEY", args->key)))
		return CTL_USAGE;
	if (!check_text("DATA", data))
		return CTL_USAGE;
	if (!json_valid(data, strlen(data))) {
		ctl_complain("DATA is not JSON: a text needs quotes, as in '\"text\"'");
		return CTL_USAGE;
	}
	add_string(&body, "channel", args->argv[0]);
	json_wr_key(&body, "data");
	base_buf_str(&body, data);
	if (args->key != NULL)
		add_string(&body, "idempotency_key", args->key);
	return ask(args, "/api/publish", &body, show_published);
}
