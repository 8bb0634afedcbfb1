/*
 * conf_dump: a configuration as text; see the header.
 */
#include "config.h"

#include "conf/conf_dump.h"

#include "conf/conf_value.h"

void
conf_dump_options(
    const struct conf_table *tab, const void *instance, struct base_buf *out)
{
	const char *indent = tab->section != NULL ? "\t" : "";
	const struct conf_opt *opt;
	size_t i;

	for (i = 0; i < tab->n; i++) {
		opt = &tab->opts[i];
		/* A mask must not become a secret where somebody uses the text. */
		if (opt->type == CONF_SECRET &&
		    (*(char *const *)conf_opt_peek(opt, instance))[0] != 0)
			base_buf_printf(out, "%s# not shown: ", indent);
		else
			base_buf_str(out, indent);
		base_buf_printf(out, "%s = ", opt->name);
		conf_value_format(opt, conf_opt_peek(opt, instance), out);
		base_buf_byte(out, '\n');
	}
}

void
conf_dump(const struct conf *conf, struct base_buf *out)
{
	const struct conf_table *tab;
	const struct conf_section *section;
	size_t i;

	conf_dump_options(&conf_tables[CONF_TABLE_MAIN], conf, out);
	for (tab = conf_tables; tab < conf_tables + CONF_TABLES; tab++) {
		if (tab->section == NULL)
			continue;
		for (i = 0; i < conf_table_count(conf, tab); i++) {
			section = conf_table_peek(conf, tab, i);
			base_buf_printf(out, "%s ", tab->section);
			conf_value_quote(out, section->title);
			base_buf_str(out, " {\n");
			conf_dump_options(tab, section, out);
			base_buf_str(out, "}\n");
		}
	}
}
