/*
 * The base layer: log lines, the hash, identifiers, buffers.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_buf.h"
#include "base/base_fail.h"
#include "base/base_hash.h"
#include "base/base_log.h"
#include "base/base_rand.h"

static char path[64];

static void
open_log(void)
{
	char err[128];
	int fd;

	snprintf(path, sizeof(path), "/tmp/test_base.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(base_log_open(path, -1, -1, err, sizeof(err)), 0);
}

/* All that was logged; the file is removed. */
static const char *
close_log(void)
{
	static char text[8192];
	FILE *f = fopen(path, "r");
	char err[128];
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	unlink(path);
	assert_int_equal(base_log_open("stderr", -1, -1, err, sizeof(err)), 0);
	return text;
}

/* What stands behind "subsystem: " in the only line. */
static const char *
logged(const char *value)
{
	const char *text, *at;

	open_log();
	log_info(LOG_NET, "value=%s", value);
	text = close_log();
	at = strstr(text, " info net: value=");
	assert_non_null(at);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	return at + strlen(" info net: value=");
}

static void
values_cannot_forge_lines(void **state)
{
	static const struct {
		const char *value, *line;
	} rows[] = {
	    {"plain", "plain\n"},
	    {"a\nb\r\tc", "a?b??c\n"},
	    {"\033[2J\x7f", "?[2J?\n"},
	    {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"},
	    {"raw \x9b"
	     "31m",
		"raw ?31m\n"},
	    {"\xc2\x9b"
	     "31m",
		"??31m\n"},
	    {"cut \xe2\x82", "cut ??\n"},
	    {"\xff\xfe\xc0\x80", "????\n"},
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(rows); i++)
		assert_string_equal(logged(rows[i].value), rows[i].line);
}

static void
long_lines_are_cut(void **state)
{
	char value[3000];
	const char *line;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = 0;
	line = logged(value);
	assert_true(strlen(line) > 1900 && strlen(line) < BASE_LOG_LINE);
	assert_int_equal(line[strlen(line) - 1], '\n');
}

static void
levels_are_kept_apart(void **state)
{
	const char *text;

	(void)state;
	open_log();
	base_log_set_level(BASE_LOG_WARN);
	log_info(LOG_NET, "too little");
	log_warn(LOG_NET, "a warning");
	log_error(LOG_NET, "an error");
	base_log_set_level(BASE_LOG_INFO);
	text = close_log();
	assert_null(strstr(text, "too little"));
	assert_non_null(strstr(text, "warn net: a warning\n"));
	assert_non_null(strstr(text, "error net: an error\n"));
}

/* The example of the paper, appendix A. */
static void
hash_is_siphash(void **state)
{
	const struct base_hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint8_t in[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof(in); i++)
		in[i] = i;
	assert_true(base_hash(&key, in, 15) == 0xa129ca6149be45e5);
	assert_true(base_hash(&key, in, 0) == 0x726fdb47dd0e0e31);
	assert_true(base_hash(&key, in, 8) == 0x93f5f5799a932462);
}

static void
uuids_have_version_and_variant(void **state)
{
	char a[BASE_UUID_LEN + 1], b[BASE_UUID_LEN + 1];
	uint8_t id[16];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		base_rand_uuid(id);
		base_uuid_text(id, a);
		assert_int_equal(strlen(a), BASE_UUID_LEN);
		assert_int_equal(a[14], '4');
		assert_non_null(strchr("89ab", a[19]));
		base_rand_uuid(id);
		base_uuid_text(id, b);
		assert_string_not_equal(a, b);
	}
}

static void
numbers_below_reach_all(void **state)
{
	unsigned seen[7] = {0};

	(void)state;
	for (unsigned i = 0; i < 7000; i++)
		seen[base_rand_below(7)]++;
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(base_rand_below(1), 0);
}

static void
buffers_grow_and_drop(void **state)
{
	struct base_buf b = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		base_buf_printf(&b, "%u,", i);
	assert_int_equal(b.len, 3890);
	assert_memory_equal(b.p + b.len - 4, "999,", 4);
	base_buf_drop(&b, 3886);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.p, "999,", 4);
	base_buf_drop(&b, 4);
	assert_int_equal(b.len, 0);
	base_buf_free(&b);
	assert_null(b.p);
}

#ifdef ENABLE_FAILPOINTS
/* Which of eight passes of point "a" fail, as bits. */
static unsigned
failures(const char *spec, const char *role, unsigned long start)
{
	unsigned bits = 0;

	base_fail_set(spec);
	if (role != NULL)
		base_fail_role(role, start);
	for (unsigned i = 0; i < 8; i++)
		bits |= (unsigned)BASE_FAIL("a") << i;
	base_fail_set(NULL);
	return bits;
}

static void
points_fail_as_they_are_told(void **state)
{
	(void)state;
	assert_int_equal(failures("b=fail", NULL, 0), 0);
	assert_int_equal(failures("a=fail", NULL, 0), 0xff);
	assert_int_equal(failures("b=fail,a=fail@7", NULL, 0), 0xc0);
	assert_int_equal(failures("a=once@2", NULL, 0), 0x02);
	assert_int_equal(failures("a=every@3", NULL, 0), 0x24);
}

static void
points_belong_to_a_role_and_a_start(void **state)
{
	(void)state;
	assert_int_equal(failures("x:a=once", NULL, 0), 0);
	assert_int_equal(failures("x:a=once", "x", 1), 1);
	assert_int_equal(failures("x:a=once", "y", 1), 0);
	assert_int_equal(failures("x.2:a=once", "x", 1), 0);
	assert_int_equal(failures("x.2:a=once", "x", 2), 1);
	assert_int_equal(failures("a=once", "x", 2), 1);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_cannot_forge_lines),
	    cmocka_unit_test(long_lines_are_cut),
	    cmocka_unit_test(levels_are_kept_apart),
	    cmocka_unit_test(hash_is_siphash),
	    cmocka_unit_test(uuids_have_version_and_variant),
	    cmocka_unit_test(numbers_below_reach_all),
	    cmocka_unit_test(buffers_grow_and_drop),
#ifdef ENABLE_FAILPOINTS
	    cmocka_unit_test(points_fail_as_they_are_told),
	    cmocka_unit_test(points_belong_to_a_role_and_a_start),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
