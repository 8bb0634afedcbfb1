/*
 * sess: a client's session: who it is, what it is subscribed to, what it may do.
 *
 * It knows nothing of sockets: a transport embeds it, hands it the client's
 * messages, and is called back to send and to close.
 */
#ifndef CORE_SESS_H
#define CORE_SESS_H

#include "core/chan.h"
#include "core/hub.h"
#include "proto/cmd.h"
#include "proto/token.h"
#include "ring/ring_lane.h"
#include "stat/stat_page.h"

enum sess_state {
	SESS_NEW, /* no connect command yet */
	SESS_CONNECTED,
	SESS_REFUSED, /* connect was answered with an error: nothing more is read */
	SESS_CLOSED,  /* out of the hub; nothing more is sent to it */
};

struct fan;
struct order;
struct present;
struct roster;
struct streams;
struct sess_op; /* a command whose answer is awaited (sess_op.h) */

struct sess {
	struct sess_env *env;
	uint8_t state;  /* enum sess_state */
	bool ping_open; /* a ping was sent and not answered yet */
	bool no_ping;   /* the transport has pings of its own */
	bool rated;     /* tokens and tokens_ms are set */
	uint8_t id[16];
	uint32_t n_ops;
	struct sess_op *ops;
	char *user; /* NULL: anonymous */
	char *info; /* raw JSON of the token's info, or NULL */
	uint32_t info_len;
	uint32_t n_subs, cap_subs;
	struct hub_link *subs;
	int64_t expire_at; /* seconds since 1970; 0: never */
	/* Publications it may send now, in thousandths, as of tokens_ms. */
	uint32_t tokens;
	uint32_t tokens_ms;
};

/* Where a message stands among what its client gets in this turn. */
enum sess_place {
	SESS_REPLY,  /* as it comes: behind the one before it */
	SESS_BEFORE, /* before the pushes of this turn */
	SESS_BEHIND, /* behind them, and so is what follows */
};

/* What the transport does for a session. */
struct sess_ops {
	/* Queues one message of protocol text; never fails, never calls back. */
	void (*send)(
	    struct sess *sess, enum sess_place place, const char *p, size_t len);
	/* Ends the connection with CODE.  The session is told by sess_close, at once
	 * or later in the turn. */
	void (*close)(struct sess *sess, enum proto_disconnect code);
	/* The connect command succeeded: pings begin, expiry is set. */
	void (*connected)(struct sess *sess);
	/* expire_at changed. */
	void (*expiry)(struct sess *sess);
	/* Delivers what is in our lane, so that REQUIRED more bytes cannot lap us. */
	void (*make_room)(struct sess *sess, size_t required);
};

/* What all sessions of a process share. */
struct sess_env {
	const struct sess_ops *ops;
	const struct conf *conf;
	const struct chan_table *channels;
	const struct token_keys *keys;
	struct hub *hub;
	struct fan *fan;
	struct order *order;
	struct streams *streams;
	struct present *present;
	struct roster *roster;
	struct ring_seg *seg;
	struct ring_lane *lane;
	uint64_t wake_mask; /* slots to wake at the end of the turn */
	struct stat_page *stat;
	unsigned worker;       /* its number, for the demo page */
	unsigned n_workers;    /* of this daemon */
	uint64_t generation;   /* starts of this worker so far */
	int64_t now_ms, now_s; /* monotonic; since 1970; of this turn */
	/* Scratch of the command at hand. */
	struct base_buf out, text, frame;
};

/*
 * Makes order, streams and present; seg, hub, stat, conf, worker and n_workers are
 * set.  GENERATION: of our slot.  0, or -1 with a text in ERR.
 */
int sess_env_open(struct sess_env *env, struct fan *fan, uint64_t generation, char *err,
    size_t errlen) BASE_MUST_CHECK;
/* With no session left. */
void sess_env_close(struct sess_env *env);
/* env->conf is another one. */
void sess_env_limits(struct sess_env *env);
/* At the start of a turn, with no batch open: takes what the broker says.  True: there
 * is more. */
bool sess_env_turn(struct sess_env *env);

void sess_env_free(struct sess_env *env); /* the scratch only */

void sess_init(struct sess *sess, struct sess_env *env);

/* One message of the client: one or more commands. */
void sess_message(struct sess *sess, struct base_slice msg);

/* Time for a ping. */
void sess_ping(struct sess *sess);

/* The connection is gone or going: unsubscribes, frees.  Idempotent. */
void sess_close(struct sess *sess);

#endif
