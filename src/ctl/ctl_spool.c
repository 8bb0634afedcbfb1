/*
 * ctl_spool: what waits for the database, and what it has refused.
 *
 * There are two journals, each with a spool and with numbers of its own: of namespaces
 * whose publications are on the disk before they are acknowledged, and of those where
 * they are in memory.  Numbers of the latter are shown with an m before them.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl_client.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_units.h"
#include "proto/json_wr.h"

enum ctl_exit
ctl_spool(const struct ctl_args *args)
{
	struct base_buf body = {0};

	return ctl_ask_show(args, "/admin/spool", &body, ctl_units_spool);
}

/* ---- the list ---- */

struct letters {
	bool memory;
	uint64_t last; /* the highest number that came */
	size_t came; /* in the last answer */
	struct base_buf json; /* elements of an array */
	struct ctl_table table;
};

static void
add_time(uint64_t ms, struct base_buf *out)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char text[32] = "";

	if (gmtime_r(&s, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	base_buf_str(out, text);
}

static void
add_letter(struct letters *l, struct base_slice one)
{
	struct ctl_table *t = &l->table;
	struct base_buf *cell = ctl_table_cell(t);

	l->last = ctl_json_uint(one, "number");
	l->came++;
	base_buf_printf(cell, "%s%" PRIu64, l->memory ? "m" : "", l->last);
	add_time(ctl_json_uint(one, "time"), ctl_table_cell(t));
	ctl_json_text(one, "channel", ctl_table_cell(t));
	ctl_json_text(one, "offset", ctl_table_cell(t));
	ctl_json_text(one, "reason", ctl_table_cell(t));
	json_wr_next(&l->json);
	base_buf_add(&l->json, one.p, one.len);
}

/* The next page of one journal's. */
static enum ctl_exit
read_letters(const struct ctl_args *args, struct letters *l)
{
	struct ctl_answer answer;
	struct base_buf body = {0};
	struct base_slice list, one;
	struct ctl_json_walk w;
	enum ctl_exit code;

	base_buf_printf(&body, "\"after\":%" PRIu64 ",\"memory\":%s", l->last,
	    l->memory ? "true" : "false");
	code = ctl_ask(args, "/admin/dead", &body, &answer);
	base_buf_free(&body);
	l->came = 0;
	if (code == CTL_OK && ctl_json_get(answer.result, "dead", &list)) {
		ctl_json_walk(&w, list);
		while (ctl_json_element(&w, &one))
			add_letter(l, one);
	} else if (args->json != NULL && answer.text.len > 0) {
		printf("%.*s\n", (int)answer.text.len, answer.text.p);
	}
	base_buf_free(&answer.text);
	return code;
}

enum ctl_exit
ctl_spool_dead(const struct ctl_args *args)
{
	static const char *const heads[] = {
	    ">NUMBER", "REFUSED", "CHANNEL", ">OFFSET", "REASON"};
	struct letters l = {0};
	enum ctl_exit code = CTL_OK;

	base_buf_byte(&l.json, '[');
	ctl_table_init(&l.table, heads, BASE_COUNT(heads));
	for (int i = 0; i < 2 && code == CTL_OK; i++) {
		l.memory = i == 1;
		l.last = 0;
		do
			code = read_letters(args, &l);
		while (code == CTL_OK && l.came > 0);
	}
	if (code == CTL_OK && args->json != NULL)
		printf("{\"result\":{\"dead\":%.*s]}}\n", (int)l.json.len, l.json.p);
	if (code == CTL_OK && args->json == NULL)
		ctl_table_print(&l.table, false);
	else
		ctl_table_free(&l.table);
	base_buf_free(&l.json);
	return code;
}

/* ---- back into the spool, or away ---- */

/* "12", "m12", or NULL and "all" for all; false: it is none of these. */
static bool
read_number(const char *text, uint64_t *number_r, bool *memory_r)
{
	*number_r = 0;
	*memory_r = false;
	if (text == NULL || strcmp(text, "all") == 0)
		return true;
	*memory_r = text[0] == 'm';
	text += *memory_r;
	return json_uint(
		   (struct base_slice){text, strlen(text)}, UINT64_MAX, number_r) &&
	    *number_r > 0;
}

/* Adds to *DONE how many it were. */
static enum ctl_exit
change(const struct ctl_args *args, const char *path, uint64_t number, bool memory,
    uint64_t *done)
{
	struct base_buf body = {0};
	struct ctl_answer answer;
	enum ctl_exit code;
	uint64_t n;

	/* All of them are asked for again until there are no more. */
	do {
		body.len = 0;
		base_buf_printf(&body, "\"number\":%" PRIu64 ",\"memory\":%s", number,
		    memory ? "true" : "false");
		code = ctl_ask(args, path, &body, &answer);
		n = code == CTL_OK ? ctl_json_uint(answer.result, "done") : 0;
		*done += n;
		if (code != CTL_OK && args->json != NULL && answer.text.len > 0)
			printf("%.*s\n", (int)answer.text.len, answer.text.p);
		base_buf_free(&answer.text);
	} while (number == 0 && n > 0);
	base_buf_free(&body);
	return code;
}

static enum ctl_exit
change_all(const struct ctl_args *args, const char *path, const char *what)
{
	const char *text = args->argc > 0 ? args->argv[0] : NULL;
	uint64_t number, done = 0;
	enum ctl_exit code;
	bool memory;

	if (!read_number(text, &number, &memory)) {
		ctl_complain("%s is no number of a dead letter", text);
		return CTL_USAGE;
	}
	code = change(args, path, number, memory, &done);
	if (code == CTL_OK && number == 0)
		code = change(args, path, 0, true, &done);
	if (code != CTL_OK)
		return code;
	if (number != 0 && done == 0) {
		ctl_complain("there is no dead letter %s", text);
		code = CTL_ERROR;
	}
	if (args->json != NULL)
		printf("{\"result\":{\"done\":%" PRIu64 "}}\n", done);
	else if (code == CTL_OK)
		printf("%" PRIu64 " %s\n", done, what);
	return code;
}

enum ctl_exit
ctl_spool_retry(const struct ctl_args *args)
{
	return change_all(args, "/admin/dead_retry", "put back into the spool");
}

enum ctl_exit
ctl_spool_drop(const struct ctl_args *args)
{
	return change_all(args, "/admin/dead_drop", "forgotten");
}
