/*
 * broker_util: see the header.
 */
#include "config.h"

#include "broker_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_mem.h"
#include "base/base_time.h"
#include "conf/conf_parse.h"
#include "proto/ws_frame.h"
#include "ring/ring_wake.h"

struct util_world util;

static const char usual[] =
    "namespace \"plain\" { subscribe = \"anyone\" }\n"
    "namespace \"hist\" { history_size = 5 history_for = \"anyone\" }\n"
    "namespace \"spool\" { history_size = 5 archive = on }\n"
    "namespace \"arch\" { archive = on }\n"
    "namespace \"quick\" { history_size = 3 archive = on ack = \"memory\" }\n"
    "namespace \"pres\" { presence = on join_leave = on }\n"
    "namespace \"quiet\" { presence = on }\n";

/* ---- the world ---- */

void
util_conf(const char *text)
{
	struct base_buf all = {0}, errors = {0};
	struct conf *fresh;

	base_buf_printf(&all,
	    "state_dir = \"%s\"\nlisten \"l\" { address = \"127.0.0.1:1\" }\n%s%s",
	    util.dir, usual, text);
	base_buf_byte(&all, 0);
	fresh = conf_parse_text(all.p, "t.conf", &errors);
	if (fresh == NULL)
		fail_msg("%.*s", (int)errors.len, errors.p);
	base_buf_free(&all);
	base_buf_free(&errors);
	if (util.b != NULL)
		broker_conf(util.b, fresh);
	if (util.conf != NULL)
		conf_free(util.conf);
	util.conf = fresh;
}

static void
make_client(unsigned slot)
{
	struct util_client *c = &util.clients[slot];
	char err[256];

	assert_int_equal(ring_queue_out_open(util.seg, slot, RING_QUEUE_CLIENT,
			     &c->out, err, sizeof(err)), 0);
	assert_int_equal(ring_queue_in_open(util.seg, slot, RING_QUEUE_CLIENT, NULL,
			     &c->in, err, sizeof(err)), 0);
}

static void
free_world(void)
{
	util_kill();
	for (unsigned i = 0; i < UTIL_SLOTS; i++) {
		struct util_client *c = &util.clients[i];

		if (c->out == NULL)
			continue;
		ring_queue_out_close(c->out);
		ring_queue_in_close(c->in);
		free(c->name);
		free(c->body);
		*c = (struct util_client){NULL, NULL, NULL, NULL};
	}
	ring_reader_free(util.reader);
	ring_interest_close(util.interest);
	ring_seg_free(util.seg);
	util.seg = NULL;
}

void
util_world(struct util_sizes sizes)
{
	const struct ring_geom geom = {.slots = UTIL_SLOTS,
	    .lanes = UTIL_WORKERS + 1,
	    .lane_size = sizes.lane,
	    .queue_size = sizes.queue,
	    .interest_buckets = 65536,
	    .stat_size = 4096};
	char err[256] = "";

	if (util.seg != NULL)
		free_world();
	if (ring_seg_create(&geom, &util.seg, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	assert_int_equal(ring_wake_init(util.seg), 0);
	ring_interest_open(util.seg, 0, &util.interest);
	ring_reader_new(util.seg, &util.reader);
	util.stat = ring_seg_stats(util.seg, UTIL_BROKER);
	for (unsigned i = 0; i < UTIL_SLOTS; i++)
		if (i != UTIL_BROKER)
			make_client(i);
}

static void
make_dir(void)
{
	snprintf(util.dir, sizeof(util.dir), "/tmp/chatd-broker.XXXXXX");
	assert_non_null(mkdtemp(util.dir));
}

static int
remove_dir(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", util.dir, (char *)NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0 ? -1 : 0;
}

int
util_setup(void **state)
{
	(void)state;
	util = (struct util_world){.seg = NULL};
	make_dir();
	util_world((struct util_sizes){1u << 20, 256u << 10});
	util_conf("");
	return 0;
}

int
util_teardown(void **state)
{
	(void)state;
	free_world();
	free(util.name);
	free(util.body);
	conf_free(util.conf);
	return remove_dir();
}

void
util_fresh(struct util_sizes sizes)
{
	free_world();
	assert_int_equal(remove_dir(), 0);
	make_dir();
	util_world(sizes);
	util_conf("");
}

void
util_kill(void)
{
	broker_free(util.b);
	util.b = NULL;
}

void
util_broker(void)
{
	struct broker_env env = {.seg = util.seg, .conf = util.conf};

	util_kill();
	env.generation = ++util.generation;
	util.b = broker_new(&env);
}

/* ---- queues ---- */

bool
util_try(unsigned slot, const struct order_msg *msg)
{
	struct ring_head head = {.type = RING_DATA};
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	size_t len;
	int n = order_msg_pieces(msg, fixed, iov, &len);

	return ring_queue_put(
		   util.clients[slot].out, &head, msg->channel, iov, n) == 0;
}

void
util_send(unsigned slot, const struct order_msg *msg)
{
	assert_true(util_try(slot, msg));
}

void
util_turns(void)
{
	unsigned n = 0;

	while (broker_turn(util.b))
		assert_true(n++ < 10000);
}

bool
util_next(unsigned slot, struct order_msg *msg_r)
{
	struct util_client *c = &util.clients[slot];
	struct ring_queue_item item;

	if (ring_queue_next(c->in, &item) != 1)
		return false;
	free(c->name);
	free(c->body);
	c->name = base_memdup(item.name, item.head.name_len);
	c->body = base_memdup(item.body, item.head.body_len);
	ring_queue_done(c->in, item.end);
	assert_true(order_msg_decode((struct base_slice){c->name, item.head.name_len},
	    (struct base_slice){c->body, item.head.body_len}, msg_r));
	return true;
}

/* What may come at any time. */
static bool
unasked(const struct order_msg *msg)
{
	return msg->kind == ORDER_SPOOLED || msg->kind == ORDER_BROKER_HELLO;
}

struct order_msg
util_reply(unsigned slot, enum order_kind kind)
{
	struct order_msg msg = {.kind = ORDER_NONE};

	do
		if (!util_next(slot, &msg))
			fail_msg("no %s", order_kind_name(kind));
	while (msg.kind != kind && unasked(&msg));
	assert_string_equal(order_kind_name(msg.kind), order_kind_name(kind));
	return msg;
}

void
util_no_reply(unsigned slot)
{
	struct order_msg msg;

	while (util_next(slot, &msg))
		if (!unasked(&msg))
			fail_msg("%s", order_kind_name(msg.kind));
}

struct order_msg
util_ask(const struct order_msg *msg, enum order_kind kind)
{
	struct order_msg answer;

	util_send(0, msg);
	util_turns();
	answer = util_reply(0, kind);
	assert_true(answer.req == msg->req);
	return answer;
}

static struct base_slice
slice(const char *text)
{
	return (struct base_slice){text, text == NULL ? 0 : strlen(text)};
}

struct order_msg
util_publish(const char *channel, const char *key, const char *data)
{
	const struct order_msg msg = {.kind = ORDER_PUBLISH,
	    .req = 7,
	    .channel = slice(channel),
	    .key = slice(key),
	    .data = slice(data)};

	return util_ask(&msg, ORDER_PUBLISHED);
}

/* ---- the lane ---- */

void
util_interest(const char *channel)
{
	ring_interest_add(util.interest,
	    base_hash(ring_seg_key(util.seg), channel, strlen(channel)));
}

bool
util_pushed(
    struct ring_head *head_r, struct base_slice *name_r, struct base_slice *text_r)
{
	uint64_t lost;
	enum ring_read_result r =
	    ring_read_next(util.reader, UTIL_BROKER, head_r, &lost);
	size_t frame, head;

	if (r == RING_EMPTY)
		return false;
	assert_int_equal(r, RING_RECORD);
	free(util.name);
	free(util.body);
	util.name = base_malloc(head_r->name_len + 1);
	util.body = base_malloc(head_r->body_len + 1);
	assert_true(ring_read_copy(util.reader, UTIL_BROKER, util.name, util.body));
	*name_r = (struct base_slice){util.name, head_r->name_len};
	*text_r = (struct base_slice){util.body, head_r->body_len};
	if (head_r->type != RING_DATA)
		return true;
	frame = ws_frame_sent_len((const uint8_t *)util.body);
	assert_int_equal(frame, head_r->body_len);
	assert_int_equal((uint8_t)util.body[0], WS_FIN | WS_TEXT);
	head = frame < 126 + 2 ? 2 : (uint8_t)util.body[1] == 126 ? 4 : 10;
	text_r->p += head;
	text_r->len -= head;
	return true;
}

void
util_push_is(const char *channel, uint64_t offset, const char *text)
{
	struct base_slice name, got;
	struct ring_head head;

	if (!util_pushed(&head, &name, &got))
		fail_msg("no push, expected %s", text);
	assert_int_equal(head.type, RING_DATA);
	util_text_is(name, channel);
	util_text_is(got, text);
	assert_true((head.flags & RING_F_PLACED) == (offset != 0 ? RING_F_PLACED : 0));
	if (offset != 0)
		assert_true(head.offset == offset);
	assert_true((head.mask & 1) != 0);
}

void
util_no_push(void)
{
	struct base_slice name, got;
	struct ring_head head;

	if (util_pushed(&head, &name, &got))
		fail_msg("push %.*s", (int)got.len, got.p);
}

void
util_epoch_is(const char *channel, char epoch_r[ORDER_EPOCH_LEN])
{
	struct base_slice name, got;
	struct ring_head head;

	assert_true(util_pushed(&head, &name, &got));
	assert_int_equal(head.type, RING_CTRL);
	util_text_is(name, channel);
	assert_int_equal(got.len, ORDER_EPOCH_LEN);
	memcpy(epoch_r, got.p, ORDER_EPOCH_LEN);
}

/* ---- texts ---- */

void
util_text_is(struct base_slice got, const char *want)
{
	char *text = base_malloc(got.len + 1);

	if (got.len > 0)
		memcpy(text, got.p, got.len);
	text[got.len] = 0;
	assert_string_equal(text, want);
	free(text);
}

void
util_offsets_are(struct base_slice list, const char *want)
{
	struct base_buf got = {0};
	struct order_pub pub;
	char member[40];
	int r;

	while ((r = order_pub_next(&list, &pub)) == 1) {
		base_buf_printf(&got, "%s%llu", got.len > 0 ? " " : "",
		    (unsigned long long)pub.offset);
		/* The object says the same. */
		snprintf(member, sizeof(member), "\"offset\":%llu",
		    (unsigned long long)pub.offset);
		assert_non_null(
		    memmem(pub.json.p, pub.json.len, member, strlen(member)));
	}
	assert_int_equal(r, 0);
	util_text_is((struct base_slice){got.p, got.len}, want);
	base_buf_free(&got);
}
