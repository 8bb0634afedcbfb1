/*
 * pg_names: the option table as names in SQL.
 */
#include "pg_store.h"

#include <string.h>

/* Letters, digits, _ and $, not a digit first: what needs no quotes, in any case. */
static bool
is_name(const char *p, size_t len)
{
	size_t i;

	if (len == 0 || len > PG_NAME_MAX || (p[0] >= '0' && p[0] <= '9') ||
	    p[0] == '$')
		return false;
	for (i = 0; i < len; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
			(p[i] >= '0' && p[i] <= '9') || p[i] == '_' || p[i] == '$'))
			return false;
	return true;
}

bool
pg_names_parse(const char *option, struct pg_names *names_r)
{
	const char *dot = strchr(option, '.');
	const char *table = dot != NULL ? dot + 1 : option;
	int schema = dot != NULL ? (int)(dot - option) : 0;

	if ((dot != NULL && !is_name(option, (size_t)schema)) ||
	    !is_name(table, strlen(table)))
		return false;
	snprintf(names_r->plain, sizeof(names_r->plain), "%s", table);
	if (dot == NULL) {
		snprintf(names_r->table, sizeof(names_r->table), "\"%s\"", table);
		snprintf(names_r->versions, sizeof(names_r->versions), "chatd_schema");
		return true;
	}
	snprintf(names_r->table, sizeof(names_r->table), "\"%.*s\".\"%s\"", schema,
	    option, table);
	snprintf(names_r->versions, sizeof(names_r->versions), "\"%.*s\".chatd_schema",
	    schema, option);
	return true;
}
