/*
 * ipc_child: see the header.
 */
#include "config.h"

#include "ipc/ipc_child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/base_fail.h"
#include "base/base_log.h"
#include "base/base_rand.h"

/* The master handles its signals by a descriptor: no handler is there to inherit. */
static void
set_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGPIPE, SIGUSR1, SIGXFSZ};
	sigset_t none;

	for (size_t i = 0; i < BASE_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * A child stops at the end of file from its master.  One that hangs does not read
 * it: the kernel's signal then sets an alarm that nobody handles.
 */
static pid_t master_pid;

static void
on_orphan(int sig BASE_UNUSED)
{
	if (getppid() != master_pid)
		alarm(IPC_ORPHAN_S);
}

/* Comes after the change of user, which would undo it. */
static void
bind_to_master(pid_t master)
{
	struct sigaction sa = {.sa_handler = on_orphan, .sa_flags = SA_RESTART};

	master_pid = master;
	sigaction(SIGUSR2, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0);
	if (getppid() != master)
		_exit(IPC_EXIT_OK);
}

void
ipc_child_begin(const struct ipc_child_start *start)
{
	for (size_t i = 0; i < start->n_close_fds; i++)
		if (start->close_fds[i] >= 0)
			close(start->close_fds[i]);
	if (start->drop_stderr)
		base_proc_drop_stderr();
	base_proc_title(start->comm, "%s", start->title);
	base_rand_forked();
	if (start->user != NULL &&
	    (BASE_FAIL("ipc.user") || base_proc_user_become(start->user) < 0)) {
		log_error(LOG_MASTER, "cannot become user %s: %s", start->user->name,
		    strerror(errno));
		_exit(IPC_EXIT_FATAL);
	}
	bind_to_master(start->master);
	set_signals();
}
