/*
 * master_stop: signals to the children, and the order in which they end.
 *
 * At SIGTERM the workers go first, as their clients may still publish; then the
 * archiver; and last the broker, which by then has done all that was in the queues.
 * At SIGQUIT all go at once: what was acknowledged is with the broker already.
 */
#include "config.h"

#include "role/master_priv.h"

#include <signal.h>

#include "base/base_log.h"
#include "base/base_time.h"

/* What the workers may take beyond drain_time and close_timeout. */
#define DRAIN_MARGIN_MS 2000
/* What others may take, and all for SIGQUIT. */
#define STOP_MS 5000
#define QUIT_MS 3000

void
master_children_reopen(struct master *m)
{
	FOREACH_CHILD(m, c) {
		if (c->pid == 0 || c->ready_ms == 0)
			continue;
		kill(c->pid, SIGUSR1);
		c->log_turn = m->log_turn;
	}
}

void
master_children_renew(struct master *m, const struct conf *old,
    const struct conf *fresh)
{
	int64_t now = base_time_ms();

	master_children_want(m, fresh);
	FOREACH_CHILD(m, c) {
		const struct role *role = c->role;

		if (c->wanted && (role->renewed == NULL || !role->renewed(old, fresh)))
			continue;
		/* What it failed for may be cured. */
		c->start_at = now;
		c->delay_ms = 0;
		if (c->pid == 0 || c->stopping)
			continue;
		log_info(LOG_MASTER, "%s ends for the new configuration pid=%ld",
		    c->name, (long)c->pid);
		c->stopping = true;
		c->kill_at = now + STOP_MS;
		kill(c->pid, SIGTERM);
	}
}

static void
signal_all(const struct master *m, int sig)
{
	FOREACH_CHILD(m, c)
		if (c->pid != 0)
			kill(c->pid, sig);
}

/* ---- the end of the daemon --------------------------------------------- */

static void
begin_turn(struct master *m, int64_t now)
{
	m->deadline = now + STOP_MS;
	if (m->stop_turn == 0)
		m->deadline = now + m->conf->drain_time + m->conf->close_timeout +
		    DRAIN_MARGIN_MS;
	FOREACH_CHILD(m, c)
		if (c->pid != 0 && c->role->stop_turn == m->stop_turn)
			kill(c->pid, SIGTERM);
}

static bool
turn_over(const struct master *m)
{
	FOREACH_CHILD(m, c)
		if (c->pid != 0 && c->role->stop_turn <= m->stop_turn)
			return false;
	return true;
}

void
master_stop(struct master *m, enum master_stage stage)
{
	int64_t now = base_time_ms();

	if (stage <= m->stage)
		return;
	m->stage = stage;
	/* Workers accept no more on it, so nobody shall wait there. */
	base_unix_unlisten(&m->control);
	if (stage == MASTER_DRAIN) {
		m->stop_turn = 0;
		begin_turn(m, now);
	} else {
		m->stop_turn = ROLE_STOP_TURNS;
		m->deadline = now + QUIT_MS;
		signal_all(m, SIGQUIT);
	}
	master_conf_check_time(m, INT64_MAX);
}

static void
kill_late(struct master_child *c)
{
	log_warn(LOG_MASTER, "%s does not stop: killing it pid=%ld", c->name,
	    (long)c->pid);
	kill(c->pid, SIGKILL);
	c->kill_at = 0;
}

void
master_children_check(struct master *m, int64_t now)
{
	bool over = m->stage != MASTER_RUN && now >= m->deadline;

	FOREACH_CHILD(m, c) {
		bool late = over && c->role->stop_turn <= m->stop_turn;

		if (c->pid != 0 && (late || (c->kill_at != 0 && now >= c->kill_at)))
			kill_late(c);
	}
	if (over) {
		m->deadline = INT64_MAX;
		if (m->stage != MASTER_DRAIN)
			m->stage = MASTER_KILL;
	}
	while (m->stage == MASTER_DRAIN && m->stop_turn < ROLE_STOP_TURNS &&
	    turn_over(m)) {
		m->stop_turn++;
		begin_turn(m, now);
	}
}
