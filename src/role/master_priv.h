/*
 * master_priv: what the files of the master share.  Nobody else includes it.
 *
 * master.c         start, signals, the loop
 * master_child.c   children: start, end, back-off, what they say and are told
 * master_conf.c    reading the configuration again
 * master_dirs.c    directories and the pid file
 * master_listen.c  listening sockets
 * master_stop.c    signals to children, and the order in which they end
 */
#ifndef ROLE_MASTER_PRIV_H
#define ROLE_MASTER_PRIV_H

#include "base/base_buf.h"
#include "base/base_proc.h"
#include "base/base_unix.h"
#include "ipc/ipc_child.h"
#include "role/master.h"
#include "role/role.h"

enum master_stage {
	MASTER_RUN,
	MASTER_DRAIN, /* SIGTERM sent to those whose turn it is (stop_turn) */
	MASTER_QUIT, /* SIGQUIT sent */
	MASTER_KILL, /* SIGKILL sent: their time was over */
};

/* A slot and the process that owns it. */
struct master_child {
	const struct role *role;
	unsigned slot;
	char name[16]; /* "worker 0", "broker" */
	pid_t pid; /* 0: none, and start_at says when there will be one */
	int ctl_fd; /* our end; -1: none, or given up */
	uint64_t generation; /* starts so far */
	int64_t started_ms, ready_ms; /* ready_ms 0: not yet */
	int64_t start_at; /* when to start it again */
	int64_t kill_at; /* it has until then to end; 0: nobody wants it to */
	bool wanted; /* by the configuration */
	bool stopping; /* it was told to end, while the daemon goes on */
	int64_t delay_ms; /* back-off of the next start */
	uint64_t conf_forked; /* number of the configuration at its start */
	uint64_t conf_sent; /* of the last one that it was given */
	uint64_t conf_done; /* of the one that it says is in force; 0: not ready */
	unsigned log_turn; /* master.log_turn that its log is at */
	/* Generation of the last one that was reaped, and of the last one that the
	 * broker knows to be dead. */
	uint64_t gone, gone_told;
};

/* The configuration on its way from the file to the children. */
struct master_reload {
	pid_t pid; /* the checker; 0: none */
	int fd; /* memfd that it packs into */
	int64_t deadline;
	bool again; /* SIGHUP came while it ran */
};

struct master {
	const struct master_opts *opts;
	struct conf *conf;
	uint64_t conf_number; /* counts from 1 */
	uint64_t conf_announced; /* in force in all children, and logged */
	int conf_fd; /* sealed pack of conf; -1 while the first one holds */
	struct master_reload reload;
	struct base_proc_user user; /* name NULL: no change of user */
	struct base_proc_pidfile pidfile;
	struct ring_seg *seg;
	struct ipc_listener *listeners; /* in the order of conf->listens */
	size_t n_listeners;
	struct base_unix_socket control;
	gid_t control_gid; /* of control_group; -1: none */
	int64_t started_s; /* since 1970 */
	unsigned n_workers;
	struct master_child *children; /* one for each slot */
	unsigned n_children;
	enum master_stage stage;
	unsigned stop_turn; /* of DRAIN: whose turn it is (struct role) */
	int64_t deadline; /* of the stage; in RUN: of the start, 0 once up */
	bool up; /* all that are awaited were ready once */
	bool log_elsewhere; /* the log does not go to standard error */
	int exit_code;
	int signal_fd;
	int start_fd; /* base_proc_daemonise; -1: nobody waits */
	unsigned log_turn; /* times that the log was opened again */
	pid_t pid;
};

/* ---- master.c ---- */

/* Logs an error, and shows it to whoever started us and waits. */
void master_error(const struct master *m, const char *fmt, ...) BASE_PRINTF(2, 3);
/* What log_target means for this process. */
void master_conf_localise(const struct master *m, struct conf *conf);
/* 0, or -1 after master_error; then the log stays where it was. */
int master_log_open(struct master *m, const struct conf *conf);
/* Makes room for max_connections, in the workers that run too. */
void master_raise_nofile(const struct master *m);
/*
 * In a forked child: starts a life of its own (ipc_child_begin).  KEEP_FD is the
 * one of the master's own descriptors that stays open, or -1.
 */
void master_child_begin(struct master *m, const char *comm, const char *title,
    bool drop_user, int keep_fd);
/* All that are awaited were ready for the first time. */
void master_up(struct master *m);

/* ---- master_child.c ---- */

#define FOREACH_CHILD(m, c)                             \
	for (struct master_child *c = (m)->children;    \
	    c != (m)->children + (m)->n_children; c++)

void master_children_init(struct master *m);
void master_children_free(struct master *m);
/* CONF is the one that counts from now on. */
void master_children_want(struct master *m, const struct conf *conf);
/* Starts those whose time has come. */
void master_children_start(struct master *m, int64_t now);
/* PID has ended with STATUS.  False: it is none of the children. */
bool master_child_ended(struct master *m, pid_t pid, int status);
/* Its control socket has something to read. */
void master_child_read(struct master *m, struct master_child *c);
/* Gives the configuration to those that have an older one, and tells the broker who
 * is gone. */
void master_children_tell(struct master *m);
unsigned master_children_alive(const struct master *m);
/* Earliest time at which something is due, or NEXT if that is earlier. */
int64_t master_children_next(const struct master *m, int64_t now, int64_t next);

/* ---- master_stop.c ---- */

/* Tells those that are ready to open the log again. */
void master_children_reopen(struct master *m);
/* FRESH replaces OLD: ends those that it does not want, or that only a new process
 * takes it over for; starts of others come at once. */
void master_children_renew(struct master *m, const struct conf *old,
    const struct conf *fresh);
/* Starts to stop the daemon, or hurries it; STAGE is DRAIN or QUIT. */
void master_stop(struct master *m, enum master_stage stage);
/* At each turn of the loop: the next ones to stop; kills those whose time is over. */
void master_children_check(struct master *m, int64_t now);

/* ---- master_dirs.c ---- */

/* The user that children run as, by whom state_dir must be writable. */
int master_find_user(struct master *m);
/* Makes run_dir and state_dir if need be, and takes the pid file.  0, or -1 after
 * master_error. */
int master_dirs_take(struct master *m);

/* ---- master_conf.c ---- */

/* Logs each line of TEXT at LEVEL. */
void master_conf_log(enum base_log_level level, const struct base_buf *text);
/* The configuration to start with, or NULL after lines on standard error. */
struct conf *master_conf_first(const char *path);
/* SIGHUP. */
void master_conf_reload(struct master *m);
/* PID has ended with STATUS.  False: it is not the checker. */
bool master_conf_ended(struct master *m, pid_t pid, int status);
/* Gives up a checker whose time is over, or (NOW INT64_MAX) any. */
void master_conf_check_time(struct master *m, int64_t now);

/* ---- master_listen.c ---- */

/* Opens the sockets of all listen sections, and the control socket.  0, or -1 after
 * master_error. */
int master_listen_open(struct master *m);
/* Points the listeners at their sections of FRESH, which replaces m->conf. */
void master_listen_rebind(struct master *m, const struct conf *fresh);
/* In a child that does not serve clients: their files stay. */
void master_listen_forget(struct master *m);
void master_listen_close(struct master *m);

#endif
