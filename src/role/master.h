/*
 * master: the process that an operator starts and signals.
 *
 * It reads the configuration, opens the listening sockets, reserves the shared
 * segment, forks the workers and keeps them running.  It touches no client's
 * bytes, stays out of the shared memory once the workers run, and never blocks:
 * what may (reading the files again) is done by a child.
 */
#ifndef ROLE_MASTER_H
#define ROLE_MASTER_H

#include "base/base_defs.h"

/* THE signal table: X(NAME, "what chatd does"). */
#define MASTER_SIGNALS(X) \
	X(HUP, "read the configuration again and apply it; a bad one changes nothing") \
	X(TERM, "stop: tell the clients to reconnect over drain_time; twice: as QUIT") \
	X(INT, "as TERM") \
	X(QUIT, "stop at once") \
	X(USR1, "open the log file again, after it was moved away") \
	X(USR2, "nothing: replacing the program in place is not available")

struct master_opts {
	const char *conf_path; /* absolute, as a reload must find it too */
	bool foreground; /* stay with the terminal; else become a daemon */
};

/*
 * Runs chatd until it is told to stop.  Returns the exit code.  As a daemon it
 * returns in the daemon; the process that was started has exited.
 */
int master_run(const struct master_opts *opts);

#endif
