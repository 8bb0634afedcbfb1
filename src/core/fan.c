/*
 * fan: see the header.
 */
#include "config.h"

#include "core/fan.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "proto/ws_frame.h"
#include "ring/ring_wake.h"

/* Of one lane in one turn: the sockets want to be looked at too. */
#define BUDGET_RECORDS 256
#define BUDGET_BYTES (1u << 20)

#define BLOCK_MIN 1024
#define SPARE_MAX 64            /* blocks that are kept for the next turn */
#define SPARE_SIZE (256u << 10) /* larger ones are given back */

struct fan {
	struct ring_seg *seg;
	unsigned slot, n_lanes;
	int broker_lane; /* -1: there is none */
	struct streams *streams; /* or NULL */
	struct hub *hub;
	struct ring_reader *reader;
	struct stat_page *stat;
	struct fan_batch *batches;
	uint32_t n_batches, cap_batches;
	struct fan_block *spare[SPARE_MAX];
	unsigned n_spare;
	size_t kept;
	struct base_buf name;   /* of the record at hand */
	struct base_buf packed; /* a compressed message */
};

struct fan *
fan_new(struct ring_seg *seg, unsigned slot, struct hub *hub,
    struct ring_reader *reader, struct stat_page *stat)
{
	struct fan *f = base_zalloc(sizeof(*f));

	f->seg = seg;
	f->slot = slot;
	f->n_lanes = ring_seg_geom(seg)->lanes;
	f->broker_lane =
	    ring_seg_geom(seg)->queue_size > 0 ? (int)ring_seg_broker(seg) : -1;
	f->hub = hub;
	f->reader = reader;
	f->stat = stat;
	return f;
}

void
fan_free(struct fan *f)
{
	if (f == NULL)
		return;
	base_assert(f->n_batches == 0);
	while (f->n_spare > 0)
		free(f->spare[--f->n_spare]);
	free(f->batches);
	base_buf_free(&f->name);
	base_buf_free(&f->packed);
	free(f);
}

void
fan_set_streams(struct fan *f, struct streams *streams)
{
	f->streams = streams;
}

static struct fan_block *
block_new(struct fan *f, size_t room)
{
	struct fan_block *b;
	size_t cap = BLOCK_MIN;

	if (f->n_spare > 0 && f->spare[f->n_spare - 1]->cap >= room) {
		b = f->spare[--f->n_spare];
	} else {
		while (cap < room)
			cap *= 2;
		b = base_malloc(sizeof(*b) + cap);
		b->cap = cap;
	}
	b->refs = 1;
	b->counted = false;
	b->n_frames = 0;
	b->len = 0;
	return b;
}

/* Room for N more bytes; the block may move, so nobody else has it yet. */
static struct fan_block *
block_room(struct fan_block *b, size_t n)
{
	size_t cap = b->cap;

	if (b->len + n > cap) {
		base_assert(b->refs == 1);
		while (b->len + n > cap)
			cap *= 2;
		b = base_realloc(b, sizeof(*b) + cap, 1);
		b->cap = cap;
	}
	return b;
}

static size_t
block_bytes(const struct fan_block *b)
{
	return sizeof(*b) + b->cap;
}

size_t
fan_kept_bytes(const struct fan *f)
{
	return f->kept;
}

void
fan_kept_add(struct fan *f, size_t more, size_t less)
{
	base_assert(f->kept + more >= less);
	f->kept += more - less;
	stat_set(f->stat, output_bytes, f->kept);
}

void
fan_block_drop(struct fan *f, struct fan_block *b)
{
	if (--b->refs > 0)
		return;
	if (b->counted)
		fan_kept_add(f, 0, block_bytes(b));
	if (f->n_spare < SPARE_MAX && b->cap <= SPARE_SIZE)
		f->spare[f->n_spare++] = b;
	else
		free(b);
}

struct fan_block *
fan_block_keep(struct fan *f, struct fan_block *b)
{
	b->refs++;
	if (!b->counted) {
		b->counted = true;
		fan_kept_add(f, block_bytes(b), 0);
	}
	return b;
}

struct fan_block *
fan_block_copy(struct fan *f, const void *p, size_t len)
{
	struct fan_block *b = base_malloc(sizeof(*b) + len);

	*b = (struct fan_block){.refs = 0, .len = len, .cap = len};
	memcpy(b->data, p, len);
	return fan_block_keep(f, b);
}

/* The number of the batch of CHAN that subscriptions with NEED and without SKIP get;
 * behind all that the channel has so far.  Batches may move. */
static uint32_t
batch_of(struct fan *f, struct hub_chan *chan, uint32_t need, uint32_t skip)
{
	if (chan->batch != 0) {
		const struct fan_batch *b = &f->batches[chan->batch - 1];

		if (b->need == need && b->skip == skip)
			return chan->batch - 1;
	}
	if (f->n_batches == f->cap_batches) {
		f->cap_batches = f->cap_batches == 0 ? 512 : f->cap_batches * 2;
		f->batches =
		    base_realloc(f->batches, f->cap_batches, sizeof(*f->batches));
	}
	f->batches[f->n_batches] = (struct fan_batch){
	    .chan = chan, .need = need, .skip = skip, .raw = block_new(f, 0)};
	chan->batch = ++f->n_batches;
	return chan->batch - 1;
}

/* Room for LEN bytes at the end of batch AT. */
static uint8_t *
batch_room(struct fan *f, uint32_t at, size_t len)
{
	struct fan_batch *b = &f->batches[at];

	b->raw = block_room(b->raw, len);
	return b->raw->data + b->raw->len;
}

static void
batch_added(struct fan *f, uint32_t at, size_t len)
{
	f->batches[at].raw->len += len;
	f->batches[at].raw->n_frames++;
}

void
fan_add(struct fan *f, struct hub_chan *chan, struct base_slice frame)
{
	uint32_t at = batch_of(f, chan, 0, HUB_WAITING);

	memcpy(batch_room(f, at, frame.len), frame.p, frame.len);
	batch_added(f, at, frame.len);
}

/* A frame that lies at the end of batch AT is for another one. */
static uint32_t
move_frame(struct fan *f, uint32_t at, uint32_t to, size_t len)
{
	uint8_t *room;

	if (at == to)
		return to;
	room = batch_room(f, to, len);
	memcpy(room, f->batches[at].raw->data + f->batches[at].raw->len, len);
	return to;
}

static bool
is_named(const struct hub_chan *chan, struct base_slice name)
{
	return chan->name_len == name.len && memcmp(chan->name, name.p, name.len) == 0;
}

/* Says of which epoch a channel's next records are. */
static void
take_control(struct fan *f, unsigned lane, const struct ring_head *head)
{
	struct base_slice name, body;
	struct hub_chan *chan;

	f->name.len = 0;
	base_buf_room(&f->name, (size_t)head->name_len + head->body_len);
	name = (struct base_slice){f->name.p, head->name_len};
	body = (struct base_slice){f->name.p + head->name_len, head->body_len};
	if (!ring_read_copy(f->reader, lane, f->name.p, f->name.p + head->name_len))
		return;
	chan = hub_find(f->hub, name, head->chan);
	if (chan != NULL && chan->stream != NULL)
		stream_begins(chan->stream, body);
}

/* The frame at the end of batch AT has a place in CHAN's order.  Returns the batch
 * that it is for, or -1: none. */
static int64_t
place(struct fan *f, struct hub_chan *chan, const struct ring_head *head, uint32_t at)
{
	const struct fan_block *b = f->batches[at].raw;
	const struct base_slice frame = {
	    (const char *)b->data + b->len, head->body_len};

	switch (stream_record(chan->stream, head->offset, frame)) {
	case STREAM_ALL:
		return at;
	case STREAM_UNPLACED:
		return move_frame(f, at,
		    batch_of(f, chan, 0, HUB_WAITING | HUB_PLACED), head->body_len);
	case STREAM_DROP:
		break;
	}
	return -1;
}

/* The record that the reader shows goes to the batch of its channel, if it has one. */
static void
take_record(struct fan *f, unsigned lane, const struct ring_head *head)
{
	uint32_t need = (head->flags & RING_F_JOIN) != 0 ? HUB_JOINS : 0;
	struct hub_chan *chan = hub_first(f->hub, head->chan);
	struct base_slice name;
	uint32_t at;
	int64_t to;

	f->name.len = 0;
	base_buf_room(&f->name, head->name_len);
	/*
	 * The name is needed to find the block that the body goes to, and both are
	 * copied together; so the body goes to the block of the first channel with
	 * this hash, and is dropped again in the rare case that it is another one.
	 */
	if (chan == NULL) {
		ring_read_skip(f->reader, lane);
		return;
	}
	at = batch_of(f, chan, need, HUB_WAITING);
	if (!ring_read_copy(
		f->reader, lane, f->name.p, batch_room(f, at, head->body_len)))
		return;
	name = (struct base_slice){f->name.p, head->name_len};
	if (BASE_UNLIKELY(!is_named(chan, name))) {
		chan = hub_find(f->hub, name, head->chan);
		if (chan == NULL)
			return;
		at = move_frame(
		    f, at, batch_of(f, chan, need, HUB_WAITING), head->body_len);
	}
	to = at;
	if ((head->flags & RING_F_PLACED) != 0 && chan->stream != NULL)
		to = place(f, chan, head, at);
	if (to >= 0)
		batch_added(f, (uint32_t)to, head->body_len);
}

/* True if the budget ended before the lane did. */
static bool
drain_lane(struct fan *f, unsigned lane)
{
	uint64_t lost, bytes = 0, bit = UINT64_C(1) << f->slot;
	struct ring_head head;

	for (unsigned n = 0; n < BUDGET_RECORDS && bytes < BUDGET_BYTES; n++) {
		switch (ring_read_next(f->reader, lane, &head, &lost)) {
		case RING_EMPTY:
			return false;
		case RING_LAPPED:
			stat_add(f->stat, ring_lost, lost);
			stat_set(f->stat, ring_damaged, ring_read_damaged(f->reader));
			log_warn(LOG_RING,
			    "messages were overwritten before they were read "
			    "lane=%u lost=%llu",
			    lane, (unsigned long long)lost);
			if ((int)lane == f->broker_lane && f->streams != NULL)
				streams_lapped(f->streams);
			break;
		case RING_RECORD:
			stat_add(f->stat, ring_records, 1);
			if ((head.mask & bit) == 0) {
				ring_read_skip(f->reader, lane);
				break;
			}
			bytes += head.body_len;
			if (head.type == RING_DATA)
				take_record(f, lane, &head);
			else
				take_control(f, lane, &head);
			break;
		}
	}
	return true;
}

bool
fan_drain(struct fan *f)
{
	bool more = false;

	for (unsigned lane = 0; lane < f->n_lanes; lane++)
		more |= drain_lane(f, lane);
	return more;
}

uint32_t
fan_batches(const struct fan *f, struct fan_batch **batches_r)
{
	*batches_r = f->batches;
	return f->n_batches;
}

void
fan_wake(struct fan *f, uint64_t mask)
{
	if (mask != 0)
		stat_add(f->stat, ring_wakes, ring_wake_mask(f->seg, f->slot, mask));
}

uint64_t
fan_behind(const struct fan *f)
{
	return ring_read_behind(f->reader, f->slot);
}

void
fan_detach(struct fan *f)
{
	for (uint32_t i = 0; i < f->n_batches; i++) {
		f->batches[i].chan->batch = 0;
		f->batches[i].chan = NULL;
	}
}

void
fan_done(struct fan *f)
{
	for (uint32_t i = 0; i < f->n_batches; i++) {
		struct fan_batch *b = &f->batches[i];

		base_assert(b->chan == NULL);
		fan_block_drop(f, b->raw);
		for (unsigned k = 0; k < BASE_COUNT(b->deflated); k++)
			if (b->deflated[k] != NULL)
				fan_block_drop(f, b->deflated[k]);
	}
	f->n_batches = 0;
}

/* Appends the frame at P compressed, or as it is when that is shorter. */
static struct fan_block *
pack_frame(struct fan *f, struct fan_block *out, const uint8_t *p, size_t len,
    unsigned bits, struct ws_deflate *deflate, size_t min_size)
{
	size_t head = len < 126 + 2 ? 2 : p[1] == 126 ? 4 : 10;
	struct base_slice text = {(const char *)p + head, len - head};

	if (text.len >= min_size) {
		f->packed.len = 0;
		ws_deflate_message(deflate, bits, text, &f->packed);
	}
	if (text.len < min_size || f->packed.len >= text.len) {
		out = block_room(out, len);
		memcpy(out->data + out->len, p, len);
		out->len += len;
	} else {
		out = block_room(out, WS_HEAD_MAX + f->packed.len);
		out->len +=
		    ws_frame_head(out->data + out->len, p[0] | WS_RSV1, f->packed.len);
		memcpy(out->data + out->len, f->packed.p, f->packed.len);
		out->len += f->packed.len;
	}
	out->n_frames++;
	return out;
}

struct fan_block *
fan_block_for(struct fan *f, struct fan_batch *batch, unsigned bits,
    struct ws_deflate *deflate, size_t min_size)
{
	struct fan_block *out;

	if (bits == 0)
		return batch->raw;
	base_assert(bits >= FAN_BITS_MIN && bits <= FAN_BITS_MAX);
	out = batch->deflated[bits - FAN_BITS_MIN];
	if (out != NULL)
		return out;
	out = block_new(f, batch->raw->len);
	for (size_t at = 0; at < batch->raw->len;) {
		size_t len = ws_frame_sent_len(batch->raw->data + at);

		out = pack_frame(
		    f, out, batch->raw->data + at, len, bits, deflate, min_size);
		at += len;
	}
	batch->deflated[bits - FAN_BITS_MIN] = out;
	return out;
}
