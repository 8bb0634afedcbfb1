/*
 * master_child: the children: start, end, back-off, what they say and are told.
 *
 * A slot is given to a new process only after its old one was reaped, so that
 * there are never two writers of a lane.
 */
#include "config.h"

#include "role/master_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_fail.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "ipc/ipc_msg.h"

/*
 * Back-off between starts of a child that keeps dying: 0, then DELAY_MIN_MS,
 * doubling.  One that did come up is waited for less: whoever finds a way to crash
 * workers must not be able to keep them down.
 */
#define DELAY_MIN_MS       100
#define DELAY_MAX_MS       10000
#define DELAY_MAX_READY_MS 1000
/* One that served for so long was healthy: the next start is at once again. */
#define STEADY_MS 10000
/* Until something is told again to a child that did not read. */
#define TELL_RETRY_MS 100
/* One that closed its control socket has that long to end by itself. */
#define HANGUP_MS 1000
/* Messages of one child in one turn of the loop. */
#define READ_BATCH 16

void
master_children_init(struct master *m)
{
	m->children = base_realloc(NULL, m->n_children, sizeof(*m->children));
	for (unsigned i = 0; i < m->n_children; i++) {
		struct master_child *c = &m->children[i];

		*c = (struct master_child){.role = role_of_slot(i, m->n_workers),
		    .slot = i,
		    .ctl_fd = -1};
		snprintf(c->name, sizeof(c->name), c->role->many ? "%s %u" : "%s",
		    c->role->name, i % RING_MAX_SLOTS);
	}
	master_children_want(m, m->conf);
}

void
master_children_want(struct master *m, const struct conf *conf)
{
	FOREACH_CHILD(m, c) {
		const struct role *role = c->role;

		if (role->unwanted != NULL && role->unwanted(conf))
			c->wanted = false;
		else if (role->wanted == NULL || role->wanted(conf))
			c->wanted = true;
	}
}

static void
close_ctl(struct master_child *c)
{
	if (c->ctl_fd >= 0)
		close(c->ctl_fd);
	c->ctl_fd = -1;
}

void
master_children_free(struct master *m)
{
	if (m->children == NULL)
		return;
	FOREACH_CHILD(m, c)
		close_ctl(c);
	free(m->children);
	m->children = NULL;
}

unsigned
master_children_alive(const struct master *m)
{
	unsigned n = 0;

	FOREACH_CHILD(m, c)
		n += c->pid != 0;
	return n;
}

/* ---- start ------------------------------------------------------------- */

static void BASE_NORETURN
run(struct master *m, struct master_child *c, int fd)
{
	struct ipc_env env = {.conf = m->conf,
	    .seg = m->seg,
	    .slot = c->slot,
	    .n_workers = m->n_workers,
	    .generation = c->generation,
	    .ctl_fd = fd,
	    .started_s = m->started_s,
	    .beat_at = c->role->beat_at,
	    .control_fd = -1,
	    .control_gid = m->control_gid};
	char comm[20], title[64], number[4] = "";

	if (c->role->many)
		snprintf(number, sizeof(number), "%u", c->slot % RING_MAX_SLOTS);
	snprintf(comm, sizeof(comm), "chatd-%.8s%s", c->role->name, number);
	snprintf(title, sizeof(title), "chatd: %s", c->name);
	master_child_begin(m, comm, title, true, -1);
	if (c->role->listens) {
		env.listeners = m->listeners;
		env.n_listeners = m->n_listeners;
		env.control_fd = m->control.fd;
	} else {
		/* Its clients are others: it must not keep our addresses. */
		master_listen_forget(m);
	}
	base_fail_role(c->role->name, c->generation);
	c->role->main(&env);
}

static void
back_off(struct master_child *c, int64_t now)
{
	int64_t max = c->ready_ms != 0 ? DELAY_MAX_READY_MS : DELAY_MAX_MS;

	if (c->ready_ms != 0 && now - c->ready_ms >= STEADY_MS)
		c->delay_ms = 0;
	c->delay_ms = BASE_MIN(c->delay_ms, max);
	c->start_at = now + c->delay_ms;
	c->delay_ms = c->delay_ms == 0 ? DELAY_MIN_MS : BASE_MIN(2 * c->delay_ms, max);
}

static void
start(struct master *m, struct master_child *c, int64_t now)
{
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds) < 0)
		goto fail;
	c->generation++;
	c->ctl_fd = fds[0];
	pid = BASE_FAIL("master.fork") ? -1 : fork();
	if (pid < 0) {
		close(fds[1]);
		close_ctl(c);
		goto fail;
	}
	if (pid == 0)
		run(m, c, fds[1]);
	close(fds[1]);
	c->pid = pid;
	c->started_ms = now;
	c->ready_ms = c->kill_at = 0;
	c->stopping = false;
	c->conf_forked = c->conf_sent = m->conf_number;
	c->conf_done = 0;
	c->log_turn = m->log_turn;
	if (c->role->told_gone)
		FOREACH_CHILD(m, other)
			other->gone_told = 0;
	return;
fail:
	log_error(LOG_MASTER, "cannot start %s: %s", c->name, strerror(errno));
	c->ready_ms = 0;
	back_off(c, now);
}

static bool
wanted(const struct master *m, const struct master_child *c)
{
	return m->stage == MASTER_RUN && c->wanted;
}

void
master_children_start(struct master *m, int64_t now)
{
	FOREACH_CHILD(m, c)
		if (c->pid == 0 && c->start_at <= now && wanted(m, c))
			start(m, c, now);
}

/* ---- what they are told ------------------------------------------------ */

static bool
conf_pending(const struct master *m, const struct master_child *c)
{
	return c->pid != 0 && c->ctl_fd >= 0 && !c->stopping &&
	    c->conf_sent < m->conf_number;
}

static bool
gone_pending(const struct master *m, const struct master_child *c)
{
	if (c->pid == 0 || c->ctl_fd < 0 || !c->role->told_gone)
		return false;
	FOREACH_CHILD(m, other)
		if (other != c && other->gone_told < other->gone)
			return true;
	return false;
}

static void
tell_gone(struct master *m, struct master_child *c)
{
	FOREACH_CHILD(m, other) {
		uint64_t value = (uint64_t)other->slot << 32 | (uint32_t)other->gone;

		if (other == c || other->gone_told >= other->gone)
			continue;
		if (ipc_send(c->ctl_fd, IPC_GONE, value, -1) < 0)
			return;
		other->gone_told = other->gone;
	}
}

/* What is not told is for later, or for its successor: it is full, or dying. */
void
master_children_tell(struct master *m)
{
	FOREACH_CHILD(m, c) {
		if (conf_pending(m, c) &&
		    ipc_send(c->ctl_fd, IPC_CONF, m->conf_number, m->conf_fd) == 0)
			c->conf_sent = m->conf_number;
		if (gone_pending(m, c))
			tell_gone(m, c);
	}
}

/* One that waits for its start, or its end, holds up nothing. */
static void
announce_conf(struct master *m)
{
	if (m->conf_announced == m->conf_number || master_children_alive(m) == 0)
		return;
	FOREACH_CHILD(m, c)
		if (c->pid != 0 && !c->stopping && c->conf_done < m->conf_number)
			return;
	m->conf_announced = m->conf_number;
	log_info(LOG_MASTER, "configuration %llu in force in all workers",
	    (unsigned long long)m->conf_number);
}

/* ---- messages ---------------------------------------------------------- */

/* We do not understand each other: a new one will do better. */
static void
give_up(struct master_child *c, const char *why)
{
	log_error(LOG_MASTER, "%s %s: killing it pid=%ld", c->name, why, (long)c->pid);
	close_ctl(c);
	kill(c->pid, SIGKILL);
}

static void
check_up(struct master *m)
{
	if (m->up || m->stage != MASTER_RUN)
		return;
	FOREACH_CHILD(m, c)
		if (c->role->awaited && (c->pid == 0 || c->ready_ms == 0))
			return;
	master_up(m);
}

static bool
on_ready(struct master *m, struct master_child *c, uint64_t value)
{
	if (c->ready_ms != 0 || value != (uint64_t)c->pid)
		return false;
	c->ready_ms = base_time_ms();
	c->conf_done = BASE_MAX(c->conf_done, c->conf_forked);
	if (c->generation > 1)
		log_info(LOG_MASTER, "%s is back pid=%ld start=%llu", c->name,
		    (long)c->pid, (unsigned long long)c->generation);
	if (c->log_turn != m->log_turn) {
		kill(c->pid, SIGUSR1);
		c->log_turn = m->log_turn;
	}
	check_up(m);
	return true;
}

static bool
on_message(struct master *m, struct master_child *c, const struct ipc_msg *msg)
{
	switch (msg->type) {
	case IPC_READY:
		return on_ready(m, c, msg->value);
	case IPC_CONF_DONE:
		if (msg->value <= c->conf_done || msg->value > c->conf_sent)
			return false;
		c->conf_done = msg->value;
		return true;
	case IPC_DRAIN:
		log_debug(LOG_MASTER, "%s drains clients=%llu", c->name,
		    (unsigned long long)msg->value);
		return true;
	default:
		return false;
	}
}

void
master_child_read(struct master *m, struct master_child *c)
{
	struct ipc_msg msg;
	int fd, r;

	for (int i = 0; i < READ_BATCH; i++) {
		r = ipc_recv(c->ctl_fd, &msg, &fd);
		if (r == 0)
			break;
		/* Reset: it died before it read all that it was told. */
		if (r < 0 && (errno == 0 || errno == ECONNRESET)) {
			close_ctl(c);
			c->kill_at = base_time_ms() + HANGUP_MS;
			break;
		}
		if (fd >= 0)
			close(fd);
		if (r < 0 || fd >= 0 || !on_message(m, c, &msg)) {
			give_up(c, "sent what it should not");
			break;
		}
	}
	announce_conf(m);
}

/* ---- end --------------------------------------------------------------- */

static void
describe_end(int status, char *text, size_t size)
{
	int sig = WTERMSIG(status);
	const char *name = sigabbrev_np(sig);

	if (WIFEXITED(status))
		snprintf(text, size, "exited with code %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "was killed by signal %d (SIG%s%s", sig,
		    name != NULL ? name : "?",
		    WCOREDUMP(status) ? "; core dumped)" : ")");
}

static void
log_end(const struct master *m, const struct master_child *c, pid_t pid, int status,
    int64_t now)
{
	bool stopping = m->stage != MASTER_RUN || c->stopping;
	char how[64];

	describe_end(status, how, sizeof(how));
	if (stopping && WIFEXITED(status) && WEXITSTATUS(status) == IPC_EXIT_OK)
		log_info(LOG_MASTER, "%s ended pid=%ld", c->name, (long)pid);
	else if (stopping)
		log_warn(LOG_MASTER, "%s %s pid=%ld", c->name, how, (long)pid);
	else
		log_error(LOG_MASTER,
		    "%s %s pid=%ld uptime_ms=%lld restart_in_ms=%lld", c->name, how,
		    (long)pid, (long long)(now - c->started_ms),
		    (long long)(c->start_at - now));
}

/* Whoever starts us had better know at once. */
static void
check_start(struct master *m, const struct master_child *c, int status)
{
	if (m->stage != MASTER_RUN || m->up || !c->role->awaited ||
	    !WIFEXITED(status) || WEXITSTATUS(status) != IPC_EXIT_FATAL)
		return;
	master_error(m, "%s cannot start: the log says why (%s)", c->name,
	    m->conf->log_target);
	m->exit_code = 1;
	master_stop(m, MASTER_QUIT);
}

bool
master_child_ended(struct master *m, pid_t pid, int status)
{
	struct master_child *c = m->children, *end = c + m->n_children;
	int64_t now = base_time_ms();

	while (c != end && c->pid != pid)
		c++;
	if (c == end)
		return false;
	c->pid = 0;
	c->gone = c->generation;
	close_ctl(c);
	if (c->role->reset != NULL)
		c->role->reset(ring_seg_stats(m->seg, c->slot), wanted(m, c));
	if (c->stopping)
		c->start_at = now;
	else
		back_off(c, now);
	log_end(m, c, pid, status, now);
	c->stopping = false;
	check_start(m, c, status);
	master_children_tell(m);
	announce_conf(m);
	return true;
}

/* ---- time -------------------------------------------------------------- */

int64_t
master_children_next(const struct master *m, int64_t now, int64_t next)
{
	FOREACH_CHILD(m, c) {
		if (c->pid == 0 && wanted(m, c))
			next = BASE_MIN(next, c->start_at);
		if (c->pid != 0 && c->kill_at != 0)
			next = BASE_MIN(next, c->kill_at);
		if (conf_pending(m, c) || gone_pending(m, c))
			next = BASE_MIN(next, now + TELL_RETRY_MS);
	}
	return next;
}
