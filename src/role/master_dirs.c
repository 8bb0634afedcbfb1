/*
 * master_dirs: the directories of the daemon, the pid file, and whom they are for.
 */
#include "config.h"

#include "role/master_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int
master_find_user(struct master *m)
{
	char err[256];

	if (m->conf->user[0] == 0 || geteuid() != 0)
		return 0;
	if (base_proc_user_find(m->conf->user, &m->user, err, sizeof(err)) == 0)
		return 0;
	master_error(m, "%s: %s", m->opts->conf_path, err);
	return -1;
}

static int
take_pidfile(struct master *m)
{
	const char *dir = m->conf->run_dir;
	struct base_buf path = {0};
	char err[512];
	int r;

	/* It may lie on a file system that is empty after a boot. */
	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		master_error(m, "cannot make run_dir %s: %s", dir, strerror(errno));
		return -1;
	}
	base_buf_printf(&path, "%s/chatd.pid", dir);
	base_buf_byte(&path, 0);
	r = base_proc_pidfile_take(&m->pidfile, path.p, err, sizeof(err));
	base_buf_free(&path);
	if (r < 0)
		master_error(m, "%s", err);
	return r;
}

/* As the children will find it: 0, or an errno. */
static int
try_dir(const struct master *m, const char *dir)
{
	struct stat st;

	if (m->user.name != NULL && base_proc_user_become(&m->user) < 0)
		return errno;
	if (stat(dir, &st) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	return faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) < 0 ? errno : 0;
}

/* In a process of its own, as there is no way back from being another user. */
static int
usable(const struct master *m, const char *dir)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(try_dir(m, dir));
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static int
take_state_dir(const struct master *m)
{
	const struct conf *conf = m->conf;
	const char *what = "make";
	int error = base_proc_make_dir(conf->state_dir, &m->user);

	if (error == 0) {
		what = "write to";
		error = usable(m, conf->state_dir);
	}
	if (error == 0)
		return 0;
	master_error(m, "%s:%d: state_dir: %s%s cannot %s %s: %s",
	    conf->state_file != NULL ? conf->state_file : conf->file,
	    conf->state_file != NULL ? conf->state_line : 1,
	    m->user.name != NULL ? "user " : "chatd",
	    m->user.name != NULL ? m->user.name : "", what, conf->state_dir,
	    strerror(error));
	return -1;
}

int
master_dirs_take(struct master *m)
{
	return take_pidfile(m) < 0 || take_state_dir(m) < 0 ? -1 : 0;
}
