/*
 * conf_scan: see the header.
 */
#include "config.h"

#include "conf/conf_scan.h"

#include <stdio.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "conf/conf_error.h"
#include "conf/conf_parse.h"
#include "conf/conf_plugin.h"
#include "conf/conf_table.h"
#include "conf/conf_token.h"
#include "conf/conf_value.h"

#define OPTS_MAX 128

struct scan {
	struct conf_tokens t;
	struct conf *conf; /* for sections of plugins; NULL: there are none here */
	struct base_buf *out;
	int out_line;                 /* the line that OUT is at */
	const struct conf_table *tab; /* of the section that it is in; NULL: any */
	char section[80]; /* its name and title as they stand, for messages */
	int section_line;
	int seen[OPTS_MAX]; /* line of each option's first value in it; 0: none yet */
};

/* How much of a token a message shows. */
#define SHOWN(s) (int)BASE_MIN((s)->t.len, 60), (s)->t.at

#define FAIL(s, ...) conf_error((s)->t.errors, (s)->t.file, (s)->t.at_line, __VA_ARGS__)

/* Where the last token is the wrong one. */
static bool
unexpected(struct scan *s, const char *wanted)
{
	if (s->t.type == CONF_TOKEN_END)
		FAIL(s, "the file ends too early: %s", wanted);
	else if (s->t.type == CONF_TOKEN_STRING) /* perhaps a secret */
		FAIL(s, "a string is not expected: %s", wanted);
	else if (s->t.type != CONF_TOKEN_BAD)
		FAIL(s, "%.*s is not expected: %s", SHOWN(s), wanted);
	return false;
}

static bool
is_string(const struct scan *s)
{
	return s->t.type == CONF_TOKEN_WORD || s->t.type == CONF_TOKEN_STRING;
}

/* The last token's line, in OUT too. */
static void
put_lines(struct scan *s)
{
	for (; s->out_line < s->t.at_line; s->out_line++)
		base_buf_byte(s->out, '\n');
}

static void
put_sign(struct scan *s, const char *sign)
{
	put_lines(s);
	base_buf_str(s->out, sign);
	base_buf_byte(s->out, ' ');
}

/* A string with what is special in it left to libConfuse. */
static void
put_string(struct scan *s)
{
	size_t i;

	put_lines(s);
	if (s->t.type == CONF_TOKEN_STRING) {
		base_buf_add(s->out, s->t.at, s->t.len);
		base_buf_byte(s->out, ' ');
		s->out_line = s->t.line; /* it may span lines */
		return;
	}
	base_buf_byte(s->out, '"');
	for (i = 0; i < s->t.len; i++) {
		if (s->t.at[i] == '\\')
			base_buf_byte(s->out, '\\');
		base_buf_byte(s->out, s->t.at[i]);
	}
	base_buf_str(s->out, "\" ");
}

/* The rest of a list, behind its "{". */
static bool
scan_items(struct scan *s, bool copy)
{
	for (;;) {
		conf_token_next(&s->t);
		if (s->t.type == CONF_TOKEN_CLOSE)
			return true;
		if (!is_string(s))
			return unexpected(s, "a value or } is needed in a list");
		if (copy)
			put_string(s);
		conf_token_next(&s->t);
		if (s->t.type == CONF_TOKEN_CLOSE)
			return true;
		if (s->t.type != CONF_TOKEN_COMMA)
			return unexpected(
			    s, ", or } is needed after a value of a list");
		if (copy)
			put_sign(s, ",");
	}
}

/* At the token after "="; a copy goes to OUT for OPT, none if it is NULL. */
static bool
scan_value(struct scan *s, const struct conf_opt *opt)
{
	bool list = s->t.type == CONF_TOKEN_OPEN;
	bool mark = opt != NULL && conf_value_is_list(opt);

	if (!list && !is_string(s))
		return unexpected(s, "a value is needed after =");
	if (opt != NULL) {
		put_sign(s, opt->name);
		put_sign(s, mark ? "= { " CONF_SCAN_MARK "," : "=");
	}
	if (list && !scan_items(s, opt != NULL))
		return false;
	if (!list && opt != NULL)
		put_string(s);
	if (mark)
		put_sign(s, "}");
	return true;
}

/* At a "{" of a section that nobody knows: moves to its "}". */
static bool
skip_section(struct scan *s)
{
	int line = s->t.at_line;
	size_t depth = 1;

	while (depth > 0) {
		conf_token_next(&s->t);
		if (s->t.type == CONF_TOKEN_BAD)
			return false;
		if (s->t.type == CONF_TOKEN_END) {
			conf_error(s->t.errors, s->t.file, line,
			    "this section is not closed: } is missing");
			return false;
		}
		depth += s->t.type == CONF_TOKEN_OPEN;
		depth -= s->t.type == CONF_TOKEN_CLOSE;
	}
	return true;
}

/* Says where else an option of that name belongs, if it does. */
static void
report_unknown(struct scan *s)
{
	const char *here = s->tab->section != NULL ? s->section : "outside of sections";
	const struct conf_table *tab;

	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++) {
		if (conf_table_find(tab, s->t.at, s->t.len) == NULL)
			continue;
		if (tab->section == NULL)
			FAIL(s, "%.*s: belongs outside of sections, not in %s",
			    SHOWN(s), here);
		else
			FAIL(s, "%.*s: belongs in a %s section, not %s%s", SHOWN(s),
			    tab->section, s->tab->section != NULL ? "in " : "", here);
		return;
	}
	FAIL(s, "%.*s: no such option%s%s", SHOWN(s),
	    s->tab->section != NULL ? " in " : "", s->section);
}

static bool scan_plugin(struct scan *outer, const struct scan *name);

/*
 * At the name of what this table does not have: a plugin's section, or it is
 * reported and moved over.
 */
static bool
skip_unknown(struct scan *s)
{
	struct scan name = *s;

	conf_token_next(&s->t);
	if (s->t.type == CONF_TOKEN_EQUAL) {
		report_unknown(&name);
		conf_token_next(&s->t);
		return scan_value(s, NULL);
	}
	if (s->t.type == CONF_TOKEN_BAD)
		return false;
	if (s->t.type == CONF_TOKEN_OPEN && s->conf != NULL &&
	    s->tab == &conf_tables[CONF_TABLE_MAIN])
		return scan_plugin(s, &name);
	if (is_string(s))
		conf_token_next(&s->t);
	if (s->t.type != CONF_TOKEN_OPEN) {
		report_unknown(&name);
		FAIL(s, "= is needed after the name of an option");
		return false;
	}
	FAIL(&name, "%.*s: no such section", SHOWN(&name));
	return skip_section(s);
}

/* At the name of an option. */
static bool
scan_option(struct scan *s)
{
	const struct conf_opt *opt = conf_table_find(s->tab, s->t.at, s->t.len);
	bool good = true;
	int *seen;

	if (opt == NULL)
		return skip_unknown(s);
	seen = &s->seen[opt - s->tab->opts];
	if (*seen != 0) {
		FAIL(s, "%s: given twice: first on line %d", opt->name, *seen);
		good = false;
	} else {
		*seen = s->t.at_line;
	}
	conf_token_next(&s->t);
	if (s->t.type != CONF_TOKEN_EQUAL)
		return unexpected(s, "= is needed after the name of an option");
	conf_token_next(&s->t);
	if (s->t.type == CONF_TOKEN_OPEN && !conf_value_is_list(opt)) {
		FAIL(s, "%s: takes one value, not a list", opt->name);
		good = false;
	}
	return scan_value(s, good ? opt : NULL);
}

static const struct conf_table *
find_section(const struct scan *s)
{
	const struct conf_table *tab;

	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++)
		if (tab->section != NULL && strlen(tab->section) == s->t.len &&
		    memcmp(tab->section, s->t.at, s->t.len) == 0)
			return tab;
	return NULL;
}

/* At the name of an option of any name, of a plugin. */
static bool
scan_any(struct scan *s)
{
	conf_token_next(&s->t);
	if (s->t.type != CONF_TOKEN_EQUAL)
		return unexpected(s, "= is needed after the name of an option");
	conf_token_next(&s->t);
	return scan_value(s, NULL);
}

/* Up to the "}". */
static bool
scan_section_body(struct scan *s)
{
	const struct conf_table *inner;

	for (;;) {
		conf_token_next(&s->t);
		if (s->t.type == CONF_TOKEN_CLOSE)
			break;
		if (s->t.type == CONF_TOKEN_END) {
			conf_error(s->t.errors, s->t.file, s->section_line,
			    "%s: this section is not closed: } is missing", s->section);
			return false;
		}
		if (s->t.type != CONF_TOKEN_WORD)
			return unexpected(s, "the name of an option or } is needed");
		inner = find_section(s);
		if (inner != NULL) {
			FAIL(s,
			    "%s: stands inside %s, which begins on line %d and has no } "
			    "before it",
			    inner->section, s->section, s->section_line);
			return false;
		}
		if (!(s->tab != NULL ? scan_option(s) : scan_any(s)))
			return false;
	}
	return true;
}

/* At the "{" of what may be a plugin's section: keeps what stands in it. */
static bool
scan_plugin(struct scan *outer, const struct scan *name)
{
	struct scan s = *outer;
	const char *text = s.t.p;
	int line = s.t.line;

	s.tab = NULL;
	s.section_line = name->t.at_line;
	snprintf(s.section, sizeof(s.section), "%.*s", SHOWN(name));
	if (!scan_section_body(&s))
		return false;
	conf_plugin_add(s.conf,
	    &(struct conf_plugin){
		.name = base_memdup(name->t.at, name->t.len),
		.file = base_strdup(s.t.file),
		.line = name->t.at_line,
		.text = base_memdup(text, (size_t)(s.t.at - text)),
		.text_line = line,
	    });
	outer->t = s.t;
	return true;
}

/* At the name of a section. */
static bool
scan_section(struct scan *outer, const struct conf_table *tab)
{
	struct scan s = *outer;
	bool good;

	s.tab = tab;
	s.section_line = s.t.at_line;
	memset(s.seen, 0, sizeof(s.seen));
	put_sign(&s, tab->section);
	conf_token_next(&s.t);
	if (!is_string(&s)) {
		FAIL(&s, "%s: needs a title, as in %s \"chat\" { ... }", tab->section,
		    tab->section);
		return false;
	}
	snprintf(s.section, sizeof(s.section), "%s %.*s", tab->section, SHOWN(&s));
	put_sign(&s, "{ " CONF_SCAN_TITLE " =");
	put_string(&s);
	conf_token_next(&s.t);
	if (s.t.type != CONF_TOKEN_OPEN)
		return unexpected(&s, "{ is needed after the title of a section");
	good = scan_section_body(&s);
	if (good)
		put_sign(&s, "}");
	outer->t = s.t;
	outer->out_line = s.out_line;
	return good;
}

static bool
scan_include(struct scan *s)
{
	put_sign(s, CONF_SCAN_INCLUDE " +=");
	conf_token_next(&s->t);
	if (!is_string(s)) {
		FAIL(s, "include: needs a file, as in include \"conf.d/*.conf\"");
		return false;
	}
	put_string(s);
	return true;
}

static bool
scan_file(struct scan *s)
{
	const struct conf_table *tab;
	bool good;

	for (;;) {
		conf_token_next(&s->t);
		if (s->t.type == CONF_TOKEN_END)
			return true;
		if (s->t.type == CONF_TOKEN_CLOSE) {
			FAIL(s, "} closes nothing");
			return false;
		}
		if (s->t.type != CONF_TOKEN_WORD)
			return unexpected(
			    s, "the name of an option or section is needed");
		tab = find_section(s);
		if (tab != NULL)
			good = scan_section(s, tab);
		else if (s->t.len == strlen("include") &&
		    memcmp(s->t.at, "include", s->t.len) == 0)
			good = scan_include(s);
		else
			good = scan_option(s);
		if (!good)
			return false;
	}
}

/* Bytes that no text has; libConfuse would stop at a NUL and skip the others. */
static bool
check_bytes(const char *file, int line, const char *text, size_t len,
    struct base_buf *errors)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '\n')
			line++;
		if (((unsigned char)text[i] < 0x20 &&
			strchr("\t\r\n", text[i]) == NULL) ||
		    text[i] == 0 || text[i] == 0x7f) {
			conf_error(errors, file, line, "control character 0x%02x",
			    (unsigned char)text[i]);
			return false;
		}
	}
	return true;
}

bool
conf_scan(const char *file, const char *text, size_t len, struct conf *conf,
    struct base_buf *out, struct base_buf *errors)
{
	struct scan s = {
	    .t = {.file = file,
		.p = text,
		.end = text + len,
		.line = 1,
		.errors = errors},
	    .conf = conf,
	    .out = out,
	    .out_line = 1,
	    .tab = &conf_tables[CONF_TABLE_MAIN],
	    .section = "",
	};

	base_assert(s.tab->n <= OPTS_MAX);
	if (!check_bytes(file, 1, text, len, errors) || !scan_file(&s))
		return false;
	base_buf_byte(out, 0);
	return true;
}

/* Options up to the end of the text. */
static bool
scan_options(struct scan *s)
{
	for (;;) {
		conf_token_next(&s->t);
		if (s->t.type == CONF_TOKEN_END)
			return true;
		if (s->t.type != CONF_TOKEN_WORD)
			return unexpected(s, "the name of an option is needed");
		if (!scan_option(s))
			return false;
	}
}

bool
conf_scan_body(const struct conf_body *body, const struct conf_table *tab,
    struct base_buf *out, struct base_buf *errors)
{
	struct scan s = {
	    .t = {.file = body->file,
		.p = body->text,
		.end = body->text + body->len,
		.line = body->line,
		.errors = errors},
	    .out = out,
	    .out_line = 1,
	    .tab = tab,
	    .section_line = body->line,
	};

	base_assert(tab->n <= OPTS_MAX && tab->section != NULL);
	snprintf(s.section, sizeof(s.section), "%s", body->name);
	if (!check_bytes(body->file, body->line, body->text, body->len, errors) ||
	    !scan_options(&s))
		return false;
	base_buf_byte(out, 0);
	return true;
}
