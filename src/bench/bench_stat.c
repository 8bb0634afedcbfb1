/* bench_stat: see bench_stat.h. */
#include "config.h"

#include "bench/bench_stat.h"

/* The middle of the step I. */
static uint64_t
step_value(unsigned i)
{
	unsigned shift;
	uint64_t low;

	if (i < 2u << BENCH_HIST_BITS)
		return i;
	shift = (i >> BENCH_HIST_BITS) - 1;
	low = ((uint64_t)(i & ((1u << BENCH_HIST_BITS) - 1)) + (1u << BENCH_HIST_BITS))
	      << shift;
	return low + (((uint64_t)1 << shift) >> 1);
}

void
bench_hist_merge(struct bench_hist *into, const struct bench_hist *from)
{
	for (unsigned i = 0; i < BENCH_HIST_STEPS; i++)
		into->count[i] += from->count[i];
	into->n += from->n;
	into->sum += from->sum;
	into->max = BASE_MAX(into->max, from->max);
}

uint64_t
bench_hist_quantile_since(
    const struct bench_hist *now, const struct bench_hist *before, double q)
{
	uint64_t n = now->n - (before != NULL ? before->n : 0), want, sum = 0;

	if (n == 0)
		return 0;
	want = (uint64_t)(q * (double)n);
	if ((double)want < q * (double)n || want == 0)
		want++;
	for (unsigned i = 0; i < BENCH_HIST_STEPS; i++) {
		sum += now->count[i] - (before != NULL ? before->count[i] : 0);
		if (sum >= want)
			return BASE_MIN(step_value(i), now->max);
	}
	return now->max;
}

uint64_t
bench_hist_quantile(const struct bench_hist *h, double q)
{
	return bench_hist_quantile_since(h, NULL, q);
}

double
bench_hist_mean(const struct bench_hist *h)
{
	return h->n > 0 ? h->sum / (double)h->n : 0;
}
