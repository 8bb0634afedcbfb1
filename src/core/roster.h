/*
 * roster: tells the broker which channels have subscribers here, when it asks.
 *
 * There may be very many: they are told in parts, over as many turns as it takes.
 */
#ifndef CORE_ROSTER_H
#define CORE_ROSTER_H

#include "proto/order_msg.h"

struct roster; /* one a process */
struct sess_env;

/* env: hub and order are used. */
struct roster *roster_new(struct sess_env *env);
void roster_free(struct roster *roster);

/* MSG is the broker's ORDER_ASK_CHANNELS. */
void roster_ask(struct roster *roster, const struct order_msg *msg);

/* Once a turn.  True: there is more to do. */
bool roster_turn(struct roster *roster);

#endif
