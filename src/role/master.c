/*
 * master: see the header.
 */
#include "config.h"

#include "role/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "ring/ring_wake.h"
#include "role/master_priv.h"

/* All that are awaited are ready by then, or the start has failed. */
#define START_MS 60000
/* Descriptors of a worker beside its clients: log, loop, segment, eventfds. */
#define NOFILE_MARGIN 128

/* ---- services for the other files -------------------------------------- */

void
master_error(const struct master *m, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error(LOG_MASTER, "%s", text);
	if (!m->up && m->log_elsewhere)
		fprintf(stderr, "chatd: %s\n", text);
}

void
master_conf_localise(const struct master *m, struct conf *conf)
{
	if (m->opts->foreground || strcmp(conf->log_target, "stderr") != 0)
		return;
	/* A daemon has none. */
	free(conf->log_target);
	conf->log_target = base_strdup("syslog");
}

int
master_log_open(struct master *m, const struct conf *conf)
{
	uid_t uid = m->user.name != NULL ? m->user.uid : (uid_t)-1;
	gid_t gid = m->user.name != NULL ? m->user.gid : (gid_t)-1;
	char err[512];

	if (base_log_open(conf->log_target, uid, gid, err, sizeof(err)) < 0) {
		master_error(m, "cannot open the log: %s", err);
		return -1;
	}
	m->log_elsewhere = strcmp(conf->log_target, "stderr") != 0;
	return 0;
}

void
master_raise_nofile(const struct master *m)
{
	uint64_t need = (uint64_t)m->conf->max_connections + NOFILE_MARGIN;
	uint64_t got = base_proc_nofile(0, need);

	for (unsigned i = 0; m->children != NULL && i < m->n_children; i++)
		if (m->children[i].pid != 0)
			(void)base_proc_nofile(m->children[i].pid, need);
	if (got < need)
		log_warn(LOG_MASTER,
		    "too few open files for max_connections limit=%llu needed=%llu",
		    (unsigned long long)got, (unsigned long long)need);
}

void
master_child_begin(struct master *m, const char *comm, const char *title,
    bool drop_user, int keep_fd)
{
	int fds[RING_MAX_SLOTS + 4];
	size_t n = 0;

	for (unsigned i = 0; i < m->n_children; i++)
		fds[n++] = m->children[i].ctl_fd;
	fds[n++] = m->signal_fd;
	fds[n++] = m->start_fd;
	fds[n++] = m->conf_fd;
	fds[n++] = m->reload.fd == keep_fd ? -1 : m->reload.fd;
	base_proc_pidfile_forked(&m->pidfile);
	ipc_child_begin(&(struct ipc_child_start){.comm = comm,
	    .title = title,
	    .master = m->pid,
	    .user = drop_user && m->user.name != NULL ? &m->user : NULL,
	    .drop_stderr = !m->opts->foreground,
	    .close_fds = fds,
	    .n_close_fds = n});
}

void
master_up(struct master *m)
{
	m->up = true;
	m->deadline = 0;
	m->conf_announced = m->conf_number;
	log_info(LOG_MASTER, "up workers=%u", m->n_workers);
	if (m->start_fd >= 0)
		base_proc_started(m->start_fd, 0);
	m->start_fd = -1;
}

/* ---- start ------------------------------------------------------------- */

/* Paths in the configuration count from its directory, wherever we were started. */
static int
enter_directory(const char *conf_path)
{
	size_t len = (size_t)(strrchr(conf_path, '/') - conf_path);
	char *dir = base_memdup(conf_path, len);
	int r = chdir(dir[0] != 0 ? dir : "/");

	if (r < 0)
		fprintf(stderr, "chatd: %s: %s\n", dir, strerror(errno));
	free(dir);
	return r;
}

/* Signals are read from a descriptor: nothing is ever interrupted by one. */
static int
open_signals(struct master *m)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
#define X(name, text) sigaddset(&set, SIG##name);
	MASTER_SIGNALS(X)
#undef X
	/* Ignored by whoever started us, it would hide the end of our children. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	/* A log that may not grow any more must not stop the chat. */
	signal(SIGXFSZ, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -1;
	m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return m->signal_fd < 0 ? -1 : 0;
}

static void
warn_user(const struct master *m)
{
	bool root = geteuid() == 0;

	if (root && (m->user.name == NULL || m->user.uid == 0))
		log_warn(LOG_MASTER, "children run as root: set user in %s",
		    m->opts->conf_path);
	if (!root && m->conf->user[0] != 0)
		log_warn(LOG_MASTER,
		    "not started by root: the user is not changed user=%s",
		    m->conf->user);
}

static int
make_segment(struct master *m)
{
	/* Workers and the broker publish; the archiver, the last one, does not. */
	struct ring_geom geom = {.slots = m->n_children,
	    .lanes = m->n_workers + 1,
	    .lane_size = m->conf->ring_size,
	    .queue_size = m->conf->queue_size,
	    .interest_buckets = (uint64_t)m->conf->interest_buckets,
	    .stat_size = IPC_STAT_SIZE};
	char err[256];

	if (ring_seg_create(&geom, &m->seg, err, sizeof(err)) < 0) {
		master_error(m,
		    "cannot make the shared memory: %s "
		    "(ring_size %llu for each of %u workers and the broker, "
		    "queue_size %llu twice for each, interest_buckets %llu)",
		    err,
		    (unsigned long long)geom.lane_size, m->n_workers,
		    (unsigned long long)geom.queue_size,
		    (unsigned long long)geom.interest_buckets);
		return -1;
	}
	if (ring_wake_init(m->seg) == 0)
		return 0;
	master_error(m, "cannot make the eventfds of the ring: %s", strerror(errno));
	return -1;
}

static unsigned
count_workers(const struct conf *conf)
{
	if (conf->workers > 0)
		return (unsigned)conf->workers;
	return BASE_MIN(base_proc_cpus(), RING_MAX_SLOTS - ROLE_SINGLES);
}

static int
start(struct master *m)
{
	const char *name = strrchr(m->opts->conf_path, '/') + 1;

	base_log_set_level(m->conf->log_level);
	if (open_signals(m) < 0) {
		master_error(m, "cannot read signals: %s", strerror(errno));
		return -1;
	}
	if (master_find_user(m) < 0 || master_log_open(m, m->conf) < 0 ||
	    master_dirs_take(m) < 0)
		return -1;
	base_proc_title("chatd", "chatd: master (%s)", name);
	log_info(LOG_MASTER, "chatd " PACKAGE_VERSION " starts file=%s workers=%u",
	    m->opts->conf_path, m->n_workers);
	warn_user(m);
	if (master_listen_open(m) < 0 || make_segment(m) < 0)
		return -1;
	master_children_init(m);
	master_raise_nofile(m);
	m->started_s = (int64_t)time(NULL);
	m->deadline = base_time_ms() + START_MS;
	return 0;
}

/* ---- loop -------------------------------------------------------------- */

static void
reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!master_child_ended(m, pid, status) &&
		    !master_conf_ended(m, pid, status))
			log_debug(LOG_MASTER, "reaped a stranger pid=%ld", (long)pid);
}

static void
on_signal(struct master *m, int sig)
{
	switch (sig) {
	case SIGCHLD:
		reap(m);
		break;
	case SIGHUP:
		master_conf_reload(m);
		break;
	case SIGTERM:
	case SIGINT:
		log_info(LOG_MASTER, "stopping signal=SIG%s", sigabbrev_np(sig));
		master_stop(m, m->stage == MASTER_RUN ? MASTER_DRAIN : MASTER_QUIT);
		break;
	case SIGQUIT:
		log_info(LOG_MASTER, "stopping at once signal=SIGQUIT");
		master_stop(m, MASTER_QUIT);
		break;
	case SIGUSR1:
		/* Ours first: it makes the file, and gives it to the right user. */
		base_log_reopen();
		m->log_turn++;
		master_children_reopen(m);
		log_info(LOG_MASTER, "the log was opened again");
		break;
	case SIGUSR2:
		log_warn(LOG_MASTER, "replacing the program in place is not available");
		break;
	}
}

static void
read_signals(struct master *m)
{
	struct signalfd_siginfo si;

	while (read(m->signal_fd, &si, sizeof(si)) == sizeof(si))
		on_signal(m, (int)si.ssi_signo);
}

/* For poll: milliseconds until something is due, -1 for never. */
static int
next_timeout(const struct master *m, int64_t now)
{
	int64_t next = INT64_MAX;

	if (m->stage != MASTER_RUN || !m->up)
		next = m->deadline;
	if (m->reload.pid != 0)
		next = BASE_MIN(next, m->reload.deadline);
	next = master_children_next(m, now, next);
	if (next == INT64_MAX)
		return -1;
	return (int)BASE_MIN(BASE_MAX(next - now, 0), 3600000);
}

static void
wait_events(struct master *m, struct pollfd *pfds)
{
	pfds[0] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
	for (unsigned i = 0; i < m->n_children; i++)
		pfds[i + 1] = (struct pollfd){.fd = m->children[i].ctl_fd,
		    .events = POLLIN};
	if (poll(pfds, m->n_children + 1, next_timeout(m, base_time_ms())) <= 0)
		return;
	/* What a child said comes before its end. */
	for (unsigned i = 0; i < m->n_children; i++)
		if (pfds[i + 1].revents != 0)
			master_child_read(m, &m->children[i]);
	if (pfds[0].revents != 0)
		read_signals(m);
}

static void
loop(struct master *m)
{
	struct pollfd *pfds =
	    base_realloc(NULL, (size_t)m->n_children + 1, sizeof(*pfds));

	while (m->stage == MASTER_RUN || master_children_alive(m) > 0 ||
	    m->reload.pid != 0) {
		int64_t now = base_time_ms();

		master_children_start(m, now);
		wait_events(m, pfds);
		now = base_time_ms();
		master_children_tell(m);
		master_conf_check_time(m, now);
		if (m->stage == MASTER_RUN && !m->up && now >= m->deadline) {
			master_error(m, "not all processes were ready within %d s",
			    START_MS / 1000);
			m->exit_code = 1;
			master_stop(m, MASTER_QUIT);
		}
		master_children_check(m, now);
	}
	free(pfds);
	/* Whoever waits for our start must not take this for one. */
	if (!m->up)
		m->exit_code = 1;
	log_info(LOG_MASTER, "stopped");
}

static void
clean_up(struct master *m)
{
	master_children_free(m);
	master_listen_close(m);
	if (m->seg != NULL)
		ring_seg_free(m->seg);
	if (m->conf_fd >= 0)
		close(m->conf_fd);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	base_proc_pidfile_drop(&m->pidfile);
	base_proc_user_free(&m->user);
	conf_free(m->conf);
	if (m->start_fd >= 0)
		base_proc_started(m->start_fd, m->exit_code);
}

int
master_run(const struct master_opts *opts)
{
	struct master m = {.opts = opts,
	    .conf_number = 1,
	    .conf_fd = -1,
	    .signal_fd = -1,
	    .start_fd = -1,
	    .reload.fd = -1,
	    .control.fd = -1,
	    .pidfile.fd = -1};

	m.conf = master_conf_first(opts->conf_path);
	if (m.conf == NULL)
		return 1;
	if (enter_directory(opts->conf_path) < 0) {
		conf_free(m.conf);
		return 1;
	}
	if (!opts->foreground) {
		m.start_fd = base_proc_daemonise();
		if (m.start_fd < 0) {
			fprintf(stderr, "chatd: cannot detach: %s\n", strerror(errno));
			conf_free(m.conf);
			return 1;
		}
	}
	m.pid = getpid();
	master_conf_localise(&m, m.conf);
	m.n_workers = count_workers(m.conf);
	m.n_children = m.n_workers + ROLE_SINGLES;
	if (start(&m) == 0)
		loop(&m);
	else
		m.exit_code = 1;
	clean_up(&m);
	return m.exit_code;
}
