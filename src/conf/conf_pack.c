/*
 * conf_pack: a configuration as bytes for children; see conf_dump.h.
 *
 *	u64  magic and version
 *	u64  hash of the option table: another binary's pack is refused
 *	the options of the file, in the order of the table
 *	for each kind of section: u64 how many, then for each
 *	     string title, string file, u64 line, its options
 *	string file, string store_file (empty: not given), u64 store_line,
 *	the same two for state_dir
 *	u64 how many sections of plugins, then for each
 *	     string name, string file, u64 line, string text, u64 its line
 *
 * An option is an i64 for all that is a number, else
 *	string   u64 length, bytes without a NUL
 *	file     string path, u64 whether it is set, string that may hold NULs
 *	list     u64 how many, strings
 * Numbers are in the byte order of the machine: a pack never leaves it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/base_hash.h"
#include "base/base_mem.h"
#include "conf/conf_dump.h"
#include "conf/conf_plugin.h"
#include "conf/conf_value.h"
#include "conf/conf_words.h"

#define PACK_MAGIC 0x63686174636f6e02u /* "chatcon", version 2 */

/* A reader that stays at its first error and then gives zeros. */
struct unpack {
	const char *p;
	size_t len;
	bool bad;
};

static uint64_t
table_hash(void)
{
	static const struct base_hash_key key = {1, 2};
	const struct conf_table *tab;
	const struct conf_opt *opt;
	struct base_buf text = {0};
	uint64_t hash;
	size_t i;

	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++)
		for (i = 0; i < tab->n; i++) {
			opt = &tab->opts[i];
			base_buf_printf(
			    &text, "%s %d %zu;", opt->name, opt->type, opt->at);
		}
	hash = base_hash(&key, text.p, text.len);
	base_buf_free(&text);
	return hash;
}

static void
pack_u64(struct base_buf *out, uint64_t n)
{
	base_buf_add(out, &n, sizeof(n));
}

static void
pack_bytes(struct base_buf *out, const char *p, size_t n)
{
	pack_u64(out, n);
	base_buf_add(out, p, n);
}

static void
pack_str(struct base_buf *out, const char *s)
{
	pack_bytes(out, s, strlen(s));
}

static void
pack_file(struct base_buf *out, const struct conf_file *file)
{
	pack_str(out, file->path);
	pack_u64(out, file->data != NULL);
	pack_bytes(out, file->data, file->len);
}

static void
pack_list(struct base_buf *out, const struct conf_list *list)
{
	size_t i;

	pack_u64(out, list->n);
	for (i = 0; i < list->n; i++)
		pack_str(out, list->items[i]);
}

static void
pack_options(const struct conf_table *tab, const void *instance, struct base_buf *out)
{
	const struct conf_opt *opt;
	const void *field;
	size_t i;

	for (i = 0; i < tab->n; i++) {
		opt = &tab->opts[i];
		field = conf_opt_peek(opt, instance);
		if (opt->type == CONF_STR || opt->type == CONF_SECRET)
			pack_str(out, *(char *const *)field);
		else if (opt->type == CONF_FILE)
			pack_file(out, field);
		else if (opt->type == CONF_LIST)
			pack_list(out, field);
		else
			pack_u64(out, (uint64_t)conf_value_number(opt, field));
	}
}

static void
pack_place(struct base_buf *out, const char *file, int line)
{
	pack_str(out, file != NULL ? file : "");
	pack_u64(out, (uint64_t)line);
}

static void
pack_plugins(const struct conf *conf, struct base_buf *out)
{
	const struct conf_plugin *plugin;
	size_t i;

	pack_str(out, conf->file != NULL ? conf->file : "");
	pack_place(out, conf->store_file, conf->store_line);
	pack_place(out, conf->state_file, conf->state_line);
	pack_u64(out, conf->n_plugins);
	for (i = 0; i < conf->n_plugins; i++) {
		plugin = &conf->plugins[i];
		pack_str(out, plugin->name);
		pack_str(out, plugin->file);
		pack_u64(out, (uint64_t)plugin->line);
		pack_str(out, plugin->text);
		pack_u64(out, (uint64_t)plugin->text_line);
	}
}

void
conf_pack(const struct conf *conf, struct base_buf *out)
{
	const struct conf_section *section;
	const struct conf_table *tab;
	size_t i;

	pack_u64(out, PACK_MAGIC);
	pack_u64(out, table_hash());
	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++) {
		if (tab->section == NULL) {
			pack_options(tab, conf, out);
			continue;
		}
		pack_u64(out, conf_table_count(conf, tab));
		for (i = 0; i < conf_table_count(conf, tab); i++) {
			section = conf_table_peek(conf, tab, i);
			pack_str(out, section->title);
			pack_str(out, section->file);
			pack_u64(out, (uint64_t)section->line);
			pack_options(tab, section, out);
		}
	}
	pack_plugins(conf, out);
}

static const char *
unpack_raw(struct unpack *u, size_t n)
{
	const char *p = u->p;

	if (u->bad || n > u->len) {
		u->bad = true;
		return NULL;
	}
	u->p += n;
	u->len -= n;
	return p;
}

static uint64_t
unpack_u64(struct unpack *u)
{
	const char *p = unpack_raw(u, sizeof(uint64_t));
	uint64_t n = 0;

	if (p != NULL)
		memcpy(&n, p, sizeof(n));
	return n;
}

/* Caller frees; never NULL. */
static char *
unpack_bytes(struct unpack *u, size_t *len_r)
{
	size_t len = unpack_u64(u);
	const char *p = unpack_raw(u, len);

	*len_r = p != NULL ? len : 0;
	return base_memdup(p != NULL ? p : "", *len_r);
}

static char *
unpack_str(struct unpack *u)
{
	size_t len;
	char *s = unpack_bytes(u, &len);

	u->bad |= strlen(s) != len;
	return s;
}

static void
unpack_file(struct unpack *u, struct conf_file *file)
{
	struct conf_file fresh = {.path = unpack_str(u)};
	uint64_t is_set = unpack_u64(u);

	fresh.data = unpack_bytes(u, &fresh.len);
	u->bad |= is_set > 1 || (is_set == 0 && fresh.len > 0);
	free(file->path);
	free(file->data);
	if (is_set == 0 || u->bad) {
		free(fresh.data);
		fresh.data = NULL;
		fresh.len = 0;
	}
	*file = fresh;
}

static void
unpack_list(struct unpack *u, const struct conf_opt *opt, struct conf_list *list)
{
	uint64_t i, n = unpack_u64(u);

	conf_value_free(opt, list);
	/* Each item takes at least its length's eight bytes. */
	if (n > u->len / sizeof(uint64_t)) {
		u->bad = true;
		return;
	}
	if (n == 0)
		return;
	list->items = base_realloc(NULL, n, sizeof(*list->items));
	for (i = 0; i < n; i++)
		list->items[list->n++] = unpack_str(u);
}

static void
unpack_options(struct unpack *u, const struct conf_table *tab, void *instance)
{
	const struct conf_opt *opt;
	char **str;
	int64_t number;
	void *field;
	size_t i;

	for (i = 0; i < tab->n; i++) {
		opt = &tab->opts[i];
		field = conf_opt_field(opt, instance);
		if (opt->type == CONF_STR || opt->type == CONF_SECRET) {
			str = field;
			free(*str);
			*str = unpack_str(u);
		} else if (opt->type == CONF_FILE) {
			unpack_file(u, field);
		} else if (opt->type == CONF_LIST) {
			unpack_list(u, opt, field);
		} else {
			number = (int64_t)unpack_u64(u);
			u->bad |= conf_value_set_number(opt, field, number) < 0;
		}
	}
}

static int
unpack_line(struct unpack *u)
{
	uint64_t line = unpack_u64(u);

	u->bad |= line > INT32_MAX;
	return u->bad ? 0 : (int)line;
}

static void
unpack_sections(struct unpack *u, const struct conf_table *tab, struct conf *conf)
{
	uint64_t i, n = unpack_u64(u);
	char *title, *file;
	void *section;
	int line;

	for (i = 0; i < n && !u->bad; i++) {
		title = unpack_str(u);
		file = unpack_str(u);
		line = unpack_line(u);
		section = conf_table_add(conf, tab, title, file, line);
		free(title);
		free(file);
		unpack_options(u, tab, section);
	}
}

static void
unpack_place(struct unpack *u, char **file_r, int *line_r)
{
	*file_r = unpack_str(u);
	if ((*file_r)[0] == 0) {
		free(*file_r);
		*file_r = NULL;
	}
	*line_r = unpack_line(u);
}

static void
unpack_plugins(struct unpack *u, struct conf *conf)
{
	struct conf_plugin plugin;
	uint64_t i, n;

	conf->file = unpack_str(u);
	unpack_place(u, &conf->store_file, &conf->store_line);
	unpack_place(u, &conf->state_file, &conf->state_line);
	n = unpack_u64(u);
	for (i = 0; i < n && !u->bad; i++) {
		plugin.name = unpack_str(u);
		plugin.file = unpack_str(u);
		plugin.line = unpack_line(u);
		plugin.text = unpack_str(u);
		plugin.text_line = unpack_line(u);
		conf_plugin_add(conf, &plugin);
	}
}

struct conf *
conf_unpack(const void *p, size_t len)
{
	struct unpack u = {.p = p, .len = len};
	const struct conf_table *tab;
	struct conf *conf;

	if (unpack_u64(&u) != PACK_MAGIC || unpack_u64(&u) != table_hash())
		return NULL;
	conf = conf_table_new();
	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++) {
		if (tab->section == NULL)
			unpack_options(&u, tab, conf);
		else
			unpack_sections(&u, tab, conf);
	}
	unpack_plugins(&u, conf);
	if (u.bad || u.len > 0) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}

struct conf *
conf_unpack_fd(int fd)
{
	struct conf *conf;
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size == 0)
		return NULL;
	/* Not shared: before Linux 6.7 a sealed file refuses that even to readers. */
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	conf = conf_unpack(p, (size_t)st.st_size);
	munmap(p, (size_t)st.st_size);
	return conf;
}
