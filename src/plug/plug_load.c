/*
 * plug_load: see the header.
 */
#include "config.h"

#include "plug/plug_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "base/base_mem.h"
#include "plug/plug_opts.h"

#define NAME_MAX_LEN 64
/* Bytes of a text of the plugin's that a message repeats. */
#define SHOW_MAX 60
/* The table of version 1.0; an older one there is not. */
#define TABLE_MIN (offsetof(struct chatd_plugin, ops_size) + sizeof(size_t))

/* A function that a plugin must have: all of them, or those with a capability. */
struct need {
	const char *name;
	size_t at;
	uint64_t caps; /* 0: all */
};

struct kind {
	uint32_t id;
	const char *name;
	uint64_t caps; /* all that there are */
	const struct need *needs;
	size_t n_needs;
};

static const struct need life_needs[] = {
    {"init", offsetof(struct chatd_life, init), 0},
    {"start", offsetof(struct chatd_life, start), 0},
    {"stop", offsetof(struct chatd_life, stop), 0},
    {"fini", offsetof(struct chatd_life, fini), 0},
};

static const struct need store_needs[] = {
    {"write", offsetof(struct chatd_store_ops, write), 0},
    {"history", offsetof(struct chatd_store_ops, history), CHATD_STORE_HISTORY},
    {"migrate", offsetof(struct chatd_store_ops, migrate), CHATD_STORE_SCHEMA},
};

static const struct kind kinds[] = {
    {CHATD_KIND_BUS, "bus", 0, NULL, 0},
    {CHATD_KIND_LOG, "log", 0, NULL, 0},
    {CHATD_KIND_STORE, "store",
	CHATD_STORE_TX | CHATD_STORE_HISTORY | CHATD_STORE_ASYNC | CHATD_STORE_SCHEMA |
	    CHATD_STORE_ORDERED,
	store_needs, BASE_COUNT(store_needs)},
};

/* One a process, as the command line is. */
static char *other_dir;

const char *
plug_load_dir(void)
{
	return other_dir != NULL ? other_dir : PLUGINDIR;
}

bool
plug_load_set_dir(const char *dir)
{
	if (getauxval(AT_SECURE) != 0)
		return false;
	free(other_dir);
	other_dir = base_strdup(dir);
	return true;
}

static const struct kind *
find_kind(uint32_t id)
{
	size_t i;

	for (i = 0; i < BASE_COUNT(kinds); i++)
		if (kinds[i].id == id)
			return &kinds[i];
	return NULL;
}

/* A text of the plugin's as a message may show it. */
static void
add_shown(struct base_buf *why, const char *text)
{
	size_t i;

	base_buf_byte(why, '"');
	for (i = 0; i < SHOW_MAX && text[i] != 0; i++)
		base_buf_byte(why,
		    (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
	base_buf_str(why, text[i] != 0 ? "...\"" : "\"");
}

static bool
check_version(const struct chatd_plugin *table, struct base_buf *why)
{
	if (table->magic != CHATD_PLUGIN_MAGIC) {
		base_buf_printf(why,
		    "is not a plugin of chatd: its table begins with %08" PRIx32
		    ", not %08" PRIx32,
		    table->magic, CHATD_PLUGIN_MAGIC);
		return false;
	}
	if (table->abi_major != CHATD_ABI_MAJOR || table->abi_minor > CHATD_ABI_MINOR) {
		base_buf_printf(why,
		    "is built for plugin interface %u.%u; this chatd has %u.%u: %s",
		    table->abi_major, table->abi_minor, CHATD_ABI_MAJOR,
		    CHATD_ABI_MINOR,
		    table->abi_major == CHATD_ABI_MAJOR
			? "it needs a newer chatd"
			: "it has to be built for this one");
		return false;
	}
	if (table->size < TABLE_MIN) {
		base_buf_printf(why, "has a table of %" PRIu32 " bytes: at least %zu",
		    table->size, TABLE_MIN);
		return false;
	}
	return true;
}

static bool
check_build(const struct chatd_plugin *table, struct base_buf *why)
{
	const char *build = table->build != NULL ? table->build : "";

	if (strcmp(build, CHATD_BUILD) == 0)
		return true;
	base_buf_str(why, "is built ");
	base_buf_str(why, build[0] != 0 ? "for " : "without a sanitizer");
	if (build[0] != 0)
		add_shown(why, build);
	base_buf_printf(why, ", this chatd %s%s: both have to be built alike",
	    CHATD_BUILD[0] != 0 ? "for " : "without a sanitizer", CHATD_BUILD);
	return false;
}

static bool
check_identity(const struct chatd_plugin *table, const char *name,
    const struct kind *want, struct base_buf *why)
{
	const struct kind *is = find_kind(table->kind);

	if (is == NULL) {
		base_buf_printf(why,
		    "is of the unknown kind %" PRIu32 ": a %s is needed", table->kind,
		    want->name);
		return false;
	}
	if (is != want) {
		base_buf_printf(
		    why, "is a %s: a %s is needed here", is->name, want->name);
		return false;
	}
	if (table->name == NULL || table->version == NULL) {
		base_buf_str(why, "has no name or no version");
		return false;
	}
	if (strcmp(table->name, name) != 0) {
		base_buf_str(why, "calls itself ");
		add_shown(why, table->name);
		base_buf_str(why, ": must be the name of its file");
		return false;
	}
	if ((table->caps & ~want->caps) != 0) {
		base_buf_printf(why,
		    "has capabilities that this chatd does not know: bits %#" PRIx64,
		    table->caps & ~want->caps);
		return false;
	}
	return true;
}

/* FROM holds SIZE bytes of a structure that has FULL here. */
static void
copy_part(void *to, size_t full, const void *from, size_t size)
{
	memset(to, 0, full);
	if (from != NULL)
		memcpy(to, from, BASE_MIN(full, size));
}

static bool
check_needs(const void *functions, const struct need *needs, size_t n, uint64_t caps,
    struct base_buf *why)
{
	void (*function)(void);
	size_t i;

	for (i = 0; i < n; i++) {
		if (needs[i].caps != 0 && (needs[i].caps & caps) == 0)
			continue;
		memcpy(&function, (const char *)functions + needs[i].at,
		    sizeof(function));
		if (function != NULL)
			continue;
		base_buf_printf(why, "lacks the function %s%s", needs[i].name,
		    needs[i].caps != 0 ? ", which its capabilities promise" : "");
		return false;
	}
	return true;
}

/* Fills MOD from the table that the plugin exports. */
static bool
take_table(struct plug_module *mod, const struct chatd_plugin *table, const char *name,
    const struct kind *kind, struct base_buf *why)
{
	if (!check_version(table, why))
		return false;
	copy_part(&mod->table, sizeof(mod->table), table, table->size);
	table = &mod->table;
	if (!check_build(table, why) || !check_identity(table, name, kind, why))
		return false;
	copy_part(&mod->life, sizeof(mod->life), table->life, table->life_size);
	copy_part(&mod->store, sizeof(mod->store), table->ops, table->ops_size);
	mod->table.life = &mod->life;
	mod->table.ops = &mod->store;
	return check_needs(
		   &mod->life, life_needs, BASE_COUNT(life_needs), table->caps, why) &&
	    check_needs(&mod->store, kind->needs, kind->n_needs, table->caps, why) &&
	    plug_opts_table(mod, why);
}

static bool
is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len > 0 && len <= NAME_MAX_LEN && name[len] == 0;
}

/* The table of the file at MOD->path, or NULL. */
static const struct chatd_plugin *
open_file(struct plug_module *mod, struct base_buf *why)
{
	const struct chatd_plugin *table;
	struct stat st;

	if (stat(mod->path, &st) < 0) {
		base_buf_str(why, strerror(errno));
		return NULL;
	}
	mod->handle = dlopen(mod->path, RTLD_NOW | RTLD_LOCAL);
	if (mod->handle == NULL) {
		base_buf_printf(why, "cannot be loaded: %s", dlerror());
		return NULL;
	}
	table = dlsym(mod->handle, "chatd_plugin");
	if (table == NULL)
		base_buf_str(
		    why, "is not a plugin of chatd: it has no symbol chatd_plugin");
	return table;
}

struct plug_module *
plug_load(
    const char *dir, const char *name, enum chatd_kind kind, struct base_buf *why)
{
	struct base_buf path = {0};
	const struct chatd_plugin *table;
	struct plug_module *mod;

	if (!is_name(name)) {
		base_buf_str(why, "not the name of a plugin: ");
		add_shown(why, name);
		return NULL;
	}
	mod = base_zalloc(sizeof(*mod));
	base_buf_printf(&path, "%s/%s.so", dir, name);
	base_buf_byte(&path, 0);
	mod->path = path.p;
	base_buf_printf(why, "%s: ", mod->path);
	table = open_file(mod, why);
	if (table == NULL || !take_table(mod, table, name, find_kind(kind), why)) {
		plug_unload(mod);
		return NULL;
	}
	base_buf_drop(why, why->len);
	return mod;
}

void
plug_unload(struct plug_module *mod)
{
	if (mod == NULL)
		return;
	free(mod->opts);
	if (mod->handle != NULL)
		dlclose(mod->handle);
	free(mod->path);
	free(mod);
}
