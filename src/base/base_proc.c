/*
 * base_proc: see the header.
 */
#include "config.h"

#include "base/base_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_mem.h"

extern char **environ;

void
base_proc_fds_init(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		/* The lowest free number is the one that is missing. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			abort();
	close_range(STDERR_FILENO + 1, ~0u, 0);
}

/* ---- title ------------------------------------------------------------- */

/* The memory that the kernel shows as the command line. */
static struct {
	char *p;
	size_t size;
	char **argv; /* the copies; kept for the life of the process */
	char **env;
} title;

/* Copies a vector of strings; END grows past those that follow it in memory. */
static char **
vector_copy(char **v, size_t n, char **end)
{
	char **copy = base_realloc(NULL, n + 1, sizeof(*copy));

	for (size_t i = 0; i < n; i++) {
		if (v[i] == *end)
			*end = v[i] + strlen(v[i]) + 1;
		copy[i] = base_strdup(v[i]);
	}
	copy[n] = NULL;
	return copy;
}

void
base_proc_title_init(int argc, char ***argv)
{
	size_t n_env = 0;
	char *end;

	if (argc < 1)
		return;
	while (environ[n_env] != NULL)
		n_env++;
	end = title.p = (*argv)[0];
	title.argv = vector_copy(*argv, (size_t)argc, &end);
	title.env = vector_copy(environ, n_env, &end);
	title.size = (size_t)(end - title.p);
	environ = title.env;
	*argv = title.argv;
}

void
base_proc_title(const char *comm, const char *fmt, ...)
{
	va_list ap;

	prctl(PR_SET_NAME, comm, 0, 0, 0);
	if (title.size == 0)
		return;
	memset(title.p, 0, title.size);
	va_start(ap, fmt);
	vsnprintf(title.p, title.size, fmt, ap);
	va_end(ap);
}

/* ---- daemon ------------------------------------------------------------ */

static void
to_null(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, fd);
	if (null != fd)
		close(null);
}

void
base_proc_drop_stderr(void)
{
	to_null(STDERR_FILENO);
}

/* The process that was started: stays until the daemon says how it went. */
static void BASE_NORETURN
wait_started(int fd, pid_t child)
{
	unsigned char code = 1;
	ssize_t r;

	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	do
		r = read(fd, &code, 1);
	while (r < 0 && errno == EINTR);
	if (r != 1)
		fprintf(stderr, "chatd: died while starting\n");
	/* Until the daemon has let go of us: whoever started it finds it settled. */
	while (read(fd, &(char){0}, 1) < 0 && errno == EINTR)
		;
	_exit(r == 1 ? code : 1);
}

int
base_proc_daemonise(void)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	if (pid > 0) {
		close(fds[1]);
		wait_started(fds[0], pid);
	}
	close(fds[0]);
	/* Not a leader of its session, it never gets a terminal by opening one. */
	if (setsid() < 0 || (pid = fork()) < 0) {
		fprintf(stderr, "chatd: cannot detach: %s\n", strerror(errno));
		base_proc_started(fds[1], 1);
		_exit(1);
	}
	if (pid > 0)
		_exit(0);
	to_null(STDIN_FILENO);
	to_null(STDOUT_FILENO);
	return fds[1];
}

void
base_proc_started(int fd, int code)
{
	unsigned char c = (unsigned char)code;

	base_proc_drop_stderr();
	/* Nobody may be waiting any more: SIGPIPE is the caller's to ignore. */
	while (write(fd, &c, 1) < 0 && errno == EINTR)
		;
	close(fd);
}

/* ---- pid file ---------------------------------------------------------- */

static struct flock
whole_file(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return l;
}

static int
pidfile_open(const char *path, char *err, size_t errlen)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		snprintf(err, errlen, "cannot open the pid file %s: %s", path,
		    strerror(errno));
	return fd;
}

/* 1: locked; 0: the file is another by now, try again; -1: somebody has it. */
static int
pidfile_lock(int fd, const char *path, char *err, size_t errlen)
{
	struct flock l = whole_file();
	struct stat here, there;

	if (fcntl(fd, F_SETLK, &l) < 0) {
		if (errno != EACCES && errno != EAGAIN) {
			snprintf(err, errlen, "cannot lock the pid file %s: %s", path,
			    strerror(errno));
			return -1;
		}
		if (fcntl(fd, F_GETLK, &l) < 0 || l.l_type == F_UNLCK)
			return 0;
		snprintf(err, errlen, "already running with pid %ld (pid file %s)",
		    (long)l.l_pid, path);
		return -1;
	}
	/* Its last owner may have removed it between our open and our lock. */
	return fstat(fd, &here) == 0 && stat(path, &there) == 0 &&
	    here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static int
pidfile_write(int fd, const char *path, char *err, size_t errlen)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n)
		return 0;
	snprintf(err, errlen, "cannot write the pid file %s: %s", path,
	    strerror(errno));
	return -1;
}

int
base_proc_pidfile_take(struct base_proc_pidfile *pf, const char *path, char *err,
    size_t errlen)
{
	int fd, r;

	do {
		fd = pidfile_open(path, err, errlen);
		if (fd < 0)
			return -1;
		r = pidfile_lock(fd, path, err, errlen);
		if (r > 0 && pidfile_write(fd, path, err, errlen) < 0)
			r = -1;
		if (r <= 0)
			close(fd);
	} while (r == 0);
	if (r < 0)
		return -1;
	pf->fd = fd;
	pf->path = base_strdup(path);
	return 0;
}

void
base_proc_pidfile_drop(struct base_proc_pidfile *pf)
{
	if (pf->fd < 0)
		return;
	unlink(pf->path);
	base_proc_pidfile_forked(pf);
}

void
base_proc_pidfile_forked(struct base_proc_pidfile *pf)
{
	if (pf->fd < 0)
		return;
	/* A child has no lock to lose by this: record locks are not inherited. */
	close(pf->fd);
	pf->fd = -1;
	free(pf->path);
	pf->path = NULL;
}

/* ---- limits ------------------------------------------------------------ */

uint64_t
base_proc_nofile(pid_t pid, uint64_t need)
{
	struct rlimit now, want;

	if (prlimit(pid, RLIMIT_NOFILE, NULL, &now) < 0)
		return 0;
	want = now;
	want.rlim_cur = now.rlim_max;
	if (now.rlim_max < need) {
		want.rlim_cur = want.rlim_max = need;
		if (prlimit(pid, RLIMIT_NOFILE, &want, NULL) == 0)
			return need;
		want.rlim_cur = want.rlim_max = now.rlim_max;
	}
	if (prlimit(pid, RLIMIT_NOFILE, &want, NULL) < 0)
		return now.rlim_cur;
	return want.rlim_cur;
}

unsigned
base_proc_cpus(void)
{
	/* The kernel's mask may be wider than a cpu_set_t: EINVAL until it fits. */
	for (int n = CPU_SETSIZE; n <= 64 * CPU_SETSIZE; n *= 2) {
		size_t size = CPU_ALLOC_SIZE(n);
		cpu_set_t *set = base_zalloc(size);
		int r = sched_getaffinity(0, size, set);
		int cpus = r == 0 ? CPU_COUNT_S(size, set) : 0;

		free(set);
		if (cpus > 0)
			return (unsigned)cpus;
		if (r == 0 || errno != EINVAL)
			break;
	}
	return 1;
}
