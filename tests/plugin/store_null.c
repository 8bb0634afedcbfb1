/*
 * store_null: takes everything and keeps nothing, with as few functions as can be.
 */
#include <chatd/plugin.h>

static int
init(struct chatd_host *host, const void *conf, void **self_r, struct chatd_error *err)
{
	(void)conf;
	(void)err;
	*self_r = host;
	return 0;
}

static int
start(void *self, struct chatd_error *err)
{
	struct chatd_host *host = self;

	(void)err;
	host->state(host, CHATD_UP, NULL);
	return 0;
}

static void
stop(void *self, int64_t deadline)
{
	struct chatd_host *host = self;

	(void)deadline;
	host->stopped(host);
}

static void
fini(void *self)
{
	(void)self;
}

static int
take(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	struct chatd_host *host = self;

	(void)err;
	host->done(host, batch->token, 0, NULL, NULL, 0);
	return 0;
}

static const struct chatd_life life = {
    .init = init, .start = start, .stop = stop, .fini = fini};

static const struct chatd_store_ops ops = {.write = take};

const struct chatd_plugin chatd_plugin = {
    CHATD_PLUGIN_HEAD(CHATD_KIND_STORE, "store_null", "1"),
    .life = &life,
    .life_size = sizeof(life),
    .ops = &ops,
    .ops_size = sizeof(ops),
};
