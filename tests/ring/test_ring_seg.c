/*
 * test_ring_seg: the segment, who may write what, interest, sleeping and waking.
 */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "ring/ring_dump.h"
#include "ring/ring_priv.h"
#include "ring/ring_room.h"
#include "ring_util.h"

#define SIZE UINT64_C(4096)

static const struct ring_geom good = { .slots = 4, .lanes = 3, .lane_size = SIZE,
	.queue_size = 2 * SIZE, .interest_buckets = 64, .stat_size = 100 };

static void
test_refuses_sizes(void **state)
{
	static const struct ring_geom bad[] = {
		{ 0, 0, SIZE, 0, 64, 100 },
		{ RING_MAX_SLOTS + 1, 3, SIZE, 0, 64, 100 },
		{ 3, 0, SIZE, 0, 64, 100 },
		{ 3, 4, SIZE, 0, 64, 100 },
		{ 3, 3, SIZE / 2, 0, 64, 100 },
		{ 3, 3, SIZE + 64, 0, 64, 100 },
		{ 3, 3, UINT64_C(1) << 41, 0, 64, 100 },
		{ 3, 3, SIZE, SIZE / 2, 64, 100 },
		{ 3, 3, SIZE, SIZE + 64, 64, 100 },
		{ 3, 3, SIZE, UINT64_C(1) << 41, 64, 100 },
		{ 1, 1, SIZE, SIZE, 64, 100 },
		{ 3, 3, SIZE, 0, 0, 100 },
		{ 3, 3, SIZE, 0, 63, 100 },
		{ 3, 3, SIZE, 0, UINT64_C(1) << 25, 100 },
		{ 3, 3, SIZE, 0, 64, UINT64_C(1) << 21 },
	};
	struct ring_seg *seg;
	char err[256];

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(bad); i++) {
		err[0] = 0;
		assert_int_equal(ring_seg_create(&bad[i], &seg, err, sizeof(err)), -1);
		assert_non_null(strstr(err, "bad "));
	}
}

/* What a machine cannot hold is an error at once, and nothing is taken. */
static void
test_refuses_too_much(void **state)
{
	struct ring_geom geom = good;
	struct ring_seg *seg;
	char err[256] = "";

	(void)state;
	geom.lane_size = UINT64_C(1) << 40;
	assert_int_equal(ring_seg_create(&geom, &seg, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "the shared segment needs "));
}

/* A reservation that the kernel refuses is an error too. */
static void
test_refused_by_kernel(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = { 65536, 65536 };
		struct ring_geom geom = good;
		struct ring_seg *seg;
		char err[256] = "";

		geom.lane_size = 1 << 20;
		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
			_exit(2);
		if (ring_seg_create(&geom, &seg, err, sizeof(err)) != -1)
			_exit(3);
		_exit(strstr(err, "cannot reserve 4 MiB") != NULL ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool
write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (f == NULL)
		return false;
	fputs(text, f);
	return fclose(f) == 0;
}

/* In a namespace of its own: groups that leave 64 MiB, by files of these names. */
static int
room_by_groups(const char *dir, const char *limit, const char *usage)
{
	char err[256] = "", users[64], groups[64];

	snprintf(users, sizeof(users), "0 %u 1\n", (unsigned)geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1\n", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
	    !write_file("/proc/self", "uid_map", users) ||
	    !write_file("/proc/self", "setgroups", "deny\n") ||
	    !write_file("/proc/self", "gid_map", groups) ||
	    mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) != 0)
		return 77; /* this machine does not let us */
	mkdir(dir, 0755);
	if (!write_file(dir, limit, "104857600\n") ||
	    !write_file(dir, usage, "52428800\n") ||
	    !write_file(dir, "memory.stat",
		"anon 1\nactive_file 10485760\ninactive_file 4194304\n"))
		return 1;
	if (ring_room_check(60 << 20, err, sizeof(err)) != 0)
		return 2;
	if (ring_room_check(70 << 20, err, sizeof(err)) == 0)
		return 3;
	if (strstr(err, "its control group leaves 64 MiB") == NULL)
		return 4;
	if (!write_file(dir, limit, "max\n"))
		return 5;
	return ring_room_check(70 << 20, err, sizeof(err)) == 0 ? 0 : 6;
}

static int
room_in_child(const char *dir, const char *limit, const char *usage)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(room_by_groups(dir, limit, usage));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* True if this process is in a group of that kind. */
static bool
in_groups(const char *kind)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, kind) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static void
test_control_groups(void **state)
{
	static const LargestIntegralType ok[] = { 0, 77 };
	int r2 = 77, r1 = 77;

	(void)state;
	if (in_groups("0::"))
		r2 = room_in_child("/sys/fs/cgroup", "memory.max", "memory.current");
	if (in_groups(":memory:"))
		r1 = room_in_child("/sys/fs/cgroup/memory", "memory.limit_in_bytes",
		    "memory.usage_in_bytes");
	if (r1 == 77 && r2 == 77)
		skip();
	assert_in_set(r2, ok, 2);
	assert_in_set(r1, ok, 2);
}

static struct ring_seg *
create(void)
{
	struct ring_seg *seg;
	char err[256];

	assert_int_equal(ring_seg_create(&good, &seg, err, sizeof(err)), 0);
	return seg;
}

static void
test_reserved_and_sealed(void **state)
{
	struct ring_seg *seg = create();
	int fd = ring_seg_fd(seg);
	struct stat st;

	(void)state;
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, (off_t)ring_seg_bytes(seg) * 2), -1);
	/* Every page is there before it is touched: nothing is left to allocate. */
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 >= ring_seg_bytes(seg));
	ring_seg_free(seg);
}

static void
test_two_views(void **state)
{
	struct ring_seg *seg = create(), *other;
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost;
	char err[256];

	(void)state;
	assert_int_equal(
	    ring_seg_attach(ring_seg_fd(seg), &other, err, sizeof(err)), 0);
	assert_int_not_equal(ring_seg_fd(seg), ring_seg_fd(other));
	assert_int_equal(ring_seg_geom(other)->slots, good.slots);
	assert_int_equal(ring_seg_geom(other)->lanes, good.lanes);
	assert_int_equal(ring_seg_broker(other), 2);
	assert_int_equal(ring_seg_geom(other)->lane_size, good.lane_size);
	assert_int_equal(ring_seg_geom(other)->interest_buckets, good.interest_buckets);
	assert_int_equal(ring_seg_geom(other)->stat_size, good.stat_size);
	assert_int_equal(ring_seg_geom(other)->queue_size, good.queue_size);
	assert_int_equal(ring_seg_bytes(seg), ring_seg_bytes(other));
	assert_int_equal(ring_seg_boot(seg), ring_seg_boot(other));
	assert_memory_equal(ring_seg_key(seg), ring_seg_key(other),
	    sizeof(struct base_hash_key));
	ring_reader_new(other, &reader);
	ring_lane_open(seg, 2, &lane);
	util_put(lane, 5);
	assert_int_equal(ring_read_next(reader, 2, &head, &lost), RING_RECORD);
	assert_int_equal(util_take(reader, 2, &head, ring_lane_max(lane)), 1);
	memset(ring_seg_stats(seg, 1), 'x', good.stat_size);
	assert_memory_equal(ring_seg_stats(other, 1), ring_seg_stats(seg, 1),
	    good.stat_size);
	assert_int_equal(*(char *)ring_seg_stats(other, 2), 0);
	ring_lane_close(lane);
	ring_reader_free(reader);
	ring_seg_free(other);
	ring_seg_free(seg);
	seg = create();
	other = create();
	assert_memory_not_equal(ring_seg_key(seg), ring_seg_key(other),
	    sizeof(struct base_hash_key));
	assert_int_not_equal(ring_seg_boot(seg), ring_seg_boot(other));
	ring_seg_free(other);
	ring_seg_free(seg);
}

static void
refuses(int fd, const char *why)
{
	struct ring_seg *seg;
	char err[256] = "";

	assert_int_equal(ring_seg_attach(fd, &seg, err, sizeof(err)), -1);
	if (strstr(err, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err, why);
}

static void
test_attach_refuses(void **state)
{
	static const struct {
		size_t offset;
		uint64_t value;
		const char *why;
	} bad[] = {
		{ offsetof(struct ring_seg_head, magic), 0, "not a segment" },
		{ offsetof(struct ring_seg_head, version), 77, "another version" },
		{ offsetof(struct ring_seg_head, byte_order),
		    UINT64_C(0x0807060504030201), "another kind of machine" },
		{ offsetof(struct ring_seg_head, page), 1, "another kind of machine" },
		{ offsetof(struct ring_seg_head, bytes), 4096, "by its layout" },
		{ offsetof(struct ring_seg_head, slots), 5, "by its layout" },
		{ offsetof(struct ring_seg_head, slots), UINT64_C(4) << 32 | 4,
		    "number of slots" },
		{ offsetof(struct ring_seg_head, slots), 0, "number of lanes" },
		{ offsetof(struct ring_seg_head, lanes), 2, "by its layout" },
		{ offsetof(struct ring_seg_head, lanes), 0, "number of lanes" },
		{ offsetof(struct ring_seg_head, lanes), 5, "number of lanes" },
		{ offsetof(struct ring_seg_head, lanes), UINT64_C(4) << 32 | 3,
		    "number of lanes" },
		{ offsetof(struct ring_seg_head, lane_size), 5000, "size of a lane" },
		{ offsetof(struct ring_seg_head, buckets), 0, "interest buckets" },
		{ offsetof(struct ring_seg_head, queue_size), SIZE, "by its layout" },
		{ offsetof(struct ring_seg_head, queue_size), 5000, "size of a queue" },
	};
	struct ring_seg *seg = create();
	int fd;

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(bad); i++) {
		uint64_t *word = (uint64_t *)(void *)(seg->map + bad[i].offset);
		uint64_t old = *word;

		*word = bad[i].value;
		refuses(ring_seg_fd(seg), bad[i].why);
		*word = old;
	}
	/* The same bytes, not sealed. */
	fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, seg->map, 10), 10);
	refuses(fd, "too short");
	assert_int_equal(pwrite(fd, seg->map, seg->lay.bytes, 0), seg->lay.bytes);
	refuses(fd, "not sealed");
	close(fd);
	refuses(fd, "fstat");
	ring_seg_free(seg);
}

/* Signal that a child confined to slot 1 dies of when it writes at OFFSET; or 0. */
static int
write_confined(struct ring_seg *seg, uint64_t offset)
{
	volatile char *p = seg->map + offset;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		ring_seg_confine(seg, 1);
		*p = *p;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void
test_confine(void **state)
{
	struct ring_seg *seg = create();
	const struct ring_layout *lay = &seg->lay;

	(void)state;
	assert_int_equal(write_confined(seg, 0), SIGSEGV);
	for (unsigned i = 0; i < good.lanes; i++) {
		uint64_t lane = lay->lanes + i * lay->lane_step;
		int want = i == 1 ? 0 : SIGSEGV;

		assert_int_equal(write_confined(seg, lane), want);
		assert_int_equal(write_confined(seg, lane + lay->lane_data), want);
		assert_int_equal(write_confined(seg, lane + lay->lane_step - 1), want);
		assert_int_equal(write_confined(seg, lay->stats + i * lay->stat_step),
		    want);
		assert_int_equal(write_confined(seg, lay->slots + i * 128), 0);
	}
	assert_int_equal(write_confined(seg, lay->interest), 0);
	assert_int_equal(write_confined(seg, lay->stats - 1), 0);
	ring_seg_free(seg);
}

/* All that a worker does works when it is confined. */
static void
test_confined_worker(void **state)
{
	struct ring_seg *seg = util_seg(3, SIZE);
	struct ring_interest *interest;
	struct ring_reader *reader;
	struct ring_lane *lane;
	int status;
	pid_t pid;

	(void)state;
	util_torn(seg, 1, 512);
	ring_reader_new(seg, &reader);
	assert_true(ring_wake_arm(seg, 0, reader));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		ring_seg_confine(seg, 1);
		ring_lane_open(seg, 1, &lane);
		ring_interest_open(seg, 1, &interest);
		ring_interest_add(interest, 9);
		for (uint64_t i = 0; i < 4; i++)
			util_put(lane, i);
		ring_wake_mask(seg, 1, 1);
		ring_wake_disarm(seg, 1);
		_exit(ring_wake_arm(seg, 1, reader) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(ring_interest_mask(seg, 9), 2);
	assert_true(ring_read_pending(reader));
	assert_false(ring_wake_disarm(seg, 0));
	ring_reader_free(reader);
	ring_seg_free(seg);
}

static void
test_interest(void **state)
{
	struct ring_seg *seg = create();
	struct ring_interest *a, *b;

	(void)state;
	ring_interest_open(seg, 0, &a);
	ring_interest_open(seg, 2, &b);
	assert_int_equal(ring_interest_mask(seg, 70), 0);
	ring_interest_add(a, 70);
	assert_int_equal(ring_interest_mask(seg, 70), 1);
	ring_interest_add(b, 70);
	ring_interest_add(b, 70 + good.interest_buckets);
	assert_int_equal(ring_interest_mask(seg, 70), 5);
	assert_int_equal(ring_interest_mask(seg, 71), 0);
	/* Same bucket: the bit stays until the last one goes. */
	ring_interest_del(b, 70);
	assert_int_equal(ring_interest_mask(seg, 70), 5);
	ring_interest_del(b, 70 + good.interest_buckets);
	assert_int_equal(ring_interest_mask(seg, 70), 1);
	/* Slot 2 dies with interest everywhere; its successor clears its own bits. */
	for (uint64_t i = 0; i < good.interest_buckets; i++)
		ring_interest_add(b, i);
	ring_interest_close(b);
	assert_int_equal(ring_interest_mask(seg, 70), 5);
	assert_int_equal(ring_interest_mask(seg, 71), 4);
	ring_interest_open(seg, 2, &b);
	assert_int_equal(ring_interest_mask(seg, 70), 1);
	assert_int_equal(ring_interest_mask(seg, 71), 0);
	ring_interest_close(b);
	ring_interest_close(a);
	ring_seg_free(seg);
}

static bool
readable(const struct ring_seg *seg, unsigned slot)
{
	struct pollfd p = { .fd = ring_wake_fd(seg, slot), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void
test_wake(void **state)
{
	struct ring_seg *seg = util_seg(3, 65536);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost;

	(void)state;
	ring_lane_open(seg, 0, &lane);
	for (unsigned i = 0; i < 3; i++)
		ring_wake_disarm(seg, i);
	ring_reader_new(seg, &reader);
	/* The first call of a process may wake all: see ring_wake_mask. */
	ring_wake_mask(seg, 0, 0);

	/* Awake: no system call.  Not asked for, or oneself: not woken. */
	util_put(lane, 1);
	assert_int_equal(ring_wake_mask(seg, 0, 7), 0);
	assert_false(ring_wake_arm(seg, 1, reader));
	assert_int_equal(ring_read_next(reader, 0, &head, &lost), RING_RECORD);
	ring_read_skip(reader, 0);
	assert_true(ring_wake_arm(seg, 0, reader));
	assert_true(ring_wake_arm(seg, 1, reader));
	assert_true(ring_wake_arm(seg, 2, reader));
	assert_int_equal(ring_wake_mask(seg, 0, 1 | 4), 1);
	assert_false(readable(seg, 0));
	assert_false(readable(seg, 1));
	assert_true(readable(seg, 2));
	/* A burst writes once. */
	assert_int_equal(ring_wake_mask(seg, 0, 4), 0);
	assert_false(ring_wake_disarm(seg, 2));
	assert_false(readable(seg, 2));
	assert_true(ring_wake_disarm(seg, 1));
	assert_false(ring_wake_disarm(seg, 1));
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* A sleeper who is not asked for is woken before it can be lapped. */
static void
test_wake_before_lap(void **state)
{
	struct ring_seg *seg = util_seg(2, 65536);
	struct ring_reader *reader;
	struct ring_head head;
	struct ring_lane *lane;
	uint64_t lost, woken = 0, seed = 0;

	(void)state;
	ring_lane_open(seg, 0, &lane);
	ring_reader_new(seg, &reader);
	ring_wake_disarm(seg, 1);
	assert_true(ring_wake_arm(seg, 1, reader));
	while (ring_lane_tail(lane) < 20 * 65536) {
		util_put(lane, ++seed);
		if (ring_wake_mask(seg, 0, 0) == 0)
			continue;
		woken++;
		ring_wake_disarm(seg, 1);
		do {
			enum ring_read_result r;

			while ((r = ring_read_next(reader, 0, &head, &lost)) ==
			    RING_RECORD)
				ring_read_skip(reader, 0);
			assert_int_equal(r, RING_EMPTY);
		} while (!ring_wake_arm(seg, 1, reader));
	}
	assert_in_range(woken, 60, 80);
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

/* The dead owner took a flag down and did not write: the successor does. */
static void
test_successor_wakes(void **state)
{
	struct ring_seg *seg = util_seg(3, SIZE);
	struct ring_reader *reader;
	struct ring_lane *lane;

	(void)state;
	ring_reader_new(seg, &reader);
	assert_true(ring_wake_arm(seg, 1, reader));
	atomic_store(ring_seg_armed(seg, 1), 0);
	ring_lane_open(seg, 0, &lane);
	assert_true(readable(seg, 1));
	assert_true(readable(seg, 2));
	assert_false(readable(seg, 0));
	ring_reader_free(reader);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

static void
test_wake_late(void **state)
{
	struct ring_head head = { .mask = 4, .time = 1000 };

	(void)state;
	assert_true(ring_wake_late(&head, 2, 1001 + RING_WAKE_LATE));
	assert_false(ring_wake_late(&head, 1, 1001 + RING_WAKE_LATE));
	assert_false(ring_wake_late(&head, 2, 1000 + RING_WAKE_LATE));
	assert_false(ring_wake_late(&head, 2, 0)); /* the clock was set back */
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void
test_dump(void **state)
{
	struct ring_seg *seg = util_seg(2, SIZE);
	struct ring_head head = { .type = RING_DATA };
	struct iovec piece = { (void *)(uintptr_t)"body", 4 };
	struct ring_lane *lane;
	char *text = NULL;
	size_t size;
	FILE *out;

	(void)state;
	ring_lane_open(seg, 1, &lane);
	/* 40 records of 128 bytes: the first 8 are gone. */
	for (unsigned i = 0; i < 40; i++)
		ring_lane_put(lane, &head, (struct base_slice){ "n", 1 }, &piece, 1);
	ring_lane_close(lane);
	util_torn(seg, 1, 512);
	ring_lane_open(seg, 1, &lane);
	out = open_memstream(&text, &size);
	assert_non_null(out);
	ring_dump(seg, true, out);
	fclose(out);
	assert_int_equal(count(text, "lane "), 2);
	assert_int_equal(count(text, " data len=76 "), 28);
	assert_int_equal(count(text, " pad len=512"), 1);
	assert_int_equal(count(text, " seq=12 "), 0);
	assert_int_equal(count(text, " seq=13 "), 1);
	assert_int_equal(count(text, "lane 1 tail=5632 intent=5632 seq=40 epoch=2"), 1);
	free(text);
	ring_lane_close(lane);
	ring_seg_free(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_sizes),
		cmocka_unit_test(test_refuses_too_much),
		cmocka_unit_test(test_refused_by_kernel),
		cmocka_unit_test(test_control_groups),
		cmocka_unit_test(test_reserved_and_sealed),
		cmocka_unit_test(test_two_views),
		cmocka_unit_test(test_attach_refuses),
		cmocka_unit_test(test_confine),
		cmocka_unit_test(test_confined_worker),
		cmocka_unit_test(test_interest),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_wake_before_lap),
		cmocka_unit_test(test_successor_wakes),
		cmocka_unit_test(test_wake_late),
		cmocka_unit_test(test_dump),
	};

	base_log_set_level(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
