/*
 * bench_url: where to connect to.
 */
#ifndef BENCH_URL_H
#define BENCH_URL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base_defs.h"

struct bench_url {
	bool tls;
	char *host; /* name or address, without brackets */
	char *authority; /* for the Host header */
	char *path; /* with the query; begins with '/' */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	socklen_t addrlen;
	bool loopback; /* 127.0.0.0/8 or ::1 */
};

/*
 * Reads ws://HOST[:PORT][/PATH] or wss:// and resolves the host.  Returns 0, or -1
 * with a text in ERR.  Free with bench_url_free in either case.
 */
int bench_url_parse(
    struct bench_url *u, const char *text, char *err, size_t errlen) BASE_MUST_CHECK;
void bench_url_free(struct bench_url *u);

#endif
