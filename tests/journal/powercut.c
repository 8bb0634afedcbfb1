/*
 * powercut: see the header.
 *
 * Each step publishes some records, small ones and such as need pages of their own,
 * to "a" (history and spool) and "b" (history), uses a key, and says its number as
 * the position of a queue; every fifth one drops from the spool what is older than
 * three steps, so that pages are used again.
 */
#include "config.h"

#include "powercut.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/journal_tail.h"

#define T0 INT64_C(1700000000000)
#define DAY INT64_C(86400000)
#define BOOT 77

static const struct journal_rules both = {20, DAY, 30 * DAY, true};
static const struct journal_rules memory = {7, DAY, 30 * DAY, false};

void
powercut_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Publications of STEP to each channel, and of all up to it. */
static uint64_t
pubs(unsigned step)
{
	return 1 + mix(step) % 12;
}

static uint64_t
top(unsigned step)
{
	uint64_t n = 0;

	for (unsigned i = 1; i <= step; i++)
		n += pubs(i);
	return n;
}

/* What is gone from the front of the spool after STEP. */
static uint64_t
done(unsigned step)
{
	unsigned last = step - step % 5;

	return last >= 5 ? top(last - 3) : 0;
}

/* Text of OFFSET in CHANNEL: its name, its place, and as much as it has. */
static struct base_slice
text(char channel, uint64_t offset, char buf[16384])
{
	uint64_t h = mix(offset * 2 + (channel == 'a'));
	size_t len = h % 8 == 0 ? 2000 + h / 8 % 12000 : 30 + h / 8 % 300;
	int n = snprintf(buf, 64, "%c %" PRIu64 " ", channel, offset);

	for (size_t i = (size_t)n; i < len; i++)
		buf[i] = (char)('a' + (i + offset) % 26);
	return (struct base_slice){buf, len};
}

struct journal *
powercut_open(const char *dir, bool sync)
{
	struct journal_opts opts = {.dir = dir,
	    .name = "spool",
	    .sync = sync,
	    .spool_limit = 1 << 30,
	    .history_limit = 1 << 30};
	struct journal *j;
	char err[1024];
	bool aside;

	if (journal_open(&opts, &j, &aside, err, sizeof(err)) < 0 || aside)
		powercut_die("open: %s", err);
	return j;
}

static int
publish(struct journal *j, const char *channel, const struct journal_rules *rules,
    struct journal_place *place_r)
{
	struct base_slice name = {channel, 1};
	struct journal_record rec = {.time_ns = 1, .user = {"user", 4}};
	char buf[16384];
	int rc;

	rc = journal_stream(j, name, rules, T0, place_r);
	if (rc == JOURNAL_OK)
		rc = journal_next(j, rules, 16384, place_r);
	if (rc != JOURNAL_OK)
		return rc;
	rec.data = text(channel[0], place_r->offset, buf);
	return journal_put(j, name, rules, place_r, rec.data, &rec, T0);
}

static int
in_step(struct journal *j, unsigned step)
{
	struct journal_figures f;
	struct journal_place place;
	char key[32];
	bool left;
	int rc = JOURNAL_OK;

	snprintf(key, sizeof(key), "key %u", step);
	for (uint64_t i = 0; i < pubs(step) && rc == JOURNAL_OK; i++) {
		rc = publish(j, "a", &both, &place);
		if (rc == JOURNAL_OK)
			rc = publish(j, "b", &memory, &place);
	}
	if (rc == JOURNAL_OK)
		rc = journal_key_put(j, (struct base_slice){"a", 1},
		    (struct base_slice){key, strlen(key)}, &place, T0 + DAY);
	if (rc == JOURNAL_OK)
		rc = journal_position_put(j, BOOT, 0, step);
	if (rc == JOURNAL_OK && step % 5 == 0) {
		journal_figures(j, &f);
		/* It begins behind what the step five before dropped. */
		rc = journal_spool_done(
		    j, f.spool_first + done(step) - done(step - 1) - 1, 1000, &left);
	}
	return rc;
}

int
powercut_step(struct journal *j, unsigned step)
{
	int rc = journal_begin(j);

	if (rc != JOURNAL_OK)
		return rc;
	rc = in_step(j, step);
	if (rc == JOURNAL_OK)
		return journal_commit(j);
	if (rc == JOURNAL_FULL)
		rc = JOURNAL_IO;
	journal_abort(j);
	return rc;
}

unsigned
powercut_last(struct journal *j)
{
	uint64_t pos = 0;

	return journal_position(j, BOOT, 0, &pos) ? (unsigned)pos : 0;
}

/* ---- checks ---- */

static void
check_text(char channel, uint64_t offset, struct base_slice got)
{
	char buf[16384];
	struct base_slice want = text(channel, offset, buf);

	if (got.len != want.len || memcmp(got.p, want.p, want.len) != 0)
		powercut_die("%c: offset %" PRIu64 " has %.*s, %zu bytes", channel,
		    offset, (int)BASE_MIN(got.len, (size_t)20), got.p, got.len);
}

struct next {
	char channel;
	uint64_t offset; /* that is to come */
};

static bool
show_history(void *arg, uint64_t offset, struct base_slice json)
{
	struct next *next = arg;

	if (offset != next->offset++)
		powercut_die("history of %c: offset %" PRIu64, next->channel, offset);
	check_text(next->channel, offset, json);
	return true;
}

static void
check_history(struct journal *j, const char *channel, const struct journal_rules *rules,
    uint64_t n)
{
	struct journal_range range = {.limit = 1000};
	struct next next = {
	    channel[0], n > rules->history_size ? n - rules->history_size + 1 : 1};
	struct journal_extent extent = {.top = 0};
	int rc;

	rc = journal_history(j, (struct base_slice){channel, 1}, rules, &range, T0,
	    &extent, show_history, &next);
	if (rc != JOURNAL_OK && !(rc == JOURNAL_ABSENT && n == 0))
		powercut_die("history of %s: %s", channel, journal_why(j));
	if (extent.top != n || next.offset != n + 1)
		powercut_die("history of %s: %" PRIu64 " and %" PRIu64 " of %" PRIu64,
		    channel, extent.top, next.offset - 1, n);
}

void
powercut_check(struct journal *j, unsigned step)
{
	struct journal_place place;
	struct journal_figures f;
	char key[32];

	check_history(j, "a", &both, top(step));
	check_history(j, "b", &memory, top(step));
	journal_figures(j, &f);
	if (f.spool_records != top(step) - done(step) || f.keys != step)
		powercut_die("%" PRIu64 " in the spool, %" PRIu64
			     " keys, after step %u",
		    f.spool_records, f.keys, step);
	if (journal_begin(j) != JOURNAL_OK)
		powercut_die("begin: %s", journal_why(j));
	for (unsigned i = 1; i <= step; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		if (journal_key_find(j, (struct base_slice){"a", 1},
			(struct base_slice){key, strlen(key)}, T0,
			&place) != JOURNAL_OK ||
		    place.offset != top(i))
			powercut_die("%s is lost", key);
	}
	journal_abort(j);
}

static bool
show_spooled(void *arg, const struct journal_spooled *rec)
{
	struct next *next = arg;

	if (rec->offset != next->offset++)
		powercut_die("spool: offset %" PRIu64 " instead of %" PRIu64,
		    rec->offset, next->offset - 1);
	if (rec->channel.len != 1 || rec->channel.p[0] != 'a')
		powercut_die("spool: another channel");
	check_text('a', rec->offset, rec->rec.data);
	return true;
}

void
powercut_check_spool(const char *dir, unsigned step)
{
	struct next next = {'a', done(step) + 1};
	struct journal_tail *tail;
	bool absent;
	char err[512];

	if (journal_tail_open(dir, &tail, &absent, err, sizeof(err)) < 0)
		powercut_die("spool: %s", err);
	if (journal_tail_read(tail, 0, show_spooled, &next) != JOURNAL_OK)
		powercut_die("spool: %s", journal_tail_why(tail));
	journal_tail_close(tail);
	if (next.offset != top(step) + 1)
		powercut_die(
		    "spool: up to %" PRIu64 " of %" PRIu64, next.offset - 1, top(step));
}
