/*
 * conform: what every store must do, whatever it writes to.
 *
 *	conform NAME [OPTIONS]
 *
 * NAME.so is taken from CHATD_PLUGIN_DIR, OPTIONS are what stands in its section of
 * chat.conf.  The store should be empty.  Prints a line for each check; exit code 1
 * if one failed.
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_defs.h"
#include "store_run.h"

#define BATCH 100

static struct store_run run;
static int failures;

static void
report(bool good, const char *what)
{
	printf("%s: %s\n", good ? "ok" : "NOT OK", what);
	failures += !good;
}

static bool
has(uint64_t cap)
{
	return (run.mod->table.caps & cap) != 0;
}

/* Whether the last history is WANT[at], WANT[at + step], ... */
static bool
rows_are(const struct run_record *want, size_t n, size_t at, long step)
{
	size_t i;

	if (run.n_rows != n)
		return false;
	for (i = 0; i < n; i++)
		if (!run_same(&run.rows[i], &want[(long)at + (long)i * step]))
			return false;
	return true;
}

static bool
read_all(const char *channel, const struct run_record *want, size_t n)
{
	struct chatd_history ask = {.limit = RUN_ROWS};

	if (!has(CHATD_STORE_HISTORY))
		return true;
	return run_history(&run, channel, "abcdefgh", &ask) == 0 &&
	    rows_are(want, n, 0, 1);
}

/* Offsets FIRST and on. */
static void
make(struct run_record *recs, size_t n, const char *channel, uint64_t first)
{
	size_t i;

	for (i = 0; i < n; i++)
		run_make(&recs[i], channel, first + i);
}

/* ---- writing --------------------------------------------------------------------- */

static void
check_write(void)
{
	struct run_record recs[BATCH];
	uint64_t token;

	make(recs, BATCH, "conform:write", 1);
	report(run_write(&run, recs, BATCH, &token) == 0 && run.refused[token] == 0,
	    "a batch is written");
	report(read_all("conform:write", recs, BATCH),
	    "all of it can be read, each field as it was written");
	run_drop(recs, BATCH);
}

static void
check_repeat(void)
{
	struct run_record recs[BATCH + 1];
	uint64_t token;

	make(recs, BATCH, "conform:repeat", 1);
	report(run_write(&run, recs, BATCH / 2, NULL) == 0 &&
		run_write(&run, recs, BATCH, &token) == 0 && run.refused[token] == 0 &&
		run_write(&run, recs, BATCH, &token) == 0 && run.refused[token] == 0,
	    "a batch may come again, in part or whole");
	report(read_all("conform:repeat", recs, BATCH), "that makes no second row");
	run_drop(recs, BATCH);
	make(recs, 2, "conform:twice", 1);
	recs[2] = recs[0];
	report(run_write(&run, recs, 3, NULL) == 0 &&
		read_all("conform:twice", recs, 2),
	    "one id twice in a batch makes one row");
	run_drop(recs, 2);
}

/* A row that the store refuses must not keep others from being written. */
static void
check_refused(void)
{
	uint64_t max = run.mod->table.max_payload;
	struct run_record recs[3];
	size_t len = max > 0 && max < 1 << 24 ? (size_t)max + 1 : (1 << 20) + 1;
	char *big = calloc(1, len);
	uint64_t token;
	int code;

	if (big == NULL)
		abort();
	memset(big, 'x', len);
	make(recs, 3, "conform:refused", 1);
	run_data(&recs[1], big, len);
	free(big);
	code = run_write(&run, recs, 3, &token);
	report(code == 0, "a batch with a very large row is answered");
	if (run.refused[token] != 0) {
		report(run.refused_at[token] == 1, "only that row is refused");
		run_drop(&recs[1], 1);
		recs[1] = recs[2];
		report(
		    read_all("conform:refused", recs, 2), "the others were written");
		run_drop(recs, 2);
		return;
	}
	report(max == 0, "what is over max_payload is refused");
	report(read_all("conform:refused", recs, 3), "all rows were written");
	run_drop(recs, 3);
}

/* Data is not text: all bytes may be in it. */
static void
check_bytes(void)
{
	struct run_record recs[2];
	char all[256];
	uint64_t token;
	size_t i;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	make(recs, 2, "conform:bytes", 1);
	recs[0].rec.flags = CHATD_REC_BINARY;
	run_data(&recs[0], all, sizeof(all));
	run_data(&recs[1], "", 0);
	report(run_write(&run, recs, 2, &token) == 0 && run.refused[token] == 0,
	    "binary and empty data are written");
	report(read_all("conform:bytes", recs, 2), "they are kept as they are");
	run_drop(recs, 2);
}

/* ---- reading --------------------------------------------------------------------- */

struct question {
	struct chatd_history ask;
	size_t n, at; /* rows, and the first of them */
	long step;
	const char *what;
};

static const struct question questions[] = {
    {{.limit = 3}, 3, 0, 1, "limit"},
    {{.limit = 3, .since = 10}, 3, 10, 1, "the rows after since"},
    {{.limit = 50, .since = 98}, 2, 98, 1, "less than limit at the end"},
    {{.limit = 50, .since = 100}, 0, 0, 1, "nothing after the last"},
    {{.limit = 3, .reverse = true}, 3, 99, -1, "the newest, backwards"},
    {{.limit = 3, .since = 10, .reverse = true}, 3, 8, -1, "those before since"},
    {{.limit = 9, .since = 1, .reverse = true}, 0, 0, 1, "nothing before the first"},
    {{.limit = 9, .max_bytes = 1}, 1, 0, 1, "one row at least with max_bytes"},
    {{.limit = 9, .max_bytes = 60}, 2, 0, 1, "no more rows than max_bytes has room"},
};

static void
check_history(void)
{
	struct chatd_history ask = {.limit = 10};
	const struct question *q;
	struct run_record recs[BATCH];
	size_t i;

	if (!has(CHATD_STORE_HISTORY)) {
		report(run_history(&run, "conform:none", "abcdefgh", &ask) ==
			CHATD_NOTSUP,
		    "history is not supported");
		return;
	}
	make(recs, BATCH, "conform:history", 1);
	/* The later half first: rows are in the order of offsets, not of writing. */
	report(run_write(&run, recs + 50, 50, NULL) == 0 &&
		run_write(&run, recs, 50, NULL) == 0,
	    "two batches of one channel");
	for (i = 0; i < BASE_COUNT(questions); i++) {
		q = &questions[i];
		report(run_history(&run, "conform:history", "abcdefgh", &q->ask) == 0 &&
			rows_are(recs, q->n, q->at, q->step),
		    q->what);
	}
	report(run_history(&run, "conform:none", "abcdefgh", &ask) == 0 &&
		run.n_rows == 0,
	    "a channel that nobody wrote to has no rows");
	report(run_history(&run, "conform:history", "other", &ask) == 0 &&
		run.n_rows == 0,
	    "nor has another epoch");
	report(run_history(&run, "conform:hist%", "abcdefgh", &ask) == 0 &&
		run.n_rows == 0,
	    "nor a name that is a pattern elsewhere");
	run_drop(recs, BATCH);
}

/* ---- life ------------------------------------------------------------------------ */

/* Sends 20 batches of 10; tells which were taken. */
static void
send_many(struct run_record *recs, uint64_t *tokens, bool *taken)
{
	int i, code;

	for (i = 0; i < 20; i++) {
		code = run_send(&run, recs + i * 10, 10, &tokens[i]);
		if (code == CHATD_AGAIN) {
			run.ready = 0;
			report(run_until(&run, &run.ready, 10000),
			    "ready comes after CHATD_AGAIN");
			code = run_send(&run, recs + i * 10, 10, &tokens[i]);
		}
		taken[i] = code == 0;
	}
}

static void
check_stop(void)
{
	struct run_record recs[200];
	uint64_t tokens[20];
	bool taken[20], good = true;
	struct base_buf why = {0};
	int i;

	make(recs, 200, "conform:stop", 1);
	send_many(recs, tokens, taken);
	report(run_stop(&run, &why), "stops with batches in flight");
	for (i = 0; i < 20; i++)
		good = good && (!taken[i] || run.codes[tokens[i]] == 0 ||
		    chatd_err_class(run.codes[tokens[i]]) == CHATD_CLASS_RETRY);
	report(good, "each was written, or is to be tried again");
	report(run_start(&run, &why), "starts again");
	for (i = 0; i < 20; i++)
		if (!taken[i] || run.codes[tokens[i]] != 0)
			good = good && run_write(&run, recs + i * 10, 10, NULL) == 0;
	report(good && read_all("conform:stop", recs, 200), "every row is there once");
	base_buf_free(&why);
	run_drop(recs, 200);
}

static void
check_reconf(void)
{
	struct chatd_error err;
	int code = plug_reconf(run.plug, run.conf, &err);

	report(code == 0 || code == CHATD_NOTSUP, "takes its own options again");
}

struct numbers {
	struct chatd_sink sink;
	size_t n, bad;
};

static void
on_number(struct chatd_sink *sink, const char *name, uint64_t value BASE_UNUSED)
{
	struct numbers *numbers = BASE_CONTAINER(sink, struct numbers, sink);
	const char *p;

	numbers->n++;
	numbers->bad += name[0] == 0;
	for (p = name; *p != 0; p++)
		numbers->bad += !islower((unsigned char)*p) &&
		    !isdigit((unsigned char)*p) && *p != '_';
}

static void
check_stats(void)
{
	struct numbers numbers = {
	    .sink = {sizeof(numbers.sink), on_number, on_number}};

	plug_stats(run.plug, &numbers.sink);
	report(numbers.bad == 0, "its numbers have names in lower case");
	plug_tick(run.plug, 0);
}

static void
check_ping(void)
{
	int code = run_ping(&run);

	report(code == 0 || code == CHATD_NOTSUP, "answers a ping");
}

int
main(int argc, char **argv)
{
	struct base_buf why = {0};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s NAME [OPTIONS]\n", argv[0]);
		return 2;
	}
	if (!run_open(&run, argv[1], argc > 2 ? argv[2] : "", &why)) {
		fprintf(stderr, "%.*s\n", (int)why.len, why.p);
		base_buf_free(&why);
		return 2;
	}
	report(run_start(&run, &why), "starts");
	if (failures == 0) {
		check_ping();
		check_write();
		check_repeat();
		check_refused();
		check_bytes();
		check_history();
		check_reconf();
		check_stats();
		check_stop();
		report(run_stop(&run, &why), "stops");
	}
	report(run.wrong.len == 0, "does nothing that is never right");
	printf("%.*s%.*s%s", (int)run.wrong.len, run.wrong.p, (int)why.len, why.p,
	    why.len > 0 ? "\n" : "");
	base_buf_free(&why);
	run_close(&run);
	return failures > 0;
}
