/*
 * archiver: start, loop and end of the process.
 */
#include "config.h"

#include "role/archiver.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_time.h"
#include "ring/ring_queue.h"
#include "role/role_loop.h"

#define ERR_LEN 256

/* What is under way has so much time to end, ms; the master waits a little longer. */
#define DRAIN_MS 3000

/* Messages of the broker that are taken in one turn. */
#define BUDGET 256

struct archiver {
	struct role_loop loop;
	struct ring_queue_in *in;
	struct ring_queue_out *out;
	struct archive *archive;
	struct event *timer;
	char node[256];
	bool greeted; /* the broker was told that this is a new archiver */
	bool sent; /* something was put into the queue in this turn */
};

/* ---- the queues ---- */

/* What contradicts itself there is no cure for in this process. */
static void
broken(struct archiver *this, const char *what)
{
	log_error(this->loop.log, "the queue %s the broker is damaged", what);
	exit(1);
}

static bool
put(struct archiver *this, const struct order_msg *msg)
{
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	struct ring_head head = {.type = RING_DATA, .time = base_time_wall_ns()};
	size_t len;
	int r, n = order_msg_pieces(msg, fixed, iov, &len);

	r = ring_queue_put(this->out, &head, msg->channel, iov, n);
	if (r == -EBADMSG)
		broken(this, "to");
	this->sent |= r == 0;
	return r == 0;
}

/* The broker forgets what it expected of this one's predecessor. */
static bool
greet(struct archiver *this)
{
	struct order_msg hello = {
	    .kind = ORDER_HELLO, .number = this->loop.ipc->generation};

	if (!this->greeted)
		this->greeted = put(this, &hello);
	return this->greeted;
}

static bool
send_msg(void *arg, const struct order_msg *msg)
{
	struct archiver *this = arg;

	return greet(this) && put(this, msg);
}

static void
take_messages(struct archiver *this)
{
	struct ring_queue_item item;
	struct order_msg msg;
	int i, r;

	for (i = 0; i < BUDGET; i++) {
		r = ring_queue_next(this->in, &item);
		if (r < 0)
			broken(this, "from");
		if (r == 0)
			return;
		if (order_msg_decode((struct base_slice){item.name, item.head.name_len},
			(struct base_slice){item.body, item.head.body_len}, &msg))
			archive_message(this->archive, &msg);
		else
			log_error(this->loop.log, "a message of the broker is damaged");
		ring_queue_done(this->in, item.end);
	}
}

/* ---- the loop ---- */

static int
take_conf(void *arg, const struct conf *fresh, char *err, size_t errlen)
{
	struct archiver *this = arg;

	(void)err;
	(void)errlen;
	archive_conf(this->archive, fresh);
	return 0;
}

static void
drain(void *arg)
{
	struct archiver *this = arg;

	archive_stop(this->archive, base_time_ms() + DRAIN_MS);
}

/* What is under way comes again when there is another archiver. */
static void
stop(void *arg)
{
	(void)arg;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	/* The turn that follows does all. */
	(void)fd;
	(void)what;
	(void)arg;
}

static void
set_timer(struct archiver *this, int64_t at)
{
	int64_t ms = BASE_MAX(at - base_time_ms(), 1);
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	base_assert(event_add(this->timer, &tv) == 0);
}

static bool
turn(void *arg)
{
	struct archiver *this = arg;
	struct role_loop *l = &this->loop;

	this->sent = false;
	(void)greet(this);
	take_messages(this);
	set_timer(this, archive_turn(this->archive));
	if (this->sent)
		ring_wake_mask(l->ipc->seg, l->ipc->slot,
		    UINT64_C(1) << ring_seg_broker(l->ipc->seg));
	if (archive_hung(this->archive))
		exit(1);
	if (archive_ended(this->archive))
		role_loop_end(l);
	return ring_queue_pending(this->in);
}

static bool
pending(void *arg)
{
	struct archiver *this = arg;

	return ring_queue_pending(this->in);
}

static const struct role_ops ops = {
    .conf = take_conf,
    .drain = drain,
    .stop = stop,
    .turn = turn,
    .pending = pending,
};

/* ---- start and end ---- */

static void
open_queues(struct archiver *this)
{
	struct ipc_env *ipc = this->loop.ipc;
	char err[ERR_LEN];

	if (ring_queue_in_open(ipc->seg, ipc->slot, RING_QUEUE_CLIENT, NULL, &this->in,
		err, sizeof(err)) < 0 ||
	    ring_queue_out_open(ipc->seg, ipc->slot, RING_QUEUE_CLIENT, &this->out, err,
		sizeof(err)) < 0)
		role_loop_fail(&this->loop, err);
}

static void
start(struct archiver *this, struct ipc_env *ipc)
{
	struct archive_place place = {.conf = ipc->conf, .send = send_msg, .arg = this};

	role_loop_init(&this->loop, ipc, LOG_ARCHIVER, &ops, this);
	open_queues(this);
	if (gethostname(this->node, sizeof(this->node) - 1) < 0)
		this->node[0] = 0;
	_Static_assert(sizeof(struct stat_archiver) <= IPC_STAT_SIZE, "counter page");
	place.stat = ring_seg_stats(ipc->seg, ipc->slot);
	place.base = this->loop.base;
	place.node = this->node;
	place.part_max = ring_queue_max(this->out) - ORDER_FIXED_MAX;
	this->archive = archive_new(&place);
	this->timer = evtimer_new(this->loop.base, on_timer, this);
	base_assert(this->timer != NULL);
}

void
archiver_main(struct ipc_env *ipc)
{
	struct archiver *this = base_zalloc(sizeof(*this));

	start(this, ipc);
	role_loop_run(&this->loop);
	archive_free(this->archive);
	event_free(this->timer);
	ring_queue_in_close(this->in);
	ring_queue_out_close(this->out);
	role_loop_fini(&this->loop);
	free(this);
	exit(IPC_EXIT_OK);
}
