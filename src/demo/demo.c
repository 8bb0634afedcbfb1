#include "config.h"

#include "demo/demo.h"

#include <string.h>

const char demo_headers[] =
    "Content-Security-Policy: default-src 'self'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'\r\n"
    "Cache-Control: no-cache\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n";

const struct demo_file *
demo_find(struct base_slice path)
{
	for (size_t i = 0; i < demo_n_files; i++) {
		const struct demo_file *file = &demo_files[i];

		if (strlen(file->path) == path.len &&
		    memcmp(file->path, path.p, path.len) == 0)
			return file;
	}
	return NULL;
}
