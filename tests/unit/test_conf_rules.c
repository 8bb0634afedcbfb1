/*
 * test_conf_rules: the rules across options, each with the place it names.
 */
#include "config.h"

#include "conf/conf_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_util.h"

#define LISTEN "listen \"a\" { address = \"127.0.0.1:8000\" }\n"

struct rule {
	const char *text, *errors; /* no errors: it is good */
};

static const struct rule size_rules[] = {
    {LISTEN "ring_size = 64k max_message_size = 4k", NULL},
    {LISTEN "ring_size = 64k\nmax_message_size = 4097",
	"t.conf:2: ring_size: must be at least 16 times max_message_size, which is "
	"4097 bytes\n"},
    {LISTEN "queue_size = 16m history_reply = 1m\nmax_message_size = 1m",
	"t.conf:1: ring_size: must be at least 16 times max_message_size, which is "
	"1048576 bytes\n"},
    {LISTEN "queue_size = 3m",
	"t.conf:2: queue_size: must be a power of two, as 4m, 8m or 16m\n"},
    {LISTEN "\nmax_message_size = 512k",
	"t.conf:1: queue_size: must be at least 16 times max_message_size, which is "
	"524288 bytes\n"},
    {LISTEN "queue_size = 64m ring_size = 64m\nmax_message_size = 1m",
	"t.conf:1: history_reply: must be at least max_message_size, which is 1048576 "
	"bytes\n"},
    {LISTEN "control_mode = \"0680\"",
	"t.conf:2: control_mode: must be octal digits, as 0600 or 0660\n"},
    {LISTEN "ring_size = 3m",
	"t.conf:2: ring_size: must be a power of two, as 4m, 8m or 16m\n"},
    {LISTEN "interest_buckets = 65",
	"t.conf:2: interest_buckets: must be a power of "
	"two, as 32768, 65536 or 131072\n"},
    {LISTEN "max_message_size = 125", NULL},
    {LISTEN "max_frame_size = 125", NULL},
    {LISTEN "output_total = 64k\noutput_buffer = 64k", NULL},
    {LISTEN "output_total = 65537\noutput_buffer = 65538",
	"t.conf:2: output_total: must be at least output_buffer, which is 65538 "
	"bytes\n"},
    {LISTEN "input_total = 64k\nmax_message_size = 65537",
	"t.conf:2: input_total: must be at least max_message_size, which is 65537 "
	"bytes\n"},
    {LISTEN "publish_burst = 3",
	"t.conf:2: publish_burst: has no meaning without publish_rate\n"},
    {LISTEN "publish_burst = 3 publish_rate = 1", NULL},
    /* What was reported already gives no second line. */
    {LISTEN "publish_burst = 3\npublish_rate = x",
	"t.conf:3: publish_rate: \"x\" is not allowed here: must be a whole number "
	"from 0 to 1000000\n"},
};

static const struct rule time_rules[] = {
    {LISTEN "ping_interval = 1s pong_timeout = 999ms", NULL},
    {LISTEN "ping_interval = 8s",
	"t.conf:1: pong_timeout: must be less than "
	"ping_interval, which is 8000 ms\n"},
    {LISTEN "\npong_timeout = 25s",
	"t.conf:3: pong_timeout: must be less than "
	"ping_interval, which is 25000 ms\n"},
    {LISTEN "ping_interval = 25500ms",
	"t.conf:2: ping_interval: must be whole seconds: clients are told it in "
	"seconds\n"},
};

static const struct rule listen_rules[] = {
    {"\nworkers = 1\n",
	"t.conf:1: listen: there is none: at least one is needed, as in listen "
	"\"public\" { address = \"0.0.0.0:8000\" }\n"},
    {"listen a { address = 127.0.0.1:8000 }\nlisten b {\n address = "
     "127.0.0.1:8000 }",
	"t.conf:3: address: 127.0.0.1:8000 is taken by listen \"a\"\n"},
    {"listen a { address = [::1]:8000 }\nlisten b { address = [0:0::1]:8000 }",
	"t.conf:2: address: [0:0::1]:8000 is taken by listen \"a\"\n"},
    {"listen a { address = 127.0.0.1:1 }\nlisten b { address = 127.0.0.2:1 }"
     "listen c { address = 127.0.0.1:2 } listen d { address = \"[::]:1\" }",
	NULL},
    {"\nlisten a { }", "t.conf:2: address: is missing, as in 0.0.0.0:8000\n"},
    {"listen \"\" { address = 127.0.0.1:1 }", "t.conf:1: listen: its title is empty\n"},
};

static const char *const bad_addresses[] = {
    "localhost:80",
    "127.0.0.1",
    "127.0.0.1:",
    ":8000",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "127.0.0.1:http",
    "127.0.0.1:80 ",
    "::1:80",
    "[127.0.0.1]:80",
    "[::1]",
    "[]:80",
    "1.2.3:80",
    "1.2.3.256:80",
    "unix:/run/x",
    "[::1]80",
    "127.0.0.1:-1",
    "127.0.0.1:+80",
    "0x7f.1:80",
};

static const struct rule namespace_rules[] = {
    {LISTEN "namespace \"\" { }\nnamespace a-Z_9 { }\nnamespace 00 { }", NULL},
    {LISTEN "namespace a { }",
	"t.conf:2: namespace \"a\": must be empty, or two or "
	"more letters, digits, - or _\n"},
    {LISTEN "namespace \"a:b\" { }",
	"t.conf:2: namespace \"a:b\": must be empty, or two or more letters, "
	"digits, - or _\n"},
    {LISTEN "namespace ab { history_size = 1 position = on recover = optional\n"
	    "cache_recovery = on archive = on ack = memory }", NULL},
    {LISTEN "namespace ab { recover = on\nposition = optional\nack = spool\n"
	    "history_ttl = 2s history_meta_ttl = 1s }",
	"t.conf:3: position: needs history_size\n"
	"t.conf:2: recover: needs history_size\n"
	"t.conf:4: ack: needs history_size or archive\n"
	"t.conf:5: history_meta_ttl: must be at least history_ttl, which is 2000 ms\n"},
    {LISTEN "namespace ab { history_size = 1\ncache_recovery = on }",
	"t.conf:3: cache_recovery: needs recover\n"},
    {LISTEN "store = none\nnamespace ab {\narchive = on }",
	"t.conf:4: archive: needs a store, which is \"none\"\n"},
    {LISTEN "namespace ab {\n subscribe = subscriber }",
	"t.conf:3: subscribe: must be nobody, authenticated or anyone: who "
	"subscribes is not a subscriber yet\n"},
    {LISTEN "namespace ab {\n subscribe = authenticated_subscriber }",
	"t.conf:3: subscribe: must be nobody, authenticated or anyone: who "
	"subscribes is not a subscriber yet\n"},
    {LISTEN "allowed_origins = {\"*\", \"https://*.a.b\", \"app://x\", "
	    "\"http://[::1]:1\"}",
	NULL},
    {LISTEN "allowed_origins = {\"https://a.b\",\n\"https://a.b/\", a.b, \"://x\", "
	    "\"x://\"}",
	"t.conf:2: allowed_origins: \"https://a.b/\" matches no browser: must be as "
	"in https://example.com or http://localhost:8000, without a path\n"
	"t.conf:2: allowed_origins: \"a.b\" matches no browser: must be as in "
	"https://example.com or http://localhost:8000, without a path\n"
	"t.conf:2: allowed_origins: \"://x\" matches no browser: must be as in "
	"https://example.com or http://localhost:8000, without a path\n"
	"t.conf:2: allowed_origins: \"x://\" matches no browser: must be as in "
	"https://example.com or http://localhost:8000, without a path\n"},
};

/* The files are made by test_keys. */
static const struct rule key_rules[] = {
    {LISTEN "token_public_key = p256.pub", NULL},
    {LISTEN "token_public_key = rsa.pub", NULL},
    {LISTEN "token_public_key = p384.pub",
	"t.conf:2: token_public_key: p384.pub holds a key that is neither RSA nor "
	"on the curve P-256\n"},
    {LISTEN "token_public_key = short.pub",
	"t.conf:2: token_public_key: short.pub holds an RSA key of less than 2048 "
	"bits\n"},
    {LISTEN "token_public_key = p256.key",
	"t.conf:2: token_public_key: p256.key holds no public key in PEM format\n"},
    {LISTEN "token_public_key = empty",
	"t.conf:2: token_public_key: empty holds no public key in PEM format\n"},
    {"listen a { address = 127.0.0.1:1 tls_certificate = p256.crt tls_key = "
     "p256.key }",
	NULL},
    {"listen a { address = 127.0.0.1:1 tls_certificate = chain tls_key = p256.key }",
	NULL},
    {"listen a { address = 127.0.0.1:1\n tls_certificate = p256.crt }",
	"t.conf:2: tls_certificate: needs tls_key beside it\n"},
    {"listen a { address = 127.0.0.1:1\n tls_key = p256.key }",
	"t.conf:2: tls_key: needs tls_certificate beside it\n"},
    {"listen a { address = 127.0.0.1:1\n tls_certificate = p256.crt\n tls_key = "
     "rsa.key }",
	"t.conf:3: tls_key: rsa.key does not belong to tls_certificate\n"},
    {"listen a { address = 127.0.0.1:1\n tls_certificate = p256.key\n tls_key = "
     "p256.crt }",
	"t.conf:2: tls_certificate: p256.key holds no certificate in PEM format\n"
	"t.conf:3: tls_key: p256.crt holds no private key in PEM format, or an "
	"encrypted one\n"},
    {"listen a { address = 127.0.0.1:1\n tls_certificate = cut tls_key = p256.key }",
	"t.conf:2: tls_certificate: cut holds a damaged certificate behind the "
	"first one\n"},
    {"listen a { address = 127.0.0.1:1\n tls_certificate = p256.crt tls_key = no }",
	"t.conf:2: tls_key: no: No such file or directory\n"},
};

static void
check_rules(const struct rule *rules, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (rules[i].errors != NULL)
			conf_util_bad(rules[i].text, rules[i].errors);
		else
			conf_free(conf_util_good(rules[i].text));
	}
}

static void
test_sizes(void **state BASE_UNUSED)
{
	check_rules(size_rules, BASE_COUNT(size_rules));
}

static void
test_times(void **state BASE_UNUSED)
{
	check_rules(time_rules, BASE_COUNT(time_rules));
}

static void
test_listens(void **state BASE_UNUSED)
{
	check_rules(listen_rules, BASE_COUNT(listen_rules));
}

static void
test_addresses(void **state BASE_UNUSED)
{
	struct base_buf text = {0}, want = {0};
	size_t i;

	for (i = 0; i < BASE_COUNT(bad_addresses); i++) {
		base_buf_printf(
		    &text, "\nlisten x { address = \"%s\" }", bad_addresses[i]);
		base_buf_byte(&text, 0);
		base_buf_printf(&want,
		    "t.conf:2: address: \"%s\" is not an IP address and port, as in "
		    "0.0.0.0:8000 or [::1]:8000\n",
		    bad_addresses[i]);
		base_buf_byte(&want, 0);
		conf_util_bad(text.p, want.p);
		text.len = want.len = 0;
	}
	base_buf_free(&text);
	base_buf_free(&want);
}

static void
test_namespaces(void **state BASE_UNUSED)
{
	check_rules(namespace_rules, BASE_COUNT(namespace_rules));
}

static void
append(const char *to, const char *from, size_t max)
{
	FILE *in = fopen(from, "r"), *out = fopen(to, "a");
	size_t n = 0;
	int c;

	assert_true(in != NULL && out != NULL);
	while (n++ < max && (c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	fclose(out);
}

static void
test_keys(void **state BASE_UNUSED)
{
	conf_util_make_key("p256", CONF_UTIL_P256);
	conf_util_make_key("p384", CONF_UTIL_P384);
	conf_util_make_key("rsa", CONF_UTIL_RSA2048);
	conf_util_make_key("short", CONF_UTIL_RSA1024);
	conf_util_write("empty", "");
	append("chain", "p256.crt", 10000);
	append("chain", "rsa.crt", 10000);
	append("cut", "p256.crt", 10000);
	append("cut", "rsa.crt", 300);
	check_rules(key_rules, BASE_COUNT(key_rules));
}

/* Only root can become another user, so only then must there be one. */
static void
test_user(void **state BASE_UNUSED)
{
	static const char text[] = LISTEN "user = \"no-such-user\"";

	if (geteuid() == 0)
		conf_util_bad(
		    text, "t.conf:2: user: there is no user \"no-such-user\"\n");
	else
		conf_free(conf_util_good(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_listens),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_namespaces),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_user),
	};

	return cmocka_run_group_tests(tests, conf_util_enter, conf_util_leave);
}
