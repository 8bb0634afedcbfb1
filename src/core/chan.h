/*
 * chan: channel names, and what their namespace allows.
 *
 * A name is up to max_channel_length bytes of ASCII.  What stands before its
 * first ':' (after one leading '$') names the namespace; a name without ':', or
 * with nothing before it, belongs to the namespace "".  The name itself is never
 * rewritten.
 */
#ifndef CORE_CHAN_H
#define CORE_CHAN_H

#include "conf/conf_set.h"

struct chan_table; /* the namespaces of one configuration */

/* CONF must outlive it. */
struct chan_table *chan_table_new(const struct conf *conf);
void chan_table_free(struct chan_table *table);

/* The namespace of NAME, or NULL: error 102, unknown channel. */
const struct conf_namespace *chan_namespace(
    const struct chan_table *table, struct base_slice name);

/* False: error 107, bad request.  (Its length is checked apart, and earlier.) */
bool chan_name_valid(struct base_slice name);

/* "$..." wants a subscription token. */
bool chan_private(struct base_slice name);

/*
 * Whether USER ("": anonymous) may subscribe by the rules of the namespace alone,
 * without a token.
 */
bool chan_may_subscribe(
    const struct conf_namespace *ns, struct base_slice name, const char *user);

/* Whether USER may publish; SUBSCRIBED: to that channel. */
bool chan_may_publish(
    const struct conf_namespace *ns, const char *user, bool subscribed);

/* Likewise, who may read history, and presence. */
bool chan_may_read(const struct conf_namespace *ns, const char *user, bool subscribed);
bool chan_may_see(const struct conf_namespace *ns, const char *user, bool subscribed);

#endif
