/*
 * base_proc: what makes a process a daemon: its title, detaching from the
 * terminal, the pid file, another user, its limits.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include "base/base_defs.h"

/*
 * Closes what the process that started us left open, and puts /dev/null where a
 * standard descriptor is missing, so that no file of ours gets its number.
 */
void base_proc_fds_init(void);

/*
 * Moves the arguments and the environment elsewhere, so that their memory can
 * hold the title that ps shows.  *ARGV is set to the copy; pointers into the old
 * one are void.  Call it once, at the start of main.
 */
void base_proc_title_init(int argc, char ***argv);

/*
 * Sets the title that ps -f shows, cut to the memory that there is, and COMM (at
 * most 15 bytes), which top and pgrep show.
 */
void base_proc_title(const char *comm, const char *fmt, ...) BASE_PRINTF(2, 3);

/*
 * Goes on in a grandchild without a terminal, in a session of its own, with
 * standard input and output at /dev/null.  Standard error stays until
 * base_proc_started.  Returns a descriptor for that call, or -1 with errno.
 *
 * The process that was started waits: it exits with the code that
 * base_proc_started gives it, or with 1 when the daemon dies before that.
 */
int base_proc_daemonise(void) BASE_MUST_CHECK;

/* Lets the waiting process exit with CODE; closes FD and lets go of standard error. */
void base_proc_started(int fd, int code);

/* Points standard error at /dev/null, for a process without a terminal. */
void base_proc_drop_stderr(void);

/*
 * The pid file of a running daemon, locked (fcntl) by the process that took it.
 * The lock dies with that process, so a file left behind by a crash stops nobody.
 * It also goes when that process opens and closes the file a second time: don't.
 */
struct base_proc_pidfile {
	int fd; /* -1: not taken */
	char *path;
};

/*
 * Takes PATH for this process and writes its pid.  0, or -1 with a text in ERR,
 * which names the pid of the daemon that has it.
 */
int base_proc_pidfile_take(struct base_proc_pidfile *pf, const char *path, char *err,
    size_t errlen) BASE_MUST_CHECK;

/* Removes the file and lets go of the lock. */
void base_proc_pidfile_drop(struct base_proc_pidfile *pf);

/* In a forked child: forgets the file, which stays its parent's. */
void base_proc_pidfile_forked(struct base_proc_pidfile *pf);

/* A user as the databases had it when it was looked up. */
struct base_proc_user {
	char *name; /* NULL: none */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* gid is one of them */
	int n_groups;
};

/* 0, or -1 with a text in ERR. */
int base_proc_user_find(const char *name, struct base_proc_user *user, char *err,
    size_t errlen) BASE_MUST_CHECK;
void base_proc_user_free(struct base_proc_user *user);

/*
 * Makes the directory PATH for USER alone (NULL, or without a name: for who we are),
 * if it is not there.  0, or an errno.
 */
int base_proc_make_dir(
    const char *path, const struct base_proc_user *user) BASE_MUST_CHECK;

/*
 * Becomes USER for good, with its groups and no others.  0, or -1 with errno;
 * then the process is in between, and must exit.
 */
int base_proc_user_become(const struct base_proc_user *user) BASE_MUST_CHECK;

/*
 * Raises the limit of open files of process PID (0: this one) as far as it goes:
 * to its hard limit, and to NEED if that is more and the process may.  Returns
 * the limit that holds then.
 */
uint64_t base_proc_nofile(pid_t pid, uint64_t need);

/* Processors that this process may run on; at least 1. */
unsigned base_proc_cpus(void);

#endif
