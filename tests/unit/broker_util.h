/*
 * broker_util: a broker in this process, with two workers and an archiver that the
 * test plays.
 */
#ifndef UNIT_BROKER_UTIL_H
#define UNIT_BROKER_UTIL_H

#include "base/base_buf.h"
#include "broker/broker_priv.h"
#include "conf/conf_set.h"
#include "ring/ring_interest.h"
#include "ring/ring_read.h"

#define UTIL_WORKERS 2
#define UTIL_BROKER UTIL_WORKERS
#define UTIL_ARCHIVER (UTIL_WORKERS + 1)
#define UTIL_SLOTS (UTIL_WORKERS + 2)

#define UTIL_S(text) ((struct base_slice){(text), sizeof(text) - 1})

struct util_client {
	struct ring_queue_out *out;
	struct ring_queue_in *in;
	char *name, *body; /* of the reply that was taken last */
};

struct util_sizes {
	uint64_t lane, queue;
};

/* One at a time. */
extern struct util_world {
	struct ring_seg *seg;
	struct conf *conf;
	struct broker *b;
	struct stat_broker *stat;
	struct util_client clients[UTIL_SLOTS];
	struct ring_interest *interest; /* worker 0's */
	struct ring_reader *reader; /* of worker 0 */
	char dir[64]; /* for the journals */
	uint64_t generation;
	char *name, *body; /* of the push that was taken last */
} util;

/* For cmocka: a world with usual sizes and no broker in it yet. */
int util_setup(void **state);
int util_teardown(void **state);
/* Another segment with the same journals; or without. */
void util_world(struct util_sizes sizes);
void util_fresh(struct util_sizes sizes);

/* Options beside the usual namespaces: see broker_util.c. */
void util_conf(const char *text);
/* A broker; the one before it, if any, dies without having been told to. */
void util_broker(void);
void util_kill(void);

/* Sends MSG; util_try: false if there is no room. */
bool util_try(unsigned slot, const struct order_msg *msg);
void util_send(unsigned slot, const struct order_msg *msg);
/* Turns until there is no more to do. */
void util_turns(void);
/* Takes the next reply, which must be of KIND; it holds until the next one.  What
 * comes unasked is passed over, here and below. */
struct order_msg util_reply(unsigned slot, enum order_kind kind);
/* False: there is none. */
bool util_next(unsigned slot, struct order_msg *msg_r);
void util_no_reply(unsigned slot);

/* Sends, turns, takes the answer. */
struct order_msg util_ask(const struct order_msg *msg, enum order_kind kind);
/* Publishes from worker 0; the answer. */
struct order_msg util_publish(const char *channel, const char *key, const char *data);

/* The next record of the broker's lane; false: there is none. */
bool util_pushed(
    struct ring_head *head_r, struct base_slice *name_r, struct base_slice *text_r);
/* It must be of CHANNEL with this text. */
void util_push_is(const char *channel, uint64_t offset, const char *text);
void util_no_push(void);
/* CTRL of CHANNEL; EPOCH_R gets it. */
void util_epoch_is(const char *channel, char epoch_r[ORDER_EPOCH_LEN]);

/* Worker 0 has subscribers in CHANNEL. */
void util_interest(const char *channel);

void util_text_is(struct base_slice got, const char *want);
/* The offsets of a list of publications, as in "1 2 3". */
void util_offsets_are(struct base_slice list, const char *want);

#endif
