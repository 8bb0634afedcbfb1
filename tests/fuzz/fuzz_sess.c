/*
 * fuzz_sess: any sequence of messages of two clients through real sessions, hub and
 * ring, with a transport that checks what comes out, and a broker that answers most of
 * what it is asked, sometimes later, and loses a record now and then.
 *
 * The input is cut into messages at bytes 0xfe (of the first client) and 0xff (of
 * the second), which no valid message contains.
 *
 * Properties: what is sent is valid JSON without line feeds; nothing is sent to a
 * client whose connection was closed; a push goes only to a subscriber; at the
 * end the hub is empty, nothing is waited for, and no stream is left.
 */
#include "config.h"

#include "fuzz.h"

#include "base/base_log.h"
#include "conf/conf_parse.h"
#include "core/fan.h"
#include "core/sess.h"
#include "proto/cmd_json.h"
#include "proto/json_rd.h"
#include "proto/ws_frame.h"
#include "ring/ring_queue.h"

#define EPOCH "fuzzfuzz"
#define KEPT 5 /* publications of history */

struct client {
	struct sess sess;
	bool closed;
};

static struct {
	struct conf *conf;
	struct ring_seg *seg;
	struct ring_reader *reader;
	struct ring_interest *interest;
	struct ring_lane *lane;
	struct fan *fan;
	struct sess_env env;
	struct client clients[2];
	/* The broker, to which all channels are one. */
	struct ring_lane *broker_lane;
	struct ring_queue_in *asked;
	struct ring_queue_out *answers;
	uint64_t top;
	unsigned n_asked;
} world;

static struct client *
client_of(struct sess *s)
{
	return BASE_CONTAINER(s, struct client, sess);
}

static void
check_text(const char *p, size_t len)
{
	FUZZ_CHECK(json_valid(p, len));
	FUZZ_CHECK(memchr(p, '\n', len) == NULL);
}

static void
fake_send(struct sess *s, enum sess_place place, const char *p, size_t len)
{
	(void)place;
	FUZZ_CHECK(!client_of(s)->closed);
	check_text(p, len);
}

static void
fake_close(struct sess *s, enum proto_disconnect code)
{
	FUZZ_CHECK(!client_of(s)->closed && proto_disconnect_reason(code)[0] != 0);
	client_of(s)->closed = true;
}

static void
fake_nothing(struct sess *s)
{
	FUZZ_CHECK(!client_of(s)->closed);
}

/* ---- the broker ---- */

static void
answer(struct order_msg *m)
{
	struct ring_head head = {.type = RING_DATA};
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	size_t len;
	int n = order_msg_pieces(m, fixed, iov, &len);

	/* What finds no room is lost, as with a broker that dies. */
	if (ring_queue_put(world.answers, &head, m->channel, iov, n) < 0)
		world.n_asked++;
}

static struct order_pub
pub_of(uint64_t offset, char text[64])
{
	int n = snprintf(text, 64, "{\"data\":0,\"offset\":%llu}",
	    (unsigned long long)offset);

	return (struct order_pub){offset, {text, (size_t)n}};
}

static void
publish(struct base_slice name)
{
	struct ring_head head = {
	    .type = RING_DATA, .flags = RING_F_PLACED, .offset = ++world.top};
	struct base_buf frame = {0};
	struct iovec iov;
	char text[64];
	struct order_pub pub = pub_of(world.top, text);
	uint8_t h[WS_HEAD_MAX];

	base_buf_str(&frame, "{\"push\":{\"channel\":\"x\",\"pub\":");
	base_buf_add(&frame, pub.json.p, pub.json.len);
	base_buf_str(&frame, "}}");
	head.chan = hub_hash(world.env.hub, name);
	head.mask = ring_interest_mask(world.seg, head.chan);
	iov.iov_len = ws_frame_head(h, WS_FIN | WS_TEXT, frame.len);
	iov.iov_base = h;
	if (world.top % 7 != 0) {
		struct iovec both[] = {iov, {frame.p, frame.len}};

		ring_lane_put(world.broker_lane, &head, name, both, 2);
	}
	base_buf_free(&frame);
}

static void
list_after(uint64_t since, uint64_t limit, struct base_buf *list)
{
	uint64_t first = world.top < KEPT ? 1 : world.top - KEPT + 1;
	char text[64];

	first = BASE_MAX(first, since + 1);
	if (since >= world.top || limit == 0)
		return;
	for (; first <= world.top; first++) {
		struct order_pub pub = pub_of(first, text);

		order_pub_add(list, &pub);
	}
}

static void
serve(const struct order_msg *m, struct base_buf *data)
{
	struct order_msg a = {.req = m->req, .epoch = {EPOCH, ORDER_EPOCH_LEN}};

	if (m->req == 0)
		return;
	a.kind = ORDER_HISTORY_IS; /* whatever it is: the number tells */
	a.number = world.top;
	if (++world.n_asked % 11 == 0)
		a.code = PROTO_ERROR_INTERNAL;
	else if (m->kind == ORDER_PUBLISH)
		publish(m->channel);
	else if (m->kind == ORDER_FOLLOW || m->kind == ORDER_HISTORY)
		list_after(m->offset, (uint64_t)m->limit, data);
	else if (m->kind == ORDER_PRESENCE)
		order_pair_add(data, &(struct order_pair){{"c", 1}, {"{}", 2}, 0});
	a.data = (struct base_slice){data->p, data->len};
	answer(&a);
}

static void
run_broker(void)
{
	struct ring_queue_item item;
	struct base_buf data = {0};
	struct order_msg m;

	while (ring_queue_next(world.asked, &item) > 0) {
		FUZZ_CHECK(order_msg_decode(
		    (struct base_slice){item.name, item.head.name_len},
		    (struct base_slice){item.body, item.head.body_len}, &m));
		data.len = 0;
		serve(&m, &data);
		ring_queue_done(world.asked, item.end);
	}
	base_buf_free(&data);
}

/* ---- what comes out ---- */

static void
check_batch(const struct fan_batch *batch)
{
	const struct fan_block *b = batch->raw;

	for (uint32_t k = 0; k < batch->chan->n_subs; k++)
		FUZZ_CHECK(!client_of(batch->chan->subs[k].sess)->closed);
	for (size_t at = 0; at < b->len;) {
		size_t len = ws_frame_sent_len(b->data + at);
		size_t head = len < 128 ? 2 : len < 65540 ? 4 : 10;

		check_text((const char *)b->data + at + head, len - head);
		at += len;
	}
}

static void
deliver(void)
{
	struct fan_batch *batches;
	uint32_t n;
	bool more;

	do {
		more = fan_drain(world.fan);
		n = fan_batches(world.fan, &batches);
		for (uint32_t i = 0; i < n; i++)
			check_batch(&batches[i]);
		fan_detach(world.fan);
		fan_done(world.fan);
	} while (more);
}

static void
turn(void)
{
	world.env.now_ms++;
	sess_env_turn(&world.env);
	deliver();
}

static void
fake_room(struct sess *s, size_t required)
{
	(void)s;
	if (fan_behind(world.fan) + required > ring_seg_geom(world.seg)->lane_size / 2)
		deliver();
}

static const struct sess_ops ops = {
    fake_send, fake_close, fake_nothing, fake_nothing, fake_room};

static void
make_world(void)
{
	static const char text[] =
	    "listen \"x\" { address = \"127.0.0.1:1\" }\n"
	    "allow_anonymous = on\ntoken_hmac_secret = \"secret\"\ndemo = on\n"
	    "max_subscriptions = 3\npublish_rate = 1000000\nmax_channel_length = 20\n"
	    "namespace \"\" { subscribe = anyone publish = anyone "
	    "user_limited_channels = on }\n"
	    "namespace \"ns\" { subscribe = anyone publish = subscriber }\n"
	    "namespace \"no\" { }\n"
	    "namespace \"or\" { subscribe = anyone publish = anyone history_size = 5 "
	    "recover = optional presence = on presence_for = anyone join_leave = on "
	    "history_for = anyone }\n"
	    "tail_linger = 0\n";
	const struct ring_geom geom = {.slots = 2,
	    .lanes = 2,
	    .lane_size = 1 << 20,
	    .queue_size = 1 << 16,
	    .interest_buckets = 64,
	    .stat_size = 4096};
	struct base_buf errors = {0};
	char err[128];

	base_log_set_level(BASE_LOG_ERROR);
	world.conf = conf_parse_text(text, "fuzz", &errors);
	FUZZ_CHECK(world.conf != NULL);
	FUZZ_CHECK(ring_seg_create(&geom, &world.seg, err, sizeof(err)) == 0);
	ring_lane_open(world.seg, 0, &world.lane);
	ring_interest_open(world.seg, 0, &world.interest);
	ring_reader_new(world.seg, &world.reader);
	world.env = (struct sess_env){
	    .ops = &ops,
	    .conf = world.conf,
	    .channels = chan_table_new(world.conf),
	    .keys = token_keys_new("secret", NULL, 0, err, sizeof(err)),
	    .hub = hub_new(ring_seg_key(world.seg), world.interest),
	    .seg = world.seg,
	    .lane = world.lane,
	    .stat = ring_seg_stats(world.seg, 0),
	    .n_workers = 1,
	    .now_ms = 1,
	    .now_s = 1700000000,
	};
	world.fan = fan_new(world.seg, 0, world.env.hub, world.reader, world.env.stat);
	FUZZ_CHECK(sess_env_open(&world.env, world.fan, 1, err, sizeof(err)) == 0);
	ring_lane_open(world.seg, 1, &world.broker_lane);
	FUZZ_CHECK(ring_queue_in_open(world.seg, 0, RING_QUEUE_BROKER, NULL,
		       &world.asked, err, sizeof(err)) == 0);
	FUZZ_CHECK(ring_queue_out_open(world.seg, 0, RING_QUEUE_BROKER, &world.answers,
		       err, sizeof(err)) == 0);
}

static void
give(struct client *c, const uint8_t *p, size_t len)
{
	char *copy;

	if (c->closed)
		return;
	copy = fuzz_copy(p, len);
	sess_message(&c->sess, (struct base_slice){copy, len});
	if (c->closed)
		sess_close(&c->sess);
	else if (c->sess.state == SESS_CONNECTED && len % 7 == 0)
		sess_ping(&c->sess);
	free(copy);
	if (len % 3 != 0)
		run_broker();
	turn();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t from = 0;

	if (world.conf == NULL)
		make_world();
	world.top = 0;
	for (unsigned i = 0; i < 2; i++) {
		world.clients[i].closed = false;
		sess_init(&world.clients[i].sess, &world.env);
	}
	for (size_t i = 0; i < size; i++) {
		if (data[i] < 0xfe)
			continue;
		give(&world.clients[data[i] - 0xfe], data + from, i - from);
		from = i + 1;
	}
	for (unsigned i = 0; i < 2; i++)
		sess_close(&world.clients[i].sess);
	run_broker();
	turn();
	turn();
	FUZZ_CHECK(stat_get(world.env.stat, streams_followed) == 0);
	FUZZ_CHECK(stat_get(world.env.stat, tail_bytes) == 0);
	FUZZ_CHECK(hub_channels(world.env.hub) == 0);
	FUZZ_CHECK(stat_get(world.env.stat, subscriptions) == 0);
	FUZZ_CHECK(stat_get(world.env.stat, clients) == 0);
	return 0;
}
