/*
 * api_admin: what only the control socket has; see api.h.
 */
#include "config.h"

#include "core/order.h"
#include "net/api.h"
#include "net/health.h"
#include "proto/json_wr.h"

static void
add(struct base_buf *out, const char *name, uint64_t n)
{
	json_wr_key(out, name);
	json_wr_uint(out, n);
}

static void
reply(struct api_call *call, struct base_buf *out)
{
	api_result(call, (struct base_slice){out->p, out->len});
	base_buf_free(out);
}

/* ---- status ---- */

static void
worker_json(struct base_buf *out, unsigned i, const struct stat_page *page)
{
	json_wr_next(out);
	base_buf_byte(out, '{');
	add(out, "worker", i);
	add(out, "connections", stat_get(page, connections));
	add(out, "clients", stat_get(page, clients));
	add(out, "channels", stat_get(page, channels));
	add(out, "subscriptions", stat_get(page, subscriptions));
	add(out, "published", stat_get(page, published));
	add(out, "delivered", stat_get(page, delivered));
	base_buf_byte(out, '}');
}

static void
run_status(struct api_call *call, const struct api_args *args)
{
	const struct net *net = call->conn->net;
	struct base_buf out = {0};

	(void)args;
	json_wr_key(&out, "version");
	base_buf_str(&out, "\"" PACKAGE_VERSION "\"");
	add(&out, "uptime_s", (uint64_t)(net->env->now_s - net->started_s));
	(void)health_json(&out, net);
	json_wr_key(&out, "workers");
	base_buf_byte(&out, '[');
	for (unsigned i = 0; i < net->n_workers; i++)
		worker_json(&out, i, net->stats.workers[i]);
	base_buf_byte(&out, ']');
	reply(call, &out);
}

static void
run_spool(struct api_call *call, const struct api_args *args)
{
	struct base_buf out = {0};

	(void)args;
	health_spool_json(&out, call->conn->net);
	health_archive_json(&out, call->conn->net);
	reply(call, &out);
}

/* ---- dead letters ---- */

/* Each journal counts its own; "memory": of namespaces with ack = memory. */
static void
ask_dead(struct api_call *call, const struct api_args *args, enum order_kind kind,
    void (*fn)(void *call, const struct order_msg *answer))
{
	struct order_msg m = {.kind = kind,
	    .number = args->number,
	    .limit = (int32_t)BASE_MIN(BASE_MAX(args->limit, 0), INT32_MAX),
	    .flags = args->memory ? ORDER_F_MEMORY : 0};

	api_ask(call, &m, fn);
}

static void
on_dead(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_slice list = answer->data;
	struct base_buf out = {0};
	struct order_pub letter;

	if (!api_answered(call, answer))
		return;
	json_wr_key(&out, "dead");
	base_buf_byte(&out, '[');
	while (order_pub_next(&list, &letter) > 0) {
		json_wr_next(&out);
		json_wr_raw(&out, letter.json);
	}
	base_buf_byte(&out, ']');
	reply(call, &out);
}

static void
on_done(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_buf out = {0};

	if (!api_answered(call, answer))
		return;
	add(&out, "done", answer->number);
	reply(call, &out);
}

static void
run_dead(struct api_call *call, const struct api_args *args)
{
	ask_dead(call, args, ORDER_DEAD_LIST, on_dead);
}

static void
run_dead_retry(struct api_call *call, const struct api_args *args)
{
	ask_dead(call, args, ORDER_DEAD_RETRY, on_done);
}

static void
run_dead_drop(struct api_call *call, const struct api_args *args)
{
	ask_dead(call, args, ORDER_DEAD_DROP, on_done);
}

/* ---- the table ---- */

static const struct api_member list_members[] = {
    {"after", API_UINT, offsetof(struct api_args, number), false},
    {"limit", API_INT, offsetof(struct api_args, limit), false},
    {"memory", API_BOOL, offsetof(struct api_args, memory), false},
};

static const struct api_member letter_members[] = {
    {"number", API_UINT, offsetof(struct api_args, number), true}, /* 0: all */
    {"memory", API_BOOL, offsetof(struct api_args, memory), false},
};

#define MEMBERS(list) list, BASE_COUNT(list)

const struct api_method api_admin_methods[] = {
    {"/admin/status", CONF_SERVE_ADMIN, NULL, 0, run_status},
    {"/admin/spool", CONF_SERVE_ADMIN, NULL, 0, run_spool},
    {"/admin/dead", CONF_SERVE_ADMIN, MEMBERS(list_members), run_dead},
    {"/admin/dead_retry", CONF_SERVE_ADMIN, MEMBERS(letter_members), run_dead_retry},
    {"/admin/dead_drop", CONF_SERVE_ADMIN, MEMBERS(letter_members), run_dead_drop},
};

const size_t api_admin_n_methods = BASE_COUNT(api_admin_methods);
