/*
 * sess_sub: subscriptions of a session.
 */
#ifndef CORE_SESS_SUB_H
#define CORE_SESS_SUB_H

#include "core/sess.h"

/* Takes away the subscription that stands at SLOT of SESS's array; nobody waits for an
 * answer there. */
void sess_sub_remove(struct sess *sess, uint32_t slot);

/* The same, and tells the client that it has missed something and is to come again. */
void sess_sub_lost(struct sess *sess, uint32_t slot);

#endif
