/*
 * ring_util: see the header.
 */
#include "config.h"

#include "ring_util.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "ring/ring_priv.h"

#define MAX_RECORD 16384

uint64_t
util_rand(struct util_rng *rng)
{
	uint64_t z;

	/* splitmix64: Steele, Lea, Flood 2014. */
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	z = rng->state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
util_below(struct util_rng *rng, uint64_t below)
{
	return util_rand(rng) % below;
}

void
util_dawdle(struct util_rng *rng, uint64_t below)
{
	for (uint64_t i = util_below(rng, below); i > 0; i--)
		atomic_signal_fence(memory_order_seq_cst);
}

void
util_nap(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

struct util_args
util_args(int argc, char **argv)
{
	struct util_args args = { .seconds = 3 };
	char *end;
	int c;

#ifdef ENABLE_TSAN
	args.threads = true;
#endif
	while ((c = getopt(argc, argv, "t")) == 't')
		args.threads = true;
	if (c == -1 && optind < argc) {
		args.seconds = strtod(argv[optind], &end);
		if (end == argv[optind] || *end != 0 || ++optind != argc)
			args.seconds = 0;
	}
	if (c != -1 || !(args.seconds > 0) || args.seconds > 1e6) {
		fprintf(stderr, "usage: %s [-t] [SECONDS]\n", argv[0]);
		exit(2);
	}
	return args;
}

void *
util_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

pid_t
util_start(void (*role)(unsigned slot, uint64_t salt), unsigned slot, uint64_t salt)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		role(slot, salt);
		_exit(0);
	}
	return pid;
}

bool
util_kill(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGKILL)
		return true;
	fprintf(stderr, "process %ld ended by itself: %#x\n", (long)pid, status);
	return false;
}

bool
util_ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

static struct ring_seg *
make_seg(const struct ring_geom *geom)
{
	struct ring_seg *seg;
	char err[256];

	if (ring_seg_create(geom, &seg, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	if (ring_wake_init(seg) != 0) {
		perror("ring_wake_init");
		exit(1);
	}
	return seg;
}

struct ring_seg *
util_seg(unsigned slots, uint64_t lane_size)
{
	struct ring_geom geom = { .slots = slots, .lanes = slots,
		.lane_size = lane_size, .interest_buckets = 256, .stat_size = 4096 };

	return make_seg(&geom);
}

struct ring_seg *
util_queue_seg(unsigned slots, unsigned lanes, uint64_t queue_size)
{
	struct ring_geom geom = { .slots = slots, .lanes = lanes, .lane_size = 4096,
		.queue_size = queue_size, .interest_buckets = 256,
		.stat_size = 4096 };

	return make_seg(&geom);
}

void
util_queue_preset(struct ring_seg *seg, unsigned slot, enum ring_queue_side sender,
    uint64_t pos, uint64_t seq)
{
	struct ring_queue_page *page = ring_seg_queue(seg, slot, sender);

	atomic_store(&page->marks[seq % 2].end, pos);
	atomic_store(&page->marks[seq % 2].seq, seq);
	atomic_store(&page->tail, pos);
	atomic_store(&ring_seg_queue(seg, slot, 1 - (unsigned)sender)->done, pos);
}

void
util_preset(struct ring_seg *seg, unsigned slot, uint64_t pos, uint64_t seq)
{
	struct ring_lane_page *page = ring_seg_lane(seg, slot);

	atomic_store(&page->seq, seq);
	atomic_store(&page->base, seq);
	atomic_store(&page->intent, pos);
	atomic_store(&page->tail, pos);
}

void
util_torn(struct ring_seg *seg, unsigned slot, uint64_t bytes)
{
	struct ring_lane_page *page = ring_seg_lane(seg, slot);
	uint64_t size = ring_seg_geom(seg)->lane_size, tail = atomic_load(&page->tail);
	ring_word *data = ring_seg_data(seg, slot);

	atomic_store(&page->base, atomic_load(&page->seq));
	atomic_store(&page->intent, tail + bytes);
	for (uint64_t p = tail; p < tail + bytes; p += sizeof(*data))
		atomic_store(&data[(p & (size - 1)) / sizeof(*data)],
		    UINT64_C(0xdeaddeaddeaddead));
}

void
util_sizes(uint64_t seed, size_t max, size_t *name_len_r, size_t *body_len_r)
{
	struct util_rng rng = { seed };
	size_t sum;

	/* Half of them small, as chat is; the rest up to the limit. */
	sum = (size_t)util_below(&rng, (util_rand(&rng) & 1) != 0 ? 256 : max + 1);
	sum = BASE_MIN(sum, max);
	*name_len_r = (size_t)util_below(&rng, BASE_MIN(sum, 40) + 1);
	*body_len_r = sum - *name_len_r;
}

/* Fills P with the bytes of part WHICH of the record. */
static void
fill(char *p, size_t n, uint64_t seed, uint64_t which)
{
	struct util_rng rng = { seed ^ (which << 56) };
	uint64_t w;

	for (size_t i = 0; i < n; i += sizeof(w)) {
		w = util_rand(&rng);
		memcpy(p + i, &w, BASE_MIN(sizeof(w), n - i));
	}
}

void
util_make(struct util_rec *rec, uint64_t seed, size_t max)
{
	struct util_rng rng = { ~seed };
	size_t name_len, body_len, at = 0;

	base_assert(max <= MAX_RECORD);
	rec->n = (int)util_below(&rng, BASE_COUNT(rec->pieces)) + 1;
	util_sizes(seed, max, &name_len, &body_len);
	fill(rec->name_bytes, name_len, seed, 1);
	fill(rec->body, body_len, seed, 2);
	rec->name = (struct base_slice){ rec->name_bytes, name_len };
	for (int i = 0; i < rec->n; i++) {
		size_t take = i == rec->n - 1 ? body_len - at :
			(size_t)util_below(&rng, body_len - at + 1);

		rec->pieces[i] = (struct iovec){ rec->body + at, take };
		at += take;
	}
	rec->head = (struct ring_head){ .chan = seed, .mask = ~seed,
		.offset = seed * 3, .time = seed + 1, .flags = (uint16_t)(seed >> 7),
		.type = (seed & 8) != 0 ? RING_CTRL : RING_DATA };
}

uint64_t
util_put(struct ring_lane *lane, uint64_t seed)
{
	struct util_rec rec;

	util_make(&rec, seed, ring_lane_max(lane));
	return ring_lane_put(lane, &rec.head, rec.name, rec.pieces, rec.n);
}

/* Is it what util_make makes of the seed in HEAD? */
static bool
proven(const struct ring_head *head, unsigned origin, const char *name,
    const char *body, size_t max)
{
	uint64_t seed = head->chan;
	size_t name_len, body_len;
	char want[MAX_RECORD];

	util_sizes(seed, max, &name_len, &body_len);
	if (head->mask != ~seed || head->offset != seed * 3 || head->time != seed + 1 ||
	    head->flags != (uint16_t)(seed >> 7) || head->origin != origin ||
	    head->type != ((seed & 8) != 0 ? RING_CTRL : RING_DATA) ||
	    head->name_len != name_len || head->body_len != body_len)
		return false;
	fill(want, name_len, seed, 1);
	if (memcmp(name, want, name_len) != 0)
		return false;
	fill(want, body_len, seed, 2);
	return memcmp(body, want, body_len) == 0;
}

bool
util_item(const struct ring_queue_item *item, unsigned origin, size_t max)
{
	return proven(&item->head, origin, item->name, item->body, max);
}

int
util_take(struct ring_reader *reader, unsigned slot, const struct ring_head *head,
    size_t max)
{
	char name[MAX_RECORD], body[MAX_RECORD];

	if (head->name_len > sizeof(name) || head->body_len > sizeof(body))
		return -1;
	if (!ring_read_copy(reader, slot, name, body))
		return 0;
	return proven(head, slot, name, body, max) ? 1 : -1;
}

uint64_t
util_need(size_t name_len, size_t body_len)
{
	return BASE_ALIGN(RING_HEAD_BYTES + BASE_ALIGN(name_len, 8) + body_len,
	    RING_ALIGN);
}
