/*
 * ev_wheel: one deadline for each of many connections, in 24 bytes each.
 *
 * A struct event for each would cost 128 bytes and a place in a heap.  Time is
 * counted in ticks of EV_TICK_MS since the wheel was made; a deadline is never
 * early, and at most two ticks late.
 */
#ifndef EV_WHEEL_H
#define EV_WHEEL_H

#include "base/base_list.h"

#define EV_TICK_MS 100
#define EV_WHEEL_SLOTS 512 /* a power of two; longer deadlines go round again */

struct ev_wheel_node {
	struct base_list link;
	uint32_t tick; /* when it is due */
};

struct ev_wheel {
	struct base_list slots[EV_WHEEL_SLOTS];
	int64_t start_ms;
	uint32_t now; /* ticks that were run */
};

typedef void ev_wheel_fn(struct ev_wheel_node *node, void *arg);

/* NOW_MS as of base_time_ms. */
void ev_wheel_init(struct ev_wheel *w, int64_t now_ms);

/*
 * The tick that is DELAY_MS after NOW_MS (base_time_ms), rounded up.  The wheel may
 * have stood still meanwhile, as when the process was stopped.
 */
uint32_t ev_wheel_in(const struct ev_wheel *w, int64_t now_ms, int64_t delay_ms);

/* (Re)schedules NODE for TICK. */
void ev_wheel_set(struct ev_wheel *w, struct ev_wheel_node *node, uint32_t tick);
void ev_wheel_del(struct ev_wheel_node *node);

/* Unlinks every node that is due at NOW_MS and calls FN for it. */
void ev_wheel_run(struct ev_wheel *w, int64_t now_ms, ev_wheel_fn *fn, void *arg);

#endif
