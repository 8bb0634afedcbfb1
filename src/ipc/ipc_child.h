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
 * one from a terminal reaches the master alone.  Until the role has put its own
 * handlers in place, SIGTERM and SIGQUIT end it and SIGUSR1 is ignored: the
 * master holds that one back until the child is ready.  SIGUSR2 and SIGALRM are
 * taken: a child that hangs when its master dies is ended by them.
 *
 * Exit codes: 0 as asked; 2 an error that starting again will not cure (the
 * master then stops the whole daemon if it never came up, else backs off as
 * usual); any other, or a signal: started again with back-off.
 */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include "base/base_proc.h"
#include "conf/conf_set.h"
#include "ring/ring_seg.h"

#define IPC_EXIT_OK    0
#define IPC_EXIT_FATAL 2

/* Bytes of a process's counter page (ring_geom.stat_size). */
#define IPC_STAT_SIZE 4096

/* A child whose master is dead is ended after so many seconds if it still runs. */
#define IPC_ORPHAN_S 5

struct ipc_listener {
	int fd; /* non-blocking, listening, TCP_NODELAY set (inherited by accept) */
	const struct conf_listen *conf; /* its section in ipc_env.conf */
};

struct ipc_env {
	struct conf *conf; /* the child owns it from the fork on */
	struct ring_seg *seg; /* mapped; the child confines itself */
	unsigned slot; /* its number: lane, queues, counters, eventfd (ring_geom) */
	unsigned n_workers; /* slots 0 to n_workers - 1 */
	uint64_t generation; /* starts of this slot so far; 1 for the first */
	int ctl_fd; /* to the master, non-blocking */
	int64_t started_s; /* when the daemon was started, since 1970 */
	size_t beat_at; /* in its page of counters: gauge of its last sign of life */
	struct ipc_listener *listeners;
	size_t n_listeners;
	int control_fd; /* the control socket, as a listener; -1: it does not get it */
	gid_t control_gid; /* of those who may use it beside us; -1: nobody */
};

/* What the master says about a child that it has just forked. */
struct ipc_child_start {
	const char *comm; /* short title (base_proc_title), at most 15 bytes */
	const char *title;
	pid_t master;
	const struct base_proc_user *user; /* NULL: stay who we are */
	bool drop_stderr; /* the master has no terminal */
	const int *close_fds; /* the master's own; -1 is passed over */
	size_t n_close_fds;
};

/*
 * In the child, right after the fork, with all signals blocked: closes the
 * master's descriptors, sets signals as said above, takes the title, drops the
 * privileges.  Does not return when that fails: exits with IPC_EXIT_FATAL.
 */
void ipc_child_begin(const struct ipc_child_start *start);

#endif
