/*
 * base_assert: the last words of a process whose invariant broke.
 */
#include "config.h"

#include "base/base_assert.h"

#include <stdlib.h>

#include "base/base_log.h"

void
base_assert_fail(const char *file, int line, const char *func, const char *expr)
{
	log_error(LOG_CORE, "assertion failed: %s in %s at %s:%d", expr, func, file,
	    line);
	abort();
}
