/*
 * journal_room: space on the disk, had before it is needed.
 *
 * LMDB takes pages behind the last one in use, or those that came free, and learns at
 * commit that the disk is full, when it is too late to refuse one publication.  So
 * blocks are reserved ahead of its high-water mark, in steps.  When a step cannot be
 * had, archived publications are refused before they are taken; those for history
 * alone may use what is left of the reserve but its last part, so that a spool can
 * always be drained: deleting takes pages too.
 *
 * What a transaction will use is a guess to the safe side.  While the disk is full,
 * pages that came free count as room, so that a spool that was drained takes again.
 * They are counted now and then, and what is used meanwhile is taken off.  But a big
 * record needs pages in a row, and a reader may hold some: a commit that fails makes
 * us believe in less room for a while.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/base_time.h"

/* A step is a share of the disk, in these bounds, and the last part one of that. */
#define STEP_MIN ((uint64_t)1 << 20)
#define STEP_MAX ((uint64_t)16 << 20)
#define STEP_SHARE 16
#define LAST_SHARE 8
#define PAGES ((uint64_t)16 << 10) /* that a publication touches, beside its bytes */
#define AGAIN_MS 500 /* between tries to reserve */
#define COUNT_MS 50 /* between counts of free pages */

/* posix_fallocate, so that every block is there, on any kind of filesystem. */
static int
allocate(struct journal *j, uint64_t from, uint64_t to)
{
	mdb_filehandle_t fd;
	int rc;

	rc = JOURNAL_LMDB(mdb_env_get_fd(j->env, &fd));
	if (rc != 0)
		return rc;
	do
		rc = BASE_FAIL("journal")
		    ? EIO
		    : posix_fallocate(fd, (off_t)from, (off_t)(to - from));
	while (rc == EINTR);
	return rc;
}

static bool
no_space(int rc)
{
	return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

/* A small disk is not to be full of what is reserved. */
static uint64_t
step_of(struct journal *j)
{
	mdb_filehandle_t fd;
	struct statvfs disk;
	uint64_t step = STEP_MAX;

	if (mdb_env_get_fd(j->env, &fd) == 0 && fstatvfs(fd, &disk) == 0)
		step = (uint64_t)disk.f_blocks * disk.f_frsize / STEP_SHARE;
	step = BASE_MAX(BASE_MIN(step, STEP_MAX), STEP_MIN);
	return step / STEP_MIN * STEP_MIN;
}

/*
 * Has WANT bytes ahead of the mark reserved, if it can be had.  Where reserving fails
 * for another reason than space, things go as they do without: it is not insisted on.
 */
static bool
reserve(struct journal *j, uint64_t want)
{
	struct journal_room *r = &j->room;
	uint64_t to;

	if (r->reserved < r->high)
		r->reserved = r->high;
	if (r->reserved - r->high >= want)
		return true;
	to = (r->high + want + r->step - 1) / r->step * r->step;
	r->tried_ms = base_time_ms();
	r->full = no_space(allocate(j, r->reserved, to));
	if (!r->full)
		r->reserved = to;
	return !r->full;
}

/* Pages that LMDB has noted as free: per transaction a list, led by its length. */
static uint64_t
count_free(struct journal *j, size_t page)
{
	MDB_cursor *cursor;
	MDB_val key, val;
	uint64_t pages = 0;
	size_t n;

	if (journal_read_begin(j) != JOURNAL_OK)
		return 0;
	if (JOURNAL_LMDB(mdb_cursor_open(j->reading, 0, &cursor)) == 0) {
		while (
		    JOURNAL_LMDB(mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0) {
			if (val.mv_size < sizeof(n))
				break;
			memcpy(&n, val.mv_data, sizeof(n));
			pages += n;
		}
		mdb_cursor_close(cursor);
	}
	journal_read_end(j);
	return pages * page;
}

/* While the disk is full: what can be had. */
static void
look_again(struct journal *j, size_t page)
{
	struct journal_room *r = &j->room;
	int64_t now = base_time_ms();
	int dead;

	if (now - r->tried_ms >= AGAIN_MS) {
		if (reserve(j, r->step)) {
			r->distrust = r->free = 0;
			return;
		}
		r->distrust /= 2;
		(void)JOURNAL_LMDB(mdb_reader_check(j->env, &dead));
	} else if (now - r->counted_ms < COUNT_MS) {
		return;
	}
	r->counted_ms = now;
	r->free = count_free(j, page);
}

void
journal_room_begin(struct journal *j)
{
	struct journal_room *r = &j->room;
	MDB_envinfo info;
	MDB_stat stat;

	r->used = 0;
	if (r->step == 0)
		r->step = step_of(j);
	if (JOURNAL_LMDB(mdb_env_info(j->env, &info)) != 0 ||
	    JOURNAL_LMDB(mdb_env_stat(j->env, &stat)) != 0)
		return; /* as it was at the last begin */
	r->high = (info.me_last_pgno + 1) * stat.ms_psize;
	if (r->full || !reserve(j, r->step))
		look_again(j, stat.ms_psize);
}

bool
journal_room_for(struct journal *j, size_t bytes, bool archive)
{
	struct journal_room *r = &j->room;
	uint64_t need = 2 * (uint64_t)bytes + PAGES + r->used, room;

	if (!r->full && reserve(j, need + r->step))
		return true;
	/* LMDB may have gone beyond what is reserved, for pages in a row. */
	room = (r->reserved > r->high ? r->reserved - r->high : 0) + r->free;
	room -= BASE_MIN(room, r->distrust);
	return room >= need + (archive ? r->step : r->step / LAST_SHARE);
}

void
journal_room_committed(struct journal *j, bool well)
{
	struct journal_room *r = &j->room;

	if (!r->full)
		return;
	r->free -= BASE_MIN(r->free, r->used);
	if (!well)
		r->distrust = BASE_MAX(r->step, 2 * r->distrust);
}
