/*
 * conf_plugin: sections of plugins in chat.conf.
 *
 *	sqlite { path = "chat.db" }
 *
 * Which options such a section has only its plugin knows, so its text is kept with
 * its place until whoever loads the plugin parses it (conf_parse_body).  One for a
 * plugin that is not chosen may stand there, so that choosing it is one line.
 */
#ifndef CONF_PLUGIN_H
#define CONF_PLUGIN_H

#include "base/base_buf.h"
#include "conf/conf_set.h"

/* Takes the strings of PLUGIN over. */
void conf_plugin_add(struct conf *conf, const struct conf_plugin *plugin);
void conf_plugin_free_all(struct conf *conf);

/* The section of that name, or NULL. */
const struct conf_plugin *conf_plugin_find(const struct conf *conf, const char *name);

/* Whether the section has the same text in both, or is in neither. */
bool conf_plugin_same(const struct conf *a, const struct conf *b, const char *name);

/* A line to ERRORS for each that belongs to no plugin that there is, or comes twice. */
void conf_plugin_check(const struct conf *conf, struct base_buf *errors);

#endif
