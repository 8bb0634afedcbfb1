/*
 * Messages over queue lanes: there and back, and damaged ones.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_mem.h"
#include "proto/order_msg.h"
#include "test_rand.h"

#define S(text) ((struct base_slice){(text), sizeof(text) - 1})

static void
assert_text(struct base_slice got, struct base_slice want)
{
	assert_int_equal(got.len, want.len);
	if (want.len > 0)
		assert_memory_equal(got.p, want.p, want.len);
}

static struct order_msg
full_message(void)
{
	return (struct order_msg){
	    .kind = ORDER_PUBLISH,
	    .flags = ORDER_F_MORE | ORDER_F_MEMORY,
	    .code = -100,
	    .limit = -1,
	    .req = UINT64_C(0x1122334455667788),
	    .offset = UINT64_MAX,
	    .number = 7,
	    .channel = S("chat:lobby"),
	    .epoch = S("abcdefgh"),
	    .key = S("k"),
	    .user = S("42"),
	    .client = S("0188"),
	    .conn_info = S("{}"),
	    .chan_info = S("[1]"),
	    .data = S("{\"a\":\"b\"}"),
	};
}

static void
assert_same(const struct order_msg *got, const struct order_msg *want)
{
	assert_int_equal(got->kind, want->kind);
	assert_int_equal(got->flags, want->flags);
	assert_int_equal(got->code, want->code);
	assert_int_equal(got->limit, want->limit);
	assert_true(got->req == want->req);
	assert_true(got->offset == want->offset);
	assert_true(got->number == want->number);
	assert_text(got->channel, want->channel);
#define X(name) assert_text(got->name, want->name);
	ORDER_TEXTS(X)
#undef X
}

static void
goes_there_and_back(void **state)
{
	const struct order_msg full = full_message(),
			       bare = {.kind = ORDER_PRESENCE_RESET};
	struct base_buf body = {0};
	struct order_msg got;

	(void)state;
	order_msg_encode(&full, &body);
	assert_true(order_msg_decode(
	    full.channel, (struct base_slice){body.p, body.len}, &got));
	assert_same(&got, &full);
	body.len = 0;
	order_msg_encode(&bare, &body);
	assert_true(order_msg_decode(
	    (struct base_slice){0}, (struct base_slice){body.p, body.len}, &got));
	assert_same(&got, &bare);
	base_buf_free(&body);
}

static void
pieces_are_the_same_text(void **state)
{
	struct order_msg msg = full_message();
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	struct base_buf whole = {0}, joined = {0};
	size_t len;
	int n;

	(void)state;
	msg.user.len = 0;
	order_msg_encode(&msg, &whole);
	n = order_msg_pieces(&msg, fixed, iov, &len);
	assert_true(n > 0 && n <= ORDER_IOV);
	for (int i = 0; i < n; i++) {
		assert_true(iov[i].iov_len > 0);
		base_buf_add(&joined, iov[i].iov_base, iov[i].iov_len);
	}
	assert_int_equal(len, whole.len);
	assert_text((struct base_slice){joined.p, joined.len},
	    (struct base_slice){whole.p, whole.len});
	base_buf_free(&whole);
	base_buf_free(&joined);
}

/* Each kind has a name, and is one that decodes. */
static void
knows_its_kinds(void **state)
{
	struct base_buf body = {0};
	struct order_msg msg = {0}, got;

	(void)state;
	for (int k = ORDER_NONE + 1; k < ORDER_KINDS_N; k++) {
		msg.kind = (enum order_kind)k;
		assert_true(strlen(order_kind_name(msg.kind)) > 0);
		body.len = 0;
		order_msg_encode(&msg, &body);
		assert_true(order_msg_decode(
		    msg.channel, (struct base_slice){body.p, body.len}, &got));
	}
	assert_string_equal(order_kind_name(ORDER_HELLO), "HELLO");
	assert_string_equal(order_kind_name(ORDER_SPOOLED), "SPOOLED");
	base_buf_free(&body);
}

static bool
decodes(const char *p, size_t n)
{
	/* A copy of just that size, so that a look past its end is seen. */
	char *copy = base_memdup(p, n);
	struct order_msg got;
	bool ok = order_msg_decode(S("c"), (struct base_slice){copy, n}, &got);
	size_t sum = 0;

	if (ok) {
#define X(name)                                                             \
	if (got.name.len > 0)                                               \
		assert_true(got.name.p >= copy && got.name.len <= n &&      \
		    (size_t)(got.name.p - copy) <= n - got.name.len);       \
	sum += got.name.len;
		ORDER_TEXTS(X)
#undef X
		assert_true(sum < n);
		assert_true(got.kind > ORDER_NONE && got.kind < ORDER_KINDS_N);
	}
	free(copy);
	return ok;
}

static void
refuses_damage(void **state)
{
	const struct order_msg msg = full_message();
	struct base_buf body = {0};
	const uint32_t kinds[] = {0, ORDER_KINDS_N, UINT32_MAX}, huge = UINT32_MAX;

	(void)state;
	order_msg_encode(&msg, &body);
	for (size_t n = 0; n < body.len; n++)
		assert_false(decodes(body.p, n));
	assert_true(decodes(body.p, body.len));
	base_buf_byte(&body, 'x');
	assert_false(decodes(body.p, body.len));
	body.len--;
	for (size_t i = 0; i < BASE_COUNT(kinds); i++) {
		memcpy(body.p, &kinds[i], sizeof(kinds[i]));
		assert_false(decodes(body.p, body.len));
	}
	body.len = 0;
	order_msg_encode(&msg, &body);
	for (size_t at = 40; at < 68; at += 4) { /* lengths of the texts */
		memcpy(body.p + at, &huge, sizeof(huge));
		assert_false(decodes(body.p, body.len));
		body.len = 0;
		order_msg_encode(&msg, &body);
	}
	base_buf_free(&body);
}

/* Whatever comes, nothing outside of it is looked at. */
static void
survives_noise(void **state)
{
	const struct order_msg msg = full_message();
	struct base_buf body = {0};
	unsigned good = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		body.len = 0;
		order_msg_encode(&msg, &body);
		for (size_t k = 1 + test_rand(3); k > 0; k--)
			body.p[test_rand(body.len)] ^= (char)(1u << test_rand(8));
		good += decodes(body.p, body.len);
	}
	assert_true(good > 0 && good < 20000);
	base_buf_free(&body);
}

static void
lists_publications(void **state)
{
	static const struct order_pub pubs[] = {
	    {1, {"{\"offset\":1}", 12}}, {UINT64_MAX, {"", 0}}, {3, {"x", 1}}};
	struct base_buf list = {0};
	struct base_slice left;
	struct order_pub got;

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(pubs); i++)
		order_pub_add(&list, &pubs[i]);
	left = (struct base_slice){list.p, list.len};
	for (size_t i = 0; i < BASE_COUNT(pubs); i++) {
		assert_int_equal(order_pub_next(&left, &got), 1);
		assert_true(got.offset == pubs[i].offset);
		assert_text(got.json, pubs[i].json);
	}
	assert_int_equal(order_pub_next(&left, &got), 0);
	/* Cut short it ends between two entries, or is found damaged. */
	for (size_t n = 1; n < list.len; n++) {
		int r, seen = 0;

		left = (struct base_slice){list.p, n};
		while ((r = order_pub_next(&left, &got)) > 0)
			seen++;
		assert_int_equal(r, n == 24 || n == 36 ? 0 : -1);
		assert_int_equal(seen, (n >= 24) + (n >= 36));
	}
	base_buf_free(&list);
}

static void
lists_pairs(void **state)
{
	static const struct order_pair pairs[] = {{{"room", 4}, {"", 0}, 12},
	    {{"", 0}, {"{}", 2}, 0}, {{"id", 2}, {"{\"user\":\"u\"}", 12}, 1}};
	struct base_buf list = {0};
	struct base_slice left;
	struct order_pair got;

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(pairs); i++)
		order_pair_add(&list, &pairs[i]);
	left = (struct base_slice){list.p, list.len};
	for (size_t i = 0; i < BASE_COUNT(pairs); i++) {
		assert_int_equal(order_pair_next(&left, &got), 1);
		assert_true(got.number == pairs[i].number);
		assert_text(got.name, pairs[i].name);
		assert_text(got.value, pairs[i].value);
	}
	assert_int_equal(order_pair_next(&left, &got), 0);
	for (size_t n = 1; n < 20; n++) {
		left = (struct base_slice){list.p, n};
		assert_int_equal(order_pair_next(&left, &got), -1);
	}
	base_buf_free(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(goes_there_and_back),
	    cmocka_unit_test(pieces_are_the_same_text),
	    cmocka_unit_test(knows_its_kinds),
	    cmocka_unit_test(refuses_damage),
	    cmocka_unit_test(survives_noise),
	    cmocka_unit_test(lists_publications),
	    cmocka_unit_test(lists_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
