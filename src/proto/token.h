/*
 * token: JSON Web Tokens of clients (RFC 7519), checked by libjwt.
 *
 * Accepted: HS256 with the secret, RS256 and ES256 with the public key, each only
 * when it is configured; the key's type must fit the algorithm that the token
 * names.  Everything else, "none" included, is invalid.  Signature first, then
 * claims: nothing is believed of a token that was not signed.
 *
 * libjwt's own limits hold too: a header "typ" other than "JWT", a number beyond what
 * a 64-bit integer or a double holds, and an escaped NUL make a token invalid.
 */
#ifndef PROTO_TOKEN_H
#define PROTO_TOKEN_H

#include "base/base_defs.h"

struct token_keys; /* immutable */

/*
 * HMAC_SECRET: terminated, empty for none.  PEM: an RSA or P-256 public key, or
 * NULL.  Returns NULL with a text in ERR when the key cannot be used.
 */
struct token_keys *token_keys_new(const char *hmac_secret, const char *pem,
    size_t pem_len, char *err, size_t errlen) BASE_MUST_CHECK;
void token_keys_free(struct token_keys *keys);

enum token_result {
	TOKEN_OK,
	TOKEN_EXPIRED, /* exp is past, or nbf is to come */
	TOKEN_INVALID,
};

struct token_claims {
	char *user; /* claim sub; never NULL; "" is anonymous */
	char *info; /* claim info or decoded b64info, raw JSON as it is; NULL: none */
	size_t info_len;
	/* When the connection expires, in seconds since 1970; 0: never.  Claim
	 * expire_at if present, else exp. */
	int64_t expire_at;
};

/*
 * Checks a connection token at time NOW (seconds since 1970).  A claim of a wrong
 * type, or a "channel" claim, makes it invalid.  On TOKEN_OK the caller frees
 * CLAIMS with token_claims_free.
 */
enum token_result token_check(const struct token_keys *keys, struct base_slice token,
    int64_t now, struct token_claims *claims) BASE_MUST_CHECK;
void token_claims_free(struct token_claims *claims);

#endif
