/*
 * broker_pub: one publication: its place, its text, and its push.
 *
 * The text is made once, as the push that workers send: a WebSocket frame around
 * {"push":{"channel":..,"pub":OBJECT}}.  History keeps OBJECT.
 */
#include "config.h"

#include <string.h>

#include "base/base_assert.h"
#include "base/base_hash.h"
#include "base/base_rand.h"
#include "broker/broker_priv.h"
#include "proto/cmd_json.h"
#include "proto/json_wr.h"
#include "proto/ws_frame.h"
#include "ring/ring_interest.h"

#define ADD(out, literal) base_buf_add(out, literal, sizeof(literal) - 1)

/* What stands behind the publisher in an object: ,"offset":N,"epoch":"E"}}} */
#define BEHIND_MAX 80

/* Where things stand in a push, counted from its frame's place in b->frames. */
struct parts {
	size_t text; /* after the room for the frame's head */
	size_t object, object_end;
	size_t data, data_end;
	size_t info, info_end;
};

struct journal_rules
broker_rules(const struct conf_namespace *ns)
{
	return (struct journal_rules){
	    .history_size = (uint64_t)ns->history_size,
	    .history_ttl_ms = ns->history_ttl,
	    .meta_ttl_ms = ns->history_meta_ttl,
	    .archive = ns->archive,
	};
}

/* ---- the text ---- */

size_t
broker_frame_begin(struct base_buf *buf)
{
	size_t at = buf->len;

	base_buf_room(buf, WS_HEAD_MAX);
	buf->len += WS_HEAD_MAX;
	return at;
}

size_t
broker_frame_end(struct base_buf *buf, size_t at)
{
	size_t text = at + WS_HEAD_MAX, n;
	uint8_t head[WS_HEAD_MAX];

	/* The head's length depends on the text's: it ends where the text begins. */
	n = ws_frame_head(head, WS_FIN | WS_TEXT, buf->len - text);
	memcpy(buf->p + text - n, head, n);
	return text - n;
}

/* All up to the publisher. */
static void
begin_text(struct base_buf *buf, const struct order_msg *m, struct parts *p)
{
	const struct cmd_client_info info = {.user = m->user,
	    .client = m->client,
	    .conn_info = m->conn_info,
	    .chan_info = m->chan_info};

	p->text = broker_frame_begin(buf);
	ADD(buf, "{\"push\":{\"channel\":");
	json_wr_string(buf, m->channel);
	ADD(buf, ",\"pub\":");
	p->object = buf->len;
	ADD(buf, "{\"data\":");
	p->data = buf->len;
	json_wr_raw(buf, m->data);
	p->data_end = p->info = p->info_end = buf->len;
	/* The server itself has neither. */
	if (m->user.len == 0 && m->client.len == 0)
		return;
	ADD(buf, ",\"info\":");
	p->info = buf->len;
	cmd_json_info(buf, &info);
	p->info_end = buf->len;
}

/* OUT: the place, if there is one. */
static void
end_text(struct base_buf *buf, const struct broker_outcome *out, struct parts *p)
{
	if ((out->flags & BROKER_OUT_PLACED) != 0) {
		ADD(buf, ",\"offset\":");
		json_wr_uint(buf, out->offset);
		/* Who was told no epoch learns it from the first one. */
		if (out->offset == 1) {
			ADD(buf, ",\"epoch\":\"");
			base_buf_add(buf, out->epoch, sizeof(out->epoch));
			ADD(buf, "\"");
		}
	}
	ADD(buf, "}");
	p->object_end = buf->len;
	ADD(buf, "}}");
}

static void
set_frame(struct broker *b, struct broker_item *item, const struct parts *p)
{
	item->frame = broker_frame_end(&b->batch.frames, p->text);
	item->frame_len = b->batch.frames.len - item->frame;
}

void
broker_pub_encode(struct broker *b, struct broker_item *item)
{
	struct parts p;

	begin_text(&b->batch.frames, &item->msg, &p);
	end_text(&b->batch.frames, &item->out, &p);
	set_frame(b, item, &p);
}

/* ---- the place ---- */

/* UUID version 7 (RFC 9562 section 5.7); the twelve bits after the time count what is
 * accepted within a millisecond. */
static void
new_id(struct broker *b, unsigned char id[JOURNAL_ID_LEN])
{
	uint64_t ms = b->wall_ns / 1000000;

	if (ms > b->last_id_ms) {
		b->last_id_ms = ms;
		b->last_id_count = base_rand_below(1024);
	} else if (++b->last_id_count > 0xfff) {
		b->last_id_ms++;
		b->last_id_count = 0;
	}
	base_rand_bytes(id, JOURNAL_ID_LEN);
	for (unsigned i = 0; i < 6; i++)
		id[i] = (unsigned char)(b->last_id_ms >> (40 - 8 * i));
	id[6] = (unsigned char)(0x70 | b->last_id_count >> 8);
	id[7] = (unsigned char)b->last_id_count;
	id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
}

static void
refuse(struct broker_item *item, enum proto_error code, enum broker_text text)
{
	item->out.code = (int32_t)code;
	item->out.text = (uint32_t)text;
}

/* BYTES: of the publication that found no room. */
static enum broker_text
what_is_full(const struct broker *b, const struct journal_figures *f,
    const struct journal_rules *rules, size_t bytes)
{
	if (f->disk_full)
		return BROKER_TEXT_DISK_FULL;
	if (rules->history_size > 0 &&
	    f->history_bytes + bytes > b->conf->history_total)
		return BROKER_TEXT_HISTORY_FULL;
	return rules->archive ? BROKER_TEXT_SPOOL_FULL : BROKER_TEXT_DISK_FULL;
}

static int
refuse_full(struct broker *b, struct broker_journal *bj, struct broker_item *item,
    const struct journal_rules *rules, size_t bytes)
{
	enum broker_text text;

	journal_figures(bj->j, &bj->figures);
	text = what_is_full(b, &bj->figures, rules, bytes);
	refuse(item, PROTO_ERROR_INTERNAL, text);
	bj->full_ms = b->now_ms;
	if (broker_seldom(&bj->full, b->now_ms))
		log_error(LOG_BROKER,
		    "%s takes no more publications: %s spool_bytes=%llu "
		    "history_bytes=%llu",
		    bj->name, broker_text(text).p,
		    (unsigned long long)bj->figures.spool_bytes,
		    (unsigned long long)bj->figures.history_bytes);
	return JOURNAL_OK;
}

/* True with *R set: the key decides. */
static bool
used_key(struct broker *b, struct broker_journal *bj, struct broker_item *item, int *r)
{
	const struct order_msg *m = &item->msg;
	struct journal_place place;

	if (m->key.len == 0)
		return false;
	*r = journal_key_find(bj->j, m->channel, m->key, broker_wall_ms(b), &place);
	if (*r == JOURNAL_ABSENT)
		return false;
	if (*r == JOURNAL_OK) {
		item->out.flags = place.offset > 0 ? BROKER_OUT_PLACED : 0;
		item->out.offset = place.offset;
		memcpy(item->out.epoch, place.epoch, sizeof(place.epoch));
		stat_add(b->stat, broker_repeated, 1);
	}
	return true;
}

static int
put_key(struct broker *b, struct broker_journal *bj, const struct broker_item *item,
    const struct journal_place *place)
{
	const struct order_msg *m = &item->msg;

	if (m->key.len == 0)
		return JOURNAL_OK;
	return journal_key_put(bj->j, m->channel, m->key, place,
	    broker_wall_ms(b) + b->conf->idempotency_ttl);
}

/* A publication that has a key, and needs no place. */
static int
exec_plain(struct broker *b, struct broker_journal *bj, struct broker_item *item,
    struct parts *p)
{
	const struct journal_rules rules = {.history_size = 0};
	const struct journal_place place = {.offset = 0};
	int r = put_key(b, bj, item, &place);

	if (r == JOURNAL_FULL)
		return refuse_full(b, bj, item, &rules, 0);
	if (r != JOURNAL_OK)
		return r;
	item->out.flags = BROKER_OUT_PUSH;
	end_text(&b->batch.frames, &item->out, p);
	return JOURNAL_OK;
}

/* Gives it the place that PLACE says. */
static int
keep(struct broker *b, struct broker_journal *bj, struct broker_item *item,
    const struct journal_rules *rules, const struct journal_place *place,
    struct parts *p)
{
	struct base_buf *buf = &b->batch.frames;
	struct journal_record rec = {
	    .time_ns = b->wall_ns, .user = item->msg.user, .client = item->msg.client};
	struct base_slice object;

	item->out.flags = BROKER_OUT_PLACED | BROKER_OUT_PUSH |
	    (place->created ? BROKER_OUT_CREATED : 0);
	item->out.offset = place->offset;
	memcpy(item->out.epoch, place->epoch, sizeof(place->epoch));
	end_text(buf, &item->out, p);
	new_id(b, rec.id);
	object = (struct base_slice){buf->p + p->object, p->object_end - p->object};
	rec.data = (struct base_slice){buf->p + p->data, p->data_end - p->data};
	rec.info = (struct base_slice){buf->p + p->info, p->info_end - p->info};
	return journal_put(bj->j, item->msg.channel, rules, place, object, &rec,
	    broker_wall_ms(b));
}

static int
exec_ordered(struct broker *b, struct broker_journal *bj, struct broker_item *item,
    struct parts *p)
{
	const struct journal_rules rules = broker_rules(item->ns);
	size_t bytes = b->batch.frames.len - p->object + BEHIND_MAX + item->msg.key.len;
	struct journal_place place;
	int r;

	r = journal_stream(
	    bj->j, item->msg.channel, &rules, broker_wall_ms(b), &place);
	if (r == JOURNAL_OK)
		r = journal_next(bj->j, &rules, bytes, &place);
	/* The key first: a publication that cannot be remembered is not made. */
	if (r == JOURNAL_OK)
		r = put_key(b, bj, item, &place);
	if (r == JOURNAL_FULL) {
		item->made = place.created;
		memcpy(item->out.epoch, place.epoch, sizeof(place.epoch));
		return refuse_full(b, bj, item, &rules, bytes);
	}
	return r == JOURNAL_OK ? keep(b, bj, item, &rules, &place, p) : r;
}

int
broker_pub_exec(struct broker *b, struct broker_journal *bj, struct broker_item *item)
{
	size_t at = b->batch.frames.len, len;
	struct parts p;
	int r;

	item->out = (struct broker_outcome){.end = item->end, .slot = item->slot};
	item->made = false;
	if (used_key(b, bj, item, &r))
		return r;
	begin_text(&b->batch.frames, &item->msg, &p);
	len = b->batch.frames.len - at + BEHIND_MAX;
	if (item->msg.channel.len + len > ring_lane_max(b->lane)) {
		refuse(item, PROTO_ERROR_LIMIT_EXCEEDED, BROKER_TEXT_NONE);
		r = JOURNAL_OK;
	} else if (conf_ordered(item->ns)) {
		r = exec_ordered(b, bj, item, &p);
	} else {
		r = exec_plain(b, bj, item, &p);
	}
	if (r != JOURNAL_OK || item->out.code != 0)
		b->batch.frames.len = at;
	else
		set_frame(b, item, &p);
	return r;
}

/* ---- the push ---- */

uint64_t
broker_pub_mark(const struct broker_item *item)
{
	/* Ends are multiples of 64, and there are no more slots than that. */
	_Static_assert(RING_MAX_SLOTS <= 64, "a slot fits below an end");
	return item->end | item->slot;
}

static void
put(struct broker *b, struct ring_head *head, struct base_slice channel,
    const struct iovec *body)
{
	head->chan = base_hash(b->key, channel.p, channel.len);
	head->mask = ring_interest_mask(b->seg, head->chan);
	/* Nobody anywhere: then there is nothing to carry. */
	if (head->mask == 0)
		return;
	head->time = b->wall_ns;
	ring_lane_put(b->lane, head, channel, body, 1);
	b->wake |= head->mask;
}

void
broker_pub_epoch(
    struct broker *b, struct base_slice channel, const char epoch[ORDER_EPOCH_LEN])
{
	struct ring_head head = {.type = RING_CTRL};
	const struct iovec body = {(void *)(uintptr_t)epoch, ORDER_EPOCH_LEN};

	put(b, &head, channel, &body);
}

void
broker_pub_push(struct broker *b, struct broker_item *item)
{
	bool placed = (item->out.flags & BROKER_OUT_PLACED) != 0;
	struct ring_head head = {.type = RING_DATA,
	    .flags = placed ? RING_F_PLACED : 0,
	    .offset = placed ? item->out.offset : broker_pub_mark(item)};
	const struct iovec body = {b->batch.frames.p + item->frame, item->frame_len};

	BROKER_POINT(BEFORE_PUSH);
	if ((item->out.flags & BROKER_OUT_CREATED) != 0)
		broker_pub_epoch(b, item->msg.channel, item->out.epoch);
	put(b, &head, item->msg.channel, &body);
	item->pushed = true;
	BROKER_POINT(AFTER_PUSH);
}
