/*
 * The demo page as it is compiled in.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "demo/demo.h"

static struct base_slice
slice(const char *s)
{
	return (struct base_slice){ s, strlen(s) };
}

static void
test_find(void **state)
{
	const struct demo_file *file = demo_find(slice("/"));

	(void)state;
	assert_non_null(file);
	assert_string_equal(file->type, "text/html; charset=utf-8");
	assert_null(demo_find(slice("")));
	assert_null(demo_find(slice("/demo")));
	assert_null(demo_find(slice("/demo.cssx")));
	assert_null(demo_find(slice("/../demo.css")));
	/* Only the length says where a slice ends. */
	assert_non_null(demo_find((struct base_slice){ "/demo.cssx", 9 }));
}

/* Every byte of every file is there, whatever the tools made of it. */
static void
test_bytes(void **state)
{
	(void)state;
	assert_int_equal(demo_n_files, 7);
	for (size_t i = 0; i < demo_n_files; i++) {
		const struct demo_file *file = &demo_files[i];
		char path[512], want[65536];
		size_t n;
		FILE *f;

		snprintf(path, sizeof(path), "%s/../src/demo%s", TEST_SRCDIR,
		    strcmp(file->path, "/") == 0 ? "/index.html" : file->path);
		f = fopen(path, "rb");
		assert_non_null(f);
		n = fread(want, 1, sizeof(want), f);
		fclose(f);
		assert_in_range(n, 1, sizeof(want) - 1);
		assert_int_equal(file->body.len, n);
		assert_memory_equal(file->body.p, want, n);
	}
}

static void
test_headers(void **state)
{
	size_t n = strlen(demo_headers);

	(void)state;
	assert_true(n > 2);
	assert_string_equal(demo_headers + n - 2, "\r\n");
	assert_null(strstr(demo_headers, "\r\n\r\n"));
	assert_non_null(strstr(demo_headers,
	    "Content-Security-Policy: default-src 'self'"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
