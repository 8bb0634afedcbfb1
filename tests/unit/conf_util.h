/*
 * conf_util: what the tests of conf/ share.
 */
#ifndef UNIT_CONF_UTIL_H
#define UNIT_CONF_UTIL_H

#include "base/base_buf.h"
#include "conf/conf_set.h"

/* A configuration that must be good; its name in messages is t.conf. */
struct conf *conf_util_good(const char *text);

/* Checks that TEXT gives exactly the lines of ERRORS. */
void conf_util_bad(const char *text, const char *errors);

/* Checks that a buffer holds exactly WANT, and frees it. */
void conf_util_text(struct base_buf *buf, const char *want);

/* Makes a directory for files and changes to it; leaves and removes it again. */
int conf_util_enter(void **state);
int conf_util_leave(void **state);

/* Writes a file there. */
void conf_util_write(const char *name, const char *text);

enum conf_util_key {
	CONF_UTIL_P256,
	CONF_UTIL_P384,
	CONF_UTIL_RSA1024,
	CONF_UTIL_RSA2048,
};

/* Writes NAME.crt, NAME.key and NAME.pub of a new key. */
void conf_util_make_key(const char *name, enum conf_util_key type);

#endif
