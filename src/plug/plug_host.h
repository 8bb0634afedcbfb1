/*
 * plug_host: a plugin that lives in this process, and the services it is given.
 *
 * One process owns it, on one loop.  What the plugin reports goes to the owner's
 * functions; from inside them no function of plug_call may be called, because the
 * plugin is still in its call.
 */
#ifndef PLUG_HOST_H
#define PLUG_HOST_H

#include "plug/plug_load.h"

struct plug;

/* See the services of the same names in chatd/plugin.h; none may be NULL. */
struct plug_owner {
	void (*state)(void *arg, enum chatd_state state, const char *why);
	void (*ready)(void *arg);
	void (*stopped)(void *arg);
	void (*done)(void *arg, uint64_t token, int code, const char *why,
	    const struct chatd_result *results, size_t n);
	void (*row)(void *arg, uint64_t token, const struct chatd_record *row);
};

/* What a plugin runs with; all of it outlives the plugin. */
struct plug_place {
	const struct plug_module *mod;
	const void *conf; /* accepted by plug_opts_parse */
	struct event_base *base;
	const char *node;
	const char *state_dir; /* absolute */
	const struct plug_owner *owner;
	void *owner_arg;
};

/* Calls init.  NULL and the reason in WHY when it fails. */
struct plug *plug_new(
    const struct plug_place *place, struct base_buf *why) BASE_MUST_CHECK;

/* Runs what was posted, calls fini, frees the rest. */
void plug_free(struct plug *p);

#endif
