/*
 * conf_set: a configuration, as the option table (conf_opts.h) lays it out.
 *
 * Made whole by conf_parse or conf_unpack, then read-only.
 */
#ifndef CONF_SET_H
#define CONF_SET_H

#include "base/base_defs.h"
#include "base/base_log.h"
#include "conf/conf_opts.h"

enum conf_who {
	CONF_WHO_NOBODY,
	CONF_WHO_SUBSCRIBER,
	CONF_WHO_AUTHENTICATED_SUBSCRIBER,
	CONF_WHO_AUTHENTICATED,
	CONF_WHO_ANYONE,
};

enum conf_mode {
	CONF_MODE_OFF,
	CONF_MODE_OPTIONAL,
	CONF_MODE_ON,
};

enum conf_ack {
	CONF_ACK_AUTO,
	CONF_ACK_MEMORY,
	CONF_ACK_SPOOL,
};

#define CONF_SERVE_CLIENT  1u
#define CONF_SERVE_METRICS 2u
#define CONF_SERVE_ADMIN   4u /* the control socket; no word in the file */

struct conf_file {
	char *path; /* never NULL; empty: not set */
	char *data; /* its content when the configuration was read; NULL: not set */
	size_t len;
};

struct conf_list {
	char **items;
	size_t n;
};

#define CONF_CTYPE_INT   int64_t
#define CONF_CTYPE_COUNT int64_t
#define CONF_CTYPE_SIZE  uint64_t
#define CONF_CTYPE_TIME  int64_t
#define CONF_CTYPE_BOOL  bool
#define CONF_CTYPE_STR   char *
#define CONF_CTYPE_SECRET char *
#define CONF_CTYPE_FILE  struct conf_file
#define CONF_CTYPE_LIST  struct conf_list
#define CONF_CTYPE_WHO   enum conf_who
#define CONF_CTYPE_MODE  enum conf_mode
#define CONF_CTYPE_ACK   enum conf_ack
#define CONF_CTYPE_LEVEL enum base_log_level
#define CONF_CTYPE_SERVE unsigned

#define CONF_FIELD(type, name, def, min, max, change, text) CONF_CTYPE_##type name;

struct conf_listen {
	char *title; /* listen "title" { } */
	char *file; /* where it stands, for messages */
	int line;
	CONF_OPTS_LISTEN(CONF_FIELD)
};

struct conf_namespace {
	char *title; /* "" for channels without a prefix */
	char *file;
	int line;
	CONF_OPTS_NAMESPACE(CONF_FIELD)
};

/* A section of a plugin's own options, which only the plugin can judge. */
struct conf_plugin {
	char *name; /* of the section: the plugin's without its kind */
	char *file;
	int line;
	char *text; /* what stands between the braces */
	int text_line; /* where that begins */
};

struct conf {
	CONF_OPTS_MAIN(CONF_FIELD)
	char *file; /* the first one, as it was given */
	char *store_file; /* where the option store stands; NULL: it is not given */
	int store_line;
	char *state_file; /* the same for state_dir */
	int state_line;
	struct conf_plugin *plugins;
	size_t n_plugins;
	struct conf_listen *listens;
	size_t n_listens;
	struct conf_namespace *namespaces;
	size_t n_namespaces;
};

#undef CONF_FIELD

void conf_free(struct conf *conf);

/* Channels of NS have an order: they go through the broker. */
static inline bool
conf_ordered(const struct conf_namespace *ns)
{
	return ns->history_size > 0 || ns->archive;
}

/* ack, with what auto stands for. */
static inline enum conf_ack
conf_ack(const struct conf_namespace *ns)
{
	if (ns->ack != CONF_ACK_AUTO)
		return ns->ack;
	return ns->archive ? CONF_ACK_SPOOL : CONF_ACK_MEMORY;
}

#endif
