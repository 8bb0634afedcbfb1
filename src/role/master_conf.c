/*
 * master_conf: reading the configuration, and reading it again.
 *
 * A child, the checker, reads and checks the files, and loads the plugins that they
 * name to have their options checked: whatever those hold or hang on, the master goes
 * on.  It packs what it read into a memory file; only when it ends well does the
 * master take that over.
 */
#include "config.h"

#include "role/master_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_fail.h"
#include "base/base_log.h"
#include "base/base_time.h"
#include "conf/conf_diff.h"
#include "conf/conf_dump.h"
#include "conf/conf_parse.h"
#include "plug/plug_store.h"

/* For reading all files; a hung network file system ends there. */
#define CHECK_MS 30000

void
master_conf_log(enum base_log_level level, const struct base_buf *text)
{
	for (size_t at = 0; at < text->len;) {
		const char *p = text->p + at, *nl = memchr(p, '\n', text->len - at);
		size_t n = nl != NULL ? (size_t)(nl - p) : text->len - at;

		base_log(level, LOG_CONF, "%.*s", (int)n, p);
		at += n + 1;
	}
}

static int
make_file(void)
{
	return memfd_create("chatd-conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int
write_all(int fd, const struct base_buf *b)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t r = write(fd, b->p + done, b->len - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return -1;
		done += (size_t)r;
	}
	return 0;
}

/* From now on nobody can change what its readers see. */
static int
seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

/* ---- the checker ------------------------------------------------------- */

/* Packs what the files at PATH say into FD; false and lines in ERRORS: they are bad. */
static bool
read_files(const char *path, int fd, struct base_buf *errors)
{
	struct conf *conf = conf_parse_file(path, errors);
	struct base_buf pack = {0};
	bool good = conf != NULL && plug_store_check(conf, errors);

	if (good) {
		conf_pack(conf, &pack);
		good = write_all(fd, &pack) == 0;
		if (!good)
			base_buf_printf(errors, "cannot keep the configuration: %s\n",
			    strerror(errno));
		explicit_bzero(pack.p, pack.len);
	}
	base_buf_free(&pack);
	conf_free(conf);
	return good;
}

static void BASE_NORETURN
check(struct master *m)
{
	struct base_buf errors = {0};

	master_child_begin(m, "chatd-check", "chatd: configuration check", false,
	    m->reload.fd);
	/* Should it hang and outlive us, it must not keep our addresses. */
	master_listen_forget(m);
	ring_seg_free(m->seg);
	BASE_FAIL_POINT("master.check");
	if (!read_files(m->opts->conf_path, m->reload.fd, &errors)) {
		master_conf_log(BASE_LOG_ERROR, &errors);
		_exit(1);
	}
	_exit(0);
}

void
master_conf_reload(struct master *m)
{
	struct master_reload *r = &m->reload;

	if (m->stage != MASTER_RUN)
		return;
	if (r->pid != 0) {
		r->again = true;
		return;
	}
	log_info(LOG_MASTER, "reading the configuration again file=%s",
	    m->opts->conf_path);
	r->fd = make_file();
	if (r->fd < 0)
		goto fail;
	r->pid = fork();
	if (r->pid == 0)
		check(m);
	if (r->pid < 0) {
		r->pid = 0;
		close(r->fd);
		r->fd = -1;
		goto fail;
	}
	r->deadline = base_time_ms() + CHECK_MS;
	return;
fail:
	log_error(LOG_MASTER, "configuration not changed: cannot start its check: %s",
	    strerror(errno));
}

/* ---- the first time ---------------------------------------------------- */

/* As at a reload, but whoever starts us looks on, and waits. */
static void BASE_NORETURN
check_first(const char *path, int fd)
{
	struct base_buf errors = {0};
	sigset_t set;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(CHECK_MS / 1000);
	if (read_files(path, fd, &errors))
		_exit(0);
	fwrite(errors.p, 1, errors.len, stderr);
	_exit(1);
}

/* How it ended, or -1 with errno. */
static int
wait_first(const char *path, int fd)
{
	int status, r;
	pid_t pid;

	/* Ignored by whoever started us, it would hide how the child ends. */
	signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (pid == 0)
		check_first(path, fd);
	if (pid < 0)
		return -1;
	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -1 : status;
}

struct conf *
master_conf_first(const char *path)
{
	struct conf *conf = NULL;
	int fd = make_file(), status = fd < 0 ? -1 : wait_first(path, fd);

	if (status < 0)
		fprintf(stderr, "chatd: cannot check %s: %s\n", path, strerror(errno));
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		fprintf(stderr, "chatd: reading %s takes more than %d s\n", path,
		    CHECK_MS / 1000);
	else if (WIFSIGNALED(status))
		fprintf(stderr, "chatd: signal %d killed the check of %s\n",
		    WTERMSIG(status), path);
	else if (WEXITSTATUS(status) == 0) {
		conf = conf_unpack_fd(fd);
		if (conf == NULL)
			fprintf(stderr, "chatd: what was read of %s is damaged\n",
			    path);
	}
	if (fd >= 0)
		close(fd);
	return conf;
}

/* ---- taking it over ---------------------------------------------------- */

/* A sealed file with CONF for the children, or -1 with errno. */
static int
pack(const struct conf *conf)
{
	struct base_buf b = {0};
	int fd = make_file();

	conf_pack(conf, &b);
	if (fd >= 0 &&
	    (BASE_FAIL("master.pack") || write_all(fd, &b) < 0 || seal(fd) < 0)) {
		close(fd);
		fd = -1;
	}
	/* Secrets are in it. */
	explicit_bzero(b.p, b.len);
	base_buf_free(&b);
	return fd;
}

/* Makes FRESH the configuration; FD is its pack.  Cannot fail. */
static void
apply(struct master *m, struct conf *fresh, int fd)
{
	struct conf *old = m->conf;

	/* The log comes first: a child that lost its rights needs the file there. */
	base_log_set_level(fresh->log_level);
	if (strcmp(old->log_target, fresh->log_target) != 0 &&
	    master_log_open(m, fresh) < 0)
		log_warn(LOG_MASTER, "the log stays where it is target=%s",
		    old->log_target);
	master_listen_rebind(m, fresh);
	m->conf = fresh;
	master_children_renew(m, old, fresh);
	conf_free(old);
	if (m->conf_fd >= 0)
		close(m->conf_fd);
	m->conf_fd = fd;
	m->conf_number++;
	master_raise_nofile(m);
	master_children_tell(m);
}

static void
take(struct master *m, int checked_fd)
{
	struct base_buf notes = {0};
	struct conf *fresh = seal(checked_fd) < 0 ? NULL : conf_unpack_fd(checked_fd);
	size_t changed;
	int fd;

	if (fresh == NULL) {
		log_error(LOG_MASTER,
		    "configuration not changed: what was read is damaged");
		return;
	}
	master_conf_localise(m, fresh);
	changed = conf_diff_settle(m->conf, fresh, &notes);
	master_conf_log(BASE_LOG_WARN, &notes);
	base_buf_free(&notes);
	fd = pack(fresh);
	if (fd < 0) {
		log_error(LOG_MASTER,
		    "configuration not changed: cannot pass it on: %s",
		    strerror(errno));
		conf_free(fresh);
		return;
	}
	apply(m, fresh, fd);
	log_info(LOG_MASTER, "configuration %llu taken over changed=%zu",
	    (unsigned long long)m->conf_number, changed);
}

bool
master_conf_ended(struct master *m, pid_t pid, int status)
{
	struct master_reload *r = &m->reload;
	bool again = r->again;

	if (pid != r->pid)
		return false;
	r->pid = 0;
	r->again = false;
	if (m->stage == MASTER_RUN) {
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			take(m, r->fd);
		else if (WIFEXITED(status))
			log_error(LOG_MASTER,
			    "configuration not changed: %s has mistakes",
			    m->opts->conf_path);
		else
			log_error(LOG_MASTER,
			    "configuration not changed: signal %d killed its check",
			    WTERMSIG(status));
	}
	close(r->fd);
	r->fd = -1;
	if (again)
		master_conf_reload(m);
	return true;
}

void
master_conf_check_time(struct master *m, int64_t now)
{
	if (m->reload.pid == 0 || now < m->reload.deadline)
		return;
	if (now != INT64_MAX)
		log_error(LOG_MASTER, "reading %s takes more than %d s",
		    m->opts->conf_path, CHECK_MS / 1000);
	m->reload.deadline = INT64_MAX;
	kill(m->reload.pid, SIGKILL);
}
