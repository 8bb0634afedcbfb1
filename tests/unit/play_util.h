/*
 * play_util: a worker's sessions without sockets, and a broker that the test plays.
 */
#ifndef UNIT_PLAY_UTIL_H
#define UNIT_PLAY_UTIL_H

#include "core/fan.h"
#include "core/order.h"
#include "core/sess.h"
#include "ring/ring_queue.h"

#define PLAY_LANE (1u << 16)

extern struct play {
	struct conf *conf;
	struct sess_env env;
	struct chan_table *channels;
	struct ring_reader *reader;
	struct ring_interest *interest;
	struct fan *fan;
	/* The broker's ends. */
	struct ring_lane *lane;
	struct ring_queue_in *asked;
	struct ring_queue_out *answers;
	uint64_t taken; /* end of the last question that play_next showed */
} play;

/* What a session is told, at the moment when it is: replies and whole pushes. */
extern void (*play_told)(struct sess *sess, const char *text, size_t len);
extern void (*play_closed)(struct sess *sess, enum proto_disconnect code);

/* OPTIONS: lines of chat.conf, with the namespaces. */
void play_start(const char *options);
/* With no session left. */
void play_stop(void);

/* A turn of the worker, which takes answers, then records.  True: there is more. */
bool play_turn(void);

/* A command of the client, as JSON. */
void play_command(struct sess *sess, const char *fmt, ...) BASE_PRINTF(2, 3);

/* ---- the broker ---- */

/* The next message; its slices hold until the next call.  HELLO is passed over. */
bool play_next(struct order_msg *msg_r);
void play_answer(const struct order_msg *msg);
/* A publication's push in the broker's lane. */
void play_record(const char *channel, uint64_t offset, const char *pub);
void play_frame(const char *channel, uint64_t offset, uint16_t flags, const char *text);
void play_epoch(const char *channel, const char *epoch);

struct base_slice play_slice(const char *s);

#endif
