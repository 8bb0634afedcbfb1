/* chatbench: load generator and checker, see chatbench(1). */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/base_mem.h"
#include "bench/bench_helper.h"
#include "bench/bench_load.h"
#include "bench/bench_opts.h"
#include "bench/bench_proc.h"
#include "bench/bench_report.h"

#define EXIT_WRONG 1 /* something was lost, doubled, ... */
#define EXIT_ERROR 2

static int
read_urls(const struct bench_opts *o, struct bench_url *urls, char *err, size_t errlen)
{
	for (unsigned i = 0; i < o->urls.n; i++) {
		if (bench_url_parse(&urls[i], o->urls.v[i], err, errlen) < 0)
			return -1;
		if (!urls[i].loopback && !o->allow_remote) {
			snprintf(err, errlen,
			    "--url %s: not on this machine, and --allow-remote is not "
			    "given",
			    o->urls.v[i]);
			return -1;
		}
	}
	return 0;
}

static int
check_pids(const struct bench_opts *o, char *err, size_t errlen)
{
	for (unsigned i = 0; i < o->pids.n; i++) {
		struct bench_list one = {&o->pids.v[i], 1};
		struct bench_tree t = {0};
		uint64_t pss;

		bench_tree_scan(&t, &one);
		pss = bench_tree_pss(&t);
		bench_tree_free(&t);
		if (pss == 0) {
			snprintf(err, errlen,
			    "--pid %s: no such process, or its memory may not be read",
			    o->pids.v[i]);
			return -1;
		}
	}
	return 0;
}

/* Connections of this process that subscribe. */
static uint32_t
members(const struct bench_opts *o, const struct bench_helpers *h)
{
	if (o->mode != BENCH_IDLE && o->mode != BENCH_CONNECT)
		return (uint32_t)(o->rooms * o->members);
	return h->connections;
}

static int
run(const struct bench_opts *o, struct bench_url *urls, char *err, size_t errlen)
{
	struct bench *b = base_zalloc(sizeof(*b));
	struct bench_result r = {0};
	struct bench_helpers h = {0};
	int status = EXIT_ERROR;

	if (check_pids(o, err, errlen) < 0)
		goto out;
	if ((o->mode & (BENCH_IDLE | BENCH_CONNECT)) != 0 &&
	    bench_helpers_start(&h, o, urls, err, errlen) < 0)
		goto out;
	if (bench_run_init(b, o, urls, members(o, &h), 0, err, errlen) < 0)
		goto out;
	bench_progress_start(b);
	if (bench_load_run(b, &h, &r, err, errlen) < 0)
		goto out;
	if (o->json)
		bench_report_json(b, &r, stdout);
	if (!o->json || !o->quiet)
		bench_report_text(b, &r, o->json ? stderr : stdout);
	status = bench_report_ok(b, &r) ? 0 : EXIT_WRONG;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		snprintf(err, errlen, "cannot write the report");
		status = EXIT_ERROR;
	}
out:
	bench_progress_stop(b);
	bench_run_fini(b);
	bench_result_free(&r);
	free(b);
	return status;
}

int
main(int argc, char **argv)
{
	struct bench_opts o;
	struct bench_url urls[64] = {0};
	char err[512] = "";
	int status = EXIT_ERROR;

	switch (bench_opts_parse(&o, argc, argv)) {
	case BENCH_OPTS_DONE:
		status = 0;
		break;
	case BENCH_OPTS_BAD:
		break;
	case BENCH_OPTS_RUN:
		signal(SIGPIPE, SIG_IGN);
		/* sleep to the microsecond: publications have to be punctual */
		prctl(PR_SET_TIMERSLACK, 1);
		if (read_urls(&o, urls, err, sizeof(err)) == 0)
			status = run(&o, urls, err, sizeof(err));
		if (err[0] != '\0')
			fprintf(stderr, "chatbench: %s\n", err);
		break;
	}
	for (unsigned i = 0; i < BASE_COUNT(urls); i++)
		bench_url_free(&urls[i]);
	bench_opts_free(&o);
	return status;
}
