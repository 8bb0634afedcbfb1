/*
 * ev_wheel: see the header.
 */
#include "config.h"

#include "ev/ev_wheel.h"

void
ev_wheel_init(struct ev_wheel *w, int64_t now_ms)
{
	for (unsigned i = 0; i < EV_WHEEL_SLOTS; i++)
		base_list_init(&w->slots[i]);
	w->start_ms = now_ms;
	w->now = 0;
}

uint32_t
ev_wheel_in(const struct ev_wheel *w, int64_t now_ms, int64_t delay_ms)
{
	/* One more: the current tick has begun already. */
	return 1 +
	    (uint32_t)((now_ms - w->start_ms + delay_ms + EV_TICK_MS - 1) / EV_TICK_MS);
}

void
ev_wheel_set(struct ev_wheel *w, struct ev_wheel_node *node, uint32_t tick)
{
	base_list_del(&node->link);
	if ((int32_t)(tick - w->now) <= 0)
		tick = w->now + 1;
	node->tick = tick;
	base_list_add_tail(&w->slots[tick % EV_WHEEL_SLOTS], &node->link);
}

void
ev_wheel_del(struct ev_wheel_node *node)
{
	base_list_del(&node->link);
}

static void
run_slot(struct ev_wheel *w, ev_wheel_fn *fn, void *arg)
{
	struct base_list *slot = &w->slots[w->now % EV_WHEEL_SLOTS], due, *link;

	/*
	 * Taken over whole, so that FN may unlink any node, and so that one which
	 * is due a round later is looked at once.
	 */
	if (base_list_empty(slot))
		return;
	due = *slot;
	due.next->prev = due.prev->next = &due;
	base_list_init(slot);
	while (!base_list_empty(&due)) {
		struct ev_wheel_node *node;

		link = due.next;
		node = BASE_CONTAINER(link, struct ev_wheel_node, link);
		base_list_del(link);
		if (node->tick == w->now)
			fn(node, arg);
		else
			base_list_add_tail(slot, link);
	}
}

void
ev_wheel_run(struct ev_wheel *w, int64_t now_ms, ev_wheel_fn *fn, void *arg)
{
	uint32_t end = (uint32_t)((now_ms - w->start_ms) / EV_TICK_MS);

	while ((int32_t)(end - w->now) > 0) {
		w->now++;
		run_slot(w, fn, arg);
	}
}
