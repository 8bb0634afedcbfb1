/*
 * conf_addr: see the header.
 */
#include "config.h"

#include "conf/conf_addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "conf/conf_words.h"

/* Splits TEXT; the port stays in it, the host is copied to HOST. */
static const char *
split(const char *text, char *host, size_t size, int *family_r)
{
	const char *colon = strrchr(text, ':');
	size_t n;

	if (colon == NULL)
		return NULL;
	n = (size_t)(colon - text);
	*family_r = AF_INET;
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		*family_r = AF_INET6;
		text++;
		n -= 2;
	}
	if (n == 0 || n >= size)
		return NULL;
	memcpy(host, text, n);
	host[n] = 0;
	return colon + 1;
}

int
conf_addr_parse(const char *text, struct conf_addr *addr_r)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *info = NULL;
	struct in_addr v4;
	char host[128];
	const char *port = split(text, host, sizeof(host), &hints.ai_family);
	int64_t n;

	if (port == NULL || conf_words_number(conf_words_plain, port, &n) < 0 ||
	    n < 1 || n > 65535)
		return -1;
	/* getaddrinfo would take "1.2" and "0x7f.1" too. */
	if (hints.ai_family == AF_INET && inet_pton(AF_INET, host, &v4) != 1)
		return -1;
	if (getaddrinfo(host, port, &hints, &info) != 0)
		return -1;
	memset(addr_r, 0, sizeof(*addr_r));
	memcpy(&addr_r->sa, info->ai_addr, info->ai_addrlen);
	addr_r->len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

bool
conf_addr_equal(const struct conf_addr *a, const struct conf_addr *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}
