/*
 * broker_reply: answers, and what waits when a client's queue has no room.
 *
 * What finds no room waits in memory.  While it does, a request whose answer may be
 * large is put off as it is, and is answered when its turn comes: so at most one such
 * answer of a client waits at a time.  The records of requests are given back up to
 * the first one whose answer waits.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_time.h"
#include "broker/broker_priv.h"

/* In a fifo; name and body follow. */
struct entry {
	uint64_t before; /* the slot's records up to it may be given back */
	uint32_t len; /* of all */
	uint32_t name_len, body_len;
	uint32_t request; /* it is a request that was put off */
};

/* Front of a fifo that was taken, before the rest is moved down. */
#define SLACK (64u << 10)

static size_t
fifo_bytes(const struct broker_fifo *f)
{
	return f->buf.len - f->at;
}

static struct base_slice
fifo_first(const struct broker_fifo *f, struct entry *e_r)
{
	const char *p = f->buf.p + f->at;

	memcpy(e_r, p, sizeof(*e_r));
	return (struct base_slice){p + sizeof(*e_r), e_r->name_len};
}

static void
fifo_drop(struct broker_fifo *f, size_t len)
{
	f->at += len;
	if (f->at == f->buf.len) {
		f->at = 0;
		f->buf.len = 0;
		/* What a rush has left is not kept for ever. */
		if (f->buf.cap > BROKER_BACKLOG_MAX)
			base_buf_free(&f->buf);
	} else if (f->at > SLACK && f->at > f->buf.len / 2) {
		base_buf_drop(&f->buf, f->at);
		f->at = 0;
	}
}

static void
fifo_add(struct broker_fifo *f, uint64_t before, const struct order_msg *msg,
    bool request)
{
	struct entry e = {.before = before,
	    .name_len = (uint32_t)msg->channel.len,
	    .request = request};
	size_t at = f->buf.len;

	base_buf_add(&f->buf, &e, sizeof(e));
	base_buf_add(&f->buf, msg->channel.p, msg->channel.len);
	order_msg_encode(msg, &f->buf);
	e.len = (uint32_t)(f->buf.len - at);
	e.body_len = e.len - e.name_len - (uint32_t)sizeof(e);
	memcpy(f->buf.p + at, &e, sizeof(e));
}

bool
broker_reply_busy(const struct broker *b, unsigned slot)
{
	const struct broker_slot *s = &b->slots[slot];

	return fifo_bytes(&s->front) > 0 || fifo_bytes(&s->back) > 0;
}

bool
broker_reply_full(const struct broker *b, unsigned slot)
{
	const struct broker_slot *s = &b->slots[slot];

	return fifo_bytes(&s->front) + fifo_bytes(&s->back) > BROKER_BACKLOG_MAX;
}

size_t
broker_reply_bytes(const struct broker *b)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < b->n_slots; i++)
		bytes += b->slots[i].front.buf.cap + b->slots[i].back.buf.cap;
	return bytes;
}

void
broker_reply_free(struct broker_slot *s)
{
	base_buf_free(&s->front.buf);
	base_buf_free(&s->back.buf);
	s->front.at = s->back.at = 0;
}

/* 0, or -EAGAIN.  A queue that is damaged swallows all: its client gets nothing more
 * whatever we do, and the ring has said so. */
static int
put(struct broker *b, unsigned slot, struct base_slice name, const struct iovec *iov,
    int n)
{
	struct ring_head head = {.type = RING_DATA, .time = b->wall_ns};
	int r = ring_queue_put(b->slots[slot].out, &head, name, iov, n);

	if (r == 0)
		b->wake |= UINT64_C(1) << slot;
	return r == -EAGAIN ? r : 0;
}

void
broker_reply(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	struct broker_slot *s = &b->slots[slot];
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	bool waits;
	size_t len;
	int n;

	if (s->out == NULL)
		return;
	n = order_msg_pieces(msg, fixed, iov, &len);
	base_assert(msg->channel.len + len <= ring_queue_max(s->out));
	waits = s->putting_off ? fifo_bytes(&s->front) > 0 : broker_reply_busy(b, slot);
	if (!waits && put(b, slot, msg->channel, iov, n) == 0)
		return;
	if (s->putting_off)
		fifo_add(&s->front, s->before, msg, false);
	else
		fifo_add(&s->back, s->taken, msg, false);
}

void
broker_reply_parts(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	struct order_msg part = *msg;
	struct base_slice left = msg->data;
	size_t max;

	if (b->slots[slot].out == NULL)
		return;
	max = ring_queue_max(b->slots[slot].out) - ORDER_FIXED_MAX - ORDER_EPOCH_LEN;
	while (left.len > max) {
		part.flags = msg->flags | ORDER_F_MORE;
		part.data = (struct base_slice){left.p, max};
		broker_reply(b, slot, &part);
		left.p += max;
		left.len -= max;
	}
	part.flags = msg->flags;
	part.data = left;
	broker_reply(b, slot, &part);
}

void
broker_reply_error(struct broker *b, unsigned slot, enum order_kind kind, uint64_t req,
    enum proto_error code, enum broker_text text)
{
	const struct order_msg answer = {.kind = kind,
	    .req = req,
	    .code = (int32_t)code,
	    .data = broker_text(text)};

	if (req != 0)
		broker_reply(b, slot, &answer);
}

void
broker_reply_put_off(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	struct broker_slot *s = &b->slots[slot];

	fifo_add(&s->back, s->taken, msg, true);
}

/* Sends what F holds up to the first request.  False: there is no more room. */
static bool
send_entries(struct broker *b, unsigned slot, struct broker_fifo *f)
{
	struct base_slice name;
	struct iovec iov;
	struct entry e;

	while (fifo_bytes(f) > 0) {
		name = fifo_first(f, &e);
		if (e.request != 0)
			break;
		iov.iov_base = (void *)(uintptr_t)(name.p + name.len);
		iov.iov_len = e.body_len;
		if (put(b, slot, name, &iov, 1) != 0)
			return false;
		fifo_drop(f, e.len);
	}
	return true;
}

/* Answers the request that back begins with. */
static void
run_request(struct broker *b, unsigned slot)
{
	struct broker_slot *s = &b->slots[slot];
	struct order_msg msg;
	struct base_slice name;
	struct entry e;

	name = fifo_first(&s->back, &e);
	base_assert(order_msg_decode(
	    name, (struct base_slice){name.p + name.len, e.body_len}, &msg));
	s->before = e.before;
	s->putting_off = true;
	if (msg.kind == ORDER_PRESENCE)
		broker_pres_answer(b, slot, &msg);
	else if (msg.kind == ORDER_DEAD_LIST)
		broker_admin_dead_list(b, slot, &msg);
	else
		broker_hist_answer(b, slot, &msg);
	s->putting_off = false;
	fifo_drop(&s->back, e.len);
}

void
broker_reply_flush(struct broker *b, unsigned slot)
{
	struct broker_slot *s = &b->slots[slot];

	if (s->out == NULL)
		return;
	while (broker_reply_busy(b, slot)) {
		if (!send_entries(b, slot, &s->front) ||
		    !send_entries(b, slot, &s->back))
			break;
		if (fifo_bytes(&s->back) > 0)
			run_request(b, slot);
	}
	broker_reply_done(b, slot);
}

void
broker_reply_done(struct broker *b, unsigned slot)
{
	struct broker_slot *s = &b->slots[slot];
	uint64_t end = s->taken;
	struct entry e;

	if (fifo_bytes(&s->front) > 0) {
		end = s->before;
	} else if (fifo_bytes(&s->back) > 0) {
		fifo_first(&s->back, &e);
		end = e.before;
	}
	if (s->in == NULL || end <= s->done)
		return;
	BROKER_POINT(BEFORE_DONE);
	ring_queue_done(s->in, end);
	s->done = end;
	BROKER_POINT(AFTER_DONE);
}
