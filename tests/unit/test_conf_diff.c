/*
 * test_conf_diff: what a reload takes over, and what it leaves for a restart.
 */
#include "config.h"

#include "conf/conf_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf_util.h"

#define A "listen \"a\" { address = \"127.0.0.1:8000\" }\n"
#define B "listen \"b\" { address = \"127.0.0.1:8001\" backlog = 7 }\n"

/* Settles FRESH against OLD and checks what comes of it; the caller frees it. */
static struct conf *
settle(const char *old_text, const char *fresh_text, size_t changed, const char *notes)
{
	struct conf *old = conf_util_good(old_text),
		    *fresh = conf_util_good(fresh_text);
	struct base_buf got = {0};

	assert_int_equal(conf_diff_settle(old, fresh, &got), changed);
	conf_util_text(&got, notes);
	conf_free(old);
	return fresh;
}

static void
test_same(void **state BASE_UNUSED)
{
	conf_free(settle(A "workers = 2", A "# other text\nworkers = \"2\"", 0, ""));
}

static void
test_live(void **state BASE_UNUSED)
{
	struct conf *conf = settle(A "demo = on token_hmac_secret = x",
	    A "log_level = debug ping_interval = 30s allowed_origins = {\"*\"}\n"
	      "token_hmac_secret = y",
	    5, "");

	assert_false(conf->demo);
	assert_int_equal(conf->log_level, BASE_LOG_DEBUG);
	assert_int_equal(conf->ping_interval, 30000);
	assert_int_equal(conf->allowed_origins.n, 1);
	assert_string_equal(conf->token_hmac_secret, "y");
	conf_free(conf);
}

static void
test_daemon(void **state BASE_UNUSED)
{
	struct conf *conf = settle(A "workers = 2 run_dir = \"/x\"",
	    A "workers = 4 run_dir = \"/y\" ring_size = 16m demo = on", 1,
	    "workers needs a restart of chatd: still 2, not 4\n"
	    "run_dir needs a restart of chatd: still \"/x\", not \"/y\"\n"
	    "ring_size needs a restart of chatd: still 8m, not 16m\n");

	assert_int_equal(conf->workers, 2);
	assert_string_equal(conf->run_dir, "/x");
	assert_int_equal(conf->ring_size, 8 << 20);
	assert_true(conf->demo);
	conf_free(conf);
}

/* The rule of the ring's size holds for what is left of a change. */
#define LARGE "queue_size = 16m history_reply = 1m "

static void
test_message_outgrows_ring(void **state BASE_UNUSED)
{
	struct conf *conf = settle(A LARGE,
	    A LARGE "ring_size = 16m max_message_size = 1m demo = on", 1,
	    "ring_size needs a restart of chatd: still 8m, not 16m\n"
	    "max_message_size needs a larger ring_size, so a restart of chatd: still "
	    "65536, not 1048576\n");

	assert_int_equal(conf->max_message_size, 65536);
	assert_int_equal(conf->ring_size, 8 << 20);
	conf_free(conf);
	conf = settle(A LARGE, A LARGE "ring_size = 16m max_message_size = 512k", 1,
	    "ring_size needs a restart of chatd: still 8m, not 16m\n");
	assert_int_equal(conf->max_message_size, 512 << 10);
	conf_free(conf);
	conf = settle(A, A "queue_size = 4m max_message_size = 256k", 0,
	    "queue_size needs a restart of chatd: still 2m, not 4m\n"
	    "max_message_size needs a larger queue_size, so a restart of chatd: still "
	    "65536, not 262144\n");
	assert_int_equal(conf->max_message_size, 65536);
	conf_free(conf);
}

static void
test_listens(void **state BASE_UNUSED)
{
	struct conf *conf = settle(A B,
	    "listen c { address = 127.0.0.1:8002 }\n"
	    "listen b { address = 127.0.0.1:9 backlog = 8 serve = {client, metrics} }",
	    0,
	    "listen \"a\" was removed: needs a restart of chatd\n"
	    "listen \"b\": address needs a restart of chatd: still "
	    "\"127.0.0.1:8001\", not \"127.0.0.1:9\"\n"
	    "listen \"b\": serve needs a restart of chatd: still {\"client\"}, not "
	    "{\"client\", \"metrics\"}\n"
	    "listen \"b\": backlog needs a restart of chatd: still 7, not 8\n"
	    "listen \"c\" was added: needs a restart of chatd\n");

	assert_int_equal(conf->n_listens, 2);
	assert_string_equal(conf->listens[0].title, "a");
	assert_string_equal(conf->listens[0].address, "127.0.0.1:8000");
	assert_string_equal(conf->listens[1].title, "b");
	assert_string_equal(conf->listens[1].address, "127.0.0.1:8001");
	assert_int_equal(conf->listens[1].serve, CONF_SERVE_CLIENT);
	assert_int_equal(conf->listens[1].backlog, 7);
	conf_free(conf);
	/* Another order is no change, but the order of the sockets stays. */
	conf = settle(A B, B A, 0, "");
	assert_string_equal(conf->listens[0].title, "a");
	conf_free(conf);
}

/* The same path with another content is a renewed certificate. */
static void
test_certificate(void **state BASE_UNUSED)
{
	static const char text[] = "listen \"a\" { address = \"127.0.0.1:8000\"\n"
				   "tls_certificate = own.crt tls_key = own.key }\n";
	struct conf *old, *fresh;
	struct base_buf notes = {0};
	char *key;

	conf_util_make_key("own", CONF_UTIL_P256);
	old = conf_util_good(text);
	conf_util_make_key("own", CONF_UTIL_P256);
	fresh = conf_util_good(text);
	key = strdup(fresh->listens[0].tls_key.data);
	assert_string_not_equal(key, old->listens[0].tls_key.data);
	assert_int_equal(conf_diff_settle(old, fresh, &notes), 2);
	assert_int_equal(notes.len, 0);
	assert_string_equal(fresh->listens[0].tls_key.data, key);
	free(key);
	conf_free(old);
	conf_free(fresh);
	base_buf_free(&notes);
}

static void
test_namespaces(void **state BASE_UNUSED)
{
	struct conf *conf = settle(A "namespace one { publish = anyone }\n"
				     "namespace two { } namespace three { }",
	    A "namespace two { subscribe = anyone user_limited_channels = on }\n"
	      "namespace four { } namespace five { } namespace three { }",
	    5, "");

	assert_int_equal(conf->n_namespaces, 4);
	assert_int_equal(conf->namespaces[0].subscribe, CONF_WHO_ANYONE);
	conf_free(conf);
}

/* A change of the store or of its options is the archiver's alone. */
static void
test_store(void **state BASE_UNUSED)
{
	static const struct {
		const char *old, *fresh;
		size_t changed;
		bool store;
	} cases[] = {
	    {"store = ab ab { x = 1 }", "store = ab ab { x = 1 } sqlite { }", 0, false},
	    {"store = ab ab { x = 1 }", "store = ab ab { x = 2 }", 1, true},
	    {"store = ab ab { x = 1 }", "store = ab", 1, true},
	    {"store = ab", "store = ab ab { x = 1 }", 1, true},
	    {"store = sqlite", "store = postgres", 1, true},
	    {"sqlite { path = x }", "store = sqlite sqlite { path = x }", 0, false},
	    {"store_batch = 2", "store_batch = 3", 1, false},
	};
	char old_text[256], fresh_text[256];
	struct conf *old, *fresh;
	size_t i;

	for (i = 0; i < BASE_COUNT(cases); i++) {
		snprintf(old_text, sizeof(old_text), A "%s", cases[i].old);
		snprintf(fresh_text, sizeof(fresh_text), A "%s", cases[i].fresh);
		old = conf_util_good(old_text);
		fresh = settle(old_text, fresh_text, cases[i].changed, "");
		assert_int_equal(conf_diff_store(old, fresh), cases[i].store);
		conf_free(old);
		conf_free(fresh);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_live),
	    cmocka_unit_test(test_daemon),
	    cmocka_unit_test(test_message_outgrows_ring),
	    cmocka_unit_test(test_listens),
	    cmocka_unit_test(test_certificate),
	    cmocka_unit_test(test_namespaces),
	    cmocka_unit_test(test_store),
	};

	return cmocka_run_group_tests(tests, conf_util_enter, conf_util_leave);
}
