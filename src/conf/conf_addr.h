/*
 * conf_addr: the address of a listener.
 */
#ifndef CONF_ADDR_H
#define CONF_ADDR_H

#include <sys/socket.h>

#include "base/base_defs.h"

struct conf_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/*
 * "127.0.0.1:8000" or "[::1]:8000": numbers only, no name is looked up.  Returns 0,
 * or -1 when TEXT is not such an address.
 */
int conf_addr_parse(const char *text, struct conf_addr *addr_r) BASE_MUST_CHECK;

bool conf_addr_equal(const struct conf_addr *a, const struct conf_addr *b);

#endif
