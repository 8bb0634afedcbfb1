/*
 * Deadlines: never early, at most a tick late, however far away.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_defs.h"
#include "ev/ev_wheel.h"

#define NODES 500

struct item {
	struct ev_wheel_node node;
	int64_t want_ms; /* -1: none */
	unsigned fired;
};

static struct ev_wheel wheel;
static struct item items[NODES];
static int64_t now = 1000000;

static void
fire(struct ev_wheel_node *node, void *arg)
{
	struct item *it = BASE_CONTAINER(node, struct item, node);

	(void)arg;
	assert_true(it->want_ms >= 0);
	assert_true(now >= it->want_ms);
	/* Two ticks of the wheel, and one that the loop comes late. */
	assert_true(now <= it->want_ms + 3 * EV_TICK_MS);
	it->want_ms = -1;
	it->fired++;
}

static void
is_never_early(void **state)
{
	unsigned seed = 7, fired = 0;

	(void)state;
	ev_wheel_init(&wheel, now);
	for (unsigned i = 0; i < NODES; i++)
		items[i].want_ms = -1;
	for (unsigned step = 0; step < 40000; step++) {
		struct item *it = &items[(unsigned)rand_r(&seed) % NODES];
		int64_t delay = rand_r(&seed) % 200000;

		if (rand_r(&seed) % 8 == 0) {
			ev_wheel_del(&it->node);
			it->want_ms = -1;
		} else {
			it->want_ms = now + delay;
			ev_wheel_set(
			    &wheel, &it->node, ev_wheel_in(&wheel, now, delay));
		}
		now += rand_r(&seed) % EV_TICK_MS;
		ev_wheel_run(&wheel, now, fire, NULL);
	}
	for (; now < 1000000 + INT64_C(40000) * EV_TICK_MS * 2; now += EV_TICK_MS)
		ev_wheel_run(&wheel, now, fire, NULL);
	for (unsigned i = 0; i < NODES; i++) {
		assert_int_equal(items[i].want_ms, -1);
		assert_false(base_list_linked(&items[i].node.link));
		fired += items[i].fired;
	}
	assert_true(fired > 1000);
}

/* A handler may take away, or set anew, what is due in the same tick. */
static struct item pair[2];

static void
fire_pair(struct ev_wheel_node *node, void *arg)
{
	struct item *it = BASE_CONTAINER(node, struct item, node);
	struct item *other = it == &pair[0] ? &pair[1] : &pair[0];

	it->fired++;
	if (arg == NULL)
		ev_wheel_del(&other->node);
	else
		ev_wheel_set(&wheel, &it->node, wheel.now + 1);
}

static void
lets_handlers_change_it(void **state)
{
	(void)state;
	ev_wheel_init(&wheel, 0);
	memset(pair, 0, sizeof(pair));
	for (unsigned i = 0; i < 2; i++)
		ev_wheel_set(&wheel, &pair[i].node, 5);
	ev_wheel_run(&wheel, 5 * EV_TICK_MS, fire_pair, NULL);
	assert_int_equal(pair[0].fired + pair[1].fired, 1);
	memset(pair, 0, sizeof(pair));
	ev_wheel_set(&wheel, &pair[0].node, 6);
	ev_wheel_run(&wheel, 16 * EV_TICK_MS, fire_pair, &wheel);
	assert_true(pair[0].fired >= 5);
	ev_wheel_del(&pair[0].node);
}

/* The process was stopped for a minute: who comes first after it has all its time. */
static void
counts_from_now_after_a_stall(void **state)
{
	struct item it = {.want_ms = -1};

	(void)state;
	now = 0;
	ev_wheel_init(&wheel, now);
	now = 60000;
	it.want_ms = now + 1000;
	ev_wheel_set(&wheel, &it.node, ev_wheel_in(&wheel, now, 1000));
	ev_wheel_run(&wheel, now, fire, NULL);
	assert_int_equal(it.fired, 0);
	now = 61200;
	ev_wheel_run(&wheel, now, fire, NULL);
	assert_int_equal(it.fired, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_never_early),
	    cmocka_unit_test(lets_handlers_change_it),
	    cmocka_unit_test(counts_from_now_after_a_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
