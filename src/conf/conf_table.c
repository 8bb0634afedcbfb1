/*
 * conf_table: see the header.
 */
#include "config.h"

#include "conf/conf_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "conf/conf_plugin.h"
#include "conf/conf_value.h"

#define ROW(owner, type, name, def, min, max, change, text)                         \
	{CONF_##type, CONF_##change, #name, offsetof(struct owner, name), def, min, \
	    max, text},
#define MAIN_ROW(...)      ROW(conf, __VA_ARGS__)
#define LISTEN_ROW(...)    ROW(conf_listen, __VA_ARGS__)
#define NAMESPACE_ROW(...) ROW(conf_namespace, __VA_ARGS__)

static const struct conf_opt main_opts[] = {CONF_OPTS_MAIN(MAIN_ROW)};
static const struct conf_opt listen_opts[] = {CONF_OPTS_LISTEN(LISTEN_ROW)};
static const struct conf_opt namespace_opts[] = {CONF_OPTS_NAMESPACE(NAMESPACE_ROW)};

#define SECTION_ASSERT(owner, field)                                               \
	_Static_assert(                                                            \
	    offsetof(struct owner, field) == offsetof(struct conf_section, field), \
	    "section head")
SECTION_ASSERT(conf_listen, title);
SECTION_ASSERT(conf_listen, file);
SECTION_ASSERT(conf_listen, line);
SECTION_ASSERT(conf_namespace, title);
SECTION_ASSERT(conf_namespace, file);
SECTION_ASSERT(conf_namespace, line);

const struct conf_table conf_tables[CONF_TABLES] = {
    [CONF_TABLE_MAIN] = {NULL, main_opts, BASE_COUNT(main_opts), sizeof(struct conf), 0,
	0},
    [CONF_TABLE_LISTEN] = {"listen", listen_opts, BASE_COUNT(listen_opts),
	sizeof(struct conf_listen), offsetof(struct conf, listens),
	offsetof(struct conf, n_listens)},
    [CONF_TABLE_NAMESPACE] = {"namespace", namespace_opts, BASE_COUNT(namespace_opts),
	sizeof(struct conf_namespace), offsetof(struct conf, namespaces),
	offsetof(struct conf, n_namespaces)},
};

const struct conf_opt *
conf_table_find(const struct conf_table *tab, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < tab->n; i++)
		if (strlen(tab->opts[i].name) == len &&
		    memcmp(tab->opts[i].name, name, len) == 0)
			return &tab->opts[i];
	return NULL;
}

size_t
conf_table_count(const struct conf *conf, const struct conf_table *tab)
{
	size_t n;

	if (tab->section == NULL)
		return 1;
	memcpy(&n, (const char *)conf + tab->n_at, sizeof(n));
	return n;
}

const void *
conf_table_peek(const struct conf *conf, const struct conf_table *tab, size_t i)
{
	const char *list;

	base_assert(i < conf_table_count(conf, tab));
	if (tab->section == NULL)
		return conf;
	memcpy(&list, (const char *)conf + tab->list_at, sizeof(list));
	return list + i * tab->size;
}

void *
conf_table_get(struct conf *conf, const struct conf_table *tab, size_t i)
{
	char *list;

	base_assert(i < conf_table_count(conf, tab));
	if (tab->section == NULL)
		return conf;
	memcpy(&list, (char *)conf + tab->list_at, sizeof(list));
	return list + i * tab->size;
}

static void
set_defaults(const struct conf_table *tab, void *instance)
{
	const struct conf_opt *opt;
	size_t i;

	for (i = 0; i < tab->n; i++) {
		opt = &tab->opts[i];
		conf_value_default(opt, conf_opt_field(opt, instance));
	}
}

static void
set_list(struct conf *conf, const struct conf_table *tab, void *list, size_t n)
{
	memcpy((char *)conf + tab->list_at, &list, sizeof(list));
	memcpy((char *)conf + tab->n_at, &n, sizeof(n));
}

void *
conf_table_add(struct conf *conf, const struct conf_table *tab, const char *title,
    const char *file, int line)
{
	struct conf_section *section;
	size_t n = conf_table_count(conf, tab);
	char *list;

	base_assert(tab->section != NULL);
	memcpy(&list, (char *)conf + tab->list_at, sizeof(list));
	list = base_realloc(list, n + 1, tab->size);
	set_list(conf, tab, list, n + 1);
	list += n * tab->size;
	memset(list, 0, tab->size);
	section = (void *)list;
	section->title = base_strdup(title);
	section->file = base_strdup(file);
	section->line = line;
	set_defaults(tab, section);
	return section;
}

struct conf *
conf_table_new(void)
{
	struct conf *conf = base_zalloc(sizeof(*conf));

	set_defaults(&conf_tables[CONF_TABLE_MAIN], conf);
	return conf;
}

size_t
conf_table_index(
    const struct conf *conf, const struct conf_table *tab, const char *title)
{
	const struct conf_section *section;
	size_t i, n = conf_table_count(conf, tab);

	for (i = 0; i < n; i++) {
		section = conf_table_peek(conf, tab, i);
		if (strcmp(section->title, title) == 0)
			break;
	}
	return i;
}

static void
free_values(const struct conf_table *tab, void *instance)
{
	size_t i;

	for (i = 0; i < tab->n; i++)
		conf_value_free(&tab->opts[i], conf_opt_field(&tab->opts[i], instance));
}

static void
free_sections(struct conf *conf, const struct conf_table *tab)
{
	struct conf_section *section;
	size_t i, n = conf_table_count(conf, tab);

	for (i = 0; i < n; i++) {
		section = conf_table_get(conf, tab, i);
		free_values(tab, section);
		free(section->title);
		free(section->file);
	}
	if (n > 0)
		free(conf_table_get(conf, tab, 0));
	set_list(conf, tab, NULL, 0);
}

void
conf_table_copy(struct conf *to, const struct conf *from, const struct conf_table *tab)
{
	const struct conf_section *old;
	const struct conf_opt *opt;
	size_t i, o;
	void *section;

	free_sections(to, tab);
	for (i = 0; i < conf_table_count(from, tab); i++) {
		old = conf_table_peek(from, tab, i);
		section = conf_table_add(to, tab, old->title, old->file, old->line);
		for (o = 0; o < tab->n; o++) {
			opt = &tab->opts[o];
			conf_value_copy(
			    opt, conf_opt_field(opt, section), conf_opt_peek(opt, old));
		}
	}
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	free_sections(conf, &conf_tables[CONF_TABLE_LISTEN]);
	free_sections(conf, &conf_tables[CONF_TABLE_NAMESPACE]);
	free_values(&conf_tables[CONF_TABLE_MAIN], conf);
	conf_plugin_free_all(conf);
	free(conf->file);
	free(conf->store_file);
	free(conf->state_file);
	free(conf);
}
