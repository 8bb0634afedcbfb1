/*
 * conf_pem: see the header.
 */
#include "config.h"

#include "conf/conf_pem.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

static BIO *
open_file(const struct conf_file *file)
{
	return BIO_new_mem_buf(file->data, (int)file->len);
}

/* Never asks at a terminal: an encrypted key cannot be used. */
static int
no_password(char *buf BASE_UNUSED, int size BASE_UNUSED, int rwflag BASE_UNUSED,
    void *arg BASE_UNUSED)
{
	return -1;
}

static X509 *
first_certificate(const struct conf_file *file)
{
	BIO *bio = open_file(file);
	X509 *cert = NULL;

	if (bio != NULL)
		cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	BIO_free(bio);
	return cert;
}

/* Whether each block that calls itself a certificate is one. */
static bool
chain_is_good(const struct conf_file *file)
{
	BIO *bio = open_file(file);
	X509 *cert;
	unsigned long err;

	if (bio == NULL)
		return false;
	ERR_clear_error();
	while ((cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL)
		X509_free(cert);
	err = ERR_peek_last_error();
	BIO_free(bio);
	return ERR_GET_LIB(err) == ERR_LIB_PEM &&
	    ERR_GET_REASON(err) == PEM_R_NO_START_LINE;
}

const char *
conf_pem_certificate(const struct conf_file *file)
{
	X509 *cert = first_certificate(file);
	const char *wrong = NULL;

	if (cert == NULL)
		wrong = "holds no certificate in PEM format";
	else if (!chain_is_good(file))
		wrong = "holds a damaged certificate behind the first one";
	X509_free(cert);
	ERR_clear_error();
	return wrong;
}

const char *
conf_pem_key(const struct conf_file *file, const struct conf_file *cert_file)
{
	BIO *bio = open_file(file);
	X509 *cert = first_certificate(cert_file);
	EVP_PKEY *key = NULL;
	const char *wrong = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (key == NULL)
		wrong = "holds no private key in PEM format, or an encrypted one";
	else if (cert != NULL && X509_check_private_key(cert, key) != 1)
		wrong = "does not belong to tls_certificate";
	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return wrong;
}

static const char *
judge_public_key(EVP_PKEY *key)
{
	char group[64] = "";

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= 2048
		    ? NULL
		    : "holds an RSA key of less than 2048 bits";
	if (EVP_PKEY_is_a(key, "EC") &&
	    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	    strcmp(group, SN_X9_62_prime256v1) == 0)
		return NULL;
	return "holds a key that is neither RSA nor on the curve P-256";
}

const char *
conf_pem_public_key(const struct conf_file *file)
{
	BIO *bio = open_file(file);
	EVP_PKEY *key = NULL;
	const char *wrong = "holds no public key in PEM format";

	if (bio != NULL)
		key = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
	if (key != NULL)
		wrong = judge_public_key(key);
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return wrong;
}
