/*
 * role_loop: what every child of the master does alike: an event loop that sleeps on
 * the ring's wake-up protocol, the master's messages and signals, and a look around
 * once a second.
 *
 * A turn: arm, sleep until something comes, disarm, ops->turn.  Whatever a role has
 * to do beside its own events it does in turn, so that one wake-up serves all that
 * came meanwhile.
 */
#ifndef ROLE_ROLE_LOOP_H
#define ROLE_ROLE_LOOP_H

#include <event2/event.h>

#include "base/base_log.h"
#include "ipc/ipc_child.h"
#include "ring/ring_wake.h"

/* What a role does; NULL where it says so. */
struct role_ops {
	/*
	 * Takes over all of FRESH, or nothing: 0, or -1 with a text in ERR.  After 0
	 * nothing may point to the old one (ipc->conf until then), which the loop
	 * frees; log_level and log_target are the loop's affair.
	 */
	int (*conf)(void *arg, const struct conf *fresh, char *err, size_t errlen);
	/* NULL: nobody is told.  The process is reaped; may come twice. */
	void (*gone)(void *arg, unsigned slot, uint64_t generation);
	/* SIGTERM: end in good order, by role_loop_end. */
	void (*drain)(void *arg);
	/* SIGQUIT, or the master is dead: the turn at hand is the last one. */
	void (*stop)(void *arg);
	/* After the events of a turn.  True: there is more to do, do not sleep. */
	bool (*turn)(void *arg);
	/* NULL: no.  The flag is up: did something come in that wakes nobody again? */
	bool (*pending)(void *arg);
	/* NULL: nothing.  The once-a-second look followed a sleep that nobody ended. */
	void (*missed)(void *arg);
	int tick_ms; /* a turn at least so often; 0: once a second */
};

struct role_loop {
	struct ipc_env *ipc;
	const struct role_ops *ops;
	void *arg;
	enum base_log_subsystem log;
	struct event_base *base;
	struct ring_reader *reader; /* the lanes that it reads; NULL: none */
	struct event *events[8];
	size_t n_events;
	int spare_fd; /* see give_spare in role_loop.c; -1: none */
	bool belt; /* a second went by */
	bool done;
};

/* Makes the loop, and confines this process to what its slot may write. */
void role_loop_init(struct role_loop *l, struct ipc_env *ipc,
    enum base_log_subsystem log, const struct role_ops *ops, void *arg);

/* Tells the master that this process serves, and goes on until role_loop_end. */
void role_loop_run(struct role_loop *l);
/* The turn at hand is the last one. */
void role_loop_end(struct role_loop *l);

/* Frees the loop, the configuration and the segment: all else goes before. */
void role_loop_fini(struct role_loop *l);

/* Logs WHY this process cannot start, and exits with IPC_EXIT_FATAL. */
void role_loop_fail(const struct role_loop *l, const char *why) BASE_NORETURN;

#endif
