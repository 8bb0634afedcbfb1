/*
 * spool_fill: fills the spool of a state directory as the broker would, for drain.py.
 *
 *	spool_fill DIR N CHANNELS
 *
 * N messages in turn of rooms of that number.  The id of the last one is printed.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "journal/journal.h"

#define BATCH 2000

static const struct journal_rules rules = {
    .archive = true, .history_ttl_ms = 3600000, .meta_ttl_ms = 3600000};

static struct journal *journal;
static unsigned char last_id[JOURNAL_ID_LEN];

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "spool_fill: %s\n", what);
	exit(1);
}

/* Version 7 (RFC 9562 section 5.7), as messages have. */
static void
make_id(unsigned char id[JOURNAL_ID_LEN], uint64_t ms)
{
	int i;

	base_rand_uuid(id);
	for (i = 5; i >= 0; i--, ms >>= 8)
		id[i] = (unsigned char)ms;
	id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
}

static int
put(uint64_t i, uint64_t channels)
{
	uint64_t now = base_time_wall_ns();
	char channel[32], user[32], client[BASE_UUID_LEN + 1], info[160], data[320];
	struct journal_record rec = {.time_ns = now};
	struct journal_place place;
	unsigned char uuid[16];
	struct base_slice name;
	int r, pad = (int)(i * 37 % 120);

	base_rand_uuid(uuid);
	base_uuid_text(uuid, client);
	make_id(rec.id, now / 1000000);
	memcpy(last_id, rec.id, sizeof(last_id));
	name = (struct base_slice){channel,
	    (size_t)snprintf(channel, sizeof(channel), "chat:room%llu",
		(unsigned long long)(i % channels))};
	rec.user = (struct base_slice){user,
	    (size_t)snprintf(
		user, sizeof(user), "user%llu", (unsigned long long)(i % 5000))};
	rec.client = (struct base_slice){client, strlen(client)};
	rec.info = (struct base_slice){info,
	    (size_t)snprintf(info, sizeof(info), "{\"user\":\"%s\",\"client\":\"%s\"}",
		user, client)};
	rec.data = (struct base_slice){data,
	    (size_t)snprintf(data, sizeof(data), "{\"text\":\"%0*d\",\"n\":%llu}",
		60 + pad, 0, (unsigned long long)i)};
	r = journal_stream(journal, name, &rules, (int64_t)(now / 1000000), &place);
	if (r == 0)
		r = journal_next(journal, &rules, rec.data.len, &place);
	if (r == 0)
		r = journal_put(journal, name, &rules, &place,
		    (struct base_slice){"{}", 2}, &rec, (int64_t)(now / 1000000));
	return r;
}

/* Messages FROM to TO in one transaction. */
static int
put_batch(uint64_t from, uint64_t to, uint64_t channels)
{
	int r = journal_begin(journal);

	for (; r == 0 && from < to; from++)
		r = put(from, channels);
	if (r == 0)
		return journal_commit(journal);
	journal_abort(journal);
	return r;
}

int
main(int argc, char **argv)
{
	struct journal_opts opts = {.name = "spool",
	    .spool_limit = (uint64_t)64 << 30,
	    .history_limit = 1 << 30};
	char err[256], text[BASE_UUID_LEN + 1];
	uint64_t n, channels, i, to;
	bool aside;
	int r;

	if (argc != 4)
		die("usage: spool_fill DIR N CHANNELS");
	n = strtoull(argv[2], NULL, 10);
	channels = strtoull(argv[3], NULL, 10);
	opts.dir = argv[1];
	if (channels == 0 ||
	    journal_open(&opts, &journal, &aside, err, sizeof(err)) < 0)
		die(channels == 0 ? "no channels" : err);
	for (i = 0; i < n; i = to) {
		to = BASE_MIN(i + BATCH, n);
		do
			r = put_batch(i, to, channels);
		while (r == JOURNAL_RETRY);
		if (r != 0)
			die(journal_why(journal));
	}
	journal_close(journal);
	base_uuid_text(last_id, text);
	puts(text);
	return 0;
}
