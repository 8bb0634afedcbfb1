/*
 * allowed_origins.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/origin.h"

static void
matches_globs(void **state)
{
	static const struct {
		const char *pattern, *origin;
		bool allowed;
	} rows[] = {
	    {"*", "http://a", true},
	    {"*", "null", true},
	    {"*", "", true},
	    {"https://a.example", "https://a.example", true},
	    {"https://a.example", "HTTPS://A.Example", true},
	    {"https://a.example", "https://a.example.evil", false},
	    {"https://a.example", "https://a.exampl", false},
	    {"https://*.example.com", "https://x.example.com", true},
	    {"https://*.example.com", "https://x.y.example.com", true},
	    {"https://*.example.com", "https://example.com", false},
	    {"https://*.example.com", "http://x.example.com", false},
	    {"https://*.example.com", "https://x.example.com:8443", false},
	    {"http://localhost:*", "http://localhost:8000", true},
	    {"http://*a*b", "http://xaxxaxb", true},
	    {"http://*a*b", "http://xbxxa", false},
	    {"", "", true},
	    {"", "x", false},
	    {"**", "x", true},
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(rows); i++) {
		char pattern[64];
		char *item = pattern;
		struct conf_list list = {&item, 1};
		struct base_slice origin = {rows[i].origin, strlen(rows[i].origin)};

		snprintf(pattern, sizeof(pattern), "%s", rows[i].pattern);
		if (origin_allowed(&list, origin) != rows[i].allowed)
			fail_msg("%s against %s", rows[i].origin, rows[i].pattern);
	}
}

static void
empty_list_refuses(void **state)
{
	const struct conf_list none = {NULL, 0};

	(void)state;
	assert_false(origin_allowed(&none, (struct base_slice){"http://a", 8}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(matches_globs),
	    cmocka_unit_test(empty_list_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
