/*
 * bench_wire: bytes to and from a socket, plain or through OpenSSL.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <openssl/ssl.h>

#include "bench/bench_url.h"

/* The handshake needs the socket to be readable, or writable. */
#define BENCH_WIRE_READ  1
#define BENCH_WIRE_WRITE 2

/* CA: file, or NULL for the system's.  NULL with a text in ERR on error. */
SSL_CTX *bench_wire_ctx(const char *ca, bool insecure, char *err, size_t errlen);

/* The client's end of TLS on FD; NULL on error. */
SSL *bench_wire_tls(SSL_CTX *ctx, int fd, const struct bench_url *u, bool insecure);

/* 0: done, BENCH_WIRE_READ or _WRITE: call again then, -1: failed, by WHY. */
int bench_wire_handshake(SSL *ssl, const char **why);

/* SSL is NULL on a plain connection.  Bytes, 0: not now, -1: failed, by errno. */
ssize_t bench_wire_write(int fd, SSL *ssl, const char *p, size_t n);
/* The same; errno is 0 at the end of the stream. */
ssize_t bench_wire_read(int fd, SSL *ssl, char *p, size_t n);

#endif
