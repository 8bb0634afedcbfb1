/*
 * stream: what this process knows of the order of a channel.
 *
 * A channel has a stream here while somebody is subscribed who was told a position,
 * and for tail_linger after.  It knows the epoch, the offset of the last publication
 * that was delivered, and the newest publications (tail.h), so that most clients that
 * come back are told what they missed without a question to the broker.
 *
 * States:
 *
 *   NEW      position and epoch are not known: the broker was asked
 *   LIVE     all up to tail.last was delivered; the next one is tail.last + 1
 *   HEALING  there is a gap: what comes is held back until the broker's history has
 *            filled it
 *   BROKEN   the channel has another epoch: who was told a position is unsubscribed
 *            (and comes back by itself), the others get what was held back
 *
 * Records of the broker's lane come in the lane's order, answers over the queue, and
 * neither waits for the other.  So an answer may be older or newer than the records
 * that were read: whatever came to be known twice is dropped, and whatever an answer
 * does not reach up to is asked for again.  A record does not say of which epoch it
 * is: the lane says where another one begins.  That is far behind the last record of
 * the one before, for a broker has to start, or history_meta_ttl to pass, in between.
 *
 * When a subscriber is answered, all that it was told lies at or below tail.last, and
 * the next batch of the channel has what lies above: so an answer is given only while
 * no batch of the channel is open.
 */
#ifndef CORE_STREAM_H
#define CORE_STREAM_H

#include "base/base_list.h"
#include "conf/conf_set.h"
#include "core/tail.h"
#include "proto/codes.h"
#include "proto/order_msg.h"

struct hub_chan;
struct sess_env;
struct stream;
struct streams; /* all of a process */
struct stream_wait;

struct stream_answer {
	enum proto_error code; /* 0, or an error, and then only text counts */
	struct base_slice text; /* of the error, if it is not the usual one */
	struct base_slice epoch;
	uint64_t top;
	bool recovered; /* if it wanted that */
	bool asked; /* the broker was asked for it */
	/* Publications first to last of tail are to be told; none: first > last. */
	const struct tail *tail;
	uint64_t first, last;
};

/* W waits no longer, and may be freed. */
typedef void (*stream_answer_fn)(
    struct stream_wait *w, const struct stream_answer *answer);

/* A subscribe command that wants to know its position. */
struct stream_wait {
	struct base_list link; /* of the stream; unlinked: it does not wait */
	struct stream *stream;
	stream_answer_fn fn;
	bool recover; /* from offset and epoch */
	bool cache; /* ... which means the newest publication, wherever it was */
	bool any_epoch;
	char epoch[ORDER_EPOCH_LEN];
	uint64_t offset;
	/* For stream.c alone. */
	bool caused; /* the broker was asked because of it */
	bool asked; /* it was there when the question that is out was asked */
	bool settled; /* what the tail lacks now cannot be had */
};

/* env: hub, fan, order, conf and stat are used. */
struct streams *streams_new(struct sess_env *env);
void streams_free(struct streams *streams);

/* One more subscription of CHAN, whose namespace is NS, that is told its position. */
struct stream *stream_join(struct streams *streams, struct hub_chan *chan,
    const struct conf_namespace *ns);
/* One fewer. */
void stream_leave(struct stream *stream);

/* Calls W's fn now or later; W is linked if later. */
void stream_ask(struct stream *stream, struct stream_wait *w);
/* FN will not be called. */
void stream_quit(struct stream_wait *w);

/* Who is to get a publication of the lane; never those who wait. */
enum stream_verdict {
	STREAM_DROP,     /* nobody, or not yet */
	STREAM_UNPLACED, /* those who were not told a position: the others know it */
	STREAM_ALL,
};

/*
 * A publication of the broker's lane.  FRAME: the push.  May be called while batches
 * are open.
 */
enum stream_verdict stream_record(
    struct stream *stream, uint64_t offset, struct base_slice frame);
/* The broker's lane says that what follows is of EPOCH; likewise. */
void stream_begins(struct stream *stream, struct base_slice epoch);
/* Records of the broker's lane are lost; likewise. */
void streams_lapped(struct streams *streams);
/* The broker is a new one. */
void streams_broker_new(struct streams *streams);

/* Once a turn, before order_turn, with no batch open. */
void streams_turn(struct streams *streams);
/* There is more to do: call it again before sleeping. */
bool streams_pending(const struct streams *streams);

#endif
