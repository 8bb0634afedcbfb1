/*
 * test_ring: lanes and readers in one process, against a model.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "ring/ring_priv.h"
#include "ring_util.h"

#define SIZE UINT64_C(4096)

/* What must come of a reader on one lane. */
struct model {
	uint64_t tail; /* of the lane */
	uint64_t pos; /* of the reader */
	uint64_t first, put, passed; /* records put, and passed by the reader */
	struct {
		uint64_t pos, passed;
	} been[8]; /* tails of some time */
};

static uint64_t
seed_of(uint64_t seq)
{
	return seq * UINT64_C(0x9e3779b97f4a7c15) + 12345;
}

static void
model_put(struct model *m, struct ring_lane *lane)
{
	size_t name_len, body_len;
	uint64_t need, room = SIZE - m->tail % SIZE;

	m->put++;
	util_sizes(seed_of(m->put), ring_lane_max(lane), &name_len, &body_len);
	need = util_need(name_len, body_len);
	assert_true(need <= SIZE / 8);
	m->tail += (need <= room ? 0 : room) + need;
	assert_int_equal(util_put(lane, seed_of(m->put)), m->tail);
	assert_int_equal(ring_lane_tail(lane), m->tail);
}

/* One look; true if something was there. */
static bool
model_read(struct model *m, struct ring_reader *reader, struct ring_lane *lane,
    bool skip)
{
	struct ring_head head;
	uint64_t lost = 0;
	size_t name_len, body_len;

	assert_int_equal(ring_read_behind(reader, 0), m->tail - m->pos);
	switch (ring_read_next(reader, 0, &head, &lost)) {
	case RING_EMPTY:
		assert_int_equal(m->pos, m->tail);
		assert_int_equal(m->passed, m->put);
		return false;
	case RING_LAPPED:
		assert_true(m->tail - m->pos > SIZE);
		assert_int_equal(lost, m->put - m->passed);
		m->passed = m->put;
		m->pos = m->tail;
		return true;
	case RING_RECORD:
		break;
	}
	assert_true(m->tail - m->pos <= SIZE);
	m->passed++;
	assert_int_equal(head.seq, m->passed);
	assert_int_equal(head.chan, seed_of(m->passed));
	util_sizes(head.chan, ring_lane_max(lane), &name_len, &body_len);
	if (SIZE - m->pos % SIZE < util_need(name_len, body_len))
		m->pos += SIZE - m->pos % SIZE;
	m->pos += util_need(name_len, body_len);
	if (skip)
		ring_read_skip(reader, 0);
	else
		assert_int_equal(
		    util_take(reader, 0, &head, ring_lane_max(lane)), 1);
	return true;
}

/* Goes to where the reader or the tail has been, if the lane still holds it. */
static void
model_seek(struct model *m, struct ring_reader *reader, struct util_rng *rng)
{
	unsigned i = (unsigned)util_below(rng, BASE_COUNT(m->been));
	uint64_t pos = m->been[i].pos, passed = m->been[i].passed;
	bool there = m->tail - pos <= SIZE;

	if (util_below(rng, 2) == 0) {
		m->been[i].pos = m->tail;
		m->been[i].passed = m->put;
	}
	assert_int_equal(ring_read_seek(reader, 0, pos), there);
	if (there) {
		m->pos = pos;
		m->passed = passed;
	}
	assert_int_equal(ring_read_position(reader, 0), m->pos);
}

static void
run_model(uint64_t start, uint64_t rounds)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct model m = { .tail = start, .pos = start };
	struct util_rng rng = { start + 7 };
	struct ring_reader *reader;
	struct ring_lane *lane;

	util_preset(seg, 0, start, 0);
	ring_lane_open(seg, 0, &lane);
	ring_reader_new(seg, &reader);
	assert_false(ring_read_pending(reader));
	for (unsigned i = 0; i < BASE_COUNT(m.been); i++)
		m.been[i].pos = start;
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t puts = util_below(&rng, util_below(&rng, 20) == 0 ? 90 : 12);

		while (puts-- > 0)
			model_put(&m, lane);
		assert_int_equal(ring_read_pending(reader), m.pos != m.tail);
		puts = util_below(&rng, 20);
		while (puts-- > 0)
			if (!model_read(&m, reader, lane, util_below(&rng, 4) == 0))
				break;
		if (util_below(&rng, 4) == 0)
			model_seek(&m, reader, &rng);
	}
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

static void
test_model(void **state)
{
	(void)state;
	run_model(0, 20000);
	run_model((UINT64_C(1) << 32) - 4096, 5000);
	run_model((UINT64_C(1) << 63) - 4096, 5000);
	run_model(UINT64_C(1) << 63, 2000);
}

/* Each body length that a lane takes, each name length up to 17. */
static void
test_all_sizes(void **state)
{
	static char name[17], body[SIZE], got_name[17], got_body[SIZE];
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_head head = { .type = RING_DATA };
	struct ring_reader *reader;
	struct ring_lane *lane;
	uint64_t lost, n = 0;

	(void)state;
	ring_lane_open(seg, 0, &lane);
	ring_reader_new(seg, &reader);
	assert_int_equal(ring_lane_max(lane), SIZE / 8 - 64 - 7);
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 7 + 1);
	memcpy(name, "abcdefghijklmnopq", sizeof(name));
	for (size_t nl = 0; nl <= sizeof(name); nl++) {
		for (size_t bl = 0; bl <= ring_lane_max(lane) - nl; bl++) {
			struct iovec pieces[3] = { { body, bl / 3 },
				{ body + bl / 3, 0 },
				{ body + bl / 3, bl - bl / 3 } };

			ring_lane_put(lane, &head, (struct base_slice){ name, nl },
			    pieces, 3);
			assert_int_equal(ring_read_next(reader, 0, &head, &lost),
			    RING_RECORD);
			assert_int_equal(head.seq, ++n);
			assert_int_equal(head.name_len, nl);
			assert_int_equal(head.body_len, bl);
			memset(got_body, 0, sizeof(got_body));
			assert_true(ring_read_copy(reader, 0, got_name, got_body));
			assert_memory_equal(got_name, name, nl);
			assert_memory_equal(got_body, body, bl);
			assert_int_equal(got_body[bl], 0);
		}
	}
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* The copy is dropped when the writer comes round between look and copy. */
static void
test_lapped_at_copy(void **state)
{
	struct ring_seg *seg = util_seg(2, SIZE);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost = 0, start, seq = 0;
	char body[SIZE];

	(void)state;
	ring_lane_open(seg, 1, &lane);
	ring_reader_new(seg, &reader);
	util_put(lane, seed_of(++seq));
	start = 0;
	assert_int_equal(ring_read_next(reader, 1, &head, &lost), RING_RECORD);
	while (ring_lane_tail(lane) + SIZE / 8 + SIZE / 8 <= start + SIZE)
		util_put(lane, seed_of(++seq));
	/* A full lane behind, not more: still whole. */
	assert_int_equal(ring_read_next(reader, 1, &head, &lost), RING_RECORD);
	assert_int_equal(head.seq, 1);
	while (ring_lane_tail(lane) <= start + SIZE)
		util_put(lane, seed_of(++seq));
	assert_false(ring_read_copy(reader, 1, body, body));
	assert_int_equal(ring_read_next(reader, 1, &head, &lost), RING_LAPPED);
	assert_int_equal(lost, seq);
	assert_int_equal(ring_read_next(reader, 1, &head, &lost), RING_EMPTY);
	util_put(lane, seed_of(++seq));
	assert_int_equal(ring_read_next(reader, 1, &head, &lost), RING_RECORD);
	assert_int_equal(head.seq, seq);
	assert_int_equal(util_take(reader, 1, &head, ring_lane_max(lane)), 1);
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* A place in the lane that is none, and places at the edges of what it holds. */
static void
test_seek(void **state)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_head head = { .type = RING_DATA };
	struct base_slice none = { NULL, 0 };
	uint64_t start = 7 * SIZE, lost = 0;
	struct ring_reader *reader;
	struct ring_lane *lane;

	(void)state;
	util_preset(seg, 0, start, 5);
	ring_lane_open(seg, 0, &lane);
	ring_reader_new(seg, &reader);
	for (uint64_t pos = start; pos < start + SIZE; pos += RING_ALIGN) {
		assert_int_equal(ring_read_position(reader, 0), start);
		assert_true(ring_read_seek(reader, 0, pos)); /* to the tail */
		assert_true(ring_read_seek(reader, 0, start));
		assert_false(ring_read_seek(reader, 0, start - RING_ALIGN));
		assert_false(ring_read_seek(reader, 0, pos + RING_ALIGN));
		assert_false(ring_read_seek(reader, 0, pos + 1));
		assert_false(ring_read_seek(reader, 0, pos + (UINT64_C(1) << 63)));
		ring_lane_put(lane, &head, none, NULL, 0);
	}
	/* The whole lane, then a line less. */
	assert_true(ring_read_seek(reader, 0, start));
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	assert_int_equal(head.seq, 6);
	ring_lane_put(lane, &head, none, NULL, 0);
	assert_false(ring_read_seek(reader, 0, start));
	assert_true(ring_read_seek(reader, 0, start + RING_ALIGN));
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	assert_int_equal(head.seq, 7);
	/* Inside of a record, where an older one began. */
	util_put(lane, 1);
	assert_true(util_put(lane, 2) > start + SIZE + 3 * RING_ALIGN);
	assert_false(ring_read_seek(reader, 0, start + SIZE + 2 * RING_ALIGN));
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* A write that has begun: what it spoils is gone, what it makes is not there yet. */
static void
test_seek_in_write(void **state)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_head head = { .type = RING_DATA };
	struct base_slice none = { NULL, 0 };
	struct ring_lane_page *page = ring_seg_lane(seg, 0);
	struct ring_reader *reader;
	struct ring_lane *lane;
	ring_word *rec;

	(void)state;
	ring_lane_open(seg, 0, &lane);
	ring_reader_new(seg, &reader);
	for (unsigned i = 0; i < SIZE / RING_ALIGN; i++)
		ring_lane_put(lane, &head, none, NULL, 0);
	assert_true(ring_read_seek(reader, 0, 0));
	assert_true(ring_read_seek(reader, 0, RING_ALIGN));
	atomic_store(&page->intent, SIZE + 2 * RING_ALIGN);
	assert_false(ring_read_seek(reader, 0, 0));
	assert_false(ring_read_seek(reader, 0, RING_ALIGN));
	assert_true(ring_read_seek(reader, 0, 2 * RING_ALIGN));
	rec = ring_seg_data(seg, 0) + RING_ALIGN / sizeof(*rec);
	atomic_store(&rec[RING_W_POS], SIZE + RING_ALIGN);
	assert_false(ring_read_seek(reader, 0, SIZE + RING_ALIGN));
	assert_true(ring_read_seek(reader, 0, SIZE));
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* What follows a place may be nothing but the padding of a repair. */
static void
test_seek_torn(void **state)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost, at = SIZE - 256;

	(void)state;
	util_preset(seg, 0, at, 40);
	util_torn(seg, 0, 512); /* two records of padding */
	ring_reader_new(seg, &reader);
	assert_true(ring_read_seek(reader, 0, at));
	ring_lane_open(seg, 0, &lane);
	assert_true(ring_read_seek(reader, 0, at));
	assert_int_equal(ring_read_position(reader, 0), at);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	util_put(lane, seed_of(1));
	assert_true(ring_read_seek(reader, 0, at));
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	assert_int_equal(head.seq, 41);
	assert_int_equal(util_take(reader, 0, &head, ring_lane_max(lane)), 1);
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* A new reader starts at the tail, and knows the number of what came before. */
static void
test_new_reader(void **state)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost = 0;

	(void)state;
	ring_lane_open(seg, 0, &lane);
	for (uint64_t i = 1; i <= 5; i++)
		util_put(lane, i);
	ring_reader_new(seg, &reader);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	for (uint64_t i = 6; i <= 105; i++)
		util_put(lane, i);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_LAPPED);
	assert_int_equal(lost, 100);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* A torn write of BYTES at POS is padded; a reader in front of it loses nothing. */
static void
torn_at(uint64_t pos, uint64_t bytes, unsigned repairs)
{
	struct ring_seg *seg = util_seg(2, SIZE);
	struct ring_lane_page *page = ring_seg_lane(seg, 0);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost = 0, epoch;

	util_preset(seg, 0, pos, 41);
	ring_reader_new(seg, &reader);
	util_torn(seg, 0, bytes);
	atomic_store(&page->seq, 42); /* it had got as far as that */
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	epoch = atomic_load(&page->epoch);
	for (unsigned i = 0; i < repairs; i++) {
		ring_lane_open(seg, 0, &lane);
		assert_int_equal(atomic_load(&page->tail), pos + bytes);
		assert_int_equal(atomic_load(&page->intent), pos + bytes);
		assert_int_equal(atomic_load(&page->seq), 41);
		assert_int_equal(atomic_load(&page->epoch), epoch + i + 1);
		if (i + 1 < repairs)
			ring_lane_close(lane);
	}
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	util_put(lane, 99);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	assert_int_equal(head.seq, 42);
	assert_int_equal(util_take(reader, 0, &head, ring_lane_max(lane)), 1);
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

static void
test_torn(void **state)
{
	(void)state;
	for (uint64_t bytes = 64; bytes <= SIZE / 4; bytes += 64)
		for (uint64_t off = 0; off < SIZE; off += 64)
			torn_at(3 * SIZE + off, bytes, 1 + (unsigned)(off / 64 % 2));
	torn_at((UINT64_C(1) << 63) - 64, 512, 2);
}

/*
 * The failure that "never lower intent" prevents: the dead owner spoiled bytes a
 * lane back, the successor writes less than that; a reader there must not take
 * the spoiled record for whole.
 */
static void
test_spoiled_stays_lapped(void **state)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	struct iovec piece = { (void *)(uintptr_t)"x", 1 };
	struct base_slice name_c = { "c", 1 };
	uint64_t lost = 0;
	char name[64], body[SIZE];

	(void)state;
	ring_lane_open(seg, 0, &lane);
	ring_reader_new(seg, &reader);
	/* 64 records of one line and a bit: 128 bytes each, 32 of them fill it. */
	for (unsigned i = 0; i < 32; i++) {
		head = (struct ring_head){ .type = RING_DATA };
		assert_int_equal(
		    ring_lane_put(lane, &head, name_c, &piece, 1), (i + 1) * 128);
	}
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	ring_read_skip(reader, 0);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	/* Spoils records 1 to 4, of which the reader holds the second one. */
	util_torn(seg, 0, 512);
	ring_lane_close(lane);
	ring_lane_open(seg, 0, &lane);
	util_put(lane, 3);
	assert_false(ring_read_copy(reader, 0, name, body));
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_LAPPED);
	assert_int_equal(lost, 32);
	assert_int_equal(ring_read_damaged(reader), 0);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* An owner that spoiled its own positions costs its lane a lap, no more. */
static void
test_impossible_positions(void **state)
{
	static const uint64_t bad[][2] = {
		{ 4096, 8192 },
		{ 8192, 4096 },
		{ 4100, 4160 },
		{ 4096, 4101 },
		{ 0, UINT64_MAX },
		{ UINT64_C(1) << 40, 0 },
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(bad); i++) {
		struct ring_seg *seg = util_seg(1, SIZE);
		struct ring_lane_page *page = ring_seg_lane(seg, 0);
		struct ring_reader *reader;
		struct ring_head head;
		struct ring_lane *lane;
		uint64_t lost = 0;

		ring_lane_open(seg, 0, &lane);
		for (uint64_t n = 0; n < 8; n++)
			util_put(lane, n);
		ring_lane_close(lane);
		ring_reader_new(seg, &reader);
		atomic_store(&page->tail, bad[i][0]);
		atomic_store(&page->intent, bad[i][1]);
		ring_lane_open(seg, 0, &lane);
		assert_int_equal(ring_lane_tail(lane) % 64, 0);
		for (uint64_t n = 0; n < 3; n++)
			util_put(lane, n);
		while (ring_read_next(reader, 0, &head, &lost) == RING_LAPPED)
			continue;
		util_put(lane, 77);
		assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
		assert_int_equal(head.chan, 77);
		assert_int_equal(util_take(reader, 0, &head, ring_lane_max(lane)), 1);
		ring_reader_free(reader);
		ring_lane_close(lane);
		ring_seg_free(seg);
	}
}

/* Each header word that contradicts itself is seen, and costs one lap. */
static void
test_damaged_head(void **state)
{
	static const struct {
		enum ring_rec_word word;
		uint64_t value;
	} bad[] = {
		{ RING_W_POS, 64 },
		{ RING_W_SHAPE, 63 | UINT64_C(1) << 32 },
		{ RING_W_SHAPE, 513 | UINT64_C(1) << 32 },
		{ RING_W_SHAPE, UINT64_C(0xffffffff) | UINT64_C(1) << 32 },
		{ RING_W_SHAPE, 128 | UINT64_C(4) << 32 },
		{ RING_W_SHAPE, 100 | (uint64_t)RING_PAD << 32 },
		{ RING_W_SHAPE, 8192 | (uint64_t)RING_PAD << 32 },
		{ RING_W_NAME, 65536 },
		{ RING_W_NAME, UINT32_MAX },
		{ RING_W_SEQ, 3 },
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(bad); i++) {
		struct ring_seg *seg = util_seg(1, SIZE);
		struct ring_reader *reader;
		struct ring_head head;
		struct ring_lane *lane;
		uint64_t lost = 0;

		ring_lane_open(seg, 0, &lane);
		ring_reader_new(seg, &reader);
		for (uint64_t n = 0; n < 4; n++)
			util_put(lane, n);
		atomic_store(&ring_seg_data(seg, 0)[bad[i].word], bad[i].value);
		assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_LAPPED);
		assert_int_equal(lost, 4);
		assert_int_equal(ring_read_damaged(reader), 1);
		assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
		util_put(lane, 5);
		assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
		ring_reader_free(reader);
		ring_lane_close(lane);
		ring_seg_free(seg);
	}
}

/* A tail that is not a record's border is damage, not a crash or a loop. */
static void
test_damaged_tail(void **state)
{
	struct ring_seg *seg = util_seg(1, SIZE);
	struct ring_lane_page *page = ring_seg_lane(seg, 0);
	struct ring_reader *reader;
	struct ring_head head;
	uint64_t lost = 0;

	(void)state;
	ring_reader_new(seg, &reader);
	atomic_store(&page->intent, 1000);
	atomic_store(&page->tail, 1000);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_LAPPED);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	atomic_store(&page->tail, 2000);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_LAPPED);
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_EMPTY);
	assert_int_equal(ring_read_damaged(reader), 2);
	ring_reader_free(reader);
	ring_seg_free(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_lapped_at_copy),
		cmocka_unit_test(test_seek),
		cmocka_unit_test(test_seek_in_write),
		cmocka_unit_test(test_seek_torn),
		cmocka_unit_test(test_new_reader),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_spoiled_stays_lapped),
		cmocka_unit_test(test_impossible_positions),
		cmocka_unit_test(test_damaged_head),
		cmocka_unit_test(test_damaged_tail),
	};

	base_log_set_level(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
