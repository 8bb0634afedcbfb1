/*
 * conf_plugin: see the header.
 */
#include "config.h"

#include "conf/conf_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"
#include "conf/conf_error.h"

/* Those that chatd brings, or may bring, itself. */
static const char *const known[] = {"sqlite", "postgres", "redis", "nats", "kafka"};

void
conf_plugin_add(struct conf *conf, const struct conf_plugin *plugin)
{
	conf->plugins = base_realloc(
	    conf->plugins, conf->n_plugins + 1, sizeof(*conf->plugins));
	conf->plugins[conf->n_plugins++] = *plugin;
}

void
conf_plugin_free_all(struct conf *conf)
{
	struct conf_plugin *plugin;
	size_t i;

	for (i = 0; i < conf->n_plugins; i++) {
		plugin = &conf->plugins[i];
		free(plugin->name);
		free(plugin->file);
		explicit_bzero(plugin->text, strlen(plugin->text)); /* a password? */
		free(plugin->text);
	}
	free(conf->plugins);
	conf->plugins = NULL;
	conf->n_plugins = 0;
}

const struct conf_plugin *
conf_plugin_find(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->n_plugins; i++)
		if (strcmp(conf->plugins[i].name, name) == 0)
			return &conf->plugins[i];
	return NULL;
}

bool
conf_plugin_same(const struct conf *a, const struct conf *b, const char *name)
{
	const struct conf_plugin *x = conf_plugin_find(a, name);
	const struct conf_plugin *y = conf_plugin_find(b, name);

	if (x == NULL || y == NULL)
		return x == y;
	return strcmp(x->text, y->text) == 0;
}

static bool
is_known(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < BASE_COUNT(known); i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return strcmp(name, conf->store) == 0;
}

void
conf_plugin_check(const struct conf *conf, struct base_buf *errors)
{
	const struct conf_plugin *plugin, *first;
	size_t i;

	for (i = 0; i < conf->n_plugins; i++) {
		plugin = &conf->plugins[i];
		first = conf_plugin_find(conf, plugin->name);
		if (!is_known(conf, plugin->name))
			conf_error(errors, plugin->file, plugin->line,
			    "%.60s: no such section", plugin->name);
		else if (first != plugin)
			conf_error(errors, plugin->file, plugin->line,
			    "%.60s: given twice: first at %s:%d", plugin->name,
			    first->file, first->line);
	}
}
