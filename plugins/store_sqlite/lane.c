/*
 * lane: see the header.
 */
#include "lane.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema.h"

/* Pause between two attempts to open the database, s. */
#define OPEN_PAUSE 1

/* ---- the thread: telling --------------------------------------------------------- */

static void
on_news(void *arg)
{
	struct lane *lane = arg;
	char why[sizeof(lane->why)];
	enum chatd_state state;

	pthread_mutex_lock(&lane->lock);
	lane->posted = false;
	state = lane->told;
	memcpy(why, lane->why, sizeof(why));
	pthread_mutex_unlock(&lane->lock);
	lane->owner->state(lane, state, why);
}

static void
tell(struct lane *lane, enum chatd_state state, const char *why)
{
	bool post;

	if (lane->owner->state == NULL || lane->told == state)
		return;
	pthread_mutex_lock(&lane->lock);
	lane->told = state;
	snprintf(lane->why, sizeof(lane->why), "%s", why);
	post = !lane->posted;
	lane->posted = true;
	pthread_mutex_unlock(&lane->lock);
	if (post)
		lane->host->post(lane->host, on_news, lane);
}

static void
on_answer(void *arg)
{
	struct job *job = arg;

	job->lane->owner->answer(job);
}

static void
on_ended(void *arg)
{
	struct lane *lane = arg;

	lane->owner->ended(lane);
}

/* ---- the thread: working --------------------------------------------------------- */

/* 0 when the database is open, with its schema. */
static int
ensure_open(struct lane *lane, struct chatd_error *err)
{
	int code;

	if (db_is_open(&lane->db))
		return 0;
	code = db_open(&lane->db, err);
	if (code == 0)
		code = schema_check(&lane->db, err);
	if (code != 0) {
		db_close(&lane->db);
		tell(lane, CHATD_DOWN, err->text);
	}
	return code;
}

static int
work(struct lane *lane, struct job *job)
{
	switch (job->kind) {
	case JOB_WRITE:
		return rows_write(&lane->db, job->batch, &job->written, &job->err);
	case JOB_READ:
		return rows_read(&lane->db, &job->ask, &job->read, &job->err);
	case JOB_PING:
		return schema_check(&lane->db, &job->err);
	}
	return chatd_fail(&job->err, CHATD_BUG, "no such job");
}

static void
run(struct lane *lane, struct job *job)
{
	int code;

	job->err.code = 0;
	if (job->kind == JOB_WRITE && job->run == lane->failed)
		code = chatd_fail(
		    &job->err, CHATD_UNAVAIL, "a batch before it was not written");
	else if (db_now() >= job->give_up)
		code = chatd_fail(&job->err, CHATD_TIMEOUT, "had to wait too long");
	else
		code = ensure_open(lane, &job->err);
	if (code == 0) {
		lane->db.give_up = job->give_up;
		code = work(lane, job);
		lane->db.give_up = INT64_MAX;
		lane->sick = code != 0;
		if (code == 0)
			tell(lane, CHATD_UP, "");
		else
			tell(lane, lane->db.sql != NULL ? CHATD_DEGRADED : CHATD_DOWN,
			    job->err.text);
	}
	if (job->kind == JOB_WRITE && code != 0)
		lane->failed = job->run;
	lane->host->post(lane->host, on_answer, job);
}

/* The next job; NULL: look at the database again, or stop. */
static struct job *
take(struct lane *lane)
{
	struct timespec until;
	struct job *job;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += OPEN_PAUSE;
	pthread_mutex_lock(&lane->lock);
	while (lane->first == NULL && !atomic_load(&lane->stop)) {
		if (lane->db.sql != NULL || lane->owner->state == NULL)
			pthread_cond_wait(&lane->more, &lane->lock);
		else if (pthread_cond_timedwait(&lane->more, &lane->lock, &until) != 0)
			break;
	}
	job = lane->first;
	if (job != NULL) {
		lane->first = job->next;
		if (lane->first == NULL)
			lane->last = &lane->first;
	}
	pthread_mutex_unlock(&lane->lock);
	return job;
}

static void *
main_of(void *arg)
{
	struct lane *lane = arg;
	struct chatd_error err;
	struct job *job;

	for (;;) {
		/* The state is told before anybody asks. */
		if (lane->owner->state != NULL && !atomic_load(&lane->stop) &&
		    lane->db.sql == NULL && ensure_open(lane, &err) == 0)
			tell(lane, lane->sick ? CHATD_DEGRADED : CHATD_UP, "");
		job = take(lane);
		if (job == NULL && atomic_load(&lane->stop))
			break;
		if (job == NULL)
			continue;
		if (!atomic_load(&lane->stop)) {
			run(lane, job);
			continue;
		}
		chatd_fail(&job->err, CHATD_UNAVAIL, "stops");
		lane->host->post(lane->host, on_answer, job);
	}
	db_close(&lane->db);
	lane->host->post(lane->host, on_ended, lane);
	return NULL;
}

/* ---- the loop's thread ----------------------------------------------------------- */

/* A condition by the clock that nobody sets. */
static void
make_condition(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int
lane_start(struct lane *lane)
{
	sigset_t all, before;
	int r;

	atomic_store(&lane->stop, false);
	lane->db.stop = &lane->stop;
	lane->db.give_up = INT64_MAX;
	lane->told = CHATD_CONNECTING;
	lane->posted = false;
	lane->full = false;
	lane->sick = false;
	lane->run = 1;
	lane->failed = 0;
	lane->last = &lane->first;
	pthread_mutex_init(&lane->lock, NULL);
	make_condition(&lane->more);
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&lane->thread, NULL, main_of, lane);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	lane->running = r == 0;
	if (!lane->running) {
		pthread_cond_destroy(&lane->more);
		pthread_mutex_destroy(&lane->lock);
	}
	return r;
}

void
lane_add(struct lane *lane, struct job *job)
{
	job->lane = lane;
	job->run = lane->run;
	job->next = NULL;
	lane->n++;
	pthread_mutex_lock(&lane->lock);
	*lane->last = job;
	lane->last = &job->next;
	pthread_cond_signal(&lane->more);
	pthread_mutex_unlock(&lane->lock);
}

void
lane_stop(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	atomic_store(&lane->stop, true);
	pthread_cond_signal(&lane->more);
	pthread_mutex_unlock(&lane->lock);
}

void
lane_join(struct lane *lane)
{
	if (!lane->running)
		return;
	lane->running = false;
	pthread_join(lane->thread, NULL);
	pthread_cond_destroy(&lane->more);
	pthread_mutex_destroy(&lane->lock);
}
