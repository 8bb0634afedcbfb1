/*
 * api_admin: what only the control socket has; see api.h.
 */
#include "config.h"

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

const struct api_method api_admin_methods[] = {
    {"/admin/status", CONF_SERVE_ADMIN, NULL, 0, run_status},
    {"/admin/spool", CONF_SERVE_ADMIN, NULL, 0, run_spool},
};

const size_t api_admin_n_methods = BASE_COUNT(api_admin_methods);
