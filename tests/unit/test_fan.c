/*
 * Fan-out: what lies in the ring becomes one block a channel.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "base/base_mem.h"
#include "core/fan.h"
#include "core/sess.h"
#include "proto/ws_frame.h"

#define LANE 65536

static struct {
	struct ring_seg *seg;
	struct ring_lane *lanes[2];
	struct ring_reader *reader;
	struct ring_interest *interest;
	struct hub *hub;
	struct fan *fan;
	struct stat_page *stat;
	struct sess sess[3];
} w;

static int
set_up(void **state)
{
	const struct ring_geom geom = {.slots = 2,
	    .lanes = 2,
	    .lane_size = LANE,
	    .interest_buckets = 64,
	    .stat_size = 4096};
	char err[128];

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(ring_seg_create(&geom, &w.seg, err, sizeof(err)), 0);
	ring_lane_open(w.seg, 0, &w.lanes[0]);
	ring_lane_open(w.seg, 1, &w.lanes[1]);
	ring_interest_open(w.seg, 0, &w.interest);
	ring_reader_new(w.seg, &w.reader);
	w.hub = hub_new(ring_seg_key(w.seg), w.interest);
	w.stat = ring_seg_stats(w.seg, 0);
	w.fan = fan_new(w.seg, 0, w.hub, w.reader, w.stat);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BASE_COUNT(w.sess); i++)
		while (w.sess[i].n_subs > 0)
			hub_unsubscribe(w.hub, &w.sess[i], 0);
	fan_free(w.fan);
	hub_free(w.hub);
	ring_reader_free(w.reader);
	ring_interest_close(w.interest);
	ring_lane_close(w.lanes[0]);
	ring_lane_close(w.lanes[1]);
	ring_seg_free(w.seg);
	return 0;
}

static struct base_slice
slice(const char *s)
{
	return (struct base_slice){s, strlen(s)};
}

static void
subscribe(unsigned sess, const char *chan)
{
	hub_subscribe(w.hub, &w.sess[sess], slice(chan), hub_hash(w.hub, slice(chan)));
}

/* Publishes TEXT as a frame; HASH: 0 for that of the channel. */
static void
put_hash(unsigned lane, const char *chan, const char *text, uint64_t hash)
{
	struct base_buf frame = {0};
	struct ring_head head = {.type = RING_DATA};
	struct iovec iov;
	uint8_t h[WS_HEAD_MAX];

	head.chan = hash != 0 ? hash : hub_hash(w.hub, slice(chan));
	head.mask = ring_interest_mask(w.seg, head.chan);
	base_buf_add(&frame, h, ws_frame_head(h, WS_FIN | WS_TEXT, strlen(text)));
	base_buf_str(&frame, text);
	iov = (struct iovec){frame.p, frame.len};
	ring_lane_put(w.lanes[lane], &head, slice(chan), &iov, 1);
	base_buf_free(&frame);
}

static void
put(unsigned lane, const char *chan, const char *text)
{
	put_hash(lane, chan, text, 0);
}

/* The texts of the batch for CHAN, each followed by ';', or NULL. */
static const char *
batch_text(const char *chan)
{
	static char text[4096];
	struct fan_batch *b;
	uint32_t n = fan_batches(w.fan, &b);

	for (uint32_t i = 0; i < n; i++) {
		char *to = text;

		if (b[i].chan->name_len != strlen(chan) ||
		    memcmp(b[i].chan->name, chan, strlen(chan)) != 0)
			continue;
		for (size_t at = 0; at < b[i].raw->len;) {
			size_t len = ws_frame_sent_len(b[i].raw->data + at);

			memcpy(to, b[i].raw->data + at + 2, len - 2);
			to += len - 2;
			*to++ = ';';
			at += len;
		}
		*to = 0;
		return text;
	}
	return NULL;
}

static void
finish(void)
{
	fan_detach(w.fan);
	fan_done(w.fan);
}

static void
gathers_by_channel_in_order(void **state)
{
	(void)state;
	subscribe(0, "a");
	subscribe(1, "a");
	subscribe(2, "b");
	put(0, "a", "a1");
	put(0, "b", "b1");
	put(0, "none", "n1");
	put(0, "a", "a2");
	put(0, "a", "a3");
	assert_false(fan_drain(w.fan));
	assert_string_equal(batch_text("a"), "a1;a2;a3;");
	assert_string_equal(batch_text("b"), "b1;");
	assert_null(batch_text("none"));
	finish();
	assert_false(fan_drain(w.fan));
	assert_null(batch_text("a"));
	finish();
	assert_int_equal(fan_kept_bytes(w.fan), 0);
}

static void
tells_equal_hashes_apart(void **state)
{
	uint64_t hash;

	(void)state;
	hash = hub_hash(w.hub, slice("a"));
	subscribe(0, "a");
	hub_subscribe(w.hub, &w.sess[1], slice("twin"), hash);
	put_hash(0, "a", "a1", hash);
	put_hash(0, "twin", "t1", hash);
	put_hash(0, "third", "x1", hash);
	put_hash(0, "a", "a2", hash);
	put_hash(0, "twin", "t2", hash);
	assert_false(fan_drain(w.fan));
	assert_string_equal(batch_text("a"), "a1;a2;");
	assert_string_equal(batch_text("twin"), "t1;t2;");
	finish();
}

static void
counts_what_was_overwritten(void **state)
{
	char text[101];
	uint64_t lost, read;

	(void)state;
	memset(text, 'x', 100);
	text[100] = 0;
	base_log_set_level(BASE_LOG_ERROR);
	subscribe(0, "a");
	for (unsigned i = 0; i < 2000; i++)
		put(1, "a", text);
	while (fan_drain(w.fan))
		finish();
	finish();
	lost = stat_get(w.stat, ring_lost);
	read = stat_get(w.stat, ring_records);
	assert_true(lost > 0);
	assert_int_equal(lost + read, 2000);
	assert_int_equal(stat_get(w.stat, ring_damaged), 0);
	/* And goes on. */
	put(1, "a", "next");
	assert_false(fan_drain(w.fan));
	assert_string_equal(batch_text("a"), "next;");
	finish();
}

static void
ends_a_turn_at_its_budget(void **state)
{
	unsigned turns = 0;

	(void)state;
	subscribe(0, "a");
	for (unsigned i = 0; i < 400; i++)
		put(0, "a", "m");
	for (bool more = true; more; turns++) {
		more = fan_drain(w.fan);
		finish();
	}
	assert_int_equal(turns, 2);
	assert_int_equal(stat_get(w.stat, ring_records), 400);
}

static void
counts_kept_blocks_once(void **state)
{
	struct fan_batch *b;
	struct fan_block *x, *y;

	(void)state;
	subscribe(0, "a");
	put(0, "a", "a1");
	fan_drain(w.fan);
	assert_int_equal(fan_batches(w.fan, &b), 1);
	x = fan_block_keep(w.fan, b[0].raw);
	y = fan_block_keep(w.fan, b[0].raw);
	finish();
	assert_true(fan_kept_bytes(w.fan) >= x->cap);
	assert_true(fan_kept_bytes(w.fan) < 2 * x->cap);
	assert_int_equal(x->len, 4);
	fan_block_drop(w.fan, x);
	assert_true(fan_kept_bytes(w.fan) > 0);
	fan_block_drop(w.fan, y);
	assert_int_equal(fan_kept_bytes(w.fan), 0);
}

static void
compresses_once_for_a_window(void **state)
{
	struct ws_deflate *d = ws_deflate_new(1);
	struct fan_block *small, *again, *large;
	struct base_buf out = {0};
	struct fan_batch *b;
	char text[301];
	size_t head;

	(void)state;
	memset(text, 'y', 300);
	text[300] = 0;
	subscribe(0, "a");
	put(0, "a", text);
	put(0, "a", "short");
	fan_drain(w.fan);
	fan_batches(w.fan, &b);
	assert_ptr_equal(fan_block_for(w.fan, &b[0], 0, d, 100), b[0].raw);
	small = fan_block_for(w.fan, &b[0], 9, d, 100);
	again = fan_block_for(w.fan, &b[0], 9, d, 100);
	large = fan_block_for(w.fan, &b[0], 15, d, 100);
	assert_ptr_equal(small, again);
	assert_ptr_not_equal(small, large);
	assert_true(small->len < b[0].raw->len / 2);
	assert_int_equal(small->n_frames, 2);
	/* The first frame is compressed, the second one is as it was. */
	assert_int_equal(small->data[0], WS_FIN | WS_RSV1 | WS_TEXT);
	head = ws_frame_sent_len(small->data);
	assert_int_equal(small->data[head], WS_FIN | WS_TEXT);
	assert_int_equal(
	    ws_inflate_message(
		d, (struct base_slice){(char *)small->data + 2, head - 2}, 1000, &out),
	    0);
	assert_int_equal(out.len, 300);
	assert_memory_equal(out.p, text, 300);
	finish();
	base_buf_free(&out);
	ws_deflate_free(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(gathers_by_channel_in_order),
	    TEST(tells_equal_hashes_apart),
	    TEST(counts_what_was_overwritten),
	    TEST(ends_a_turn_at_its_budget),
	    TEST(counts_kept_blocks_once),
	    TEST(compresses_once_for_a_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
