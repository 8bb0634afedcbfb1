/*
 * net_util: see the header.
 */
#include "config.h"

#include "net_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_parse.h"

struct net_world net_world;

static struct conf *
make_conf(const char *options)
{
	struct base_buf errors = {0};
	struct conf *conf;
	char text[1024];

	snprintf(text, sizeof(text),
	    "listen \"l\" { address = \"127.0.0.1:1\" }\n"
	    "namespace \"\" { subscribe = \"anyone\" publish = \"anyone\" }\n"
	    "workers = 1\nring_size = \"1m\"\nallow_anonymous = on\n%s\n",
	    options);
	conf = conf_parse_text(text, "test", &errors);
	if (conf == NULL)
		fail_msg("%.*s", (int)errors.len, errors.p);
	return conf;
}

void
net_world_start(unsigned workers, const char *options)
{
	const struct ring_geom geom = {.slots = workers + 1,
	    .lanes = workers + 1,
	    .lane_size = 1 << 20,
	    .queue_size = 1 << 20,
	    .interest_buckets = 64,
	    .stat_size = 4096};
	struct net_world *w = &net_world;
	char err[256];

	memset(w, 0, sizeof(*w));
	w->conf = make_conf(options);
	assert_int_equal(ring_seg_create(&geom, &w->env.seg, err, sizeof(err)), 0);
	ring_lane_open(w->env.seg, 0, &w->env.lane);
	ring_interest_open(w->env.seg, 0, &w->interest);
	ring_reader_new(w->env.seg, &w->reader);
	w->channels = chan_table_new(w->conf);
	w->env.ops = &net_sess_ops;
	w->env.conf = w->conf;
	w->env.channels = w->channels;
	w->env.hub = hub_new(ring_seg_key(w->env.seg), w->interest);
	w->env.n_workers = workers;
	w->env.stat = ring_seg_stats(w->env.seg, 0);
	w->fan = fan_new(w->env.seg, 0, w->env.hub, w->reader, w->env.stat);
	assert_int_equal(sess_env_open(&w->env, w->fan, 1, err, sizeof(err)), 0);
	net_init(&w->net, event_base_new(), &net_sess_app, &w->env, w->fan);
}

void
net_world_stop(void)
{
	struct net_world *w = &net_world;
	struct event_base *base = w->net.base;

	net_fini(&w->net);
	assert_int_equal(fan_kept_bytes(w->fan), 0);
	assert_int_equal(w->net.in_bytes, 0);
	assert_int_equal(stat_get(w->env.stat, connections), 0);
	assert_int_equal(stat_get(w->env.stat, clients), 0);
	assert_int_equal(stat_get(w->env.stat, subscriptions), 0);
	assert_int_equal(stat_get(w->env.stat, channels), 0);
	assert_int_equal(stat_get(w->env.stat, output_bytes), 0);
	assert_int_equal(stat_get(w->env.stat, input_bytes), 0);
	sess_env_close(&w->env);
	fan_free(w->fan);
	hub_free(w->env.hub);
	sess_env_free(&w->env);
	chan_table_free(w->channels);
	ring_reader_free(w->reader);
	ring_interest_close(w->interest);
	ring_lane_close(w->env.lane);
	ring_seg_free(w->env.seg);
	conf_free(w->conf);
	event_base_free(base);
}

void
net_world_turn(void)
{
	event_base_loop(net_world.net.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	while (net_turn(&net_world.net))
		;
}
