/*
 * master_listen: listening sockets.  They belong to the master and outlive every
 * worker, so that a connection that waits to be accepted is not lost with one.
 */
#include "config.h"

#include "role/master_priv.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "conf/conf_addr.h"

#define CONTROL_BACKLOG 64

/* Returns the socket, or -1 with errno and the name of the call in *WHAT_R. */
static int
open_socket(const struct conf_addr *addr, int backlog, const char **what_r)
{
	static const int on = 1;
	int family = addr->sa.ss_family, fd, saved;

	*what_r = "make a socket for";
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	*what_r = "set options of";
	/* TCP_NODELAY: what accept returns has it too, and saves a call each. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    (family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		goto fail;
	*what_r = "bind to";
	if (bind(fd, (const struct sockaddr *)&addr->sa, addr->len) < 0)
		goto fail;
	*what_r = "listen on";
	if (listen(fd, backlog) < 0)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int
open_listener(struct master *m, const struct conf_listen *conf)
{
	struct conf_addr addr;
	const char *what;
	int fd;

	/* Checked when the file was read. */
	base_assert(conf_addr_parse(conf->address, &addr) == 0);
	fd = open_socket(&addr, (int)conf->backlog, &what);
	if (fd < 0)
		master_error(m, "%s:%d: listen \"%s\": cannot %s %s: %s", conf->file,
		    conf->line, conf->title, what, conf->address, strerror(errno));
	return fd;
}

/* ---- the control socket ---- */

/* 0, or -1 after master_error. */
static int
find_group(struct master *m)
{
	const char *name = m->conf->control_group;
	const struct group *group;

	m->control_gid = (gid_t)-1;
	if (name[0] == 0)
		return 0;
	errno = 0;
	group = getgrnam(name);
	if (group != NULL) {
		m->control_gid = group->gr_gid;
		return 0;
	}
	master_error(m, "%s: control_group: %s: %s", m->opts->conf_path, name,
	    errno != 0 ? strerror(errno) : "there is no such group");
	return -1;
}

static int
open_control(struct master *m)
{
	struct base_unix_access access = {
	    .mode = (mode_t)strtoul(m->conf->control_mode, NULL, 8) & 0777,
	    .uid = m->user.name != NULL ? m->user.uid : (uid_t)-1,
	    .gid = m->control_gid};
	struct base_buf path = {0};
	char err[512];
	int r;

	base_buf_printf(&path, "%s/control.sock", m->conf->run_dir);
	base_buf_byte(&path, 0);
	r = base_unix_listen(
	    &m->control, path.p, &access, CONTROL_BACKLOG, err, sizeof(err));
	base_buf_free(&path);
	if (r < 0)
		master_error(m, "control socket: %s", err);
	return r;
}

/* ---- all of them ---- */

int
master_listen_open(struct master *m)
{
	size_t n = m->conf->n_listens;

	if (find_group(m) < 0 || open_control(m) < 0)
		return -1;
	m->listeners = base_realloc(NULL, n, sizeof(*m->listeners));
	for (size_t i = 0; i < n; i++) {
		const struct conf_listen *conf = &m->conf->listens[i];
		int fd = open_listener(m, conf);

		if (fd < 0)
			return -1;
		m->listeners[m->n_listeners++] =
		    (struct ipc_listener){.fd = fd, .conf = conf};
		log_info(LOG_MASTER, "listening name=%s address=%s", conf->title,
		    conf->address);
	}
	return 0;
}

static const struct conf_listen *
find_section(const struct conf *conf, const char *title)
{
	for (size_t i = 0; i < conf->n_listens; i++)
		if (strcmp(conf->listens[i].title, title) == 0)
			return &conf->listens[i];
	return NULL;
}

void
master_listen_rebind(struct master *m, const struct conf *fresh)
{
	for (size_t i = 0; i < m->n_listeners; i++) {
		struct ipc_listener *l = &m->listeners[i];

		l->conf = find_section(fresh, l->conf->title);
		/* conf_diff_settle keeps the sections of the running daemon. */
		base_assert(l->conf != NULL);
	}
}

void
master_listen_forget(struct master *m)
{
	base_unix_forget(&m->control);
	master_listen_close(m);
}

void
master_listen_close(struct master *m)
{
	base_unix_unlisten(&m->control);
	for (size_t i = 0; i < m->n_listeners; i++)
		close(m->listeners[i].fd);
	free(m->listeners);
	m->listeners = NULL;
	m->n_listeners = 0;
}
