/*
 * test_conf_forms: a configuration as text and as bytes gives the same one again;
 * every option's limits hold in each form.
 */
#include "config.h"

#include "conf/conf_dump.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_parse.h"
#include "conf/conf_value.h"
#include "conf_util.h"
#include "test_rand.h"

/* Every option differs from its default. */
static const char full_text[] =
    "workers = 2 user = \"root\" state_dir = \"s \\\"t\\$\" run_dir = \"r\\\\\"\n"
    "log_target = syslog log_level = error allowed_origins = {\"*\", \"https://x\"}\n"
    "allow_anonymous = on token_hmac_secret = hush token_public_key = \"own.pub\"\n"
    "demo = on max_connections = 7 max_frame_size = 1000 max_message_size = 2k\n"
    "max_request_size = 1k max_subscriptions = 3 max_channel_length = 4\n"
    "publish_rate = 5 publish_burst = 6 output_buffer = 5000 output_total = 1g\n"
    "input_total = 3m handshake_timeout = 1500ms stale_timeout = 2s\n"
    "close_timeout = 100ms ping_interval = 2m pong_timeout = 7s\n"
    "expired_close_delay = 0 drain_time = 1h compression = on compression_level = 9\n"
    "compression_min_size = 0 ring_size = 1g interest_buckets = 64\n"
    "queue_size = 1m control_mode = 0660 control_group = g store = other\n"
    "store_batch = 2 store_batch_time = 1s store_rate = 3 store_timeout = 4s\n"
    "store_retry_max = 5s read_timeout = 6s read_max = 7 spool_size = 8m\n"
    "history_total = 9m history_limit = 10 history_reply = 128k tail_total = 11m\n"
    "tail_linger = 12s presence_total = 13m idempotency_ttl = 14s\n"
    "broker_timeout = 15s\n"
    "listen one { address = 127.0.0.1:1 serve = {metrics} backlog = 5\n"
    "  tls_certificate = \"own.crt\" tls_key = \"own.key\" }\n"
    "listen 'two \"x' { address = \"[::1]:2\" serve = {metrics, client} }\n"
    "namespace \"\" { subscribe = authenticated publish = anyone }\n"
    "namespace ns { subscribe = anyone publish = authenticated_subscriber\n"
    "  user_limited_channels = on history_size = 1 history_ttl = 2s\n"
    "  history_meta_ttl = 3s history_for = subscriber position = optional\n"
    "  recover = on cache_recovery = on presence = on presence_for = anyone\n"
    "  join_leave = optional archive = on ack = spool }\n\n"
    "other { a = \"b\"\n c = 1 } sqlite { }";

static int
enter(void **state)
{
	if (conf_util_enter(state) < 0)
		return -1;
	conf_util_make_key("own", CONF_UTIL_P256);
	return 0;
}

/* The name of the first option in which they differ, or NULL. */
static const char *
difference(const struct conf *a, const struct conf *b, bool secrets)
{
	const struct conf_table *tab;
	const struct conf_opt *opt;
	const void *x, *y;
	size_t i, o;

	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++) {
		if (conf_table_count(a, tab) != conf_table_count(b, tab))
			return tab->section;
		for (i = 0; i < conf_table_count(a, tab); i++) {
			x = conf_table_peek(a, tab, i);
			y = conf_table_peek(b, tab, i);
			for (o = 0; o < tab->n; o++) {
				opt = &tab->opts[o];
				if (opt->type == CONF_SECRET && !secrets)
					continue;
				if (!conf_value_equal(opt, conf_opt_peek(opt, x),
					conf_opt_peek(opt, y)))
					return opt->name;
			}
			if (tab->section != NULL &&
			    strcmp(*(char *const *)x, *(char *const *)y) != 0)
				return "title";
		}
	}
	return NULL;
}

/* The text above must not leave an option out. */
static void
test_full_text_is_full(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(full_text), *defaults = conf_table_new();
	const struct conf_table *tab;
	const struct conf_opt *opt;
	const void *a, *b;
	size_t i;

	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++) {
		if (tab->section != NULL)
			conf_table_add(defaults, tab, "", "", 0);
		b = conf_table_peek(defaults, tab, 0);
		for (i = 0; i < tab->n; i++) {
			opt = &tab->opts[i];
			a = conf_table_peek(conf, tab, conf_table_count(conf, tab) - 1);
			if (opt->type == CONF_FILE || strcmp(opt->name, "backlog") == 0)
				a = conf_table_peek(conf, tab, 0);
			if (conf_value_equal(
				opt, conf_opt_peek(opt, a), conf_opt_peek(opt, b)))
				fail_msg("%s has its default", opt->name);
		}
	}
	conf_free(conf);
	conf_free(defaults);
}

static void
test_dump_round_trip(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(full_text), *again;
	struct base_buf text = {0}, second = {0};

	conf_dump(conf, &text);
	base_buf_byte(&text, 0);
	assert_null(strstr(text.p, "hush"));
	assert_null(strstr(text.p, "BEGIN"));
	assert_non_null(strstr(text.p, "\n# not shown: token_hmac_secret = \"...\"\n"));
	assert_non_null(strstr(text.p, "\nlisten \"two \\\"x\" {\n\taddress = "));
	assert_non_null(strstr(text.p, "\nhandshake_timeout = 1500ms\n"));
	assert_non_null(strstr(text.p, "\nping_interval = 2m\n"));
	assert_non_null(strstr(text.p, "\nring_size = 1g\n"));
	again = conf_util_good(text.p);
	assert_null(difference(conf, again, false));
	assert_string_equal(again->token_hmac_secret, "");
	conf_dump(again, &second);
	base_buf_byte(&second, 0);
	assert_non_null(strstr(second.p, "\ntoken_hmac_secret = \"\"\n"));
	conf_free(conf);
	conf_free(again);
	base_buf_free(&text);
	base_buf_free(&second);
}

static void
test_pack_round_trip(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(full_text), *again;
	struct base_buf bytes = {0};

	conf_pack(conf, &bytes);
	again = conf_unpack(bytes.p, bytes.len);
	assert_non_null(again);
	assert_null(difference(conf, again, true));
	assert_string_equal(again->listens[1].file, "t.conf");
	assert_int_equal(again->listens[1].line, conf->listens[1].line);
	assert_string_equal(again->file, "t.conf");
	assert_string_equal(again->store_file, "t.conf");
	assert_int_equal(again->store_line, conf->store_line);
	assert_int_equal(again->n_plugins, 2);
	assert_string_equal(again->plugins[0].name, "other");
	assert_string_equal(again->plugins[0].file, "t.conf");
	assert_string_equal(again->plugins[0].text, " a = \"b\"\n c = 1 ");
	assert_int_equal(again->plugins[0].line, conf->plugins[0].line);
	assert_int_equal(again->plugins[0].text_line, conf->plugins[0].text_line);
	/* A set but empty file is not one that is not set. */
	assert_non_null(again->listens[0].tls_key.data);
	assert_null(again->listens[1].tls_key.data);
	conf_free(conf);
	conf_free(again);
	base_buf_free(&bytes);
}

static void
test_unpack_truncated(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(full_text);
	struct base_buf bytes = {0};
	size_t i;
	char *cut;

	conf_pack(conf, &bytes);
	for (i = 0; i < bytes.len; i++) {
		cut = malloc(i + 1); /* of that size, for AddressSanitizer */
		memcpy(cut, bytes.p, i);
		assert_null(conf_unpack(cut, i));
		free(cut);
	}
	base_buf_byte(&bytes, 0);
	assert_null(conf_unpack(bytes.p, bytes.len));
	conf_free(conf);
	base_buf_free(&bytes);
}

/* Whatever the bytes are: nothing breaks, and what is taken keeps the limits. */
static void
test_unpack_mutated(void **state BASE_UNUSED)
{
	struct conf *conf = conf_util_good(full_text), *got;
	struct base_buf bytes = {0}, again = {0};
	int round, taken = 0;
	char *copy;
	size_t n;

	conf_pack(conf, &bytes);
	copy = malloc(bytes.len);
	for (round = 0; round < 20000; round++) {
		memcpy(copy, bytes.p, bytes.len);
		for (n = 1 + test_rand(4); n > 0; n--)
			copy[test_rand(bytes.len)] = (char)test_rand(256);
		got = conf_unpack(copy, bytes.len);
		if (got == NULL)
			continue;
		taken++;
		assert_in_range(got->workers, 0, 62);
		assert_in_range(got->n_listens, 2, 2);
		again.len = 0;
		conf_dump(got, &again);
		again.len = 0;
		conf_pack(got, &again);
		assert_int_equal(again.len, bytes.len);
		conf_free(got);
	}
	assert_in_range(taken, 1, 19999);
	free(copy);
	conf_free(conf);
	base_buf_free(&bytes);
	base_buf_free(&again);
}

/* Whatever the text is: it is taken or refused with a reason, and leaves no trace. */
static void
test_parse_mutated(void **state BASE_UNUSED)
{
	static const char special[] = "{}=\"'\\$#/*,+\n\t ()\r.\x80";
	struct base_buf errors = {0};
	size_t len = strlen(full_text), n, at;
	struct conf *conf;
	char *text = malloc(len + 1);
	int round;

	for (round = 0; round < 2000; round++) {
		memcpy(text, full_text, len + 1);
		for (n = 1 + test_rand(3); n > 0; n--) {
			at = test_rand(len);
			text[at] = test_rand(4) ? special[test_rand(sizeof(special))]
						: (char)test_rand(256);
		}
		errors.len = 0;
		conf = conf_parse_text(text, "t.conf", &errors);
		assert_true((conf == NULL) == (errors.len > 0));
		conf_free(conf);
		if (round % 100 == 0)
			conf_free(conf_util_good(full_text));
	}
	free(text);
	base_buf_free(&errors);
}

static struct conf *
parse_etc(const char *name)
{
	char path[1024];
	struct base_buf errors = {0};
	struct conf *conf;

	snprintf(path, sizeof(path), TEST_SRCDIR "/../etc/%s", name);
	conf = conf_parse_file(path, &errors);
	if (conf == NULL)
		fail_msg("not taken: %.*s", (int)errors.len, errors.p);
	return conf;
}

/* A copy of the sample with each "#name = default" made an option. */
static char *
sample_in_full(void)
{
	FILE *fp = fopen(TEST_SRCDIR "/../etc/chat.conf", "r");
	struct base_buf text = {0};
	char line[256], *p;
	size_t n;

	assert_non_null(fp);
	while (fgets(line, sizeof(line), fp) != NULL) {
		p = line + strspn(line, "\t");
		n = *p == '#' ? strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;
		if (n > 0 && strncmp(p + 1 + n, " = ", 3) == 0)
			*p = ' ';
		base_buf_str(&text, line);
	}
	fclose(fp);
	base_buf_byte(&text, 0);
	return text.p;
}

/* The sample works as it is, and what it calls defaults are. */
static void
test_sample(void **state BASE_UNUSED)
{
	struct conf *conf = parse_etc("chat.conf"), *full;
	char *text = sample_in_full();

	full = conf_util_good(text);
	assert_string_equal(full->state_dir, "/var/lib/chatd");
	assert_string_equal(full->run_dir, "/run/chatd");
	/* These depend on how chatd was configured. */
	free(full->state_dir);
	full->state_dir = strdup(conf->state_dir);
	free(full->run_dir);
	full->run_dir = strdup(conf->run_dir);
	if (difference(conf, full, true) != NULL)
		fail_msg("the default of %s is another", difference(conf, full, true));
	assert_false(conf->allow_anonymous);
	free(text);
	conf_free(conf);
	conf_free(full);
}

static void
test_demo(void **state BASE_UNUSED)
{
	struct conf *conf = parse_etc("demo.conf");

	assert_int_equal(conf->workers, 2);
	assert_true(conf->demo);
	assert_true(conf->allow_anonymous);
	assert_string_equal(conf->listens[0].address, "127.0.0.1:8000");
	assert_string_equal(conf->log_target, "stderr");
	conf_free(conf);
}

static bool
takes(const struct conf_opt *opt, const char *word)
{
	int64_t field[4] = {0};
	struct base_buf why = {0};
	bool good = conf_value_set(opt, field, &word, 1, "", &why) == 0;

	assert_true(good == (why.len == 0));
	base_buf_free(&why);
	return good;
}

static bool
takes_number(const struct conf_opt *opt, int64_t n)
{
	char word[32];

	snprintf(
	    word, sizeof(word), "%" PRId64 "%s", n, opt->type == CONF_TIME ? "ms" : "");
	return takes(opt, word);
}

static void
check_range(const struct conf_opt *opt)
{
	int64_t top = opt->max != 0 ? opt->max : INT64_MAX / 2;

	if (!takes_number(opt, opt->min) || !takes_number(opt, top))
		fail_msg("%s does not take its limits", opt->name);
	if (opt->min > 0 && takes_number(opt, opt->min - 1))
		fail_msg("%s takes less than its minimum", opt->name);
	if (opt->max != 0 && takes_number(opt, opt->max + 1))
		fail_msg("%s takes more than its maximum", opt->name);
	assert_false(takes(opt, "-1"));
	assert_false(takes(opt, ""));
	assert_false(takes(opt, "x"));
	assert_false(takes(opt, "1x"));
	assert_false(takes(opt, " 1"));
	assert_false(takes(opt, "18446744073709551617"));
	assert_int_equal(takes(opt, "auto"), opt->type == CONF_COUNT);
}

static void
test_every_range(void **state BASE_UNUSED)
{
	const struct conf_table *tab;
	const struct conf_opt *opt;
	size_t i, checked = 0;

	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++)
		for (i = 0; i < tab->n; i++) {
			opt = &tab->opts[i];
			if (opt->type != CONF_INT && opt->type != CONF_COUNT &&
			    opt->type != CONF_SIZE && opt->type != CONF_TIME)
				continue;
			check_range(opt);
			checked++;
		}
	assert_true(checked > 20);
}

static void
test_units(void **state BASE_UNUSED)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_MAIN];
	const struct conf_opt *size = conf_table_find(tab, "output_total", 12);
	const struct conf_opt *time = conf_table_find(tab, "drain_time", 10);

	assert_true(takes(size, "64k") && takes(size, "64K") && takes(size, "1m"));
	assert_true(takes(size, "1g") && takes(size, "65536"));
	assert_false(takes(size, "64kb") || takes(size, "1t") || takes(size, "k"));
	assert_false(takes(size, "9223372036854775807k"));
	assert_true(takes(time, "0") && takes(time, "0s") && takes(time, "1ms"));
	assert_true(takes(time, "60m") && takes(time, "1h"));
	assert_false(takes(time, "1") || takes(time, "1 s") || takes(time, "1m30s"));
	assert_false(takes(time, "1d") || takes(time, "106751991168d"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full_text_is_full),
	    cmocka_unit_test(test_dump_round_trip),
	    cmocka_unit_test(test_pack_round_trip),
	    cmocka_unit_test(test_unpack_truncated),
	    cmocka_unit_test(test_unpack_mutated),
	    cmocka_unit_test(test_parse_mutated),
	    cmocka_unit_test(test_sample),
	    cmocka_unit_test(test_demo),
	    cmocka_unit_test(test_every_range),
	    cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, enter, conf_util_leave);
}
