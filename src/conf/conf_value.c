/*
 * conf_value: see the header.
 */
#include "config.h"

#include "conf/conf_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "conf/conf_file.h"
#include "conf/conf_words.h"

/* Bytes of a wrong value that a message repeats. */
#define SHOW_MAX 60

/* The words that a value of this type is made of; NULL: it is text. */
static const struct conf_word *
type_words(enum conf_type type)
{
	switch (type) {
	case CONF_BOOL:
		return conf_words_bool;
	case CONF_WHO:
		return conf_words_who;
	case CONF_MODE:
		return conf_words_mode;
	case CONF_ACK:
		return conf_words_ack;
	case CONF_LEVEL:
		return conf_words_level;
	case CONF_SERVE:
		return conf_words_serve;
	case CONF_SIZE:
		return conf_words_size;
	case CONF_TIME:
		return conf_words_time;
	case CONF_INT:
	case CONF_COUNT:
		return conf_words_plain;
	case CONF_STR:
	case CONF_SECRET:
	case CONF_FILE:
	case CONF_LIST:
		break;
	}
	return NULL;
}

static bool
is_number(enum conf_type type)
{
	return type == CONF_INT || type == CONF_COUNT || type == CONF_SIZE ||
	    type == CONF_TIME;
}

int64_t
conf_value_number(const struct conf_opt *opt, const void *field)
{
	switch (opt->type) {
	case CONF_SIZE:
		return (int64_t) * (const uint64_t *)field;
	case CONF_BOOL:
		return *(const bool *)field;
	case CONF_WHO:
		return *(const enum conf_who *)field;
	case CONF_MODE:
		return *(const enum conf_mode *)field;
	case CONF_ACK:
		return *(const enum conf_ack *)field;
	case CONF_LEVEL:
		return *(const enum base_log_level *)field;
	case CONF_SERVE:
		return *(const unsigned *)field;
	default:
		return *(const int64_t *)field;
	}
}

static void
set_number(const struct conf_opt *opt, void *field, int64_t n)
{
	switch (opt->type) {
	case CONF_SIZE:
		*(uint64_t *)field = (uint64_t)n;
		break;
	case CONF_BOOL:
		*(bool *)field = n != 0;
		break;
	case CONF_WHO:
		*(enum conf_who *)field = (enum conf_who)n;
		break;
	case CONF_MODE:
		*(enum conf_mode *)field = (enum conf_mode)n;
		break;
	case CONF_ACK:
		*(enum conf_ack *)field = (enum conf_ack)n;
		break;
	case CONF_LEVEL:
		*(enum base_log_level *)field = (enum base_log_level)n;
		break;
	case CONF_SERVE:
		*(unsigned *)field = (unsigned)n;
		break;
	default:
		*(int64_t *)field = n;
		break;
	}
}

bool
conf_value_is_list(const struct conf_opt *opt)
{
	return opt->type == CONF_LIST || opt->type == CONF_SERVE;
}

static void
add_range(const struct conf_opt *opt, struct base_buf *out)
{
	const struct conf_word *words = type_words(opt->type);

	if (opt->max == 0) {
		base_buf_str(out, " of at least ");
		conf_words_format(words, opt->min, out);
		return;
	}
	base_buf_str(out, " from ");
	conf_words_format(words, opt->min, out);
	base_buf_str(out, " to ");
	conf_words_format(words, opt->max, out);
}

/* What the option takes, for people. */
static void
add_allowed(const struct conf_opt *opt, struct base_buf *out)
{
	const struct conf_word *words = type_words(opt->type);
	const char *comma = "";

	switch (opt->type) {
	case CONF_COUNT:
	case CONF_INT:
		base_buf_str(out, opt->type == CONF_COUNT ? "auto or " : "");
		base_buf_str(out, "a whole number");
		add_range(opt, out);
		return;
	case CONF_SIZE:
		base_buf_str(out, "a size");
		add_range(opt, out);
		base_buf_str(out, ", in bytes or with k, m or g");
		return;
	case CONF_TIME:
		base_buf_str(out, "a time");
		add_range(opt, out);
		base_buf_str(out, ", with ms, s, m, h or d");
		return;
	case CONF_BOOL:
		base_buf_str(out, "on or off");
		return;
	default:
		break;
	}
	base_assert(words != NULL);
	for (; words->word != NULL; words++) {
		base_buf_printf(out, "%s%s", comma, words->word);
		comma = words[1].word != NULL && words[2].word == NULL ? " or " : ", ";
	}
}

static void
add_wrong(const struct conf_opt *opt, const char *word, struct base_buf *why)
{
	base_buf_printf(why, "\"%.*s%s\" is not allowed here: must be ", SHOW_MAX, word,
	    strlen(word) > SHOW_MAX ? "..." : "");
	add_allowed(opt, why);
}

/* Whether the option may have the value N. */
static bool
is_allowed(const struct conf_opt *opt, int64_t n)
{
	const struct conf_word *words = type_words(opt->type);
	int64_t bits = 0;

	if (is_number(opt->type))
		return (opt->type == CONF_COUNT && n == 0) ||
		    (n >= opt->min && (opt->max == 0 ? n >= 0 : n <= opt->max));
	if (opt->type != CONF_SERVE)
		return conf_words_name(words, n) != NULL;
	for (; words->word != NULL; words++)
		bits |= words->value;
	return n != 0 && (n & ~bits) == 0;
}

int
conf_value_set_number(const struct conf_opt *opt, void *field, int64_t n)
{
	if (!is_allowed(opt, n))
		return -1;
	set_number(opt, field, n);
	return 0;
}

static int
set_from_number(
    const struct conf_opt *opt, void *field, const char *word, struct base_buf *why)
{
	int64_t n;

	if (opt->type == CONF_COUNT && strcmp(word, "auto") == 0) {
		set_number(opt, field, 0);
		return 0;
	}
	if (conf_words_number(type_words(opt->type), word, &n) == 0 &&
	    !(opt->type == CONF_COUNT && n == 0) &&
	    conf_value_set_number(opt, field, n) == 0)
		return 0;
	add_wrong(opt, word, why);
	return -1;
}

static int
set_from_words(const struct conf_opt *opt, void *field, const char *const *words,
    size_t n, struct base_buf *why)
{
	int64_t value, bits = 0;
	size_t i;

	if (n == 0) {
		base_buf_str(why, "must not be empty: one or more of ");
		add_allowed(opt, why);
		return -1;
	}
	for (i = 0; i < n; i++) {
		if (conf_words_find(type_words(opt->type), words[i], &value) < 0) {
			add_wrong(opt, words[i], why);
			return -1;
		}
		bits |= value;
	}
	set_number(opt, field, bits);
	return 0;
}

/* Control characters would forge lines of the log and have no use in any option. */
static int
check_text(const char *text, struct base_buf *why)
{
	const char *p;

	for (p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			base_buf_str(why, "must not contain control characters");
			return -1;
		}
	return 0;
}

static int
set_str(
    const struct conf_opt *opt, char **field, const char *word, struct base_buf *why)
{
	size_t len = strlen(word);

	if (check_text(word, why) < 0)
		return -1;
	if ((int64_t)len < opt->min && (len == 0 || opt->min == 1)) {
		base_buf_str(why, "must not be empty");
		return -1;
	}
	if ((int64_t)len < opt->min) {
		base_buf_printf(
		    why, "has %zu bytes: must be at least %" PRId64, len, opt->min);
		return -1;
	}
	if (opt->max != 0 && (int64_t)len > opt->max) {
		base_buf_printf(
		    why, "has %zu bytes: must be at most %" PRId64, len, opt->max);
		return -1;
	}
	free(*field);
	*field = base_strdup(word);
	return 0;
}

static void
free_file(struct conf_file *file)
{
	if (file->data != NULL)
		explicit_bzero(file->data, file->len); /* it may be a key */
	free(file->data);
	free(file->path);
	*file = (struct conf_file){0};
}

static int
set_file(
    struct conf_file *field, const char *word, const char *near, struct base_buf *why)
{
	struct conf_file file = {0};

	if (check_text(word, why) < 0)
		return -1;
	if (word[0] == 0) {
		file.path = base_strdup("");
	} else {
		file.path = conf_file_path(word, near);
		if (conf_file_read(file.path, &file.data, &file.len, why) < 0) {
			free_file(&file);
			return -1;
		}
	}
	free_file(field);
	*field = file;
	return 0;
}

static void
free_list(struct conf_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct conf_list){0};
}

static void
copy_list(struct conf_list *to, const char *const *items, size_t n)
{
	size_t i;

	free_list(to);
	if (n == 0)
		return;
	to->items = base_realloc(NULL, n, sizeof(*to->items));
	for (i = 0; i < n; i++)
		to->items[i] = base_strdup(items[i]);
	to->n = n;
}

static int
set_list(
    struct conf_list *list, const char *const *words, size_t n, struct base_buf *why)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (check_text(words[i], why) < 0)
			return -1;
		if (words[i][0] == 0) {
			base_buf_str(why, "must not have an empty item");
			return -1;
		}
	}
	copy_list(list, words, n);
	return 0;
}

int
conf_value_set(const struct conf_opt *opt, void *field, const char *const *words,
    size_t n, const char *near, struct base_buf *why)
{
	base_assert(conf_value_is_list(opt) || n == 1);
	switch (opt->type) {
	case CONF_INT:
	case CONF_COUNT:
	case CONF_SIZE:
	case CONF_TIME:
		return set_from_number(opt, field, words[0], why);
	case CONF_BOOL:
	case CONF_WHO:
	case CONF_MODE:
	case CONF_ACK:
	case CONF_LEVEL:
	case CONF_SERVE:
		return set_from_words(opt, field, words, n, why);
	case CONF_STR:
	case CONF_SECRET:
		return set_str(opt, field, words[0], why);
	case CONF_FILE:
		return set_file(field, words[0], near, why);
	case CONF_LIST:
		return set_list(field, words, n, why);
	}
	return -1;
}

void
conf_value_default(const struct conf_opt *opt, void *field)
{
	struct base_buf why = {0};
	bool none = opt->type == CONF_LIST && strcmp(opt->def, "{}") == 0;

	if (opt->type == CONF_STR || opt->type == CONF_SECRET) {
		/* Whatever its limits: an option that must be given has an empty one.
		 */
		free(*(char **)field);
		*(char **)field = base_strdup(opt->def);
		return;
	}
	base_assert(conf_value_set(opt, field, &opt->def, none ? 0 : 1, "", &why) == 0);
	base_buf_free(&why);
}

void
conf_value_quote(struct base_buf *out, const char *s)
{
	base_buf_byte(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || *s == '$')
			base_buf_byte(out, '\\');
		base_buf_byte(out, *s);
	}
	base_buf_byte(out, '"');
}

static void
format_list(const struct conf_list *list, struct base_buf *out)
{
	size_t i;

	base_buf_byte(out, '{');
	for (i = 0; i < list->n; i++) {
		base_buf_str(out, i > 0 ? ", " : "");
		conf_value_quote(out, list->items[i]);
	}
	base_buf_byte(out, '}');
}

static void
format_bits(const struct conf_word *words, int64_t bits, struct base_buf *out)
{
	const char *comma = "";

	base_buf_byte(out, '{');
	for (; words->word != NULL; words++)
		if (bits & words->value) {
			base_buf_printf(out, "%s\"%s\"", comma, words->word);
			comma = ", ";
		}
	base_buf_byte(out, '}');
}

void
conf_value_format(const struct conf_opt *opt, const void *field, struct base_buf *out)
{
	const struct conf_word *words = type_words(opt->type);

	switch (opt->type) {
	case CONF_INT:
	case CONF_COUNT:
	case CONF_SIZE:
	case CONF_TIME:
		if (opt->type == CONF_COUNT && conf_value_number(opt, field) == 0)
			base_buf_str(out, "auto");
		else
			conf_words_format(words, conf_value_number(opt, field), out);
		break;
	case CONF_BOOL:
		base_buf_str(
		    out, conf_words_name(words, conf_value_number(opt, field)));
		break;
	case CONF_WHO:
	case CONF_MODE:
	case CONF_ACK:
	case CONF_LEVEL:
		conf_value_quote(
		    out, conf_words_name(words, conf_value_number(opt, field)));
		break;
	case CONF_SERVE:
		format_bits(words, conf_value_number(opt, field), out);
		break;
	case CONF_STR:
		conf_value_quote(out, *(char *const *)field);
		break;
	case CONF_SECRET:
		base_buf_str(out, (*(char *const *)field)[0] != 0 ? "\"...\"" : "\"\"");
		break;
	case CONF_FILE:
		conf_value_quote(out, ((const struct conf_file *)field)->path);
		break;
	case CONF_LIST:
		format_list(field, out);
		break;
	}
}

static bool
equal_file(const struct conf_file *a, const struct conf_file *b)
{
	return strcmp(a->path, b->path) == 0 && a->len == b->len &&
	    (a->data == NULL) == (b->data == NULL) &&
	    (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool
equal_list(const struct conf_list *a, const struct conf_list *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool
conf_value_equal(const struct conf_opt *opt, const void *a, const void *b)
{
	switch (opt->type) {
	case CONF_STR:
	case CONF_SECRET:
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	case CONF_FILE:
		return equal_file(a, b);
	case CONF_LIST:
		return equal_list(a, b);
	default:
		return conf_value_number(opt, a) == conf_value_number(opt, b);
	}
}

static void
copy_file(struct conf_file *to, const struct conf_file *from)
{
	struct conf_file file = {0};

	file.path = base_strdup(from->path);
	file.len = from->len;
	if (from->data != NULL)
		file.data = base_memdup(from->data, from->len);
	free_file(to);
	*to = file;
}

void
conf_value_copy(const struct conf_opt *opt, void *to, const void *from)
{
	switch (opt->type) {
	case CONF_STR:
	case CONF_SECRET:
		conf_value_free(opt, to);
		*(char **)to = base_strdup(*(char *const *)from);
		break;
	case CONF_FILE:
		copy_file(to, from);
		break;
	case CONF_LIST:
		copy_list(to,
		    (const char *const *)((const struct conf_list *)from)->items,
		    ((const struct conf_list *)from)->n);
		break;
	default:
		set_number(opt, to, conf_value_number(opt, from));
		break;
	}
}

void
conf_value_free(const struct conf_opt *opt, void *field)
{
	char **str = field;

	switch (opt->type) {
	case CONF_STR:
	case CONF_SECRET:
		if (*str != NULL && opt->type == CONF_SECRET)
			explicit_bzero(*str, strlen(*str));
		free(*str);
		*str = NULL;
		break;
	case CONF_FILE:
		free_file(field);
		break;
	case CONF_LIST:
		free_list(field);
		break;
	default:
		break;
	}
}
