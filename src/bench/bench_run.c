/* bench_run: see bench_run.h. */
#include "config.h"

#include "bench/bench_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "bench/bench_client.h"
#include "bench/bench_conn.h"
#include "bench/bench_wire.h"

/* Descriptors beside the connections. */
#define OTHER_FILES 16

void
bench_note(struct bench *b, const char *fmt, ...)
{
	va_list ap;

	if (b->error[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(b->error, sizeof(b->error), fmt, ap);
	va_end(ap);
}

/* As many descriptors as there are connections, if the system lets us. */
static int
raise_files(uint32_t n, char *err, size_t errlen)
{
	rlim_t want = (rlim_t)n + OTHER_FILES;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0) {
		snprintf(err, errlen, "getrlimit: %s", strerror(errno));
		return -1;
	}
	if (rl.rlim_cur >= want)
		return 0;
	rl.rlim_cur = want;
	if (rl.rlim_max < want)
		rl.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
		return 0;
	getrlimit(RLIMIT_NOFILE, &rl);
	snprintf(err, errlen,
	    "%u connections need %llu open files, and the limit is %llu (ulimit -n, or "
	    "--processes in the modes idle and connect)",
	    n, (unsigned long long)want, (unsigned long long)rl.rlim_max);
	return -1;
}

static void
make_rooms(struct bench *b)
{
	struct base_buf t = {0};

	b->n_rooms = (uint32_t)b->opt->rooms;
	b->heads = base_realloc(NULL, b->n_rooms, sizeof(*b->heads));
	for (uint32_t i = 0; i < b->n_rooms; i++) {
		t.len = 0;
		base_buf_printf(&t, BENCH_PUSH_HEAD "%s%u" BENCH_PUSH_DATA,
		    b->opt->channel_prefix, i);
		b->heads[i] = (struct base_slice){base_memdup(t.p, t.len), t.len};
	}
	base_buf_free(&t);
}

/* Members: the n-th of each room is I = n * rooms + room. */
static void
make_conn(struct bench *b, uint32_t i)
{
	const struct bench_opts *o = b->opt;
	uint32_t publishers = b->n_pubs / b->n_rooms;
	bool member = i < b->n_members, outside = o->outside;
	uint32_t at = member ? i : i - b->n_members, nth = at / b->n_rooms;
	struct bench_conn *c = &b->conns[i];

	c->fd = -1;
	c->num = i;
	c->room = at % b->n_rooms;
	c->pub = -1;
	/* the members of a room are spread over the servers */
	c->url = (nth + c->room) % b->n_urls;
	if (member != outside && nth < publishers) {
		c->pub = (int64_t)c->room * publishers + nth;
		b->pubs[c->pub].conn = i;
	}
	if (member && publishers > 0)
		c->tracks = base_zalloc(publishers * sizeof(*c->tracks));
}

/* Room for the times of what is not answered yet; at a rate there is no bound. */
#define SENT_MIN 16

static void
make_pubs(struct bench *b)
{
	uint32_t n = SENT_MIN;

	while (b->opt->mode == BENCH_PUBLISH && n < b->opt->window)
		n *= 2;
	b->pubs = base_zalloc((b->n_pubs + 1) * sizeof(*b->pubs));
	for (uint32_t i = 0; i < b->n_pubs && !b->opt->raw; i++) {
		b->pubs[i].sent = base_zalloc(n * sizeof(*b->pubs[i].sent));
		b->pubs[i].n_sent = n;
	}
}

int
bench_run_init(struct bench *b, const struct bench_opts *opt, struct bench_url *urls,
    uint32_t n, uint32_t first_user, char *err, size_t errlen)
{
	bool load = opt->mode != BENCH_IDLE && opt->mode != BENCH_CONNECT;

	b->opt = opt;
	b->urls = urls;
	b->n_urls = opt->urls.n;
	b->first_user = first_user;
	b->random = (uint64_t)opt->seed << 32 | first_user;
	b->n_members = n;
	base_list_init(&b->waiting);
	b->win_from = b->win_to = UINT64_MAX;
	make_rooms(b);
	if (load)
		b->n_pubs = b->n_rooms * (uint32_t)opt->publishers;
	b->n_conns = n + (opt->outside ? b->n_pubs : 0);
	if (raise_files(b->n_conns, err, errlen) < 0)
		return -1;
	for (unsigned i = 0; i < b->n_urls && b->tls == NULL; i++) {
		if (!urls[i].tls)
			continue;
		b->tls = bench_wire_ctx(opt->ca, opt->insecure, err, errlen);
		if (b->tls == NULL)
			return -1;
	}
	b->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (b->epfd < 0) {
		snprintf(err, errlen, "epoll_create1: %s", strerror(errno));
		return -1;
	}
	make_pubs(b);
	b->conns = base_zalloc(b->n_conns * sizeof(*b->conns));
	b->rbuf = base_malloc(BENCH_RBUF);
	bench_client_payload(b, &b->payload, (size_t)opt->size);
	for (uint32_t i = 0; i < b->n_conns; i++)
		make_conn(b, i);
	return 0;
}

void
bench_run_fini(struct bench *b)
{
	for (uint32_t i = 0; b->conns != NULL && i < b->n_conns; i++) {
		bench_conn_free(&b->conns[i]);
		free(b->conns[i].tracks);
	}
	for (uint32_t i = 0; b->heads != NULL && i < b->n_rooms; i++)
		free((void *)(uintptr_t)b->heads[i].p);
	for (uint32_t i = 0; b->pubs != NULL && i < b->n_pubs; i++) {
		free(b->pubs[i].excused.v);
		free(b->pubs[i].sent);
	}
	free(b->heads);
	free(b->pubs);
	free(b->conns);
	free(b->rbuf);
	base_buf_free(&b->payload);
	base_buf_free(&b->text);
	base_buf_free(&b->frame);
	SSL_CTX_free(b->tls);
	if (b->epfd > 0)
		close(b->epfd);
}
