/*
 * sess_env: what sessions share that speaks with the broker.
 */
#include "config.h"

#include "core/fan.h"
#include "core/order.h"
#include "core/present.h"
#include "core/roster.h"
#include "core/sess.h"
#include "core/stream.h"

void
sess_env_free(struct sess_env *env)
{
	base_buf_free(&env->out);
	base_buf_free(&env->text);
	base_buf_free(&env->frame);
}

static void
on_broker_new(void *arg)
{
	struct sess_env *env = arg;

	present_again(env->present);
	streams_broker_new(env->streams);
}

static void
on_channels(void *arg, const struct order_msg *msg)
{
	struct sess_env *env = arg;

	roster_ask(env->roster, msg);
}

static const struct order_events events = {
    .broker_new = on_broker_new,
    .channels = on_channels,
};

void
sess_env_limits(struct sess_env *env)
{
	/* An answer has some bytes more than the publications in it. */
	order_limits(env->order, env->conf->broker_timeout,
	    (size_t)env->conf->history_reply * 2);
}

int
sess_env_open(struct sess_env *env, struct fan *fan, uint64_t generation, char *err,
    size_t errlen)
{
	const struct order_env order = {
	    .seg = env->seg,
	    .slot = env->worker,
	    .generation = generation,
	    .stat = env->stat,
	    .wake_mask = &env->wake_mask,
	};

	if (order_new(&order, &env->order, err, errlen) < 0)
		return -1;
	env->fan = fan;
	env->generation = generation;
	env->streams = streams_new(env);
	env->present = present_new(env);
	env->roster = roster_new(env);
	fan_set_streams(fan, env->streams);
	order_listen(env->order, &events, env);
	sess_env_limits(env);
	return 0;
}

void
sess_env_close(struct sess_env *env)
{
	streams_free(env->streams);
	present_free(env->present);
	roster_free(env->roster);
	order_free(env->order);
	env->streams = NULL;
	env->present = NULL;
	env->roster = NULL;
	env->order = NULL;
}

bool
sess_env_turn(struct sess_env *env)
{
	bool more;

	if (env->order == NULL)
		return false;
	streams_turn(env->streams);
	more = order_turn(env->order, env->now_ms);
	more = present_turn(env->present) || more;
	more = roster_turn(env->roster) || more;
	return streams_pending(env->streams) || more;
}
