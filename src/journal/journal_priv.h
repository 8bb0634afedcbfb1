/*
 * journal_priv: what the files of journal/ share: the layout on disk, the writer's
 * handle, and the ways to LMDB.
 *
 * DIR holds data.mdb and lock.mdb (LMDB's), state (ours, a line of text: how the
 * environment was opened last, and under which boot of the machine) and for a while
 * after it was opened tries (journal_tries.c).  Beside it lie
 * DIR.lock, which the one writer has locked and which is never moved, DIR.new while
 * an environment is being made, and DIR.aside-TIME for what was set aside.
 *
 * Databases.  Numbers in keys are 64 bits, big-endian, so that LMDB sorts them; all
 * else is as the machine has it, because an environment does not travel.
 *
 *   meta      "head"                    struct journal_head
 *             "counts"                  struct journal_counts
 *             "pos"                     struct journal_pos[JOURNAL_SLOTS]
 *             "note" piece:4            text, in pieces that fit into a leaf
 *   streams   name key of the channel   struct journal_stream_rec [name if hashed]
 *   history   rows number, offset       JSON
 *   gone      rows number               struct journal_gone
 *   spool     number                    struct journal_spool_rec, texts
 *   dead      number                    struct journal_dead_rec, reason, spool's value
 *   keys      hash:16                   struct journal_key_rec, channel, key
 *   expire    due ms, kind:1, id        empty, or of a stream the key in streams
 *
 * A name key is 0 and the name, or for a name of more than JOURNAL_KEY_MAX bytes 1 and
 * its hash: LMDB's keys have at most 511 bytes.
 *
 * A stream's history stands in rows [first, last] under its rows number.  To drop all
 * of it at once, the stream gets another rows number, and the old range goes to gone,
 * from where the sweep removes it piece by piece.
 *
 * A stream has one entry in expire; it may stand too early, never too late: the sweep
 * moves one that it finds not due.
 */
#ifndef JOURNAL_JOURNAL_PRIV_H
#define JOURNAL_JOURNAL_PRIV_H

#include <errno.h>
#include <lmdb.h>

#include "base/base_fail.h"
#include "base/base_hash.h"
#include "journal/journal.h"
#include "journal/journal_tail.h"

#define JOURNAL_MAGIC UINT64_C(0x314c414e52554f4a) /* "JOURNAL1" */
#define JOURNAL_VERSION 1u
#define JOURNAL_MODE 0600
#define JOURNAL_MAP ((size_t)64 << 20) /* of a new environment; it doubles */
#define JOURNAL_READERS 32 /* processes that read at once */
#define JOURNAL_KEY_MAX 480
#define JOURNAL_PIECE 1900 /* of a note; more would take pages of its own */
#define JOURNAL_SLOTS_N 512 /* streams that are held in memory */

/*
 * Each call that can fail on the way of a publication to the disk goes through one
 * of these, so that a test can make the N-th of them fail.
 */
#define JOURNAL_LMDB(call) (BASE_FAIL("journal") ? ENOMEM : (call))
#define JOURNAL_SYS(call) (BASE_FAIL("journal") ? (errno = EIO, -1) : (call))

enum journal_db {
	DB_META,
	DB_STREAMS,
	DB_HISTORY,
	DB_GONE,
	DB_SPOOL,
	DB_DEAD,
	DB_KEYS,
	DB_EXPIRE,
	DB_N,
};

enum journal_expire_kind { EXPIRE_STREAM = 1, EXPIRE_KEY = 2 };

struct journal_head {
	uint64_t magic;
	uint32_t version;
	uint32_t zero;
	struct base_hash_key hash[2]; /* of names and keys */
};

struct journal_counts {
	uint64_t spool_last; /* number used last */
	uint64_t spool_records, spool_bytes, spool_first, spool_first_ns;
	uint64_t dead_records, dead_bytes;
	uint64_t history_records, history_bytes;
	uint64_t streams, keys;
	uint64_t stream_last, rows_last; /* numbers used last */
};

/* One that was never put has boot 0. */
struct journal_pos {
	uint64_t boot, pos;
};

struct journal_stream_rec {
	uint64_t number, top;
	uint64_t rows, first, last; /* history; first 0: none */
	int64_t last_ms; /* when the newest of history came */
	int64_t touched_ms;
	int64_t history_ttl_ms, meta_ttl_ms; /* as the rules were at the last touch */
	int64_t due_ms; /* of its entry in expire; 0: it has none */
	char epoch[JOURNAL_EPOCH_LEN];
};

struct journal_gone {
	uint64_t first, last;
};

struct journal_spool_rec {
	unsigned char id[JOURNAL_ID_LEN];
	uint64_t time_ns, offset;
	char epoch[JOURNAL_EPOCH_LEN];
	uint32_t channel, user, client, info, data; /* lengths, in the texts' order */
	uint32_t zero;
};

struct journal_dead_rec {
	int64_t time_ms;
	int32_t code;
	uint32_t reason; /* length */
};

struct journal_key_rec {
	int64_t expire_ms;
	uint64_t stream, offset;
	char epoch[JOURNAL_EPOCH_LEN];
	uint32_t channel, key; /* lengths */
};

/* A stream in memory.  Changes are written when it makes room, or at commit. */
struct journal_slot {
	bool used, dirty, listed;
	uint64_t hash;
	char *name;
	size_t len, cap;
	struct journal_stream_rec rec;
};

/* Space of the file; journal_room.c. */
struct journal_room {
	uint64_t step; /* that is reserved at a time; 0: not known yet */
	uint64_t high; /* end of the last page that is in use */
	uint64_t reserved; /* end of what surely has blocks on disk */
	uint64_t free; /* in pages that can be used again; known when FULL */
	uint64_t used; /* by this transaction, at most (roughly) */
	uint64_t distrust; /* less room than it seems, as commits failed */
	bool full; /* no more can be reserved */
	int64_t tried_ms; /* when that was tried last */
	int64_t counted_ms; /* when FREE was counted */
};

struct journal_syncer;

struct journal {
	char *dir, *name;
	bool sync;
	size_t map; /* of a new environment */
	uint64_t spool_limit, history_limit;
	int lock; /* DIR.lock */
	struct base_hash_key hash[2];

	MDB_env *env; /* NULL: to be opened again */
	MDB_txn *txn; /* of the transaction that is open */
	MDB_txn *reading; /* for what is read outside of one */
	MDB_cursor *rows; /* on history; in a transaction */
	MDB_dbi db[DB_N];
	unsigned begun; /* transactions */
	int failed; /* first error of this transaction */
	bool dirty; /* this transaction wrote something */
	bool grow; /* the map was too small */
	bool broken; /* close the environment and open it again */
	bool pos_dirty; /* pos was changed in this transaction */
	bool spoilt; /* what was read cannot be right */
	bool proven; /* was open for long enough */
	int64_t opened_ms; /* of base_time_ms */

	struct journal_counts counts, committed;
	struct journal_pos pos[JOURNAL_SLOTS], pos_committed[JOURNAL_SLOTS];
	struct journal_slot *slots; /* JOURNAL_SLOTS_N */
	struct journal_slot *current; /* journal_stream was called for it last */
	unsigned short *listed; /* slots that were changed in this transaction */
	unsigned n_listed;
	struct journal_room room;
	struct journal_syncer *syncer;
	uint64_t sync_errors;
	struct base_buf copy; /* of what LMDB showed and may move */
	char why[256];
};

/* ---- journal_txn.c ---- */

/* Notes RC of WHAT as the reason, and in a transaction as its error. */
int journal_failed(struct journal *j, int rc, const char *what);
/* The same without an error of LMDB. */
int journal_damaged(struct journal *j, const char *what);
/* Begins and ends reading, which is in the open transaction if there is one. */
int journal_read_begin(struct journal *j) BASE_MUST_CHECK;
void journal_read_end(struct journal *j);
/* The transaction to read in. */
MDB_txn *journal_reader(const struct journal *j);

/* ---- journal_db.c: JOURNAL_OK, JOURNAL_ABSENT or an error ---- */

int journal_db_get(struct journal *j, enum journal_db db, MDB_val *key,
    MDB_val *val_r) BASE_MUST_CHECK;
/* With MDB_RESERVE, VAL_R->mv_data is where the value goes. */
int journal_db_put(struct journal *j, enum journal_db db, MDB_val *key, MDB_val *val_r,
    unsigned flags) BASE_MUST_CHECK;
int journal_db_del(struct journal *j, enum journal_db db, MDB_val *key) BASE_MUST_CHECK;
/* First entry of DB; with its key not below *KEY_R if that is not empty. */
int journal_db_first(struct journal *j, enum journal_db db, MDB_val *key_r,
    MDB_val *val_r) BASE_MUST_CHECK;

void journal_put64(unsigned char *p, uint64_t n);
uint64_t journal_get64(const void *p);

/* A key in the making. */
struct journal_key {
	unsigned char p[JOURNAL_KEY_MAX + 16];
	MDB_val val;
};
MDB_val *journal_key_64(struct journal_key *k, uint64_t n);
MDB_val *journal_key_pair(struct journal_key *k, uint64_t a, uint64_t b);
MDB_val *journal_key_name(
    const struct journal *j, struct journal_key *k, struct base_slice name);
MDB_val *journal_key_meta(
    struct journal_key *k, const char *name, const void *id, size_t idlen);
MDB_val *journal_key_expire(struct journal_key *k, int64_t due_ms,
    enum journal_expire_kind kind, const void *id, size_t idlen);
/* Of one or two texts. */
void journal_hash(const struct journal *j, struct base_slice a, struct base_slice b,
    unsigned char hash[16]);

/* ---- journal_env.c ---- */

/* Opens the environment, which is there; 0 or -1, WHY is set. */
int journal_env_open(struct journal *j) BASE_MUST_CHECK;
void journal_env_close(struct journal *j);
const char *journal_db_name(enum journal_db db);

/* ---- journal_aside.c ---- */

enum journal_state { STATE_ABSENT, STATE_CLOSED, STATE_OPEN, STATE_OPEN_OTHER_BOOT };

int journal_lock(const char *dir, int *fd_r, char *err, size_t errlen) BASE_MUST_CHECK;
int journal_state_read(const char *dir, enum journal_state *state_r, char *err,
    size_t errlen) BASE_MUST_CHECK;
int journal_state_write(
    const char *dir, bool open, bool sync, char *err, size_t errlen) BASE_MUST_CHECK;
/* Renames DIR; where to is told by the text in TO. */
int journal_set_aside(
    const char *dir, char *to, size_t tolen, char *err, size_t errlen) BASE_MUST_CHECK;
/* Makes the environment; LOCK: DIR.lock. */
int journal_make(
    const char *dir, size_t map, int lock, char *err, size_t errlen) BASE_MUST_CHECK;

/* ---- journal_look.c ---- */

enum journal_verdict { LOOK_GOOD, LOOK_BAD, LOOK_ERROR };

/* Looks at the environment in a process of its own, at ALL of it or where to begin;
 * WHY is set unless it is good. */
enum journal_verdict journal_look(
    const char *dir, bool all, char *why, size_t whylen);
/* Reads and checks the head in TXN: 0, an error of LMDB, or -1 with a text in WHY. */
int journal_head_read(
    MDB_txn *txn, MDB_dbi meta, struct journal_head *head_r, char *why, size_t whylen);

/* ---- journal_walk.c ---- */

/* Reads each entry: 0, or an error of LMDB; may crash. */
int journal_walk(MDB_env *env, MDB_txn *txn);

/* ---- journal_tries.c ---- */

#define JOURNAL_TRIES "/tries" /* its name, behind the directory */
/* Openings in a row that were no good, before all of it is looked at. */
#define JOURNAL_TRIES_MAX 2

/* Counts one more; how many there were before. */
unsigned journal_tries_add(const char *dir);
/* The next opening looks at all of it. */
void journal_tries_suspect(const char *dir);
/* This opening is good. */
void journal_tries_over(const char *dir);

/* ---- journal_room.c ---- */

/* At the begin of a transaction: where the file stands. */
void journal_room_begin(struct journal *j);
/* Whether there is room for a publication of BYTES. */
bool journal_room_for(struct journal *j, size_t bytes, bool archive);
/* A commit failed, or did not. */
void journal_room_committed(struct journal *j, bool well);

/* ---- journal_sync.c ---- */

int journal_syncer_start(struct journal *j, char *err, size_t errlen) BASE_MUST_CHECK;
/* Waits for its thread. */
void journal_syncer_stop(struct journal *j);
/* Something was committed that is not on disk yet. */
void journal_syncer_dirty(struct journal *j);

/* ---- journal_rec.c ---- */

size_t journal_rec_len(struct base_slice channel, const struct journal_record *rec);
void journal_rec_write(unsigned char *p, struct base_slice channel, const char *epoch,
    uint64_t offset, const struct journal_record *rec);
/* False: damaged.  Texts point into VAL. */
bool journal_rec_read(MDB_val val, uint64_t number, struct journal_spooled *rec_r);

/* ---- journal_stream.c ---- */

/* Finds the slot of CHANNEL: JOURNAL_ABSENT: it has no stream, and the slot is free. */
int journal_slot(struct journal *j, struct base_slice channel,
    struct journal_slot **slot_r) BASE_MUST_CHECK;
void journal_slot_dirty(struct journal *j, struct journal_slot *slot);
/* Writes what was changed. */
int journal_slots_flush(struct journal *j) BASE_MUST_CHECK;
void journal_slots_forget(struct journal *j);
/* When nothing was heard for meta_ttl, and a bit more, as touches are not all noted. */
bool journal_stream_over(
    const struct journal_stream_rec *rec, int64_t ttl_ms, int64_t now_ms);
int64_t journal_stream_end(const struct journal_stream_rec *rec, int64_t ttl_ms);
int journal_stream_due(
    struct journal *j, struct journal_slot *slot, int64_t due_ms) BASE_MUST_CHECK;
int journal_stream_drop(struct journal *j, struct journal_slot *slot) BASE_MUST_CHECK;

/* ---- journal_hist.c ---- */

bool journal_hist_over(
    const struct journal_stream_rec *rec, int64_t ttl_ms, int64_t now_ms);
int journal_hist_put(struct journal *j, struct journal_stream_rec *rec,
    const struct journal_rules *rules, struct base_slice json,
    int64_t now_ms) BASE_MUST_CHECK;
/* All rows of the stream go, sooner or later. */
int journal_hist_drop(
    struct journal *j, struct journal_stream_rec *rec) BASE_MUST_CHECK;
int journal_hist_del(struct journal *j, uint64_t rows, uint64_t offset) BASE_MUST_CHECK;
/* Bytes that putting one more publication drops. */
uint64_t journal_hist_gain(struct journal *j, const struct journal_stream_rec *rec,
    const struct journal_rules *rules);

/* ---- journal_spool.c ---- */

int journal_spool_put(struct journal *j, struct base_slice channel,
    const struct journal_place *place,
    const struct journal_record *rec) BASE_MUST_CHECK;
/* Takes one record out; its value, if VAL_R, is copied to j->copy. */
int journal_spool_take(
    struct journal *j, uint64_t number, MDB_val *val_r) BASE_MUST_CHECK;
/* A value as journal_rec_write makes it. */
int journal_spool_append(
    struct journal *j, MDB_val val, uint64_t time_ns) BASE_MUST_CHECK;

#endif
