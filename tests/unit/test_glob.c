/*
 * Patterns of channel names.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/glob.h"

static bool
matches(const char *pattern, const char *text)
{
	/* Copies of the right size, so that a byte too many is noticed. */
	size_t n = strlen(pattern), m = strlen(text);
	char *p = malloc(n + 1), *t = malloc(m + 1);
	bool r;

	assert_true(p != NULL && t != NULL);
	memcpy(p + 1, pattern, n);
	memcpy(t + 1, text, m);
	r = glob_match(
	    (struct base_slice){p + 1, n}, (struct base_slice){t + 1, m});
	free(p);
	free(t);
	return r;
}

static void
each_kind(void **state)
{
	static const struct {
		const char *pattern, *yes, *no;
	} table[] = {
	    {"abc", "abc", "abcd"},
	    {"abc", "abc", "ab"},
	    {"*", "", NULL},
	    {"*", "chat:lobby", NULL},
	    {"chat:*", "chat:", "chatx"},
	    {"*:x", "a:b:x", "a:b:xy"},
	    {"a*b*c", "a--b--b--c", "a--c--b"},
	    {"**a", "a", "b"},
	    {"a?c", "abc", "ac"},
	    {"??", "ab", "a"},
	    {"[a-c]x", "bx", "dx"},
	    {"[!a-c]x", "dx", "bx"},
	    {"[abz]", "z", "c"},
	    {"[]a]", "]", "b"},
	    {"[!]a]", "b", "]"},
	    {"[a-]", "-", "b"},
	    {"[a", "[a", "a"},
	    {"{a,bc}x", "bcx", "abcx"},
	    {"{a,bc}x", "ax", "x"},
	    {"{,a}x", "x", "bx"},
	    {"{a*,b?}", "azz", "b"},
	    {"{a,{b,c}d}e", "cde", "ce"},
	    {"{a,b}{c,d}", "bd", "ab"},
	    {"{a", "{a", "a"},
	    {"a}", "a}", "a"},
	    {"a,b", "a,b", "a"},
	    {"\\*", "*", "x"},
	    {"\\{a,b}", "{a,b}", "a"},
	    {"{a\\,b,c}", "a,b", "a"},
	    {"a\\", "a\\", "a"},
	    {"", "", "a"},
	    {"[!", "[!", "x"},
	    {"[", "[", "x"},
	    {"{", "{", "x"},
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(table); i++) {
		if (!matches(table[i].pattern, table[i].yes))
			fail_msg("%s not %s", table[i].pattern, table[i].yes);
		if (table[i].no != NULL && matches(table[i].pattern, table[i].no))
			fail_msg("%s is %s", table[i].pattern, table[i].no);
	}
}

/* What would take forever is given up. */
static void
is_bounded(void **state)
{
	char pattern[GLOB_MAX + 2], text[256];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[255] = 0;
	for (size_t i = 0; i < 60; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + 60, "b", 2);
	assert_false(matches(pattern, text));
	for (size_t i = 0; i + 5 < sizeof(pattern) - 1; i += 5)
		memcpy(pattern + i, "{a,b}", 6);
	assert_false(matches(pattern, text));
	memset(pattern, '{', GLOB_MAX);
	pattern[GLOB_MAX] = 0;
	assert_false(matches(pattern, text));
	memset(pattern, 'a', GLOB_MAX + 1);
	pattern[GLOB_MAX + 1] = 0;
	assert_false(matches(pattern, pattern));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_kind),
	    cmocka_unit_test(is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
