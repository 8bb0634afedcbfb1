/*
 * conf_diff: see the header.
 */
#include "config.h"

#include "conf/conf_diff.h"

#include "conf/conf_plugin.h"
#include "conf/conf_value.h"

/* "workers needs a restart of chatd: still 2, not 4" */
static void
note_option(const struct conf_opt *opt, const struct conf_section *section,
    const void *old, const void *fresh, struct base_buf *notes)
{
	if (section != NULL)
		base_buf_printf(notes, "listen \"%s\": ", section->title);
	base_buf_printf(notes, "%s needs a restart of chatd: still ", opt->name);
	conf_value_format(opt, conf_opt_peek(opt, old), notes);
	base_buf_str(notes, ", not ");
	conf_value_format(opt, conf_opt_peek(opt, fresh), notes);
	base_buf_byte(notes, '\n');
}

/* One instance of both; returns how many options that may change do. */
static size_t
settle_options(
    const struct conf_table *tab, const void *old, void *fresh, struct base_buf *notes)
{
	const struct conf_opt *opt;
	size_t i, changed = 0;

	for (i = 0; i < tab->n; i++) {
		opt = &tab->opts[i];
		if (conf_value_equal(
			opt, conf_opt_peek(opt, old), conf_opt_peek(opt, fresh)))
			continue;
		if (opt->change != CONF_DAEMON) {
			changed++;
			continue;
		}
		note_option(opt, tab->section != NULL ? old : NULL, old, fresh, notes);
		conf_value_copy(
		    opt, conf_opt_field(opt, fresh), conf_opt_peek(opt, old));
	}
	return changed;
}

/* What a reload brings that only a restart can: listeners that come. */
static void
note_added(const struct conf *old, const struct conf *fresh, struct base_buf *notes)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_LISTEN];
	size_t i;

	for (i = 0; i < fresh->n_listens; i++)
		if (conf_table_index(old, tab, fresh->listens[i].title) ==
		    old->n_listens)
			base_buf_printf(notes,
			    "listen \"%s\" was added: needs a restart of chatd\n",
			    fresh->listens[i].title);
}

/* Gives FRESH the listeners of OLD, in OLD's order, with what may change in them. */
static size_t
settle_listens(const struct conf *old, struct conf *fresh, struct base_buf *notes)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_LISTEN];
	struct conf *kept = conf_table_new();
	size_t i, j, o, changed = 0;
	struct conf_listen *to;

	conf_table_copy(kept, old, tab);
	for (i = 0; i < old->n_listens; i++) {
		j = conf_table_index(fresh, tab, old->listens[i].title);
		if (j == fresh->n_listens) {
			base_buf_printf(notes,
			    "listen \"%s\" was removed: needs a restart of chatd\n",
			    old->listens[i].title);
			continue;
		}
		changed += settle_options(
		    tab, &old->listens[i], &fresh->listens[j], notes);
		to = &kept->listens[i];
		for (o = 0; o < tab->n; o++)
			conf_value_copy(&tab->opts[o],
			    conf_opt_field(&tab->opts[o], to),
			    conf_opt_peek(&tab->opts[o], &fresh->listens[j]));
	}
	note_added(old, fresh, notes);
	conf_table_copy(fresh, kept, tab);
	conf_free(kept);
	return changed;
}

static size_t
count_namespaces(const struct conf *old, struct conf *fresh, struct base_buf *notes)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_NAMESPACE];
	size_t i, j, both = 0, changed = 0;

	for (i = 0; i < fresh->n_namespaces; i++) {
		j = conf_table_index(old, tab, fresh->namespaces[i].title);
		if (j == old->n_namespaces)
			continue;
		both++;
		changed += settle_options(
		    tab, &old->namespaces[j], &fresh->namespaces[i], notes);
	}
	return changed + (fresh->n_namespaces - both) + (old->n_namespaces - both);
}

/*
 * The ring keeps its size, so messages may not outgrow it: conf_check's rule has to
 * hold for what is left.  Returns how many changes that takes back.
 */
static size_t
fit_messages(const struct conf *old, struct conf *fresh, struct base_buf *notes)
{
	uint64_t smaller = BASE_MIN(fresh->ring_size, fresh->queue_size);

	if (fresh->max_message_size <= smaller / 16)
		return 0;
	base_buf_printf(notes,
	    "max_message_size needs a larger %s, so a restart of chatd: "
	    "still %llu, not %llu\n",
	    smaller == fresh->ring_size ? "ring_size" : "queue_size",
	    (unsigned long long)old->max_message_size,
	    (unsigned long long)fresh->max_message_size);
	fresh->max_message_size = old->max_message_size;
	return 1;
}

size_t
conf_diff_settle(const struct conf *old, struct conf *fresh, struct base_buf *notes)
{
	size_t changed;

	changed = settle_options(&conf_tables[CONF_TABLE_MAIN], old, fresh, notes);
	changed -= fit_messages(old, fresh, notes);
	changed += settle_listens(old, fresh, notes);
	changed += count_namespaces(old, fresh, notes);
	changed += !conf_plugin_same(old, fresh, fresh->store);
	return changed;
}

bool
conf_diff_store(const struct conf *old, const struct conf *fresh)
{
	const struct conf_table *tab = &conf_tables[CONF_TABLE_MAIN];
	const struct conf_opt *opt;

	for (opt = tab->opts; opt < tab->opts + tab->n; opt++)
		if (opt->change == CONF_STORE &&
		    !conf_value_equal(
			opt, conf_opt_peek(opt, old), conf_opt_peek(opt, fresh)))
			return true;
	return !conf_plugin_same(old, fresh, fresh->store);
}
