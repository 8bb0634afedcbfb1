/*
 * play_util: see the header.
 */
#include "config.h"

#include "play_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_time.h"
#include "conf/conf_parse.h"
#include "proto/ws_frame.h"

struct play play;
void (*play_told)(struct sess *sess, const char *text, size_t len);
void (*play_closed)(struct sess *sess, enum proto_disconnect code);

struct base_slice
play_slice(const char *s)
{
	return (struct base_slice){s, strlen(s)};
}

/* ---- the worker ---- */

static void
ops_send(struct sess *s, enum sess_place place, const char *p, size_t len)
{
	(void)place;
	play_told(s, p, len);
}

static void
ops_close(struct sess *s, enum proto_disconnect code)
{
	play_closed(s, code);
}

static void
ops_nothing(struct sess *s)
{
	(void)s;
}

static void
ops_room(struct sess *s, size_t required)
{
	(void)s;
	(void)required;
}

static const struct sess_ops ops = {
    .send = ops_send,
    .close = ops_close,
    .connected = ops_nothing,
    .expiry = ops_nothing,
    .make_room = ops_room,
};

static struct conf *
make_conf(const char *options)
{
	struct base_buf errors = {0};
	struct conf *conf;
	char text[2048];

	snprintf(text, sizeof(text),
	    "listen \"l\" { address = \"127.0.0.1:1\" }\n"
	    "workers = 1\nallow_anonymous = on\n%s\n",
	    options);
	conf = conf_parse_text(text, "test", &errors);
	if (conf == NULL)
		fail_msg("%.*s", (int)errors.len, errors.p);
	return conf;
}

void
play_start(const char *options)
{
	const struct ring_geom geom = {.slots = 2,
	    .lanes = 2,
	    .lane_size = PLAY_LANE,
	    .queue_size = 1 << 18,
	    .interest_buckets = 64,
	    .stat_size = 4096};
	struct sess_env *env = &play.env;
	char err[256];

	memset(&play, 0, sizeof(play));
	play.conf = make_conf(options);
	assert_int_equal(ring_seg_create(&geom, &env->seg, err, sizeof(err)), 0);
	ring_lane_open(env->seg, 0, &env->lane);
	ring_interest_open(env->seg, 0, &play.interest);
	ring_reader_new(env->seg, &play.reader);
	play.channels = chan_table_new(play.conf);
	env->ops = &ops;
	env->conf = play.conf;
	env->channels = play.channels;
	env->hub = hub_new(ring_seg_key(env->seg), play.interest);
	env->n_workers = 1;
	env->stat = ring_seg_stats(env->seg, 0);
	env->now_ms = base_time_ms();
	play.fan = fan_new(env->seg, 0, env->hub, play.reader, env->stat);
	assert_int_equal(sess_env_open(env, play.fan, 1, err, sizeof(err)), 0);
	ring_lane_open(env->seg, 1, &play.lane);
	assert_int_equal(ring_queue_in_open(env->seg, 0, RING_QUEUE_BROKER, NULL,
			     &play.asked, err, sizeof(err)),
	    0);
	assert_int_equal(ring_queue_out_open(env->seg, 0, RING_QUEUE_BROKER,
			     &play.answers, err, sizeof(err)),
	    0);
}

void
play_stop(void)
{
	struct sess_env *env = &play.env;

	assert_int_equal(stat_get(env->stat, clients), 0);
	assert_int_equal(stat_get(env->stat, subscriptions), 0);
	assert_int_equal(stat_get(env->stat, channels), 0);
	sess_env_close(env);
	assert_int_equal(stat_get(env->stat, tail_bytes), 0);
	assert_int_equal(stat_get(env->stat, streams_followed), 0);
	fan_free(play.fan);
	hub_free(env->hub);
	sess_env_free(env);
	chan_table_free(play.channels);
	ring_reader_free(play.reader);
	ring_interest_close(play.interest);
	ring_lane_close(env->lane);
	ring_lane_close(play.lane);
	ring_queue_in_close(play.asked);
	ring_queue_out_close(play.answers);
	ring_seg_free(env->seg);
	conf_free(play.conf);
}

static void
deliver_batch(const struct fan_batch *b)
{
	const struct hub_chan *chan = b->chan;

	for (uint32_t k = 0; k < chan->n_subs; k++) {
		if ((chan->subs[k].flags & (b->need | b->skip)) != b->need)
			continue;
		for (size_t at = 0; at < b->raw->len;) {
			const uint8_t *p = b->raw->data + at;
			size_t len = ws_frame_sent_len(p);
			size_t head = len < 128 ? 2 : len < 65540 ? 4 : 10;

			play_told(
			    chan->subs[k].sess, (const char *)p + head, len - head);
			at += len;
		}
	}
}

bool
play_turn(void)
{
	struct fan_batch *batches;
	bool more;
	uint32_t n;

	play.env.now_ms = base_time_ms();
	more = sess_env_turn(&play.env);
	more = fan_drain(play.fan) || more;
	n = fan_batches(play.fan, &batches);
	for (uint32_t i = 0; i < n; i++)
		deliver_batch(&batches[i]);
	fan_detach(play.fan);
	fan_done(play.fan);
	return more;
}

void
play_command(struct sess *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sess_message(s, play_slice(text));
}

/* ---- the broker ---- */

bool
play_next(struct order_msg *m)
{
	struct ring_queue_item item;

	if (play.taken != 0)
		ring_queue_done(play.asked, play.taken);
	while (ring_queue_next(play.asked, &item) > 0) {
		play.taken = item.end;
		assert_true(order_msg_decode(
		    (struct base_slice){item.name, item.head.name_len},
		    (struct base_slice){item.body, item.head.body_len}, m));
		if (m->kind != ORDER_HELLO)
			return true;
	}
	return false;
}

void
play_answer(const struct order_msg *m)
{
	struct ring_head head = {.type = RING_DATA};
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	size_t len;
	int n = order_msg_pieces(m, fixed, iov, &len);

	assert_int_equal(ring_queue_put(play.answers, &head, m->channel, iov, n), 0);
}

static void
put(const char *channel, struct ring_head *head, const void *p, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)p, len};

	head->chan = hub_hash(play.env.hub, play_slice(channel));
	head->mask = ring_interest_mask(play.env.seg, head->chan);
	ring_lane_put(play.lane, head, play_slice(channel), &iov, 1);
}

void
play_frame(const char *channel, uint64_t offset, uint16_t flags, const char *text)
{
	struct ring_head head = {.type = RING_DATA, .flags = flags, .offset = offset};
	struct base_buf frame = {0};
	uint8_t h[WS_HEAD_MAX];

	base_buf_add(&frame, h, ws_frame_head(h, WS_FIN | WS_TEXT, strlen(text)));
	base_buf_str(&frame, text);
	put(channel, &head, frame.p, frame.len);
	base_buf_free(&frame);
}

void
play_record(const char *channel, uint64_t offset, const char *pub)
{
	char text[512];

	snprintf(text, sizeof(text), "{\"push\":{\"channel\":\"%s\",\"pub\":%s}}",
	    channel, pub);
	play_frame(channel, offset, RING_F_PLACED, text);
}

void
play_epoch(const char *channel, const char *epoch)
{
	struct ring_head head = {.type = RING_CTRL};

	put(channel, &head, epoch, strlen(epoch));
}
