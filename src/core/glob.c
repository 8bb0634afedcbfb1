/*
 * glob: see the header.
 */
#include "config.h"

#include "core/glob.h"

#include <string.h>

#define STEPS_MAX 100000
#define DEPTH_MAX 32 /* of alternatives, and of '*' */

struct state {
	unsigned steps, depth;
};

static bool match(struct state *st, struct base_slice p, struct base_slice s);

static struct base_slice
skip(struct base_slice s, size_t n)
{
	return (struct base_slice){s.p + n, s.len - n};
}

/* Bytes of the class at the start of P, or 0: it is not closed. */
static size_t
class_len(struct base_slice p)
{
	size_t i = p.len > 1 && p.p[1] == '!' ? 2 : 1;

	/* A ']' that comes first is one of the class. */
	for (i++; i < p.len; i++)
		if (p.p[i] == ']')
			return i + 1;
	return 0;
}

static bool
in_class(struct base_slice p, size_t len, char c)
{
	bool negated = p.p[1] == '!', found = false;
	size_t i = negated ? 2 : 1;

	while (i < len - 1) {
		if (i + 2 < len - 1 && p.p[i + 1] == '-') {
			found = found || (c >= p.p[i] && c <= p.p[i + 2]);
			i += 3;
		} else {
			found = found || c == p.p[i];
			i++;
		}
	}
	return found != negated;
}

/* Where the alternative that begins at I ends: at a ',' or '}'; 0: it does not. */
static size_t
alternative_end(struct base_slice p, size_t i)
{
	unsigned depth = 0;

	for (; i < p.len; i++) {
		if (p.p[i] == '\\')
			i++;
		else if (p.p[i] == '{')
			depth++;
		else if (depth == 0 && (p.p[i] == ',' || p.p[i] == '}'))
			return i;
		else if (p.p[i] == '}')
			depth--;
	}
	return 0;
}

/* P begins with '{', which is closed at CLOSE. */
static bool
match_alternatives(
    struct state *st, struct base_slice p, size_t close, struct base_slice s)
{
	struct base_slice rest = skip(p, close + 1);
	char one[GLOB_MAX];

	for (size_t from = 1; from <= close;) {
		size_t to = alternative_end(p, from);

		memcpy(one, p.p + from, to - from);
		if (rest.len > 0)
			memcpy(one + (to - from), rest.p, rest.len);
		if (match(st, (struct base_slice){one, to - from + rest.len}, s))
			return true;
		from = to + 1;
	}
	return false;
}

static size_t
close_of(struct base_slice p)
{
	size_t at = 0;

	do
		at = alternative_end(p, at + 1);
	while (at != 0 && p.p[at] == ',');
	return at;
}

static bool
match_star(struct state *st, struct base_slice p, struct base_slice s)
{
	for (;;) {
		if (match(st, p, s))
			return true;
		if (s.len == 0)
			return false;
		s = skip(s, 1);
	}
}

/* The element at the start of P takes one character: how long it is, or 0: it does
 * not match C. */
static size_t
match_one(struct base_slice p, char c)
{
	size_t len = p.p[0] == '[' ? class_len(p) : 0;

	if (len > 0)
		return in_class(p, len, c) ? len : 0;
	if (p.p[0] == '?')
		return 1;
	if (p.p[0] == '\\' && p.len > 1)
		return p.p[1] == c ? 2 : 0;
	return p.p[0] == c;
}

static bool
match_here(struct state *st, struct base_slice p, struct base_slice s)
{
	while (p.len > 0) {
		size_t close, len;

		if (++st->steps > STEPS_MAX)
			return false;
		if (p.p[0] == '*')
			return match_star(st, skip(p, 1), s);
		close = p.p[0] == '{' ? close_of(p) : 0;
		if (close > 0)
			return match_alternatives(st, p, close, s);
		len = s.len == 0 ? 0 : match_one(p, s.p[0]);
		if (len == 0)
			return false;
		p = skip(p, len);
		s = skip(s, 1);
	}
	return s.len == 0;
}

static bool
match(struct state *st, struct base_slice p, struct base_slice s)
{
	bool found;

	if (st->depth == DEPTH_MAX || st->steps > STEPS_MAX)
		return false;
	st->depth++;
	found = match_here(st, p, s);
	st->depth--;
	return found;
}

bool
glob_match(struct base_slice pattern, struct base_slice text)
{
	struct state st = {0};

	return pattern.len <= GLOB_MAX && match(&st, pattern, text);
}
