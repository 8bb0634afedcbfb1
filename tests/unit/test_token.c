/*
 * Tokens: which are taken, what is read from them, and the attacks on them that are
 * known.
 *
 * Tokens are signed by OpenSSL alone (jwt_make) and by libjwt; what libjwt signs is
 * checked by OpenSSL too, so that neither is only held against itself.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/base_assert.h"
#include "jwt_make.h"
#include "proto/base64.h"
#include "proto/token.h"
#include "proto/token_claims.h"

#define NOW    1700000000
#define SECRET "secret"
#define HS256  "{'alg':'HS256','typ':'JWT'}"
#define RS256  "{'alg':'RS256','typ':'JWT'}"
#define ES256  "{'alg':'ES256','typ':'JWT'}"
#define CLAIMS "{'sub':'42','info':{'n':1}}"

static EVP_PKEY *rsa, *rsa2, *ec, *ec2;
static struct base_buf rsa_pem, ec_pem, token;
static struct token_keys *hmac_keys, *rsa_keys, *ec_keys;

static struct token_keys *
keys_new(const char *secret, const struct base_buf *pem)
{
	char err[200] = "";
	struct token_keys *keys;

	keys = token_keys_new(secret, pem != NULL ? pem->p : NULL,
	    pem != NULL ? pem->len : 0, err, sizeof(err));
	if (keys == NULL)
		fail_msg("no keys: %s", err);
	return keys;
}

static int
setup(void **state)
{
	(void)state;
	rsa = EVP_RSA_gen(2048);
	rsa2 = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	ec2 = EVP_EC_gen("P-256");
	if (rsa == NULL || rsa2 == NULL || ec == NULL || ec2 == NULL)
		return -1;
	jwt_make_public_pem(&rsa_pem, rsa);
	jwt_make_public_pem(&ec_pem, ec);
	hmac_keys = keys_new(SECRET, NULL);
	rsa_keys = keys_new("", &rsa_pem);
	ec_keys = keys_new("", &ec_pem);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(rsa2);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ec2);
	base_buf_free(&rsa_pem);
	base_buf_free(&ec_pem);
	base_buf_free(&token);
	token_keys_free(hmac_keys);
	token_keys_free(rsa_keys);
	token_keys_free(ec_keys);
	token_keys_free(NULL);
	return 0;
}

/* The verdict alone.  A block of the token's exact size: a sanitizer sees a read
 * outside.  What is refused has to leave nothing to free, and no error in OpenSSL's
 * queue. */
static enum token_result
verdict_of(const struct token_keys *keys, const char *p, size_t n)
{
	struct token_claims claims = {.user = (char *)"x"};
	char *copy = malloc(n + 1);
	enum token_result result;

	assert_non_null(copy);
	memcpy(copy + 1, p, n);
	result = token_check(keys, (struct base_slice){copy + 1, n}, NOW, &claims);
	free(copy);
	assert_int_equal(ERR_peek_error(), 0);
	if (result == TOKEN_OK) {
		assert_non_null(claims.user);
		token_claims_free(&claims);
	}
	assert_null(claims.user);
	assert_null(claims.info);
	return result;
}

static enum token_result
verdict(const struct token_keys *keys)
{
	return verdict_of(keys, token.p, token.len);
}

/* In INFO ' stands for ", as in what jwt_make gets. */
static void
check_claims(const struct token_keys *keys, const char *user, const char *info,
    int64_t expire_at)
{
	struct token_claims claims;
	enum token_result result;
	size_t i;

	result = token_check(
	    keys, (struct base_slice){token.p, token.len}, NOW, &claims);
	assert_int_equal(result, TOKEN_OK);
	assert_string_equal(claims.user, user);
	if (info == NULL) {
		assert_null(claims.info);
		assert_int_equal(claims.info_len, 0);
	} else {
		assert_non_null(claims.info);
		assert_int_equal(claims.info_len, strlen(info));
		for (i = 0; i < claims.info_len; i++)
			assert_int_equal(
			    claims.info[i], info[i] == '\'' ? '"' : info[i]);
	}
	assert_true(claims.expire_at == expire_at);
	token_claims_free(&claims);
}

static void
test_openssl_signs(void **state)
{
	(void)state;
	jwt_make_hs256(&token, HS256, CLAIMS, SECRET, strlen(SECRET));
	check_claims(hmac_keys, "42", "{'n':1}", 0);
	jwt_make_signed(&token, RS256, CLAIMS, rsa);
	check_claims(rsa_keys, "42", "{'n':1}", 0);
	/* ECDSA is random: short r and s come up too. */
	for (int i = 0; i < 300; i++) {
		jwt_make_signed(&token, ES256, CLAIMS, ec);
		assert_int_equal(verdict(ec_keys), TOKEN_OK);
	}
	check_claims(ec_keys, "42", "{'n':1}", 0);
}

/* A token by libjwt, with KEY (a secret or a private PEM). */
static void
libjwt_sign(jwt_alg_t alg, const char *key)
{
	jwt_t *jwt = NULL;
	char *text;

	assert_int_equal(jwt_new(&jwt), 0);
	assert_int_equal(jwt_add_grant(jwt, "sub", "u1"), 0);
	assert_int_equal(jwt_add_grant_int(jwt, "exp", NOW + 100), 0);
	assert_int_equal(
	    jwt_set_alg(jwt, alg, (const unsigned char *)key, (int)strlen(key)), 0);
	text = jwt_encode_str(jwt);
	assert_non_null(text);
	token.len = 0;
	base_buf_str(&token, text);
	*base_buf_room(&token, 1) = 0;
	free(text);
	jwt_free(jwt);
}

/* What OpenSSL says of the signature of `token`. */
static bool
openssl_verifies(EVP_PKEY *key)
{
	const char *dot = strrchr(token.p, '.');
	struct base_buf sig = {0};
	unsigned char *der = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *pair;
	int n, ok;

	assert_true(base64_decode(BASE64_URL,
	    (struct base_slice){dot + 1, strlen(dot + 1)}, &sig));
	n = (int)sig.len;
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		assert_int_equal(sig.len, 64);
		pair = ECDSA_SIG_new();
		ECDSA_SIG_set0(pair, BN_bin2bn((unsigned char *)sig.p, 32, NULL),
		    BN_bin2bn((unsigned char *)sig.p + 32, 32, NULL));
		n = i2d_ECDSA_SIG(pair, &der);
		ECDSA_SIG_free(pair);
	}
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	ok = EVP_DigestVerify(ctx, der != NULL ? der : (unsigned char *)sig.p,
	    (size_t)n, (unsigned char *)token.p, (size_t)(dot - token.p));
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	base_buf_free(&sig);
	ERR_clear_error();
	return ok == 1;
}

static void
test_libjwt_signs(void **state)
{
	struct base_buf pem = {0};

	(void)state;
	libjwt_sign(JWT_ALG_HS256, SECRET);
	check_claims(hmac_keys, "u1", NULL, NOW + 100);
	jwt_make_private_pem(&pem, rsa);
	libjwt_sign(JWT_ALG_RS256, pem.p);
	check_claims(rsa_keys, "u1", NULL, NOW + 100);
	assert_true(openssl_verifies(rsa));
	assert_false(openssl_verifies(rsa2));
	jwt_make_private_pem(&pem, ec);
	libjwt_sign(JWT_ALG_ES256, pem.p);
	check_claims(ec_keys, "u1", NULL, NOW + 100);
	assert_true(openssl_verifies(ec));
	assert_false(openssl_verifies(ec2));
	base_buf_free(&pem);
}

static void
test_key_choice(void **state)
{
	struct token_keys *both = keys_new(SECRET, &ec_pem), *none = keys_new("", NULL);

	(void)state;
	jwt_make_hs256(&token, HS256, CLAIMS, SECRET, strlen(SECRET));
	assert_int_equal(verdict(both), TOKEN_OK);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	assert_int_equal(verdict(ec_keys), TOKEN_INVALID);
	assert_int_equal(verdict(none), TOKEN_INVALID);
	jwt_make_signed(&token, ES256, CLAIMS, ec);
	assert_int_equal(verdict(both), TOKEN_OK);
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	jwt_make_signed(&token, RS256, CLAIMS, rsa);
	assert_int_equal(verdict(both), TOKEN_INVALID);
	/* Another's key. */
	jwt_make_hs256(&token, HS256, CLAIMS, "Secret", 6);
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
	jwt_make_hs256(&token, HS256, CLAIMS, "", 0);
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
	assert_int_equal(verdict(none), TOKEN_INVALID);
	jwt_make_signed(&token, RS256, CLAIMS, rsa2);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	jwt_make_signed(&token, ES256, CLAIMS, ec2);
	assert_int_equal(verdict(ec_keys), TOKEN_INVALID);
	token_keys_free(both);
	token_keys_free(none);
}

static void
test_alg_confusion(void **state)
{
	static const char *const headers[] = {
		"{'alg':'none'}", "{'alg':'None'}", "{'alg':'NONE'}",
		"{'alg':''}", "{'alg':null}", "{}", "{'typ':'JWT'}",
		"{'alg':'hs256'}", "{'alg':'HS384'}", "{'alg':'HS512'}",
		"{'alg':'RS256'}", "{'alg':'ES256'}", "{'alg':['HS256']}",
		"{'alg':'HS256 '}", "{'alg':'HS256','alg':'HS256'}",
		"{'alg':'none','alg':'HS256'}",
		"{'alg':'HS256','\\u0061lg':'none'}",
		"{'alg':'HS256','crit':['b64'],'b64':false}",
		"{'alg':'HS256',}", "['HS256']", "'HS256'",
		"{'alg':'HS256'}x", "x",
	};
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(headers); i++) {
		jwt_make_hs256(&token, headers[i], CLAIMS, SECRET, strlen(SECRET));
		if (verdict(hmac_keys) != TOKEN_INVALID)
			fail_msg("taken with the header %s", headers[i]);
	}
	/* The public key as the secret, with and without its last line feed. */
	jwt_make_hs256(&token, HS256, CLAIMS, rsa_pem.p, rsa_pem.len);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	jwt_make_hs256(&token, HS256, CLAIMS, rsa_pem.p, rsa_pem.len - 1);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	jwt_make_hs256(&token, HS256, CLAIMS, ec_pem.p, ec_pem.len);
	assert_int_equal(verdict(ec_keys), TOKEN_INVALID);
	/* One kind of key under the other's name. */
	jwt_make_signed(&token, ES256, CLAIMS, rsa);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	jwt_make_signed(&token, RS256, CLAIMS, ec);
	assert_int_equal(verdict(ec_keys), TOKEN_INVALID);
	jwt_make_signed(&token, "{'alg':'none'}", CLAIMS, rsa);
	assert_int_equal(verdict(rsa_keys), TOKEN_INVALID);
	jwt_make_signed(&token, "{'alg':'none'}", CLAIMS, ec);
	assert_int_equal(verdict(ec_keys), TOKEN_INVALID);
}

/* A signature in DER is not what RFC 7518 says, nor is one of zeros (r = s = 0). */
static void
test_bad_ecdsa(void **state)
{
	static const unsigned char zeros[64];
	static const size_t lengths[] = {0, 1, 32, 63, 64};
	struct base_buf bad = {0};
	size_t i, n;

	(void)state;
	jwt_make_signed(&token, ES256, CLAIMS, ec);
	n = (size_t)(strrchr(token.p, '.') + 1 - token.p);
	for (i = 0; i < BASE_COUNT(lengths); i++) {
		bad.len = 0;
		base_buf_add(&bad, token.p, n);
		jwt_make_base64(&bad, zeros, lengths[i]);
		assert_int_equal(verdict_of(ec_keys, bad.p, bad.len), TOKEN_INVALID);
	}
	base_buf_free(&bad);
}

static void
test_garbage(void **state)
{
	static const char *const rows[] = {
		"", ".", "..", "...", "garbage", "a.b.c", "a.b", "e30.e30.", ".e30.e30",
		"e30..e30", "e30.e30.e30", "e30.e30.e30.e30",
		"eyJhbGciOiJub25lIn0.e30.",
		"eyJhbGciOiJub25lIn0.e30.AA", "\xff.\xff.\xff",
	};
	size_t i, whole;
	char c;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++)
		assert_int_equal(
		    verdict_of(hmac_keys, rows[i], strlen(rows[i])), TOKEN_INVALID);
	jwt_make_hs256(&token, HS256, CLAIMS, SECRET, strlen(SECRET));
	whole = token.len;
	assert_int_equal(verdict(hmac_keys), TOKEN_OK);
	for (i = 0; i < whole; i++) /* cut off */
		assert_int_equal(verdict_of(hmac_keys, token.p, i), TOKEN_INVALID);
	for (i = 0; i < whole; i++) { /* one bit wrong, a byte that is not base64 */
		c = token.p[i];
		token.p[i] = c ^ 1;
		assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
		token.p[i] = 0;
		assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
		token.p[i] = '=';
		assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
		token.p[i] = c;
	}
	/* Things put in that a lax decoder skips. */
	base_buf_str(&token, "=");
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
	token.p[whole] = '\n';
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
	token.p[whole] = '.';
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
	token.p[whole] = 0;
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
}

/* The verdict on a token with these claims and a good signature. */
static enum token_result
verdict_on(const char *claims)
{
	jwt_make_hs256(&token, HS256, claims, SECRET, strlen(SECRET));
	return verdict(hmac_keys);
}

static void
test_claims(void **state)
{
	static const struct {
		const char *claims, *user, *info;
		int64_t expire_at;
	} rows[] = {
		{"{}", "", NULL, 0},
		{"{'sub':''}", "", NULL, 0},
		{"{'sub':null,'exp':null,'info':null,'channel':null}", "", NULL, 0},
		{"{'sub':'\\u00e9\\n'}", "\xc3\xa9\n", NULL, 0},
		{"{'s\\u0075b':'u'}", "u", NULL, 0},
		{"{'exp':1700000001}", "", NULL, 1700000001},
		{"{'exp':1700000001.9}", "", NULL, 1700000001},
		{"{'exp':1.8e9}", "", NULL, 1800000000},
		{"{'exp':1700000100,'expire_at':0}", "", NULL, 0},
		{"{'exp':1700000100,'expire_at':1700000050}", "", NULL, 1700000050},
		{"{'expire_at':1700000050}", "", NULL, 1700000050},
		{"{'expire_at':5}", "", NULL, 5},
		{"{'nbf':1700000000,'iat':1800000000}", "", NULL, 0},
		{"{'info':{'b' : 2.50,\n'a':1}}", "", "{'b' : 2.50,'a':1}", 0},
		{"{'info':'s\\n'}", "", "'s\\n'", 0},
		{"{'info':7}", "", "7", 0},
		{"{'b64info':'eyJuIjoxfQ=='}", "", "{'n':1}", 0},
		{"{'b64info':'eyJuIjoxfQ==','info':2}", "", "{'n':1}", 0},
		{"{'b64info':'','info':2}", "", "2", 0},
		{"{'aud':'a','iss':'i','jti':'j'}", "", NULL, 0},
		{"{'aud':['a','b']}", "", NULL, 0},
		{"{'aud':[]}", "", NULL, 0},
		{"{'channels':['a','b']}", "", NULL, 0},
		{"{'subs':{'a':{},'b':{'info':1,'b64info':'','data':[],"
		 "'b64data':null,'override':{'presence':{'value':true}}}}}",
		    "", NULL, 0},
		{"{'meta':{'x':[1]}}", "", NULL, 0},
		{"{'unknown':{'exp':1},'client':5}", "", NULL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		if (verdict_on(rows[i].claims) != TOKEN_OK)
			fail_msg("refused: %s", rows[i].claims);
		check_claims(hmac_keys, rows[i].user, rows[i].info, rows[i].expire_at);
	}
}

static void
test_time(void **state)
{
	(void)state;
	assert_int_equal(verdict_on("{'exp':1699999999}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'exp':1700000000}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'exp':1700000000.9}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'exp':1700000001}"), TOKEN_OK);
	assert_int_equal(verdict_on("{'exp':0}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'exp':-5}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'exp':1.6e9}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'nbf':1700000000}"), TOKEN_OK);
	assert_int_equal(verdict_on("{'nbf':1700000001}"), TOKEN_EXPIRED);
	assert_int_equal(verdict_on("{'exp':1,'expire_at':1800000000}"), TOKEN_EXPIRED);
	/* Invalid goes before expired. */
	assert_int_equal(verdict_on("{'exp':1,'sub':5}"), TOKEN_INVALID);
	jwt_make_hs256(&token, HS256, "{'exp':1}", "wrong", 5);
	assert_int_equal(verdict(hmac_keys), TOKEN_INVALID);
}

static void
test_bad_claims(void **state)
{
	static const char *const rows[] = {
		"[]", "'x'", "null", "1", "", " ", "{", "{}{}", "{'sub':'a',}",
		"x",
		"{'sub':1}", "{'sub':true}", "{'sub':[]}", "{'sub':{}}",
		"{'sub':'admin\\u0000x'}", "{'sub':'\\ud800'}",
		"{'sub':'\xff'}",
		"{'sub':'\xc0\x80'}", "{'sub':'a','sub':'b'}",
		"{'sub':'a','\\u0073ub':'b'}", "{'exp':1,'exp':1900000000}",
		"{'exp':'1900000000'}", "{'exp':true}", "{'exp':[]}",
		"{'exp':{}}",
		"{'exp':1e99}", "{'exp':99999999999999999999}", "{'exp':1e999}",
		"{'exp':1900000000.00000000000000000000000000000000000000000000001}",
		"{'nbf':'1'}", "{'nbf':false}", "{'iat':'1'}", "{'iat':{}}",
		"{'jti':1}", "{'iss':1}", "{'iss':['a']}", "{'aud':1}",
		"{'aud':{}}", "{'aud':[1]}", "{'aud':['a',null]}",
		"{'aud':[['a']]}", "{'b64info':1}", "{'b64info':'e30'}",
		"{'b64info':'!!!!'}", "{'b64info':'eA=='}",
		"{'expire_at':'1'}",
		"{'expire_at':true}", "{'expire_at':[]}", "{'channels':'a'}",
		"{'channels':{}}", "{'channels':[1]}", "{'channels':['a',{}]}",
		"{'subs':[]}", "{'subs':'a'}", "{'subs':{'a':1}}",
		"{'subs':{'a':[]}}", "{'subs':{'a':{'b64info':1}}}",
		"{'subs':{'a':{'b64data':{}}}}",
		"{'subs':{'a':{'override':[]}}}",
		"{'channel':'a'}", "{'channel':''}", "{'channel':1}",
		"{'info':01}", "{'info':[1,]}", "{'meta':}",
		"{'info':123456789012345678901234567890}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		if (verdict_on(rows[i]) != TOKEN_INVALID)
			fail_msg("not invalid: %s", rows[i]);
	}
}

/* What libjwt refuses before us has to be refused by us too. */
static void
test_claims_alone(void **state)
{
	static const char *const rows[] = {
		"{\"sub\":\"admin\\u0000x\"}", "{\"sub\":\"a\"}x", "{\"sub\":\"a\"",
		"[]",
		"{\"sub\":\"\xff\"}", "{\"exp\":1e999}", "{\"exp\":-1e999}",
	};
	struct token_claims claims;
	struct base_slice text;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		text = (struct base_slice){rows[i], strlen(rows[i])};
		assert_int_equal(token_claims_read(text, NOW, &claims), TOKEN_INVALID);
		assert_null(claims.user);
	}
}

static void
refuse_pem(const char *pem, size_t n, const char *why)
{
	char err[200] = "";

	assert_null(token_keys_new("", pem, n, err, sizeof(err)));
	assert_non_null(strstr(err, why));
	assert_int_equal(ERR_peek_error(), 0);
}

static void
test_bad_keys(void **state)
{
	struct base_buf pem = {0};
	EVP_PKEY *key;

	(void)state;
	refuse_pem("", 0, "not a public key");
	refuse_pem("garbage", 7, "not a public key");
	refuse_pem(rsa_pem.p, rsa_pem.len / 2, "not a public key");
	jwt_make_private_pem(&pem, rsa);
	refuse_pem(pem.p, pem.len, "not a public key");
	key = EVP_RSA_gen(1024);
	jwt_make_public_pem(&pem, key);
	refuse_pem(pem.p, pem.len, "1024 bits");
	EVP_PKEY_free(key);
	key = EVP_EC_gen("P-384");
	jwt_make_public_pem(&pem, key);
	refuse_pem(pem.p, pem.len, "other than P-256");
	EVP_PKEY_free(key);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	jwt_make_public_pem(&pem, key);
	refuse_pem(pem.p, pem.len, "neither an RSA nor");
	EVP_PKEY_free(key);
	base_buf_free(&pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssl_signs),
		cmocka_unit_test(test_libjwt_signs),
		cmocka_unit_test(test_key_choice),
		cmocka_unit_test(test_alg_confusion),
		cmocka_unit_test(test_bad_ecdsa),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_bad_claims),
		cmocka_unit_test(test_claims_alone),
		cmocka_unit_test(test_bad_keys),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
