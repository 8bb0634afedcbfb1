/*
 * listen: accepting, balanced between workers.
 *
 * All workers wait on the same sockets, which are the master's: a connection that
 * nobody has accepted yet is lost with no worker.  Chat connections live for
 * hours, so an uneven start would stay: a worker that has more connections than
 * the least loaded one lets the others accept first, for PAUSE_MS.  If they do not
 * (they are dead, or busy), it accepts all the same.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/net.h"

struct listener {
	struct net *net;
	struct event *ev;
	const struct conf_listen *conf; /* its section in net->conf */
	SSL_CTX *ctx;                   /* NULL: plain */
	int fd;
	bool now; /* it accepts whatever the balance says */
};

/* See net_listen; NULL with a text in ERR. */
struct listener *listen_new(
    struct net *net, int fd, const struct conf_listen *conf, char *err, size_t errlen);

struct listener *listen_new_control(struct net *net, int fd);

/* Makes contexts for all listeners of CONF, or none: 0, or -1 with a text in ERR. */
int listen_contexts(struct net *net, const struct conf *conf, SSL_CTX **ctx_r,
    char *err, size_t errlen) BASE_MUST_CHECK;

/* CONF's section for L, by its title; the control socket always has the same. */
const struct conf_listen *listen_section(
    const struct conf *conf, const struct listener *l);

/* Accepts no more, for good. */
void listen_stop(struct net *net);

/* Timer of net->resume. */
void listen_resume(evutil_socket_t fd, short what, void *arg);

#endif
