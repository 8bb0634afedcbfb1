/*
 * net_util: a worker's connection layer without a process of its own.
 */
#ifndef UNIT_NET_UTIL_H
#define UNIT_NET_UTIL_H

#include "net/net.h"

extern struct net_world {
	struct conf *conf;
	struct sess_env env;
	struct chan_table *channels;
	struct ring_reader *reader;
	struct ring_interest *interest;
	struct fan *fan;
	struct net net;
} net_world;

/* It is worker 0 of so many; OPTIONS: lines of chat.conf. */
void net_world_start(unsigned workers, const char *options);

/* Ends it, with whatever clients it has, and checks that nothing is left of them. */
void net_world_stop(void);

/* One turn of the loop, which waits for nothing. */
void net_world_turn(void);

#endif
