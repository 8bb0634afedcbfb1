/*
 * base_unix: see the header.
 */
#include "config.h"

#include "base/base_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base_mem.h"

/* Groups of one process that are looked at; more than any has. */
#define GROUPS_MAX 65536

struct address {
	struct sockaddr_un sa;
	int dir_fd; /* -1: none */
};

/* 0, or -1 with errno. */
static int
address_of(const char *path, struct address *a)
{
	const char *slash = strrchr(path, '/'), *name = slash + 1;
	char *dir;
	int n;

	*a = (struct address){.sa.sun_family = AF_UNIX, .dir_fd = -1};
	if (strlen(path) < sizeof(a->sa.sun_path)) {
		memcpy(a->sa.sun_path, path, strlen(path));
		return 0;
	}
	if (slash == NULL) {
		errno = ENAMETOOLONG;
		return -1;
	}
	dir = base_memdup(path, (size_t)(name - path));
	a->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (a->dir_fd < 0)
		return -1;
	n = snprintf(a->sa.sun_path, sizeof(a->sa.sun_path), "/proc/self/fd/%d/%s",
	    a->dir_fd, name);
	if (n >= 0 && (size_t)n < sizeof(a->sa.sun_path))
		return 0;
	close(a->dir_fd);
	errno = ENAMETOOLONG;
	return -1;
}

/* After the call that used it; errno stays. */
static void
address_free(const struct address *a)
{
	int saved = errno;

	if (a->dir_fd >= 0)
		close(a->dir_fd);
	errno = saved;
}

static int
open_socket(int flags)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static int
connect_to(const char *path, int flags)
{
	struct address a;
	int fd, r, saved;

	if (address_of(path, &a) < 0)
		return -1;
	fd = open_socket(flags);
	r = fd < 0 ? -1
		   : connect(fd, (const struct sockaddr *)&a.sa, sizeof(a.sa));
	address_free(&a);
	if (r == 0 || fd < 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
base_unix_connect(const char *path)
{
	return connect_to(path, 0);
}

/* ---- listening ---- */

/*
 * Who listens at PATH: a pid, 0 when nobody that lives does, -1 when it cannot be
 * known.  Children of a dead process may hold its socket for a while, which does not
 * make it a live one.
 */
static pid_t
listener_at(const char *path)
{
	struct base_unix_peer peer;
	int fd = connect_to(path, SOCK_NONBLOCK);
	bool known;

	if (fd < 0)
		return errno == ECONNREFUSED || errno == ENOENT ? 0 : -1;
	known = base_unix_peer(fd, &peer) && peer.pid > 0;
	close(fd);
	if (!known)
		return -1;
	return kill(peer.pid, 0) < 0 && errno == ESRCH ? 0 : peer.pid;
}

/* Removes what a dead process left.  0, or -1 with a text in ERR. */
static int
clear_path(const char *path, char *err, size_t errlen)
{
	struct stat st;
	pid_t pid;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, errlen, "%s: stands there and is no socket", path);
		return -1;
	}
	pid = listener_at(path);
	if (pid > 0)
		snprintf(err, errlen, "%s: process %ld listens there", path, (long)pid);
	else if (pid < 0)
		snprintf(err, errlen, "%s: somebody listens there", path);
	else if (unlink(path) == 0)
		return 0;
	else
		snprintf(err, errlen, "%s: cannot remove it: %s", path,
		    strerror(errno));
	return -1;
}

/* Nobody may connect before all is as it shall be. */
static int
bind_to(int fd, const char *path)
{
	struct address a;
	mode_t mask;
	int r;

	if (address_of(path, &a) < 0)
		return -1;
	mask = umask(0777);
	r = bind(fd, (const struct sockaddr *)&a.sa, sizeof(a.sa));
	umask(mask);
	address_free(&a);
	return r;
}

/* 0, or -1 with errno and what failed in *WHAT_R. */
static int
set_up(struct base_unix_socket *s, const struct base_unix_access *access, int backlog,
    const char **what_r)
{
	struct stat st;

	*what_r = "bind to";
	if (bind_to(s->fd, s->path) < 0)
		return -1;
	*what_r = "look at";
	if (lstat(s->path, &st) < 0)
		return -1;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	*what_r = "set the owner of";
	if (chown(s->path, access->uid, access->gid) < 0)
		return -1;
	*what_r = "set the permissions of";
	if (chmod(s->path, access->mode) < 0)
		return -1;
	*what_r = "listen on";
	return listen(s->fd, backlog);
}

int
base_unix_listen(struct base_unix_socket *s, const char *path,
    const struct base_unix_access *access, int backlog, char *err, size_t errlen)
{
	const char *what = "make a socket for";

	*s = (struct base_unix_socket){.fd = -1};
	if (clear_path(path, err, errlen) < 0)
		return -1;
	s->path = base_strdup(path);
	s->fd = open_socket(SOCK_NONBLOCK);
	if (s->fd >= 0 && set_up(s, access, backlog, &what) == 0)
		return 0;
	snprintf(err, errlen, "cannot %s %s: %s", what, path, strerror(errno));
	base_unix_unlisten(s);
	return -1;
}

void
base_unix_forget(struct base_unix_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	*s = (struct base_unix_socket){.fd = -1};
}

void
base_unix_unlisten(struct base_unix_socket *s)
{
	struct stat st;

	/* Inode 0 is none: it was not made. */
	if (s->path != NULL && s->ino != 0 && lstat(s->path, &st) == 0 &&
	    st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	base_unix_forget(s);
}

/* ---- the other end ---- */

bool
base_unix_peer(int fd, struct base_unix_peer *peer_r)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*peer_r = (struct base_unix_peer){cred.pid, cred.uid, cred.gid};
	return true;
}

bool
base_unix_peer_in(int fd, gid_t gid)
{
	struct base_unix_peer peer;
	gid_t *groups = NULL;
	socklen_t len = 0;
	bool found = false;

	if (!base_unix_peer(fd, &peer))
		return false;
	if (peer.gid == gid)
		return true;
	/* The first call says how many there are. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 ||
	    errno != ERANGE || len > GROUPS_MAX * sizeof(gid_t))
		return false;
	groups = base_malloc(len);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		for (size_t i = 0; i < len / sizeof(gid_t); i++)
			found |= groups[i] == gid;
	free(groups);
	return found;
}
