/*
 * store_fail: store_mem whose functions fail on a schedule.
 *
 * An item of the option schedule is "FUNCTION CODE TIMES": the next TIMES calls of the
 * function fail with the code.  The functions are those of the store, and "done":
 * a batch that was taken fails in its answer.
 */
#include <stdlib.h>
#include <string.h>

#include "mem_store.h"

/* How often each item of the schedule has failed. */
static long failed[64];

/* The code that this call of FUNCTION has to fail with; 0: none. */
static int
planned(const struct mem_conf *conf, const char *function)
{
	size_t i, len = strlen(function);
	const char *item;
	char *end;
	long code;

	for (i = 0; i < conf->schedule.n && i < sizeof(failed) / sizeof(*failed); i++) {
		item = conf->schedule.items[i];
		if (strncmp(item, function, len) != 0 || item[len] != ' ')
			continue;
		code = strtol(item + len, &end, 10);
		if (failed[i] < strtol(end, NULL, 10)) {
			failed[i]++;
			return (int)code;
		}
	}
	return 0;
}

static int
fails(const struct mem_conf *conf, const char *function, struct chatd_error *err)
{
	int code = planned(conf, function);

	if (code != 0)
		chatd_fail(err, code, "%s fails as planned", function);
	return code;
}

static int
fail_check(const void *conf, struct chatd_error *err)
{
	return fails(conf, "check", err);
}

static int
fail_init(
    struct chatd_host *host, const void *conf, void **self_r, struct chatd_error *err)
{
	int code = fails(conf, "init", err);

	return code != 0 ? code : mem_init(host, conf, self_r, err);
}

static int
fail_start(void *self, struct chatd_error *err)
{
	int code = fails(mem_conf_of(self), "start", err);

	return code != 0 ? code : mem_start(self, err);
}

static int
fail_reconf(void *self, const void *conf, struct chatd_error *err)
{
	int code = fails(mem_conf_of(self), "reconf", err);

	return code != 0 ? code : mem_reconf(self, conf, err);
}

static int
fail_write(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	struct chatd_host *host = mem_host_of(self);
	int code = fails(mem_conf_of(self), "write", err);

	if (code != 0)
		return code;
	code = planned(mem_conf_of(self), "done");
	if (code == 0)
		return mem_write(self, batch, err);
	host->done(host, batch->token, code, "done fails as planned", NULL, 0);
	return 0;
}

static int
fail_history(void *self, const struct chatd_history *ask, struct chatd_error *err)
{
	int code = fails(mem_conf_of(self), "history", err);

	return code != 0 ? code : mem_history(self, ask, err);
}

static int
fail_migrate(void *self, unsigned flags, struct chatd_error *err)
{
	int code = fails(mem_conf_of(self), "migrate", err);

	return code != 0 ? code : mem_migrate(self, flags, err);
}

static int
fail_ping(void *self, uint64_t token, struct chatd_error *err)
{
	int code = fails(mem_conf_of(self), "ping", err);

	return code != 0 ? code : mem_ping(self, token, err);
}

static const struct chatd_opt opts[] = {MEM_OPTS,
    MEM_OPT(LIST, schedule, LIVE, "{}", 0, 0, "What fails, how, how often.")};

static const struct chatd_life life = {
    .check = fail_check,
    .init = fail_init,
    .start = fail_start,
    .stop = mem_stop,
    .fini = mem_fini,
    .reconf = fail_reconf,
    .stats = mem_stats,
};

static const struct chatd_store_ops ops = {
    .write = fail_write,
    .history = fail_history,
    .migrate = fail_migrate,
    .ping = fail_ping,
};

const struct chatd_plugin chatd_plugin = {
    CHATD_PLUGIN_HEAD(CHATD_KIND_STORE, "store_fail", "1"),
    .caps = MEM_CAPS,
    .opts = opts,
    .n_opts = sizeof(opts) / sizeof(opts[0]),
    .conf_size = sizeof(struct mem_conf),
    .life = &life,
    .life_size = sizeof(life),
    .ops = &ops,
    .ops_size = sizeof(ops),
};
