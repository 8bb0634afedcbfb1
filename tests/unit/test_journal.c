/*
 * The journal: streams, history, spool, dead letters, keys.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal_util.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static const struct journal_rules both = {10, DAY, 30 * DAY, true};
static const struct journal_rules memory = {10, DAY, 30 * DAY, false};
static const struct journal_rules archive_only = {0, DAY, 30 * DAY, true};
static const struct journal_range all = {.limit = 100};

static void
publish_n(struct journal *j, const char *channel, const struct journal_rules *rules,
    unsigned n, int64_t now_ms)
{
	struct journal_place place;

	util_ok(j, journal_begin(j));
	for (unsigned i = 0; i < n; i++)
		util_ok(j, util_publish(j, channel, rules, now_ms, &place));
	util_ok(j, journal_commit(j));
}

/* ---- streams and history ---- */

static void
test_offsets_grow_by_one(void **state)
{
	struct journal *j = util_open(true);
	struct journal_place first, place;

	(void)state;
	util_ok(j, journal_begin(j));
	util_ok(j, journal_stream(j, util_text("a"), &both, T0, &first));
	assert_true(first.created);
	assert_int_equal(first.offset, 0);
	for (uint64_t i = 1; i <= 25; i++) {
		util_ok(j, util_publish(j, "a", &both, T0, &place));
		assert_int_equal(place.offset, i);
		assert_false(place.created);
		assert_memory_equal(place.epoch, first.epoch, JOURNAL_EPOCH_LEN);
	}
	util_ok(j, util_publish(j, "b", &both, T0, &place));
	assert_int_equal(place.offset, 1);
	assert_memory_not_equal(place.epoch, first.epoch, JOURNAL_EPOCH_LEN);
	util_ok(j, journal_commit(j));
	assert_string_equal(
	    util_history(j, "a", &both, &all, T0), "16 17 18 19 20 21 22 23 24 25");
	journal_close(j);
}

static void
test_ranges(void **state)
{
	static const struct {
		struct journal_range range;
		const char *want;
	} cases[] = {
	    {{.limit = 3}, "16 17 18"},
	    {{.limit = 3, .newest = true}, "23 24 25"},
	    {{.limit = 3, .reverse = true}, "25 24 23"},
	    {{.since = 20, .limit = 3}, "21 22 23"},
	    {{.since = 20, .limit = 100}, "21 22 23 24 25"},
	    {{.since = 20, .limit = 2, .newest = true}, "24 25"},
	    {{.since = 20, .limit = 3, .reverse = true}, "19 18 17"},
	    {{.since = 17, .limit = 3, .reverse = true}, "16"},
	    {{.since = 16, .limit = 3, .reverse = true}, ""},
	    {{.since = 3, .limit = 3, .reverse = true}, ""},
	    {{.since = 3, .limit = 2}, "16 17"},
	    {{.since = 25, .limit = 2}, ""},
	    {{.since = 26, .limit = 2}, ""},
	    {{.since = UINT64_MAX, .limit = 2}, ""},
	    {{.since = UINT64_MAX, .limit = 2, .reverse = true}, "25 24"},
	    {{.limit = 0}, ""},
	    {{.limit = 0, .reverse = true}, ""},
	};
	struct journal *j = util_open(true);

	(void)state;
	publish_n(j, "a", &both, 25, T0);
	for (size_t i = 0; i < BASE_COUNT(cases); i++)
		assert_string_equal(
		    util_history(j, "a", &both, &cases[i].range, T0), cases[i].want);
	/* In a transaction, with what it has written. */
	util_ok(j, journal_begin(j));
	util_ok(j, util_publish(j, "a", &both, T0, &(struct journal_place){0}));
	assert_string_equal(
	    util_history(
		j, "a", &both, &(struct journal_range){.limit = 1, .newest = true}, T0),
	    "26");
	journal_abort(j);
	assert_string_equal(
	    util_history(
		j, "a", &both, &(struct journal_range){.limit = 1, .newest = true}, T0),
	    "25");
	journal_close(j);
}

static void
test_a_long_name_is_a_stream_too(void **state)
{
	struct journal *j = util_open(true);
	char names[2][1025];

	(void)state;
	for (int i = 0; i < 2; i++) {
		memset(names[i], 'x', 1024);
		names[i][1024] = 0;
		names[i][1000] = (char)('0' + i);
		publish_n(j, names[i], &both, 2 + (unsigned)i, T0);
	}
	journal_close(j);
	j = util_open(true);
	assert_string_equal(util_history(j, names[0], &both, &all, T0), "1 2");
	assert_string_equal(util_history(j, names[1], &both, &all, T0), "1 2 3");
	names[0][1000] = '2';
	assert_string_equal(util_history(j, names[0], &both, &all, T0), "absent");
	journal_close(j);
}

/* More streams than are held in memory, in one transaction and over many. */
static void
test_many_streams(void **state)
{
	enum { N = 3000 };
	struct journal *j = util_open(false);
	struct journal_figures f;
	struct journal_place place;
	char name[32];

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		util_ok(j, journal_begin(j));
		for (unsigned i = 0; i < N; i++) {
			snprintf(name, sizeof(name), "c%u", i);
			util_ok(j, util_publish(j, name, &memory, T0, &place));
			assert_int_equal(place.offset, round);
		}
		util_ok(j, journal_commit(j));
	}
	journal_close(j);
	j = util_open(false);
	for (unsigned i = 0; i < N; i += 7) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_string_equal(util_history(j, name, &memory, &all, T0), "1 2 3");
	}
	journal_figures(j, &f);
	assert_int_equal(f.streams, N);
	assert_int_equal(f.history_records, 3 * N);
	journal_close(j);
}

static void
test_an_aborted_transaction_leaves_nothing(void **state)
{
	struct journal *j = util_open(true);
	struct journal_figures before, after;
	struct journal_place place;
	bool left;

	(void)state;
	publish_n(j, "a", &both, 3, T0);
	journal_figures(j, &before);
	util_ok(j, journal_begin(j));
	assert_false(journal_dirty(j));
	for (int i = 0; i < 20; i++)
		util_ok(j, util_publish(j, "a", &both, T0, &place));
	util_ok(j, util_publish(j, "b", &both, T0, &place));
	util_ok(j, journal_spool_done(j, UINT64_MAX, 100, &left));
	util_ok(j, journal_note_put(j, util_text("note")));
	assert_true(journal_dirty(j));
	journal_abort(j);
	journal_figures(j, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_string_equal(util_history(j, "a", &both, &all, T0), "1 2 3");
	assert_string_equal(util_history(j, "b", &both, &all, T0), "absent");
	publish_n(j, "a", &both, 1, T0);
	assert_string_equal(util_history(j, "a", &both, &all, T0), "1 2 3 4");
	journal_close(j);
}

static void
test_history_ends_and_the_stream_stays(void **state)
{
	struct journal *j = util_open(true);
	struct journal_extent extent, later;
	struct journal_figures f;

	(void)state;
	publish_n(j, "a", &memory, 4, T0);
	util_ok(j, journal_extent(j, util_text("a"), &memory, T0 + DAY - 1, &extent));
	assert_int_equal(extent.first, 1);
	assert_int_equal(extent.top, 4);
	util_ok(j, journal_extent(j, util_text("a"), &memory, T0 + DAY, &later));
	assert_int_equal(later.first, 0);
	assert_int_equal(later.top, 4);
	assert_memory_equal(later.epoch, extent.epoch, JOURNAL_EPOCH_LEN);
	/* Nobody has swept, and the old ones do not come back. */
	publish_n(j, "a", &memory, 1, T0 + DAY);
	assert_string_equal(util_history(j, "a", &memory, &all, T0 + DAY), "5");
	journal_figures(j, &f);
	assert_int_equal(f.history_records, 5);
	util_ok(j, journal_begin(j));
	util_ok(j, journal_sweep(j, T0 + DAY, 100));
	util_ok(j, journal_commit(j));
	journal_figures(j, &f);
	assert_int_equal(f.history_records, 1);
	assert_string_equal(util_history(j, "a", &memory, &all, T0 + DAY), "5");
	journal_close(j);
}

static void
test_a_stream_ends(void **state)
{
	int64_t end = T0 + 31 * DAY;
	struct journal *j = util_open(true);
	struct journal_extent extent;
	struct journal_place place;

	(void)state;
	publish_n(j, "a", &memory, 4, T0);
	util_ok(j, journal_extent(j, util_text("a"), &memory, T0 + 30 * DAY, &extent));
	assert_int_equal(journal_extent(j, util_text("a"), &memory, end,
			     &(struct journal_extent){0}),
	    JOURNAL_ABSENT);
	util_ok(j, journal_begin(j));
	util_ok(j, journal_stream(j, util_text("a"), &memory, end, &place));
	assert_true(place.created);
	assert_int_equal(place.offset, 0);
	assert_memory_not_equal(place.epoch, extent.epoch, JOURNAL_EPOCH_LEN);
	util_ok(j, journal_commit(j));
	journal_close(j);
}

static void
test_touching_keeps_a_stream(void **state)
{
	struct journal *j = util_open(true);
	struct journal_place place, first;

	(void)state;
	publish_n(j, "a", &memory, 1, T0);
	for (unsigned i = 0; i < 10; i++) {
		util_ok(j, journal_begin(j));
		util_ok(j,
		    journal_stream(
			j, util_text("a"), &memory, T0 + 29 * DAY * i, &place));
		if (i == 0)
			first = place;
		assert_false(place.created);
		assert_memory_equal(place.epoch, first.epoch, JOURNAL_EPOCH_LEN);
		util_ok(j, journal_sweep(j, T0 + 29 * DAY * i, 100));
		util_ok(j, journal_commit(j));
	}
	journal_close(j);
}

static void
test_sweeping_leaves_nothing(void **state)
{
	struct journal *j = util_open(true);
	struct journal_figures f;
	struct journal_place place;
	unsigned rounds = 0;
	char name[700];

	(void)state;
	util_ok(j, journal_begin(j));
	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "%0*u", i % 2 ? 600 : 5, i);
		for (unsigned k = 0; k < 5; k++)
			util_ok(j, util_publish(j, name, &memory, T0 + i, &place));
		util_ok(j,
		    journal_key_put(
			j, util_text(name), util_text("k"), &place, T0 + 1000 + i));
	}
	util_ok(j, journal_commit(j));
	do {
		util_ok(j, journal_begin(j));
		util_ok(j, journal_sweep(j, T0 + 40 * DAY, 7));
		util_ok(j, journal_commit(j));
		journal_figures(j, &f);
		assert_true(++rounds < 1000);
	} while (f.streams + f.keys + f.history_records > 0);
	assert_int_equal(f.history_bytes, 0);
	/* 300 rows, 60 streams and 60 keys, 7 a time. */
	assert_true(rounds >= 60);
	journal_close(j);
}

static void
test_history_turned_off_and_on(void **state)
{
	struct journal *j = util_open(true);
	struct journal_rules few = memory;

	(void)state;
	publish_n(j, "a", &memory, 9, T0);
	few.history_size = 3;
	assert_string_equal(util_history(j, "a", &few, &all, T0), "7 8 9");
	publish_n(j, "a", &few, 1, T0);
	assert_string_equal(util_history(j, "a", &few, &all, T0), "8 9 10");
	publish_n(j, "a", &archive_only, 1, T0);
	assert_string_equal(util_history(j, "a", &archive_only, &all, T0), "");
	assert_string_equal(util_history(j, "a", &memory, &all, T0), "");
	publish_n(j, "a", &memory, 2, T0);
	assert_string_equal(util_history(j, "a", &memory, &all, T0), "12 13");
	journal_close(j);
}

/* ---- spool and dead letters ---- */

static void
test_spool(void **state)
{
	struct journal *j = util_open(true);
	struct journal_figures f;
	uint64_t first;
	bool left;

	(void)state;
	publish_n(j, "a", &both, 10, T0);
	publish_n(j, "m", &memory, 10, T0);
	publish_n(j, "a", &archive_only, 10, T0 + 5);
	journal_figures(j, &f);
	assert_int_equal(f.spool_records, 20);
	assert_int_equal(f.spool_last - f.spool_first, 19);
	assert_int_equal(f.spool_first_ns, T0 * 1000000);
	assert_true(f.spool_bytes > 20 * 60);
	first = f.spool_first;

	util_ok(j, journal_begin(j));
	util_ok(j, journal_spool_done(j, first - 1, 100, &left));
	assert_false(journal_dirty(j));
	util_ok(j, journal_spool_done(j, first + 11, 5, &left));
	assert_true(left);
	util_ok(j, journal_commit(j));
	journal_figures(j, &f);
	assert_int_equal(f.spool_first, first + 5);

	util_ok(j, journal_begin(j));
	util_ok(j, journal_spool_done(j, first + 11, 100, &left));
	assert_false(left);
	util_ok(j, journal_commit(j));
	journal_close(j);
	j = util_open(true);
	journal_figures(j, &f);
	assert_int_equal(f.spool_records, 8);
	assert_int_equal(f.spool_first, first + 12);
	assert_int_equal(f.spool_first_ns, (T0 + 5) * 1000000);

	util_ok(j, journal_begin(j));
	util_ok(j, journal_spool_done(j, UINT64_MAX, 100, &left));
	assert_false(left);
	util_ok(j, journal_commit(j));
	journal_figures(j, &f);
	assert_int_equal(
	    f.spool_records + f.spool_bytes + f.spool_first + f.spool_last, 0);
	publish_n(j, "a", &both, 1, T0);
	journal_figures(j, &f);
	assert_int_equal(f.spool_first, first + 20);
	journal_close(j);
}

struct dead_seen {
	unsigned n;
	uint64_t numbers[8];
	struct journal_dead last;
	char texts[256];
};

static bool
see_dead(void *arg, const struct journal_dead *dead)
{
	struct dead_seen *seen = arg;

	seen->numbers[seen->n++] = dead->number;
	seen->last = *dead;
	snprintf(seen->texts, sizeof(seen->texts), "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s",
	    (int)dead->channel.len, dead->channel.p, (int)dead->reason.len,
	    dead->reason.p, (int)dead->rec.user.len, dead->rec.user.p,
	    (int)dead->rec.client.len, dead->rec.client.p, (int)dead->rec.info.len,
	    dead->rec.info.p, (int)dead->rec.data.len, dead->rec.data.p);
	return seen->n < BASE_COUNT(seen->numbers);
}

static void
test_dead_letters(void **state)
{
	struct dead_seen seen = {0};
	struct journal *j = util_open(true);
	struct journal_figures f, f2;
	uint64_t first;

	(void)state;
	publish_n(j, "a", &both, 5, T0);
	journal_figures(j, &f);
	first = f.spool_first;
	util_ok(j, journal_begin(j));
	assert_int_equal(
	    journal_dead(j, first + 5, 7, util_text("no"), T0), JOURNAL_ABSENT);
	util_ok(j, journal_dead(j, first, 7, util_text("reason"), T0 + 1));
	util_ok(j, journal_dead(j, first + 3, -8, util_text(""), T0 + 2));
	assert_int_equal(
	    journal_dead(j, first, 7, util_text("no"), T0), JOURNAL_ABSENT);
	util_ok(j, journal_commit(j));
	journal_close(j);
	j = util_open(true);
	journal_figures(j, &f2);
	assert_int_equal(f2.spool_records, 3);
	assert_int_equal(f2.spool_first, first + 1);
	assert_int_equal(f2.dead_records, 2);
	assert_true(f2.spool_bytes + f2.dead_bytes > f.spool_bytes);

	util_ok(j, journal_dead_list(j, 0, see_dead, &seen));
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.numbers[0], first);
	assert_int_equal(seen.last.code, -8);
	assert_int_equal(seen.last.offset, 4);
	assert_int_equal(seen.last.time_ms, T0 + 2);
	assert_string_equal(seen.texts, "a||user|client|{}|a 4");
	seen.n = 0;
	util_ok(j, journal_dead_list(j, first, see_dead, &seen));
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.numbers[0], first + 3);

	util_ok(j, journal_begin(j));
	util_ok(j, journal_dead_retry(j, 0));
	assert_int_equal(journal_dead_retry(j, first), JOURNAL_ABSENT);
	util_ok(j, journal_dead_drop(j, first + 3));
	assert_int_equal(journal_dead_drop(j, 0), JOURNAL_ABSENT);
	util_ok(j, journal_commit(j));
	journal_figures(j, &f2);
	assert_int_equal(f2.dead_records + f2.dead_bytes, 0);
	assert_int_equal(f2.spool_records, 4);
	assert_int_equal(f2.spool_last, first + 5);
	journal_close(j);
}

static void
test_limits(void **state)
{
	struct journal *j = util_open(true);
	struct journal_figures f;
	struct journal_place place;
	bool left;

	(void)state;
	publish_n(j, "a", &both, 10, T0);
	journal_figures(j, &f);
	journal_limits(j, f.spool_bytes + 100, UINT64_MAX / 4);
	util_ok(j, journal_begin(j));
	assert_int_equal(util_publish(j, "a", &both, T0, &place), JOURNAL_FULL);
	assert_int_equal(place.offset, 10);
	util_ok(j, util_publish(j, "a", &memory, T0, &place));
	assert_int_equal(place.offset, 11);
	assert_int_equal(util_publish(j, "a", &archive_only, T0, &place), JOURNAL_FULL);
	/* A dead letter takes room until somebody drops it. */
	util_ok(j, journal_dead(j, f.spool_first, 1, util_text("x"), T0));
	assert_int_equal(util_publish(j, "a", &both, T0, &place), JOURNAL_FULL);
	util_ok(j, journal_spool_done(j, f.spool_first + 4, 100, &left));
	util_ok(j, util_publish(j, "a", &both, T0, &place));
	assert_int_equal(place.offset, 12);
	util_ok(j, journal_commit(j));

	journal_figures(j, &f);
	journal_limits(j, UINT64_MAX / 4, f.history_bytes);
	util_ok(j, journal_begin(j));
	assert_int_equal(util_publish(j, "b", &both, T0, &place), JOURNAL_FULL);
	util_ok(j, util_publish(j, "b", &archive_only, T0, &place));
	util_ok(j, journal_commit(j));
	assert_string_equal(
	    util_history(j, "a", &both, &all, T0), "3 4 5 6 7 8 9 10 11 12");
	journal_close(j);
}

/* At the limit, a stream that drops as much as it gets goes on. */
static void
test_a_full_history_turns_over(void **state)
{
	struct journal_rules one = {1, DAY, 30 * DAY, false};
	struct journal *j = util_open(true);
	struct base_slice name = util_text("a"), text = util_text("0123456789");
	struct journal_record rec = {.data = text};
	struct journal_figures f;
	struct journal_place place;

	(void)state;
	journal_limits(j, UINT64_MAX, 40);
	for (unsigned i = 1; i <= 5; i++) {
		util_ok(j, journal_begin(j));
		util_ok(j, journal_stream(j, name, &one, T0, &place));
		util_ok(j, journal_next(j, &one, 26, &place));
		util_ok(j, journal_put(j, name, &one, &place, text, &rec, T0));
		util_ok(j, journal_commit(j));
		journal_figures(j, &f);
		assert_int_equal(f.history_bytes, 26);
	}
	journal_close(j);
}

/* ---- keys, positions, note ---- */

static void
test_keys(void **state)
{
	struct base_slice a = util_text("a"), k = util_text("k");
	struct journal *j = util_open(true);
	struct journal_place place, found;
	struct journal_figures f;

	(void)state;
	util_ok(j, journal_begin(j));
	assert_int_equal(journal_key_find(j, a, k, T0, &found), JOURNAL_ABSENT);
	util_ok(j, util_publish(j, "a", &both, T0, &place));
	util_ok(j, journal_key_put(j, a, k, &place, T0 + 100));
	util_ok(j, journal_commit(j));
	journal_close(j);
	j = util_open(true);
	util_ok(j, journal_begin(j));
	util_ok(j, journal_key_find(j, a, k, T0 + 99, &found));
	assert_int_equal(found.offset, place.offset);
	assert_int_equal(found.stream, place.stream);
	assert_memory_equal(found.epoch, place.epoch, JOURNAL_EPOCH_LEN);
	assert_int_equal(journal_key_find(j, a, k, T0 + 100, &found), JOURNAL_ABSENT);
	/* Neither the other's key nor another cut of the two texts. */
	assert_int_equal(
	    journal_key_find(j, util_text("b"), k, T0, &found), JOURNAL_ABSENT);
	assert_int_equal(
	    journal_key_find(j, util_text("ak"), util_text(""), T0, &found),
	    JOURNAL_ABSENT);
	/* Again, after it was over but before anybody swept. */
	place.offset = 77;
	util_ok(j, journal_key_put(j, a, k, &place, T0 + 200));
	util_ok(j, journal_sweep(j, T0 + 150, 100));
	util_ok(j, journal_key_find(j, a, k, T0 + 150, &found));
	assert_int_equal(found.offset, 77);
	util_ok(j, journal_sweep(j, T0 + 200, 100));
	assert_int_equal(journal_key_find(j, a, k, T0 + 150, &found), JOURNAL_ABSENT);
	util_ok(j, journal_commit(j));
	journal_figures(j, &f);
	assert_int_equal(f.keys, 0);
	journal_close(j);
}

static void
test_positions_and_note(void **state)
{
	static char big[100000];
	struct base_buf note = {0};
	struct journal *j = util_open(true);
	uint64_t pos;

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)('a' + i % 26);
	assert_int_equal(journal_note(j, &note), JOURNAL_ABSENT);
	assert_false(journal_position(j, 1, 0, &pos));
	util_ok(j, journal_begin(j));
	for (unsigned slot = 0; slot < JOURNAL_SLOTS; slot++)
		util_ok(j, journal_position_put(j, 1, slot, slot * 100));
	util_ok(j, journal_note_put(j, (struct base_slice){big, sizeof(big)}));
	util_ok(j, journal_commit(j));
	journal_close(j);
	j = util_open(true);
	assert_true(journal_position(j, 1, 63, &pos));
	assert_int_equal(pos, 6300);
	assert_false(journal_position(j, 2, 63, &pos));
	util_ok(j, journal_note(j, &note));
	assert_int_equal(note.len, sizeof(big));
	assert_memory_equal(note.p, big, sizeof(big));
	util_ok(j, journal_begin(j));
	util_ok(j, journal_note_put(j, util_text("short")));
	util_ok(j, journal_commit(j));
	note.len = 0;
	util_ok(j, journal_note(j, &note));
	assert_int_equal(note.len, 5);
	assert_memory_equal(note.p, "short", 5);
	util_ok(j, journal_begin(j));
	util_ok(j, journal_note_put(j, util_text("")));
	util_ok(j, journal_commit(j));
	assert_int_equal(journal_note(j, &note), JOURNAL_ABSENT);
	base_buf_free(&note);
	journal_close(j);
}

/* ---- growth ---- */

static void
test_the_map_grows(void **state)
{
	struct journal *j = util_open_small(true, 256 << 10);
	unsigned committed = 0, retries = 0;
	struct journal_figures f;
	struct journal_place place;

	(void)state;
	while (committed < 300) {
		int rc;

		util_ok(j, journal_begin(j));
		rc = JOURNAL_OK;
		for (unsigned i = 0; i < 100 && rc == JOURNAL_OK; i++)
			rc = util_publish(j, "a", &both, T0, &place);
		if (rc == JOURNAL_OK)
			rc = journal_commit(j);
		else
			journal_abort(j);
		if (rc == JOURNAL_RETRY) {
			retries++;
			continue;
		}
		util_ok(j, rc);
		committed++;
	}
	assert_in_range(retries, 3, 20);
	journal_figures(j, &f);
	assert_true(f.map_bytes >= 1 << 20);
	assert_int_equal(f.spool_records, 30000);
	assert_string_equal(
	    util_history(j, "a", &both,
		&(struct journal_range){.limit = 2, .reverse = true}, T0),
	    "30000 29999");
	journal_close(j);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, util_setup, util_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_offsets_grow_by_one),
	    TEST(test_ranges),
	    TEST(test_a_long_name_is_a_stream_too),
	    TEST(test_many_streams),
	    TEST(test_an_aborted_transaction_leaves_nothing),
	    TEST(test_history_ends_and_the_stream_stays),
	    TEST(test_a_stream_ends),
	    TEST(test_touching_keeps_a_stream),
	    TEST(test_sweeping_leaves_nothing),
	    TEST(test_history_turned_off_and_on),
	    TEST(test_spool),
	    TEST(test_dead_letters),
	    TEST(test_limits),
	    TEST(test_a_full_history_turns_over),
	    TEST(test_keys),
	    TEST(test_positions_and_note),
	    TEST(test_the_map_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
