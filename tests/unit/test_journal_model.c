/*
 * Random operations on a journal and on a model of it in memory, which must agree;
 * transactions are committed or aborted, and the journal is closed and opened again.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal_util.h"
#include "test_rand.h"

#define CHANNELS 10
#define ROWS 12
#define SPOOL_MAX 4000
#define KEYS 20

struct channel {
	bool exists;
	char epoch[JOURNAL_EPOCH_LEN];
	uint64_t top, first, last;
	int64_t touched, published;
};

struct spooled {
	uint64_t number, offset;
	unsigned channel;
};

struct key {
	bool used;
	uint64_t offset;
	int64_t expire;
};

struct model {
	struct channel channels[CHANNELS];
	struct spooled spool[SPOOL_MAX], dead[SPOOL_MAX];
	unsigned n_spool, n_dead;
	struct key keys[CHANNELS][KEYS];
	uint64_t pos[4];
	uint64_t note; /* its length */
};

static struct model model, saved;
static struct journal *j;
static char names[CHANNELS][1024];
static struct journal_rules rules[CHANNELS];
static int64_t now;

static struct base_slice
name(unsigned c)
{
	return util_text(names[c]);
}

static bool
over(const struct channel *ch, const struct journal_rules *r)
{
	return ch->exists && now >= ch->touched + r->meta_ttl_ms + r->meta_ttl_ms / 64;
}

static bool
hidden(const struct channel *ch, const struct journal_rules *r)
{
	return ch->first == 0 || now - ch->published >= r->history_ttl_ms;
}

/* ---- operations ---- */

static void
model_stream(unsigned c, const struct journal_place *place)
{
	struct channel *ch = &model.channels[c];
	bool new = !ch->exists || over(ch, &rules[c]);

	assert_int_equal(place->created, new);
	if (new) {
		memset(ch, 0, sizeof(*ch));
		ch->exists = true;
		memcpy(ch->epoch, place->epoch, sizeof(ch->epoch));
		ch->touched = now;
	} else if (now - ch->touched > rules[c].meta_ttl_ms / 64) {
		ch->touched = now;
	}
	assert_memory_equal(ch->epoch, place->epoch, sizeof(ch->epoch));
	assert_int_equal(ch->top, place->offset);
}

static void
op_stream(unsigned c)
{
	struct journal_place place;

	util_ok(j, journal_stream(j, name(c), &rules[c], now, &place));
	model_stream(c, &place);
}

static void
op_publish(unsigned c)
{
	struct journal_rules r = rules[c];
	struct channel *ch = &model.channels[c];
	struct journal_place place;

	if (test_rand(50) == 0)
		r.history_size = 0;
	if (model.n_spool == SPOOL_MAX)
		r.archive = false;
	op_stream(c);
	util_ok(j, util_publish(j, names[c], &r, now, &place));
	assert_int_equal(place.offset, ++ch->top);
	ch->touched = now;
	if (r.history_size == 0) {
		ch->first = 0;
	} else {
		if (hidden(ch, &r))
			ch->first = ch->top;
		ch->last = ch->top;
		ch->published = now;
		if (ch->last - ch->first + 1 > r.history_size)
			ch->first++;
	}
	if (r.archive)
		model.spool[model.n_spool++] =
		    (struct spooled){.offset = place.offset, .channel = c};
}

static void
op_history(unsigned c)
{
	struct journal_range range = {test_rand(model.channels[c].top + 3),
	    test_rand(ROWS + 2), test_rand(2) == 0, test_rand(2) == 0};
	const struct channel *ch = &model.channels[c];
	char want[1024] = "";
	size_t len = 0;
	uint64_t shown[ROWS + 1];
	unsigned n = 0, from = 0;

	if (!ch->exists || over(ch, &rules[c])) {
		assert_string_equal(
		    util_history(j, names[c], &rules[c], &range, now), "absent");
		return;
	}
	if (rules[c].history_size > 0 && !hidden(ch, &rules[c]))
		for (uint64_t o = ch->first; o <= ch->last; o++)
			if (range.reverse ? range.since == 0 || o < range.since
					  : o > range.since)
				shown[n++] = o;
	if (n > range.limit && (range.reverse || range.newest))
		from = n - (unsigned)range.limit;
	if (n > range.limit)
		n = (unsigned)range.limit;
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(want + len, sizeof(want) - len, "%s%llu",
		    len == 0 ? "" : " ",
		    (unsigned long long)shown[from + (range.reverse ? n - 1 - i : i)]);
	assert_string_equal(util_history(j, names[c], &rules[c], &range, now), want);
}

static void
op_extent(unsigned c)
{
	const struct channel *ch = &model.channels[c];
	struct journal_extent extent;
	int rc = journal_extent(j, name(c), &rules[c], now, &extent);

	if (!ch->exists || over(ch, &rules[c])) {
		assert_int_equal(rc, JOURNAL_ABSENT);
		return;
	}
	util_ok(j, rc);
	assert_memory_equal(extent.epoch, ch->epoch, sizeof(ch->epoch));
	assert_int_equal(extent.top, ch->top);
	assert_int_equal(extent.first,
	    rules[c].history_size == 0 || hidden(ch, &rules[c]) ? 0 : ch->first);
}

static void
op_key(unsigned c)
{
	unsigned k = (unsigned)test_rand(KEYS);
	struct key *key = &model.keys[c][k];
	struct journal_place place = {.offset = model.channels[c].top}, found;
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "key%u", k);
	rc = journal_key_find(j, name(c), util_text(text), now, &found);
	if (key->used && now < key->expire) {
		util_ok(j, rc);
		assert_int_equal(found.offset, key->offset);
		return;
	}
	assert_int_equal(rc, JOURNAL_ABSENT);
	key->used = true;
	key->offset = place.offset;
	key->expire = now + (int64_t)test_rand(3000);
	util_ok(j, journal_key_put(j, name(c), util_text(text), &place, key->expire));
}

/* ---- the spool: numbers are learnt from the figures ---- */

static void
number_spool(void)
{
	struct journal_figures f;

	journal_figures(j, &f);
	assert_int_equal(f.spool_records, model.n_spool);
	assert_int_equal(f.dead_records, model.n_dead);
	for (unsigned i = 0; i < model.n_spool; i++)
		if (model.spool[i].number == 0)
			model.spool[i].number = f.spool_last - (model.n_spool - 1 - i);
	assert_int_equal(f.spool_first, model.n_spool > 0 ? model.spool[0].number : 0);
	if (model.n_spool > 0)
		assert_true(f.spool_last >= model.spool[model.n_spool - 1].number);
	else
		assert_int_equal(f.spool_last, 0);
}

static void
remove_at(struct spooled *list, unsigned *n, unsigned i)
{
	memmove(list + i, list + i + 1, (*n - i - 1) * sizeof(*list));
	(*n)--;
}

static void
op_done(void)
{
	unsigned n, budget = 1 + (unsigned)test_rand(30);
	uint64_t number;
	bool left;

	/* Those of this transaction have no numbers here yet. */
	for (n = 0; n < model.n_spool && model.spool[n].number != 0; n++)
		;
	if (n == 0)
		return;
	n = (unsigned)test_rand(n);
	number = model.spool[n].number;
	util_ok(j, journal_spool_done(j, number, budget, &left));
	assert_int_equal(left, n + 1 > budget);
	if (n + 1 > budget)
		n = budget - 1;
	model.n_spool -= n + 1;
	memmove(model.spool, model.spool + n + 1, model.n_spool * sizeof(*model.spool));
}

static void
op_dead(void)
{
	unsigned i;

	if (model.n_spool == 0 || model.n_dead == SPOOL_MAX)
		return;
	i = (unsigned)test_rand(model.n_spool);
	if (model.spool[i].number == 0)
		return;
	util_ok(
	    j, journal_dead(j, model.spool[i].number, 5, util_text("the reason"), now));
	/* They are sorted by number. */
	model.dead[model.n_dead++] = model.spool[i];
	for (unsigned k = model.n_dead - 1;
	     k > 0 && model.dead[k - 1].number > model.dead[k].number; k--) {
		struct spooled swap = model.dead[k];

		model.dead[k] = model.dead[k - 1];
		model.dead[k - 1] = swap;
	}
	remove_at(model.spool, &model.n_spool, i);
}

static void
op_dead_end(void)
{
	unsigned i;

	if (model.n_dead == 0 || model.n_spool == SPOOL_MAX)
		return;
	i = (unsigned)test_rand(model.n_dead);
	if (test_rand(2) == 0) {
		util_ok(j, journal_dead_drop(j, model.dead[i].number));
	} else {
		util_ok(j, journal_dead_retry(j, i == 0 ? 0 : model.dead[i].number));
		model.spool[model.n_spool] = model.dead[i];
		model.spool[model.n_spool++].number = 0;
	}
	remove_at(model.dead, &model.n_dead, i);
}

static bool
see_dead(void *arg, const struct journal_dead *dead)
{
	unsigned *n = arg;
	const struct spooled *want = &model.dead[(*n)++];

	assert_true(*n <= model.n_dead);
	assert_int_equal(dead->number, want->number);
	assert_int_equal(dead->offset, want->offset);
	assert_int_equal(dead->channel.len, strlen(names[want->channel]));
	return true;
}

static void
op_position(void)
{
	unsigned slot = (unsigned)test_rand(4);

	model.pos[slot] = test_rand64();
	util_ok(j, journal_position_put(j, 9, slot, model.pos[slot]));
	if (test_rand(4) == 0) {
		static char text[20000];

		model.note = test_rand(sizeof(text));
		memset(text, 'n', model.note);
		util_ok(j, journal_note_put(j, (struct base_slice){text, model.note}));
	}
}

/* ---- all ---- */

static void
op_any(void)
{
	unsigned c = (unsigned)test_rand(CHANNELS);

	switch (test_rand(16)) {
	case 0:
		op_stream(c);
		break;
	case 1:
	case 2:
		op_history(c);
		break;
	case 3:
		op_extent(c);
		break;
	case 4:
		op_done();
		break;
	case 5:
		op_dead();
		break;
	case 6:
		op_dead_end();
		break;
	case 7:
		op_key(c);
		break;
	case 8:
		op_position();
		break;
	case 9:
		util_ok(j, journal_sweep(j, now, (unsigned)test_rand(10)));
		break;
	default:
		op_publish(c);
	}
}

/* Outside of transactions. */
static void
check_all(void)
{
	struct base_buf note = {0};
	uint64_t pos;
	unsigned n = 0;
	int rc;

	for (unsigned c = 0; c < CHANNELS; c++) {
		op_extent(c);
		op_history(c);
	}
	for (unsigned slot = 0; slot < 4; slot++) {
		assert_int_equal(
		    journal_position(j, 9, slot, &pos), model.pos[slot] != 0);
		if (model.pos[slot] != 0)
			assert_true(pos == model.pos[slot]);
	}
	rc = journal_note(j, &note);
	assert_int_equal(rc, model.note > 0 ? JOURNAL_OK : JOURNAL_ABSENT);
	assert_int_equal(note.len, model.note);
	base_buf_free(&note);
	util_ok(j, journal_dead_list(j, 0, see_dead, &n));
	assert_int_equal(n, model.n_dead);
}

static void
one_transaction(void)
{
	unsigned n = 1 + (unsigned)test_rand(40);
	bool abort = test_rand(5) == 0;

	saved = model;
	util_ok(j, journal_begin(j));
	for (unsigned i = 0; i < n; i++) {
		op_any();
		now += (int64_t)test_rand(20);
	}
	if (abort) {
		journal_abort(j);
		model = saved;
	} else {
		util_ok(j, journal_commit(j));
	}
	number_spool();
	now += (int64_t)test_rand(test_rand(100) == 0 ? 100000 : 300);
}

static void
run(bool sync, unsigned rounds)
{
	struct journal_figures f;

	now = INT64_C(1700000000000);
	memset(&model, 0, sizeof(model));
	for (unsigned c = 0; c < CHANNELS; c++) {
		snprintf(names[c], sizeof(names[c]), "%0*u", c % 3 == 0 ? 700 : 4, c);
		rules[c] = (struct journal_rules){test_rand(ROWS), 500 << c % 4,
		    c % 2 == 0 ? 1500 : 20000, c % 4 != 3};
	}
	j = util_open(sync);
	for (unsigned i = 0; i < rounds; i++) {
		one_transaction();
		if (i % 10 == 0)
			check_all();
		if (test_rand(40) == 0) {
			journal_close(j);
			j = util_open(sync); /* which compares its counts */
			number_spool();
		}
	}
	check_all();
	util_ok(j, journal_begin(j));
	util_ok(j, journal_sweep(j, now + 1000000, 1000000));
	util_ok(j, journal_commit(j));
	journal_figures(j, &f);
	assert_int_equal(f.streams + f.keys + f.history_records + f.history_bytes, 0);
	journal_close(j);
	journal_close(util_open(sync));
}

static void
test_random(void **state)
{
	const char *seed = getenv("CHATD_TEST_SEED");

	(void)state;
	test_rand_state = seed != NULL ? strtoull(seed, NULL, 0) : 1;
	run(false, 2000);
}

static void
test_random_sync(void **state)
{
	(void)state;
	test_rand_state = 2;
	run(true, 500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, util_setup, util_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_random), TEST(test_random_sync)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
