/*
 * conf_token: see the header.
 */
#include "config.h"

#include "conf/conf_token.h"

#include <stdlib.h>

#include "base/base_mem.h"
#include "conf/conf_error.h"

/* What ends a word; libConfuse's own set. */
static const char delimiters[] = " \t\r\n#\"'={}()+,*";

static bool
is_delimiter(char c)
{
	return c == 0 || strchr(delimiters, c) != NULL;
}

static bool
begins(const struct conf_tokens *t, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(t->end - t->p) >= n && memcmp(t->p, s, n) == 0;
}

static void
skip_line(struct conf_tokens *t)
{
	while (t->p < t->end && *t->p != '\n')
		t->p++;
}

/* Returns false when a comment does not end. */
static bool
skip_comment(struct conf_tokens *t)
{
	int line = t->line;

	for (t->p += 2; t->p < t->end; t->p++) {
		if (*t->p == '\n')
			t->line++;
		if (begins(t, "*/")) {
			t->p += 2;
			return true;
		}
	}
	conf_error(
	    t->errors, t->file, line, "this comment is not closed: */ is missing");
	return false;
}

/* Moves to the next token; false after a mistake. */
static bool
skip_space(struct conf_tokens *t)
{
	while (t->p < t->end) {
		if (*t->p == '\n') {
			t->line++;
			t->p++;
		} else if (*t->p == ' ' || *t->p == '\t' || *t->p == '\r') {
			t->p++;
		} else if (*t->p == '#' || begins(t, "//")) {
			skip_line(t);
		} else if (begins(t, "/*")) {
			if (!skip_comment(t))
				return false;
		} else {
			break;
		}
	}
	return true;
}

/*
 * At "${": moves behind "}".  Without a default the variable must be set: an
 * empty secret would be worse than none.
 */
static bool
take_variable(struct conf_tokens *t)
{
	const char *name = t->p + 2, *p = name, *dash;
	char *copy;

	while (p < t->end && *p != '}' && *p != '\n' && *p != '"' && *p != '\\')
		p++;
	if (p == t->end || *p != '}' || p == name) {
		conf_error(t->errors, t->file, t->line,
		    "${ begins a variable, as in ${NAME} or ${NAME:-default}: write \\${ "
		    "for the characters");
		return false;
	}
	t->p = p + 1;
	copy = base_memdup(name, (size_t)(p - name));
	dash = strstr(copy, ":-");
	if (dash == NULL && getenv(copy) == NULL) /* the scan can go on */
		conf_error(t->errors, t->file, t->line,
		    "the environment variable %s is not set: ${%s:-} would be empty then",
		    copy, copy);
	free(copy);
	return true;
}

/* The character after a backslash, in double quotes. */
static bool
take_escape(struct conf_tokens *t)
{
	char c = t->p + 1 < t->end ? t->p[1] : 0;

	if ((c >= '0' && c <= '9') || c == 'x') {
		conf_error(t->errors, t->file, t->line,
		    "characters by number (\\%c) are not supported: write the character",
		    c);
		return false;
	}
	if (c == '\n')
		t->line++;
	t->p += c == 0 ? 1 : 2;
	return true;
}

static bool
take_string(struct conf_tokens *t)
{
	char quote = *t->p++;
	int line = t->line;

	while (t->p < t->end && *t->p != quote) {
		if (*t->p == '\n')
			t->line++;
		if (quote == '"' && begins(t, "${")) {
			if (!take_variable(t))
				return false;
		} else if (quote == '"' && *t->p == '\\') {
			if (!take_escape(t))
				return false;
		} else if (*t->p == '\\' && t->p + 1 < t->end) {
			if (t->p[1] == '\n')
				t->line++;
			t->p += 2;
		} else {
			t->p++;
		}
	}
	if (t->p == t->end) {
		conf_error(t->errors, t->file, line,
		    "this string is not closed: %c is missing", quote);
		return false;
	}
	t->p++;
	return true;
}

static enum conf_token
take_sign(struct conf_tokens *t)
{
	unsigned char c = (unsigned char)*t->p;

	if (begins(t, "+=")) {
		conf_error(t->errors, t->file, t->line,
		    "+= is not supported: give the whole list with =");
		return CONF_TOKEN_BAD;
	}
	t->p++;
	switch (c) {
	case '{':
		return CONF_TOKEN_OPEN;
	case '}':
		return CONF_TOKEN_CLOSE;
	case '=':
		return CONF_TOKEN_EQUAL;
	case ',':
		return CONF_TOKEN_COMMA;
	default:
		conf_error(t->errors, t->file, t->line,
		    "'%c' has no meaning here: quote a value that contains it", c);
		return CONF_TOKEN_BAD;
	}
}

static enum conf_token
take(struct conf_tokens *t)
{
	if (*t->p == '"' || *t->p == '\'')
		return take_string(t) ? CONF_TOKEN_STRING : CONF_TOKEN_BAD;
	if (begins(t, "${"))
		return take_variable(t) ? CONF_TOKEN_STRING : CONF_TOKEN_BAD;
	if (is_delimiter(*t->p))
		return take_sign(t);
	while (t->p < t->end && !is_delimiter(*t->p))
		t->p++;
	return CONF_TOKEN_WORD;
}

void
conf_token_next(struct conf_tokens *t)
{
	if (!skip_space(t)) {
		t->type = CONF_TOKEN_BAD;
		return;
	}
	t->at = t->p;
	t->at_line = t->line;
	t->type = t->p == t->end ? CONF_TOKEN_END : take(t);
	t->len = (size_t)(t->p - t->at);
}
