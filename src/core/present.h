/*
 * present: tells the broker who is present in which channel.
 *
 * The broker keeps the account.  What a full queue did not take, and what a broker
 * took to its grave, is made good by telling all of it again, some in each turn.
 */
#ifndef CORE_PRESENT_H
#define CORE_PRESENT_H

#include "core/hub.h"

struct order;
struct present; /* one a process */
struct sess_env;

/* env: hub and order are used. */
struct present *present_new(struct sess_env *env);
void present_free(struct present *present);

/* SESS's subscription at SLOT is there from now on. */
void present_join(struct present *present, const struct sess *sess, uint32_t slot);
/* It is not any more; before it is taken out of the hub. */
void present_leave(
    struct present *present, const struct sess *sess, const struct hub_chan *chan);

/* The broker knows nothing of what it was told. */
void present_again(struct present *present);

/* Once a turn.  True: there is more to do. */
bool present_turn(struct present *present);

#endif
