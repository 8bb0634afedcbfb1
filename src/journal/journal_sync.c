/*
 * journal_sync: writing to disk in the background, for an environment whose commits
 * do not wait for it.
 *
 * The thread touches nothing of LMDB: it has a descriptor of the file.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_mem.h"

#define PERIOD_MS 1000

struct journal_syncer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int fd;
	bool asked, busy, stop; /* under the lock */
	int error; /* of the last sync; under the lock */
	bool dirty; /* something was committed since the last was begun */
	int64_t begun_ms;
};

static void *
sync_loop(void *arg)
{
	struct journal_syncer *s = arg;
	int error;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->asked && !s->stop)
			pthread_cond_wait(&s->cond, &s->lock);
		if (!s->asked)
			break;
		s->asked = false;
		s->busy = true;
		pthread_mutex_unlock(&s->lock);
		error = BASE_FAIL("journal.sync") ? EIO
		    : fdatasync(s->fd) < 0        ? errno
						  : 0;
		pthread_mutex_lock(&s->lock);
		s->error = error;
		s->busy = false;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Signals are for the process's first thread. */
static int
start_thread(struct journal_syncer *s)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = BASE_FAIL("journal") ? EAGAIN
				  : pthread_create(&s->thread, NULL, sync_loop, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int
journal_syncer_start(struct journal *j, char *err, size_t errlen)
{
	struct journal_syncer *s;
	mdb_filehandle_t fd;
	int rc;

	if (j->sync)
		return 0;
	s = base_zalloc(sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	rc = JOURNAL_LMDB(mdb_env_get_fd(j->env, &fd));
	s->fd = rc != 0 ? -1 : JOURNAL_SYS(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	if (s->fd < 0)
		rc = rc != 0 ? rc : errno;
	else
		rc = start_thread(s);
	if (rc == 0) {
		j->syncer = s;
		return 0;
	}
	snprintf(err, errlen, "%s: starting to sync: %s", j->dir, mdb_strerror(rc));
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	return -1;
}

void
journal_syncer_stop(struct journal *j)
{
	struct journal_syncer *s = j->syncer;

	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	close(s->fd);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	free(s);
	j->syncer = NULL;
}

void
journal_syncer_dirty(struct journal *j)
{
	if (j->syncer != NULL)
		j->syncer->dirty = true;
}

void
journal_sync_due(struct journal *j, int64_t now_ms)
{
	struct journal_syncer *s = j->syncer;

	if (s == NULL || (now_ms >= s->begun_ms && now_ms - s->begun_ms < PERIOD_MS))
		return;
	pthread_mutex_lock(&s->lock);
	if (s->error != 0) {
		snprintf(j->why, sizeof(j->why), "%s: syncing: %s", j->dir,
		    strerror(s->error));
		j->sync_errors++;
		s->error = 0;
		s->dirty = true;
	}
	if (s->dirty && !s->busy && !s->asked) {
		s->asked = true;
		s->dirty = false;
		s->begun_ms = now_ms;
		pthread_cond_signal(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
}
