/*
 * test_opts: a plugin's options from its section of the file.
 */
#include "config.h"

#include "plug/plug_opts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem_store.h"

static struct plug_module *
load(const char *name)
{
	struct base_buf why = {0};
	struct plug_module *mod = plug_load(
	    getenv("CHATD_PLUGIN_DIR"), name, CHATD_KIND_STORE, &why);

	if (mod == NULL)
		fail_msg("%.*s", (int)why.len, why.p);
	base_buf_free(&why);
	return mod;
}

static void *
parse(const struct plug_module *mod, const char *text, struct base_buf *errors)
{
	/* As if the section began on line 7. */
	struct conf_body body = {
	    "store \"a\"", "chat.conf", 7, text, strlen(text)};

	return plug_opts_parse(mod, &body, errors);
}

static void
test_values(void **state BASE_UNUSED)
{
	struct plug_module *mod = load("store_fail");
	struct base_buf errors = {0};
	struct mem_conf *conf = parse(mod, "", &errors);

	assert_non_null(conf);
	assert_int_equal(conf->max_rows, 0);
	assert_int_equal(conf->max_data, 1 << 20);
	assert_string_equal(conf->bug, "");
	assert_int_equal(conf->schedule.n, 0);
	plug_opts_free(mod, conf);

	setenv("PLUG_TEST_BUG", "twice", 1);
	conf = parse(mod,
	    "# a comment\nmax_rows = 12 max_data = 64k\ndelay = \"2s\" refuse = on\n"
	    "bug = ${PLUG_TEST_BUG}\nschedule = {\"write -2 1\", 'ping -3 1'}\n",
	    &errors);
	assert_non_null(conf);
	assert_int_equal(errors.len, 0);
	assert_int_equal(conf->max_rows, 12);
	assert_int_equal(conf->max_data, 65536);
	assert_int_equal(conf->delay, 2000);
	assert_true(conf->refuse);
	assert_string_equal(conf->bug, "twice");
	assert_int_equal(conf->schedule.n, 2);
	assert_string_equal(conf->schedule.items[1], "ping -3 1");
	plug_opts_free(mod, conf);
	plug_unload(mod);
}

static const struct {
	const char *text, *want;
} mistakes[] = {
    {"\nmax_rows = many",
	"chat.conf:8: max_rows: \"many\" is not allowed here: must be a whole number "
	"from 0 to 1000000\n"},
    {"max_data = 0\n\n\ndelay = 3",
	"chat.conf:7: max_data: \"0\" is not allowed here: must be a size from 1 to 16m, "
	"in bytes or with k, m or g\n"
	"chat.conf:10: delay: \"3\" is not allowed here: must be a time from 0 to 10s, "
	"with ms, s, m, h or d\n"},
    {"\n\nroom = 3", "chat.conf:9: room: no such option in store \"a\"\n"},
    {"workers = 3",
	"chat.conf:7: workers: belongs outside of sections, not in store \"a\"\n"},
    {"max_rows = 1\nmax_rows = 2",
	"chat.conf:8: max_rows: given twice: first on line 7\n"},
    {"max_rows = {1, 2}", "chat.conf:7: max_rows: takes one value, not a list\n"},
    {"\nmax_rows", "chat.conf:8: the file ends too early: = is needed after the name "
		   "of an option\n"},
    {"}", "chat.conf:7: } is not expected: the name of an option is needed\n"},
    {"bug = \"123456789012345678901\"",
	"chat.conf:7: bug: has 21 bytes: must be at most 20\n"},
    {"\nbug = \"a\x01\"", "chat.conf:8: control character 0x01\n"},
    {"\nrefuse = on",
	"chat.conf:7: store \"a\": refuse and store do not go together\n"},
};

static void
test_mistakes(void **state BASE_UNUSED)
{
	struct plug_module *mod = load("store_mem");
	struct base_buf errors = {0};
	size_t i;

	for (i = 0; i < BASE_COUNT(mistakes); i++) {
		assert_null(parse(mod, mistakes[i].text, &errors));
		base_buf_byte(&errors, 0);
		assert_string_equal(errors.p, mistakes[i].want);
		errors.len = 0;
	}
	base_buf_free(&errors);
	plug_unload(mod);
}

struct strings {
	const char *must, *may;
};

static const struct chatd_opt string_opts[] = {
    {"must", CHATD_OPT_SECRET, CHATD_OPT_LIVE, offsetof(struct strings, must), "", 8,
	16, "A secret."},
    {"may", CHATD_OPT_STR, CHATD_OPT_RESTART, offsetof(struct strings, may), "four", 4,
	0, "A text."},
};

static void
test_must_be_given(void **state BASE_UNUSED)
{
	struct plug_module mod = {.table = {.name = "store_x",
				      .opts = string_opts,
				      .n_opts = BASE_COUNT(string_opts),
				      .conf_size = sizeof(struct strings)}};
	struct base_buf errors = {0};
	struct strings *conf;

	assert_true(plug_opts_table(&mod, &errors));
	assert_int_equal(errors.len, 0);
	assert_null(parse(&mod, "", &errors));
	assert_null(parse(&mod, "must = \"geheim\"", &errors));
	assert_null(parse(&mod, "must = \"geheimnis\" may = \"abc\"", &errors));
	base_buf_byte(&errors, 0);
	assert_string_equal(errors.p,
	    "chat.conf:7: store \"a\": must: is missing\n"
	    "chat.conf:7: must: has 6 bytes: must be at least 8\n"
	    "chat.conf:7: may: has 3 bytes: must be at least 4\n");
	errors.len = 0;
	conf = parse(&mod, "must = \"geheimnis\"", &errors);
	assert_string_equal(conf->must, "geheimnis");
	assert_string_equal(conf->may, "four");
	plug_opts_free(&mod, conf);
	free(mod.opts);
	base_buf_free(&errors);
}

static void
test_compare(void **state BASE_UNUSED)
{
	struct plug_module *mod = load("store_mem");
	struct base_buf errors = {0};
	void *a = parse(mod, "max_rows = 1", &errors);
	void *b = parse(mod, "max_rows = 2", &errors);
	void *c = parse(mod, "max_rows = 2 delay = 1s", &errors);

	assert_int_equal(plug_opts_compare(mod, a, a), PLUG_SAME);
	assert_int_equal(plug_opts_compare(mod, a, b), PLUG_LIVE);
	assert_int_equal(plug_opts_compare(mod, a, c), PLUG_RESTART);
	assert_int_equal(plug_opts_compare(mod, b, c), PLUG_RESTART);
	plug_opts_free(mod, a);
	plug_opts_free(mod, b);
	plug_opts_free(mod, c);
	plug_unload(mod);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_must_be_given),
	    cmocka_unit_test(test_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
