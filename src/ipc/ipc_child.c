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

#include "base/base_log.h"
#include "base/base_rand.h"

/* The master handles its signals by a descriptor: no handler is there to inherit. */
static void
set_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGPIPE, SIGUSR1, SIGUSR2};
	sigset_t none;

	for (size_t i = 0; i < BASE_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * A child stops at the end of file from its master; the kernel's signal is for one
 * that hangs and does not read.  It comes last, for a change of user clears it.
 */
static void
bind_to_master(pid_t master)
{
	prctl(PR_SET_PDEATHSIG, SIGQUIT, 0, 0, 0);
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
	if (start->user != NULL && base_proc_user_become(start->user) < 0) {
		log_error(LOG_MASTER, "cannot become user %s: %s", start->user->name,
		    strerror(errno));
		_exit(IPC_EXIT_FATAL);
	}
	bind_to_master(start->master);
	set_signals();
}
