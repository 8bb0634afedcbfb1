/*
 * test_powercut [CUTS [SEED]]: the machine loses its power, at CUTS points of a
 * program that publishes.
 *
 * The program runs with powercut_shim.so, which writes down what it gave to the
 * kernel and when that was synced.  For each cut an image of the file is made: all
 * that was surely on the disk, and of the later writes any pages, in any version of
 * them, some torn between sectors.  A journal on that image must open, have all that
 * was acknowledged before the cut and nothing by half, and be written on.
 *
 * The same with a journal that does not sync must find losses, or the test is blind.
 * Last, each call that LMDB makes on the file fails in turn.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "powercut.h"
#include "powercut_log.h"
#include "test_rand.h"

#define PAGE 4096
#define SECTOR 512
#define FILE_MAX (64u << 20) /* of the file */
#define STEPS 120
#define PENDING 65536

static char dir[64], shim[PATH_MAX], self[PATH_MAX];

/* ---- the program that loses its power ---- */

static int
publisher(const char *path, bool sync, unsigned steps)
{
	void (*mark)(uint64_t) = NULL;
	struct journal_figures f;
	struct journal *j;

	*(void **)&mark = dlsym(RTLD_DEFAULT, "powercut_mark");
	if (mark == NULL)
		powercut_die("no shim");
	j = powercut_open(path, sync);
	for (unsigned step = 1; step <= steps; step++) {
		int rc, tries = 0;

		while ((rc = powercut_step(j, step)) != JOURNAL_OK) {
			if (rc == JOURNAL_RETRY)
				continue;
			if (++tries > 3)
				powercut_die("step %u: %s", step, journal_why(j));
			/* What failed is not done. */
			if (powercut_last(j) != step - 1)
				powercut_die("step %u failed and is there", step);
			/* Blocks are asked for twice a second. */
			journal_figures(j, &f);
			usleep(f.disk_full ? 600000 : 0);
		}
		mark(step);
		journal_sync_due(j, (int64_t)step * 400);
	}
	powercut_check(j, steps);
	journal_close(j);
	return 0;
}

/* ---- processes and files ---- */

static int
wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		powercut_die("fork or waitpid: %s", strerror(errno));
	return status;
}

static void
remove_all(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	if (wait_for(pid) != 0)
		powercut_die("rm %s", path);
}

/* Status of the publisher, run over the shim. */
static int
run_publisher(const char *path, bool sync, unsigned steps, unsigned fail)
{
	char text[32], n_steps[32], file[PATH_MAX], log[PATH_MAX];
	pid_t pid = fork();

	if (pid != 0)
		return wait_for(pid);
	snprintf(file, sizeof(file), "%s/data.mdb", path);
	snprintf(log, sizeof(log), "%s.log", path);
	snprintf(text, sizeof(text), "%u", fail);
	snprintf(n_steps, sizeof(n_steps), "%u", steps);
	setenv("LD_PRELOAD", shim, 1);
	setenv("POWERCUT_FILE", file, 1);
	setenv("POWERCUT_LOG", log, 1);
	setenv("POWERCUT_FAIL", text, 1);
	/* The shim comes before a sanitizer's library, and calls on to it. */
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
	execl(self, self, "publish", path, sync ? "sync" : "nosync", n_steps,
	    (char *)NULL);
	_exit(127);
}

static unsigned char *
map_file(const char *path, size_t *len_r)
{
	struct stat st;
	void *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		powercut_die("%s: %s", path, strerror(errno));
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		powercut_die("%s: %s", path, strerror(errno));
	close(fd);
	*len_r = (size_t)st.st_size;
	return p;
}

/* ---- the image ---- */

/* A page of a write that is not surely on the disk. */
struct pending {
	uint64_t rec; /* place of its write in the log */
	uint64_t off;
	uint32_t len; /* within one page */
	const unsigned char *data;
};

struct disk {
	unsigned char *durable, *image; /* FILE_MAX bytes each */
	uint64_t size; /* of what has been written, ever */
	struct pending *pending; /* PENDING */
	size_t n;
};

static void
write_at(
    struct disk *d, uint64_t rec, uint64_t off, const unsigned char *p, uint64_t len)
{
	if (off + len > FILE_MAX)
		powercut_die("the file has grown too big");
	if (off + len > d->size)
		d->size = off + len;
	while (len > 0) {
		uint64_t n = BASE_MIN(len, PAGE - off % PAGE);

		if (d->n == PENDING)
			powercut_die("too much that is not synced");
		d->pending[d->n++] = (struct pending){rec, off, (uint32_t)n, p};
		off += n;
		p += n;
		len -= n;
	}
}

/* Those of writes before BEGUN, or of write ONLY alone, are on the disk now. */
static void
settle(struct disk *d, uint64_t begun, uint64_t only)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n; i++) {
		struct pending *p = &d->pending[i];

		if (p->rec < begun || p->rec == only)
			memcpy(d->durable + p->off, p->data, p->len);
		else
			d->pending[kept++] = *p;
	}
	d->n = kept;
}

/* Some of the sectors. */
static void
tear(unsigned char *image, const struct pending *p)
{
	for (uint32_t at = 0; at < p->len;) {
		uint32_t n =
		    (uint32_t)BASE_MIN(p->len - at, SECTOR - (p->off + at) % SECTOR);

		if (test_rand(2) == 0)
			memcpy(image + p->off + at, p->data + at, n);
		at += n;
	}
}

/* What the disk may hold when the power goes now. */
static void
cut(struct disk *d, const char *path)
{
	/* Of this part nothing made it, or all, or some. */
	size_t luck = test_rand(5);
	int fd;

	memcpy(d->image, d->durable, d->size);
	for (size_t i = 0; i < d->n; i++) {
		const struct pending *p = &d->pending[i];

		if (test_rand(4) >= luck)
			continue;
		if (test_rand(8) == 0)
			tear(d->image, p);
		else
			memcpy(d->image + p->off, p->data, p->len);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, d->image, d->size) != (ssize_t)d->size)
		powercut_die("%s: %s", path, strerror(errno));
	close(fd);
}

/* ---- the check ---- */

/* In a process: STEP must be there, or the one that was under way. */
static void
check_journal(const char *path, unsigned step)
{
	struct journal *j = powercut_open(path, true);
	unsigned last = powercut_last(j);
	pid_t pid;

	if (last != step && last != step + 1)
		powercut_die("acknowledged %u, there is %u", step, last);
	powercut_check(j, last);
	/* It can be written on. */
	for (unsigned i = 1; i <= 6; i++)
		if (powercut_step(j, last + i) != JOURNAL_OK)
			powercut_die("step %u: %s", last + i, journal_why(j));
	powercut_check(j, last + 6);
	journal_close(j);
	pid = fork();
	if (pid == 0) {
		powercut_check_spool(path, last + 6);
		_exit(0);
	}
	_exit(wait_for(pid) == 0 ? 0 : 1);
}

static bool
survived(struct disk *d, const char *parent, unsigned step, bool quiet)
{
	char file[PATH_MAX], path[PATH_MAX];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/spool", parent);
	remove_all(parent);
	if (mkdir(parent, 0700) < 0 || mkdir(path, 0700) < 0)
		powercut_die("%s: %s", path, strerror(errno));
	snprintf(file, sizeof(file), "%s/spool/data.mdb", parent);
	cut(d, file);
	pid = fork();
	if (pid == 0) {
		if (quiet && freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		check_journal(path, step);
	}
	return wait_for(pid) == 0;
}

/* ---- the log ---- */

struct counts {
	uint64_t recs, writes, sync_writes, syncs, marks;
};

/* Follows the log, and cuts at one record in EVERY, if it is not 0. */
static unsigned
follow(const char *base, const char *log, const char *path, uint64_t every, bool quiet,
    struct counts *c)
{
	struct disk d = {.durable = base_zalloc(FILE_MAX),
	    .image = base_zalloc(FILE_MAX),
	    .pending = base_malloc(PENDING * sizeof(struct pending))};
	size_t len, at = 0, n = 0;
	unsigned char *image, *p = map_file(log, &len);
	uint64_t acked = 0, in_flight = UINT64_MAX;
	unsigned lost = 0;

	memset(c, 0, sizeof(*c));
	if (base != NULL) {
		image = map_file(base, &n);
		memcpy(d.durable, image, n);
		munmap(image, n);
	}
	d.size = n;
	while (at < len) {
		struct powercut_rec rec;

		memcpy(&rec, p + at, sizeof(rec));
		at += sizeof(rec);
		/* A synced write before this record has returned. */
		if (in_flight != UINT64_MAX)
			settle(&d, 0, in_flight);
		in_flight = UINT64_MAX;
		if (rec.kind == POWERCUT_WRITE || rec.kind == POWERCUT_WRITE_SYNC)
			write_at(&d, c->recs, rec.off, p + at, rec.len);
		if (rec.kind == POWERCUT_WRITE_SYNC)
			in_flight = c->recs;
		else if (rec.kind == POWERCUT_SYNC)
			settle(&d, rec.begun, UINT64_MAX);
		else if (rec.kind == POWERCUT_MARK)
			acked = rec.off;
		c->writes += rec.kind == POWERCUT_WRITE;
		c->sync_writes += rec.kind == POWERCUT_WRITE_SYNC;
		c->syncs += rec.kind == POWERCUT_SYNC;
		c->marks += rec.kind == POWERCUT_MARK;
		c->recs++;
		at += rec.len;
		if (every != 0 && test_rand(every) == 0)
			lost += !survived(&d, path, (unsigned)acked, quiet);
	}
	free(d.durable);
	free(d.image);
	free(d.pending);
	munmap(p, len);
	return lost;
}

/* Publishes, and cuts about CUTS times.  Returns how many cuts lost something. */
static unsigned
lose_power(bool sync, unsigned cuts)
{
	char path[128], base[160], log[160], file[160];
	struct counts c;
	unsigned lost;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", dir, sync ? "sync" : "nosync");
	snprintf(file, sizeof(file), "%s/data.mdb", path);
	snprintf(base, sizeof(base), "%s.base", path);
	snprintf(log, sizeof(log), "%s.log", path);
	journal_close(powercut_open(path, sync));
	pid = fork();
	if (pid == 0) {
		execlp("cp", "cp", "--sparse=always", file, base, (char *)NULL);
		_exit(127);
	}
	if (wait_for(pid) != 0 || run_publisher(path, sync, STEPS, 0) != 0)
		powercut_die("the publisher failed");
	follow(base, log, NULL, 0, true, &c);
	if (c.marks != STEPS || c.writes < STEPS || c.syncs == 0 ||
	    (sync && (c.syncs < STEPS || c.sync_writes < STEPS)))
		powercut_die("the shim did not see what it must");
	snprintf(path, sizeof(path), "%s/image", dir);
	lost = follow(base, log, path, BASE_MAX(c.recs / cuts, 1), !sync, &c);
	printf("%s: %u steps, %u writes, %u synced, %u syncs; lost in %u of about %u "
	       "cuts\n",
	    sync ? "synced" : "not synced", STEPS, (unsigned)c.writes,
	    (unsigned)c.sync_writes, (unsigned)c.syncs, lost, cuts);
	return lost;
}

/* Each call on the file fails in turn; the publisher checks what it has then. */
static void
fail_calls(void)
{
	char path[128], log[160];
	const unsigned steps = 6;
	struct stat st;
	unsigned n, calls = 1000;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/fail", dir);
	snprintf(log, sizeof(log), "%s.log", path);
	for (n = 0; n <= calls; n++) {
		remove_all(path);
		remove_all(log);
		if (run_publisher(path, true, steps, n) != 0)
			powercut_die("with call %u failing", n);
		pid = fork();
		if (pid == 0) {
			powercut_check_spool(path, steps);
			_exit(0);
		}
		if (wait_for(pid) != 0 || stat(log, &st) < 0)
			powercut_die("after call %u failed", n);
		if (n == 0) {
			struct counts c;

			/* The environment is made under another name. */
			follow(NULL, log, NULL, 0, true, &c);
			calls = (unsigned)(c.recs - c.marks);
		}
	}
	printf("%u calls failed in turn\n", calls);
}

int
main(int argc, char **argv)
{
	unsigned cuts = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 60;
	const char *slash;
	ssize_t n;

	if (argc == 5 && strcmp(argv[1], "publish") == 0)
		return publisher(argv[2], strcmp(argv[3], "sync") == 0,
		    (unsigned)strtoul(argv[4], NULL, 10));
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_rand_state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		powercut_die("/proc/self/exe: %s", strerror(errno));
	self[n] = 0;
	slash = strrchr(self, '/');
	if (slash == NULL ||
	    (size_t)snprintf(shim, sizeof(shim), "%.*s/.libs/powercut_shim.so",
		(int)(slash - self), self) >= sizeof(shim))
		powercut_die("%s has no directory", self);
	if (access(shim, R_OK) < 0)
		powercut_die("%s: %s", shim, strerror(errno));
	snprintf(dir, sizeof(dir), "/tmp/chatd-powercut.XXXXXX");
	if (mkdtemp(dir) == NULL)
		powercut_die("%s: %s", dir, strerror(errno));
	if (lose_power(true, cuts) != 0)
		powercut_die("acknowledged publications were lost; look at %s", dir);
	if (lose_power(false, cuts) == 0)
		powercut_die("this test finds no loss");
	fail_calls();
	remove_all(dir);
	return 0;
}
