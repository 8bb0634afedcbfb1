/* bench_figures: see bench_figures.h. */
#include "config.h"

#include "bench/bench_figures.h"

#include <string.h>

#include "base/base_assert.h"

/* Publishing this late at the 99th percentile, in ns, spoils an open-loop rate. */
#define LATE_NS 5000000u

/* And so does this share of publications that were due and could not be sent. */
#define BEHIND_SHARE 0.01

/* What a counter, or a time of a process, grew by; 0 when it fell. */
static double
grew(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) : 0;
}

static double
quotient(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* Nothing disturbed the run: all can be computed in advance. */
static void
check_sum(const struct bench *b, const struct bench_figures *f)
{
	const struct bench_count *c = &b->count;

	if (b->n_pubs == 0 ||
	    c->cut + c->failed + c->churned + c->early + c->refused > 0 ||
	    b->ready < b->n_conns)
		return;
	base_assert(f->expected == c->published * (uint64_t)b->opt->members);
}

static void
connecting(struct bench_figures *f, const struct bench_result *r)
{
	f->connections = r->connected;
	f->connect_seconds = grew(r->opening.t, r->opened.t) / BENCH_NSEC;
	f->connections_per_s = quotient(r->connected, f->connect_seconds);
	f->cpu_us_per_connection = quotient(
	    grew(r->opening.tree.cpu_ns, r->opened.tree.cpu_ns) / 1e3, r->connected);
	f->pss_before = r->pss_before;
	f->pss_after = r->pss_after;
	f->pss_per_connection =
	    quotient((double)r->pss_after - (double)r->pss_before, r->connected);
	f->kernel_per_connection =
	    quotient((double)r->kernel_after - (double)r->kernel_before, r->connected);
}

static void
cpu(struct bench_figures *f, const struct bench_moment *from,
    const struct bench_moment *to)
{
	double ns = grew(from->t, to->t);
	double server = grew(from->tree.cpu_ns, to->tree.cpu_ns);
	double own = grew(from->own_ns, to->own_ns);
	double busy = grew(from->machine.busy_ns, to->machine.busy_ns);
	double other = busy - server - own;

	f->server_cpu_pct = quotient(100 * server, ns);
	f->server_user_pct =
	    quotient(100 * grew(from->tree.user_ns, to->tree.user_ns), ns);
	f->server_system_pct =
	    quotient(100 * grew(from->tree.system_ns, to->tree.system_ns), ns);
	f->own_cpu_pct = quotient(100 * own, ns);
	f->other_cpu_pct = other > 0 ? quotient(100 * other, ns) : 0;
	f->stolen_pct =
	    quotient(100 * grew(from->machine.stolen_ns, to->machine.stolen_ns), ns);
}

void
bench_figures_make(
    struct bench_figures *f, const struct bench *b, const struct bench_result *r)
{
	bool connect = b->opt->mode == BENCH_CONNECT;
	const struct bench_moment *from = connect ? &r->opening : &r->from;
	const struct bench_moment *to = connect ? &r->opened : &r->to;
	double received = grew(from->count.received, to->count.received);

	memset(f, 0, sizeof(*f));
	connecting(f, r);
	cpu(f, from, to);
	f->seconds = grew(from->t, to->t) / BENCH_NSEC;
	f->expected = b->count.unique + b->count.lost + b->count.lost_cut;
	f->deliveries_per_s = quotient(received, f->seconds);
	f->published_per_s =
	    quotient(grew(from->count.published, to->count.published), f->seconds);
	f->confirmed_per_s = quotient(grew(from->count.answered, to->count.answered) -
		grew(from->count.refused, to->count.refused),
	    f->seconds);
	f->bytes_per_delivery =
	    quotient(grew(from->count.rx_bytes, to->count.rx_bytes), received);
	f->reads_per_delivery =
	    quotient(grew(from->count.rx_calls, to->count.rx_calls), received);
	f->cpu_us_per_delivery =
	    quotient(grew(from->tree.cpu_ns, to->tree.cpu_ns) / 1e3, received);
	f->late = b->opt->mode == BENCH_RATE &&
	    (bench_hist_quantile(&b->lag, .99) > LATE_NS ||
		(double)b->count.behind > BEHIND_SHARE * (double)b->count.published);
	check_sum(b, f);
}
