/*
 * plug_call: the functions of a plugin, as its owner calls them.
 *
 * On the loop's thread, and never from inside one of the owner's functions
 * (plug_host.h).  Each returns what the plugin does, with a text in ERR whenever it is
 * not 0; what the plugin does not have gives CHATD_NOTSUP.
 */
#ifndef PLUG_CALL_H
#define PLUG_CALL_H

#include "plug/plug_host.h"

int plug_start(struct plug *p, struct chatd_error *err) BASE_MUST_CHECK;
void plug_stop(struct plug *p, int64_t deadline);
/* On success CONF is the plugin's, as the first was: until the next, or its end. */
int plug_reconf(
    struct plug *p, const void *conf, struct chatd_error *err) BASE_MUST_CHECK;
void plug_tick(struct plug *p, int64_t now);
void plug_stats(struct plug *p, struct chatd_sink *sink);

/* Of a store: */
int plug_write(struct plug *p, const struct chatd_batch *batch, struct chatd_error *err)
    BASE_MUST_CHECK;
int plug_history(struct plug *p, const struct chatd_history *ask,
    struct chatd_error *err) BASE_MUST_CHECK;
int plug_migrate(
    struct plug *p, unsigned flags, struct chatd_error *err) BASE_MUST_CHECK;
int plug_ping(
    struct plug *p, uint64_t token, struct chatd_error *err) BASE_MUST_CHECK;

#endif
