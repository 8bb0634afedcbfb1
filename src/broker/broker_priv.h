/*
 * broker_priv: what the files of broker/ know of each other.
 */
#ifndef BROKER_BROKER_PRIV_H
#define BROKER_BROKER_PRIV_H

#include "base/base_buf.h"
#include "base/base_list.h"
#include "broker/broker.h"
#include "broker/broker_fail.h"
#include "core/chan.h"
#include "journal/journal.h"
#include "proto/codes.h"
#include "proto/order_msg.h"
#include "ring/ring_queue.h"
#include "stat/stat_page.h"

/* Requests of one batch. */
#define BROKER_BATCH_RECORDS 4096
/* Bytes of answers that wait for one client; when there are more, its requests wait. */
#define BROKER_BACKLOG_MAX (1u << 20)
/* Outcomes that are kept for requests that are not given back, of one journal. */
#define BROKER_KEPT_MAX 16384
/* Bytes of one answer about presence, channels or dead letters. */
#define BROKER_LIST_MAX (16u << 20)

/* ---- journals (broker_journal.c) ---- */

enum { BROKER_HISTORY, BROKER_SPOOL, BROKER_JOURNALS, BROKER_NONE = BROKER_JOURNALS };

/* What became of a publication. */
struct broker_outcome {
	uint64_t end; /* of its record in the queue of slot */
	uint64_t offset;
	uint32_t slot, flags;
	int32_t code; /* enum proto_error */
	char epoch[ORDER_EPOCH_LEN];
	uint32_t text; /* enum broker_text */
};

#define BROKER_OUT_PLACED 1u /* it has a place */
#define BROKER_OUT_CREATED 2u /* its stream began with it */
#define BROKER_OUT_PUSH 4u /* and subscribers were to be told */
#define BROKER_OUT_FRESH 8u /* of the last batch: it may not be in the lane yet */

/* Own texts of temporary errors. */
#define BROKER_TEXTS(X)                                               \
	X(NONE, "")                                                   \
	X(HISTORY_DOWN, "history is not available, try again")        \
	X(SPOOL_DOWN, "spool is not available, try again")            \
	X(HISTORY_FULL, "history is full, try again")                 \
	X(SPOOL_FULL, "spool is full, try again")                     \
	X(DISK_FULL, "disk is full, try again")                       \
	X(LOST, "server was restarted, try again")                    \
	X(READ_FAILED, "old messages are not available, try again")

enum broker_text {
#define X(name, text) BROKER_TEXT_##name,
	BROKER_TEXTS(X)
#undef X
	    BROKER_TEXT_N,
};

struct base_slice broker_text(enum broker_text text);

/* A message that is logged at most every ten seconds. */
struct broker_seldom {
	int64_t next_ms;
	uint64_t held_back;
};

struct broker_journal {
	struct journal *j; /* NULL: it could not be opened */
	const char *name;
	char *dir;
	bool sync;
	bool open; /* a transaction is */
	int64_t retry_ms; /* when it is opened again */
	struct broker_seldom trouble, full; /* log */
	int64_t trouble_ms, full_ms; /* when it last failed, or was full */
	/* Outcomes of requests that are not given back, the oldest first. */
	struct broker_outcome *kept;
	size_t n_kept, cap_kept;
	/* All of the spool up to this one are in the database; 0: it is dealt with. */
	uint64_t archived;
	struct journal_figures figures;
};

/* Opens what is not open. */
void broker_journal_open(struct broker *b, unsigned which);
void broker_journal_close(struct broker_journal *bj);
/* Begins a transaction if none is open; an enum journal_error. */
int broker_journal_begin(struct broker_journal *bj) BASE_MUST_CHECK;
/* Ends it: commits what was written. */
int broker_journal_end(struct broker *b, struct broker_journal *bj) BASE_MUST_CHECK;
void broker_journal_abort(struct broker_journal *bj);
/* Why its publications are refused when it is down or fails. */
enum broker_text broker_journal_down(const struct broker_journal *bj);
void broker_journal_failed(struct broker *b, struct broker_journal *bj);
void broker_journal_limits(struct broker *b);
void broker_journal_figures(struct broker *b);
/* Once a second. */
void broker_journal_tick(struct broker *b);
bool broker_seldom(struct broker_seldom *s, int64_t now_ms);

/* ---- slots ---- */

/* Bytes that are taken from the front. */
struct broker_fifo {
	struct base_buf buf;
	size_t at; /* of the first one that is left */
};

struct broker_slot {
	struct ring_queue_in *in; /* NULL: there are none, or they are damaged */
	struct ring_queue_out *out;
	uint64_t generation; /* of the process that speaks; 0: not known */
	uint64_t gone; /* generation of the last process that is dead */
	uint64_t done; /* what was given back */
	uint64_t taken; /* end of the last request that was answered */
	uint64_t before; /* of front's request: what may be given back */
	/* Requests up to these may have been executed, in each journal and at all. */
	uint64_t replay[BROKER_JOURNALS], replay_end;
	struct broker_fifo front; /* the rest of an answer that was put off */
	struct broker_fifo back; /* answers, and requests that are put off */
	struct base_list present; /* of struct pres_entry */
	bool putting_off; /* what is said now belongs to front */
	bool waits; /* until hold_ms: a commit for it failed */
	bool broken; /* what it sends contradicts itself: it is not read any more */
};

/* ---- batches (broker_batch.c) ---- */

struct broker_item {
	struct order_msg msg; /* its texts lie in the queue */
	uint64_t end;
	unsigned slot;
	unsigned journal; /* that it needs, or BROKER_NONE */
	const struct conf_namespace *ns; /* of msg.channel; NULL: unknown */
	struct broker_outcome out; /* of a publication, or an error of others */
	size_t frame; /* its push in b->frames, and its length */
	size_t frame_len;
	bool known; /* the outcome was found in a journal */
	bool pushed; /* subscribers were told */
	bool made; /* the stream was made though nothing was published in it */
	bool again; /* a commit for it failed: it stays */
};

struct broker_batch {
	struct broker_item *items;
	size_t n, cap;
	size_t n_exec; /* of these are in the transaction; the others wait */
	size_t at; /* next one to be answered */
	struct base_buf frames; /* pushes */
	struct broker_item *held; /* a commit for them failed: from hold_ms on again */
	size_t n_held, cap_held;
};

/* Requests of SLOT are not taken now. */
bool broker_batch_blocked(const struct broker *b, unsigned slot);
/* Takes what waits in the queues.  True: more may be there. */
bool broker_batch_collect(struct broker *b);
/* All of SLOT up to END, whatever the batch's bounds are. */
void broker_batch_collect_to(struct broker *b, unsigned slot, uint64_t end);
/* Transactions: steps 1 and 2. */
void broker_batch_commit(struct broker *b);
/* Step 3 for one request; false: there is none left. */
bool broker_batch_answer(struct broker *b);
/* Step 4. */
void broker_batch_done(struct broker *b);
/* Those that a commit failed for come first again, when it is time. */
void broker_batch_release(struct broker *b);
/* After another configuration. */
void broker_batch_conf(struct broker *b);
void broker_batch_free(struct broker_batch *batch);

/* ---- publications (broker_pub.c) ---- */

struct journal_rules broker_rules(const struct conf_namespace *ns);
/* In a transaction; an enum journal_error, after which the transaction is void. */
int broker_pub_exec(struct broker *b, struct broker_journal *bj,
    struct broker_item *item) BASE_MUST_CHECK;
/* Makes the push of one whose outcome is known. */
void broker_pub_encode(struct broker *b, struct broker_item *item);
void broker_pub_push(struct broker *b, struct broker_item *item);
/* Tells workers the epoch of a channel that has a new one. */
void broker_pub_epoch(
    struct broker *b, struct base_slice channel, const char epoch[ORDER_EPOCH_LEN]);
/* What a publication without a place has as the offset of its record. */
uint64_t broker_pub_mark(const struct broker_item *item);
/* A text with a frame's head before it, in b->frames from AT on.  Returns where it
 * begins. */
size_t broker_frame_begin(struct base_buf *buf);
size_t broker_frame_end(struct base_buf *buf, size_t at);

/* ---- outcomes on disk (broker_note.c) ---- */

/* Adds what became of the batch's publications in journal WHICH. */
void broker_note_add(struct broker *b, unsigned which);
/* Forgets that again. */
void broker_note_undo(struct broker *b, unsigned which, size_t n_kept);
/* Drops outcomes of requests that were given back. */
void broker_note_trim(struct broker *b, unsigned which);
int broker_note_write(struct broker *b, unsigned which) BASE_MUST_CHECK;

struct broker_note_head {
	uint64_t boot; /* of the segment */
	uint64_t batch; /* number */
	uint64_t lane; /* tail of the broker's lane before its pushes */
	uint64_t n;
};

/* Reads the outcomes of journal WHICH.  False: there are none of this segment. */
bool broker_note_read(
    struct broker *b, unsigned which, struct broker_note_head *head_r);
struct broker_outcome *broker_note_find(
    struct broker_journal *bj, unsigned slot, uint64_t end);

/* ---- restart (broker_replay.c) ---- */

/* Reads notes and positions; the first batch is what has to be answered again. */
void broker_replay(struct broker *b);
/* What became of ITEM before: true, and its outcome is set. */
bool broker_replay_known(struct broker *b, struct broker_item *item);

/* ---- answers (broker_reply.c) ---- */

/* MSG to SLOT; what finds no room waits. */
void broker_reply(struct broker *b, unsigned slot, const struct order_msg *msg);
/* The same with data of any length, in parts. */
void broker_reply_parts(struct broker *b, unsigned slot, const struct order_msg *msg);
/* An error for request REQ: KIND is the answer's. */
void broker_reply_error(struct broker *b, unsigned slot, enum order_kind kind,
    uint64_t req, enum proto_error code, enum broker_text text);
/* Answers are waiting: a request with a large answer is put off. */
bool broker_reply_busy(const struct broker *b, unsigned slot);
void broker_reply_put_off(struct broker *b, unsigned slot, const struct order_msg *msg);
/* No more requests of SLOT, please. */
bool broker_reply_full(const struct broker *b, unsigned slot);
void broker_reply_flush(struct broker *b, unsigned slot);
/* Gives back what may be. */
void broker_reply_done(struct broker *b, unsigned slot);
size_t broker_reply_bytes(const struct broker *b);
void broker_reply_free(struct broker_slot *s);

/* ---- reading (broker_hist.c, broker_read.c) ---- */

/* In or out of a transaction: makes the stream if there is none. */
int broker_hist_prepare(struct broker *b, struct broker_journal *bj,
    struct broker_item *item) BASE_MUST_CHECK;
/* Answers FOLLOW or HISTORY. */
void broker_hist_answer(struct broker *b, unsigned slot, const struct order_msg *msg);

/* Publications that are gathered for an answer, bounded by their bytes. */
struct broker_rows {
	struct base_buf *list; /* as of order_pub_add */
	size_t max; /* bytes; the first is always taken */
	uint64_t n, limit; /* publications */
	uint64_t first, last; /* offsets in the order of the list; 0: none */
	bool full;
};

bool broker_rows_add(struct broker_rows *rows, uint64_t offset, struct base_slice json);

/* HISTORY MSG is answered when the archiver has given LIMIT publications before or
 * after FROM. */
void broker_read_ask(struct broker *b, unsigned slot, const struct order_msg *msg,
    const char epoch[ORDER_EPOCH_LEN], uint64_t from, uint64_t limit);
void broker_read_rows(struct broker *b, const struct order_msg *msg);
void broker_read_tick(struct broker *b);
/* The archiver is dead. */
void broker_read_fail_all(struct broker *b);
void broker_read_free(struct broker *b);
/* HISTORY is put together from ROWS, which the database gave, and what is kept. */
void broker_hist_finish(struct broker *b, unsigned slot, const struct order_msg *msg,
    const char epoch[ORDER_EPOCH_LEN], struct base_slice rows);

/* ---- presence (broker_pres.c) ---- */

struct pres;

struct pres *broker_pres_new(struct broker *b);
void broker_pres_free(struct pres *p);
void broker_pres_join(struct broker *b, unsigned slot, const struct order_msg *msg);
void broker_pres_leave(struct broker *b, unsigned slot, const struct order_msg *msg);
/* All of SLOT go; LEAVE: others are told, some in each turn. */
void broker_pres_clear(struct broker *b, unsigned slot, bool leave);
/* True: there are more. */
bool broker_pres_turn(struct broker *b);
void broker_pres_answer(struct broker *b, unsigned slot, const struct order_msg *msg);
void broker_pres_stats(struct broker *b, unsigned slot, const struct order_msg *msg);
void broker_pres_figures(struct broker *b);

/* ---- the operator's questions (broker_admin.c) ---- */

void broker_admin_channels(
    struct broker *b, unsigned slot, const struct order_msg *msg);
void broker_admin_part(struct broker *b, unsigned slot, const struct order_msg *msg);
void broker_admin_gone(struct broker *b, unsigned slot);
void broker_admin_tick(struct broker *b);
void broker_admin_free(struct broker *b);
void broker_admin_dead_list(
    struct broker *b, unsigned slot, const struct order_msg *msg);
/* In a transaction: DEAD, DEAD_RETRY, DEAD_DROP. */
int broker_admin_dead(struct broker *b, struct broker_journal *bj,
    struct broker_item *item) BASE_MUST_CHECK;

/* ---- all of it ---- */

struct broker {
	struct broker_env env;
	struct ring_seg *seg;
	const struct conf *conf;
	struct chan_table *channels;
	struct stat_broker *stat;
	unsigned slot, n_slots, n_workers;
	unsigned archiver; /* its slot; n_slots: there is none */
	struct ring_lane *lane;
	uint64_t lane_size;
	const struct base_hash_key *key;
	uint64_t boot; /* of the segment */
	struct broker_journal journals[BROKER_JOURNALS];
	struct broker_slot slots[RING_MAX_SLOTS];
	struct broker_batch batch;
	uint64_t batch_number;
	unsigned turn_slot; /* whose requests come first */
	uint64_t wake; /* slots */
	int64_t now_ms; /* monotonic, of this turn */
	uint64_t wall_ns;
	int64_t hold_ms; /* slots that wait do so until then */
	int64_t next_tick_ms, next_figures_ms;
	bool spooled; /* the archiver is to be told */
	struct broker_seldom senseless; /* log */
	struct base_buf list, scratch; /* of one answer */
	uint64_t last_id_ms; /* of the last message id */
	uint32_t last_id_count;
	struct pres *pres;
	struct base_list reads, asks;
	unsigned n_reads, n_asks;
	uint64_t last_req; /* of our own questions */
};

static inline bool
broker_is_worker(const struct broker *b, unsigned slot)
{
	return slot < b->n_workers;
}

/* The process in that slot, as far as we have not heard that it is dead. */
static inline bool
broker_lives(const struct broker *b, unsigned slot)
{
	const struct broker_slot *s = &b->slots[slot];

	return s->out != NULL && (s->gone == 0 || s->generation > s->gone);
}

static inline int64_t
broker_wall_ms(const struct broker *b)
{
	return (int64_t)(b->wall_ns / 1000000);
}

#endif
