/*
 * conf_pem: whether PEM files hold what TLS and tokens need of them.
 *
 * Each returns NULL, or what is wrong (a constant).
 */
#ifndef CONF_PEM_H
#define CONF_PEM_H

#include "conf/conf_set.h"

/* One or more certificates, the server's own first. */
const char *conf_pem_certificate(const struct conf_file *file);

/* An unencrypted private key that belongs to the (good) certificate. */
const char *conf_pem_key(const struct conf_file *file, const struct conf_file *cert);

/* An RSA key of at least 2048 bits (RFC 7518 section 3.3) or one on P-256. */
const char *conf_pem_public_key(const struct conf_file *file);

#endif
