/*
 * base_unix: stream sockets by a path, and who is at the other end.
 *
 * A path may be of any length: what does not fit a socket's address is reached
 * through its directory.
 */
#ifndef BASE_UNIX_H
#define BASE_UNIX_H

#include <sys/types.h>

#include "base/base_defs.h"

/* A listening socket in the file system. */
struct base_unix_socket {
	int fd; /* non-blocking; -1: none */
	char *path;
	dev_t dev; /* of what stands at PATH */
	ino_t ino;
};

/* Who may connect; a uid or gid of -1 stays that of this process. */
struct base_unix_access {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/*
 * Listens at PATH.  A socket that a dead process left there is replaced; one that
 * somebody listens on, or another kind of file, is an error.  0, or -1 with a text
 * in ERR.
 */
int base_unix_listen(struct base_unix_socket *s, const char *path,
    const struct base_unix_access *access, int backlog, char *err,
    size_t errlen) BASE_MUST_CHECK;

/* Closes it, and removes the file if it is still the same.  Idempotent. */
void base_unix_unlisten(struct base_unix_socket *s);

/* Closes it, and leaves the file to its owner: in a forked child. */
void base_unix_forget(struct base_unix_socket *s);

/* A blocking socket that is connected to PATH, or -1 with errno. */
int base_unix_connect(const char *path) BASE_MUST_CHECK;

/* Who connected FD; false with errno. */
struct base_unix_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
bool base_unix_peer(int fd, struct base_unix_peer *peer_r) BASE_MUST_CHECK;

/* Whether GID was among the groups of who connected FD, its own or another. */
bool base_unix_peer_in(int fd, gid_t gid);

#endif
