/*
 * token: whether a token was signed with a key of ours; see the header.
 *
 * The key is chosen by the algorithm that the token's header names, never the other
 * way round: a public key is no secret for HS256, and "none" has no key.  libjwt gets
 * the token only when its three parts are proper base64url and its header is one that
 * we take.
 */
#include "config.h"

#include "proto/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/base_mem.h"
#include "proto/base64.h"
#include "proto/json_rd.h"
#include "proto/token_claims.h"

#define RSA_MIN_BITS 2048 /* RFC 7518 section 3.3 */

struct token_keys {
	char *secret; /* for HS256 */
	char *pem;    /* for pem_alg; both terminated, "" when there is none */
	jwt_alg_t pem_alg;
};

/* JWT_ALG_NONE with a text in ERR when PEM is no key that we can use. */
static jwt_alg_t
public_key_alg(const char *pem, size_t len, char *err, size_t errlen)
{
	jwt_alg_t alg = JWT_ALG_NONE;
	char group[32] = "", no_password[] = "";
	EVP_PKEY *key = NULL;
	BIO *bio;

	bio = len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	if (bio != NULL)
		key = PEM_read_bio_PUBKEY(bio, NULL, NULL, no_password);
	if (key == NULL) {
		snprintf(err, errlen, "not a public key in PEM (BEGIN PUBLIC KEY)");
	} else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
		if (EVP_PKEY_get_bits(key) >= RSA_MIN_BITS)
			alg = JWT_ALG_RS256;
		else
			snprintf(err, errlen, "an RSA key of %d bits; needs %d or more",
			    EVP_PKEY_get_bits(key), RSA_MIN_BITS);
	} else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
		    strcmp(group, "prime256v1") == 0)
			alg = JWT_ALG_ES256;
		else
			snprintf(err, errlen, "an elliptic curve other than P-256");
	} else {
		snprintf(err, errlen, "neither an RSA nor an elliptic curve key");
	}
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return alg;
}

struct token_keys *
token_keys_new(const char *hmac_secret, const char *pem, size_t pem_len, char *err,
    size_t errlen)
{
	struct token_keys *keys;
	jwt_alg_t alg = JWT_ALG_NONE;

	if (pem != NULL) {
		alg = public_key_alg(pem, pem_len, err, errlen);
		if (alg == JWT_ALG_NONE)
			return NULL;
	}
	keys = base_zalloc(sizeof(*keys));
	keys->secret = base_strdup(hmac_secret);
	keys->pem = pem != NULL ? base_memdup(pem, pem_len) : base_strdup("");
	keys->pem_alg = alg;
	return keys;
}

static void
wipe(char *s)
{
	explicit_bzero(s, strlen(s));
	free(s);
}

void
token_keys_free(struct token_keys *keys)
{
	if (keys == NULL)
		return;
	wipe(keys->secret);
	free(keys->pem);
	free(keys);
}

/* The algorithm of span ALG (the value of "alg"); JWT_ALG_NONE if it is none of ours.
 * Names are compared as they stand: they are case-sensitive. */
static jwt_alg_t
alg_of(struct base_slice alg)
{
	static const struct {
		const char *name;
		jwt_alg_t alg;
	} known[] = {
		{"\"HS256\"", JWT_ALG_HS256},
		{"\"RS256\"", JWT_ALG_RS256},
		{"\"ES256\"", JWT_ALG_ES256},
	};
	size_t i;

	for (i = 0; i < BASE_COUNT(known); i++) {
		if (alg.len == strlen(known[i].name) &&
		    memcmp(alg.p, known[i].name, alg.len) == 0)
			return known[i].alg;
	}
	return JWT_ALG_NONE;
}

/*
 * The algorithm that the header names; JWT_ALG_NONE when it cannot be had: also when it
 * is named twice, or when the header has "crit" (RFC 7515 section 4.1.11: extensions
 * that have to be understood, and we understand none).
 */
static jwt_alg_t
header_alg(struct base_slice header)
{
	char room[JSON_KEY_ROOM];
	jwt_alg_t alg = JWT_ALG_NONE;
	struct base_slice key, span;
	struct json_rd rd;
	bool first = true, seen = false;

	json_rd_init(&rd, header.p, header.len);
	if (!json_rd_object(&rd))
		return JWT_ALG_NONE;
	while (json_rd_member(&rd, &first, &key)) {
		key = json_key(key, room);
		if (json_rd_value(&rd, &span) == JSON_BAD)
			return JWT_ALG_NONE;
		if (key.len == 4 && memcmp(key.p, "crit", 4) == 0)
			return JWT_ALG_NONE;
		if (key.len == 3 && memcmp(key.p, "alg", 3) == 0) {
			if (seen)
				return JWT_ALG_NONE;
			seen = true;
			alg = alg_of(span);
		}
	}
	return json_rd_end(&rd) ? alg : JWT_ALG_NONE;
}

/* Three parts between two dots, no more and none empty. */
static bool
split(struct base_slice token, struct base_slice part[3])
{
	const char *dot;
	int i;

	for (i = 0; i < 3; i++) {
		dot = token.len > 0 ? memchr(token.p, '.', token.len) : NULL;
		if ((dot == NULL) != (i == 2))
			return false;
		part[i] = token;
		if (dot != NULL)
			part[i].len = (size_t)(dot - token.p);
		if (part[i].len == 0)
			return false;
		if (dot != NULL) {
			token.len -= part[i].len + 1;
			token.p = dot + 1;
		}
	}
	return true;
}

/* The key for ALG; "" if we have none. */
static const char *
key_for(const struct token_keys *keys, jwt_alg_t alg)
{
	if (alg == JWT_ALG_HS256)
		return keys->secret;
	return alg != JWT_ALG_NONE && alg == keys->pem_alg ? keys->pem : "";
}

static bool
signed_with(const char *key, jwt_alg_t alg, struct base_slice token)
{
	char *text = base_memdup(token.p, token.len);
	jwt_t *jwt = NULL;
	bool ok = false;

	if (jwt_decode(&jwt, text, (const unsigned char *)key, (int)strlen(key)) == 0)
		ok = jwt_get_alg(jwt) == alg;
	jwt_free(jwt);
	free(text);
	/* What libjwt leaves in OpenSSL's queue would be taken by the next
	 * SSL_get_error of this thread for the error of a connection. */
	ERR_clear_error();
	return ok;
}

enum token_result
token_check(const struct token_keys *keys, struct base_slice token, int64_t now,
    struct token_claims *claims)
{
	struct base_buf header = {0}, payload = {0}, signature = {0};
	enum token_result result = TOKEN_INVALID;
	struct base_slice part[3];
	const char *key;
	jwt_alg_t alg;

	*claims = (struct token_claims){0};
	if (!split(token, part) || !base64_decode(BASE64_URL, part[0], &header) ||
	    !base64_decode(BASE64_URL, part[1], &payload) ||
	    !base64_decode(BASE64_URL, part[2], &signature))
		goto out;
	alg = header_alg((struct base_slice){header.p, header.len});
	key = key_for(keys, alg);
	if (*key == 0 || !signed_with(key, alg, token))
		goto out;
	result = token_claims_read(
	    (struct base_slice){payload.p, payload.len}, now, claims);
out:
	base_buf_free(&header);
	base_buf_free(&payload);
	base_buf_free(&signature);
	return result;
}
