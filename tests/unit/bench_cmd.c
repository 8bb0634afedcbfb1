/*
 * bench_cmd: what parsing a command, framing a push and checking a token cost.
 *
 * A program to run by hand, on a quiet machine; it measures and checks nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/base_assert.h"
#include "jwt_make.h"
#include "proto/cmd_json.h"
#include "proto/token.h"

#define ROUNDS 5

static struct base_buf scratch, out;

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* The best of some rounds of N calls. */
static void
measure(const char *what, size_t bytes, int n, void (*once)(const void *arg),
    const void *arg)
{
	double best = 0, start, ns;
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		start = now_ns();
		for (i = 0; i < n; i++)
			once(arg);
		ns = (now_ns() - start) / n;
		if (round == 0 || ns < best)
			best = ns;
	}
	printf("%-28s %6zu bytes %10.1f ns\n", what, bytes, best);
}

static void
parse(const void *arg)
{
	const struct base_slice *line = arg;
	struct cmd cmd;

	if (!cmd_json_parse(*line, &scratch, &cmd))
		abort();
}

static void
pub(const void *arg)
{
	static const struct cmd_client_info info = {
		.user = {"user-4711", 9},
		.client = {"8e9fa3a1-63c2-4be1-9b15-0d9a4f0c2a11", 36},
	};

	out.len = 0;
	cmd_json_pub(&out, (struct base_slice){"chat:room-17", 12},
	    *(const struct base_slice *)arg, &info);
}

struct signed_token {
	struct token_keys *keys;
	struct base_buf text;
};

static void
check(const void *arg)
{
	const struct signed_token *t = arg;
	struct token_claims claims;

	if (token_check(t->keys, (struct base_slice){t->text.p, t->text.len}, 1000,
		&claims) != TOKEN_OK)
		abort();
	token_claims_free(&claims);
}

static void
bench_parse(void)
{
	static const char *const lines[][2] = {
		{"parse publish, small",
		    "{\"id\":12,\"publish\":{\"channel\":\"chat:room-17\",\"data\":"
		    "{\"text\":\"hello\"}}}"},
		{"parse publish",
		    "{\"id\":4711,\"publish\":{\"channel\":\"chat:room-17\",\"data\":"
		    "{\"text\":\"The quick brown fox jumps over the lazy dog\",\"n\":"
		    "123456,\"price\":2.50,\"tags\":[\"a\",\"b\",\"c\"],\"nested\":"
		    "{\"ok\":true,\"none\":null,\"list\":[1,2,3,4]},\"at\":1700}}}"},
		{"parse publish, escapes, UTF-8",
		    "{\"id\":4711,\"publish\":{\"channel\":\"chat:room-17\",\"data\":"
		    "{\"text\":\"\xc3\xa9t\xc3\xa9 \\u00e9 \\\"q\\\" \xf0\x9f\x98\x80 "
		    "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\"}}}"},
		{"parse subscribe",
		    "{\"id\":3,\"subscribe\":{\"channel\":\"chat:room-17\","
		    "\"flag\":1}}"},
		{"parse pong", "{}"},
	};
	struct base_slice line;
	size_t i;

	for (i = 0; i < BASE_COUNT(lines); i++) {
		line = (struct base_slice){lines[i][1], strlen(lines[i][1])};
		measure(lines[i][0], line.len, 200000, parse, &line);
	}
}

static void
bench_token(const char *what, const char *header, EVP_PKEY *key, int n)
{
	static const char claims[] = "{'sub':'42','exp':1700000000,'info':{'n':1}}";
	struct base_buf pem = {0};
	struct signed_token t = {0};
	char err[200] = "";

	if (key != NULL) {
		jwt_make_public_pem(&pem, key);
		jwt_make_signed(&t.text, header, claims, key);
	} else {
		jwt_make_hs256(&t.text, header, claims, "secret", 6);
	}
	t.keys = token_keys_new("secret", pem.p, pem.len, err, sizeof(err));
	base_assert(t.keys != NULL);
	measure(what, t.text.len, n, check, &t);
	token_keys_free(t.keys);
	base_buf_free(&t.text);
	base_buf_free(&pem);
	EVP_PKEY_free(key);
}

int
main(void)
{
	static char big[1024] = "\"";
	struct base_slice data = {"{\"text\":\"The quick brown fox jumps over\"}", 41};

	bench_parse();
	measure("pub", data.len, 200000, pub, &data);
	memset(big + 1, 'x', sizeof(big) - 2);
	big[sizeof(big) - 1] = '"';
	data = (struct base_slice){big, sizeof(big)};
	measure("pub", data.len, 200000, pub, &data);
	bench_token("token HS256", "{'alg':'HS256'}", NULL, 5000);
	bench_token("token RS256", "{'alg':'RS256'}", EVP_RSA_gen(2048), 1000);
	bench_token("token ES256", "{'alg':'ES256'}", EVP_EC_gen("P-256"), 1000);
	base_buf_free(&scratch);
	base_buf_free(&out);
	return 0;
}
