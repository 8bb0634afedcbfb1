/*
 * ipc_msg: typed messages between the master and its children.
 *
 * Over a SOCK_SEQPACKET pair: one message, one packet; a packet of another length
 * than its type has is a bug of ours, and the reader says so and gives up the
 * peer.  A descriptor travels with CONF.
 */
#ifndef IPC_MSG_H
#define IPC_MSG_H

#include "base/base_defs.h"

/* X(NAME, direction) */
enum ipc_type {
	/* child to master: it serves now.  value: its pid */
	IPC_READY = 1,
	/* master to child: fd is a sealed memfd with conf_pack's bytes.
	 * value: number of this configuration, counting from 1 */
	IPC_CONF,
	/* child to master: configuration number VALUE is in force there */
	IPC_CONF_DONE,
	/* child to master: VALUE clients are left to close while draining */
	IPC_DRAIN,
	/* master to broker: the process with a slot and generation is dead and reaped.
	 * value: slot << 32 | generation */
	IPC_GONE,
};

struct ipc_msg {
	uint32_t type; /* enum ipc_type */
	uint32_t reserved; /* 0 */
	uint64_t value;
};

/* A non-blocking, close-on-exec pair.  0, or -1 with errno. */
int ipc_pair(int fds[2]) BASE_MUST_CHECK;

/* PASS_FD: -1 for none.  0, or -1 with errno (EAGAIN: the peer does not read). */
int ipc_send(int fd, enum ipc_type type, uint64_t value, int pass_fd) BASE_MUST_CHECK;

/*
 * 1 with MSG and *FD_R (-1: none came; the caller closes it), 0 when nothing
 * waits, -1 at end of file (errno is 0) or on an error.
 */
int ipc_recv(int fd, struct ipc_msg *msg, int *fd_r) BASE_MUST_CHECK;

#endif
