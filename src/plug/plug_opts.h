/*
 * plug_opts: a plugin's own options.
 *
 * Its table becomes one of conf/, so that the same code reads, checks and compares
 * the values of plugins and of the daemon.  A configuration is an instance of the
 * plugin's structure, on the heap.
 */
#ifndef PLUG_OPTS_H
#define PLUG_OPTS_H

#include "conf/conf_parse.h"
#include "plug/plug_load.h"

/* Checks the plugin's table, makes MOD->conf of it; false and WHY: it is wrong. */
bool plug_opts_table(struct plug_module *mod, struct base_buf *why) BASE_MUST_CHECK;

/*
 * The defaults, changed by what BODY gives, and accepted by the plugin's check.
 * Returns NULL and adds a line with file and line to ERRORS for each mistake.
 */
void *plug_opts_parse(const struct plug_module *mod, const struct conf_body *body,
    struct base_buf *errors) BASE_MUST_CHECK;
void plug_opts_free(const struct plug_module *mod, void *conf);

enum plug_change {
	PLUG_SAME,
	PLUG_LIVE,    /* all that has changed may change live */
	PLUG_RESTART, /* the plugin has to be stopped and started */
};

enum plug_change plug_opts_compare(
    const struct plug_module *mod, const void *a, const void *b);

#endif
