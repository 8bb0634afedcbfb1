/*
 * broker_read: reads of old messages, which the archiver makes.
 *
 * A few may be under way at once, each for read_timeout; what is asked meanwhile is
 * refused, so that readers of old messages cannot take the database from its writer.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "broker/broker_priv.h"

/* Over history_reply, for the lists' own bytes. */
#define SLACK (64u << 10)

struct broker_read {
	struct base_list link;
	uint64_t id; /* that the archiver knows */
	unsigned slot; /* who asked */
	int64_t due_ms;
	char epoch[ORDER_EPOCH_LEN];
	size_t channel_len;
	struct base_buf request; /* channel, then the message */
	struct base_buf rows;
};

static bool
archiver_lives(const struct broker *b)
{
	return b->archiver < b->n_slots && broker_lives(b, b->archiver);
}

static void
read_free(struct broker *b, struct broker_read *r)
{
	base_list_del(&r->link);
	b->n_reads--;
	base_buf_free(&r->request);
	base_buf_free(&r->rows);
	free(r);
}

static struct order_msg
request_of(const struct broker_read *r)
{
	const struct base_slice channel = {r->request.p, r->channel_len};
	const struct base_slice body = {
	    r->request.p + r->channel_len, r->request.len - r->channel_len};
	struct order_msg msg;

	base_assert(order_msg_decode(channel, body, &msg));
	return msg;
}

static void
refuse(struct broker *b, unsigned slot, const struct order_msg *msg)
{
	stat_add(b->stat, reads_failed, 1);
	broker_reply_error(b, slot, ORDER_HISTORY_IS, msg->req, PROTO_ERROR_INTERNAL,
	    BROKER_TEXT_READ_FAILED);
}

static void
fail(struct broker *b, struct broker_read *r)
{
	const struct order_msg msg = request_of(r);

	refuse(b, r->slot, &msg);
	read_free(b, r);
}

void
broker_read_ask(struct broker *b, unsigned slot, const struct order_msg *msg,
    const char epoch[ORDER_EPOCH_LEN], uint64_t from, uint64_t limit)
{
	struct order_msg ask = {
	    .kind = ORDER_READ,
	    .flags = msg->flags & ORDER_F_REVERSE,
	    .channel = msg->channel,
	    .epoch = {epoch, ORDER_EPOCH_LEN},
	    .offset = from,
	    .limit = (int32_t)BASE_MIN(limit, (uint64_t)INT32_MAX),
	    .number = b->conf->history_reply,
	};
	struct broker_read *r;

	if (b->n_reads >= (uint64_t)b->conf->read_max) {
		stat_add(b->stat, reads_refused, 1);
		broker_reply_error(b, slot, ORDER_HISTORY_IS, msg->req,
		    PROTO_ERROR_TOO_MANY_REQUESTS, BROKER_TEXT_NONE);
		return;
	}
	if (!archiver_lives(b)) {
		refuse(b, slot, msg);
		return;
	}
	r = base_zalloc(sizeof(*r));
	r->id = ask.req = ++b->last_req;
	r->slot = slot;
	r->due_ms = b->now_ms + b->conf->read_timeout;
	memcpy(r->epoch, epoch, sizeof(r->epoch));
	r->channel_len = msg->channel.len;
	base_buf_add(&r->request, msg->channel.p, msg->channel.len);
	order_msg_encode(msg, &r->request);
	base_list_add_tail(&b->reads, &r->link);
	b->n_reads++;
	stat_add(b->stat, reads_asked, 1);
	broker_reply(b, b->archiver, &ask);
}

static struct broker_read *
find(struct broker *b, uint64_t id)
{
	BASE_LIST_FOREACH (it, &b->reads) {
		struct broker_read *r = BASE_CONTAINER(it, struct broker_read, link);

		if (r->id == id)
			return r;
	}
	return NULL;
}

void
broker_read_rows(struct broker *b, const struct order_msg *msg)
{
	struct broker_read *r = find(b, msg->req);
	struct order_msg request;

	if (r == NULL)
		return;
	if (msg->code != 0 ||
	    r->rows.len + msg->data.len > 2 * b->conf->history_reply + SLACK) {
		fail(b, r);
		return;
	}
	base_buf_add(&r->rows, msg->data.p, msg->data.len);
	if ((msg->flags & ORDER_F_MORE) != 0)
		return;
	request = request_of(r);
	broker_hist_finish(b, r->slot, &request, r->epoch,
	    (struct base_slice){r->rows.p, r->rows.len});
	read_free(b, r);
}

void
broker_read_tick(struct broker *b)
{
	BASE_LIST_FOREACH_SAFE (it, tmp, &b->reads) {
		struct broker_read *r = BASE_CONTAINER(it, struct broker_read, link);

		if (b->now_ms >= r->due_ms)
			fail(b, r);
	}
}

void
broker_read_fail_all(struct broker *b)
{
	while (!base_list_empty(&b->reads))
		fail(b, BASE_CONTAINER(b->reads.next, struct broker_read, link));
}

void
broker_read_free(struct broker *b)
{
	while (!base_list_empty(&b->reads))
		read_free(
		    b, BASE_CONTAINER(b->reads.next, struct broker_read, link));
}
