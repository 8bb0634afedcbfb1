/* bench_report: see bench_report.h; the JSON form is in bench_json.c. */
#include "config.h"

#include "bench/bench_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base_mem.h"
#include "bench/bench_figures.h"

struct bench_progress {
	uint64_t start, next, last;
	struct bench_count before;
	struct bench_hist latency; /* as it was then */
};

/* ---- progress ----------------------------------------------------------- */

void
bench_progress_start(struct bench *b)
{
	if (b->opt->quiet)
		return;
	b->progress = base_zalloc(sizeof(*b->progress));
	b->progress->start = b->progress->last = bench_now();
	b->progress->next = b->progress->start + BENCH_NSEC;
}

static void
progress_line(struct bench *b, uint64_t now)
{
	struct bench_progress *p = b->progress;
	const struct bench_count *c = &b->count, *was = &p->before;
	double s = (double)(now - p->last) / BENCH_NSEC;

	fprintf(stderr, "%5.0f s  %-10s  up %u", (double)(now - p->start) / BENCH_NSEC,
	    b->phase != NULL ? b->phase : "", b->ready);
	if (b->opt->processes > 1)
		fprintf(stderr, " in this process");
	if (b->n_pubs > 0)
		fprintf(stderr, "  published %.0f/s  delivered %.0f/s",
		    (double)(c->published - was->published) / s,
		    (double)(c->received - was->received) / s);
	if (b->latency.n > p->latency.n)
		fprintf(stderr, "  p50 %.2f  p99 %.2f ms",
		    (double)bench_hist_quantile_since(&b->latency, &p->latency, .5) /
			1e6,
		    (double)bench_hist_quantile_since(&b->latency, &p->latency, .99) /
			1e6);
	if (c->duplicates + c->reordered > 0)
		fprintf(stderr, "  duplicates %" PRIu64 "  reordered %" PRIu64,
		    c->duplicates, c->reordered);
	if (c->failed + c->cut > 0)
		fprintf(stderr, "  failed %" PRIu64 "  cut %" PRIu64 "  back %" PRIu64,
		    c->failed, c->cut, c->back);
	fputc('\n', stderr);
}

void
bench_progress_tick(struct bench *b, uint64_t now)
{
	struct bench_progress *p = b->progress;

	if (p == NULL || now < p->next)
		return;
	progress_line(b, now);
	p->last = now;
	p->next += BENCH_NSEC;
	if (p->next <= now)
		p->next = now + BENCH_NSEC;
	p->before = b->count;
	p->latency = b->latency;
}

void
bench_progress_stop(struct bench *b)
{
	free(b->progress);
	b->progress = NULL;
}

/* ---- verdict ------------------------------------------------------------ */

bool
bench_report_ok(const struct bench *b, const struct bench_result *r)
{
	const struct bench_count *c = &b->count;

	if (c->lost + c->duplicates + c->reordered + c->misrouted + c->damaged > 0)
		return false;
	if (c->refused + c->unanswered + c->failed + c->protocol_errors + r->stalls > 0)
		return false;
	return c->cut == 0 || b->opt->reconnect;
}

/* ---- the result, for people ---------------------------------------------- */

static void
text_messages(const struct bench *b, const struct bench_figures *f, FILE *out)
{
	const struct bench_count *c = &b->count;

	fprintf(out, "  published      %" PRIu64, c->published);
	if (c->refused + c->unsure + c->unanswered + c->skipped > 0)
		fprintf(out,
		    "  (refused %" PRIu64 ", unanswered %" PRIu64
		    ", cut before the answer "
		    "%" PRIu64 "; not sent, publisher away: %" PRIu64 ")",
		    c->refused, c->unanswered, c->unsure, c->skipped);
	if (c->behind > 0)
		fprintf(out, "  (due and not sent: %" PRIu64 ")", c->behind);
	fprintf(out,
	    "\n  deliveries     %" PRIu64 " of %" PRIu64 ": lost %" PRIu64
	    "  duplicates %" PRIu64 "  reordered %" PRIu64 "  misrouted %" PRIu64
	    "  damaged %" PRIu64 "\n",
	    c->unique, f->expected, c->lost, c->duplicates, c->reordered, c->misrouted,
	    c->damaged);
	if (c->cut > 0)
		fprintf(out,
		    "  cut            %" PRIu64 " connections, %" PRIu64
		    " back; they missed %" PRIu64 " messages\n",
		    c->cut, c->back, c->lost_cut);
	if (c->churned > 0)
		fprintf(out,
		    "  churned        %" PRIu64 " times; missed meanwhile: %" PRIu64
		    ", early: %" PRIu64 "\n",
		    c->churned, c->left, c->early);
	if (b->confirm.n > 0)
		fprintf(out,
		    "  confirmed      %.0f publications/s; after ms: p50 %.3f  p99 "
		    "%.3f  "
		    "p99.9 %.3f  max %.3f\n",
		    f->confirmed_per_s,
		    (double)bench_hist_quantile(&b->confirm, .5) / 1e6,
		    (double)bench_hist_quantile(&b->confirm, .99) / 1e6,
		    (double)bench_hist_quantile(&b->confirm, .999) / 1e6,
		    (double)b->confirm.max / 1e6);
	if (b->n_members == 0)
		return;
	fprintf(out,
	    "  rate           %.0f deliveries/s over %.2f s, %.0f bytes each\n",
	    f->deliveries_per_s, f->seconds, f->bytes_per_delivery);
	fprintf(out,
	    "  latency ms     p50 %.3f  p99 %.3f  p99.9 %.3f  max %.3f  "
	    "(publishing was late by: p99 %.3f)\n",
	    (double)bench_hist_quantile(&b->latency, .5) / 1e6,
	    (double)bench_hist_quantile(&b->latency, .99) / 1e6,
	    (double)bench_hist_quantile(&b->latency, .999) / 1e6,
	    (double)b->latency.max / 1e6,
	    (double)bench_hist_quantile(&b->lag, .99) / 1e6);
}

static void
text_server(const struct bench *b, const struct bench_figures *f, FILE *out)
{
	if (b->opt->pids.n == 0)
		return;
	fprintf(out, "  server CPU     %.1f %% of a core", f->server_cpu_pct);
	if (f->cpu_us_per_delivery > 0)
		fprintf(out, ", %.3f us a delivery", f->cpu_us_per_delivery);
	if (f->connections > 0)
		fprintf(out, ", %.1f us a connection opened", f->cpu_us_per_connection);
	fprintf(out, "\n  server PSS     %.1f MiB, then %.1f MiB",
	    (double)f->pss_before / 1048576, (double)f->pss_after / 1048576);
	if (f->connections > 0)
		fprintf(out, ": %.0f bytes a connection", f->pss_per_connection);
	fputc('\n', out);
}

void
bench_report_text(const struct bench *b, const struct bench_result *r, FILE *out)
{
	struct bench_figures f;

	bench_figures_make(&f, b, r);
	fprintf(out, "chatbench %s%s%s: %u connections in %.2f s, %.0f a second\n",
	    bench_mode_name(b->opt->mode), b->opt->label[0] != '\0' ? " " : "",
	    b->opt->label, f.connections, f.connect_seconds, f.connections_per_s);
	fprintf(out,
	    "  connections    failed %" PRIu64 "  cut %" PRIu64
	    "  away %u  protocol errors "
	    "%" PRIu64 "; opening took ms: p50 %.2f  p99 %.2f  max %.2f\n",
	    b->count.failed, b->count.cut, r->away, b->count.protocol_errors,
	    (double)bench_hist_quantile(&b->connect_time, .5) / 1e6,
	    (double)bench_hist_quantile(&b->connect_time, .99) / 1e6,
	    (double)b->connect_time.max / 1e6);
	if (b->count.back > 0)
		fprintf(out,
		    "  back after s   p50 %.2f  max %.2f; beyond the back-off: p50 "
		    "%.3f  max "
		    "%.3f\n",
		    (double)bench_hist_quantile(&b->back_time, .5) / 1e9,
		    (double)b->back_time.max / 1e9,
		    (double)bench_hist_quantile(&b->back_excess, .5) / 1e9,
		    (double)b->back_excess.max / 1e9);
	if (b->opt->compression)
		fprintf(out, "  compression    on %" PRIu64 " connections\n",
		    b->count.compressed);
	if (b->n_pubs > 0)
		text_messages(b, &f, out);
	text_server(b, &f, out);
	if (b->n_pubs == 0)
		fprintf(out,
		    "  kernel         %.0f bytes a connection (slab and socket "
		    "buffers, both "
		    "ends)\n",
		    f.kernel_per_connection);
	fprintf(out,
	    "  machine        chatbench %.1f %%, others %.1f %%, stolen %.1f %%\n",
	    f.own_cpu_pct, f.other_cpu_pct, f.stolen_pct);
	if (r->stalls > 0)
		fprintf(out, "  stalls         %" PRIu64 "\n", r->stalls);
	if (f.late)
		fprintf(out,
		    "  WARNING        chatbench itself could not keep up: "
		    "latency and rate are "
		    "its own\n");
	if (r->interrupted)
		fprintf(out, "  interrupted\n");
	if (b->error[0] != '\0')
		fprintf(out, "  first error    %s\n", b->error);
	fprintf(out, "  verdict        %s\n", bench_report_ok(b, r) ? "ok" : "NOT OK");
}
