/*
 * broken: plugins that must not be loaded, or not with every configuration.  NAME is
 * that of the file, and BROKEN_... says what is wrong with it; nothing else is.
 */
#include <chatd/plugin.h>

#ifndef BROKEN_NO_SYMBOL

static int
init(struct chatd_host *host, const void *conf, void **self_r, struct chatd_error *err)
{
	(void)host;
	(void)conf;
	(void)self_r;
	(void)err;
	return 0;
}

static int
start(void *self, struct chatd_error *err)
{
	(void)self;
	(void)err;
	return 0;
}

static void
stop(void *self, int64_t deadline)
{
	(void)self;
	(void)deadline;
}

static void
fini(void *self)
{
	(void)self;
}

#ifdef BROKEN_SYMBOL
int broken_is_nowhere(void);
#endif

static int
take(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	(void)self;
	(void)batch;
	(void)err;
#ifdef BROKEN_SYMBOL
	return broken_is_nowhere();
#else
	return 0;
#endif
}

#ifndef BROKEN_OPT_NAME
#define BROKEN_OPT_NAME "room"
#endif
#ifndef BROKEN_OPT_DEFAULT
#define BROKEN_OPT_DEFAULT "8m"
#endif
#ifndef BROKEN_OPT_TYPE
#define BROKEN_OPT_TYPE CHATD_OPT_SIZE
#endif
#ifndef BROKEN_OPT_AT
#define BROKEN_OPT_AT 8
#endif
#ifndef BROKEN_OPT_MIN
#define BROKEN_OPT_MIN 1
#endif
#ifndef BROKEN_OPT_N
#define BROKEN_OPT_N 2
#endif

static const struct chatd_opt opts[] = {
    {"first", CHATD_OPT_INT, CHATD_OPT_LIVE, 0, "1", 0, 0, "First."},
    {BROKEN_OPT_NAME, BROKEN_OPT_TYPE, CHATD_OPT_LIVE, BROKEN_OPT_AT,
	BROKEN_OPT_DEFAULT, BROKEN_OPT_MIN, 16777216, "Second."},
};

#ifndef BROKEN_LIFE_SIZE
#define BROKEN_LIFE_SIZE sizeof(struct chatd_life)
#endif
#ifndef BROKEN_CAPS
#define BROKEN_CAPS CHATD_STORE_TX
#endif
#ifndef BROKEN_WRITE
#define BROKEN_WRITE take
#endif

static const struct chatd_life life = {
    .init = init, .start = start, .stop = stop, .fini = fini};

static const struct chatd_store_ops ops = {.write = BROKEN_WRITE};

/* Makes the compiler content when the function is left out. */
int (*const broken_unused)(
    void *, const struct chatd_batch *, struct chatd_error *) = take;

#ifndef BROKEN_MAGIC
#define BROKEN_MAGIC CHATD_PLUGIN_MAGIC
#endif
#ifndef BROKEN_MAJOR
#define BROKEN_MAJOR CHATD_ABI_MAJOR
#endif
#ifndef BROKEN_MINOR
#define BROKEN_MINOR CHATD_ABI_MINOR
#endif
#ifndef BROKEN_SIZE
#define BROKEN_SIZE sizeof(struct chatd_plugin)
#endif
#ifndef BROKEN_KIND
#define BROKEN_KIND CHATD_KIND_STORE
#endif
#ifndef BROKEN_NAME
#define BROKEN_NAME NAME
#endif
#ifndef BROKEN_BUILD
#define BROKEN_BUILD CHATD_BUILD
#endif

#ifndef BROKEN_PAYLOAD
#define BROKEN_PAYLOAD 0
#endif

const struct chatd_plugin chatd_plugin = {
    .magic = BROKEN_MAGIC,
    .abi_major = BROKEN_MAJOR,
    .abi_minor = BROKEN_MINOR,
    .size = BROKEN_SIZE,
    .kind = BROKEN_KIND,
    .name = BROKEN_NAME,
    .version = "1",
    .build = BROKEN_BUILD,
    .caps = BROKEN_CAPS,
    .max_payload = BROKEN_PAYLOAD,
    .opts = opts,
    .n_opts = BROKEN_OPT_N,
    .conf_size = 16,
    .life = &life,
    .life_size = BROKEN_LIFE_SIZE,
    .ops = &ops,
    .ops_size = sizeof(ops),
};

#else

/* A shared object like any other. */
CHATD_EXPORT int broken_object(void);

int
broken_object(void)
{
	return 1;
}

#endif
