/*
 * net: all connections of one process, and what they share.
 *
 * A turn of the loop: libevent calls back for sockets, whose commands queue
 * replies and write to the ring; then net_turn copies from the ring what is for
 * our clients, and writes to each client once, replies and pushes together.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/base_list.h"
#include "core/fan.h"
#include "core/sess.h"
#include "ev/ev_wheel.h"
#include "proto/ws_deflate.h"

struct conn;
struct listener;
struct out;

/* What is behind the WebSocket: sessions, or an echo in a test. */
struct net_app {
	/* The handshake is done. */
	void (*open)(struct conn *c);
	/* A whole message; text is valid UTF-8. */
	void (*message)(struct conn *c, uint8_t opcode, struct base_slice msg);
	/* The connection is going; at most once, and only after open. */
	void (*closed)(struct conn *c);
};

struct net {
	struct event_base *base;
	const struct net_app *app;
	const struct conf *conf;
	struct sess_env *env;
	struct stat_page *stat;
	struct stat_all stats; /* of all processes */
	unsigned n_workers, worker;
	struct fan *fan;
	struct ws_deflate *deflate; /* NULL until it is needed */
	struct base_buf inflated;
	struct ev_wheel wheel;
	struct out *out;
	struct listener **listeners;
	size_t n_listeners;
	struct event *resume; /* listeners that paused listen again */
	struct base_list conns, dead;
	uint64_t n_conns, n_over;
	uint64_t in_bytes;
	uint8_t *rbuf; /* one read goes here; shared by all connections */
	size_t rbuf_size;
	bool draining;
	bool flushing;
	int64_t drain_end; /* base_time_ms at which the last client is told */
	int64_t started_s; /* of the daemon, since 1970 */
	gid_t control_gid; /* whose members may use the control socket; -1: nobody */
	/* When each kind of trouble was last logged; see net_log_due. */
	int64_t origin_logged_ms, accept_logged_ms, input_logged_ms, control_logged_ms;
};

/* ENV (with its conf) and FAN stay the caller's. */
void net_init(struct net *net, struct event_base *base, const struct net_app *app,
    struct sess_env *env, struct fan *fan);
void net_fini(struct net *net);

/*
 * Begins to accept on FD, a listening socket that is the net's from now on; CONF is
 * its section in env->conf.  Before any connection.  Returns 0, or -1 with a text
 * in ERR.
 */
int net_listen(struct net *net, int fd, const struct conf_listen *conf, char *err,
    size_t errlen) BASE_MUST_CHECK;

/*
 * The same for the control socket, which speaks to root, to the user that we run as,
 * and to members of the group GID.
 */
void net_listen_control(struct net *net, int fd, gid_t gid);

/* A new configuration is in env->conf; TLS contexts and limits follow it.  On an
 * error all stays as it was. */
int net_reload(struct net *net, const struct conf *fresh, char *err,
    size_t errlen) BASE_MUST_CHECK;

/* The compression streams; made when they are first needed. */
struct ws_deflate *net_deflate(struct net *net);

/* Delivers what the ring has (up to a budget) and writes what is queued.  True:
 * there may be more. */
bool net_flush(struct net *net);
/* Flushes until REQUIRED bytes more in our lane cannot overtake our own cursor. */
void net_make_room(struct net *net, size_t required);

/* At the end of a turn: timers, ring, writes.  True: call again before sleeping. */
bool net_turn(struct net *net);

/* Stops accepting; tells the clients to go, spread over drain_time. */
void net_drain(struct net *net);
/* The same at once; what sockets take now is all that they get. */
void net_stop(struct net *net);
/* Connections that are left. */
uint64_t net_left(const struct net *net);

/* The tick of the wheel that is DELAY_MS from now. */
uint32_t net_deadline(const struct net *net, int64_t delay_ms);

/*
 * For trouble that strangers or a full machine can cause without end: true, and
 * *LAST_MS set, if it was not logged in the last ten seconds.
 */
bool net_log_due(const struct net *net, int64_t *last_ms);

/* This process's share of a bound that holds for all workers together. */
uint64_t net_share(const struct net *net, uint64_t total);

/* The application of a worker: WebSocket messages go to sessions. */
extern const struct net_app net_sess_app;
extern const struct sess_ops net_sess_ops;

#endif
