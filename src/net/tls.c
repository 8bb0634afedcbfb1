/*
 * tls: see the header.
 */
#include "config.h"

#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/base_assert.h"

static void
describe(char *err, size_t errlen, const struct conf_listen *l, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(err, errlen, "%s:%d: listen \"%s\": %s: %s", l->file, l->line,
	    l->title, what, reason == NULL ? "it cannot be used" : reason);
}

/* The certificate, then its chain. */
static bool
use_certificates(SSL_CTX *ctx, const struct conf_file *file)
{
	BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
	X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	bool ok = x != NULL && SSL_CTX_use_certificate(ctx, x) == 1;

	X509_free(x);
	while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		ok = SSL_CTX_add1_chain_cert(ctx, x) == 1;
		X509_free(x);
	}
	BIO_free(bio);
	if (ok)
		ERR_clear_error(); /* the end of the file is an error there */
	return ok;
}

static bool
use_key(SSL_CTX *ctx, const struct conf_file *file)
{
	BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
	EVP_PKEY *key =
	    bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

/* OpenSSL wants 80 bytes: a name, and two keys. */
static void
set_ticket_key(SSL_CTX *ctx, const struct base_hash_key *key)
{
	uint8_t bytes[128], label[sizeof(*key) + 1];
	size_t len;

	memcpy(label, key, sizeof(*key));
	for (unsigned i = 0; i < 2; i++) {
		label[sizeof(*key)] = (uint8_t)i;
		base_assert(EVP_Q_digest(NULL, "SHA512", NULL, label, sizeof(label),
				bytes + 64 * i, &len) == 1);
	}
	base_assert(SSL_CTX_set_tlsext_ticket_keys(ctx, bytes, 80) == 1);
}

SSL_CTX *
tls_context(const struct conf_listen *l, const struct base_hash_key *key, char *err,
    size_t errlen)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	ERR_clear_error();
	if (ctx == NULL) {
		describe(err, errlen, l, "TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* Buffers are given back while a connection is idle; a write may end early. */
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	set_ticket_key(ctx, key);
	if (!use_certificates(ctx, &l->tls_certificate)) {
		describe(err, errlen, l, "tls_certificate");
	} else if (!use_key(ctx, &l->tls_key)) {
		describe(err, errlen, l, "tls_key");
	} else {
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}
