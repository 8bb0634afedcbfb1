/*
 * api_order: publish, history, presence and channels; see api.h.
 *
 * The permissions of clients are none of its business: whoever may ask at all may ask
 * for all channels.
 */
#include "config.h"

#include "core/order.h"
#include "core/pub.h"
#include "net/api.h"
#include "proto/base64.h"
#include "proto/json_rd.h"
#include "proto/json_wr.h"

#define KEY_MAX 128 /* bytes of an idempotency key */
#define NO_TEXT ((struct base_slice){"", 0})

#define MEMBER(name, type, needed) \
	{#name, type, offsetof(struct api_args, name), needed}

static const struct conf_namespace *
namespace_of(const struct api_call *call, struct base_slice channel)
{
	return chan_namespace(call->conn->net->env->channels, channel);
}

/* False: it was answered with an error. */
static bool
known(struct api_call *call, struct base_slice channel)
{
	enum proto_error error = 0;

	if (channel.len > (size_t)call->conn->net->conf->max_channel_length ||
	    !chan_name_valid(channel))
		error = PROTO_ERROR_BAD_REQUEST;
	else if (namespace_of(call, channel) == NULL)
		error = PROTO_ERROR_UNKNOWN_CHANNEL;
	if (error == 0)
		return true;
	api_error(call, error, NO_TEXT);
	return false;
}

static void
reply(struct api_call *call, struct base_buf *out)
{
	api_result(call, (struct base_slice){out->p, out->len});
	base_buf_free(out);
}

static void
add_uint(struct base_buf *out, const char *name, uint64_t n)
{
	json_wr_key(out, name);
	json_wr_uint(out, n);
}

static void
add_string(struct base_buf *out, const char *name, struct base_slice text)
{
	json_wr_key(out, name);
	json_wr_string(out, text);
}

/* ---- publish ---- */

static void
on_published(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_buf out = {0};

	if (!api_answered(call, answer))
		return;
	stat_add(call->conn->net->stat, published, 1);
	/* A plain channel with an idempotency key has no place. */
	if (answer->epoch.len > 0) {
		add_uint(&out, "offset", answer->offset);
		add_string(&out, "epoch", answer->epoch);
	}
	reply(call, &out);
}

static void
publish_plain(struct api_call *call, struct base_slice channel, struct base_slice data)
{
	struct net *net = call->conn->net;
	struct sess_env *env = net->env;
	uint64_t hash = hub_hash(env->hub, channel);
	uint64_t mask = ring_interest_mask(env->seg, hash);
	struct base_slice frame;

	/* Nobody anywhere: then there is nothing to carry. */
	if (mask != 0) {
		frame = pub_frame(env, channel, data, NULL);
		if (!pub_fits(env, channel, frame)) {
			api_error(call, PROTO_ERROR_LIMIT_EXCEEDED, NO_TEXT);
			return;
		}
		net_make_room(net, channel.len + frame.len);
		pub_put(env, channel, frame, hash, mask);
	}
	stat_add(net->stat, published, 1);
	api_result(call, NO_TEXT);
}

static void
publish(struct api_call *call, const struct api_args *args, struct base_slice data)
{
	struct order_msg m = {.kind = ORDER_PUBLISH,
	    .channel = args->channel,
	    .key = args->idempotency_key,
	    .data = data};

	if (data.len > call->conn->net->conf->max_message_size)
		api_error(call, PROTO_ERROR_LIMIT_EXCEEDED, NO_TEXT);
	else if (conf_ordered(namespace_of(call, args->channel)) || m.key.len > 0)
		api_ask(call, &m, on_published);
	else
		publish_plain(call, args->channel, data);
}

static void
run_publish(struct api_call *call, const struct api_args *args)
{
	struct base_buf decoded = {0};
	struct base_slice data = args->data;
	bool good = args->idempotency_key.len <= KEY_MAX;

	if (!known(call, args->channel))
		return;
	if (args->b64data.len > 0) {
		/* Messages are JSON, however they come. */
		good = good && base64_decode(BASE64_STD, args->b64data, &decoded) &&
		    json_valid(decoded.p, decoded.len);
		data = (struct base_slice){decoded.p, decoded.len};
	}
	if (!good || data.len == 0)
		api_error(call, PROTO_ERROR_BAD_REQUEST, NO_TEXT);
	else
		publish(call, args, data);
	base_buf_free(&decoded);
}

/* ---- history ---- */

static void
on_history(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_slice list = answer->data;
	struct base_buf out = {0};
	struct order_pub pub;

	if (!api_answered(call, answer))
		return;
	json_wr_key(&out, "publications");
	base_buf_byte(&out, '[');
	while (order_pub_next(&list, &pub) > 0) {
		json_wr_next(&out);
		json_wr_raw(&out, pub.json);
	}
	base_buf_byte(&out, ']');
	add_string(&out, "epoch", answer->epoch);
	add_uint(&out, "offset", answer->number);
	reply(call, &out);
}

static void
run_history(struct api_call *call, const struct api_args *args)
{
	int64_t max = call->conn->net->conf->history_limit;
	int64_t limit = args->limit < 0 ? max : BASE_MIN(args->limit, max);
	struct order_msg m = {.kind = ORDER_HISTORY,
	    .channel = args->channel,
	    .epoch = args->epoch,
	    .offset = args->offset,
	    .limit = (int32_t)limit,
	    .flags = (args->reverse ? ORDER_F_REVERSE : 0) |
		(args->since ? ORDER_F_SINCE : 0)};

	if (!known(call, args->channel))
		return;
	if (!conf_ordered(namespace_of(call, args->channel)))
		api_error(call, PROTO_ERROR_NOT_AVAILABLE, NO_TEXT);
	else if (args->since && args->reverse && args->offset == 0)
		api_error(call, PROTO_ERROR_BAD_REQUEST, NO_TEXT);
	else
		api_ask(call, &m, on_history);
}

/* ---- presence ---- */

static void
on_presence(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_slice list = answer->data;
	struct base_buf out = {0};
	struct order_pair pair;

	if (!api_answered(call, answer))
		return;
	json_wr_key(&out, "presence");
	base_buf_byte(&out, '{');
	while (order_pair_next(&list, &pair) > 0) {
		json_wr_next(&out);
		json_wr_string(&out, pair.name);
		base_buf_byte(&out, ':');
		json_wr_raw(&out, pair.value);
	}
	base_buf_byte(&out, '}');
	reply(call, &out);
}

static void
on_presence_stats(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_buf out = {0};

	if (!api_answered(call, answer))
		return;
	add_uint(&out, "num_clients", answer->number);
	add_uint(&out, "num_users", answer->offset);
	reply(call, &out);
}

static void
ask_presence(struct api_call *call, struct base_slice channel, enum order_kind kind,
    void (*fn)(void *call, const struct order_msg *answer))
{
	struct order_msg m = {.kind = kind, .channel = channel};

	if (!known(call, channel))
		return;
	if (!namespace_of(call, channel)->presence)
		api_error(call, PROTO_ERROR_NOT_AVAILABLE, NO_TEXT);
	else
		api_ask(call, &m, fn);
}

static void
run_presence(struct api_call *call, const struct api_args *args)
{
	ask_presence(call, args->channel, ORDER_PRESENCE, on_presence);
}

static void
run_presence_stats(struct api_call *call, const struct api_args *args)
{
	ask_presence(call, args->channel, ORDER_PRESENCE_STATS, on_presence_stats);
}

/* ---- channels ---- */

static void
on_channels(void *arg, const struct order_msg *answer)
{
	struct api_call *call = arg;
	struct base_slice list = answer->data;
	struct base_buf out = {0};
	struct order_pair pair;

	if (!api_answered(call, answer))
		return;
	json_wr_key(&out, "channels");
	base_buf_byte(&out, '{');
	while (order_pair_next(&list, &pair) > 0) {
		json_wr_next(&out);
		json_wr_string(&out, pair.name);
		base_buf_str(&out, ":{\"num_clients\":");
		json_wr_uint(&out, pair.number);
		base_buf_byte(&out, '}');
	}
	base_buf_byte(&out, '}');
	reply(call, &out);
}

static void
run_channels(struct api_call *call, const struct api_args *args)
{
	struct order_msg m = {.kind = ORDER_CHANNELS, .data = args->pattern};

	api_ask(call, &m, on_channels);
}

/* ---- the table ---- */

static const struct api_member publish_members[] = {
    MEMBER(channel, API_TEXT, true),
    MEMBER(data, API_RAW, false),
    MEMBER(b64data, API_TEXT, false),
    MEMBER(idempotency_key, API_TEXT, false),
};

static const struct api_member history_members[] = {
    MEMBER(channel, API_TEXT, true),
    MEMBER(limit, API_INT, false),
    MEMBER(since, API_SINCE, false),
    MEMBER(reverse, API_BOOL, false),
};

static const struct api_member channel_members[] = {
    MEMBER(channel, API_TEXT, true),
};

static const struct api_member channels_members[] = {
    MEMBER(pattern, API_TEXT, false),
};

#define MEMBERS(list) list, BASE_COUNT(list)

const struct api_method api_order_methods[] = {
    {"/api/publish", CONF_SERVE_ADMIN, MEMBERS(publish_members), run_publish},
    {"/api/history", CONF_SERVE_ADMIN, MEMBERS(history_members), run_history},
    {"/api/presence", CONF_SERVE_ADMIN, MEMBERS(channel_members), run_presence},
    {"/api/presence_stats", CONF_SERVE_ADMIN, MEMBERS(channel_members),
	run_presence_stats},
    {"/api/channels", CONF_SERVE_ADMIN, MEMBERS(channels_members), run_channels},
};

const size_t api_order_n_methods = BASE_COUNT(api_order_methods);
