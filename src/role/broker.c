/*
 * broker: start, loop and end of the process.
 */
#include "config.h"

#include "role/broker.h"

#include <stdlib.h>

#include "base/base_mem.h"
#include "broker/broker.h"
#include "role/role_loop.h"

struct broker_proc {
	struct role_loop loop;
	struct broker *broker;
	bool draining;
};

static int
take_conf(void *arg, const struct conf *fresh, char *err, size_t errlen)
{
	struct broker_proc *this = arg;

	(void)err;
	(void)errlen;
	broker_conf(this->broker, fresh);
	return 0;
}

static void
gone(void *arg, unsigned slot, uint64_t generation)
{
	struct broker_proc *this = arg;

	broker_gone(this->broker, slot, generation);
}

/* The others have ended: what they left in the queues is still done. */
static void
drain(void *arg)
{
	struct broker_proc *this = arg;

	this->draining = true;
}

/* What is left in the queues was acknowledged to nobody. */
static void
stop(void *arg)
{
	(void)arg;
}

static bool
turn(void *arg)
{
	struct broker_proc *this = arg;
	bool more = broker_turn(this->broker);

	if (this->draining && broker_idle(this->broker))
		role_loop_end(&this->loop);
	return more;
}

static bool
pending(void *arg)
{
	struct broker_proc *this = arg;

	return broker_pending(this->broker);
}

static const struct role_ops ops = {
    .conf = take_conf,
    .gone = gone,
    .drain = drain,
    .stop = stop,
    .turn = turn,
    .pending = pending,
};

void
broker_main(struct ipc_env *ipc)
{
	struct broker_proc *this = base_zalloc(sizeof(*this));
	const struct broker_env env = {
	    .seg = ipc->seg, .generation = ipc->generation, .conf = ipc->conf};

	role_loop_init(&this->loop, ipc, LOG_BROKER, &ops, this);
	this->broker = broker_new(&env);
	role_loop_run(&this->loop);
	broker_free(this->broker);
	role_loop_fini(&this->loop);
	free(this);
	exit(IPC_EXIT_OK);
}
