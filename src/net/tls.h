/*
 * tls: contexts for listeners that speak TLS.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>

#include "base/base_hash.h"
#include "conf/conf_set.h"

/*
 * Makes a context from the certificate and key of LISTEN, TLS 1.2 or later.  KEY is
 * the segment's: session tickets are sealed with a key made from it, so that any
 * worker resumes what another began.  NULL with a text in ERR.
 */
SSL_CTX *tls_context(const struct conf_listen *listen, const struct base_hash_key *key,
    char *err, size_t errlen);

#endif
