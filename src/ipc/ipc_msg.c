/*
 * ipc_msg: see the header.
 */
#include "config.h"

#include "ipc/ipc_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_log.h"

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int
ipc_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    fds);
}

int
ipc_send(int fd, enum ipc_type type, uint64_t value, int pass_fd)
{
	struct ipc_msg msg = {.type = type, .value = value};
	struct iovec iov = {&msg, sizeof(msg)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	struct cmsghdr *cm;
	ssize_t r;

	if (pass_fd >= 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &pass_fd, sizeof(int));
	}
	do
		r = sendmsg(fd, &mh, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -1 : 0;
}

/*
 * Takes the descriptor out of a message.  The buffer has room for one and, by its
 * alignment, for a second, which nobody may send.
 */
static int
passed_fd(struct msghdr *mh)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(mh);
	int fds[sizeof(union control) / sizeof(int)];
	size_t n;

	if (cm == NULL || cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(cm), n * sizeof(int));
	for (size_t i = 1; i < n; i++)
		close(fds[i]);
	return n > 0 ? fds[0] : -1;
}

int
ipc_recv(int fd, struct ipc_msg *msg, int *fd_r)
{
	struct iovec iov = {msg, sizeof(*msg)};
	union control control;
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	ssize_t r;

	*fd_r = -1;
	do
		r = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
	if (r == 0) {
		errno = 0;
		return -1;
	}
	*fd_r = passed_fd(&mh);
	if (r == sizeof(*msg) && !(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	log_error(LOG_CORE,
	    "a message between processes is malformed bytes=%zd flags=%#x",
	    r, (unsigned)mh.msg_flags);
	if (*fd_r >= 0)
		close(*fd_r);
	*fd_r = -1;
	errno = EBADMSG;
	return -1;
}
