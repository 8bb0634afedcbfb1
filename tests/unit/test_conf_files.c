/*
 * test_conf_files: included files, and options that name files.
 */
#include "config.h"

#include "conf/conf_parse.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_util.h"

#define LISTEN "listen \"a\" { address = \"127.0.0.1:8000\" }\n"

/* The file must be bad, with exactly these lines. */
static void
check_bad(const char *path, const char *want)
{
	struct base_buf errors = {0};

	assert_null(conf_parse_file(path, &errors));
	conf_util_text(&errors, want);
}

static struct conf *
check_good(const char *path)
{
	struct base_buf errors = {0};
	struct conf *conf = conf_parse_file(path, &errors);

	if (conf == NULL)
		fail_msg("not taken: %.*s", (int)errors.len, errors.p);
	return conf;
}

static void
test_unreadable(void **state BASE_UNUSED)
{
	check_bad("none.conf", "none.conf: No such file or directory\n");
	check_bad(".", ".: not a regular file\n");
	assert_int_equal(mkfifo("pipe", 0600), 0);
	check_bad("pipe", "pipe: not a regular file\n");
}

static void
test_include(void **state BASE_UNUSED)
{
	struct conf *conf;

	assert_int_equal(mkdir("d", 0700), 0);
	conf_util_write(
	    "c.conf", "include \"d/*.conf\"\n# more\ninclude d/last\n" LISTEN);
	conf_util_write("d/b.conf", "namespace bb { }\ninclude \"sub\"\n");
	conf_util_write("d/a.conf", "namespace aa { publish = anyone }\nworkers = 7\n");
	conf_util_write("d/last", "namespace last { }\ninclude \"none*\"\n");
	conf_util_write("d/sub", "namespace sub { }\n");
	conf = check_good("c.conf");
	assert_int_equal(conf->workers, 7);
	assert_int_equal(conf->n_namespaces, 4);
	assert_string_equal(conf->namespaces[0].title, "aa");
	assert_string_equal(conf->namespaces[0].file, "d/a.conf");
	assert_string_equal(conf->namespaces[1].title, "bb");
	assert_string_equal(conf->namespaces[2].title, "sub");
	assert_string_equal(conf->namespaces[2].file, "d/sub");
	assert_int_equal(conf->namespaces[2].line, 1);
	assert_string_equal(conf->namespaces[3].title, "last");
	conf_free(conf);
}

static void
test_include_errors(void **state BASE_UNUSED)
{
	conf_util_write("one.conf", "workers = 1\n\ninclude \"two.conf\"\n" LISTEN);
	conf_util_write("two.conf", "\nworkers = 2\nx = 1\nlisten b { }\n");
	check_bad("one.conf",
	    "two.conf:3: x: no such option\n"
	    "two.conf:2: workers: given twice: first at one.conf:1\n"
	    "two.conf:4: address: is missing, as in 0.0.0.0:8000\n");
	conf_util_write("two.conf", "namespace b {\n");
	check_bad("one.conf",
	    "two.conf:1: namespace b: this section is not closed: } is missing\n");
	conf_util_write("one.conf", LISTEN "\ninclude \"nowhere.conf\"\n");
	check_bad("one.conf", "one.conf:3: include: nowhere.conf: no such file\n");
	conf_util_write("one.conf", LISTEN "include \".\"\n");
	check_bad("one.conf", "one.conf:2: include: .: not a regular file\n");
	conf_util_write("one.conf", "listen a {\n include \"x\" }");
	check_bad("one.conf",
	    "one.conf:2: include: no such option in listen a\n"
	    "one.conf:2: = is needed after the name of an option\n");
}

static void
test_include_cycle(void **state BASE_UNUSED)
{
	conf_util_write("x.conf", LISTEN "include \"y.conf\"\n");
	conf_util_write("y.conf", "\n\ninclude \"./x.conf\"\n");
	check_bad("x.conf", "y.conf:3: include: ./x.conf includes itself\n");
	conf_util_write("x.conf", LISTEN "include \"x*\"\n");
	check_bad("x.conf", "x.conf:2: include: x.conf includes itself\n");
}

/* A chain of N files, each of which includes the next. */
static void
write_chain(int n)
{
	char name[32], text[64];
	int i;

	for (i = 1; i <= n; i++) {
		snprintf(name, sizeof(name), "chain%d", i);
		snprintf(text, sizeof(text), i < n ? "include \"chain%d\"\n" : LISTEN,
		    i + 1);
		conf_util_write(name, text);
	}
}

static void
test_include_depth(void **state BASE_UNUSED)
{
	write_chain(10);
	conf_free(check_good("chain1"));
	write_chain(11);
	check_bad("chain1",
	    "chain10:1: include: deeper than 10 files\n"
	    "chain1:1: listen: there is none: at least one is needed, "
	    "as in listen \"public\" { address = \"0.0.0.0:8000\" }\n");
}

/* 2^9 inclusions of ten small files are refused, not read. */
static void
test_include_many(void **state BASE_UNUSED)
{
	struct base_buf errors = {0};
	char name[32], text[64];
	int i;

	for (i = 1; i <= 9; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		snprintf(text, sizeof(text), "include \"many%d\"\ninclude \"many%d\"\n",
		    i + 1, i + 1);
		conf_util_write(name, text);
	}
	conf_util_write("many10", "demo = on\n");
	assert_null(conf_parse_file("many1", &errors));
	base_buf_byte(&errors, 0);
	assert_non_null(strstr(errors.p, "include: more than 256 files\n"));
	base_buf_free(&errors);
}

static void
test_file_option(void **state BASE_UNUSED)
{
	struct conf *conf;
	char *text;
	long len;
	FILE *fp;

	assert_int_equal(mkdir("keys", 0700), 0);
	conf_util_make_key("keys/own", CONF_UTIL_P256);
	conf_util_write("keys/k.conf",
	    "token_public_key = \"own.pub\"\n"
	    "listen t { address = \"127.0.0.1:1\"\n"
	    "\ttls_certificate = \"own.crt\" tls_key = \"./own.key\" }\n");
	conf_util_write("f.conf", "include \"keys/k.conf\"\n");
	conf = check_good("f.conf");
	assert_string_equal(conf->token_public_key.path, "keys/own.pub");
	assert_string_equal(conf->listens[0].tls_key.path, "keys/./own.key");
	fp = fopen("keys/own.pub", "r");
	fseek(fp, 0, SEEK_END);
	len = ftell(fp);
	rewind(fp);
	text = malloc((size_t)len);
	assert_int_equal(fread(text, 1, (size_t)len, fp), len);
	fclose(fp);
	assert_int_equal(conf->token_public_key.len, len);
	assert_memory_equal(conf->token_public_key.data, text, (size_t)len);
	free(text);
	conf_free(conf);
}

static void
test_file_too_large(void **state BASE_UNUSED)
{
	int fd = open("large", O_WRONLY | O_CREAT, 0600);

	assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
	close(fd);
	conf_util_write("l.conf", LISTEN "token_public_key = large\n");
	check_bad(
	    "l.conf", "l.conf:2: token_public_key: large: larger than 1048576 bytes\n");
	check_bad("large", "large: larger than 1048576 bytes\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_include),
	    cmocka_unit_test(test_include_errors),
	    cmocka_unit_test(test_include_cycle),
	    cmocka_unit_test(test_include_depth),
	    cmocka_unit_test(test_include_many),
	    cmocka_unit_test(test_file_option),
	    cmocka_unit_test(test_file_too_large),
	};

	return cmocka_run_group_tests(tests, conf_util_enter, conf_util_leave);
}
