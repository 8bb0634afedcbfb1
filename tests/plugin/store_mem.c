/*
 * store_mem: keeps messages in memory; for tests.
 */
#include "mem_store.h"

static int
check(const void *conf, struct chatd_error *err)
{
	const struct mem_conf *c = conf;

	if (c->refuse)
		return chatd_fail(
		    err, CHATD_CONFIG, "refuse and store do not go together");
	return 0;
}

static const struct chatd_opt opts[] = {MEM_OPTS};

static const struct chatd_life life = {
    .check = check,
    .init = mem_init,
    .start = mem_start,
    .stop = mem_stop,
    .fini = mem_fini,
    .reconf = mem_reconf,
    .stats = mem_stats,
};

static const struct chatd_store_ops ops = {
    .write = mem_write,
    .history = mem_history,
    .migrate = mem_migrate,
    .ping = mem_ping,
};

const struct chatd_plugin chatd_plugin = {
    CHATD_PLUGIN_HEAD(CHATD_KIND_STORE, "store_mem", "1"),
    .caps = MEM_CAPS,
    .opts = opts,
    .n_opts = sizeof(opts) / sizeof(opts[0]),
    .conf_size = sizeof(struct mem_conf),
    .life = &life,
    .life_size = sizeof(life),
    .ops = &ops,
    .ops_size = sizeof(ops),
};
