/*
 * origin: may a page of this origin connect?  (RFC 6454)
 */
#ifndef NET_ORIGIN_H
#define NET_ORIGIN_H

#include "conf/conf_set.h"

/*
 * True if the value of the Origin header matches one of PATTERNS, in any case;
 * '*' stands for any run of characters.
 */
bool origin_allowed(const struct conf_list *patterns, struct base_slice origin);

#endif
