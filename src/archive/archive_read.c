/*
 * archive_read: old messages for clients that page back past history.
 *
 * A read has what it may cost: rows, bytes, time.  A few are with the plugin at once,
 * so the rows that are held here are bounded too.
 */
#include "config.h"

#include <stdlib.h>

#include "archive/archive_priv.h"
#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "plug/plug_call.h"
#include "proto/codes.h"
#include "proto/json_wr.h"

/* The plugin has so long more than the client before it is answered without it, ms. */
#define GRACE_MS 500

/* Tokens of reads have this bit. */
#define READ_TOKEN (UINT64_C(1) << 63)

/* Bytes beside data that the rows of a read may have. */
#define ROWS_EXTRA 65536

struct archive_read {
	struct base_list node;
	uint64_t req, token; /* token 0: it is not with the plugin */
	uint64_t offset, limit, max_bytes;
	int64_t deadline; /* ms */
	bool reverse, cut; /* cut: more rows would be too many bytes */
	int code; /* of the answer to the broker, enum proto_error */
	struct base_buf channel, epoch;
	struct base_buf rows; /* list of publications (order_msg.h) */
	size_t sent; /* bytes of them that the broker has */
};

static struct archive_read *
read_of(struct base_list *node)
{
	return BASE_CONTAINER(node, struct archive_read, node);
}

static struct archive_read *
find(struct archive *a, uint64_t token)
{
	BASE_LIST_FOREACH (it, &a->reads.active)
		if (read_of(it)->token == token)
			return read_of(it);
	return NULL;
}

static void
release(struct archive *a, struct archive_read *r)
{
	a->reads.bytes -= r->rows.len;
	base_list_del(&r->node);
	base_buf_free(&r->channel);
	base_buf_free(&r->epoch);
	base_buf_free(&r->rows);
	free(r);
}

/* It has its answer, which the broker is told when there is room. */
static void
finish(struct archive *a, struct archive_read *r, int code)
{
	if (r->token != 0)
		a->reads.n_active--;
	else
		a->reads.n_waiting--;
	r->code = code;
	if (code != 0) {
		a->reads.bytes -= r->rows.len;
		r->rows.len = 0;
	}
	base_list_del(&r->node);
	base_list_add_tail(&a->reads.ready, &r->node);
}

void
archive_read_init(struct archive *a)
{
	base_list_init(&a->reads.waiting);
	base_list_init(&a->reads.active);
	base_list_init(&a->reads.ready);
}

void
archive_read_fini(struct archive *a)
{
	struct base_list *lists[] = {
	    &a->reads.waiting, &a->reads.active, &a->reads.ready};

	for (size_t i = 0; i < BASE_COUNT(lists); i++)
		BASE_LIST_FOREACH_SAFE (it, tmp, lists[i])
			release(a, read_of(it));
}

/* ---- questions ---- */

void
archive_read_ask(struct archive *a, const struct order_msg *msg)
{
	struct archive_read *r;

	/* The broker lets far fewer through; this bounds what a mistake can cost. */
	if (a->reads.n_waiting >= ARCHIVE_READS_WAITING) {
		log_warn(LOG_ARCHIVER, "a read is passed over: there are too many");
		return;
	}
	r = base_zalloc(sizeof(*r));
	r->req = msg->req;
	r->offset = msg->offset;
	r->limit = msg->limit > 0 ? (uint64_t)msg->limit : 1;
	r->max_bytes = BASE_MAX(msg->number, 1);
	r->reverse = (msg->flags & ORDER_F_REVERSE) != 0;
	r->deadline = base_time_ms() + a->conf->read_timeout;
	base_buf_add(&r->channel, msg->channel.p, msg->channel.len);
	base_buf_add(&r->epoch, msg->epoch.p, msg->epoch.len);
	base_list_add_tail(&a->reads.waiting, &r->node);
	a->reads.n_waiting++;
}

/* Gives R to the plugin. */
static void
give(struct archive *a, struct archive_read *r)
{
	struct chatd_history ask = {
	    .size = sizeof(ask),
	    .token = a->next_token++ | READ_TOKEN,
	    .channel = {r->channel.p, r->channel.len},
	    .epoch = {r->epoch.p, r->epoch.len},
	    .since = r->offset,
	    .limit = r->limit,
	    .max_bytes = r->max_bytes,
	    .deadline = r->deadline,
	    .reverse = r->reverse,
	};
	struct chatd_error err;
	int code;

	base_list_del(&r->node);
	base_list_add_tail(&a->reads.active, &r->node);
	a->reads.n_waiting--;
	a->reads.n_active++;
	r->token = ask.token;
	code = plug_history(a->store.plug, &ask, &err);
	if (code == 0)
		return;
	if (code == CHATD_AGAIN) {
		a->reads.n_active--;
		a->reads.n_waiting++;
		r->token = 0;
		base_list_del(&r->node);
		base_list_add_tail(&a->reads.waiting, &r->node);
		a->reads.full = true;
		return;
	}
	log_debug(LOG_ARCHIVER, "a read fails code=%d: %s", code, err.text);
	finish(a, r,
	    code == CHATD_NOTSUP ? PROTO_ERROR_NOT_AVAILABLE : PROTO_ERROR_INTERNAL);
}

bool
archive_read_more(const struct archive *a)
{
	const struct archive_reads *rs = &a->reads;

	return rs->n_waiting > 0 && rs->n_active < ARCHIVE_READS && !rs->full &&
	    base_list_empty(&rs->ready);
}

void
archive_read_send(struct archive *a)
{
	struct archive_reads *rs = &a->reads;

	if (!archive_store_open(a) || a->stopping) {
		BASE_LIST_FOREACH_SAFE (it, tmp, &rs->waiting)
			finish(a, read_of(it), PROTO_ERROR_INTERNAL);
		return;
	}
	while (archive_read_more(a))
		give(a, read_of(rs->waiting.next));
}

/* ---- answers of the plugin ---- */

void
archive_read_row(struct archive *a, uint64_t token, const struct chatd_record *row)
{
	struct archive_read *r = find(a, token);
	struct base_buf json = {0};
	size_t before;

	/* Data that is not JSON cannot stand in a publication. */
	if (r == NULL || (row->flags & CHATD_REC_BINARY) != 0 || row->data.len == 0)
		return;
	before = r->rows.len;
	r->cut |= before > 2 * r->max_bytes + ROWS_EXTRA;
	if (r->cut)
		return;
	base_buf_str(&json, "{\"data\":");
	json_wr_raw(&json, (struct base_slice){row->data.p, row->data.len});
	if (row->info.len > 0) {
		base_buf_str(&json, ",\"info\":");
		json_wr_raw(&json, (struct base_slice){row->info.p, row->info.len});
	}
	base_buf_str(&json, ",\"offset\":");
	json_wr_uint(&json, row->offset);
	base_buf_byte(&json, '}');
	order_pub_add(&r->rows, &(struct order_pub){row->offset, {json.p, json.len}});
	base_buf_free(&json);
	a->reads.bytes += r->rows.len - before;
}

bool
archive_read_done(struct archive *a, uint64_t token, int code)
{
	struct archive_read *r = find(a, token);

	if ((token & READ_TOKEN) == 0)
		return false;
	/* One whose time was over has its answer already. */
	if (r != NULL)
		finish(a, r, code == 0 ? 0 : PROTO_ERROR_INTERNAL);
	return true;
}

void
archive_read_fail(struct archive *a)
{
	BASE_LIST_FOREACH_SAFE (it, tmp, &a->reads.active)
		finish(a, read_of(it), PROTO_ERROR_INTERNAL);
}

void
archive_read_tick(struct archive *a, int64_t now)
{
	a->reads.full = false;
	BASE_LIST_FOREACH_SAFE (it, tmp, &a->reads.waiting)
		if (read_of(it)->deadline <= now)
			finish(a, read_of(it), PROTO_ERROR_INTERNAL);
	BASE_LIST_FOREACH_SAFE (it, tmp, &a->reads.active)
		if (read_of(it)->deadline + GRACE_MS <= now)
			finish(a, read_of(it), PROTO_ERROR_INTERNAL);
}

/* ---- answers to the broker ---- */

/* Bytes of whole publications that fit into a part, from R's next on. */
static size_t
part(const struct archive *a, const struct archive_read *r)
{
	struct base_slice left = {r->rows.p + r->sent, r->rows.len - r->sent};
	size_t all = left.len, len = 0;
	struct order_pub pub;

	while (left.len > 0 && order_pub_next(&left, &pub) > 0 &&
	    all - left.len <= a->place.part_max)
		len = all - left.len;
	return len;
}

/* False: there is no room now. */
static bool
tell(struct archive *a, struct archive_read *r)
{
	struct order_msg msg = {.kind = ORDER_ROWS, .req = r->req, .code = r->code};
	size_t len;

	do {
		len = part(a, r);
		/* One that does not fit, and all after it, the client does not get. */
		msg.flags = len > 0 && r->sent + len < r->rows.len ? ORDER_F_MORE : 0;
		msg.data = (struct base_slice){r->rows.p + r->sent, len};
		if (!a->place.send(a->place.arg, &msg))
			return false;
		r->sent += len;
	} while (msg.flags != 0);
	return true;
}

bool
archive_read_tell(struct archive *a)
{
	struct archive_read *r;

	while (!base_list_empty(&a->reads.ready)) {
		r = read_of(a->reads.ready.next);
		if (!tell(a, r))
			return false;
		if (r->code == 0)
			stat_add(a->place.stat, reads_answered, 1);
		release(a, r);
	}
	return true;
}
