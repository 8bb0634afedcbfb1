/*
 * archiver: start, loop and end of the process.
 */
#include "config.h"

#include "role/archiver.h"

#include <stdlib.h>

#include "base/base_mem.h"
#include "role/role_loop.h"

struct archiver {
	struct role_loop loop;
};

static int
take_conf(void *arg, const struct conf *fresh, char *err, size_t errlen)
{
	(void)arg;
	(void)fresh;
	(void)err;
	(void)errlen;
	return 0;
}

static void
stop(void *arg)
{
	struct archiver *this = arg;

	role_loop_end(&this->loop);
}

static bool
turn(void *arg)
{
	(void)arg;
	return false;
}

static const struct role_ops ops = {
    .conf = take_conf,
    .drain = stop,
    .stop = stop,
    .turn = turn,
};

void
archiver_main(struct ipc_env *ipc)
{
	struct archiver *this = base_zalloc(sizeof(*this));

	role_loop_init(&this->loop, ipc, LOG_ARCHIVER, &ops, this);
	role_loop_run(&this->loop);
	role_loop_fini(&this->loop);
	free(this);
	exit(IPC_EXIT_OK);
}
