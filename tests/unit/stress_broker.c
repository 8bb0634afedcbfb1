/*
 * stress_broker [SECONDS]: two processes publish, the broker is killed again and again
 * at any moment.  All that was acknowledged must be in the spools once, in the order of
 * its channel; each channel's pushes must come in that order, once.
 */
#include "config.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base_buf.h"
#include "base/base_log.h"
#include "base/base_rand.h"
#include "base/base_time.h"
#include "broker/broker.h"
#include "conf/conf_parse.h"
#include "journal/journal_tail.h"
#include "proto/order_msg.h"
#include "ring/ring_interest.h"
#include "ring/ring_queue.h"
#include "ring/ring_read.h"
#include "ring/ring_wake.h"
#include "test_rand.h"

#define PUBLISHERS 2
#define BROKER     PUBLISHERS
#define SLOTS      (PUBLISHERS + 2)
#define MANY       1500000 /* publications of one process, at most */
#define IN_FLIGHT  200
#define BURST      30   /* publications at once ... */
#define PAUSE_US   2000 /* ... and then nothing for so long */

/* Both journals, and each a few channels. */
static const char *const channels[] = {"spool:a", "spool:b", "quick:a", "quick:b"};

#define CHANNELS BASE_COUNT(channels)

/* What the processes share. */
static struct shared {
	_Atomic bool stop;
	_Atomic uint64_t sent[PUBLISHERS], answered[PUBLISHERS], bad;
	uint32_t offsets[PUBLISHERS][MANY]; /* as acknowledged; 0: not */
	unsigned char stored[PUBLISHERS][MANY];
} *shared;

static struct ring_seg *seg;
static struct ring_interest *interest;
static struct conf *conf;
static char dir[] = "/tmp/chatd-stress.XXXXXX";

static void
give_up(const char *what, uint64_t a, uint64_t b)
{
	fprintf(stderr, "stress_broker: %s (%llu, %llu)\n", what, (unsigned long long)a,
	    (unsigned long long)b);
	exit(1);
}

static void
nap(long us)
{
	const struct timespec ts = {0, us * 1000};

	nanosleep(&ts, NULL);
}

/* ---- publishers ---- */

static bool
publish(struct ring_queue_out *out, unsigned slot, uint64_t id)
{
	const char *channel = channels[id % CHANNELS];
	struct ring_head head = {.type = RING_DATA};
	char data[64], fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	struct order_msg msg = {.kind = ORDER_PUBLISH, .req = id + 1};
	size_t len;
	int n;

	msg.channel = (struct base_slice){channel, strlen(channel)};
	msg.data.p = data;
	msg.data.len = (size_t)snprintf(
	    data, sizeof(data), "[%u,%llu]", slot, (unsigned long long)id);
	n = order_msg_pieces(&msg, fixed, iov, &len);
	return ring_queue_put(out, &head, msg.channel, iov, n) == 0;
}

static void
take_answer(unsigned slot, const struct ring_queue_item *item)
{
	struct order_msg msg;
	uint32_t *offset;

	if (!order_msg_decode((struct base_slice){item->name, item->head.name_len},
		(struct base_slice){item->body, item->head.body_len}, &msg))
		give_up("answer is damaged", slot, item->end);
	if (msg.kind != ORDER_PUBLISHED)
		return;
	if (msg.code != 0 || msg.req == 0 || msg.req > shared->sent[slot])
		give_up("answer is wrong", (uint64_t)msg.code, msg.req);
	offset = &shared->offsets[slot][msg.req - 1];
	if (*offset != 0 && *offset != msg.offset)
		give_up("two answers", *offset, msg.offset);
	if (*offset == 0)
		shared->answered[slot]++;
	*offset = (uint32_t)msg.offset;
}

static void
publisher(unsigned slot)
{
	struct ring_queue_item item;
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	int64_t idle = base_time_ms();
	char err[256];

	if (ring_queue_out_open(seg, slot, RING_QUEUE_CLIENT, &out, err, sizeof(err)) <
		0 ||
	    ring_queue_in_open(
		seg, slot, RING_QUEUE_CLIENT, NULL, &in, err, sizeof(err)) < 0)
		give_up(err, slot, 0);
	while (!shared->stop || shared->answered[slot] < shared->sent[slot]) {
		bool any = shared->answered[slot] == shared->sent[slot];

		while (ring_queue_next(in, &item) == 1) {
			any = true;
			take_answer(slot, &item);
			ring_queue_done(in, item.end);
		}
		for (unsigned n = 0; n < BURST && !shared->stop &&
		     shared->sent[slot] < MANY &&
		     shared->sent[slot] - shared->answered[slot] < IN_FLIGHT;
		     n++) {
			shared->sent[slot]++;
			if (!publish(out, slot, shared->sent[slot] - 1)) {
				shared->sent[slot]--;
				break;
			}
			any = true;
		}
		if (any)
			idle = base_time_ms();
		else if (base_time_ms() - idle > 5000)
			give_up("answers are missing", shared->sent[slot],
			    shared->answered[slot]);
		nap(PAUSE_US);
	}
	_exit(0);
}

/* ---- the broker ---- */

static void
broker(unsigned generation)
{
	const struct broker_env env = {
	    .seg = seg, .generation = generation, .conf = conf};
	struct broker *b;

	base_rand_forked();
	ring_seg_confine(seg, BROKER);
	b = broker_new(&env);
	for (;;)
		if (!broker_turn(b) && !broker_pending(b))
			nap(50);
}

static pid_t
start(void (*role)(unsigned), unsigned number)
{
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork", 0, 0);
	if (pid == 0)
		role(number);
	return pid;
}

static void
kill_broker(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		give_up("the broker ended by itself", (uint64_t)status, 0);
}

/* ---- what is to be seen ---- */

static struct ring_reader *reader;
static uint64_t pushed[CHANNELS], n_pushed;

static unsigned
channel_of(struct base_slice name)
{
	for (unsigned i = 0; i < CHANNELS; i++)
		if (name.len == strlen(channels[i]) &&
		    memcmp(name.p, channels[i], name.len) == 0)
			return i;
	give_up("unknown channel", name.len, 0);
	return 0;
}

static void
read_lane(void)
{
	enum ring_read_result r;
	struct ring_head head;
	char name[64], body[1024];
	uint64_t lost;
	unsigned c;

	while ((r = ring_read_next(reader, BROKER, &head, &lost)) != RING_EMPTY) {
		if (r == RING_LAPPED)
			give_up("the reader was lapped", lost, 0);
		if (head.name_len > sizeof(name) || head.body_len > sizeof(body))
			give_up("record is too long", head.name_len, head.body_len);
		if (!ring_read_copy(reader, BROKER, name, body) ||
		    head.type != RING_DATA)
			continue;
		c = channel_of((struct base_slice){name, head.name_len});
		if (head.offset != pushed[c] + 1)
			give_up("push out of order", pushed[c], head.offset);
		pushed[c]++;
		n_pushed++;
	}
}

static uint64_t last_stored[CHANNELS], n_stored;

static bool
check_record(void *arg, const struct journal_spooled *rec)
{
	unsigned slot, c = channel_of(rec->channel);
	unsigned long long id;
	char text[64];

	(void)arg;
	snprintf(text, sizeof(text), "%.*s", (int)rec->rec.data.len, rec->rec.data.p);
	if (sscanf(text, "[%u,%llu]", &slot, &id) != 2 || slot >= PUBLISHERS ||
	    id >= shared->sent[slot] || id % CHANNELS != c)
		give_up("record is damaged", rec->number, 0);
	if (rec->offset != ++last_stored[c])
		give_up("offsets have a gap", last_stored[c], rec->offset);
	if (shared->stored[slot][id]++ != 0)
		give_up("stored twice", slot, id);
	if (shared->offsets[slot][id] != rec->offset)
		give_up("acknowledged with another offset", shared->offsets[slot][id],
		    rec->offset);
	n_stored++;
	return true;
}

static void
check_spool(const char *name)
{
	struct journal_tail *t;
	char path[128], err[256];
	bool absent;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (journal_tail_open(path, &t, &absent, err, sizeof(err)) < 0)
		give_up(err, 0, 0);
	while ((r = journal_tail_read(t, 0, check_record, NULL)) == JOURNAL_RETRY)
		;
	if (r != JOURNAL_OK)
		give_up("spool cannot be read", 0, 0);
	journal_tail_close(t);
}

static void
check_all(unsigned kills)
{
	uint64_t sent = shared->sent[0] + shared->sent[1];

	check_spool("spool");
	check_spool("history");
	if (n_stored != sent || n_pushed != sent)
		give_up("not as many as were acknowledged", n_stored, n_pushed);
	for (unsigned i = 0; i < CHANNELS; i++)
		if (pushed[i] != last_stored[i])
			give_up("pushed and stored", pushed[i], last_stored[i]);
	printf("stress_broker: %llu publications, %u kills\n", (unsigned long long)sent,
	    kills);
}

/* ---- setting up ---- */

static void
make_world(void)
{
	const struct ring_geom geom = {.slots = SLOTS,
	    .lanes = PUBLISHERS + 1,
	    .lane_size = 8u << 20,
	    .queue_size = 64u << 10,
	    .interest_buckets = 64,
	    .stat_size = 4096};
	struct base_buf text = {0}, errors = {0};
	char err[256];

	if (mkdtemp(dir) == NULL ||
	    ring_seg_create(&geom, &seg, err, sizeof(err)) < 0 ||
	    ring_wake_init(seg) < 0)
		give_up("no world", 0, 0);
	base_buf_printf(&text,
	    "state_dir = \"%s\"\nlisten \"l\" { address = \"127.0.0.1:1\" }\n"
	    "namespace \"spool\" { archive = on history_size = 10 }\n"
	    "namespace \"quick\" { archive = on history_size = 10 ack = \"memory\" }\n",
	    dir);
	base_buf_byte(&text, 0);
	conf = conf_parse_text(text.p, "stress.conf", &errors);
	if (conf == NULL)
		give_up("no configuration", 0, 0);
	base_buf_free(&text);
	base_buf_free(&errors);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		give_up("no memory", 0, 0);
	ring_interest_open(seg, 0, &interest);
	for (unsigned i = 0; i < CHANNELS; i++)
		ring_interest_add(interest,
		    base_hash(ring_seg_key(seg), channels[i], strlen(channels[i])));
	ring_reader_new(seg, &reader);
}

static void
remove_world(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ring_reader_free(reader);
	ring_interest_close(interest);
	ring_seg_free(seg);
	conf_free(conf);
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
	int64_t end = base_time_ms() + (int64_t)(seconds * 1000);
	pid_t pid, pids[PUBLISHERS];
	unsigned kills = 0, left = PUBLISHERS;
	int status;

	base_log_set_level(BASE_LOG_WARN);
	make_world();
	pid = start(broker, 1);
	for (unsigned i = 0; i < PUBLISHERS; i++)
		pids[i] = start(publisher, i);
	while (base_time_ms() < end) {
		int64_t next = base_time_ms() + 5 + (int64_t)test_rand(60);

		while (base_time_ms() < next) {
			read_lane();
			nap(500);
		}
		kill_broker(pid);
		pid = start(broker, ++kills + 1);
	}
	shared->stop = true;
	while (left > 0) {
		read_lane();
		nap(500);
		for (unsigned i = 0; i < PUBLISHERS; i++)
			if (pids[i] != 0 && waitpid(pids[i], &status, WNOHANG) != 0) {
				if (status != 0)
					give_up("a publisher failed", i, 0);
				pids[i] = 0;
				left--;
			}
	}
	read_lane();
	kill_broker(pid);
	check_all(kills);
	remove_world();
	return 0;
}
