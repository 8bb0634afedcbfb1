/*
 * plug_call: see the header.
 */
#include "config.h"

#include "plug/plug_call.h"

#include <stdio.h>

#include "base/base_assert.h"
#include "plug/plug_priv.h"

/* The code of a call; ERR gets what the plugin has left out of it. */
static int
check(const char *call, int code, struct chatd_error *err)
{
	/* A positive code means nothing, so the plugin is wrong. */
	if (code > 0)
		code = CHATD_BUG;
	err->code = code;
	err->text[sizeof(err->text) - 1] = 0;
	if (code == 0)
		err->text[0] = 0;
	else if (err->text[0] == 0)
		snprintf(
		    err->text, sizeof(err->text), "%s failed with code %d", call, code);
	return code;
}

static int
result(struct plug *p, const char *call, int64_t since, int code,
    struct chatd_error *err)
{
	plug_leave(p, call, since);
	return check(call, code, err);
}

static int
absent(struct plug *p, const char *call, struct chatd_error *err)
{
	return chatd_fail(err, CHATD_NOTSUP, "%s has no function %s",
	    p->place.mod->table.name, call);
}

int
plug_start(struct plug *p, struct chatd_error *err)
{
	int64_t since = plug_enter(p);

	*err = (struct chatd_error){0};
	return result(
	    p, "start", since, p->place.mod->life.start(p->self, err), err);
}

void
plug_stop(struct plug *p, int64_t deadline)
{
	int64_t since = plug_enter(p);

	p->place.mod->life.stop(p->self, deadline);
	plug_leave(p, "stop", since);
}

int
plug_reconf(struct plug *p, const void *conf, struct chatd_error *err)
{
	const struct chatd_life *life = &p->place.mod->life;
	int64_t since;

	*err = (struct chatd_error){0};
	if (life->reconf == NULL)
		return absent(p, "reconf", err);
	since = plug_enter(p);
	return result(p, "reconf", since, life->reconf(p->self, conf, err), err);
}

void
plug_tick(struct plug *p, int64_t now)
{
	int64_t since;

	if (p->place.mod->life.tick == NULL)
		return;
	since = plug_enter(p);
	p->place.mod->life.tick(p->self, now);
	plug_leave(p, "tick", since);
}

void
plug_stats(struct plug *p, struct chatd_sink *sink)
{
	int64_t since;

	if (p->place.mod->life.stats == NULL)
		return;
	since = plug_enter(p);
	p->place.mod->life.stats(p->self, sink);
	plug_leave(p, "stats", since);
}

static const struct chatd_store_ops *
store(struct plug *p)
{
	base_assert(p->place.mod->table.kind == CHATD_KIND_STORE);
	return &p->place.mod->store;
}

int
plug_write(struct plug *p, const struct chatd_batch *batch, struct chatd_error *err)
{
	const struct chatd_store_ops *ops = store(p);
	int64_t since = plug_enter(p);

	*err = (struct chatd_error){0};
	return result(p, "write", since, ops->write(p->self, batch, err), err);
}

int
plug_history(struct plug *p, const struct chatd_history *ask, struct chatd_error *err)
{
	const struct chatd_store_ops *ops = store(p);
	int64_t since;

	*err = (struct chatd_error){0};
	if ((p->place.mod->table.caps & CHATD_STORE_HISTORY) == 0)
		return absent(p, "history", err);
	since = plug_enter(p);
	return result(p, "history", since, ops->history(p->self, ask, err), err);
}

int
plug_migrate(struct plug *p, unsigned flags, struct chatd_error *err)
{
	const struct chatd_store_ops *ops = store(p);
	int64_t since;
	int code;

	*err = (struct chatd_error){0};
	if (ops->migrate == NULL)
		return absent(p, "migrate", err);
	since = plug_enter(p);
	code = ops->migrate(p->self, flags, err);
	plug_leave(p, NULL, since); /* it may take as long as it wants */
	return check("migrate", code, err);
}

int
plug_ping(struct plug *p, uint64_t token, struct chatd_error *err)
{
	const struct chatd_store_ops *ops = store(p);
	int64_t since;

	*err = (struct chatd_error){0};
	if (ops->ping == NULL)
		return absent(p, "ping", err);
	since = plug_enter(p);
	return result(p, "ping", since, ops->ping(p->self, token, err), err);
}
