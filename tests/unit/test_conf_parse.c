/*
 * test_conf_parse: what the syntax of chat.conf takes, and the exact message for
 * what it does not.
 */
#include "config.h"

#include "conf/conf_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf_util.h"

#define LISTEN "listen \"a\" { address = \"127.0.0.1:8000\" }\n"

static void
test_defaults(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(LISTEN);

	assert_int_equal(conf->workers, 0);
	assert_string_equal(conf->user, "");
	assert_int_equal(conf->state_dir[0], '/');
	assert_string_equal(conf->log_target, "stderr");
	assert_int_equal(conf->log_level, BASE_LOG_INFO);
	assert_int_equal(conf->allowed_origins.n, 0);
	assert_false(conf->allow_anonymous);
	assert_string_equal(conf->token_hmac_secret, "");
	assert_string_equal(conf->token_public_key.path, "");
	assert_null(conf->token_public_key.data);
	assert_int_equal(conf->max_frame_size, 65536);
	assert_int_equal(conf->ping_interval, 25000);
	assert_int_equal(conf->ring_size, 8 << 20);
	assert_int_equal(conf->n_listens, 1);
	assert_string_equal(conf->listens[0].title, "a");
	assert_string_equal(conf->listens[0].file, "t.conf");
	assert_int_equal(conf->listens[0].line, 1);
	assert_int_equal(conf->listens[0].serve, CONF_SERVE_CLIENT);
	assert_int_equal(conf->listens[0].backlog, 4096);
	assert_int_equal(conf->n_namespaces, 0);
	conf_free(conf);
}

static void
test_every_form(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good("# one way to say a word\n"
					   "workers = 3 // another comment\n"
					   "/* a long\n one */ demo = yes\r\n"
					   "log_level = debug log_target='/x/y z'\n"
					   "state_dir = /var/lib/c\n"
					   "max_connections = \"12\"\n"
					   "output_buffer = 2M\n"
					   "handshake_timeout = 500ms\n"
					   "expired_close_delay = 0\n"
					   "allowed_origins = {\"*\", 'null',}\n"
					   "listen x { address = [::1]:8000\n"
					   "  serve = {metrics, client} }\n"
					   "listen \"y\" { address = '1.2.3.4:65535'\n"
					   "  serve = metrics backlog = 1 }\n"
					   "namespace '' { subscribe = anyone }\n"
					   "namespace chat { publish = subscriber }");

	assert_int_equal(conf->workers, 3);
	assert_true(conf->demo);
	assert_int_equal(conf->log_level, BASE_LOG_DEBUG);
	assert_string_equal(conf->log_target, "/x/y z");
	assert_string_equal(conf->state_dir, "/var/lib/c");
	assert_int_equal(conf->max_connections, 12);
	assert_int_equal(conf->output_buffer, 2 << 20);
	assert_int_equal(conf->handshake_timeout, 500);
	assert_int_equal(conf->expired_close_delay, 0);
	assert_int_equal(conf->allowed_origins.n, 2);
	assert_string_equal(conf->allowed_origins.items[1], "null");
	assert_int_equal(conf->n_listens, 2);
	assert_string_equal(conf->listens[0].address, "[::1]:8000");
	assert_int_equal(conf->listens[0].line, 12);
	assert_int_equal(
	    conf->listens[0].serve, CONF_SERVE_CLIENT | CONF_SERVE_METRICS);
	assert_int_equal(conf->listens[1].serve, CONF_SERVE_METRICS);
	assert_int_equal(conf->n_namespaces, 2);
	assert_string_equal(conf->namespaces[0].title, "");
	assert_int_equal(conf->namespaces[0].subscribe, CONF_WHO_ANYONE);
	assert_int_equal(conf->namespaces[1].publish, CONF_WHO_SUBSCRIBER);
	assert_int_equal(conf->namespaces[1].line, 17);
	conf_free(conf);
}

static void
test_strings(void **state BASE_UNUSED)
{
	struct conf *conf;

	setenv("CHATD_TEST", "a \"b\"", 1);
	unsetenv("CHATD_TEST_NO");
	conf = conf_util_good(LISTEN "token_hmac_secret = \"x\\\"\\\\\\$${CHATD_TEST}"
				     "\\${y}${CHATD_TEST_NO:-z}\"\n"
				     "user = ${CHATD_TEST_NO:-}\n"
				     "log_target = '${CHATD_TEST}\\'\\q'\n"
				     "run_dir = c:\\d\\e\n"
				     "state_dir = \"one \\\ntwo\"");
	assert_string_equal(conf->token_hmac_secret, "x\"\\$a \"b\"${y}z");
	assert_string_equal(conf->log_target, "${CHATD_TEST}'\\q");
	assert_string_equal(conf->run_dir, "c:\\d\\e");
	assert_string_equal(conf->state_dir, "one two");
	conf_free(conf);
}

struct bad {
	const char *text, *errors;
};

/* Shapes that libConfuse alone would take, or take for something else. */
static const struct bad bad_shapes[] = {
    {LISTEN "listen \"b\" {\n address = \"127.0.0.1:1\"\n",
	"t.conf:2: listen \"b\": this section is not closed: } is missing\n"},
    {LISTEN "listen \"b\" {\n address = \"127.0.0.1:1\"\nnamespace x { }\n",
	"t.conf:4: namespace: stands inside listen \"b\", which begins on line 2 "
	"and has no } before it\n"},
    {LISTEN "user = \"x\nworkers = 2\n",
	"t.conf:2: this string is not closed: \" is missing\n"},
    {LISTEN "user = 'x", "t.conf:2: this string is not closed: ' is missing\n"},
    {LISTEN "/* x\n\n", "t.conf:2: this comment is not closed: */ is missing\n"},
    {LISTEN "}", "t.conf:2: } closes nothing\n"},
    {LISTEN "\nworkers = 1\n\nworkers = 2",
	"t.conf:5: workers: given twice: first on line 3\n"},
    {LISTEN "allowed_origins = {\"*\"}\nallowed_origins = {\"null\"}",
	"t.conf:3: allowed_origins: given twice: first on line 2\n"},
    {"listen a {\n address = 127.0.0.1:8000\n address = 127.0.0.1:8001 }",
	"t.conf:3: address: given twice: first on line 2\n"},
    {LISTEN "listen \"a\" {\n address = 127.0.0.1:1 }",
	"t.conf:2: listen \"a\": this title is taken: first at t.conf:1\n"},
    {LISTEN "namespace ab { }\n\nnamespace \"ab\" { }",
	"t.conf:4: namespace \"ab\": this title is taken: first at t.conf:2\n"},
    {LISTEN "workers = 2 * 3\n",
	"t.conf:2: '*' has no meaning here: quote a value that contains it\n"},
    {LISTEN "allowed_origins += \"*\"\n",
	"t.conf:2: += is not supported: give the whole list with =\n"},
    {LISTEN "user = \"\\x41\"",
	"t.conf:2: characters by number (\\x) are not supported: write the "
	"character\n"},
    {LISTEN "user = \"\x01\"", "t.conf:2: control character 0x01\n"},
    {LISTEN "user = \"a${\"",
	"t.conf:2: ${ begins a variable, as in ${NAME} or ${NAME:-default}: write "
	"\\${ for the characters\n"},
    {LISTEN "token_hmac_secret = \"${CHATD_TEST_NO}\"",
	"t.conf:2: the environment variable CHATD_TEST_NO is not set: "
	"${CHATD_TEST_NO:-} would be empty then\n"},
    {LISTEN "include(\"x\")",
	"t.conf:2: '(' has no meaning here: quote a value that contains it\n"
	"t.conf:2: include: needs a file, as in include \"conf.d/*.conf\"\n"},
};

/* Sections of plugins: what is in them is not known here, but its shape is. */
static const struct bad bad_plugins[] = {
    {LISTEN "radish { a = 1 }\nsqlite { }\n redis { }",
	"t.conf:2: radish: no such section\n"},
    {LISTEN "store = radish\nsqlite { }\nradish { a = 1 }\n sqlite { b = 2 }",
	"t.conf:5: sqlite: given twice: first at t.conf:3\n"},
    {LISTEN "sqlite \"x\" { }", "t.conf:2: sqlite: no such section\n"},
    {LISTEN "namespace ab { sqlite { } }",
	"t.conf:2: sqlite: no such section\n"},
    {LISTEN "sqlite { path }",
	"t.conf:2: } is not expected: = is needed after the name of an option\n"},
    {LISTEN "sqlite {\n path = { a { } }",
	"t.conf:3: { is not expected: , or } is needed after a value of a list\n"},
    {LISTEN "sqlite {\n path = x\n",
	"t.conf:2: sqlite: this section is not closed: } is missing\n"},
    {LISTEN "sqlite {\nlisten \"b\" { } }",
	"t.conf:3: listen: stands inside sqlite, which begins on line 2 and has no } "
	"before it\n"},
    {LISTEN "sqlite { path = \"x }\n",
	"t.conf:2: this string is not closed: \" is missing\n"},
};

/* The grammar, and options that are not there. */
static const struct bad bad_statements[] = {
    {LISTEN "\nworker = 1\nworkers = 0\n",
	"t.conf:3: worker: no such option\n"
	"t.conf:4: workers: \"0\" is not allowed here: must be auto or a whole "
	"number from 1 to 62\n"},
    {LISTEN "radish { url = \"x\" a = {c, d} }\ndemo = 7",
	"t.conf:3: demo: \"7\" is not allowed here: must be on or off\n"
	"t.conf:2: radish: no such section\n"},
    {"listen a { address = 127.0.0.1:8000 bad = {1, 2}\n user = x }",
	"t.conf:1: bad: no such option in listen a\n"
	"t.conf:2: user: belongs outside of sections, not in listen a\n"},
    {LISTEN "publish = anyone",
	"t.conf:2: publish: belongs in a namespace section, not outside of "
	"sections\n"},
    {LISTEN "namespace \"x1\" { backlog = 1 }",
	"t.conf:2: backlog: belongs in a listen section, not in namespace \"x1\"\n"},
    {LISTEN "workers = {1, 2}\ndemo = {}",
	"t.conf:2: workers: takes one value, not a list\n"
	"t.conf:3: demo: takes one value, not a list\n"},
    {LISTEN "workers 3",
	"t.conf:2: 3 is not expected: = is needed after the name of an option\n"},
    {LISTEN "frobs",
	"t.conf:2: frobs: no such option\n"
	"t.conf:2: = is needed after the name of an option\n"},
    {LISTEN "token_hmac_secret \"hush\"",
	"t.conf:2: a string is not expected: = is needed after the name of an "
	"option\n"},
    {LISTEN "workers =",
	"t.conf:2: the file ends too early: a value is needed "
	"after =\n"},
    {LISTEN "allowed_origins = {\"*\" \"null\"}",
	"t.conf:2: a string is not expected: , or } is needed after a value of a "
	"list\n"},
    {LISTEN "listen { }",
	"t.conf:2: listen: needs a title, as in listen \"chat\" { ... }\n"},
    {LISTEN "listen b\nworkers = 1",
	"t.conf:3: workers is not expected: { is needed after the title of a "
	"section\n"},
    {LISTEN "= 3",
	"t.conf:2: = is not expected: the name of an option or section is needed\n"},
    {LISTEN "\"workers\" = 3",
	"t.conf:2: a string is not expected: the name of an option or section is "
	"needed\n"},
};

static const struct bad bad_values[] = {
    {LISTEN "\n\nworkers = 12x",
	"t.conf:4: workers: \"12x\" is not allowed here: must be auto or a whole "
	"number from 1 to 62\n"},
    {LISTEN "workers = -1",
	"t.conf:2: workers: \"-1\" is not allowed here: must be auto or a whole "
	"number from 1 to 62\n"},
    {LISTEN "workers = \"\"",
	"t.conf:2: workers: \"\" is not allowed here: must be auto or a whole "
	"number from 1 to 62\n"},
    {LISTEN "max_connections = 99999999999999999999",
	"t.conf:2: max_connections: \"99999999999999999999\" is not allowed here: "
	"must be a whole number from 1 to 100000000\n"},
    {LISTEN "max_connections = 10k",
	"t.conf:2: max_connections: \"10k\" is not allowed here: must be a whole "
	"number from 1 to 100000000\n"},
    {LISTEN "ping_interval = 25",
	"t.conf:2: ping_interval: \"25\" is not allowed here: must be a time from "
	"1s to 1h, with ms, s, m, h or d\n"},
    {LISTEN "ping_interval = \"25 s\"",
	"t.conf:2: ping_interval: \"25 s\" is not allowed here: must be a time "
	"from 1s to 1h, with ms, s, m, h or d\n"},
    {LISTEN "max_frame_size = 64kb",
	"t.conf:2: max_frame_size: \"64kb\" is not allowed here: must be a size "
	"from 125 to 16m, in bytes or with k, m or g\n"},
    {LISTEN "output_total = 9999999999g",
	"t.conf:2: output_total: \"9999999999g\" is not allowed here: must be a "
	"size of at least 64k, in bytes or with k, m or g\n"},
    {LISTEN "log_level = warning",
	"t.conf:2: log_level: \"warning\" is not allowed here: must be error, "
	"warn, info or debug\n"},
    {LISTEN "log_target = \"\"", "t.conf:2: log_target: must not be empty\n"},
    {LISTEN "log_target = \"a\\nb\"",
	"t.conf:2: log_target: must not contain control characters\n"},
    {LISTEN "allowed_origins = {\"*\", \"\"}",
	"t.conf:2: allowed_origins: must not have an empty item\n"},
    {"listen a { address = 127.0.0.1:8000\nserve = {} }",
	"t.conf:2: serve: must not be empty: one or more of client or metrics\n"},
    {"listen a { address = 127.0.0.1:8000\nserve = {client, api} }",
	"t.conf:2: serve: \"api\" is not allowed here: must be client or "
	"metrics\n"},
    {LISTEN "namespace ns { subscribe = all\n publish = some }",
	"t.conf:2: subscribe: \"all\" is not allowed here: must be nobody, "
	"subscriber, authenticated_subscriber, authenticated or anyone\n"
	"t.conf:3: publish: \"some\" is not allowed here: must be nobody, "
	"subscriber, authenticated_subscriber, authenticated or anyone\n"},
    {LISTEN "token_public_key = nowhere.pem",
	"t.conf:2: token_public_key: nowhere.pem: No such file or directory\n"},
    {LISTEN "token_public_key = .",
	"t.conf:2: token_public_key: .: not a regular file\n"},
};

static void
check_all(const struct bad *bad, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		conf_util_bad(bad[i].text, bad[i].errors);
}

static void
test_bad_shapes(void **state BASE_UNUSED)
{
	unsetenv("CHATD_TEST_NO");
	check_all(bad_shapes, BASE_COUNT(bad_shapes));
	/* Nothing of a bad file stays in the parser. */
	conf_free(conf_util_good(LISTEN));
}

static void
test_bad_statements(void **state BASE_UNUSED)
{
	check_all(bad_statements, BASE_COUNT(bad_statements));
}

static void
test_bad_plugins(void **state BASE_UNUSED)
{
	check_all(bad_plugins, BASE_COUNT(bad_plugins));
}

/* What stands in a plugin's section is kept as it is, with its place. */
static void
test_plugins(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(LISTEN
	    "radish {\n # why\n a = \"} ${NOBODY_HAS_THIS:-}\" b = {x, y}\n}\n"
	    "sqlite{} kafka { set = {\"a=b\"} }\n"
	    "store = radish workers = 7");

	assert_int_equal(conf->workers, 7);
	assert_string_equal(conf->file, "t.conf");
	assert_string_equal(conf->store_file, "t.conf");
	assert_int_equal(conf->store_line, 7);
	assert_int_equal(conf->n_plugins, 3);
	assert_string_equal(conf->plugins[0].name, "radish");
	assert_string_equal(conf->plugins[0].file, "t.conf");
	assert_int_equal(conf->plugins[0].line, 2);
	assert_int_equal(conf->plugins[0].text_line, 2);
	assert_string_equal(conf->plugins[0].text,
	    "\n # why\n a = \"} ${NOBODY_HAS_THIS:-}\" b = {x, y}\n");
	assert_string_equal(conf->plugins[1].text, "");
	assert_string_equal(conf->plugins[2].text, " set = {\"a=b\"} ");
	conf_free(conf);
	conf = conf_util_good(LISTEN);
	assert_null(conf->store_file);
	assert_int_equal(conf->n_plugins, 0);
	conf_free(conf);
}

static void
test_bad_values(void **state BASE_UNUSED)
{
	check_all(bad_values, BASE_COUNT(bad_values));
}

static void
test_secret_is_not_shown(void **state BASE_UNUSED)
{
	struct base_buf errors = {0};

	assert_null(conf_parse_text("token_hmac_secret = \"hush\\nhush\"\n"
				    "token_hmac_secret = \"hush\" \"hush\" hush",
	    "t.conf", &errors));
	base_buf_byte(&errors, 0);
	assert_null(strstr(errors.p, "\"hush"));
	base_buf_free(&errors);
}

/* Messages are bounded, whatever the file holds. */
static void
test_many_errors(void **state BASE_UNUSED)
{
	struct base_buf text = {0}, errors = {0};
	int i;

	for (i = 0; i < 50000; i++)
		base_buf_printf(&text, "option%d = 1\n", i);
	base_buf_byte(&text, 0);
	assert_null(conf_parse_text(text.p, "t.conf", &errors));
	assert_true(errors.len > 60000 && errors.len < 70000);
	base_buf_free(&text);
	base_buf_free(&errors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_every_form),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_bad_shapes),
	    cmocka_unit_test(test_bad_statements),
	    cmocka_unit_test(test_bad_plugins),
	    cmocka_unit_test(test_plugins),
	    cmocka_unit_test(test_bad_values),
	    cmocka_unit_test(test_secret_is_not_shown),
	    cmocka_unit_test(test_many_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
