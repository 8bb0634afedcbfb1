/*
 * broker_book: what publishers sent and what they and the subscribers were told, and
 * whether both can be true.
 */
#ifndef UNIT_BROKER_BOOK_H
#define UNIT_BROKER_BOOK_H

#include "broker_util.h"

/* Nothing was sent. */
void book_begin(void);
/* Puts N publications into the queues of both workers: in all kinds of channels, some
 * with a key that was used before.  Those that find no room are not sent: how many
 * were. */
unsigned book_send(unsigned n);
/* Takes what was answered and pushed so far. */
void book_read(void);

struct book_rules {
	bool crashed; /* answers may come twice */
	bool refused; /* temporary errors may have come */
};

/* Reads the rest, with a broker that goes on; all was answered, once was done what was
 * acknowledged, and nothing else. */
void book_check(struct book_rules rules);
/* Of those, how many were acknowledged. */
unsigned book_done(void);

#endif
