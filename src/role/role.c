/*
 * role: see the header.
 */
#include "config.h"

#include "role/role.h"

#include <string.h>

#include "base/base_assert.h"
#include "conf/conf_diff.h"
#include "plug/plug_store.h"
#include "role/archiver.h"
#include "role/broker.h"
#include "role/worker.h"
#include "stat/stat_page.h"

/* Its clients are gone, and must not count until it has a successor. */
static void
reset_worker(void *page, bool back)
{
	(void)back;
	stat_reset_gauges(page);
}

static void
reset_archiver(void *page, bool back)
{
	struct stat_archiver *stat = page;

	stat_archiver_reset(stat);
	if (back)
		stat_set(stat, store_state, STAT_STORE_DOWN);
}

/* When nothing is archived any more, what is in the spool already has to be. */
static bool
no_store(const struct conf *conf)
{
	return strcmp(conf->store, "none") == 0;
}

/* In the order of their slots; the workers first. */
static const struct role roles[] = {
    {
	.name = "worker",
	.main = worker_main,
	.reset = reset_worker,
	.beat_at = offsetof(struct stat_page, beat_ms),
	.many = true,
	.awaited = true,
	.listens = true,
	.stop_turn = 0,
    },
    {
	.name = "broker",
	.main = broker_main,
	.beat_at = offsetof(struct stat_broker, broker_beat_ms),
	.awaited = true,
	.told_gone = true,
	/* Last: until then it does what the queues hold. */
	.stop_turn = 2,
    },
    {
	.name = "archiver",
	.main = archiver_main,
	.wanted = plug_store_used,
	.unwanted = no_store,
	.renewed = conf_diff_store,
	.reset = reset_archiver,
	.beat_at = offsetof(struct stat_archiver, archiver_beat_ms),
	.stop_turn = 1,
    },
};

const struct role *
role_of_slot(unsigned slot, unsigned n_workers)
{
	_Static_assert(BASE_COUNT(roles) == 1 + ROLE_SINGLES, "a slot for each");
	base_assert(slot < n_workers + ROLE_SINGLES);
	return slot < n_workers ? &roles[0] : &roles[1 + slot - n_workers];
}
