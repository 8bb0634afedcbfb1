/*
 * conf_util: see the header.
 */
#include "config.h"

#include "conf_util.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf_parse.h"

static char directory[] = "/tmp/chatd-conf-XXXXXX";

struct conf *
conf_util_good(const char *text)
{
	struct base_buf errors = {0};
	struct conf *conf = conf_parse_text(text, "t.conf", &errors);

	if (conf == NULL)
		fail_msg("not taken: %.*s", (int)errors.len, errors.p);
	assert_int_equal(errors.len, 0);
	base_buf_free(&errors);
	return conf;
}

void
conf_util_text(struct base_buf *buf, const char *want)
{
	base_buf_byte(buf, 0);
	assert_string_equal(buf->p, want);
	base_buf_free(buf);
}

void
conf_util_bad(const char *text, const char *want)
{
	struct base_buf errors = {0};
	struct conf *conf = conf_parse_text(text, "t.conf", &errors);

	conf_util_text(&errors, want);
	assert_null(conf);
}

int
conf_util_enter(void **state BASE_UNUSED)
{
	memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
	return mkdtemp(directory) == NULL || chdir(directory) < 0 ? -1 : 0;
}

/* Removes a directory that holds files, and directories of files. */
static void
remove_all(const char *path, int depth)
{
	char name[512];
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(path);

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode) && depth > 0)
			remove_all(name, depth - 1);
		else
			unlink(name);
	}
	closedir(dir);
	rmdir(path);
}

int
conf_util_leave(void **state BASE_UNUSED)
{
	if (chdir("/") < 0)
		return -1;
	remove_all(directory, 2);
	return 0;
}

void
conf_util_write(const char *name, const char *text)
{
	FILE *fp = fopen(name, "w");

	assert_non_null(fp);
	assert_int_equal(fwrite(text, 1, strlen(text), fp), strlen(text));
	assert_int_equal(fclose(fp), 0);
}

static EVP_PKEY *
make_key(enum conf_util_key type)
{
	switch (type) {
	case CONF_UTIL_P256:
		return EVP_EC_gen("P-256");
	case CONF_UTIL_P384:
		return EVP_EC_gen("P-384");
	case CONF_UTIL_RSA1024:
		return EVP_RSA_gen(1024);
	default:
		return EVP_RSA_gen(2048);
	}
}

static void
write_certificate(FILE *fp, EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(fp, cert), 1);
	X509_free(cert);
}

void
conf_util_make_key(const char *name, enum conf_util_key type)
{
	EVP_PKEY *key = make_key(type);
	char path[64];
	FILE *fp;

	assert_non_null(key);
	snprintf(path, sizeof(path), "%s.key", name);
	fp = fopen(path, "w");
	assert_int_equal(PEM_write_PrivateKey(fp, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(fp);
	snprintf(path, sizeof(path), "%s.pub", name);
	fp = fopen(path, "w");
	assert_int_equal(PEM_write_PUBKEY(fp, key), 1);
	fclose(fp);
	snprintf(path, sizeof(path), "%s.crt", name);
	fp = fopen(path, "w");
	write_certificate(fp, key);
	fclose(fp);
	EVP_PKEY_free(key);
}
