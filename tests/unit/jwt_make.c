/*
 * jwt_make: see the header.
 */
#include "config.h"

#include "jwt_make.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

void
jwt_make_base64(struct base_buf *out, const void *p, size_t n)
{
	unsigned char *to = (unsigned char *)base_buf_room(out, (n + 2) / 3 * 4 + 1);
	int len = EVP_EncodeBlock(to, p, (int)n);

	while (len > 0 && to[len - 1] == '=')
		len--;
	out->len += (size_t)len;
	for (; len > 0; len--, to++) {
		if (*to == '+')
			*to = '-';
		else if (*to == '/')
			*to = '_';
	}
}

static void
terminate(struct base_buf *out)
{
	*base_buf_room(out, 1) = 0;
}

static void
add_part(struct base_buf *out, const char *json)
{
	size_t n = strlen(json), i;
	char *copy = base_memdup(json, n);

	for (i = 0; i < n; i++) {
		if (copy[i] == '\'')
			copy[i] = '"';
	}
	jwt_make_base64(out, copy, n);
	free(copy);
}

static void
add_message(struct base_buf *out, const char *header, const char *payload)
{
	out->len = 0;
	add_part(out, header);
	base_buf_byte(out, '.');
	add_part(out, payload);
}

void
jwt_make_hs256(struct base_buf *out, const char *header, const char *payload,
    const void *secret, size_t secret_len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n;

	add_message(out, header, payload);
	base_assert(HMAC(EVP_sha256(), secret, (int)secret_len,
			(unsigned char *)out->p, out->len, mac, &n) != NULL);
	base_buf_byte(out, '.');
	jwt_make_base64(out, mac, n);
	terminate(out);
}

static void
raw_ecdsa(const unsigned char *der, size_t n, unsigned char raw[64])
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);

	base_assert(sig != NULL);
	base_assert(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32);
	base_assert(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32);
	ECDSA_SIG_free(sig);
}

void
jwt_make_signed(struct base_buf *out, const char *header, const char *payload,
    EVP_PKEY *key)
{
	unsigned char sig[1024], raw[64];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = sizeof(sig);

	add_message(out, header, payload);
	base_assert(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1);
	base_assert(
	    EVP_DigestSign(ctx, sig, &n, (unsigned char *)out->p, out->len) == 1);
	EVP_MD_CTX_free(ctx);
	base_buf_byte(out, '.');
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		raw_ecdsa(sig, n, raw);
		jwt_make_base64(out, raw, sizeof(raw));
	} else {
		jwt_make_base64(out, sig, n);
	}
	terminate(out);
}

static void
take_bio(struct base_buf *out, BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	out->len = 0;
	base_buf_add(out, p, (size_t)n);
	terminate(out);
	BIO_free(bio);
}

void
jwt_make_public_pem(struct base_buf *out, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	base_assert(PEM_write_bio_PUBKEY(bio, key) == 1);
	take_bio(out, bio);
}

void
jwt_make_private_pem(struct base_buf *out, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	base_assert(
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	take_bio(out, bio);
}
