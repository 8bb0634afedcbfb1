/*
 * lane: a thread with a connection of its own, and the jobs that wait for it.
 *
 * A store has two, so that whoever reads does not wait for whoever writes.  The loop's
 * thread owns the store and its jobs; a lane has one job at a time and hands it back
 * by the host's post.
 */
#ifndef STORE_SQLITE_LANE_H
#define STORE_SQLITE_LANE_H

#include <pthread.h>

#include "rows.h"

enum job_kind {
	JOB_WRITE,
	JOB_READ,
	JOB_PING,
};

struct job {
	struct job *next;           /* in its lane's queue */
	struct job *before, *after; /* among all that the store has to answer */
	struct lane *lane;
	enum job_kind kind;
	uint64_t token;
	const struct chatd_batch *batch; /* held */
	struct chatd_history ask;        /* its bytes are behind the job */
	int64_t give_up;                 /* db_now; INT64_MAX: never */
	uint64_t run;                    /* see lane.run */
	/* The answer: */
	struct chatd_error err;
	struct rows_written written;
	struct rows_read read;
};

/* What the lane tells on the loop's thread. */
struct lane_owner {
	void (*answer)(struct job *job);
	/* It has ended and has no job any more: lane_join does not wait. */
	void (*ended)(struct lane *lane);
	/* NULL: it is of no interest, and the database is opened when it is needed. */
	void (*state)(struct lane *lane, enum chatd_state state, const char *why);
};

struct lane {
	struct chatd_host *host;
	const struct lane_owner *owner;
	void *arg; /* the owner's */
	pthread_t thread;
	bool running;
	/* The thread's: */
	struct db db;
	bool sick; /* the last job failed, though the database was open */
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* Under the lock: */
	struct job *first, **last;
	enum chatd_state told; /* changed by the thread alone */
	char why[sizeof(((struct chatd_error *)0)->text)];
	bool posted; /* the owner has not heard of told yet */
	atomic_bool stop;
	/* The loop's thread's: */
	size_t n;  /* jobs that it has */
	bool full; /* it was asked to take more than it may have */
	/*
	 * Batches are written in their order, so one that fails takes all with it that
	 * were taken before its answer is known: those of the same run.
	 */
	uint64_t run;
	uint64_t failed; /* the thread's: the last run that failed, or 0 */
};

/* 0, or an errno. */
int lane_start(struct lane *lane);
void lane_add(struct lane *lane, struct job *job);
/* Answers what waits with CHATD_UNAVAIL, ends what runs if it can, then ended. */
void lane_stop(struct lane *lane);
void lane_join(struct lane *lane);

#endif
