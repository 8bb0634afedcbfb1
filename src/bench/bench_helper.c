/* bench_helper: see bench_helper.h. */
#include "config.h"

#include "bench/bench_helper.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_load.h"

enum step { WAIT, GO, CONNECTED, STOP };

struct bench_share {
	_Atomic int step; /* the parent sets GO and STOP, the helper CONNECTED */
	pid_t pid;
	uint32_t ready; /* when it was CONNECTED, then at its end */
	struct bench_count count; /* final once the process has ended */
	struct bench_hist connect_time;
	char error[256];
};

static void
sleep_ms(long ms)
{
	struct timespec ts = {0, ms * 1000000};

	nanosleep(&ts, NULL);
}

static void
help(struct bench_share *s, const struct bench_opts *opt, struct bench_url *urls,
    uint32_t n, uint32_t first)
{
	static struct bench b; /* large: histograms */
	int go = GO;
	bool ok;

	/* the terminal's interrupt is for the parent, which then stops us */
	signal(SIGINT, SIG_IGN);
	ok = bench_run_init(&b, opt, urls, n, first, s->error, sizeof(s->error)) == 0;
	while (atomic_load(&s->step) == WAIT)
		sleep_ms(1);
	if (ok)
		bench_load_connect(&b, n);
	else
		b.count.failed = n;
	s->ready = b.ready;
	s->connect_time = b.connect_time;
	atomic_compare_exchange_strong(&s->step, &go, CONNECTED);
	while (atomic_load(&s->step) != STOP) {
		if (ok)
			bench_load_pump(&b, bench_now() + BENCH_NSEC / 50);
		else
			sleep_ms(20);
	}
	s->ready = b.ready;
	s->count = b.count;
	if (s->error[0] == '\0')
		memcpy(s->error, b.error, sizeof(s->error));
	bench_run_fini(&b);
	_exit(0);
}

int
bench_helpers_start(struct bench_helpers *h, const struct bench_opts *opt,
    struct bench_url *urls, char *err, size_t errlen)
{
	unsigned n = (unsigned)opt->processes - 1;
	uint32_t share = (uint32_t)(opt->connections / opt->processes);

	h->connections = (uint32_t)opt->connections - share * n;
	h->n = 0;
	if (n == 0)
		return 0;
	h->v = mmap(NULL, n * sizeof(*h->v), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h->v == MAP_FAILED) {
		snprintf(err, errlen, "mmap: %s", strerror(errno));
		return -1;
	}
	while (h->n < n) {
		struct bench_share *s = &h->v[h->n];
		pid_t parent = getpid(), pid = fork();

		if (pid < 0) {
			snprintf(err, errlen, "fork: %s", strerror(errno));
			return -1;
		}
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			help(s, opt, urls, share, h->connections + h->n * share);
		}
		s->pid = pid;
		h->n++;
	}
	return 0;
}

void
bench_helpers_go(struct bench_helpers *h)
{
	for (unsigned i = 0; i < h->n; i++)
		atomic_store(&h->v[i].step, GO);
}

bool
bench_helpers_connected(const struct bench_helpers *h)
{
	for (unsigned i = 0; i < h->n; i++)
		if (atomic_load(&h->v[i].step) == GO)
			return false;
	return true;
}

uint32_t
bench_helpers_ready(const struct bench_helpers *h)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < h->n; i++)
		n += h->v[i].ready;
	return n;
}

void
bench_helpers_stop(struct bench_helpers *h)
{
	for (unsigned i = 0; i < h->n; i++)
		atomic_store(&h->v[i].step, STOP);
	for (unsigned i = 0; i < h->n; i++)
		while (waitpid(h->v[i].pid, NULL, 0) < 0 && errno == EINTR)
			continue;
}

void
bench_helpers_merge(const struct bench_helpers *h, struct bench *b)
{
	for (unsigned i = 0; i < h->n; i++) {
		const struct bench_share *s = &h->v[i];

		b->count.failed += s->count.failed;
		b->count.cut += s->count.cut;
		b->count.retries += s->count.retries;
		b->count.back += s->count.back;
		b->count.compressed += s->count.compressed;
		b->count.protocol_errors += s->count.protocol_errors;
		b->count.pings += s->count.pings;
		b->count.rx_bytes += s->count.rx_bytes;
		bench_hist_merge(&b->connect_time, &s->connect_time);
		if (s->error[0] != '\0')
			bench_note(b, "%s", s->error);
	}
}
