/*
 * role: the kinds of processes that the master keeps running.
 *
 * THE table of them is in role.c.  Their slots in the shared segment are fixed for
 * the life of the daemon: the workers, then the broker, then the archiver, whether it
 * runs or not (ring_geom).
 */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include "ipc/ipc_child.h"

struct role {
	const char *name;
	/* Serves until it is told to stop; does not return: exits by IPC_EXIT_*. */
	void (*main)(struct ipc_env *ipc) BASE_NORETURN;
	/* Whether CONF has work for it, and whether it rules out that there is any; in
	 * between, one that is there stays.  NULL: always, and never. */
	bool (*wanted)(const struct conf *conf);
	bool (*unwanted)(const struct conf *conf);
	/* Whether FRESH is taken over by a new process alone; NULL: never. */
	bool (*renewed)(const struct conf *old, const struct conf *fresh);
	/* Sets the gauges on its page of counters when it is dead, and whether it comes
	 * BACK; NULL: they tell of what it has left on the disk. */
	void (*reset)(void *page, bool back);
	size_t beat_at; /* offset there of the gauge that says when it last moved */
	bool many; /* there is one for each of conf's workers, with a number */
	bool awaited; /* the daemon is up only when it is */
	bool listens; /* it gets the listening sockets */
	bool told_gone; /* it gets IPC_GONE of all others */
	/* At SIGTERM all of one turn have ended before the next ones are told to. */
	unsigned stop_turn;
};

#define ROLE_STOP_TURNS 3

/* Slots beside those of workers. */
#define ROLE_SINGLES 2

/* The role of SLOT in a daemon with N_WORKERS. */
const struct role *role_of_slot(unsigned slot, unsigned n_workers);

#endif
