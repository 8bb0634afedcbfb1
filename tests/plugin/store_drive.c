/*
 * store_drive: a store that does what is said on standard input, a line each, and
 * answers with a line of JSON.  For tests in other languages, which do to the database
 * what a store must live with.
 *
 *	store_drive NAME OPTIONS
 *
 *	migrate [check]		start		stop MS		state	stats	ping
 *	time MS			batches and reads may take so long
 *	set FIELD HEX		bytes of the first record of the next batch; - is empty
 *	write CHANNEL FIRST N	a batch with the offsets FIRST and on
 *	send CHANNEL FIRST N	the same without waiting: gives a token
 *	wait TOKEN
 *	read CHANNEL SINCE LIMIT BYTES REVERSE
 *	turn MS			turns the loop
 *	fail N			the N-th call from now on fails (fail_calls.c); 0: none
 */
#include "config.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"
#include "base/base_time.h"
#include "proto/json_wr.h"
#include "store_run.h"

static struct store_run run;
static struct base_buf out, refused;

static struct {
	char field[16];
	char *bytes;
	size_t len;
} set[8];
static size_t n_set;

/* ---- answers ---- */

static void
add_text(const char *name, const char *text)
{
	base_buf_printf(&out, ",\"%s\":", name);
	json_wr_string(&out, (struct base_slice){text, strlen(text)});
}

static void
on_refusal(size_t i, const struct chatd_result *result)
{
	base_buf_printf(
	    &refused, "%s[%zu,%d,", refused.len > 0 ? "," : "", i, (int)result->code);
	json_wr_string(&refused, (struct base_slice){result->why, strlen(result->why)});
	base_buf_byte(&refused, ']');
}

static void
begin(int code)
{
	out.len = 0;
	base_buf_printf(&out, "{\"code\":%d", code);
}

static void
end(void)
{
	base_buf_str(&out, "}\n");
	fwrite(out.p, 1, out.len, stdout);
	fflush(stdout);
}

static void
say(int code, const char *why)
{
	begin(code);
	add_text("why", why);
	end();
}

static void
say_written(uint64_t token, int code, int64_t since)
{
	begin(code);
	base_buf_printf(&out, ",\"ms\":%lld,\"token\":%llu,\"refused\":[%.*s]",
	    (long long)(base_time_ms() - since), (unsigned long long)token,
	    (int)refused.len, refused.p);
	add_text("why", code != 0 ? run.why : "");
	end();
}

/* ---- batches ---- */

static void
set_field(const char *field, const char *hex)
{
	size_t i, n = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
	char digits[3] = "";

	if (n_set == BASE_COUNT(set))
		abort();
	snprintf(set[n_set].field, sizeof(set[n_set].field), "%s", field);
	set[n_set].bytes = base_malloc(n + 1);
	set[n_set].len = n;
	for (i = 0; i < n; i++) {
		memcpy(digits, hex + 2 * i, 2);
		set[n_set].bytes[i] = (char)strtoul(digits, NULL, 16);
	}
	n_set++;
	say(0, "");
}

static void
apply_sets(struct chatd_record *rec)
{
	const struct {
		const char *name;
		struct chatd_bytes *bytes;
	} fields[] = {{"channel", &rec->channel}, {"epoch", &rec->epoch},
	    {"user", &rec->user}, {"client", &rec->client}, {"info", &rec->info},
	    {"data", &rec->data}};
	size_t i, f;

	for (i = 0; i < n_set; i++) {
		if (strcmp(set[i].field, "id") == 0)
			memcpy(rec->id, set[i].bytes, sizeof(rec->id));
		for (f = 0; f < BASE_COUNT(fields); f++)
			if (strcmp(set[i].field, fields[f].name) == 0)
				*fields[f].bytes =
				    (struct chatd_bytes){set[i].bytes, set[i].len};
	}
}

static void
forget_sets(void)
{
	while (n_set > 0)
		free(set[--n_set].bytes);
}

static int
send_batch(const char *channel, uint64_t first, size_t n, uint64_t *token_r)
{
	struct run_record *recs = base_realloc(NULL, n, sizeof(*recs));
	size_t i;
	int code;

	for (i = 0; i < n; i++)
		run_make(&recs[i], channel, first + i);
	apply_sets(&recs[0].rec);
	refused.len = 0;
	code = run_send(&run, recs, n, token_r);
	run_drop(recs, n);
	free(recs);
	forget_sets();
	return code;
}

static void
wait_for(uint64_t token, int64_t since)
{
	if (!run_until(&run, &run.answers[token], 60000))
		say(-1000, "no answer");
	else
		say_written(token, run.codes[token], since);
}

static void
batch(char *const *words, bool wait)
{
	int64_t since = base_time_ms();
	uint64_t token;
	int code = send_batch(words[1], strtoull(words[2], NULL, 10),
	    strtoull(words[3], NULL, 10), &token);

	if (code == 0 && wait)
		wait_for(token, since);
	else
		say_written(token, code, since);
}

/* ---- the rest ---- */

static void
read_rows(char *const *words)
{
	struct chatd_history ask = {.since = strtoull(words[2], NULL, 10),
	    .limit = strtoull(words[3], NULL, 10),
	    .max_bytes = strtoull(words[4], NULL, 10),
	    .reverse = words[5][0] == '1'};
	int64_t since = base_time_ms();
	int code = run_history(&run, words[1], "abcdefgh", &ask);
	size_t i;

	begin(code);
	base_buf_printf(
	    &out, ",\"ms\":%lld,\"offsets\":[", (long long)(base_time_ms() - since));
	for (i = 0; i < run.n_rows; i++)
		base_buf_printf(&out, "%s%llu", i > 0 ? "," : "",
		    (unsigned long long)run.rows[i].rec.offset);
	base_buf_byte(&out, ']');
	add_text("why", code != 0 ? run.why : "");
	end();
}

static void
on_number(struct chatd_sink *sink, const char *name, uint64_t value)
{
	(void)sink;
	base_buf_printf(&out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void
stats(void)
{
	struct chatd_sink sink = {sizeof(sink), on_number, on_number};

	begin(0);
	plug_stats(run.plug, &sink);
	end();
}

static void
start(void)
{
	struct chatd_error err;
	struct base_buf why = {0};
	int code = CHATD_UNAVAIL;

	run.stopped = 0;
	if (run.plug != NULL || run_init(&run, &why)) {
		code = plug_start(run.plug, &err);
		base_buf_str(&why, err.text);
	}
	base_buf_byte(&why, 0);
	say(code, why.p);
	base_buf_free(&why);
}

static void
stop(int64_t ms)
{
	int64_t since = base_time_ms();
	bool good;

	plug_stop(run.plug, since + ms);
	good = run_until(&run, &run.stopped, ms + 1000);
	plug_free(run.plug);
	run.plug = NULL;
	begin(good ? 0 : -1000);
	base_buf_printf(&out, ",\"ms\":%lld", (long long)(base_time_ms() - since));
	end();
}

static void
migrate(bool check)
{
	struct base_buf why = {0};
	struct chatd_error err = {0};

	if (run.plug == NULL && !run_init(&run, &why))
		abort();
	base_buf_free(&why);
	say(plug_migrate(run.plug, check ? CHATD_MIGRATE_CHECK : 0, &err), err.text);
}

static void
turn(int64_t ms)
{
	int never = 0;

	run_until(&run, &never, ms);
}

static void
show_state(int64_t ms)
{
	turn(ms);
	say((int)run.state, "");
}

/* Tells how many calls there were since the last time. */
static void
fail_call(unsigned long n)
{
	void (*arm)(unsigned long) =
	    (void (*)(unsigned long))(uintptr_t)dlsym(RTLD_DEFAULT, "fail_calls_arm");
	unsigned long (*seen)(void) =
	    (unsigned long (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, "fail_calls_seen");

	if (arm == NULL || seen == NULL) {
		say(-1, "fail_calls is not loaded");
		return;
	}
	begin(0);
	base_buf_printf(&out, ",\"calls\":%lu", seen());
	arm(n);
	end();
}

static void
set_time(int64_t ms)
{
	run.time = ms;
	say(0, "");
}

static void
obey(char *const *words)
{
	const char *word = words[0];

	turn(1);
	if (strcmp(word, "migrate") == 0)
		migrate(words[1][0] != 0);
	else if (strcmp(word, "start") == 0)
		start();
	else if (strcmp(word, "stop") == 0)
		stop(strtoll(words[1], NULL, 10));
	else if (strcmp(word, "stats") == 0)
		stats();
	else if (strcmp(word, "ping") == 0)
		say(run_ping(&run), run.why);
	else if (strcmp(word, "set") == 0)
		set_field(words[1], words[2]);
	else if (strcmp(word, "write") == 0 || strcmp(word, "send") == 0)
		batch(words, word[0] == 'w');
	else if (strcmp(word, "wait") == 0)
		wait_for(strtoull(words[1], NULL, 10), base_time_ms());
	else if (strcmp(word, "read") == 0)
		read_rows(words);
	else if (strcmp(word, "time") == 0)
		set_time(strtoll(words[1], NULL, 10));
	else if (strcmp(word, "fail") == 0)
		fail_call(strtoul(words[1], NULL, 10));
	else if (strcmp(word, "turn") == 0)
		show_state(strtoll(words[1], NULL, 10));
	else if (strcmp(word, "state") == 0)
		say((int)run.state,
		    run.wrong.len > 0 ? "it did what is never right" : "");
	else
		say(-1, "no such command");
}

int
main(int argc, char **argv)
{
	struct base_buf why = {0};
	char *line = NULL, *words[8], *rest, none[] = "";
	size_t size = 0, i;

	if (argc != 3) {
		fprintf(stderr, "usage: %s NAME OPTIONS\n", argv[0]);
		return 2;
	}
	if (!run_open(&run, argv[1], argv[2], &why)) {
		fprintf(stderr, "%.*s\n", (int)why.len, why.p);
		base_buf_free(&why);
		return 2;
	}
	run.refusal = on_refusal;
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = 0;
		rest = line;
		for (i = 0; i < BASE_COUNT(words); i++)
			words[i] = rest == NULL ? none : strsep(&rest, " ");
		obey(words);
	}
	free(line);
	forget_sets();
	base_buf_free(&out);
	base_buf_free(&refused);
	run_close(&run);
	return 0;
}
