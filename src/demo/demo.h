/*
 * demo: the chat page that a client listener serves when the option demo is on.
 *
 * Its sources lie beside this header (index.html, demo.css, demo.mjs, ...) and are
 * compiled in, so that an installed chatd needs no file of them.
 */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include "base/base_defs.h"

struct demo_file {
	const char *path; /* of the request: "/" */
	const char *type; /* for Content-Type */
	struct base_slice body;
};

/* All of them; made at build time. */
extern const struct demo_file demo_files[];
extern const size_t demo_n_files;

/* The file for PATH, or NULL. */
const struct demo_file *demo_find(struct base_slice path);

/*
 * Header lines, each ended by CRLF, that every response with one of these files
 * carries: the page may load nothing but its own files, and nobody may frame it.
 */
extern const char demo_headers[];

#endif
