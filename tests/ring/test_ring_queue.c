/*
 * test_ring_queue: queue lanes in one process, against a model; who may write what
 * of them; what is refused and what is reported.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "ring/ring_dump.h"
#include "ring/ring_priv.h"
#include "ring_util.h"

#define SIZE UINT64_C(4096)
#define KEEP 128 /* records that a lane of SIZE can hold at most, and more */

/* What must come of the two ends of a lane, each of which may be replaced. */
struct model {
	struct ring_seg *seg;
	enum ring_queue_side from; /* who sends */
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	uint64_t tail, done, pos; /* of the lane; of the consumer */
	uint64_t first, put, shown; /* number before the first; put; shown */
	uint64_t ends[KEEP]; /* of the records, by number modulo KEEP */
	struct ring_queue_item item; /* the last one shown, when it is not done */
	bool held;
	uint64_t refused;
};

static uint64_t
seed_of(uint64_t seq)
{
	return seq * UINT64_C(0x9e3779b97f4a7c15) + 12345;
}

static enum ring_queue_side
taker(const struct model *m)
{
	return 1 - m->from;
}

static unsigned
origin(const struct model *m)
{
	return m->from == RING_QUEUE_CLIENT ? 0 : 1;
}

static void
open_out(struct model *m)
{
	char err[256];

	assert_int_equal(
	    ring_queue_out_open(m->seg, 0, m->from, &m->out, err, sizeof(err)), 0);
	assert_int_equal(ring_queue_tail(m->out), m->tail);
}

static void
open_in(struct model *m, const uint64_t *from)
{
	char err[256];

	assert_int_equal(ring_queue_in_open(m->seg, 0, taker(m), from, &m->in, err,
			     sizeof(err)), 0);
	assert_int_equal(ring_queue_pending(m->in),
	    (from == NULL ? m->done : *from) != m->tail);
}

static void
model_start(struct model *m, enum ring_queue_side from, uint64_t pos, uint64_t seq)
{
	*m = (struct model){ .seg = util_queue_seg(2, 2, SIZE), .from = from,
		.tail = pos, .done = pos, .pos = pos, .first = seq, .put = seq,
		.shown = seq };
	util_queue_preset(m->seg, 0, from, pos, seq);
	open_out(m);
	open_in(m, NULL);
}

static void
model_end(struct model *m)
{
	ring_queue_in_close(m->in);
	ring_queue_out_close(m->out);
	ring_seg_free(m->seg);
}

/* One put; true if there was room. */
static bool
model_put(struct model *m)
{
	struct util_rec rec;
	uint64_t need, room = SIZE - m->tail % SIZE, end;
	size_t body_len = 0;

	util_make(&rec, seed_of(m->put + 1), ring_queue_max(m->out));
	for (int i = 0; i < rec.n; i++)
		body_len += rec.pieces[i].iov_len;
	need = util_need(rec.name.len, body_len);
	end = m->tail + (need <= room ? 0 : room) + need;
	if (end - m->done > SIZE) {
		assert_int_equal(ring_queue_put(m->out, &rec.head, rec.name, rec.pieces,
				     rec.n), -EAGAIN);
		assert_int_equal(ring_queue_tail(m->out), m->tail);
		m->refused++;
		return false;
	}
	assert_int_equal(
	    ring_queue_put(m->out, &rec.head, rec.name, rec.pieces, rec.n), 0);
	m->put++;
	assert_int_equal(rec.head.seq, m->put);
	m->tail = end;
	assert_int_equal(ring_queue_tail(m->out), m->tail);
	m->ends[m->put % KEEP] = end;
	return true;
}

/* One look; true if something was there. */
static bool
model_next(struct model *m)
{
	assert_int_equal(ring_queue_pending(m->in), m->pos != m->tail);
	if (m->pos == m->tail) {
		assert_int_equal(ring_queue_next(m->in, &m->item), 0);
		assert_int_equal(m->shown, m->put);
		return false;
	}
	assert_int_equal(ring_queue_next(m->in, &m->item), 1);
	m->shown++;
	m->pos = m->ends[m->shown % KEEP];
	m->held = true;
	assert_int_equal(m->item.head.seq, m->shown);
	assert_int_equal(m->item.head.chan, seed_of(m->shown));
	assert_int_equal(m->item.end, m->pos);
	assert_true(util_item(&m->item, origin(m), ring_queue_max(m->out)));
	return true;
}

/* Done with some of what was shown, or all. */
static void
model_done(struct model *m, struct util_rng *rng)
{
	uint64_t seq = m->shown;

	/* In place: what was shown last is still whole. */
	if (m->held)
		assert_true(util_item(&m->item, origin(m), ring_queue_max(m->out)));
	while (seq > m->first && util_below(rng, 3) == 0)
		seq--;
	if (seq == m->first || m->ends[seq % KEEP] <= m->done)
		return;
	m->done = m->ends[seq % KEEP];
	ring_queue_done(m->in, m->done);
	m->held = m->held && m->done != m->pos;
}

/* Another process takes over one of the ends. */
static void
model_succeed(struct model *m, struct util_rng *rng)
{
	uint64_t from, seq;

	if (util_below(rng, 2) == 0) {
		ring_queue_out_close(m->out);
		open_out(m);
		return;
	}
	ring_queue_in_close(m->in);
	m->held = false;
	if (util_below(rng, 2) == 0) {
		/* At a place that was committed, while done was not yet stored. */
		from = m->pos;
		open_in(m, &from);
		return;
	}
	open_in(m, NULL);
	for (seq = m->put; seq > m->first && m->ends[seq % KEEP] > m->done; seq--)
		continue;
	m->shown = seq;
	m->pos = m->done;
}

static void
run_model(enum ring_queue_side from, uint64_t start, uint64_t seq, uint64_t rounds)
{
	struct util_rng rng = { start + seq + 7 };
	struct model m;

	model_start(&m, from, start, seq);
	for (uint64_t i = 0; i < rounds; i++) {
		for (uint64_t n = util_below(&rng, 30); n > 0; n--)
			if (!model_put(&m) && util_below(&rng, 2) == 0)
				break;
		for (uint64_t n = util_below(&rng, 30); n > 0; n--)
			if (!model_next(&m))
				break;
		if (util_below(&rng, 3) > 0)
			model_done(&m, &rng);
		if (util_below(&rng, 8) == 0)
			model_succeed(&m, &rng);
	}
	/* It has gone round often, and has been full. */
	assert_true(m.tail - start > 20 * SIZE);
	assert_true(m.refused > 10);
	model_end(&m);
}

static void
test_model(void **state)
{
	(void)state;
	run_model(RING_QUEUE_CLIENT, 0, 0, 4000);
	run_model(RING_QUEUE_BROKER, 0, 0, 4000);
	run_model(RING_QUEUE_CLIENT, (UINT64_C(1) << 32) - SIZE, UINT32_MAX - 9, 1000);
	run_model(RING_QUEUE_BROKER, (UINT64_C(1) << 32) - 64, 1, 1000);
	run_model(RING_QUEUE_CLIENT, (UINT64_C(1) << 63) - SIZE,
	    (UINT64_C(1) << 63) - 20, 1000);
}

/* One record of N bytes without a name, of a byte that tells its number. */
static int
put_bytes(struct ring_queue_out *out, size_t n)
{
	struct ring_head head = { .type = RING_DATA };
	char body[SIZE / 8];
	struct iovec piece = { body, n };

	memset(body, (int)ring_queue_tail(out) / 64, sizeof(body));
	return ring_queue_put(out, &head, (struct base_slice){ NULL, 0 }, &piece, 1);
}

/* Each size, at each place of the lane. */
static void
test_sizes_and_places(void **state)
{
	struct ring_queue_item item;
	struct model m;

	(void)state;
	for (uint64_t at = 0; at < SIZE; at += 5 * RING_ALIGN) {
		model_start(&m, RING_QUEUE_CLIENT, 7 * SIZE + at, 5);
		for (size_t n = 0; n <= ring_queue_max(m.out); n++) {
			uint64_t before = ring_queue_tail(m.out);

			assert_int_equal(put_bytes(m.out, n), 0);
			assert_int_equal(ring_queue_next(m.in, &item), 1);
			assert_int_equal(item.head.body_len, n);
			assert_int_equal(item.head.name_len, 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal((unsigned char)item.body[i],
				    before / 64 % 256);
			ring_queue_done(m.in, item.end);
			assert_int_equal(item.end, ring_queue_tail(m.out));
		}
		model_end(&m);
	}
}

/* Full to the last byte, refused until exactly so much is given back. */
static void
test_exact_fit(void **state)
{
	struct ring_queue_item items[64];
	struct model m;

	(void)state;
	for (uint64_t at = 0; at < SIZE; at += RING_ALIGN) {
		model_start(&m, RING_QUEUE_CLIENT, at, 0);
		for (unsigned i = 0; i < SIZE / RING_ALIGN; i++)
			assert_int_equal(put_bytes(m.out, 0), 0);
		assert_int_equal(ring_queue_tail(m.out), at + SIZE);
		assert_int_equal(put_bytes(m.out, 0), -EAGAIN);
		for (unsigned i = 0; i < BASE_COUNT(items); i++)
			assert_int_equal(ring_queue_next(m.in, &items[i]), 1);
		/* Taken is not done. */
		assert_int_equal(put_bytes(m.out, 0), -EAGAIN);
		ring_queue_done(m.in, items[0].end);
		assert_int_equal(put_bytes(m.out, 1), -EAGAIN);
		assert_int_equal(put_bytes(m.out, 0), 0);
		assert_int_equal(put_bytes(m.out, 0), -EAGAIN);
		model_end(&m);
	}
}

/* Padding counts: a record that would fit but for it is refused, and no more. */
static void
test_padding_is_room(void **state)
{
	struct ring_queue_item item;
	struct model m;

	(void)state;
	model_start(&m, RING_QUEUE_CLIENT, SIZE - 64, 0);
	assert_int_equal(put_bytes(m.out, 64), 0); /* 64 of padding, 128 */
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(put_bytes(m.out, 0), 0);
	assert_int_equal(ring_queue_tail(m.out), 2 * SIZE - 128);
	assert_int_equal(put_bytes(m.out, 64), -EAGAIN);
	assert_int_equal(put_bytes(m.out, 0), 0);
	assert_int_equal(put_bytes(m.out, 0), -EAGAIN);
	assert_int_equal(ring_queue_next(m.in, &item), 1);
	assert_int_equal(item.end, SIZE + 128);
	model_end(&m);
}

static void
in_refuses(struct model *m, const uint64_t *from)
{
	struct ring_queue_in *in;
	char err[256] = "", want[64];

	assert_int_equal(ring_queue_in_open(m->seg, 0, taker(m), from, &in, err,
			     sizeof(err)), -1);
	assert_non_null(strstr(err, "request queue of slot 0: impossible positions"));
	snprintf(want, sizeof(want), "start %llu,",
	    (unsigned long long)(from == NULL ? m->done : *from));
	assert_non_null(strstr(err, want));
}

static void
out_refuses(struct model *m)
{
	struct ring_queue_out *out;
	char err[256] = "";

	assert_int_equal(
	    ring_queue_out_open(m->seg, 0, m->from, &out, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "request queue of slot 0: impossible positions"));
}

/* A start outside of what the lane holds is an error, not a guess. */
static void
test_start_outside(void **state)
{
	static const uint64_t bad[] = { 0, SIZE - 64, SIZE + 64, SIZE + 130,
		SIZE + 512 + 64, 3 * SIZE, UINT64_MAX - 63 };
	struct ring_queue_item item;
	struct model m;
	uint64_t from;

	(void)state;
	model_start(&m, RING_QUEUE_CLIENT, SIZE, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(put_bytes(m.out, 64), 0);
	for (unsigned i = 0; i < BASE_COUNT(bad); i++) {
		/* In the middle of a record: the look finds out. */
		if (bad[i] == SIZE + 64) {
			ring_queue_in_close(m.in);
			open_in(&m, &bad[i]);
			assert_int_equal(ring_queue_next(m.in, &item), -EBADMSG);
			assert_int_equal(ring_queue_next(m.in, &item), -EBADMSG);
			assert_true(ring_queue_pending(m.in));
			continue;
		}
		in_refuses(&m, &bad[i]);
	}
	/* Both ends of the range are good. */
	for (from = SIZE; from <= SIZE + 512; from += 512) {
		ring_queue_in_close(m.in);
		m.tail = SIZE + 512;
		open_in(&m, &from);
		assert_int_equal(ring_queue_next(m.in, &item), from == SIZE);
	}
	model_end(&m);
}

/* The words of a side that has gone wild are reported by both ends. */
static void
test_impossible_words(void **state)
{
	static const uint64_t bad[] = { 3, SIZE + 640, UINT64_MAX - 63, 64 };
	struct ring_queue_page *worker, *broker;
	struct ring_queue_item item;
	struct model m;

	(void)state;
	for (unsigned i = 0; i < BASE_COUNT(bad); i++) {
		model_start(&m, RING_QUEUE_CLIENT, 128, 3);
		worker = ring_seg_queue(m.seg, 0, RING_QUEUE_CLIENT);
		broker = ring_seg_queue(m.seg, 0, RING_QUEUE_BROKER);
		atomic_store(&worker->tail, bad[i]);
		assert_true(ring_queue_pending(m.in));
		assert_int_equal(ring_queue_next(m.in, &item), -EBADMSG);
		m.done = 128;
		in_refuses(&m, NULL);
		out_refuses(&m);
		/* A broken handle stays so: what it knew may be lost. */
		atomic_store(&worker->tail, 128);
		assert_int_equal(ring_queue_next(m.in, &item), -EBADMSG);
		/* The producer looks at done only when it needs it. */
		for (unsigned n = 0; n < SIZE / RING_ALIGN; n++)
			assert_int_equal(put_bytes(m.out, 0), 0);
		atomic_store(&broker->done, bad[i] == 64 ? 64 : bad[i] + 2 * SIZE);
		assert_int_equal(put_bytes(m.out, 0), -EBADMSG);
		atomic_store(&broker->done, 256);
		assert_int_equal(put_bytes(m.out, 0), -EBADMSG);
		model_end(&m);
	}
	/* No mark says what number the tail has. */
	model_start(&m, RING_QUEUE_CLIENT, 128, 3);
	worker = ring_seg_queue(m.seg, 0, RING_QUEUE_CLIENT);
	atomic_store(&worker->marks[1].seq, 4);
	out_refuses(&m);
	atomic_store(&worker->marks[1].seq, 5);
	atomic_store(&worker->marks[1].end, 192);
	out_refuses(&m);
	model_end(&m);
}

/* A record that contradicts itself is reported, and never shown. */
static void
test_damaged_record(void **state)
{
	static const struct {
		enum ring_rec_word word;
		uint64_t value;
	} bad[] = {
		{ RING_W_POS, 64 },
		{ RING_W_SHAPE, UINT64_C(1) << 32 | 63 },
		{ RING_W_SHAPE, UINT64_C(1) << 32 | 129 },
		{ RING_W_SHAPE, UINT64_C(1) << 32 | UINT32_MAX },
		{ RING_W_SHAPE, UINT64_C(4) << 32 | 128 },
		{ RING_W_SHAPE, (uint64_t)RING_PAD << 32 | 100 },
		{ RING_W_SEQ, 1 },
		{ RING_W_SEQ, 3 },
		{ RING_W_NAME, 65 },
		{ RING_W_NAME, UINT32_MAX },
	};
	struct ring_queue_item item;
	struct model m;
	ring_word *rec;

	(void)state;
	for (unsigned i = 0; i < BASE_COUNT(bad); i++) {
		model_start(&m, RING_QUEUE_CLIENT, 0, 0);
		assert_int_equal(put_bytes(m.out, 64), 0);
		assert_int_equal(put_bytes(m.out, 64), 0);
		rec = ring_seg_queue_data(m.seg, 0, RING_QUEUE_CLIENT) + 16;
		assert_int_not_equal(atomic_load(&rec[bad[i].word]), bad[i].value);
		atomic_store(&rec[bad[i].word], bad[i].value);
		assert_int_equal(ring_queue_next(m.in, &item), 1);
		assert_int_equal(ring_queue_next(m.in, &item), -EBADMSG);
		/* What was good can still be given back. */
		ring_queue_done(m.in, item.end);
		model_end(&m);
	}
}

static bool
aborts(void (*act)(struct model *m), struct model *m)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		(void)!freopen("/dev/null", "w", stderr);
		act(m);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
act_put(struct model *m)
{
	(void)!put_bytes(m->out, 1);
}

static void
act_put_large(struct model *m)
{
	(void)!put_bytes(m->out, ring_queue_max(m->out) + 1);
}

static void
act_done(struct model *m)
{
	ring_queue_done(m->in, m->done);
}

static void
act_done_unseen(struct model *m)
{
	ring_queue_done(m->in, m->tail + 64);
}

static void
act_open_broker(struct model *m)
{
	struct ring_queue_out *out;
	char err[256];

	(void)!ring_queue_out_open(m->seg, 1, m->from, &out, err, sizeof(err));
}

/* Two owners of an end, and misuse, end the process that does it. */
static void
test_one_owner(void **state)
{
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	struct model m;

	(void)state;
	model_start(&m, RING_QUEUE_CLIENT, 0, 0);
	assert_false(aborts(act_put, &m));
	assert_false(aborts(act_done, &m));
	assert_true(aborts(act_put_large, &m));
	assert_true(aborts(act_done_unseen, &m));
	assert_true(aborts(act_open_broker, &m));
	out = m.out;
	in = m.in;
	/* The child has put one record. */
	m.tail = 128;
	open_out(&m);
	open_in(&m, NULL);
	assert_false(aborts(act_put, &m));
	assert_false(aborts(act_done, &m));
	ring_queue_out_close(m.out);
	ring_queue_in_close(m.in);
	m.out = out;
	m.in = in;
	assert_true(aborts(act_put, &m));
	assert_true(aborts(act_done, &m));
	model_end(&m);
}

/* Signal that a child confined to SLOT dies of when it writes at P; or 0. */
static int
write_confined(struct ring_seg *seg, unsigned slot, void *p)
{
	volatile char *at = p;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		ring_seg_confine(seg, slot);
		*at = *at;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void
test_confine(void **state)
{
	struct ring_seg *seg = util_queue_seg(4, 2, SIZE);

	(void)state;
	assert_int_equal(ring_seg_broker(seg), 1);
	for (unsigned who = 0; who < 4; who++) {
		for (unsigned slot = 0; slot < 4; slot++) {
			if (slot < 2)
				assert_int_equal(write_confined(seg, who,
						     ring_seg_lane(seg, slot)),
				    who == slot ? 0 : SIGSEGV);
			if (slot == 1)
				continue;
			for (unsigned side = 0; side < 2; side++) {
				struct ring_queue_page *page =
				    ring_seg_queue(seg, slot, side);
				ring_word *data = ring_seg_queue_data(seg, slot, side);
				bool own = side == RING_QUEUE_BROKER ? who == 1 :
					who == slot;
				int want = own ? 0 : SIGSEGV;

				assert_int_equal(
				    write_confined(seg, who, &page->tail), want);
				assert_int_equal(
				    write_confined(seg, who, &page->done), want);
				assert_int_equal(write_confined(seg, who, data), want);
				assert_int_equal(write_confined(seg, who,
						     data + SIZE / 8 - 1), want);
			}
		}
	}
	ring_seg_free(seg);
}

/* A request and its reply between two confined processes. */
static void
confined(struct ring_seg *seg, enum ring_queue_side side)
{
	struct ring_queue_item item;
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	char err[256];

	ring_seg_confine(seg, side == RING_QUEUE_CLIENT ? 0 : 1);
	if (ring_queue_out_open(seg, 0, side, &out, err, sizeof(err)) != 0 ||
	    ring_queue_in_open(seg, 0, side, NULL, &in, err, sizeof(err)) != 0)
		_exit(1);
	for (unsigned i = 0; i < 3; i++)
		if (put_bytes(out, 100) != 0)
			_exit(2);
	while (ring_queue_next(in, &item) == 1)
		ring_queue_done(in, item.end);
	_exit(0);
}

static void
test_confined_ends(void **state)
{
	struct ring_seg *seg = util_queue_seg(2, 2, SIZE);
	int status;
	pid_t pid;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			confined(seg, i % 2);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(
	    atomic_load(&ring_seg_queue(seg, 0, RING_QUEUE_CLIENT)->tail), 6 * 192);
	assert_int_equal(
	    atomic_load(&ring_seg_queue(seg, 0, RING_QUEUE_BROKER)->done), 6 * 192);
	assert_int_equal(
	    atomic_load(&ring_seg_queue(seg, 0, RING_QUEUE_CLIENT)->done), 3 * 192);
	ring_seg_free(seg);
}

/* The flag is up before the last look: what comes after it wakes. */
static void
test_sleep(void **state)
{
	struct ring_reader *reader;
	struct ring_queue_item item;
	struct model m;

	(void)state;
	model_start(&m, RING_QUEUE_CLIENT, 0, 0);
	ring_reader_new(m.seg, &reader);
	assert_int_equal(put_bytes(m.out, 1), 0);
	assert_int_equal(ring_wake_mask(m.seg, 0, 2), 0);
	assert_true(ring_wake_arm(m.seg, 1, reader));
	assert_true(ring_queue_pending(m.in));
	assert_true(ring_wake_disarm(m.seg, 1));
	assert_int_equal(ring_queue_next(m.in, &item), 1);
	assert_true(ring_wake_arm(m.seg, 1, reader));
	assert_false(ring_queue_pending(m.in));
	assert_int_equal(put_bytes(m.out, 1), 0);
	assert_int_equal(ring_wake_mask(m.seg, 0, 2), 1);
	assert_false(ring_wake_disarm(m.seg, 1));
	assert_true(ring_queue_pending(m.in));
	ring_reader_free(reader);
	model_end(&m);
}

static void
test_dump(void **state)
{
	struct ring_queue_item item;
	char *text = NULL;
	struct model m;
	size_t size;
	FILE *out;

	(void)state;
	model_start(&m, RING_QUEUE_BROKER, SIZE - 128, 6);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(put_bytes(m.out, 100), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ring_queue_next(m.in, &item), 1);
	out = open_memstream(&text, &size);
	assert_non_null(out);
	ring_dump(m.seg, true, out);
	fclose(out);
	assert_non_null(strstr(text, " queue_size=4096 "));
	assert_non_null(strstr(text,
	    "queue 0 request done=0 tail=0 marks=0:0,0:0 senders=0 takers=0\n"));
	assert_non_null(strstr(text,
	    "queue 0 reply done=3968 tail=4672 marks=4480:8,4672:9"
	    " senders=1 takers=1\n"
	    "  3968 pad len=128\n"
	    "  4096 data len=164 seq=7 "));
	assert_non_null(strstr(text, "  4480 data len=164 seq=9 "));
	free(text);
	model_end(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_sizes_and_places),
		cmocka_unit_test(test_exact_fit),
		cmocka_unit_test(test_padding_is_room),
		cmocka_unit_test(test_start_outside),
		cmocka_unit_test(test_impossible_words),
		cmocka_unit_test(test_damaged_record),
		cmocka_unit_test(test_one_owner),
		cmocka_unit_test(test_confine),
		cmocka_unit_test(test_confined_ends),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_dump),
	};

	base_log_set_level(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
