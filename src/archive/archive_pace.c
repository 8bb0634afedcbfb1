/*
 * archive_pace: see the header.
 */
#include "config.h"

#include "archive/archive_pace.h"

/* Batches of a second at least, when there is a ceiling. */
#define SLICES 10

void
archive_pace_init(struct archive_pace *p)
{
	*p = (struct archive_pace){.batch = 1, .window = ARCHIVE_PROBE};
}

void
archive_pace_conf(
    struct archive_pace *p, int64_t batch, int64_t rate, int64_t pause_max)
{
	p->batch = batch;
	p->rate = rate;
	p->pause_max = pause_max;
	/* What the old ceiling has put off is not put off by the new one. */
	p->free_at = 0;
}

size_t
archive_pace_want(const struct archive_pace *p)
{
	int64_t want = BASE_MIN(p->window, p->batch);

	if (p->rate > 0)
		want = BASE_MIN(want, p->rate / SLICES);
	return (size_t)BASE_MAX(want, 1);
}

bool
archive_pace_full(const struct archive_pace *p)
{
	return p->window >= p->batch;
}

int64_t
archive_pace_due(const struct archive_pace *p)
{
	return BASE_MAX(p->free_at, p->retry_at);
}

void
archive_pace_sent(struct archive_pace *p, size_t n, int64_t now)
{
	if (p->rate > 0)
		p->free_at =
		    BASE_MAX(p->free_at, now) + (int64_t)n * INT64_C(1000000) / p->rate;
}

void
archive_pace_good(struct archive_pace *p)
{
	p->fails = 0;
	p->retry_at = p->pause = 0;
	p->window = BASE_MIN(p->window * 2, p->batch);
}

void
archive_pace_bad(struct archive_pace *p, int64_t now, uint32_t random)
{
	int64_t bound = ARCHIVE_PAUSE_MIN;
	unsigned i;

	for (i = 0; i < p->fails && bound < p->pause_max; i++)
		bound *= 2;
	bound = BASE_MIN(bound, p->pause_max);
	p->fails++;
	p->pause = 1 + (int64_t)(random % (uint64_t)bound);
	p->retry_at = now + p->pause * 1000;
	p->window = BASE_MIN(p->window, ARCHIVE_PROBE);
}

void
archive_pace_halve(struct archive_pace *p, size_t n)
{
	p->window = BASE_MAX((int64_t)n / 2, 1);
}
