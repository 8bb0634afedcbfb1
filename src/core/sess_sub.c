/*
 * sess_sub: subscribe and unsubscribe.
 *
 * A subscription that is told its position may have to wait for the broker's answer.
 * It is in the hub from the first on, so that nothing is missed, and marked, so that
 * nothing is sent before the reply.
 */
#include "config.h"

#include "core/sess_sub.h"

#include <string.h>

#include "base/base_assert.h"
#include "core/present.h"
#include "core/sess_cmd.h"
#include "core/sess_op.h"
#include "core/stream.h"
#include "proto/cmd_json.h"

#define FLAG_REJECT 2 /* of subscribe: error 112 rather than an unrecovered answer */

#define UNSUBSCRIBE_INSUFFICIENT 2500 /* SDKs subscribe again by themselves */

/* A subscribe that waits for its position. */
struct sub_op {
	struct sess_op op;
	struct stream_wait wait;
	struct hub_chan *chan;
	bool recoverable, reject;
};

/* ---- leaving ---- */

void
sess_sub_remove(struct sess *s, uint32_t slot)
{
	struct sess_env *env = s->env;
	struct hub_chan *chan = s->subs[slot].chan;
	uint32_t flags = hub_sub(s, slot)->flags;

	if ((flags & HUB_PRESENT) != 0)
		present_leave(env->present, s, chan);
	if ((flags & HUB_PLACED) != 0)
		stream_leave(chan->stream);
	hub_unsubscribe(env->hub, s, slot);
	stat_sub(env->stat, subscriptions, 1);
	stat_set(env->stat, channels, hub_channels(env->hub));
}

void
sess_sub_lost(struct sess *s, uint32_t slot)
{
	const struct hub_chan *chan = s->subs[slot].chan;
	const struct base_slice name = {chan->name, chan->name_len};

	stat_add(s->env->stat, insufficient, 1);
	s->env->out.len = 0;
	cmd_json_unsubscribe(
	    &s->env->out, name, UNSUBSCRIBE_INSUFFICIENT, "insufficient state");
	sess_send_out(s, SESS_REPLY);
	sess_sub_remove(s, slot);
}

/* ---- subscribing ---- */

/* Refuses what is not to be: the connection is closed, or an error sent. */
static const struct conf_namespace *
admit(struct sess *s, const struct cmd *cmd, uint64_t hash)
{
	const struct cmd_subscribe *c = &cmd->subscribe;
	struct sess_env *env = s->env;
	const struct conf_namespace *ns = NULL;
	enum proto_error error = 0;

	if (c->channel.len > (size_t)env->conf->max_channel_length)
		error = PROTO_ERROR_BAD_REQUEST;
	else if (hub_slot(hub_find(env->hub, c->channel, hash), s) >= 0)
		error = PROTO_ERROR_ALREADY_SUBSCRIBED;
	else if (s->n_subs >= env->conf->max_subscriptions)
		error = PROTO_ERROR_LIMIT_EXCEEDED;
	else if ((ns = chan_namespace(env->channels, c->channel)) == NULL)
		error = PROTO_ERROR_UNKNOWN_CHANNEL;
	else if (!chan_name_valid(c->channel))
		error = PROTO_ERROR_BAD_REQUEST;
	/* There are no subscription tokens to check yet: one that is needed or given
	 * cannot be granted. */
	else if (c->type != 0 || c->token.len > 0 ||
	    !chan_may_subscribe(ns, c->channel, sess_user(s)))
		error = PROTO_ERROR_PERMISSION_DENIED;
	else if (c->tf.len > 0) /* no namespace has filters */
		error = PROTO_ERROR_BAD_REQUEST;
	if (error == 0)
		return ns;
	sess_reply_error(s, cmd->id, error);
	return NULL;
}

/* Is a wish of the client's granted? */
static bool
granted(enum conf_mode mode, bool wish, bool reader)
{
	return mode == CONF_MODE_ON || (wish && (mode == CONF_MODE_OPTIONAL || reader));
}

/* The reply went out: from now on it gets what is published, and is known of. */
static void
admitted(struct sess *s, uint32_t slot, const struct conf_namespace *ns)
{
	hub_sub(s, slot)->flags &= ~HUB_WAITING;
	if (ns->presence || ns->join_leave != CONF_MODE_OFF)
		present_join(s->env->present, s, slot);
}

struct next_pub {
	const struct tail *tail;
	uint64_t at, last;
};

static bool
next_pub(void *arg, struct base_slice *json_r)
{
	struct next_pub *n = arg;

	if (n->at > n->last)
		return false;
	*json_r = tail_get(n->tail, n->at++);
	return true;
}

static void
count_recovery(struct sess *s, const struct stream_answer *a)
{
	if (a->recovered)
		stat_add(s->env->stat, recovered, 1);
	else
		stat_add(s->env->stat, unrecovered, 1);
	if (!a->asked)
		stat_add(s->env->stat, recovered_here, 1);
}

static void
reply_placed(const struct sub_op *op, const struct stream_answer *a)
{
	struct sess *s = op->op.sess;
	struct next_pub next = {a->tail, a->first, a->last};
	const struct cmd_subscribe_result r = {
	    .positioned = true,
	    .recoverable = op->recoverable,
	    .was_recovering = op->wait.recover,
	    .recovered = a->recovered,
	    .epoch = a->epoch,
	    .offset = a->recovered ? op->wait.offset : a->top,
	    .publications = a->first > a->last ? NULL : next_pub,
	    .publications_arg = &next,
	};

	cmd_json_subscribe(&s->env->out, op->op.id, &r);
	sess_send_out(s, SESS_BEFORE);
}

static void
on_answer(struct stream_wait *w, const struct stream_answer *a)
{
	struct sub_op *op = BASE_CONTAINER(w, struct sub_op, wait);
	struct sess *s = op->op.sess;
	const struct base_slice name = {op->chan->name, op->chan->name_len};
	const struct conf_namespace *ns = chan_namespace(s->env->channels, name);
	int64_t slot = hub_slot(op->chan, s);
	enum proto_error error = a->code;

	base_assert(slot >= 0);
	if (error == 0 && w->recover)
		count_recovery(s, a);
	if (error == 0 && w->recover && !a->recovered && op->reject)
		error = PROTO_ERROR_UNRECOVERABLE;
	/* A reload may have taken its namespace away. */
	if (error == 0 && ns == NULL)
		error = PROTO_ERROR_UNKNOWN_CHANNEL;
	if (error != 0) {
		sess_reply_error_text(s, op->op.id, error, a->text);
		sess_sub_remove(s, (uint32_t)slot);
	} else {
		reply_placed(op, a);
		admitted(s, (uint32_t)slot, ns);
	}
	sess_op_free(&op->op);
}

static void
cancel(struct sess_op *op)
{
	stream_quit(&((struct sub_op *)(void *)op)->wait);
}

/* Subscribed at SLOT, and marked as waiting. */
static void
find_place(struct sess *s, const struct cmd *cmd, uint32_t slot,
    const struct conf_namespace *ns, bool recoverable)
{
	const struct cmd_subscribe *c = &cmd->subscribe;
	struct hub_chan *chan = s->subs[slot].chan;
	struct stream *stream = stream_join(s->env->streams, chan, ns);
	struct sub_op *op = (struct sub_op *)(void *)sess_op_new(s, sizeof(*op), cmd);

	hub_sub(s, slot)->flags |= HUB_WAITING | HUB_PLACED;
	if (op == NULL) {
		sess_sub_remove(s, slot);
		sess_reply_error(s, cmd->id, PROTO_ERROR_TOO_MANY_REQUESTS);
		return;
	}
	op->op.cancel = cancel;
	op->chan = chan;
	op->recoverable = recoverable;
	op->reject = (c->flag & FLAG_REJECT) != 0;
	op->wait.fn = on_answer;
	op->wait.recover = recoverable && c->recover;
	op->wait.cache = ns->cache_recovery;
	op->wait.offset = c->offset;
	op->wait.any_epoch = c->epoch.len == 0;
	/* One of another length is nobody's: it stays empty. */
	if (c->epoch.len == sizeof(op->wait.epoch))
		memcpy(op->wait.epoch, c->epoch.p, c->epoch.len);
	stream_ask(stream, &op->wait);
}

static void
reply_plain(struct sess *s, uint32_t id, bool recover)
{
	const struct cmd_subscribe_result r = {.was_recovering = recover};

	cmd_json_subscribe(&s->env->out, id, &r);
	sess_send_out(s, SESS_BEFORE);
}

static bool
gets_joins(const struct sess *s, const struct conf_namespace *ns,
    const struct cmd_subscribe *c)
{
	if (ns->join_leave == CONF_MODE_OPTIONAL)
		return c->join_leave && chan_may_see(ns, sess_user(s), true);
	return ns->join_leave == CONF_MODE_ON;
}

static void
subscribe(struct sess *s, const struct cmd *cmd, const struct conf_namespace *ns,
    uint64_t hash)
{
	const struct cmd_subscribe *c = &cmd->subscribe;
	struct sess_env *env = s->env;
	bool history = ns->history_size > 0;
	bool reader = history && chan_may_read(ns, sess_user(s), true);
	bool recoverable = history && granted(ns->recover, c->recoverable, reader);
	bool placed = recoverable ||
	    (history && granted(ns->position, c->positioned, reader));
	uint32_t slot = s->n_subs;

	hub_subscribe(env->hub, s, c->channel, hash);
	stat_add(env->stat, subscriptions, 1);
	stat_set(env->stat, channels, hub_channels(env->hub));
	if (gets_joins(s, ns, c))
		hub_sub(s, slot)->flags |= HUB_JOINS;
	if (placed) {
		find_place(s, cmd, slot, ns, recoverable);
	} else {
		reply_plain(s, cmd->id, c->recover);
		admitted(s, slot, ns);
	}
}

void
sess_cmd_subscribe(struct sess *s, const struct cmd *cmd)
{
	const struct cmd_subscribe *c = &cmd->subscribe;
	const struct conf_namespace *ns;
	uint64_t hash;

	if (c->channel.len == 0 ||
	    (c->delta.len > 0 &&
		(c->delta.len != 6 || memcmp(c->delta.p, "fossil", 6) != 0))) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	hash = hub_hash(s->env->hub, c->channel);
	ns = admit(s, cmd, hash);
	if (ns != NULL)
		subscribe(s, cmd, ns, hash);
}

/* ---- unsubscribe ---- */

/*
 * The subscribe command for CHAN was not answered yet: it is answered as if it had no
 * position, which nobody will miss, for the subscription ends with the next reply.
 */
static void
answer_early(struct sess *s, const struct hub_chan *chan)
{
	for (struct sess_op *it = s->ops; it != NULL; it = it->next) {
		struct sub_op *op = (struct sub_op *)(void *)it;

		if (it->kind != CMD_SUBSCRIBE || op->chan != chan)
			continue;
		reply_plain(s, it->id, op->wait.recover);
		sess_op_drop(it);
		return;
	}
}

void
sess_cmd_unsubscribe(struct sess *s, const struct cmd *cmd)
{
	const struct base_slice name = cmd->channel.channel;
	struct hub *hub = s->env->hub;
	struct hub_chan *chan;
	int64_t slot;

	if (name.len == 0) {
		sess_disconnect(s, PROTO_DISCONNECT_BAD_REQUEST);
		return;
	}
	chan = hub_find(hub, name, hub_hash(hub, name));
	slot = hub_slot(chan, s);
	if (slot >= 0) {
		if ((hub_sub(s, (uint32_t)slot)->flags & HUB_WAITING) != 0)
			answer_early(s, chan);
		sess_sub_remove(s, (uint32_t)slot);
	}
	sess_reply_empty(s, cmd->id, CMD_UNSUBSCRIBE, SESS_REPLY);
}
