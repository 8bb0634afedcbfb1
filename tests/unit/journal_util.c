/*
 * journal_util: see the header.
 */
#include "config.h"

#include "journal_util.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

char util_dir[UTIL_PATH], util_path[UTIL_PATH];

int
util_setup(void **state)
{
	(void)state;
	snprintf(util_dir, sizeof(util_dir), "/tmp/chatd-journal.XXXXXX");
	if (mkdtemp(util_dir) == NULL)
		return -1;
	snprintf(util_path, sizeof(util_path), "%.240s/spool", util_dir);
	return 0;
}

static int
remove_all(const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0 ? -1 : 0;
}

int
util_teardown(void **state)
{
	(void)state;
	return remove_all(util_dir);
}

void
util_wipe(void)
{
	assert_int_equal(remove_all(util_path), 0);
}

unsigned
util_count(const char *prefix)
{
	DIR *dir = opendir(util_dir);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(dir);
	return n;
}

struct base_slice
util_text(const char *s)
{
	return (struct base_slice){s, strlen(s)};
}

struct journal *
util_open_small(bool sync, size_t map)
{
	struct journal_opts opts = {.dir = util_path,
	    .name = "spool",
	    .sync = sync,
	    .spool_limit = UINT64_MAX / 4,
	    .history_limit = UINT64_MAX / 4,
	    .map = map};
	struct journal *j = NULL;
	char err[1024];
	bool aside;

	if (journal_open(&opts, &j, &aside, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	if (aside)
		fail_msg("%s", err);
	return j;
}

struct journal *
util_open(bool sync)
{
	return util_open_small(sync, 0);
}

void
util_ok_at(struct journal *j, int rc, const char *file, int line)
{
	if (rc == JOURNAL_OK)
		return;
	print_error("%s:%d: %d: %s\n", file, line, rc, journal_why(j));
	_fail(file, line);
}

int
util_publish(struct journal *j, const char *channel, const struct journal_rules *rules,
    int64_t now_ms, struct journal_place *place_r)
{
	struct base_slice name = util_text(channel);
	struct journal_record rec = {.time_ns = (uint64_t)now_ms * 1000000,
	    .user = {"user", 4},
	    .client = {"client", 6},
	    .info = {"{}", 2}};
	char text[2048];
	int rc;

	rc = journal_stream(j, name, rules, now_ms, place_r);
	if (rc == JOURNAL_OK)
		rc = journal_next(j, rules, 200, place_r);
	if (rc != JOURNAL_OK)
		return rc;
	snprintf(text, sizeof(text), "%s %llu", channel,
	    (unsigned long long)place_r->offset);
	rec.data = util_text(text);
	memcpy(rec.id, &place_r->offset, sizeof(place_r->offset));
	return journal_put(j, name, rules, place_r, rec.data, &rec, now_ms);
}

struct shown {
	const char *channel;
	char text[8192];
	size_t len;
};

static bool
show(void *arg, uint64_t offset, struct base_slice json)
{
	struct shown *s = arg;
	char want[2048];

	snprintf(want, sizeof(want), "%s %llu", s->channel, (unsigned long long)offset);
	if (json.len != strlen(want) || memcmp(json.p, want, json.len) != 0)
		fail_msg("offset %llu has %.*s", (unsigned long long)offset,
		    (int)json.len, json.p);
	s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s%llu",
	    s->len == 0 ? "" : " ", (unsigned long long)offset);
	assert_true(s->len < sizeof(s->text));
	return true;
}

const char *
util_history(struct journal *j, const char *channel, const struct journal_rules *rules,
    const struct journal_range *range, int64_t now_ms)
{
	static struct shown s;
	struct journal_extent extent;
	int rc;

	s.channel = channel;
	s.len = 0;
	s.text[0] = 0;
	rc = journal_history(
	    j, util_text(channel), rules, range, now_ms, &extent, show, &s);
	if (rc == JOURNAL_ABSENT)
		return "absent";
	util_ok(j, rc);
	return s.text;
}
