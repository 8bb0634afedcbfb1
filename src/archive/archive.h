/*
 * archive: moves messages from the spools into the database, and reads old ones back.
 *
 * There are two spools, one of each journal (journal_tail.h); a channel is in one of
 * them, so the order of a channel is the order of its spool.  Messages go to the store
 * in batches, in that order: one that fails holds back what follows.  Only when the
 * store has confirmed a batch is the broker told that its messages can be forgotten,
 * and those that the store refuses are named to it before.  What is under way when this
 * process dies is read from the spool again by the next one, and written again, which
 * changes nothing in the database.
 *
 * It has no loop of its own: archive_turn does what can be done and says when there
 * will be more; the store's plugin reports from the loop between two turns.
 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "base/base_defs.h"
#include "conf/conf_set.h"
#include "proto/order_msg.h"
#include "stat/stat_page.h"

struct archive;
struct event_base;

struct archive_place {
	const struct conf *conf; /* until archive_conf brings another */
	struct event_base *base; /* the plugin's loop */
	const char *node; /* name of this daemon among its peers */
	struct stat_archiver *stat;
	size_t part_max; /* bytes of the longest body that send takes */
	/* Sends MSG to the broker; false: there is no room now. */
	bool (*send)(void *arg, const struct order_msg *msg);
	void *arg;
};

/* All that PLACE points to outlives the archive.  Begins with the next turn. */
struct archive *archive_new(const struct archive_place *place);
void archive_free(struct archive *a);

/* Takes over all of FRESH; what the plugin was started with stays. */
void archive_conf(struct archive *a, const struct conf *fresh);
/* READ or SPOOLED; others are passed over. */
void archive_message(struct archive *a, const struct order_msg *msg);

/* Does what can be done.  When to come again at the latest: ms of base_time_ms. */
int64_t archive_turn(struct archive *a);

/*
 * No more batches; what is under way may end until DEADLINE.  Ended: nothing is, and
 * the broker was told of all, or it is too late.
 */
void archive_stop(struct archive *a, int64_t deadline);
bool archive_ended(const struct archive *a);

/* The plugin does not answer though its time is long over: nothing in this process can
 * be relied on. */
bool archive_hung(const struct archive *a);

#endif
