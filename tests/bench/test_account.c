/*
 * What chatbench's figures rest on: the account of messages against a naive one,
 * the histogram's error, and what the client accepts of a server.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/bench_stat.h"
#include "bench/bench_token.h"
#include "bench/bench_track.h"
#include "bench/bench_ws.h"

#define MESSAGES 400

static uint64_t random_state = 1;

static uint32_t
below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* ---- tracks ------------------------------------------------------------- */

/* Delivers 1..MESSAGES with losses, repeats and changes of order, at random. */
static void
one_random_session(void)
{
	struct bench_pub pub = {.seq = 0};
	struct bench_track t = {0};
	bool seen[MESSAGES + 1] = {false}, excused[MESSAGES + 1] = {false};
	uint64_t holes = 0, tail = 0, lost = 0, want_holes = 0, want_tail = 0;
	uint32_t highest = 0;

	pub.seq = MESSAGES;
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		uint32_t seq =
		    below(3) == 0 ? 1 + below(MESSAGES) : highest + 1 + below(3);
		enum bench_seen want = BENCH_SEEN_NEW;

		if (seq > MESSAGES)
			continue;
		if (seen[seq])
			want = BENCH_SEEN_AGAIN;
		else if (seq < highest)
			want = BENCH_SEEN_LATE;
		assert_int_equal(bench_track_take(&t, &pub, seq, &lost), want);
		seen[seq] = true;
		highest = BASE_MAX(highest, seq);
	}
	for (uint32_t i = 1; i <= MESSAGES; i += 1 + below(20)) {
		uint32_t to = i + below(4);

		if (to > MESSAGES)
			to = MESSAGES;
		bench_pub_excuse(&pub, i, to);
		for (uint32_t k = i; k <= to; k++)
			excused[k] = true;
	}
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		if (!seen[i] && !excused[i] && i < highest)
			want_holes++;
		if (!seen[i] && !excused[i] && i > highest)
			want_tail++;
	}
	bench_track_end(&t, &pub, &holes, &tail);
	assert_int_equal(holes, want_holes);
	assert_int_equal(tail, want_tail);
	assert_int_equal(lost, 0);
	/* counted once */
	bench_track_end(&t, &pub, &holes, &tail);
	assert_int_equal(holes + tail, want_holes + want_tail);
	free(pub.excused.v);
}

static void
test_random_sessions(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++)
		one_random_session();
}

static void
test_before_the_subscription(void **state)
{
	struct bench_pub pub = {.seq = 10};
	struct bench_track t = {0};
	uint64_t lost = 0, holes = 0, tail = 0;

	(void)state;
	bench_track_start(&t, &pub);
	pub.seq = 12;
	assert_int_equal(bench_track_take(&t, &pub, 9, &lost), BENCH_SEEN_EARLY);
	assert_int_equal(bench_track_take(&t, &pub, 11, &lost), BENCH_SEEN_NEW);
	/* after a later one: out of order, whenever it was published */
	assert_int_equal(bench_track_take(&t, &pub, 10, &lost), BENCH_SEEN_OLD);
	bench_track_end(&t, &pub, &holes, &tail);
	assert_int_equal(holes, 0);
	assert_int_equal(tail, 1);
	/* what is published while it is away */
	pub.seq = 20;
	bench_track_end(&t, &pub, &holes, &tail);
	assert_int_equal(tail, 9);
}

/* Every second message is lost: memory is bounded, and the count is exact. */
static void
test_too_many_holes(void **state)
{
	enum { N = 10 * BENCH_GAPS_MAX };
	struct bench_pub pub = {.seq = 2 * N};
	struct bench_track t = {0};
	uint64_t lost = 0, holes = 0, tail = 0;

	(void)state;
	for (uint32_t i = 1; i <= N; i++) {
		assert_int_equal(
		    bench_track_take(&t, &pub, 2 * i, &lost), BENCH_SEEN_NEW);
		assert_true(t.holes.n <= BENCH_GAPS_MAX);
	}
	assert_int_equal(bench_track_take(&t, &pub, 1, &lost), BENCH_SEEN_OLD);
	bench_track_end(&t, &pub, &holes, &tail);
	assert_int_equal(lost + holes, N);
	assert_int_equal(tail, 0);
}

/* ---- histogram ---------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
test_quantiles(void **state)
{
	enum { N = 20000 };
	static const double qs[] = {0, .001, .5, .9, .99, .999, 1};
	static struct bench_hist h, before;
	static uint64_t v[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		/* from nanoseconds to minutes */
		v[i] = (uint64_t)below(1u << 31) << below(8) >> below(31);
		bench_hist_add(&h, v[i]);
	}
	qsort(v, N, sizeof(v[0]), by_value);
	for (size_t i = 0; i < BASE_COUNT(qs); i++) {
		size_t rank = (size_t)(qs[i] * N);
		double exact, got = (double)bench_hist_quantile(&h, qs[i]);

		if ((double)rank < qs[i] * N || rank == 0)
			rank++;
		exact = (double)v[rank - 1];
		assert_true(got >= exact * .992 - 1 && got <= exact * 1.008 + 1);
	}
	assert_int_equal(h.max, v[N - 1]);
	before = h;
	assert_int_equal(bench_hist_quantile_since(&h, &before, .5), 0);
	for (int i = 0; i < 10; i++)
		bench_hist_add(&h, 5);
	assert_int_equal(bench_hist_quantile_since(&h, &before, .5), 5);
	/* the largest value that there is has a place */
	bench_hist_add(&h, UINT64_MAX);
	assert_int_equal(h.count[BENCH_HIST_STEPS - 1], 1);
}

/* ---- WebSocket ---------------------------------------------------------- */

static struct bench_ws_event
next(const char *p, size_t n, bool deflate)
{
	struct bench_ws_rx rx = {0};
	struct bench_ws_event ev;

	bench_ws_next(&rx, deflate, p, n, &ev);
	bench_ws_rx_free(&rx);
	return ev;
}

#define NEXT(bytes) next(bytes, sizeof(bytes) - 1, false)

static void
test_frames(void **state)
{
	(void)state;
	assert_int_equal(NEXT("\x81").kind, BENCH_WS_MORE);
	assert_int_equal(NEXT("\x81\x02{").kind, BENCH_WS_MORE);
	assert_int_equal(NEXT("\x81\x02{}").kind, BENCH_WS_MESSAGE);
	assert_int_equal(NEXT("\x01\x02{}").kind, BENCH_WS_PART);
	assert_int_equal(
	    NEXT("\x80\x02{}").kind, BENCH_WS_BAD); /* nothing to go on with */
	assert_int_equal(NEXT("\x83\x00").kind, BENCH_WS_BAD); /* reserved opcodes */
	assert_int_equal(NEXT("\x8b\x00").kind, BENCH_WS_BAD);
	assert_int_equal(NEXT("\xc1\x00").kind, BENCH_WS_BAD); /* RSV1, not agreed */
	assert_int_equal(NEXT("\xa1\x00").kind, BENCH_WS_BAD);
	assert_int_equal(NEXT("\x81\x82....{}").kind, BENCH_WS_BAD); /* masked */
	assert_int_equal(
	    NEXT("\x81\x7e\x00\x02{}").kind, BENCH_WS_BAD); /* not shortest */
	assert_int_equal(NEXT("\x09\x00").kind, BENCH_WS_BAD); /* a ping in pieces */
	assert_int_equal(NEXT("\x89\x01x").kind, BENCH_WS_GOT_PING);
	assert_int_equal(NEXT("\x88\x02\x0b\xbc").code, 3004);
	assert_int_equal(NEXT("\x88\x00").code, 1005);
	assert_int_equal(next("\xc1\x01\xff", 3, true).kind, BENCH_WS_BAD);
}

static void
test_frame_is_masked(void **state)
{
	struct base_buf out = {0};
	uint32_t mask = 0x78563412;
	char data[200];

	(void)state;
	memset(data, 'a', sizeof(data));
	bench_ws_frame(&out, BENCH_WS_TEXT, (struct base_slice){data, 5}, mask);
	assert_int_equal(out.len, 2 + 4 + 5);
	assert_memory_equal(out.p, "\x81\x85", 2);
	assert_memory_equal(out.p + 2, &mask, 4);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(out.p[6 + i] ^ out.p[2 + (i & 3)], 'a');
	out.len = 0;
	bench_ws_frame(&out, BENCH_WS_TEXT, (struct base_slice){data, 200}, mask);
	assert_int_equal(out.len, 4 + 4 + 200);
	assert_memory_equal(out.p, "\x81\xfe\x00\xc8", 4);
	base_buf_free(&out);
}

/* The response to the request of NONCE, with what comes before and after Accept. */
static ssize_t
response(const char *before, const char *after, uint64_t nonce, bool *deflate)
{
	/* for the key that nonce 0 makes: sixteen bytes 0, but for a 1 */
	static const char accept[] =
	    "Sec-WebSocket-Accept: T9YqAFps7/KQrQnMnLCTOrOauxM=\r\n";
	struct base_buf b = {0};
	char err[160];
	ssize_t n;

	base_buf_printf(&b, "%s%s%s\r\n", before, accept, after);
	n = bench_ws_response(b.p, b.len, nonce, true, deflate, err, sizeof(err));
	if (n > 0)
		assert_int_equal(n, b.len);
	base_buf_free(&b);
	return n;
}

static void
test_response(void **state)
{
	static const char ok[] = "HTTP/1.1 101 Switching Protocols\r\n"
				 "upgrade: WebSocket\r\nCONNECTION: upgrade\r\n";
	static const char ext[] = "Sec-WebSocket-Extensions: permessage-deflate";
	struct base_buf b = {0};
	bool deflate = true;

	(void)state;
	assert_true(response(ok, "", 0, &deflate) > 0);
	assert_false(deflate);
	assert_int_equal(response(ok, "", 1, &deflate), -1);
	assert_int_equal(response("HTTP/1.1 503 No\r\n", "", 0, &deflate), -1);
	assert_int_equal(response("HTTP/1.1 101 S\r\nUpgrade: h2c\r\n"
				  "Connection: Upgrade\r\n",
			     "", 0, &deflate),
	    -1);
	base_buf_printf(&b, "%s; server_no_context_takeover\r\n", ext);
	assert_true(response(ok, b.p, 0, &deflate) > 0);
	assert_true(deflate);
	b.len = 0;
	base_buf_printf(&b, "%s\r\n", ext);
	assert_int_equal(response(ok, b.p, 0, &deflate), -1);
	b.len = 0;
	base_buf_printf(&b, "%s; server_no_context_takeover; what=1\r\n", ext);
	assert_int_equal(response(ok, b.p, 0, &deflate), -1);
	base_buf_free(&b);
}

/* ---- token -------------------------------------------------------------- */

static void
test_token(void **state)
{
	struct base_buf b = {0};

	(void)state;
	bench_token(&b, "secret", 7);
	base_buf_byte(&b, '\0');
	/* as Python's hmac has it */
	assert_string_equal(b.p, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
				 "eyJzdWIiOiJjaGF0YmVuY2gtNyJ9."
				 "LfEWzp9a1t9DNCRF0L7Oy2K1L1_ZnsUXtBufluGvAJc");
	base_buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_sessions),
	    cmocka_unit_test(test_before_the_subscription),
	    cmocka_unit_test(test_too_many_holes),
	    cmocka_unit_test(test_quantiles),
	    cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_frame_is_masked),
	    cmocka_unit_test(test_response),
	    cmocka_unit_test(test_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
