/*
 * The hub against a matrix of who is subscribed to what.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_mem.h"
#include "core/hub.h"
#include "core/sess.h"

#define SESSIONS 40
#define CHANNELS 3000 /* more than one growth of the table */

static struct hub *hub;
static struct sess sessions[SESSIONS];
static bool matrix[SESSIONS][CHANNELS];

static struct base_slice
name_of(unsigned chan, char buf[32])
{
	return (struct base_slice){buf, (size_t)snprintf(buf, 32, "ns:%u", chan)};
}

/* Every link and its counterpart point at each other. */
static void
check_links(void)
{
	for (unsigned s = 0; s < SESSIONS; s++)
		for (uint32_t i = 0; i < sessions[s].n_subs; i++) {
			struct hub_link *l = &sessions[s].subs[i];

			assert_true(l->pos < l->chan->n_subs);
			assert_ptr_equal(l->chan->subs[l->pos].sess, &sessions[s]);
			assert_int_equal(l->chan->subs[l->pos].slot, i);
		}
}

static void
check_matrix(void)
{
	uint64_t channels = 0;
	char buf[32];

	for (unsigned c = 0; c < CHANNELS; c++) {
		struct base_slice name = name_of(c, buf);
		struct hub_chan *chan = hub_find(hub, name, hub_hash(hub, name));
		uint32_t n = 0;

		for (unsigned s = 0; s < SESSIONS; s++) {
			n += matrix[s][c];
			assert_int_equal(
			    hub_slot(chan, &sessions[s]) >= 0, matrix[s][c]);
		}
		assert_int_equal(chan == NULL, n == 0);
		if (chan != NULL)
			assert_int_equal(chan->n_subs, n);
		channels += n > 0;
	}
	assert_int_equal(hub_channels(hub), channels);
}

static void
toggle(unsigned s, unsigned c)
{
	char buf[32];
	struct base_slice name = name_of(c, buf);
	uint64_t hash = hub_hash(hub, name);

	if (matrix[s][c])
		hub_unsubscribe(hub, &sessions[s],
		    (uint32_t)hub_slot(hub_find(hub, name, hash), &sessions[s]));
	else
		hub_subscribe(hub, &sessions[s], name, hash);
	matrix[s][c] = !matrix[s][c];
}

static void
follows_the_matrix(void **state)
{
	const struct base_hash_key key = {1, 2};
	unsigned seed = 42;

	(void)state;
	hub = hub_new(&key, NULL);
	for (unsigned i = 0; i < 60000; i++) {
		/* A few channels with many subscribers, many with few. */
		unsigned c = (unsigned)rand_r(&seed) % 4 == 0
		    ? (unsigned)rand_r(&seed) % 8
		    : (unsigned)rand_r(&seed) % CHANNELS;

		toggle((unsigned)rand_r(&seed) % SESSIONS, c);
		if (i % 15000 == 0)
			check_links();
	}
	check_links();
	check_matrix();
	for (unsigned s = 0; s < SESSIONS; s++) {
		while (sessions[s].n_subs > 0)
			hub_unsubscribe(hub, &sessions[s], sessions[s].n_subs - 1);
		assert_null(sessions[s].subs);
	}
	assert_int_equal(hub_channels(hub), 0);
	hub_free(hub);
}

static void
tells_names_with_one_hash_apart(void **state)
{
	const struct base_hash_key key = {1, 2};
	struct base_slice a = {"a", 1}, b = {"b", 1};
	struct sess s = {0};

	(void)state;
	hub = hub_new(&key, NULL);
	hub_subscribe(hub, &s, a, 7);
	assert_non_null(hub_first(hub, 7));
	assert_null(hub_find(hub, b, 7));
	hub_subscribe(hub, &s, b, 7);
	assert_non_null(hub_find(hub, a, 7));
	assert_non_null(hub_find(hub, b, 7));
	hub_unsubscribe(hub, &s, 0);
	assert_null(hub_find(hub, a, 7));
	assert_ptr_equal(hub_first(hub, 7), hub_find(hub, b, 7));
	hub_unsubscribe(hub, &s, 0);
	assert_null(hub_first(hub, 7));
	hub_free(hub);
}

/* ---- walks ---- */

static bool seen[SESSIONS][CHANNELS];
static unsigned refusals;

static bool
see(void *arg, const struct hub_chan *chan, const struct hub_sub *sub)
{
	unsigned s = (unsigned)(sub->sess - sessions);
	unsigned c = (unsigned)strtoul(chan->name + 3, NULL, 10);
	unsigned *seed = arg;

	assert_true(s < SESSIONS && c < CHANNELS && matrix[s][c]);
	/* What is refused is shown again. */
	if (rand_r(seed) % 7 == 0) {
		refusals++;
		return false;
	}
	seen[s][c] = true;
	return true;
}

/* Who is there all the time is shown, whoever comes and goes meanwhile, and however
 * the table grows. */
static void
walks_while_it_changes(void **state)
{
	static bool stays[SESSIONS][CHANNELS];
	const struct base_hash_key key = {3, 4};
	unsigned seed = 7, steps = 0;

	(void)state;
	memset(matrix, 0, sizeof(matrix));
	hub = hub_new(&key, NULL);
	for (unsigned i = 0; i < 2000; i++)
		toggle((unsigned)rand_r(&seed) % SESSIONS,
		    (unsigned)rand_r(&seed) % 600);
	for (unsigned i = 0; i < SESSIONS; i++)
		toggle(i, CHANNELS - 1);
	memcpy(stays, matrix, sizeof(stays));
	hub_walk_begin(hub);
	while (!hub_walk_some(hub, 50, see, &seed)) {
		steps++;
		for (unsigned i = 0; i < 40; i++) {
			unsigned s = (unsigned)rand_r(&seed) % SESSIONS;
			unsigned c = (unsigned)rand_r(&seed) % CHANNELS;

			if (matrix[s][c])
				stays[s][c] = false;
			toggle(s, c);
		}
	}
	assert_true(steps > 20 && refusals > 20);
	for (unsigned s = 0; s < SESSIONS; s++)
		for (unsigned c = 0; c < CHANNELS; c++)
			assert_true(!stays[s][c] || seen[s][c]);
	for (unsigned s = 0; s < SESSIONS; s++)
		while (sessions[s].n_subs > 0)
			hub_unsubscribe(hub, &sessions[s], sessions[s].n_subs - 1);
	hub_free(hub);
}

static void
a_stream_keeps_its_channel(void **state)
{
	const struct base_hash_key key = {1, 2};
	struct base_slice name = {"a", 1};
	struct sess s = {0};
	struct hub_chan *chan;

	(void)state;
	hub = hub_new(&key, NULL);
	chan = hub_subscribe(hub, &s, name, 7);
	hub_sub(&s, 0)->flags = HUB_PLACED;
	chan->stream = (struct stream *)(void *)&s;
	hub_unsubscribe(hub, &s, 0);
	assert_ptr_equal(hub_find(hub, name, 7), chan);
	assert_int_equal(hub_channels(hub), 0);
	assert_ptr_equal(hub_subscribe(hub, &s, name, 7), chan);
	assert_int_equal(hub_channels(hub), 1);
	/* One that comes has no flags of one that went. */
	assert_int_equal(hub_sub(&s, 0)->flags, 0);
	chan->stream = NULL;
	hub_release(hub, chan);
	assert_ptr_equal(hub_find(hub, name, 7), chan);
	chan->stream = (struct stream *)(void *)&s;
	hub_unsubscribe(hub, &s, 0);
	chan->stream = NULL;
	hub_release(hub, chan);
	assert_null(hub_find(hub, name, 7));
	hub_free(hub);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(follows_the_matrix),
	    cmocka_unit_test(tells_names_with_one_hash_apart),
	    cmocka_unit_test(walks_while_it_changes),
	    cmocka_unit_test(a_stream_keeps_its_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
