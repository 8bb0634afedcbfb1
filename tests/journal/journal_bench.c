/*
 * journal_bench [SECONDS [DIR]]: publications a second by the size of the batch, with
 * commits that wait for the disk and with such that do not, and what one costs the
 * processor.  300 bytes each, to history (of 100) and spool, in 100 channels; what
 * is older than 100,000 leaves the spool.  Run by hand.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_time.h"
#include "journal/journal.h"

#define CHANNELS 100
#define KEEP 100000

static const struct journal_rules rules = {100, 86400000, 86400000 * INT64_C(30), true};
static char data[300];

static void
die(struct journal *j, int rc)
{
	fprintf(stderr, "journal_bench: %d: %s\n", rc, j != NULL ? journal_why(j) : "");
	exit(1);
}

static int
publish(struct journal *j, uint64_t n, int64_t now_ms)
{
	struct journal_record rec = {.time_ns = (uint64_t)now_ms * 1000000,
	    .user = {"user42", 6},
	    .data = {data, sizeof(data)}};
	struct journal_place place;
	struct base_slice channel;
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "chat:room%u", (unsigned)(n % CHANNELS));
	channel = (struct base_slice){name, strlen(name)};
	rc = journal_stream(j, channel, &rules, now_ms, &place);
	if (rc == JOURNAL_OK)
		rc = journal_next(j, &rules, sizeof(data), &place);
	if (rc == JOURNAL_OK)
		rc = journal_put(j, channel, &rules, &place, rec.data, &rec, now_ms);
	return rc;
}

static int
batch(struct journal *j, unsigned size, uint64_t *n)
{
	int64_t now_ms = (int64_t)(base_time_wall_ns() / 1000000);
	struct journal_figures f;
	bool left;
	int rc = journal_begin(j);

	if (rc != JOURNAL_OK)
		return rc;
	for (unsigned i = 0; i < size && rc == JOURNAL_OK; i++)
		rc = publish(j, *n + i, now_ms);
	if (rc == JOURNAL_OK)
		rc = journal_position_put(j, 1, *n % 2, *n);
	journal_figures(j, &f);
	if (rc == JOURNAL_OK && f.spool_records > KEEP)
		rc = journal_spool_done(j, f.spool_last - KEEP, 2 * size, &left);
	if (rc == JOURNAL_OK) {
		rc = journal_commit(j);
		*n += rc == JOURNAL_OK ? size : 0;
	} else {
		journal_abort(j);
	}
	return rc;
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
run(const char *dir, bool sync, unsigned size, double seconds)
{
	struct journal_opts opts = {.dir = dir,
	    .name = "bench",
	    .sync = sync,
	    .spool_limit = UINT64_C(8) << 30,
	    .history_limit = UINT64_C(8) << 30};
	int64_t start, now;
	struct journal_figures f;
	struct journal *j;
	uint64_t n = 0, batches = 0;
	char err[512];
	bool aside;
	double cpu, s;
	int rc;

	if (journal_open(&opts, &j, &aside, err, sizeof(err)) < 0) {
		fprintf(stderr, "journal_bench: %s\n", err);
		exit(1);
	}
	cpu = cpu_s();
	start = base_time_ms();
	do {
		rc = batch(j, size, &n);
		if (rc != JOURNAL_OK && rc != JOURNAL_RETRY)
			die(j, rc);
		batches++;
		now = base_time_ms();
		journal_sync_due(j, now);
	} while ((double)(now - start) < seconds * 1000);
	s = (double)(now - start) / 1000;
	cpu = cpu_s() - cpu;
	journal_figures(j, &f);
	printf(
	    "%-7s batch %5u: %9.0f a second, %7.1f us a batch, %6.2f us of CPU each, "
	    "file %" PRIu64 " MiB\n",
	    sync ? "sync" : "no sync", size, (double)n / s, s * 1e6 / (double)batches,
	    cpu * 1e6 / (double)n, f.file_bytes >> 20);
	journal_close(j);
}

static void
remove_all(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

int
main(int argc, char **argv)
{
	static const unsigned sizes[] = {1, 10, 100, 1000};
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
	char dir[256], path[300];

	memset(data, 'x', sizeof(data));
	snprintf(
	    dir, sizeof(dir), "%s/journal-bench.XXXXXX", argc > 2 ? argv[2] : "/tmp");
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		return 1;
	}
	for (int sync = 1; sync >= 0; sync--)
		for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
			snprintf(path, sizeof(path), "%s/%d-%u", dir, sync, sizes[i]);
			run(path, sync, sizes[i], seconds);
			remove_all(path);
		}
	remove_all(dir);
	return 0;
}
