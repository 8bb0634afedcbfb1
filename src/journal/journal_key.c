/*
 * journal_key: idempotency keys, positions of queue lanes, the note.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"

/* ---- idempotency keys ---- */

/* Finds the entry of KEY, over or not; JOURNAL_ABSENT, also for one of another. */
static int
key_read(struct journal *j, const unsigned char hash[16], struct base_slice channel,
    struct base_slice key, struct journal_key_rec *rec_r)
{
	MDB_val at = {16, (void *)(uintptr_t)hash}, val;
	const char *p;
	int rc;

	rc = journal_db_get(j, DB_KEYS, &at, &val);
	if (rc != JOURNAL_OK)
		return rc;
	if (val.mv_size < sizeof(*rec_r))
		return journal_damaged(j, "an idempotency key is damaged");
	p = val.mv_data;
	memcpy(rec_r, p, sizeof(*rec_r));
	p += sizeof(*rec_r);
	if (rec_r->channel != channel.len || rec_r->key != key.len ||
	    val.mv_size != sizeof(*rec_r) + channel.len + key.len ||
	    memcmp(p, channel.p, channel.len) != 0 ||
	    memcmp(p + channel.len, key.p, key.len) != 0)
		return JOURNAL_ABSENT;
	return JOURNAL_OK;
}

int
journal_key_find(struct journal *j, struct base_slice channel, struct base_slice key,
    int64_t now_ms, struct journal_place *place_r)
{
	struct journal_key_rec rec;
	unsigned char hash[16];
	int rc;

	base_assert(j->txn != NULL);
	journal_hash(j, channel, key, hash);
	rc = key_read(j, hash, channel, key, &rec);
	if (rc != JOURNAL_OK)
		return rc;
	if (now_ms >= rec.expire_ms)
		return JOURNAL_ABSENT;
	place_r->stream = rec.stream;
	memcpy(place_r->epoch, rec.epoch, sizeof(place_r->epoch));
	place_r->offset = rec.offset;
	place_r->created = false;
	return JOURNAL_OK;
}

/* What was there under HASH, whosever it was, gives way. */
static int
key_replace(struct journal *j, const unsigned char hash[16])
{
	MDB_val at = {16, (void *)(uintptr_t)hash}, val;
	struct journal_key_rec rec;
	struct journal_key key;
	int rc;

	rc = journal_db_get(j, DB_KEYS, &at, &val);
	if (rc == JOURNAL_ABSENT)
		j->counts.keys++;
	if (rc != JOURNAL_OK)
		return rc == JOURNAL_ABSENT ? JOURNAL_OK : rc;
	if (val.mv_size < sizeof(rec))
		return journal_damaged(j, "an idempotency key is damaged");
	memcpy(&rec, val.mv_data, sizeof(rec));
	rc = journal_db_del(j, DB_EXPIRE,
	    journal_key_expire(&key, rec.expire_ms, EXPIRE_KEY, hash, 16));
	return rc == JOURNAL_ABSENT ? JOURNAL_OK : rc;
}

int
journal_key_put(struct journal *j, struct base_slice channel, struct base_slice key,
    const struct journal_place *place, int64_t expire_ms)
{
	struct journal_key_rec rec = {
	    .expire_ms = expire_ms,
	    .stream = place->stream,
	    .offset = place->offset,
	    .channel = (uint32_t)channel.len,
	    .key = (uint32_t)key.len,
	};
	MDB_val at, val = {sizeof(rec) + channel.len + key.len, NULL},
		    none = {0, rec.epoch};
	struct journal_key due;
	unsigned char hash[16];
	char *p;
	int rc;

	base_assert(j->txn != NULL);
	memcpy(rec.epoch, place->epoch, sizeof(rec.epoch));
	journal_hash(j, channel, key, hash);
	at.mv_size = sizeof(hash);
	at.mv_data = hash;
	rc = key_replace(j, hash);
	if (rc == JOURNAL_OK)
		rc = journal_db_put(j, DB_KEYS, &at, &val, MDB_RESERVE);
	if (rc != JOURNAL_OK)
		return rc;
	p = val.mv_data;
	memcpy(p, &rec, sizeof(rec));
	memcpy(p + sizeof(rec), channel.p, channel.len);
	memcpy(p + sizeof(rec) + channel.len, key.p, key.len);
	return journal_db_put(j, DB_EXPIRE,
	    journal_key_expire(&due, expire_ms, EXPIRE_KEY, hash, sizeof(hash)), &none,
	    0);
}

/* ---- the queue lanes ---- */

int
journal_position_put(struct journal *j, uint64_t boot, unsigned slot, uint64_t pos)
{
	base_assert(j->txn != NULL && slot < JOURNAL_SLOTS && boot != 0);
	if (j->failed != JOURNAL_OK)
		return j->failed;
	j->pos[slot] = (struct journal_pos){boot, pos};
	j->dirty = j->pos_dirty = true;
	return JOURNAL_OK;
}

bool
journal_position(struct journal *j, uint64_t boot, unsigned slot, uint64_t *pos_r)
{
	base_assert(slot < JOURNAL_SLOTS && boot != 0);
	if (j->pos[slot].boot != boot)
		return false;
	*pos_r = j->pos[slot].pos;
	return true;
}

/* ---- the note ---- */

static MDB_val *
note_key(struct journal_key *key, uint32_t piece)
{
	unsigned char id[4] = {(unsigned char)(piece >> 24),
	    (unsigned char)(piece >> 16), (unsigned char)(piece >> 8),
	    (unsigned char)piece};

	return journal_key_meta(key, "note", id, sizeof(id));
}

int
journal_note_put(struct journal *j, struct base_slice note)
{
	struct journal_key key;
	uint32_t piece;
	int rc;

	base_assert(j->txn != NULL);
	for (piece = 0; note.len > 0; piece++) {
		MDB_val val = {BASE_MIN(note.len, (size_t)JOURNAL_PIECE),
		    (void *)(uintptr_t)note.p};
		size_t n = val.mv_size;

		rc = journal_db_put(j, DB_META, note_key(&key, piece), &val, 0);
		if (rc != JOURNAL_OK)
			return rc;
		note.p += n;
		note.len -= n;
	}
	/* The note before may have been longer. */
	do
		rc = journal_db_del(j, DB_META, note_key(&key, piece++));
	while (rc == JOURNAL_OK);
	return rc == JOURNAL_ABSENT ? JOURNAL_OK : rc;
}

int
journal_note(struct journal *j, struct base_buf *note_r)
{
	size_t before = note_r->len;
	struct journal_key key;
	uint32_t piece = 0;
	MDB_val val;
	int rc;

	rc = journal_read_begin(j);
	if (rc != JOURNAL_OK)
		return rc;
	for (;;) {
		rc = journal_db_get(j, DB_META, note_key(&key, piece++), &val);
		if (rc != JOURNAL_OK)
			break;
		base_buf_add(note_r, val.mv_data, val.mv_size);
	}
	journal_read_end(j);
	if (rc == JOURNAL_ABSENT && note_r->len > before)
		return JOURNAL_OK;
	note_r->len = before;
	return rc;
}
