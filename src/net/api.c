/*
 * api: see the header.
 */
#include "config.h"

#include "net/api.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "core/order.h"
#include "net/conn.h"
#include "proto/json_wr.h"

#define TEXT(literal) ((struct base_slice){literal, sizeof(literal) - 1})

/* ---- calls ---- */

/* C may go on with what has come in since. */
static void
finish(struct api_call *call, struct base_slice body)
{
	struct conn *c = call->conn;
	bool later = call->later;

	c->http.call = NULL;
	free(call);
	conn_http_respond(c, 200, NULL, "application/json", body, false);
	if (later)
		conn_http_resume(c);
}

void
api_result(struct api_call *call, struct base_slice members)
{
	struct base_buf out = {0};

	base_buf_str(&out, "{\"result\":{");
	base_buf_add(&out, members.p, members.len);
	base_buf_str(&out, "}}");
	finish(call, (struct base_slice){out.p, out.len});
	base_buf_free(&out);
}

void
api_error(struct api_call *call, enum proto_error code, struct base_slice text)
{
	struct base_buf out = {0};
	const char *own = proto_error_message(code);

	if (text.len == 0)
		text = (struct base_slice){own, strlen(own)};
	base_buf_str(&out, "{\"error\":{\"code\":");
	json_wr_uint(&out, code);
	json_wr_key(&out, "message");
	json_wr_string(&out, text);
	base_buf_str(&out, "}}");
	finish(call, (struct base_slice){out.p, out.len});
	base_buf_free(&out);
}

void
api_drop(struct api_call *call)
{
	order_forget(call->conn->net->env->order, call->req);
	call->conn->http.call = NULL;
	free(call);
}

void
api_request(struct conn *c, const struct api_method *method, struct base_slice body)
{
	struct base_buf scratch = {0};
	struct api_call *call;
	struct api_args args;
	bool missing;

	if (!api_args_read(method, body, &scratch, &args, &missing)) {
		conn_http_respond(c, 400, NULL, "text/plain; charset=utf-8",
		    TEXT("Bad Request\n"), false);
	} else {
		call = base_zalloc(sizeof(*call));
		*call = (struct api_call){.conn = c, .method = method};
		c->http.call = call;
		if (missing)
			api_error(call, PROTO_ERROR_BAD_REQUEST, TEXT(""));
		else
			method->run(call, &args);
		/* It may be gone, but then it is not C's any more. */
		if (c->http.call != NULL)
			c->http.call->later = true;
	}
	base_buf_free(&scratch);
}

/* ---- the broker ---- */

bool
api_answered(struct api_call *call, const struct order_msg *answer)
{
	call->req = 0;
	if (answer->code == 0)
		return true;
	api_error(call, (enum proto_error)answer->code, answer->data);
	return false;
}

void
api_ask(struct api_call *call, struct order_msg *msg,
    void (*fn)(void *call, const struct order_msg *answer))
{
	struct order *order = call->conn->net->env->order;

	if (!order_fits(order, msg)) {
		api_error(call, PROTO_ERROR_LIMIT_EXCEEDED, TEXT(""));
		return;
	}
	call->req = order_ask(order, msg, fn, call);
	if (call->req == 0)
		api_error(call, PROTO_ERROR_INTERNAL, TEXT(""));
}

/* ---- info ---- */

static void
add_text(struct base_buf *out, const char *name, const char *text)
{
	json_wr_key(out, name);
	json_wr_string(out, (struct base_slice){text, strlen(text)});
}

static void
add(struct base_buf *out, const char *name, uint64_t n)
{
	json_wr_key(out, name);
	json_wr_uint(out, n);
}

/* The node, which is this daemon. */
static void
run_info(struct api_call *call, const struct api_args *args)
{
	const struct net *net = call->conn->net;
	struct base_buf out = {0};
	char name[256] = "chatd", uid[20];

	(void)args;
	gethostname(name, sizeof(name) - 1);
	snprintf(uid, sizeof(uid), "%016llx",
	    (unsigned long long)ring_seg_boot(net->env->seg));
	base_buf_str(&out, "\"nodes\":[{");
	add_text(&out, "uid", uid);
	add_text(&out, "name", name);
	add_text(&out, "version", PACKAGE_VERSION);
	add(&out, "num_clients", stat_sum(&net->stats, clients));
	add(&out, "num_channels", stat_sum(&net->stats, channels));
	add(&out, "num_subs", stat_sum(&net->stats, subscriptions));
	add(&out, "uptime", (uint64_t)(net->env->now_s - net->started_s));
	base_buf_str(&out, "}]");
	api_result(call, (struct base_slice){out.p, out.len});
	base_buf_free(&out);
}

/* ---- the table ---- */

static const struct api_method methods[] = {
    {"/api/info", CONF_SERVE_ADMIN, NULL, 0, run_info},
};

static const struct api_method *
find(const struct api_method *list, size_t n, struct base_slice path, unsigned serve)
{
	for (size_t i = 0; i < n; i++)
		if ((list[i].serve & serve) != 0 && strlen(list[i].path) == path.len &&
		    memcmp(list[i].path, path.p, path.len) == 0)
			return &list[i];
	return NULL;
}

const struct api_method *
api_find(struct base_slice path, unsigned serve)
{
	const struct api_method *m = find(methods, BASE_COUNT(methods), path, serve);

	if (m == NULL)
		m = find(api_order_methods, api_order_n_methods, path, serve);
	if (m == NULL)
		m = find(api_admin_methods, api_admin_n_methods, path, serve);
	return m;
}
