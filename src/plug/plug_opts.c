/*
 * plug_opts: see the header.
 */
#include "config.h"

#include "plug/plug_opts.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "conf/conf_error.h"
#include "conf/conf_value.h"

#define OPT_NAME_MAX 48
#define CONF_SIZE_MAX 65536

/* conf/ fills the plugin's fields as its own. */
#define SAME(ours, theirs, member)                                               \
	_Static_assert(offsetof(struct ours, member) ==                          \
		offsetof(struct theirs, member),                                 \
	    "fields of options are laid out alike")
SAME(conf_file, chatd_file, path);
SAME(conf_file, chatd_file, data);
SAME(conf_file, chatd_file, len);
SAME(conf_list, chatd_list, items);
SAME(conf_list, chatd_list, n);
_Static_assert(sizeof(struct conf_file) == sizeof(struct chatd_file), "file");
_Static_assert(sizeof(struct conf_list) == sizeof(struct chatd_list), "list");

struct type {
	enum conf_type type;
	size_t size, align;
};

static const struct type types[] = {
    [CHATD_OPT_INT] = {CONF_INT, sizeof(int64_t), _Alignof(int64_t)},
    [CHATD_OPT_SIZE] = {CONF_SIZE, sizeof(uint64_t), _Alignof(uint64_t)},
    [CHATD_OPT_TIME] = {CONF_TIME, sizeof(int64_t), _Alignof(int64_t)},
    [CHATD_OPT_BOOL] = {CONF_BOOL, sizeof(bool), _Alignof(bool)},
    [CHATD_OPT_STR] = {CONF_STR, sizeof(char *), _Alignof(char *)},
    [CHATD_OPT_SECRET] = {CONF_SECRET, sizeof(char *), _Alignof(char *)},
    [CHATD_OPT_FILE] = {CONF_FILE, sizeof(struct conf_file),
	_Alignof(struct conf_file)},
    [CHATD_OPT_LIST] = {CONF_LIST, sizeof(struct conf_list),
	_Alignof(struct conf_list)},
};

/* A field of any type. */
union field {
	int64_t number;
	char *str;
	struct conf_file file;
	struct conf_list list;
};

static bool
is_str(const struct conf_opt *opt)
{
	return opt->type == CONF_STR || opt->type == CONF_SECRET;
}

static bool
is_opt_name(const char *name)
{
	size_t len;

	if (name == NULL || name[0] < 'a' || name[0] > 'z')
		return false;
	len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return len <= OPT_NAME_MAX && name[len] == 0;
}

/* Whether the default is a value that the option may have. */
static bool
check_default(const struct conf_opt *opt, struct base_buf *why)
{
	bool none = opt->type == CONF_LIST && strcmp(opt->def, "{}") == 0;
	union field field = {0};
	bool good;

	if (is_str(opt) && opt->def[0] == 0)
		return true;
	base_buf_printf(why, "has the option %s with a wrong default: ", opt->name);
	if (opt->type == CONF_FILE && opt->def[0] != 0) {
		base_buf_str(why, "a file has none");
		return false;
	}
	good = conf_value_set(opt, &field, &opt->def, none ? 0 : 1, "", why) == 0;
	conf_value_free(opt, &field);
	return good;
}

/* Whether the field lies in the structure and in no earlier field. */
static bool
check_place(const struct chatd_plugin *table, size_t i)
{
	const struct chatd_opt *opt = &table->opts[i], *other;
	const struct type *type = &types[opt->type];

	if (opt->at % type->align != 0 || opt->at > table->conf_size ||
	    type->size > table->conf_size - opt->at)
		return false;
	for (other = table->opts; other < opt; other++)
		if (opt->at < other->at + types[other->type].size &&
		    other->at < opt->at + type->size)
			return false;
	return true;
}

/* Makes TO of option I; those before it are good. */
static bool
take_opt(const struct chatd_plugin *table, size_t i, struct conf_opt *to,
    struct base_buf *why)
{
	const struct chatd_opt *opt = &table->opts[i], *other;

	if (!is_opt_name(opt->name)) {
		base_buf_printf(why, "has a wrong name of option %zu", i);
		return false;
	}
	for (other = table->opts; other < opt; other++)
		if (strcmp(other->name, opt->name) == 0) {
			base_buf_printf(why, "has the option %s twice", opt->name);
			return false;
		}
	if (opt->type < CHATD_OPT_INT || opt->type >= BASE_COUNT(types) ||
	    opt->change < CHATD_OPT_LIVE || opt->change > CHATD_OPT_RESTART ||
	    opt->def == NULL || opt->text == NULL) {
		base_buf_printf(why,
		    "has the option %s without a good type, change, default or text",
		    opt->name);
		return false;
	}
	if (opt->min < 0 || opt->max < 0 || (opt->max != 0 && opt->max < opt->min)) {
		base_buf_printf(why, "has the option %s with wrong limits", opt->name);
		return false;
	}
	if (!check_place(table, i)) {
		base_buf_printf(why, "has the option %s at a wrong place", opt->name);
		return false;
	}
	*to = (struct conf_opt){types[opt->type].type,
	    opt->change == CHATD_OPT_LIVE ? CONF_LIVE : CONF_DAEMON, opt->name, opt->at,
	    opt->def, opt->min, opt->max, opt->text};
	return check_default(to, why);
}

bool
plug_opts_table(struct plug_module *mod, struct base_buf *why)
{
	const struct chatd_plugin *table = &mod->table;
	size_t i, before = why->len;

	if (table->n_opts > PLUG_OPTS_MAX || table->conf_size > CONF_SIZE_MAX ||
	    (table->n_opts > 0 && table->opts == NULL)) {
		base_buf_printf(why,
		    "has %zu options in %zu bytes: at most %d in %d are possible",
		    table->n_opts, table->conf_size, PLUG_OPTS_MAX, CONF_SIZE_MAX);
		return false;
	}
	mod->opts = base_zalloc((table->n_opts + 1) * sizeof(*mod->opts));
	for (i = 0; i < table->n_opts; i++) {
		if (!take_opt(table, i, &mod->opts[i], why))
			return false;
		why->len = before; /* what check_default began */
	}
	mod->conf = (struct conf_table){
	    .section = table->name,
	    .opts = mod->opts,
	    .n = table->n_opts,
	    .size = table->conf_size,
	};
	return true;
}

/* A string that has a least length and the default "" must be given. */
static bool
check_given(const struct plug_module *mod, const struct conf_body *body,
    const int *lines, struct base_buf *errors)
{
	const struct conf_opt *opt;
	bool good = true;
	size_t i;

	for (i = 0; i < mod->conf.n; i++) {
		opt = &mod->opts[i];
		if (!is_str(opt) || opt->min == 0 || opt->def[0] != 0 || lines[i] != 0)
			continue;
		conf_error(errors, body->file, body->line, "%s: %s: is missing",
		    body->name, opt->name);
		good = false;
	}
	return good;
}

static bool
ask_plugin(const struct plug_module *mod, const struct conf_body *body,
    const void *conf, struct base_buf *errors)
{
	struct chatd_error err = {0};
	int code;

	if (mod->life.check == NULL)
		return true;
	code = mod->life.check(conf, &err);
	if (code == 0)
		return true;
	err.text[sizeof(err.text) - 1] = 0;
	conf_error(errors, body->file, body->line, "%s: %s", body->name,
	    err.text[0] != 0 ? err.text : "the plugin refuses these options");
	return false;
}

void *
plug_opts_parse(const struct plug_module *mod, const struct conf_body *body,
    struct base_buf *errors)
{
	void *conf = base_zalloc(mod->conf.size + 1); /* never of no bytes */
	int lines[PLUG_OPTS_MAX];
	size_t i;

	for (i = 0; i < mod->conf.n; i++)
		conf_value_default(&mod->opts[i], conf_opt_field(&mod->opts[i], conf));
	if (conf_parse_body(body, &mod->conf, conf, lines, errors) &&
	    check_given(mod, body, lines, errors) &&
	    ask_plugin(mod, body, conf, errors))
		return conf;
	plug_opts_free(mod, conf);
	return NULL;
}

void
plug_opts_free(const struct plug_module *mod, void *conf)
{
	size_t i;

	if (conf == NULL)
		return;
	for (i = 0; i < mod->conf.n; i++)
		conf_value_free(&mod->opts[i], conf_opt_field(&mod->opts[i], conf));
	free(conf);
}

enum plug_change
plug_opts_compare(const struct plug_module *mod, const void *a, const void *b)
{
	enum plug_change change = PLUG_SAME;
	const struct conf_opt *opt;
	size_t i;

	for (i = 0; i < mod->conf.n; i++) {
		opt = &mod->opts[i];
		if (conf_value_equal(opt, conf_opt_peek(opt, a), conf_opt_peek(opt, b)))
			continue;
		if (opt->change != CONF_LIVE)
			return PLUG_RESTART;
		change = PLUG_LIVE;
	}
	return change;
}
