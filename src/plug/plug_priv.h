/*
 * plug_priv: what the files of plug/ know of a living plugin.
 */
#ifndef PLUG_PRIV_H
#define PLUG_PRIV_H

#include <event2/event.h>
#include <pthread.h>

#include "base/base_list.h"
#include "plug/plug_host.h"

struct plug_post {
	chatd_post_fn fn;
	void *arg;
	struct plug_post *next;
};

struct plug {
	struct chatd_host host; /* the plugin's handle */
	struct plug_place place;
	void *self;
	unsigned depth; /* calls of the plugin and services that are being run */
	struct base_list timers;
	/* Posts of any thread, under the lock; the loop sleeps in wake_fd. */
	pthread_mutex_t lock;
	struct plug_post *first, **last;
	int wake_fd;
	struct event *wake;
};

/*
 * Around each call of the plugin; what takes long is logged by its name.  CALL NULL:
 * it may.
 */
int64_t plug_enter(struct plug *p);
void plug_leave(struct plug *p, const char *call, int64_t since);

#endif
