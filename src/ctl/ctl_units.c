/*
 * ctl_units: see the header.
 */
#include "config.h"

#include "ctl/ctl_units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl_json.h"

void
ctl_units_bytes(uint64_t n, char *text, size_t size)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)n / 1024;
	size_t i = 0;

	if (n < 1024) {
		snprintf(text, size, "%" PRIu64 " B", n);
		return;
	}
	while (value >= 1024 && i + 1 < BASE_COUNT(units)) {
		value /= 1024;
		i++;
	}
	snprintf(text, size, "%.1f %s", value, units[i]);
}

void
ctl_units_time(uint64_t ms, char *text, size_t size)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};

	for (size_t i = 0; i < BASE_COUNT(units); i++)
		/* Two of a unit say more than one of the next. */
		if (ms >= 2 * units[i].ms) {
			snprintf(text, size, "%" PRIu64 " %s", ms / units[i].ms,
			    units[i].name);
			return;
		}
	snprintf(text, size, "%" PRIu64 " ms", ms);
}

static const char *
spool_text(const char *state)
{
	if (strcmp(state, "ok") == 0)
		return "takes messages";
	if (strcmp(state, "full") == 0)
		return "FULL: archived publications are refused";
	return "THE DISK IS FULL OR FAILS: archived publications are refused";
}

static const char *
store_text(const char *state)
{
	static const struct {
		const char *state, *text;
	} words[] = {{"none", "none"}, {"down", "DOWN"}, {"connecting", "connecting"},
	    {"up", "up"}, {"schema", "waits for its schema: chatctl store init"}};

	for (size_t i = 0; i < BASE_COUNT(words); i++)
		if (strcmp(state, words[i].state) == 0)
			return words[i].text;
	return "?";
}

/* A short word at PATH. */
static void
word(struct base_slice result, const char *path, char text[16])
{
	struct base_slice value;

	text[0] = 0;
	if (ctl_json_get(result, path, &value) && value.len > 2)
		snprintf(text, 16, "%.*s", (int)BASE_MIN(value.len - 2, 15),
		    value.p + 1);
}

void
ctl_units_spool(struct base_slice result)
{
	char state[16], bytes[32], limit[32], age[32];

	word(result, "spool.state", state);
	printf("%-16s%s\n", "spool", spool_text(state));
	ctl_units_bytes(ctl_json_uint(result, "spool.bytes"), bytes, sizeof(bytes));
	ctl_units_bytes(
	    ctl_json_uint(result, "spool.limit_bytes"), limit, sizeof(limit));
	printf("  %-14s%" PRIu64 " messages, %s of %s\n", "depth",
	    ctl_json_uint(result, "spool.records"), bytes, limit);
	ctl_units_time(ctl_json_uint(result, "spool.oldest_ms"), age, sizeof(age));
	if (ctl_json_uint(result, "spool.records") > 0)
		printf("  %-14s%s ago\n", "oldest", age);
	printf("  %-14s%" PRIu64 "\n", "dead letters",
	    ctl_json_uint(result, "spool.dead_letters"));
	word(result, "archive.store", state);
	printf("%-16s%s\n", "database", store_text(state));
	if (strcmp(state, "none") == 0)
		return;
	ctl_units_time(ctl_json_uint(result, "archive.lag_ms"), age, sizeof(age));
	printf("  %-14s%" PRIu64 " messages a second, %s behind\n", "rate",
	    ctl_json_uint(result, "archive.rate"), age);
	printf("  %-14s%" PRIu64 " messages, %" PRIu64 " batches tried again, %" PRIu64
	       " messages refused\n",
	    "archived", ctl_json_uint(result, "archive.archived"),
	    ctl_json_uint(result, "archive.errors"),
	    ctl_json_uint(result, "archive.refused"));
	ctl_units_time(ctl_json_uint(result, "archive.pause_ms"), age, sizeof(age));
	if (ctl_json_uint(result, "archive.pause_ms") > 0)
		printf("  %-14s%s until the next attempt\n", "pause", age);
}
