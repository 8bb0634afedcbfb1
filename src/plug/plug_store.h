/*
 * plug_store: the store that a configuration chooses.
 *
 * store = "NAME" is the plugin store_NAME, whose options stand in the section NAME.
 * A plugin is code of others, so the master never loads one: the process that checks
 * a configuration does, the archiver, and the tools of the operator.
 */
#ifndef PLUG_STORE_H
#define PLUG_STORE_H

#include "plug/plug_host.h"

struct plug_store {
	struct plug_module *mod;
	void *conf; /* its options */
	char *state_dir; /* absolute */
};

/*
 * Whether there is work for a store: a namespace is archived, or another than the
 * default is chosen, or its section is there.  Where none of that is so, the default
 * store need not even be installed.
 */
bool plug_store_used(const struct conf *conf);

/*
 * Loads the plugin and takes its options.  False, with nothing to close, when that
 * fails: then ERRORS has a line for each mistake, "FILE:LINE: what is wrong", as
 * conf_parse_file gives them.  The store must not be "none".
 */
bool plug_store_open(const struct conf *conf, struct plug_store *store_r,
    struct base_buf *errors) BASE_MUST_CHECK;
/* After plug_free. */
void plug_store_close(struct plug_store *store);

/* plug_new with what STORE holds; NODE and what OWNER needs outlive the plugin. */
struct plug *plug_store_new(const struct plug_store *store, struct event_base *base,
    const char *node, const struct plug_owner *owner, void *owner_arg,
    struct base_buf *why) BASE_MUST_CHECK;

/* Whether all that is there and good, up to the plugin's init; true if none is used. */
bool plug_store_check(const struct conf *conf, struct base_buf *errors) BASE_MUST_CHECK;

/*
 * Makes the schema of the store or brings it up to date, and state_dir before it if
 * that is not there; with CHATD_MIGRATE_CHECK only looks.  Waits for the database.
 * Returns 0 or an enum chatd_err and adds lines to ERRORS: CHATD_VERSION when there is
 * work to do, CHATD_NOTSUP when the store has no schema.
 */
int plug_store_migrate(
    const struct conf *conf, unsigned flags, struct base_buf *errors) BASE_MUST_CHECK;

/*
 * Appends the sections of plugins in chat.conf's syntax: that of the store with all
 * its options, without secrets; of others only that they are there, because without
 * their plugins nobody knows what is secret.
 */
void plug_store_dump(
    const struct conf *conf, const struct plug_store *store, struct base_buf *out);

#endif
