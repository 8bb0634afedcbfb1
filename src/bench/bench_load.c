/* bench_load: see bench_load.h. */
#include "config.h"

#include "bench/bench_load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "bench/bench_client.h"
#include "bench/bench_conn.h"
#include "bench/bench_report.h"

#define EVENTS 128 /* few, so that publishing stays punctual */
/* Publications in one turn when the rate is behind, before input is looked at. */
#define BURST 64
#define STALL (BENCH_NSEC / 2)
#define LATE_DUPLICATES (BENCH_NSEC / 5)

static volatile sig_atomic_t interrupted;

static void
on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static uint64_t
seconds(double s)
{
	return (uint64_t)(s * BENCH_NSEC);
}

/* ---- the loop ----------------------------------------------------------- */

static int
wait_events(struct bench *b, struct epoll_event *ev, uint64_t wait)
{
	struct timespec ts;
	int n;

	if (b->opt->poll_us == 0) {
		ts = (struct timespec){
		    (time_t)(wait / BENCH_NSEC), (long)(wait % BENCH_NSEC)};
		return epoll_pwait2(b->epfd, ev, EVENTS, &ts, NULL);
	}
	/* nobody sleeps in epoll: what the server writes wakes nobody */
	n = epoll_wait(b->epfd, ev, EVENTS, 0);
	wait = BASE_MIN(wait, (uint64_t)b->opt->poll_us * 1000);
	if (n != 0 || wait == 0)
		return n;
	ts = (struct timespec){(time_t)(wait / BENCH_NSEC), (long)(wait % BENCH_NSEC)};
	nanosleep(&ts, NULL);
	return epoll_wait(b->epfd, ev, EVENTS, 0);
}

void
bench_load_pump(struct bench *b, uint64_t until)
{
	struct epoll_event ev[EVENTS];
	uint64_t now = bench_now(), next = until;
	int n;

	if (!base_list_empty(&b->waiting))
		next = BASE_MIN(next, b->next_look);
	n = wait_events(b, ev, next > now ? next - now : 0);
	for (int i = 0; i < n; i++)
		bench_conn_event(b, ev[i].data.ptr, ev[i].events);
	now = bench_now();
	bench_conn_timers(b, now);
	bench_progress_tick(b, now);
}

static void
pump_for(struct bench *b, double s, const char *phase)
{
	uint64_t end = bench_now() + seconds(s);

	b->phase = phase;
	while (bench_now() < end && !interrupted)
		bench_load_pump(b, BASE_MIN(end, bench_now() + BENCH_NSEC / 10));
}

/* Connections that are up, or will not be. */
static uint64_t
settled(const struct bench *b)
{
	return b->ready + b->count.failed + (b->opt->reconnect ? 0 : b->count.cut);
}

void
bench_load_connect(struct bench *b, uint32_t upto)
{
	uint64_t end = bench_now() + seconds(b->opt->timeout), now;

	b->phase = "connecting";
	while (!interrupted && (b->started < upto || settled(b) < upto)) {
		now = bench_now();
		if (now >= end) {
			bench_note(b, "only %u of %u connections were open after %g s",
			    b->ready, upto, b->opt->timeout);
			break;
		}
		while (b->started < upto && b->opening < (uint32_t)b->opt->concurrency)
			bench_conn_open(b, &b->conns[b->started]);
		bench_load_pump(b, now + BENCH_NSEC / 10);
	}
}

static void
take_moment(struct bench *b, struct bench_moment *m, bool scan)
{
	m->t = bench_now();
	if (scan)
		bench_tree_scan(&m->tree, &b->opt->pids);
	else
		bench_tree_refresh(&m->tree);
	bench_machine_read(&m->machine);
	m->own_ns = bench_own_cpu_ns();
	m->count = b->count;
}

/* ---- publishing --------------------------------------------------------- */

struct load {
	uint64_t start, measure, end; /* times */
	double step; /* ns between two publications of all */
	uint64_t n; /* publications that were due so far */
	double churn_step;
	uint64_t churned;
	bool measuring;
	/* saturate */
	uint64_t last_unique, last_progress, written_off;
};

static void
begin_measuring(struct bench *b, struct load *l, struct bench_result *r)
{
	take_moment(b, &r->from, false);
	l->measuring = true;
	b->phase = "measuring";
	b->win_from = r->from.t;
	b->win_to = l->end;
}

/* Publishes what is due; returns when the next one is. */
static uint64_t
publish_due(struct bench *b, struct load *l, uint64_t now)
{
	for (int i = 0; i < BURST; i++) {
		uint64_t due = l->start + (uint64_t)((double)l->n * l->step);

		if (due > now || due >= l->end)
			return due;
		if (l->measuring)
			bench_hist_add(&b->lag, now - due);
		if (!bench_client_publish(b, &b->pubs[l->n++ % b->n_pubs], now))
			b->count.skipped++;
		now = bench_now();
	}
	return now;
}

/* Lets members leave that are due to; returns when the next one is. */
static uint64_t
churn_due(struct bench *b, struct load *l, uint64_t now)
{
	uint64_t due;

	if (b->opt->churn <= 0)
		return UINT64_MAX;
	while (
	    (due = l->start + (uint64_t)((double)l->churned * l->churn_step)) <= now) {
		uint64_t from = bench_random(b);

		l->churned++;
		for (uint32_t i = 0; i < b->n_members; i++) {
			struct bench_conn *c = &b->conns[(from + i) % b->n_members];

			if (c->state == BENCH_READY && c->pub < 0) {
				bench_conn_leave(b, c);
				break;
			}
		}
	}
	return due;
}

/* How many publications are due before the time UNTIL. */
static uint64_t
due_before(const struct load *l, uint64_t until)
{
	double span = (double)(until - l->start);
	uint64_t n = (uint64_t)(span / l->step);

	/* the quotient may be one off: publish_due has the exact times */
	while (n > 0 && l->start + (uint64_t)((double)(n - 1) * l->step) >= until)
		n--;
	while (l->start + (uint64_t)((double)n * l->step) < until)
		n++;
	return n;
}

static void
run_rate(struct bench *b, struct load *l, struct bench_result *r)
{
	uint64_t due;

	l->step = BENCH_NSEC / (b->opt->rate * b->n_pubs);
	l->churn_step = b->opt->churn > 0 ? BENCH_NSEC / b->opt->churn : 0;
	while (!interrupted) {
		uint64_t now = bench_now(), next;

		if (!l->measuring && now >= l->measure)
			begin_measuring(b, l, r);
		if (now >= l->end)
			break;
		next = publish_due(b, l, now);
		next = BASE_MIN(next, churn_due(b, l, now));
		if (!l->measuring)
			next = BASE_MIN(next, l->measure);
		bench_load_pump(b, BASE_MIN(next, l->end));
	}
	due = due_before(l, BASE_MIN(bench_now(), l->end));
	b->count.behind = due > l->n ? due - l->n : 0;
}

/* Deliveries that are still to come, as far as that is known. */
static uint64_t
outstanding(const struct bench *b, const struct load *l)
{
	uint64_t all =
	    (b->count.published - b->count.refused) * (uint64_t)b->opt->members;
	uint64_t gone = b->count.unique + b->count.lost + l->written_off;

	return all > gone ? all - gone : 0;
}

/* Publishes until the window is full. */
static void
fill_window(struct bench *b, struct load *l)
{
	uint64_t members = (uint64_t)b->opt->members;
	uint64_t limit = (uint64_t)b->opt->window * members;

	for (uint32_t tried = 0; tried < b->n_pubs;) {
		struct bench_pub *pub = &b->pubs[l->n % b->n_pubs];

		if (outstanding(b, l) + members > limit)
			return;
		l->n++;
		if (!bench_conn_blocked(&b->conns[pub->conn]) &&
		    bench_client_publish(b, pub, bench_now()))
			tried = 0;
		else
			tried++;
	}
}

/* Each publisher has as much outstanding as it may. */
static void
run_publish(struct bench *b, struct load *l, struct bench_result *r)
{
	while (!interrupted) {
		uint64_t now = bench_now();

		if (!l->measuring && now >= l->measure)
			begin_measuring(b, l, r);
		if (now >= l->end)
			break;
		for (uint32_t i = 0; i < b->n_pubs; i++) {
			struct bench_pub *pub = &b->pubs[i];

			while (pub->seq - pub->answered < (uint32_t)b->opt->window &&
			    !bench_conn_blocked(&b->conns[pub->conn]) &&
			    bench_client_publish(b, pub, bench_now()))
				;
		}
		bench_load_pump(b, BASE_MIN(now + BENCH_NSEC / 100, l->end));
	}
}

static void
run_saturate(struct bench *b, struct load *l, struct bench_result *r)
{
	l->last_progress = l->start;
	while (!interrupted) {
		uint64_t now = bench_now();

		if (!l->measuring && now >= l->measure)
			begin_measuring(b, l, r);
		if (now >= l->end)
			break;
		if (b->count.unique != l->last_unique) {
			l->last_unique = b->count.unique;
			l->last_progress = now;
		} else if (now - l->last_progress > STALL && outstanding(b, l) > 0) {
			/* it does not come any more: go on without it */
			l->written_off += outstanding(b, l);
			l->last_progress = now;
			r->stalls++;
		}
		fill_window(b, l);
		bench_load_pump(b, BASE_MIN(now + BENCH_NSEC / 100, l->end));
	}
}

/* ---- the end of the load ------------------------------------------------ */

/* True once every member that is up has all, all is answered, and nobody is away. */
static bool
all_arrived(const struct bench *b)
{
	uint32_t per_room = b->n_pubs / b->n_rooms;

	for (uint32_t i = 0; i < b->n_pubs; i++)
		if (b->pubs[i].answered != b->pubs[i].seq)
			return false;
	for (uint32_t i = 0; i < b->n_members; i++) {
		const struct bench_conn *c = &b->conns[i];

		if (c->state == BENCH_DEAD)
			continue;
		if (c->state != BENCH_READY)
			return false;
		for (uint32_t k = 0; k < per_room; k++) {
			const struct bench_track *t = &c->tracks[k];

			if (t->last != b->pubs[c->room * per_room + k].seq ||
			    t->holes.n > 0)
				return false;
		}
	}
	return true;
}

static void
drain(struct bench *b)
{
	uint64_t end = bench_now() + seconds(b->opt->drain), now;

	b->phase = "draining";
	while ((now = bench_now()) < end && !all_arrived(b))
		bench_load_pump(b, BASE_MIN(end, now + BENCH_NSEC / 50));
	end = bench_now() + LATE_DUPLICATES;
	while ((now = bench_now()) < end)
		bench_load_pump(b, end);
}

static void
run_load(struct bench *b, struct bench_result *r)
{
	struct load l = {.start = bench_now()};

	l.measure = l.start + seconds(b->opt->warmup);
	l.end = l.measure + seconds(b->opt->duration);
	b->phase = "warming up";
	bench_tree_scan(&r->from.tree, &b->opt->pids);
	if (b->opt->mode == BENCH_RATE)
		run_rate(b, &l, r);
	else if (b->opt->mode == BENCH_PUBLISH)
		run_publish(b, &l, r);
	else
		run_saturate(b, &l, r);
	if (!l.measuring)
		begin_measuring(b, &l, r);
	take_moment(b, &r->to, true);
	b->win_to = BASE_MIN(b->win_to, r->to.t);
	r->interrupted = interrupted != 0;
	interrupted = 0;
	drain(b);
	bench_client_settle(b);
}

/* ---- the whole run ------------------------------------------------------ */

static void
watch_signals(void)
{
	/* the first one ends the measurement, the second one the program */
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static uint64_t
pss_now(struct bench *b)
{
	struct bench_tree t = {0};
	uint64_t pss;

	bench_tree_scan(&t, &b->opt->pids);
	pss = bench_tree_pss(&t);
	bench_tree_free(&t);
	return pss;
}

/* Opens all connections, those of the helpers too, between two moments. */
static void
connect_all(struct bench *b, struct bench_helpers *helpers, struct bench_result *r)
{
	uint32_t primed;

	if (b->opt->prime > 0) {
		bench_load_connect(
		    b, (uint32_t)BASE_MIN(b->opt->prime, (int64_t)b->n_conns));
		pump_for(b, b->opt->settle, "settling");
		memset(&b->connect_time, 0, sizeof(b->connect_time));
	}
	primed = b->ready;
	r->pss_before = pss_now(b);
	take_moment(b, &r->opening, true);
	r->kernel_before = r->opening.machine.kernel_bytes;
	bench_helpers_go(helpers);
	bench_load_connect(b, b->n_conns);
	while (!bench_helpers_connected(helpers) && !interrupted)
		bench_load_pump(b, bench_now() + BENCH_NSEC / 1000);
	take_moment(b, &r->opened, true);
	r->connected = b->ready - primed + bench_helpers_ready(helpers);
}

static void
count_at_end(struct bench *b, struct bench_helpers *helpers, struct bench_result *r)
{
	r->pss_after = pss_now(b);
	r->kernel_after = r->to.machine.kernel_bytes;
	r->ready = b->ready;
	for (uint32_t i = 0; i < b->n_conns; i++)
		if (b->conns[i].t_cut != 0 && b->conns[i].state != BENCH_DEAD)
			r->away++;
	bench_helpers_stop(helpers);
	bench_helpers_merge(helpers, b);
	r->ready += bench_helpers_ready(helpers);
}

int
bench_load_run(struct bench *b, struct bench_helpers *helpers, struct bench_result *r,
    char *err, size_t errlen)
{
	watch_signals();
	connect_all(b, helpers, r);
	if (r->connected == 0) {
		snprintf(err, errlen, "no connection could be opened%s%s",
		    b->error[0] != '\0' ? ": " : "", b->error);
		return -1;
	}
	pump_for(b, b->opt->settle, "settling");
	switch (b->opt->mode) {
	case BENCH_RATE:
	case BENCH_SATURATE:
	case BENCH_PUBLISH:
		run_load(b, r);
		break;
	case BENCH_IDLE:
		take_moment(b, &r->from, true);
		pump_for(b, b->opt->duration, "holding");
		take_moment(b, &r->to, true);
		break;
	case BENCH_CONNECT:
		take_moment(b, &r->from, true);
		take_moment(b, &r->to, true);
		break;
	}
	if (interrupted)
		r->interrupted = true;
	count_at_end(b, helpers, r);
	return 0;
}

void
bench_result_free(struct bench_result *r)
{
	bench_tree_free(&r->opening.tree);
	bench_tree_free(&r->opened.tree);
	bench_tree_free(&r->from.tree);
	bench_tree_free(&r->to.tree);
}
