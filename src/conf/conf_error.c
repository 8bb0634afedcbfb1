/*
 * conf_error: see the header.
 */
#include "config.h"

#include "conf/conf_error.h"

#include <stdarg.h>
#include <stdio.h>

void
conf_error(struct base_buf *errors, const char *file, int line, const char *fmt, ...)
{
	char text[4096];
	size_t i, start = errors->len;
	va_list ap;

	if (errors->len > CONF_ERROR_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	base_buf_printf(errors, "%.1024s:%d: %s", file, line, text);
	for (i = start; i < errors->len; i++)
		if ((unsigned char)errors->p[i] < 0x20 || errors->p[i] == 0x7f)
			errors->p[i] = '?';
	base_buf_byte(errors, '\n');
}
