/*
 * plug_store: see the header.
 */
#include "config.h"

#include "plug/plug_store.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_proc.h"
#include "conf/conf_dump.h"
#include "conf/conf_error.h"
#include "conf/conf_file.h"
#include "conf/conf_plugin.h"
#include "plug/plug_call.h"
#include "plug/plug_opts.h"

static bool
is_none(const struct conf *conf)
{
	return strcmp(conf->store, "none") == 0;
}

bool
plug_store_used(const struct conf *conf)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_MAIN];
	const struct conf_opt *opt = conf_table_find(tab, "store", strlen("store"));
	size_t i;

	if (is_none(conf))
		return false;
	for (i = 0; i < conf->n_namespaces; i++)
		if (conf->namespaces[i].archive)
			return true;
	return strcmp(conf->store, opt->def) != 0 ||
	    conf_plugin_find(conf, conf->store) != NULL;
}

/* ---- opening --------------------------------------------------------------------- */

/* A line about the option store, where it stands or would stand. */
#define FAIL(conf, errors, ...)                                                    \
	conf_error((errors),                                                       \
	    (conf)->store_file != NULL ? (conf)->store_file : (conf)->file,        \
	    (conf)->store_file != NULL ? (conf)->store_line : 1, "store: " __VA_ARGS__)

/* What the plugin's section gives; nothing if it is not there. */
static struct conf_body
body_of(const struct conf *conf)
{
	const struct conf_plugin *plugin = conf_plugin_find(conf, conf->store);
	bool given = conf->store_file != NULL;

	if (plugin != NULL)
		return (struct conf_body){plugin->name, plugin->file, plugin->text_line,
		    plugin->text, strlen(plugin->text)};
	return (struct conf_body){conf->store, given ? conf->store_file : conf->file,
	    given ? conf->store_line : 1, "", 0};
}

/* The state directory as a plugin in any directory finds it.  Caller frees. */
static char *
state_dir(const struct conf *conf)
{
	char *dir = conf_file_path(conf->state_dir, conf->file), *cwd;
	struct base_buf full = {0};

	if (dir[0] == '/')
		return dir;
	cwd = getcwd(NULL, 0);
	base_buf_printf(&full, "%s/%s", cwd != NULL ? cwd : ".", dir);
	base_buf_byte(&full, 0);
	free(cwd);
	free(dir);
	return full.p;
}

static bool
fits(const struct conf *conf, const struct plug_module *mod, struct base_buf *errors)
{
	uint64_t max = mod->table.max_payload;

	if (max == 0 || conf->max_message_size <= max)
		return true;
	FAIL(conf, errors,
	    "%s takes messages of at most %llu bytes: max_message_size is %llu",
	    mod->table.name, (unsigned long long)max,
	    (unsigned long long)conf->max_message_size);
	return false;
}

bool
plug_store_open(
    const struct conf *conf, struct plug_store *store_r, struct base_buf *errors)
{
	struct conf_body body = body_of(conf);
	struct base_buf name = {0}, why = {0};
	struct plug_store store = {0};

	base_assert(!is_none(conf));
	base_buf_printf(&name, "store_%s", conf->store);
	base_buf_byte(&name, 0);
	store.mod = plug_load(plug_load_dir(), name.p, CHATD_KIND_STORE, &why);
	if (store.mod == NULL)
		FAIL(conf, errors, "%.*s", (int)why.len, why.p);
	else if (fits(conf, store.mod, errors))
		store.conf = plug_opts_parse(store.mod, &body, errors);
	base_buf_free(&name);
	base_buf_free(&why);
	if (store.conf == NULL) {
		plug_unload(store.mod);
		return false;
	}
	store.state_dir = state_dir(conf);
	*store_r = store;
	return true;
}

void
plug_store_close(struct plug_store *store)
{
	plug_opts_free(store->mod, store->conf);
	plug_unload(store->mod);
	free(store->state_dir);
	*store = (struct plug_store){0};
}

struct plug *
plug_store_new(const struct plug_store *store, struct event_base *base,
    const char *node, const struct plug_owner *owner, void *owner_arg,
    struct base_buf *why)
{
	const struct plug_place place = {store->mod, store->conf, base, node,
	    store->state_dir, owner, owner_arg};

	return plug_new(&place, why);
}

/* ---- for a moment ---------------------------------------------------------------- */

static void
on_state(void *arg BASE_UNUSED, enum chatd_state state BASE_UNUSED,
    const char *why BASE_UNUSED)
{
}

static void
on_event(void *arg BASE_UNUSED)
{
}

static void
on_done(void *arg BASE_UNUSED, uint64_t token BASE_UNUSED, int code BASE_UNUSED,
    const char *why BASE_UNUSED, const struct chatd_result *results BASE_UNUSED,
    size_t n BASE_UNUSED)
{
}

static void
on_row(void *arg BASE_UNUSED, uint64_t token BASE_UNUSED,
    const struct chatd_record *row BASE_UNUSED)
{
}

/* Of a plugin that is never started and so has nothing to say. */
static const struct plug_owner nobody = {
    .state = on_state,
    .ready = on_event,
    .stopped = on_event,
    .done = on_done,
    .row = on_row,
};

/* An opened store up to its init; it lives until end. */
struct visit {
	struct plug_store store;
	struct event_base *base;
	struct plug *plug;
};

static bool
begin(const struct conf *conf, struct visit *v, struct base_buf *errors)
{
	struct base_buf why = {0};

	if (!plug_store_open(conf, &v->store, errors))
		return false;
	v->base = event_base_new();
	base_assert(v->base != NULL);
	v->plug = plug_store_new(&v->store, v->base, "check", &nobody, NULL, &why);
	if (v->plug == NULL) {
		FAIL(conf, errors, "%.*s", (int)why.len, why.p);
		event_base_free(v->base);
		plug_store_close(&v->store);
	}
	base_buf_free(&why);
	return v->plug != NULL;
}

static void
end(struct visit *v)
{
	plug_free(v->plug);
	event_base_free(v->base);
	plug_store_close(&v->store);
}

bool
plug_store_check(const struct conf *conf, struct base_buf *errors)
{
	struct visit v = {0};

	if (!plug_store_used(conf))
		return true;
	if (!begin(conf, &v, errors))
		return false;
	end(&v);
	return true;
}

/* The state directory, as the daemon makes it at its first start. */
static bool
make_state_dir(const struct conf *conf, const char *dir, struct base_buf *errors)
{
	bool given = conf->state_file != NULL;
	struct base_proc_user user = {0};
	char text[256] = "";
	int error = 0;

	if (conf->user[0] == 0 || geteuid() != 0 ||
	    base_proc_user_find(conf->user, &user, text, sizeof(text)) == 0)
		error = base_proc_make_dir(dir, &user);
	base_proc_user_free(&user);
	if (error != 0)
		snprintf(text, sizeof(text), "cannot be made: %s", strerror(error));
	if (text[0] == 0)
		return true;
	conf_error(errors, given ? conf->state_file : conf->file,
	    given ? conf->state_line : 1, "state_dir: %s: %s", dir, text);
	return false;
}

int
plug_store_migrate(const struct conf *conf, unsigned flags, struct base_buf *errors)
{
	struct visit v = {0};
	struct chatd_error err;
	int code;

	if (is_none(conf)) {
		FAIL(conf, errors, "there is none");
		return CHATD_NOTSUP;
	}
	if (!begin(conf, &v, errors))
		return CHATD_CONFIG;
	if (v.store.mod->store.migrate != NULL && (flags & CHATD_MIGRATE_CHECK) == 0 &&
	    !make_state_dir(conf, v.store.state_dir, errors)) {
		end(&v);
		return CHATD_UNAVAIL;
	}
	code = plug_migrate(v.plug, flags, &err);
	if (code == CHATD_NOTSUP)
		FAIL(conf, errors, "%s has no schema", v.store.mod->table.name);
	else if (code != 0)
		FAIL(conf, errors, "%s: %s", v.store.mod->table.name, err.text);
	end(&v);
	return code;
}

void
plug_store_dump(
    const struct conf *conf, const struct plug_store *store, struct base_buf *out)
{
	const char *name;
	size_t i;

	if (store->mod != NULL) {
		base_buf_printf(out, "%s {\n", conf->store);
		conf_dump_options(&store->mod->conf, store->conf, out);
		base_buf_str(out, "}\n");
	}
	for (i = 0; i < conf->n_plugins; i++) {
		name = conf->plugins[i].name;
		if (store->mod == NULL || strcmp(name, conf->store) != 0)
			base_buf_printf(out, "# not in use: %s { ... }\n", name);
	}
}
