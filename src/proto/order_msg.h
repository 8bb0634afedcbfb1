/*
 * order_msg: what workers, broker and archiver tell each other over queue lanes.
 *
 * A message is one record of a queue (ring_queue.h): the channel is the record's
 * name, all else its body, which is the fixed part and then the texts that the
 * message has, back to back.  Both ends are of one program and one start, so the
 * bytes are in the machine's own order.
 *
 * An answer may come in parts, all but the last with ORDER_F_MORE: their data, joined,
 * is the data.  Any answer with a code may have a text of its own for it as data.  A
 * requester may be answered twice after a crash of the broker, so it passes over
 * numbers that it does not wait for.
 */
#ifndef PROTO_ORDER_MSG_H
#define PROTO_ORDER_MSG_H

#include <sys/uio.h>

#include "base/base_buf.h"
#include "base/base_defs.h"

#define ORDER_EPOCH_LEN 8 /* letters of a stream's epoch */

/*
 * X(NAME, "what it says")
 *
 * Members that each one uses stand in its text; all others are 0 or empty.
 */
#define ORDER_KINDS(X)                                                                \
	/* from a worker or the archiver */                                           \
	X(HELLO, "first of a new owner of the slot: number = its generation")         \
	X(PUBLISH,                                                                    \
	    "req channel key user client conn_info chan_info data: data is JSON, "    \
	    "the others may be empty")                                                \
	X(FOLLOW,                                                                     \
	    "req channel epoch offset limit: the newest publications after "          \
	    "offset, at most limit; epoch may be empty")                              \
	X(HISTORY,                                                                    \
	    "req channel epoch offset limit, F_REVERSE, F_SINCE: as the "             \
	    "protocol's history; limit < 0: as many as are allowed")                  \
	X(JOIN,                                                                       \
	    "channel user client conn_info chan_info, F_AGAIN: is present from now "  \
	    "on")                                                                     \
	X(LEAVE,                                                                      \
	    "channel user client conn_info chan_info: is not any more; of a client "  \
	    "that the broker does not know all but client is needed too")             \
	X(PRESENCE_RESET,                                                             \
	    "number = generation: forget all joins of this slot: they come anew")     \
	X(PRESENCE, "req channel")                                                    \
	X(PRESENCE_STATS, "req channel")                                              \
	X(CHANNELS,                                                                   \
	    "req data: names of channels with subscribers that match the "            \
	    "glob data (empty: all)")                                                 \
	X(CHANNELS_PART, "req data, F_MORE: a worker's answer to ASK_CHANNELS")       \
	/* F_MEMORY: of the journal that is not synced, which has its own numbers */  \
	X(DEAD_LIST, "req number limit: dead letters after number")                   \
	X(DEAD_RETRY, "req number: puts the dead letter back into the spool; 0: all") \
	X(DEAD_DROP, "req number: forgets the dead letter; 0: all")                   \
	/* from the archiver alone; F_MEMORY: of the journal that is not synced */    \
	X(ARCHIVED, "number: all up to this one of the spool are in the database")    \
	X(DEAD, "number code data: the database refuses it, for the reason data")     \
	X(ROWS,                                                                       \
	    "req code data, F_MORE: answer to READ; data is a list of publications")  \
	/* from the broker */                                                         \
	X(BROKER_HELLO,                                                               \
	    "a new broker, or one whose channels have moved to other journals: "      \
	    "number = its generation")                                                \
	X(PUBLISHED, "req code epoch offset; data: a text of its own for the error")  \
	X(FOLLOWED, "req code epoch number = top, offset = as asked, data, F_MORE")   \
	X(HISTORY_IS, "req code epoch number = top, data, F_MORE")                    \
	X(PRESENCE_IS, "req code data, F_MORE: list of client and info")              \
	X(PRESENCE_STATS_IS, "req code number = clients, offset = users")             \
	X(CHANNELS_ARE, "req code data, F_MORE: list of name and subscribers")        \
	X(ASK_CHANNELS, "req data: CHANNELS, passed on to every worker")              \
	X(DEAD_ARE,                                                                   \
	    "req code data, F_MORE: list of dead letters, as of publications: their " \
	    "numbers, and objects that describe them")                                \
	X(DEAD_DONE, "req code number = how many")                                    \
	X(READ,                                                                       \
	    "req channel epoch offset limit number = most bytes, F_REVERSE; to the "  \
	    "archiver: publications before or after offset from the database")        \
	X(SPOOLED, "to the archiver: there is something new in a spool")

enum order_kind {
	ORDER_NONE,
#define X(name, text) ORDER_##name,
	ORDER_KINDS(X)
#undef X
	    ORDER_KINDS_N,
};

#define ORDER_F_MORE 1u /* another part follows */
#define ORDER_F_REVERSE 2u /* newest first */
#define ORDER_F_SINCE 4u /* offset and epoch were given */
#define ORDER_F_MEMORY 8u /* of the journal that is not synced */
#define ORDER_F_AGAIN 16u /* was told to a broker that is dead: nobody else is told */

/* The texts, in the order in which they follow the fixed part.  X(name) */
#define ORDER_TEXTS(X) \
	X(epoch) X(key) X(user) X(client) X(conn_info) X(chan_info) X(data)

struct order_msg {
	enum order_kind kind;
	uint32_t flags;
	int32_t code; /* 0, or enum proto_error */
	int32_t limit;
	uint64_t req; /* the requester's number; 0: it wants no answer */
	uint64_t offset, number;
	struct base_slice channel; /* the record's name */
#define X(name) struct base_slice name;
	ORDER_TEXTS(X)
#undef X
};

#define ORDER_IOV 8 /* pieces of an encoded body */
#define ORDER_FIXED_MAX 96

/*
 * The body of MSG as pieces: FIXED is filled, the texts are pointed to.  Returns the
 * number of pieces; *LEN_R is their length.
 */
int order_msg_pieces(const struct order_msg *msg, char fixed[ORDER_FIXED_MAX],
    struct iovec iov[ORDER_IOV], size_t *len_r);

/* The same as one text: for a message that waits for room. */
void order_msg_encode(const struct order_msg *msg, struct base_buf *out);

/* Texts point into BODY.  False: it is damaged. */
bool order_msg_decode(struct base_slice channel, struct base_slice body,
    struct order_msg *msg_r) BASE_MUST_CHECK;

const char *order_kind_name(enum order_kind kind);

/*
 * Lists in data.  A publication is the JSON object that stands in replies and
 * pushes, {"data":..,"info":..,"offset":..}; its offset beside it.
 */
struct order_pub {
	uint64_t offset;
	struct base_slice json;
};

void order_pub_add(struct base_buf *list, const struct order_pub *pub);
/* Cuts the next one off LIST: 1, 0 at its end, -1 damaged. */
int order_pub_next(struct base_slice *list, struct order_pub *pub_r);

/* Pairs: client id and info (a JSON object), or channel name and a count. */
struct order_pair {
	struct base_slice name, value;
	uint64_t number;
};

void order_pair_add(struct base_buf *list, const struct order_pair *pair);
int order_pair_next(struct base_slice *list, struct order_pair *pair_r);

#endif
