/*
 * jwt_make: tokens for tests, signed with OpenSSL alone.
 */
#ifndef UNIT_JWT_MAKE_H
#define UNIT_JWT_MAKE_H

#include <openssl/evp.h>

#include "base/base_buf.h"

/* Appends base64url without padding. */
void jwt_make_base64(struct base_buf *out, const void *p, size_t n);

/*
 * The token of HEADER and PAYLOAD, both JSON texts in which ' stands for ", as a
 * terminated string in OUT (emptied first; its len does not count the NUL).
 */
void jwt_make_hs256(struct base_buf *out, const char *header, const char *payload,
    const void *secret, size_t secret_len);
/* RSA: PKCS #1 v1.5.  P-256: r and s, 32 bytes each. */
void jwt_make_signed(struct base_buf *out, const char *header, const char *payload,
    EVP_PKEY *key);

/* The key as PEM text in OUT, terminated as above. */
void jwt_make_public_pem(struct base_buf *out, EVP_PKEY *key);
void jwt_make_private_pem(struct base_buf *out, EVP_PKEY *key);

#endif
