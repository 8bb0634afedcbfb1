/* bench_url: see bench_url.h. */
#include "config.h"

#include "bench/bench_url.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"

#define DEFAULT_PATH "/connection/websocket"

static int
fail(char *err, size_t errlen, const char *text, const char *why)
{
	snprintf(err, errlen, "--url %s: %s", text, why);
	return -1;
}

static bool
is_loopback(const struct bench_url *u)
{
	if (u->addr.sa.sa_family == AF_INET)
		return ntohl(u->addr.in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&u->addr.in6.sin6_addr);
}

static int
resolve(
    struct bench_url *u, const char *port, const char *text, char *err, size_t errlen)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found, *a;
	int rc = getaddrinfo(u->host, port, &hints, &found);

	if (rc != 0)
		return fail(err, errlen, text, gai_strerror(rc));
	/* IPv4 if there is one: it has many loopback addresses to connect from */
	for (a = found; a->ai_next != NULL && a->ai_family != AF_INET;)
		a = a->ai_next;
	if (a->ai_family != AF_INET)
		a = found;
	u->addrlen = a->ai_addrlen;
	memcpy(&u->addr, a->ai_addr, BASE_MIN(sizeof(u->addr), (size_t)u->addrlen));
	freeaddrinfo(found);
	u->loopback = is_loopback(u);
	return 0;
}

/* Splits HOST[:PORT] of N bytes; the port is left in PORT. */
static bool
split_authority(struct bench_url *u, const char *p, size_t n, char port[8])
{
	const char *end = p + n, *host = p, *host_end, *colon;

	if (n > 0 && p[0] == '[') {
		host = p + 1;
		host_end = memchr(host, ']', n - 1);
		if (host_end == NULL)
			return false;
		colon = host_end + 1;
	} else {
		host_end = memchr(p, ':', n);
		if (host_end == NULL)
			host_end = end;
		colon = host_end;
	}
	if (host_end == host || (colon < end && *colon != ':'))
		return false;
	if (colon < end) {
		size_t len = (size_t)(end - colon) - 1;

		if (len == 0 || len > 5 || strspn(colon + 1, "0123456789") < len)
			return false;
		memcpy(port, colon + 1, len);
		port[len] = '\0';
	}
	u->host = base_memdup(host, (size_t)(host_end - host));
	u->authority = base_memdup(p, n);
	return true;
}

int
bench_url_parse(struct bench_url *u, const char *text, char *err, size_t errlen)
{
	const char *rest, *path;
	char port[8] = "80";

	memset(u, 0, sizeof(*u));
	if (strncmp(text, "ws://", 5) == 0) {
		rest = text + 5;
	} else if (strncmp(text, "wss://", 6) == 0) {
		rest = text + 6;
		u->tls = true;
		memcpy(port, "443", 4);
	} else {
		return fail(err, errlen, text, "it has to begin with ws:// or wss://");
	}
	for (const char *s = rest; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == '#' || *s == 127)
			return fail(err, errlen, text, "a character is not allowed");
	path = rest + strcspn(rest, "/?");
	if (!split_authority(u, rest, (size_t)(path - rest), port))
		return fail(err, errlen, text, "not HOST or HOST:PORT");
	if (*path == '?')
		return fail(err, errlen, text, "the path is missing before '?'");
	u->path = base_strdup(*path != '\0' ? path : DEFAULT_PATH);
	return resolve(u, port, text, err, errlen);
}

void
bench_url_free(struct bench_url *u)
{
	free(u->host);
	free(u->authority);
	free(u->path);
	memset(u, 0, sizeof(*u));
}
