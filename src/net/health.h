/*
 * health: how the daemon fares, from the counters of all its processes.
 *
 * Whoever asks gets the same from each worker: nothing is asked of another process,
 * so an answer comes however the others fare.
 */
#ifndef NET_HEALTH_H
#define NET_HEALTH_H

#include "net/net.h"

enum health {
	HEALTH_OK,
	HEALTH_DEGRADED, /* clients are served, but something needs an operator */
	HEALTH_FAILING,  /* they are not */
};

/*
 * Appends the members "status", "reasons", "connections", "spool", "archive",
 * "history", "presence" and "memory" to the object that OUT ends with.
 */
enum health health_json(struct base_buf *out, const struct net *net);

/* What the spool holds and how it drains, as the member "spool" and those of it that
 * are about the store. */
void health_spool_json(struct base_buf *out, const struct net *net);
void health_archive_json(struct base_buf *out, const struct net *net);

#endif
