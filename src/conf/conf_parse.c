/*
 * conf_parse: see the header.
 *
 * Each file on its own: conf_scan makes a text of it, libConfuse takes the words
 * of each option from that text with their lines, and conf_value makes values of
 * them.  Included files follow when their file is done, in the order of the
 * include lines.
 */
#include "config.h"

#include "conf/conf_parse.h"

#include <confuse.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "conf/conf_check.h"
#include "conf/conf_error.h"
#include "conf/conf_file.h"
#include "conf/conf_plugin.h"
#include "conf/conf_scan.h"
#include "conf/conf_value.h"

#define DEPTH_MAX 10
#define FILES_MAX 256
#define OPTS_MAX  128

struct parser {
	struct conf *conf;
	struct conf_places places;
	struct base_buf *errors;
	char *files[FILES_MAX]; /* places point to them */
	size_t n_files;
	/* The files that are being read, each included by the one before. */
	struct stat chain[DEPTH_MAX];
	int depth;
	bool broken; /* a file could not be taken */
};

/* One string of the file, with the line that it ends on. */
struct word {
	char *text;
	int line;
};

/* libConfuse gives its error function no argument of ours. */
static struct parser *parsing;

static void BASE_PRINTF(2, 0)
take_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	conf_error(parsing->errors, cfg->filename, cfg->line, "%s", text);
}

static int
take_word(cfg_t *cfg, cfg_opt_t *opt BASE_UNUSED, const char *value, void *result)
{
	struct word *word = base_malloc(sizeof(*word));

	word->text = base_strdup(value);
	word->line = cfg->line;
	*(void **)result = word;
	return 0;
}

static void
free_word(void *p)
{
	struct word *word = p;

	explicit_bzero(word->text, strlen(word->text));
	free(word->text);
	free(word);
}

static void
add_cfg_opt(cfg_opt_t *opts, size_t *n, const char *name, cfg_flag_t flags)
{
	cfg_opt_t opt = CFG_PTR_CB(
	    name, NULL, CFGF_NODEFAULT | flags, take_word, free_word);

	base_assert(*n < OPTS_MAX - 1);
	opts[(*n)++] = opt;
}

/* libConfuse's form of a table; OPTS is zero, which ends the list. */
static void
table_to_cfg(const struct conf_table *tab, cfg_opt_t *opts, size_t *n)
{
	size_t i;

	for (i = 0; i < tab->n; i++)
		add_cfg_opt(opts, n, tab->opts[i].name,
		    conf_value_is_list(&tab->opts[i]) ? CFGF_LIST : CFGF_NONE);
	if (tab->section != NULL)
		add_cfg_opt(opts, n, CONF_SCAN_TITLE, CFGF_NONE);
}

/* Sets an option from what libConfuse has of it; nothing if it has nothing. */
static void
take_option(struct parser *p, const struct conf_opt *opt, void *field,
    struct conf_place *place, cfg_opt_t *from, const char *file)
{
	size_t i, n = cfg_opt_size(from), first = conf_value_is_list(opt) ? 1 : 0;
	const struct word *word;
	struct base_buf why = {0};
	const char **words;

	if (n == 0)
		return;
	word = cfg_opt_getnptr(from, 0);
	if (place->file != NULL) {
		conf_error(p->errors, file, word->line,
		    "%s: given twice: first at %s:%d", opt->name, place->file,
		    place->line);
		return;
	}
	*place = (struct conf_place){file, word->line, false};
	words = base_realloc(NULL, n, sizeof(*words));
	for (i = 0; i < n; i++)
		words[i] = ((struct word *)cfg_opt_getnptr(from, (unsigned)i))->text;
	if (conf_value_set(opt, field, words + first, n - first, file, &why) < 0) {
		place->bad = true;
		conf_error(p->errors, file, word->line, "%s: %.*s", opt->name,
		    (int)why.len, why.p);
	}
	base_buf_free(&why);
	free(words);
}

/* Takes the options of one instance. */
static void
take_options(struct parser *p, const struct conf_table *tab, void *instance,
    struct conf_place *places, cfg_t *cfg, const char *file)
{
	const struct conf_opt *opt;
	size_t i;

	for (i = 0; i < tab->n; i++) {
		opt = &tab->opts[i];
		take_option(p, opt, conf_opt_field(opt, instance), &places[i],
		    cfg_getopt(cfg, opt->name), file);
	}
}

static void
take_sections(struct parser *p, enum conf_table_id id, cfg_t *cfg, const char *file)
{
	const struct conf_table *tab = &conf_tables[id];
	size_t n = conf_table_count(p->conf, tab);
	unsigned i, n_more = cfg_size(cfg, tab->section);
	struct conf_place *places;
	const struct word *title;
	void *section;
	cfg_t *sec;

	if (n_more == 0)
		return;
	p->places.at[id] = base_realloc(
	    p->places.at[id], n + n_more, tab->n * sizeof(*places));
	for (i = 0; i < n_more; i++, n++) {
		sec = cfg_getnsec(cfg, tab->section, i);
		title = cfg_getptr(sec, CONF_SCAN_TITLE);
		section = conf_table_add(p->conf, tab, title->text, file, title->line);
		places = p->places.at[id] + n * tab->n;
		memset(places, 0, tab->n * sizeof(*places));
		take_options(p, tab, section, places, sec, file);
	}
}

static void parse_include(
    struct parser *p, const char *pattern, const char *file, int line);

static void
take_file(struct parser *p, cfg_t *cfg, const char *file)
{
	const struct conf_table *main_tab = &conf_tables[CONF_TABLE_MAIN];
	const struct word *word;
	cfg_opt_t *include;
	unsigned i;

	take_options(p, main_tab, p->conf, p->places.at[CONF_TABLE_MAIN], cfg, file);
	take_sections(p, CONF_TABLE_LISTEN, cfg, file);
	take_sections(p, CONF_TABLE_NAMESPACE, cfg, file);
	include = cfg_getopt(cfg, CONF_SCAN_INCLUDE);
	for (i = 0; i < cfg_opt_size(include); i++) {
		word = cfg_opt_getnptr(include, i);
		parse_include(p, word->text, file, word->line);
	}
}

/* Hands TEXT, which conf_scan made, to libConfuse. */
static void
parse_scanned(struct parser *p, const char *text, const char *file)
{
	cfg_opt_t listen[OPTS_MAX] = {CFG_END()}, namespace[OPTS_MAX] = {CFG_END()};
	cfg_opt_t opts[OPTS_MAX] = {CFG_END()};
	cfg_opt_t sections[] = {CFG_SEC("listen", listen, CFGF_MULTI),
	    CFG_SEC("namespace", namespace, CFGF_MULTI)};
	size_t n = 0, i;
	FILE *fp;
	cfg_t *cfg;

	table_to_cfg(&conf_tables[CONF_TABLE_LISTEN], listen, &n);
	n = 0;
	table_to_cfg(&conf_tables[CONF_TABLE_NAMESPACE], namespace, &n);
	n = 0;
	table_to_cfg(&conf_tables[CONF_TABLE_MAIN], opts, &n);
	add_cfg_opt(opts, &n, CONF_SCAN_INCLUDE, CFGF_LIST);
	for (i = 0; i < BASE_COUNT(sections); i++) {
		base_assert(n < OPTS_MAX - 1);
		opts[n++] = sections[i];
	}
	cfg = cfg_init(opts, CFGF_NONE);
	fp = text[0] != 0 ? fmemopen((void *)(uintptr_t)text, strlen(text), "r") : NULL;
	base_assert(cfg != NULL && (fp != NULL || text[0] == 0));
	cfg_set_error_function(cfg, take_error);
	cfg->filename = base_strdup(file); /* libConfuse frees it */
	if (fp != NULL && cfg_parse_fp(cfg, fp) == CFG_SUCCESS)
		take_file(p, cfg, file);
	else if (fp != NULL)
		p->broken = true;
	if (fp != NULL)
		fclose(fp);
	cfg_free(cfg);
}

/* FILE is one of P->files. */
static void
parse_text(struct parser *p, const char *text, size_t len, const char *file)
{
	struct base_buf out = {0};

	if (conf_scan(file, text, len, p->conf, &out, p->errors))
		parse_scanned(p, out.p, file);
	else
		p->broken = true;
	if (out.p != NULL)
		explicit_bzero(out.p, out.len);
	base_buf_free(&out);
}

/* An owned copy of a file's name that lives as long as the parser; NULL: too many. */
static const char *
add_file(struct parser *p, const char *name)
{
	if (p->n_files == FILES_MAX)
		return NULL;
	return p->files[p->n_files++] = base_strdup(name);
}

/* Reads the file at PATH, which FROM includes on LINE (LINE 0: the first file). */
static void
parse_file(struct parser *p, const char *path, const char *from, int line)
{
	const char *file = add_file(p, path);
	struct base_buf why = {0};
	char *text;
	size_t len;

	if (file == NULL) {
		conf_error(
		    p->errors, from, line, "include: more than %d files", FILES_MAX);
		return;
	}
	if (conf_file_read(path, &text, &len, &why) < 0) {
		if (line > 0)
			conf_error(p->errors, from, line, "include: %.*s", (int)why.len,
			    why.p);
		else
			base_buf_printf(p->errors, "%.*s\n", (int)why.len, why.p);
		base_buf_free(&why);
		p->broken = true;
		return;
	}
	parse_text(p, text, len, file);
	explicit_bzero(text, len);
	free(text);
}

/* Whether the file is being read already: then it includes itself. */
static bool
in_chain(const struct parser *p, const struct stat *st)
{
	int i;

	for (i = 0; i < p->depth; i++)
		if (p->chain[i].st_dev == st->st_dev &&
		    p->chain[i].st_ino == st->st_ino)
			return true;
	return false;
}

/* Remembers PATH as the file that is being read; unreadable ones fail later. */
static void
push_chain(struct parser *p, const char *path)
{
	struct stat *st = &p->chain[p->depth++];

	if (stat(path, st) < 0)
		memset(st, 0, sizeof(*st));
}

static void
include_one(struct parser *p, const char *path, const char *file, int line)
{
	struct stat st;

	if (stat(path, &st) == 0 && in_chain(p, &st)) {
		conf_error(p->errors, file, line, "include: %s includes itself", path);
		return;
	}
	if (p->depth == DEPTH_MAX) {
		conf_error(
		    p->errors, file, line, "include: deeper than %d files", DEPTH_MAX);
		return;
	}
	push_chain(p, path);
	parse_file(p, path, file, line);
	p->depth--;
}

/* A pattern may match nothing; a name must be there. */
static void
parse_include(struct parser *p, const char *pattern, const char *file, int line)
{
	char *path = conf_file_path(pattern, file);
	glob_t found;
	size_t i;
	int r = glob(path, 0, NULL, &found);

	if (r == GLOB_NOMATCH && strpbrk(pattern, "*?[") == NULL)
		conf_error(p->errors, file, line, "include: %s: no such file", path);
	else if (r != 0 && r != GLOB_NOMATCH)
		conf_error(
		    p->errors, file, line, "include: %s: cannot be searched", path);
	for (i = 0; r == 0 && i < found.gl_pathc; i++)
		include_one(p, found.gl_pathv[i], file, line);
	globfree(&found);
	free(path);
}

/* Where the option NAME stands, if it does. */
static void
note_place(struct parser *p, const char *name, char **file_r, int *line_r)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_MAIN];
	const struct conf_opt *opt = conf_table_find(tab, name, strlen(name));
	const struct conf_place *place;

	base_assert(opt != NULL);
	place = &p->places.at[CONF_TABLE_MAIN][opt - tab->opts];
	if (place->file == NULL)
		return;
	*file_r = base_strdup(place->file);
	*line_r = place->line;
}

/* Keeps the places that messages need after the parser's end. */
static void
note_places(struct parser *p)
{
	struct conf *conf = p->conf;

	conf->file = base_strdup(p->places.file);
	note_place(p, "store", &conf->store_file, &conf->store_line);
	note_place(p, "state_dir", &conf->state_file, &conf->state_line);
}

/* NAME is the first file; TEXT is its content, or NULL: it is read. */
static struct conf *
parse(const char *name, const char *text, struct base_buf *errors)
{
	const struct conf_table *main_tab = &conf_tables[CONF_TABLE_MAIN];
	struct parser p = {.errors = errors, .conf = conf_table_new()};
	struct parser *outer = parsing;
	size_t i, before = errors->len;

	parsing = &p;
	p.places.file = name;
	p.places.at[CONF_TABLE_MAIN] = base_zalloc(
	    main_tab->n * sizeof(struct conf_place));
	push_chain(&p, name);
	if (text != NULL)
		parse_text(&p, text, strlen(text), add_file(&p, name));
	else
		parse_file(&p, name, name, 0);
	note_places(&p);
	/* Of a file that was not taken, options would seem to be missing. */
	if (!p.broken) {
		conf_check(p.conf, &p.places, errors);
		conf_plugin_check(p.conf, errors);
	}
	parsing = outer;
	for (i = 0; i < CONF_TABLES; i++)
		free(p.places.at[i]);
	for (i = 0; i < p.n_files; i++)
		free(p.files[i]);
	if (errors->len > before) {
		conf_free(p.conf);
		return NULL;
	}
	return p.conf;
}

struct conf *
conf_parse_file(const char *path, struct base_buf *errors)
{
	return parse(path, NULL, errors);
}

struct conf *
conf_parse_text(const char *text, const char *name, struct base_buf *errors)
{
	return parse(name, text, errors);
}

/* Hands TEXT, which conf_scan_body made, to libConfuse. */
static void
parse_scanned_body(struct parser *p, const char *text, const char *file,
    const struct conf_table *tab, void *instance, struct conf_place *places)
{
	cfg_opt_t opts[OPTS_MAX] = {CFG_END()};
	size_t n = 0;
	FILE *fp;
	cfg_t *cfg;

	if (text[0] == 0)
		return;
	table_to_cfg(tab, opts, &n);
	cfg = cfg_init(opts, CFGF_NONE);
	fp = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	base_assert(cfg != NULL && fp != NULL);
	cfg_set_error_function(cfg, take_error);
	cfg->filename = base_strdup(file); /* libConfuse frees it */
	if (cfg_parse_fp(cfg, fp) == CFG_SUCCESS)
		take_options(p, tab, instance, places, cfg, file);
	fclose(fp);
	cfg_free(cfg);
}

bool
conf_parse_body(const struct conf_body *body, const struct conf_table *tab,
    void *instance, int *lines, struct base_buf *errors)
{
	struct parser p = {.errors = errors};
	struct parser *outer = parsing;
	struct conf_place places[OPTS_MAX] = {0};
	struct base_buf out = {0};
	size_t i, before = errors->len;

	parsing = &p;
	if (conf_scan_body(body, tab, &out, errors))
		parse_scanned_body(&p, out.p, body->file, tab, instance, places);
	parsing = outer;
	if (out.p != NULL)
		explicit_bzero(out.p, out.len);
	base_buf_free(&out);
	for (i = 0; i < tab->n; i++)
		lines[i] = places[i].line;
	return errors->len == before && before <= CONF_ERROR_MAX;
}
