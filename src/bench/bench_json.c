/* bench_json: the JSON form of the result, see bench_report.h. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "bench/bench_figures.h"
#include "bench/bench_report.h"

/* A quoted string; bytes that are not ASCII become '?'. */
static void
put_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ')
			fprintf(out, "\\u%04x", c);
		else
			fputc(c < 127 ? c : '?', out);
	}
	fputc('"', out);
}

static void
put_quantiles(FILE *out, const char *name, const struct bench_hist *h)
{
	static const struct {
		const char *name;
		double q;
	} qs[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}};

	fprintf(out, "\"%s\":{\"n\":%" PRIu64 ",\"mean\":%.1f", name, h->n,
	    bench_hist_mean(h) / 1e3);
	for (size_t i = 0; i < BASE_COUNT(qs); i++)
		fprintf(out, ",\"%s\":%.1f", qs[i].name,
		    (double)bench_hist_quantile(h, qs[i].q) / 1e3);
	fprintf(out, ",\"max\":%.1f},", (double)h->max / 1e3);
}

static void
put_options(FILE *out, const struct bench_opts *o)
{
	fprintf(out, "\"label\":");
	put_string(out, o->label);
	fprintf(out, ",\"mode\":\"%s\",\"version\":\"" PACKAGE_VERSION "\",\"urls\":[",
	    bench_mode_name(o->mode));
	for (unsigned i = 0; i < o->urls.n; i++) {
		if (i > 0)
			fputc(',', out);
		put_string(out, o->urls.v[i]);
	}
	fprintf(out, "],\"rooms\":%" PRId64 ",", o->rooms);
	if (o->mode != BENCH_IDLE && o->mode != BENCH_CONNECT)
		fprintf(out,
		    "\"members\":%" PRId64 ",\"publishers\":%" PRId64 ",\"outside\":%s,"
		    "\"size\":%" PRId64 ",\"warmup_s\":%g,",
		    o->members, o->publishers, o->outside ? "true" : "false", o->size,
		    o->warmup);
	if (o->mode == BENCH_RATE)
		fprintf(out, "\"rate\":%g,\"churn\":%g,", o->rate, o->churn);
	if (o->mode == BENCH_SATURATE || o->mode == BENCH_PUBLISH)
		fprintf(out, "\"window\":%" PRId64 ",", o->window);
	fprintf(out,
	    "\"raw\":%s,\"compression\":%s,\"reconnect\":%s,\"poll_us\":%" PRId64
	    ",\"seed\":%" PRId64 ",",
	    o->raw ? "true" : "false", o->compression ? "true" : "false",
	    o->reconnect ? "true" : "false", o->poll_us, o->seed);
}

static void
put_connections(FILE *out, const struct bench *b, const struct bench_result *r,
    const struct bench_figures *f)
{
	const struct bench_count *c = &b->count;

	fprintf(out,
	    "\"connections\":%u,\"connect_s\":%.3f,\"connections_per_s\":%.1f,"
	    "\"up_at_end\":%u,\"away_at_end\":%u,\"failed\":%" PRIu64
	    ",\"cut\":%" PRIu64 ",\"back\":%" PRIu64 ",\"retries\":%" PRIu64
	    ",\"churned\":%" PRIu64 ",\"compressed\":%" PRIu64
	    ",\"protocol_errors\":%" PRIu64 ",\"pings\":%" PRIu64
	    ",\"other_pushes\":%" PRIu64 ",",
	    f->connections, f->connect_seconds, f->connections_per_s, r->ready, r->away,
	    c->failed, c->cut, c->back, c->retries, c->churned, c->compressed,
	    c->protocol_errors, c->pings, c->other_pushes);
	put_quantiles(out, "connect_us", &b->connect_time);
	put_quantiles(out, "back_us", &b->back_time);
	put_quantiles(out, "back_beyond_backoff_us", &b->back_excess);
}

static void
put_messages(FILE *out, const struct bench *b, const struct bench_result *r,
    const struct bench_figures *f)
{
	const struct bench_count *c = &b->count;

	if (b->n_pubs == 0)
		return;
	fprintf(out,
	    "\"published\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unanswered\":%" PRIu64
	    ",\"unsure\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"behind\":%" PRIu64 ",",
	    c->published, c->refused, c->unanswered, c->unsure, c->skipped, c->behind);
	fprintf(out,
	    "\"expected\":%" PRIu64 ",\"received\":%" PRIu64 ",\"unique\":%" PRIu64
	    ",\"lost\":%" PRIu64 ",\"lost_cut\":%" PRIu64 ",\"left\":%" PRIu64
	    ",\"duplicates\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"early\":%" PRIu64
	    ",\"misrouted\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"stalls\":%" PRIu64
	    ",",
	    f->expected, c->received, c->unique, c->lost, c->lost_cut, c->left,
	    c->duplicates, c->reordered, c->early, c->misrouted, c->damaged, r->stalls);
	fprintf(out,
	    "\"deliveries_per_s\":%.1f,\"published_per_s\":%.1f,"
	    "\"confirmed_per_s\":%.1f,\"bytes_per_delivery\":"
	    "%.1f,"
	    "\"reads_per_delivery\":%.3f,\"cpu_us_per_delivery\":%.4f,",
	    f->deliveries_per_s, f->published_per_s, f->confirmed_per_s,
	    f->bytes_per_delivery, f->reads_per_delivery, f->cpu_us_per_delivery);
	put_quantiles(out, "latency_us", &b->latency);
	put_quantiles(out, "latency_within_us", &b->latency_within);
	put_quantiles(out, "latency_across_us", &b->latency_across);
	put_quantiles(out, "confirm_us", &b->confirm);
	put_quantiles(out, "lag_us", &b->lag);
}

/* CPU of each process of the server in the measured time. */
static void
put_processes(FILE *out, const struct bench_result *r)
{
	const struct bench_tree *from = &r->from.tree, *to = &r->to.tree;

	fprintf(out, "\"processes\":[");
	for (unsigned i = 0; i < to->n; i++) {
		uint64_t before = 0;

		for (unsigned k = 0; k < from->n; k++)
			if (from->v[k].pid == to->v[i].pid)
				before = from->v[k].cpu_ns;
		fprintf(out, "%s{\"pid\":%d,\"name\":", i > 0 ? "," : "", to->v[i].pid);
		put_string(out, to->v[i].name);
		fprintf(
		    out, ",\"cpu_s\":%.3f}", (double)(to->v[i].cpu_ns - before) / 1e9);
	}
	fprintf(out, "],");
}

void
bench_report_json(const struct bench *b, const struct bench_result *r, FILE *out)
{
	struct bench_figures f;

	bench_figures_make(&f, b, r);
	fputc('{', out);
	put_options(out, b->opt);
	put_connections(out, b, r, &f);
	put_messages(out, b, r, &f);
	fprintf(out,
	    "\"measured_s\":%.3f,\"server_cpu_pct\":%.2f,\"server_user_pct\":%.2f,"
	    "\"server_system_pct\":%.2f,\"cpu_us_per_connection\":%.2f,"
	    "\"own_cpu_pct\":%.2f,\"other_cpu_pct\":%.2f,\"stolen_pct\":%.2f,",
	    f.seconds, f.server_cpu_pct, f.server_user_pct, f.server_system_pct,
	    f.cpu_us_per_connection, f.own_cpu_pct, f.other_cpu_pct, f.stolen_pct);
	fprintf(out,
	    "\"pss_before\":%" PRIu64 ",\"pss_after\":%" PRIu64
	    ",\"pss_per_connection\":%.1f,\"kernel_per_connection\":%.1f,",
	    f.pss_before, f.pss_after, f.pss_per_connection, f.kernel_per_connection);
	put_processes(out, r);
	fprintf(out,
	    "\"late\":%s,\"interrupted\":%s,\"error\":", f.late ? "true" : "false",
	    r->interrupted ? "true" : "false");
	put_string(out, b->error);
	fprintf(out, ",\"ok\":%s}\n", bench_report_ok(b, r) ? "true" : "false");
}
