/*
 * ipc_child: the contract between the master and a process that it forked.
 *
 * A child inherits the memory of the master as it was at the fork: the
 * configuration, the mapped segment, and these descriptors.  It closes what is
 * not named here, drops its privileges, and calls its role's main, which does
 * not return.
 *
 * The two talk over one socket pair (ipc_msg.h).  End of file on it means that
 * the other is dead: a child then stops at once (clients are told to reconnect
 * as far as their sockets take it).
 *
 * Signals to a child come only from the master: SIGTERM drain and exit, SIGQUIT
 * stop at once, SIGUSR1 reopen the log.  SIGHUP and SIGINT are ignored, so that
 * one from a terminal reaches the master alone.
 *
 * Exit codes: 0 as asked; 2 an error that starting again will not cure (the
 * master then stops the whole daemon if it never came up, else backs off as
 * usual); any other, or a signal: started again with back-off.
 */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include "conf/conf_set.h"
#include "ring/ring_seg.h"

#define IPC_EXIT_OK    0
#define IPC_EXIT_FATAL 2

struct ipc_listener {
	int fd; /* non-blocking, listening, TCP_NODELAY set (inherited by accept) */
	const struct conf_listen *conf; /* its section in ipc_env.conf */
};

struct ipc_env {
	struct conf *conf; /* the child owns it from the fork on */
	struct ring_seg *seg; /* mapped; the child confines itself */
	unsigned slot; /* its number: lane, counters, eventfd */
	unsigned n_workers;
	uint64_t generation; /* starts of this slot so far; 1 for the first */
	int ctl_fd; /* to the master, non-blocking */
	struct ipc_listener *listeners;
	size_t n_listeners;
};

#endif
