/*
 * broker: the one owner of order: of history and places, of who is present, and of
 * what waits for the database.
 *
 * Requests come over queues (order_msg.h).  All that wait are one batch:
 *
 *   1  the records are looked at where they lie
 *   2  each publication gets its place; one transaction in each journal keeps all
 *      that the batch changes there, and what became of its publications
 *   3  pushes go to the broker's lane, and each request is answered
 *   4  the records are given back
 *
 * Nobody is told of a publication before the transaction that has it is committed.
 * The broker may be killed between any two instructions: the records that were not
 * given back come again, and the journal says what became of them (broker_replay.c).
 *
 * There is no process and no loop in here; nothing blocks but a commit, and reading
 * what the machine has not in memory.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "conf/conf_set.h"
#include "ring/ring_seg.h"

struct broker;

struct broker_env {
	struct ring_seg *seg; /* the broker's slot in it is ours */
	uint64_t generation; /* of that slot */
	const struct conf *conf; /* until broker_conf brings another */
};

/*
 * Takes the queues and the lane over, and opens the journals in conf->state_dir.  One
 * that cannot be opened is tried again once a second, and until then its publications
 * get a temporary error.
 */
struct broker *broker_new(const struct broker_env *env);
/* Closes the journals in good order.  What was not given back comes again to the next
 * broker. */
void broker_free(struct broker *b);

/*
 * One round: a batch, what waited for room, and once a second the upkeep.  Wakes those
 * who got something.  True: there is more to do at once.
 */
bool broker_turn(struct broker *b);
/* Something is there that can be taken: do not sleep (ring_queue.h). */
bool broker_pending(const struct broker *b);
/* All that came was answered, and no answer waits for room. */
bool broker_idle(const struct broker *b);

/* From now on CONF holds; nothing points to the old one. */
void broker_conf(struct broker *b, const struct conf *conf);
/* The process with that slot and generation is dead. */
void broker_gone(struct broker *b, unsigned slot, uint64_t generation);

#endif
