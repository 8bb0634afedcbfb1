/*
 * ring_seg: see the header, and ring_layout.h for what lies where.
 */
#include "config.h"

#include "ring/ring_seg.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "ring/ring_fail.h"
#include "ring/ring_priv.h"
#include "ring/ring_room.h"

#define SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

#ifdef ENABLE_TSAN
ring_word ring_tsan_word;
#endif

static bool
power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static uint64_t
page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool
good_size(uint64_t n)
{
	return power_of_two(n) && n >= RING_MIN_LANE && n <= RING_MAX_LANE;
}

static int
check_geom(const struct ring_geom *geom, char *err, size_t errlen)
{
	const char *what = NULL;

	if (geom->slots == 0 || geom->slots > RING_MAX_SLOTS)
		what = "number of slots";
	else if (geom->lanes == 0 || geom->lanes > geom->slots)
		what = "number of lanes";
	else if (!good_size(geom->lane_size))
		what = "size of a lane";
	else if (geom->queue_size != 0 && !good_size(geom->queue_size))
		what = "size of a queue";
	else if (geom->queue_size != 0 && geom->slots < 2)
		what = "number of slots: a queue has two ends";
	else if (!power_of_two(geom->interest_buckets) ||
	    geom->interest_buckets > RING_MAX_BUCKETS)
		what = "number of interest buckets";
	else if (geom->stat_size > RING_MAX_STAT)
		what = "size of the counters";
	if (what == NULL)
		return 0;
	snprintf(err, errlen, "shared segment: bad %s", what);
	return -1;
}

/* The text of errno goes to ERR. */
static int
failed(const char *what, char *err, size_t errlen)
{
	snprintf(err, errlen, "shared segment: %s: %s", what, strerror(errno));
	return -1;
}

static struct ring_seg *
seg_new(const struct ring_geom *geom, int fd)
{
	struct ring_seg *seg = base_zalloc(sizeof(*seg));

	seg->fd = fd;
	seg->geom = *geom;
	ring_layout_make(geom, page_size(), &seg->lay);
	for (unsigned i = 0; i < RING_MAX_SLOTS; i++)
		seg->wake_fds[i] = -1;
	return seg;
}

static int
map_all(struct ring_seg *seg, char *err, size_t errlen)
{
	void *map = MAP_FAILED;

	errno = ENOMEM;
	if (!RING_FAILS(SEG_MAP))
		map = mmap(NULL, seg->lay.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		    seg->fd, 0);
	if (map == MAP_FAILED)
		return failed("mmap", err, errlen);
	seg->map = map;
	return 0;
}

/* Takes all pages now, so that no store can meet SIGBUS later. */
static int
reserve(const struct ring_seg *seg, char *err, size_t errlen)
{
	int r;

	if (ring_room_check(seg->lay.bytes, err, errlen) != 0)
		return -1;
	do {
		errno = ENOSPC;
		r = RING_FAILS(SEG_RESERVE) ? -1 :
			fallocate(seg->fd, 0, 0, (off_t)seg->lay.bytes);
	} while (r != 0 && errno == EINTR);
	if (r != 0) {
		snprintf(err, errlen,
		    "shared segment: cannot reserve %" PRIu64 " MiB: %s",
		    (seg->lay.bytes + 0xfffff) >> 20, strerror(errno));
		return -1;
	}
	errno = EPERM;
	if (RING_FAILS(SEG_SEAL) || fcntl(seg->fd, F_ADD_SEALS, SEALS) != 0)
		return failed("sealing", err, errlen);
	return 0;
}

static void
write_head(struct ring_seg *seg)
{
	struct ring_seg_head *head = (struct ring_seg_head *)(void *)seg->map;

	memcpy(head->magic, RING_MAGIC, sizeof(head->magic));
	head->version = RING_LAYOUT_VERSION;
	head->byte_order = RING_BYTE_ORDER;
	head->page = page_size();
	head->bytes = seg->lay.bytes;
	head->slots = seg->geom.slots;
	head->lanes = seg->geom.lanes;
	head->lane_size = seg->geom.lane_size;
	head->buckets = seg->geom.interest_buckets;
	head->stat_size = seg->geom.stat_size;
	head->queue_size = seg->geom.queue_size;
	base_rand_bytes(&head->boot_id, sizeof(head->boot_id));
	base_rand_bytes(&head->key, sizeof(head->key));
}

int
ring_seg_create(const struct ring_geom *geom, struct ring_seg **seg_r, char *err,
    size_t errlen)
{
	struct ring_seg *seg;
	int fd = -1;

	if (check_geom(geom, err, errlen) != 0)
		return -1;
	errno = EMFILE;
	if (!RING_FAILS(SEG_MEMFD))
		fd = memfd_create("chatd-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return failed("memfd_create", err, errlen);
	seg = seg_new(geom, fd);
	if (reserve(seg, err, errlen) != 0 || map_all(seg, err, errlen) != 0) {
		ring_seg_free(seg);
		return -1;
	}
	write_head(seg);
	*seg_r = seg;
	return 0;
}

/* Checks what the head of FD says before anything is believed. */
static int
check_head(int fd, struct ring_geom *geom_r, char *err, size_t errlen)
{
	struct ring_seg_head head;
	struct ring_layout lay;
	struct stat st;
	const char *what;
	int seals = fcntl(fd, F_GET_SEALS);

	if (fstat(fd, &st) != 0)
		return failed("fstat", err, errlen);
	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		what = "too short for a head";
	else if (memcmp(head.magic, RING_MAGIC, sizeof(head.magic)) != 0)
		what = "not a segment of chatd";
	else if (head.byte_order != RING_BYTE_ORDER || head.page != page_size())
		what = "made by another kind of machine";
	else if (head.version != RING_LAYOUT_VERSION)
		what = "made by another version";
	else if (head.slots > RING_MAX_SLOTS)
		what = "bad number of slots";
	else if (head.lanes > head.slots)
		what = "bad number of lanes";
	else if (seals < 0 || (seals & SEALS) != SEALS)
		what = "not sealed against resizing";
	else
		what = NULL;
	if (what != NULL) {
		snprintf(err, errlen, "shared segment: %s", what);
		return -1;
	}
	*geom_r = (struct ring_geom){ .slots = (unsigned)head.slots,
		.lanes = (unsigned)head.lanes,
		.lane_size = head.lane_size,
		.queue_size = head.queue_size,
		.interest_buckets = head.buckets,
		.stat_size = head.stat_size };
	if (check_geom(geom_r, err, errlen) != 0)
		return -1;
	ring_layout_make(geom_r, page_size(), &lay);
	if (lay.bytes != head.bytes || lay.bytes != (uint64_t)st.st_size) {
		snprintf(err, errlen,
		    "shared segment: %" PRIu64 " bytes by its head, %" PRIu64
		    " by its layout, %" PRIu64 " in fact",
		    head.bytes, lay.bytes, (uint64_t)st.st_size);
		return -1;
	}
	return 0;
}

int
ring_seg_attach(int fd, struct ring_seg **seg_r, char *err, size_t errlen)
{
	struct ring_geom geom;
	struct ring_seg *seg;

	if (check_head(fd, &geom, err, errlen) != 0)
		return -1;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return failed("dup", err, errlen);
	seg = seg_new(&geom, fd);
	if (map_all(seg, err, errlen) != 0) {
		ring_seg_free(seg);
		return -1;
	}
	*seg_r = seg;
	return 0;
}

static void
protect(struct ring_seg *seg, uint64_t offset, uint64_t len, int prot)
{
	int r = mprotect(seg->map + offset, len, prot);

	/* It splits mappings; a process that cannot is out of them. */
	base_assert(r == 0);
}

void
ring_seg_confine(struct ring_seg *seg, unsigned slot)
{
	const struct ring_layout *lay = &seg->lay;
	unsigned broker = ring_seg_broker(seg);
	int rw = PROT_READ | PROT_WRITE;

	base_assert(slot < seg->geom.slots);
	protect(seg, 0, lay->bytes, PROT_READ);
	protect(seg, lay->slots, lay->stats - lay->slots, rw); /* interest as well */
	protect(seg, lay->stats + slot * lay->stat_step, lay->stat_step, rw);
	if (slot < seg->geom.lanes)
		protect(seg, lay->lanes + slot * lay->lane_step, lay->lane_step, rw);
	if (seg->geom.queue_size == 0)
		return;
	for (unsigned i = 0; i < seg->geom.slots; i++) {
		if (i == broker || (slot != broker && slot != i))
			continue;
		protect(seg, ring_seg_queue_at(seg, i, slot == broker),
		    lay->queue_side, rw);
	}
}

void
ring_seg_free(struct ring_seg *seg)
{
	if (seg == NULL)
		return;
	for (unsigned i = 0; i < RING_MAX_SLOTS; i++)
		if (seg->wake_fds[i] >= 0)
			close(seg->wake_fds[i]);
	if (seg->map != NULL)
		munmap(seg->map, seg->lay.bytes);
	close(seg->fd);
	free(seg);
}

int
ring_seg_fd(const struct ring_seg *seg)
{
	return seg->fd;
}

const struct ring_geom *
ring_seg_geom(const struct ring_seg *seg)
{
	return &seg->geom;
}

uint64_t
ring_seg_bytes(const struct ring_seg *seg)
{
	return seg->lay.bytes;
}

unsigned
ring_seg_broker(const struct ring_seg *seg)
{
	return seg->geom.lanes - 1;
}

uint64_t
ring_seg_boot(const struct ring_seg *seg)
{
	return ring_seg_head(seg)->boot_id;
}

const struct base_hash_key *
ring_seg_key(const struct ring_seg *seg)
{
	return &ring_seg_head(seg)->key;
}

void *
ring_seg_stats(struct ring_seg *seg, unsigned slot)
{
	base_assert(slot < seg->geom.slots);
	return seg->map + seg->lay.stats + slot * seg->lay.stat_step;
}
