/*
 * order: see the header.
 */
#include "config.h"

#include "core/order.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base_assert.h"
#include "base/base_list.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "proto/codes.h"
#include "ring/ring_queue.h"

/* Of one turn: the sockets want to be looked at too. */
#define BUDGET_RECORDS 512
#define BUDGET_BYTES (1u << 20)

#define RECORD_HEAD 64 /* bytes of a record beside name and body */

#define TABLE_MIN 64 /* buckets; a power of two */

struct question {
	struct question *next; /* in its bucket */
	struct base_list link; /* in the order of asking */
	uint64_t req;
	int64_t due_ms;
	order_fn fn;
	void *arg;
	struct base_buf parts;
	bool too_long;
};

struct order {
	struct order_env env;
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	const struct order_events *events;
	void *events_arg;
	int64_t timeout_ms;
	size_t reply_max;
	uint64_t last_req;
	struct question **table;
	size_t n, n_buckets;
	struct base_list questions;
	bool greeted; /* the broker was told that we are another owner of the slot */
	size_t taken; /* bytes since the broker was last told that there is room */
};

/* False: no room. */
static bool
put(struct order *o, const struct order_msg *msg)
{
	struct ring_head head = {.type = RING_DATA, .time = base_time_wall_ns()};
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	size_t len;
	int n = order_msg_pieces(msg, fixed, iov, &len);

	if (ring_queue_put(o->out, &head, msg->channel, iov, n) < 0)
		return false;
	*o->env.wake_mask |= UINT64_C(1) << ring_seg_broker(o->env.seg);
	return true;
}

static bool
greet(struct order *o)
{
	const struct order_msg hello = {
	    .kind = ORDER_HELLO, .number = o->env.generation};

	return put(o, &hello);
}

int
order_new(
    const struct order_env *env, struct order **order_r, char *err, size_t errlen)
{
	struct order *o = base_zalloc(sizeof(*o));

	o->env = *env;
	o->timeout_ms = INT64_MAX / 2;
	o->reply_max = SIZE_MAX;
	/* Not one that our predecessor may have used. */
	base_rand_bytes(&o->last_req, sizeof(o->last_req));
	o->n_buckets = TABLE_MIN;
	o->table = base_zalloc(o->n_buckets * sizeof(*o->table));
	base_list_init(&o->questions);
	if (ring_queue_out_open(
		env->seg, env->slot, RING_QUEUE_CLIENT, &o->out, err, errlen) < 0 ||
	    ring_queue_in_open(env->seg, env->slot, RING_QUEUE_CLIENT, NULL, &o->in,
		err, errlen) < 0) {
		order_free(o);
		return -1;
	}
	/* If the queue is still full of our predecessor's messages: before the first of
	 * our own. */
	o->greeted = greet(o);
	*order_r = o;
	return 0;
}

static void
question_free(struct order *o, struct question *q)
{
	struct question **p = &o->table[q->req & (o->n_buckets - 1)];

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
	o->n--;
	base_list_del(&q->link);
	base_buf_free(&q->parts);
	free(q);
}

void
order_free(struct order *o)
{
	if (o == NULL)
		return;
	BASE_LIST_FOREACH_SAFE (it, tmp, &o->questions)
		question_free(o, BASE_CONTAINER(it, struct question, link));
	if (o->in != NULL)
		ring_queue_in_close(o->in);
	if (o->out != NULL)
		ring_queue_out_close(o->out);
	free(o->table);
	free(o);
}

void
order_listen(struct order *o, const struct order_events *events, void *arg)
{
	o->events = events;
	o->events_arg = arg;
}

void
order_limits(struct order *o, int64_t timeout_ms, size_t reply_max)
{
	o->timeout_ms = timeout_ms;
	o->reply_max = reply_max;
}

/* ---- asking ---- */

size_t
order_max(const struct order *o)
{
	return ring_queue_max(o->out) - ORDER_FIXED_MAX;
}

bool
order_fits(const struct order *o, const struct order_msg *msg)
{
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	size_t len;

	order_msg_pieces(msg, fixed, iov, &len);
	return msg->channel.len + len <= ring_queue_max(o->out);
}

bool
order_tell(struct order *o, const struct order_msg *msg)
{
	o->greeted = o->greeted || greet(o);
	return o->greeted && put(o, msg);
}

bool
order_roomy(struct order *o)
{
	return ring_queue_roomy(o->out);
}

static void
grow(struct order *o)
{
	size_t n = o->n_buckets * 2;
	struct question **table = base_zalloc(n * sizeof(*table));

	for (size_t i = 0; i < o->n_buckets; i++)
		for (struct question *q = o->table[i], *next; q != NULL; q = next) {
			next = q->next;
			q->next = table[q->req & (n - 1)];
			table[q->req & (n - 1)] = q;
		}
	free(o->table);
	o->table = table;
	o->n_buckets = n;
}

uint64_t
order_ask(struct order *o, struct order_msg *msg, order_fn fn, void *arg)
{
	struct question *q;
	uint64_t req = o->last_req + 1;

	req += req == 0;
	msg->req = req;
	if (!order_tell(o, msg)) {
		stat_add(o->env.stat, ask_refused, 1);
		return 0;
	}
	stat_add(o->env.stat, asked, 1);
	o->last_req = req;
	if (o->n == o->n_buckets)
		grow(o);
	q = base_zalloc(sizeof(*q));
	q->req = req;
	q->due_ms = base_time_ms() + o->timeout_ms;
	q->fn = fn;
	q->arg = arg;
	q->next = o->table[req & (o->n_buckets - 1)];
	o->table[req & (o->n_buckets - 1)] = q;
	o->n++;
	base_list_add_tail(&o->questions, &q->link);
	return req;
}

static struct question *
find(const struct order *o, uint64_t req)
{
	struct question *q = o->table[req & (o->n_buckets - 1)];

	while (q != NULL && q->req != req)
		q = q->next;
	return q;
}

void
order_forget(struct order *o, uint64_t req)
{
	struct question *q = find(o, req);

	if (q != NULL)
		question_free(o, q);
}

/* ---- answers ---- */

/* Q is over before its FN runs, which may ask and forget. */
static void
finish(struct order *o, struct question *q, const struct order_msg *answer)
{
	order_fn fn = q->fn;
	void *arg = q->arg;
	struct base_buf parts = q->parts;

	q->parts = (struct base_buf){0};
	question_free(o, q);
	fn(arg, answer);
	base_buf_free(&parts);
}

static void
fail(struct order *o, struct question *q, enum proto_error code)
{
	const struct order_msg answer = {.req = q->req, .code = (int32_t)code};

	finish(o, q, &answer);
}

static void
take_answer(struct order *o, struct order_msg *m)
{
	struct question *q = find(o, m->req);

	if (q == NULL)
		return;
	if (q->too_long || q->parts.len + m->data.len > o->reply_max) {
		q->too_long = true;
		base_buf_free(&q->parts);
		if ((m->flags & ORDER_F_MORE) == 0)
			fail(o, q, PROTO_ERROR_LIMIT_EXCEEDED);
		return;
	}
	if (q->parts.len > 0 || (m->flags & ORDER_F_MORE) != 0)
		base_buf_add(&q->parts, m->data.p, m->data.len);
	if ((m->flags & ORDER_F_MORE) != 0)
		return;
	if (q->parts.len > 0)
		m->data = (struct base_slice){q->parts.p, q->parts.len};
	finish(o, q, m);
}

/* The successor gives whole answers, whatever the dead one has begun. */
static void
broker_new(struct order *o)
{
	BASE_LIST_FOREACH (it, &o->questions) {
		struct question *q = BASE_CONTAINER(it, struct question, link);

		base_buf_free(&q->parts);
		q->too_long = false;
	}
	if (o->events != NULL)
		o->events->broker_new(o->events_arg);
}

static void
take(struct order *o, const struct ring_queue_item *item)
{
	struct base_slice name = {item->name, item->head.name_len};
	struct base_slice body = {item->body, item->head.body_len};
	struct order_msg m;

	if (!order_msg_decode(name, body, &m)) {
		log_error(LOG_WORKER, "a message of the broker cannot be read len=%zu",
		    body.len);
		return;
	}
	switch (m.kind) {
	case ORDER_BROKER_HELLO:
		broker_new(o);
		break;
	case ORDER_ASK_CHANNELS:
		if (o->events != NULL)
			o->events->channels(o->events_arg, &m);
		break;
	default:
		take_answer(o, &m);
		break;
	}
}

/* All waited the same time, but for a change of the time itself. */
static void
time_out(struct order *o, int64_t now_ms)
{
	while (!base_list_empty(&o->questions)) {
		struct question *q =
		    BASE_CONTAINER(o->questions.next, struct question, link);

		if (q->due_ms > now_ms)
			break;
		stat_add(o->env.stat, ask_timeouts, 1);
		fail(o, q, PROTO_ERROR_INTERNAL);
	}
}

bool
order_turn(struct order *o, int64_t now_ms)
{
	size_t eighth = ring_queue_max(o->out), bytes = 0;
	struct ring_queue_item item = {.end = 0};
	unsigned n = 0;

	while (n < BUDGET_RECORDS && bytes < BUDGET_BYTES &&
	    ring_queue_next(o->in, &item) > 0) {
		n++;
		bytes += item.head.name_len + item.head.body_len + RECORD_HEAD;
		take(o, &item);
	}
	if (n > 0)
		ring_queue_done(o->in, item.end);
	/* It may have answers that found no room: it is woken each eighth of a lane,
	 * which is less than is free when the next answer is refused again. */
	o->taken += bytes;
	if (o->taken >= eighth) {
		o->taken = 0;
		*o->env.wake_mask |= UINT64_C(1) << ring_seg_broker(o->env.seg);
	}
	if (order_pending(o))
		return true;
	time_out(o, now_ms);
	return false;
}

bool
order_pending(const struct order *o)
{
	return ring_queue_pending(o->in);
}
