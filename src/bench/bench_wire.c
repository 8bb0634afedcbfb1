/* bench_wire: see bench_wire.h. */
#include "config.h"

#include "bench/bench_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

SSL_CTX *
bench_wire_ctx(const char *ca, bool insecure, char *err, size_t errlen)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL) {
		snprintf(err, errlen, "cannot start TLS");
		return NULL;
	}
	/* idle connections hold no buffers: there may be tens of thousands */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (insecure)
		return ctx;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (ca != NULL ? SSL_CTX_load_verify_file(ctx, ca) == 1
		       : SSL_CTX_set_default_verify_paths(ctx) == 1)
		return ctx;
	snprintf(err, errlen, "--ca %s: no certificates can be read",
	    ca != NULL ? ca : "(the system's)");
	SSL_CTX_free(ctx);
	return NULL;
}

static bool
is_address(const char *host)
{
	unsigned char a[16];

	return inet_pton(AF_INET, host, a) == 1 || inet_pton(AF_INET6, host, a) == 1;
}

SSL *
bench_wire_tls(SSL_CTX *ctx, int fd, const struct bench_url *u, bool insecure)
{
	SSL *ssl = SSL_new(ctx);
	bool ok;

	if (ssl == NULL)
		return NULL;
	ok = SSL_set_fd(ssl, fd) == 1;
	if (is_address(u->host)) {
		if (!insecure)
			ok = ok && X509_VERIFY_PARAM_set1_ip_asc(
				       SSL_get0_param(ssl), u->host) == 1;
	} else {
		ok = ok && SSL_set_tlsext_host_name(ssl, u->host) == 1;
		if (!insecure)
			ok = ok && SSL_set1_host(ssl, u->host) == 1;
	}
	if (!ok) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

int
bench_wire_handshake(SSL *ssl, const char **why)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(ssl);
	if (rc == 1)
		return 0;
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return BENCH_WIRE_READ;
	case SSL_ERROR_WANT_WRITE:
		return BENCH_WIRE_WRITE;
	case SSL_ERROR_SYSCALL:
		*why =
		    errno != 0 ? strerror(errno) : "the server closed the connection";
		return -1;
	default:
		if (SSL_get_verify_result(ssl) != X509_V_OK) {
			*why =
			    X509_verify_cert_error_string(SSL_get_verify_result(ssl));
		} else {
			*why = ERR_reason_error_string(ERR_peek_error());
			if (*why == NULL)
				*why = "failed";
		}
		return -1;
	}
}

/* What a call of OpenSSL that gave no bytes means. */
static ssize_t
tls_result(SSL *ssl, int rc)
{
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		errno = 0;
		return -1;
	case SSL_ERROR_SYSCALL:
		return -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

ssize_t
bench_wire_write(int fd, SSL *ssl, const char *p, size_t n)
{
	ssize_t w;

	if (ssl != NULL) {
		size_t done = 0;
		int rc;

		ERR_clear_error();
		errno = 0;
		rc = SSL_write_ex(ssl, p, n, &done);
		return rc == 1 ? (ssize_t)done : tls_result(ssl, rc);
	}
	do
		w = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (w < 0 && errno == EINTR);
	return w < 0 && errno == EAGAIN ? 0 : w;
}

static ssize_t
tls_read(SSL *ssl, char *p, size_t n)
{
	size_t have = 0, got;
	int rc;

	/* to the end of what has come: epoll does not see what OpenSSL holds */
	do {
		ERR_clear_error();
		errno = 0;
		rc = SSL_read_ex(ssl, p + have, n - have, &got);
		if (rc == 1)
			have += got;
	} while (rc == 1 && have < n);
	return have > 0 ? (ssize_t)have : tls_result(ssl, rc);
}

ssize_t
bench_wire_read(int fd, SSL *ssl, char *p, size_t n)
{
	ssize_t r;

	if (ssl != NULL)
		return tls_read(ssl, p, n);
	do
		r = recv(fd, p, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		return r;
	if (r == 0) {
		errno = 0;
		return -1;
	}
	return errno == EAGAIN ? 0 : -1;
}
