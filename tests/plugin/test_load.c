/*
 * test_load: what is loaded, what is not, and what is said about it.
 */
#include "config.h"

#include "plug/plug_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_buf.h"

/* What plug_load says about a plugin, behind its path. */
static void
refused(const char *dir, const char *name, enum chatd_kind kind, const char *want)
{
	struct base_buf why = {0}, full = {0};

	assert_null(plug_load(dir, name, kind, &why));
	base_buf_byte(&why, 0);
	base_buf_printf(&full, "%s/%s.so: %s", dir, name, want);
	base_buf_byte(&full, 0);
	/* The loader's own words differ: their begin has to do. */
	if (strchr(want, '*') != NULL)
		why.p[BASE_MIN(full.len - 2, why.len - 1)] = 0;
	full.p[strcspn(full.p, "*")] = 0;
	assert_string_equal(why.p, full.p);
	base_buf_free(&why);
	base_buf_free(&full);
}

struct case_of {
	const char *name, *want;
};

#define ALIKE ": both have to be built alike"

static const struct case_of broken[] = {
    {"broken_none", "is not a plugin of chatd: it has no symbol chatd_plugin"},
    {"broken_symbol", "cannot be loaded: *"},
    {"broken_magic",
	"is not a plugin of chatd: its table begins with 12345678, not 74616863"},
    {"broken_major",
	"is built for plugin interface 2.0; this chatd has 1.0: it has to be built for "
	"this one"},
    {"broken_minor",
	"is built for plugin interface 1.1; this chatd has 1.0: it needs a newer chatd"},
    {"broken_size", "has a table of 40 bytes: at least 112"},
    {"broken_kind", "is of the unknown kind 99: a store is needed"},
    {"broken_bus", "is a bus: a store is needed here"},
    {"broken_name", "calls itself \"store_other?\": must be the name of its file"},
    {"broken_caps",
	"has capabilities that this chatd does not know: bits 0x8000000000"},
    {"broken_write", "lacks the function write"},
    {"broken_life", "lacks the function fini"},
    {"broken_history",
	"lacks the function history, which its capabilities promise"},
    {"broken_opt_name", "has a wrong name of option 1"},
    {"broken_opt_twice", "has the option first twice"},
    {"broken_opt_type",
	"has the option room without a good type, change, default or text"},
    {"broken_opt_at", "has the option room at a wrong place"},
    {"broken_opt_overlap", "has the option room at a wrong place"},
    {"broken_opt_limits", "has the option room with wrong limits"},
    {"broken_opt_default",
	"has the option room with a wrong default: \"32m\" is not allowed here: must be "
	"a size from 1 to 16m, in bytes or with k, m or g"},
    {"broken_opt_n",
	"has 65 options in 16 bytes: at most 64 in 65536 are possible"},
};

static void
test_broken(void **state BASE_UNUSED)
{
	size_t i;

	for (i = 0; i < BASE_COUNT(broken); i++)
		refused(getenv("CHATD_PLUGIN_DIR"), broken[i].name, CHATD_KIND_STORE,
		    broken[i].want);
}

static void
test_build(void **state BASE_UNUSED)
{
	char want[128];

	snprintf(want, sizeof(want),
	    "is built for \"other\", this chatd %s%s" ALIKE,
	    CHATD_BUILD[0] != 0 ? "for " : "without a sanitizer", CHATD_BUILD);
	refused(getenv("CHATD_PLUGIN_DIR"), "broken_build", CHATD_KIND_STORE, want);
}

static void
test_kind(void **state BASE_UNUSED)
{
	refused(getenv("CHATD_PLUGIN_DIR"), "store_null", CHATD_KIND_BUS,
	    "is a store: a bus is needed here");
}

static void
write_file(const char *path, const char *text)
{
	FILE *fp = fopen(path, "w");

	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

static void
test_files(void **state BASE_UNUSED)
{
	char dir[] = "/tmp/chatd-plug-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	refused(dir, "store_x", CHATD_KIND_STORE, "No such file or directory");
	snprintf(path, sizeof(path), "%s/store_x.so", dir);
	write_file(path, "#!/bin/sh\n");
	refused(dir, "store_x", CHATD_KIND_STORE, "cannot be loaded: *");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(dir, "store_x", CHATD_KIND_STORE, "cannot be loaded: *");
	rmdir(path);
	rmdir(dir);
}

static void
test_names(void **state BASE_UNUSED)
{
	static const struct case_of names[] = {
	    {"", "not the name of a plugin: \"\""},
	    {"../store_mem", "not the name of a plugin: \"../store_mem\""},
	    {"/tmp/x", "not the name of a plugin: \"/tmp/x\""},
	    {"store\nmem", "not the name of a plugin: \"store?mem\""},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"not the name of a plugin: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaa...\""},
	};
	struct base_buf why = {0};
	size_t i;

	for (i = 0; i < BASE_COUNT(names); i++) {
		assert_null(plug_load(
		    getenv("CHATD_PLUGIN_DIR"), names[i].name, CHATD_KIND_STORE, &why));
		base_buf_byte(&why, 0);
		assert_string_equal(why.p, names[i].want);
		why.len = 0;
	}
	base_buf_free(&why);
}

static void
test_good(void **state BASE_UNUSED)
{
	static const char *const names[] = {"store_null", "store_mem", "store_fail"};
	struct plug_module *mod;
	struct base_buf why = {0};
	size_t i;

	for (i = 0; i < BASE_COUNT(names); i++) {
		mod = plug_load(getenv("CHATD_PLUGIN_DIR"), names[i], CHATD_KIND_STORE,
		    &why);
		assert_non_null(mod);
		assert_int_equal(why.len, 0);
		assert_string_equal(mod->table.name, names[i]);
		assert_ptr_equal(mod->table.life, &mod->life);
		plug_unload(mod);
	}
	base_buf_free(&why);
}

static void
test_dir(void **state BASE_UNUSED)
{
	assert_string_equal(strrchr(plug_load_dir(), '/'), "/chatd");
	assert_true(plug_load_set_dir("/a"));
	assert_true(plug_load_set_dir("/some/where"));
	assert_string_equal(plug_load_dir(), "/some/where");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_build),
	    cmocka_unit_test(test_kind),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
