/*
 * plug_load: from a name in chat.conf to a plugin's table that can be trusted.
 *
 * Loading runs nothing of the plugin but what its constructors do.  What the table
 * says is copied and completed with zeros here, so that the rest of the daemon reads
 * whole structures of its own version, whatever version the plugin was built for.
 */
#ifndef PLUG_LOAD_H
#define PLUG_LOAD_H

#include <chatd/plugin.h>

#include "base/base_buf.h"
#include "conf/conf_table.h"

/* Options that one plugin may have. */
#define PLUG_OPTS_MAX 64

struct plug_module {
	void *handle;
	char *path;
	struct chatd_plugin table; /* life and ops of it: below */
	struct chatd_life life;
	struct chatd_store_ops store;
	struct conf_opt *opts; /* the plugin's, in the form of conf/ */
	struct conf_table conf;
};

/*
 * The directory of plugins: where they are installed, or another one, absolute, that
 * the command line names.  False: not in a program that runs with more rights than
 * whoever has started it.
 */
const char *plug_load_dir(void);
bool plug_load_set_dir(const char *dir) BASE_MUST_CHECK;

/*
 * Loads DIR/NAME.so, which has to be of KIND.  Returns NULL and appends the reason to
 * WHY, with the file's path and without a newline, when there is no such plugin or
 * the daemon cannot use it.  The caller unloads it when nothing of it is in use.
 */
struct plug_module *plug_load(const char *dir, const char *name, enum chatd_kind kind,
    struct base_buf *why) BASE_MUST_CHECK;
void plug_unload(struct plug_module *mod);

#endif
