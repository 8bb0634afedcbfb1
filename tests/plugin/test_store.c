/*
 * test_store: the store that a configuration chooses.
 */
#include "config.h"

#include "plug/plug_store.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf_parse.h"
#include "mem_store.h"

#define STATE "/tmp/chatd-test-store-state"
#define LISTEN "listen \"a\" { address = \"127.0.0.1:8000\" }\n"

static struct conf *
parse(const char *text)
{
	struct base_buf errors = {0};
	struct conf *conf = conf_parse_text(text, "dir/t.conf", &errors);

	if (conf == NULL)
		fail_msg("%.*s", (int)errors.len, errors.p);
	return conf;
}

static void
test_used(void **state BASE_UNUSED)
{
	static const struct {
		const char *text;
		bool used;
	} cases[] = {
	    {LISTEN, false},
	    {LISTEN "store = sqlite namespace ab { history_size = 1 }", false},
	    {LISTEN "namespace ab { archive = on }", true},
	    {LISTEN "sqlite { }", true},
	    {LISTEN "postgres { }", false},
	    {LISTEN "store = postgres", true},
	    {LISTEN "store = \"none\"", false},
	};
	struct conf *conf;
	size_t i;

	for (i = 0; i < BASE_COUNT(cases); i++) {
		conf = parse(cases[i].text);
		assert_int_equal(plug_store_used(conf), cases[i].used);
		conf_free(conf);
	}
}

/* @: the directory of plugins. */
static const struct {
	const char *text, *want;
} mistakes[] = {
    {LISTEN "\nstore = nowhere",
	"dir/t.conf:3: store: @/store_nowhere.so: No such file or directory\n"},
    {LISTEN "store = \"../mem\"",
	"dir/t.conf:2: store: not the name of a plugin: \"store_../mem\"\n"},
    {"\n" LISTEN "namespace ab { archive = on }",
	"dir/t.conf:1: store: @/store_sqlite.so: No such file or directory\n"},
    {LISTEN "store = mem mem {\n\n max_rows = many\n delay = 3 }",
	"dir/t.conf:4: max_rows: \"many\" is not allowed here: must be a whole number "
	"from 0 to 1000000\n"
	"dir/t.conf:5: delay: \"3\" is not allowed here: must be a time from 0 to 10s, "
	"with ms, s, m, h or d\n"},
    {LISTEN "mem {\n\n what = 1 }\nstore = mem",
	"dir/t.conf:4: what: no such option in mem\n"},
    {LISTEN "mem { bug = init }\nstore = mem",
	"dir/t.conf:3: store: store_mem: cannot be started: the memory is on "
	"holiday\n"},
    {LISTEN "store = mem\n mem { bug = mute }",
	"dir/t.conf:2: store: store_mem: cannot be started: init failed with code -2\n"},
    {LISTEN "store = mem mem {\n refuse = on }",
	"dir/t.conf:2: mem: refuse and store do not go together\n"},
    {LISTEN "max_message_size = 1001\nstore = small",
	"dir/t.conf:3: store: store_small takes messages of at most 1000 bytes: "
	"max_message_size is 1001\n"},
};

static void
test_mistakes(void **state BASE_UNUSED)
{
	struct base_buf errors = {0}, want = {0};
	struct conf *conf;
	const char *p;
	size_t i;

	for (i = 0; i < BASE_COUNT(mistakes); i++) {
		conf = parse(mistakes[i].text);
		assert_false(plug_store_check(conf, &errors));
		base_buf_byte(&errors, 0);
		want.len = 0;
		for (p = mistakes[i].want; *p != 0; p++)
			base_buf_add(&want, *p == '@' ? plug_load_dir() : p,
			    *p == '@' ? strlen(plug_load_dir()) : 1);
		base_buf_byte(&want, 0);
		assert_string_equal(errors.p, want.p);
		errors.len = 0;
		conf_free(conf);
	}
	base_buf_free(&errors);
	base_buf_free(&want);
}

static void
test_good(void **state BASE_UNUSED)
{
	static const char *const texts[] = {
	    LISTEN,
	    LISTEN "store = none sqlite { what = is this = now }",
	    LISTEN "store = mem",
	    LISTEN "store = null sqlite { what = ever } nats { }",
	    LISTEN "max_message_size = 1000 store = small small { first = 3 }",
	};
	struct base_buf errors = {0};
	struct conf *conf;
	size_t i;

	for (i = 0; i < BASE_COUNT(texts); i++) {
		conf = parse(texts[i]);
		assert_true(plug_store_check(conf, &errors));
		assert_int_equal(errors.len, 0);
		conf_free(conf);
	}
	base_buf_free(&errors);
}

/* What an opened store has, and how its options are shown. */
static void
test_open(void **state BASE_UNUSED)
{
	struct conf *conf = parse(LISTEN "store = mem state_dir = \"../s\"\n"
					 "mem { max_rows = 3 } nats { password = hush }");
	struct base_buf text = {0}, want = {0};
	struct plug_store store, none = {0};
	const struct mem_conf *options;
	char *cwd = getcwd(NULL, 0);

	assert_true(plug_store_open(conf, &store, &text));
	options = store.conf;
	assert_int_equal(options->max_rows, 3);
	assert_int_equal(options->max_data, 1 << 20);
	base_buf_printf(&want, "%s/dir/../s", cwd);
	base_buf_byte(&want, 0);
	assert_string_equal(store.state_dir, want.p);
	plug_store_dump(conf, &store, &text);
	base_buf_byte(&text, 0);
	assert_string_equal(text.p,
	    "mem {\n\tmax_rows = 3\n\tmax_data = 1m\n\tdelay = 0\n\trefuse = off\n"
	    "\tlog = \"\"\n\tbug = \"\"\n}\n# not in use: nats { ... }\n");
	plug_store_close(&store);
	text.len = 0;
	plug_store_dump(conf, &none, &text);
	base_buf_byte(&text, 0);
	assert_string_equal(
	    text.p, "# not in use: mem { ... }\n# not in use: nats { ... }\n");
	conf_free(conf);
	base_buf_free(&text);
	base_buf_free(&want);
	free(cwd);
}

static const struct {
	const char *text;
	unsigned flags;
	int code;
	const char *want;
} migrations[] = {
    {LISTEN "store = none", 0, CHATD_NOTSUP, "dir/t.conf:2: store: there is none\n"},
    {LISTEN "store = null", 0, CHATD_NOTSUP,
	"dir/t.conf:2: store: store_null has no schema\n"},
    {LISTEN "store = mem mem { bug = init }", 0, CHATD_CONFIG,
	"dir/t.conf:2: store: store_mem: cannot be started: the memory is on "
	"holiday\n"},
    {LISTEN "store = fail", CHATD_MIGRATE_CHECK, CHATD_VERSION,
	"dir/t.conf:2: store: store_fail: there is no schema\n"},
    {LISTEN "store = fail state_dir = \"/proc/no\"", 0, CHATD_UNAVAIL,
	"dir/t.conf:2: state_dir: /proc/no: cannot be made: No such file or "
	"directory\n"},
    {LISTEN "store = fail state_dir = \"/proc/no\"", CHATD_MIGRATE_CHECK,
	CHATD_VERSION, "dir/t.conf:2: store: store_fail: there is no schema\n"},
    {LISTEN "store = fail state_dir = \"" STATE "\"", 0, 0, ""},
    {LISTEN "store = fail state_dir = \"" STATE "\"\n"
	    "fail { schedule = \"migrate -2 1\" }", 0, CHATD_UNAVAIL,
	"dir/t.conf:2: store: store_fail: migrate fails as planned\n"},
};

static void
test_migrate(void **state BASE_UNUSED)
{
	struct base_buf errors = {0};
	struct conf *conf;
	size_t i;

	rmdir(STATE);
	for (i = 0; i < BASE_COUNT(migrations); i++) {
		conf = parse(migrations[i].text);
		assert_int_equal(
		    plug_store_migrate(conf, migrations[i].flags, &errors),
		    migrations[i].code);
		base_buf_byte(&errors, 0);
		assert_string_equal(errors.p, migrations[i].want);
		errors.len = 0;
		conf_free(conf);
	}
	assert_int_equal(rmdir(STATE), 0); /* it was made */
	base_buf_free(&errors);
}

static int
use_test_plugins(void **state BASE_UNUSED)
{
	const char *dir = getenv("CHATD_PLUGIN_DIR");

	return dir != NULL && plug_load_set_dir(dir) ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_used),
	    cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_migrate),
	};

	return cmocka_run_group_tests(tests, use_test_plugins, NULL);
}
