/*
 * conn_io: the socket of a connection, plain or under TLS.
 */
#include "config.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base_log.h"
#include "net/conn.h"

ssize_t
conn_read(struct conn *c, void *p, size_t n)
{
	ssize_t r;
	int got;

	if (c->ssl == NULL) {
		r = recv(event_get_fd(&c->ev), p, n, MSG_DONTWAIT);
		if (r > 0)
			return r;
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (r == 0)
			errno = 0;
		return -1;
	}
	ERR_clear_error();
	c->tls_wants_write = false;
	got = SSL_read(c->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
	if (got > 0)
		return got;
	switch (SSL_get_error(c->ssl, got)) {
	case SSL_ERROR_WANT_READ:
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->tls_wants_write = true;
		conn_want_write(c, true);
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		errno = 0;
		return -1;
	default:
		errno = EIO;
		return -1;
	}
}

static ssize_t
write_plain(struct conn *c, const struct iovec *iov, int n)
{
	struct msghdr msg = {
	    .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	int fd = event_get_fd(&c->ev);
	ssize_t r;

	stat_add(c->net->stat, sends, 1);
	if (n == 1)
		r = send(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		r = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return r;
}

/* Small pieces go into one record. */
static size_t
collect(const struct iovec *iov, int n, size_t skip, uint8_t *to)
{
	size_t have = 0;

	for (int i = 0; i < n && have < CONN_TLS_WRITE; i++) {
		size_t len = iov[i].iov_len, part;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		part = BASE_MIN(len - skip, CONN_TLS_WRITE - have);
		memcpy(to + have, (uint8_t *)iov[i].iov_base + skip, part);
		have += part;
		skip = 0;
	}
	return have;
}

static ssize_t
write_tls(struct conn *c, const struct iovec *iov, int n)
{
	static uint8_t record[CONN_TLS_WRITE]; /* one loop, one thread */
	size_t sent = 0, have;
	int r;

	while ((have = collect(iov, n, sent, record)) > 0) {
		stat_add(c->net->stat, sends, 1);
		ERR_clear_error();
		r = SSL_write(c->ssl, record, (int)have);
		if (r > 0) {
			sent += (size_t)r;
			continue;
		}
		r = SSL_get_error(c->ssl, r);
		if (r != SSL_ERROR_WANT_WRITE && r != SSL_ERROR_WANT_READ)
			return -1;
		break;
	}
	return (ssize_t)sent;
}

ssize_t
conn_write(struct conn *c, const struct iovec *iov, int n)
{
	ssize_t r;

	r = c->ssl == NULL ? write_plain(c, iov, n) : write_tls(c, iov, n);
	if (r > 0)
		stat_add(c->net->stat, bytes_out, r);
	return r;
}

int
conn_tls_handshake(struct conn *c)
{
	int r;

	ERR_clear_error();
	r = SSL_accept(c->ssl);
	if (r == 1) {
		c->tls_wants_write = false;
		if (c->outq == NULL)
			conn_want_write(c, false);
		return 1;
	}
	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		c->tls_wants_write = false;
		conn_want_write(c, false);
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->tls_wants_write = true;
		conn_want_write(c, true);
		return 0;
	default:
		log_debug(LOG_TLS, "handshake failed reason=%s",
		    ERR_reason_error_string(ERR_peek_last_error()));
		return -1;
	}
}
