/*
 * conf_table: the option table (conf_opts.h) as data, and access to a
 * configuration's fields by it.
 *
 * Three tables: the options of the file itself, of listen sections and of
 * namespace sections.  A table has instances: one for the file, one a section.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "conf/conf_set.h"

enum conf_type {
	CONF_INT,
	CONF_COUNT,
	CONF_SIZE,
	CONF_TIME,
	CONF_BOOL,
	CONF_STR,
	CONF_SECRET,
	CONF_FILE,
	CONF_LIST,
	CONF_WHO,
	CONF_MODE,
	CONF_ACK,
	CONF_LEVEL,
	CONF_SERVE,
};

enum conf_change {
	CONF_LIVE,
	CONF_NEWCONN,
	CONF_STORE,
	CONF_DAEMON,
};

struct conf_opt {
	enum conf_type type;
	enum conf_change change;
	const char *name;
	size_t at; /* of the field, in the instance */
	const char *def;
	int64_t min, max; /* max 0: no upper bound */
	const char *text;
};

enum conf_table_id {
	CONF_TABLE_MAIN,
	CONF_TABLE_LISTEN,
	CONF_TABLE_NAMESPACE,
	CONF_TABLES,
};

struct conf_table {
	const char *section; /* its name in the file; NULL: the file itself */
	const struct conf_opt *opts;
	size_t n;
	size_t size; /* of an instance */
	size_t list_at, n_at; /* where struct conf has the instances and their number */
};

extern const struct conf_table conf_tables[CONF_TABLES];

/* How an instance of a section begins. */
struct conf_section {
	char *title;
	char *file;
	int line;
};

/* NULL when there is none of that name. */
const struct conf_opt *conf_table_find(const struct conf_table *tab, const char *name,
    size_t len);

size_t conf_table_count(const struct conf *conf, const struct conf_table *tab);
void *conf_table_get(struct conf *conf, const struct conf_table *tab, size_t i);
const void *conf_table_peek(const struct conf *conf, const struct conf_table *tab,
    size_t i);

/* Appends a section with the defaults; valid until the next one is added. */
void *conf_table_add(struct conf *conf, const struct conf_table *tab,
    const char *title, const char *file, int line);

/* A configuration with the defaults and no sections. */
struct conf *conf_table_new(void);

/* Which section has that title; their number when none has. */
size_t conf_table_index(const struct conf *conf, const struct conf_table *tab,
    const char *title);

/* Makes TO's sections of that table copies of FROM's. */
void conf_table_copy(struct conf *to, const struct conf *from,
    const struct conf_table *tab);

/* The field of OPT in an instance. */
static inline void *
conf_opt_field(const struct conf_opt *opt, void *instance)
{
	return (char *)instance + opt->at;
}

static inline const void *
conf_opt_peek(const struct conf_opt *opt, const void *instance)
{
	return (const char *)instance + opt->at;
}

#endif
