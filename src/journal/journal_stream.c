/*
 * journal_stream: streams, of which those used last are held in memory, and places.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "base/base_rand.h"

/* ---- in memory ---- */

static struct base_slice
slot_name(const struct journal_slot *slot)
{
	return (struct base_slice){slot->name, slot->len};
}

static int
slot_write(struct journal *j, struct journal_slot *slot)
{
	struct base_slice name = slot_name(slot);
	bool hashed = name.len > JOURNAL_KEY_MAX;
	struct journal_key key;
	MDB_val val = {sizeof(slot->rec) + (hashed ? name.len : 0), NULL};
	int rc;

	rc = journal_db_put(
	    j, DB_STREAMS, journal_key_name(j, &key, name), &val, MDB_RESERVE);
	if (rc != JOURNAL_OK)
		return rc;
	memcpy(val.mv_data, &slot->rec, sizeof(slot->rec));
	if (hashed)
		memcpy((char *)val.mv_data + sizeof(slot->rec), name.p, name.len);
	slot->dirty = false;
	return JOURNAL_OK;
}

static int
slot_read(struct journal *j, struct journal_slot *slot)
{
	struct base_slice name = slot_name(slot);
	struct journal_key key;
	MDB_val val;
	int rc;

	rc = journal_db_get(j, DB_STREAMS, journal_key_name(j, &key, name), &val);
	if (rc != JOURNAL_OK)
		return rc;
	if (val.mv_size < sizeof(slot->rec))
		return journal_damaged(j, "a stream is damaged");
	memcpy(&slot->rec, val.mv_data, sizeof(slot->rec));
	if (name.len > JOURNAL_KEY_MAX &&
	    (val.mv_size != sizeof(slot->rec) + name.len ||
		memcmp((char *)val.mv_data + sizeof(slot->rec), name.p, name.len) != 0))
		return journal_damaged(j, "two channels have one hash");
	slot->used = true;
	return JOURNAL_OK;
}

static void
slot_rename(struct journal_slot *slot, struct base_slice name, uint64_t hash)
{
	if (slot->cap < name.len) {
		slot->name = base_realloc(slot->name, name.len, 1);
		slot->cap = name.len;
	}
	if (name.len > 0)
		memcpy(slot->name, name.p, name.len);
	slot->len = name.len;
	slot->hash = hash;
}

int
journal_slot(struct journal *j, struct base_slice channel, struct journal_slot **slot_r)
{
	uint64_t hash = base_hash(&j->hash[0], channel.p, channel.len);
	struct journal_slot *slot = &j->slots[hash % JOURNAL_SLOTS_N];
	int rc;

	*slot_r = slot;
	if (slot->used && slot->hash == hash && slot->len == channel.len &&
	    memcmp(slot->name, channel.p, channel.len) == 0)
		return JOURNAL_OK;
	if (slot->used && slot->dirty) {
		rc = slot_write(j, slot);
		if (rc != JOURNAL_OK)
			return rc;
	}
	slot->used = false;
	slot_rename(slot, channel, hash);
	return slot_read(j, slot);
}

void
journal_slot_dirty(struct journal *j, struct journal_slot *slot)
{
	base_assert(j->txn != NULL && slot->used);
	j->dirty = true;
	slot->dirty = true;
	if (slot->listed)
		return;
	slot->listed = true;
	j->listed[j->n_listed++] = (unsigned short)(slot - j->slots);
}

int
journal_slots_flush(struct journal *j)
{
	for (unsigned i = 0; i < j->n_listed; i++) {
		struct journal_slot *slot = &j->slots[j->listed[i]];
		int rc;

		if (!slot->used || !slot->dirty)
			continue;
		rc = slot_write(j, slot);
		if (rc != JOURNAL_OK)
			return rc;
	}
	return JOURNAL_OK;
}

void
journal_slots_forget(struct journal *j)
{
	for (unsigned i = 0; i < JOURNAL_SLOTS_N; i++)
		j->slots[i].used = j->slots[i].dirty = false;
}

/* ---- life ---- */

int64_t
journal_stream_end(const struct journal_stream_rec *rec, int64_t ttl_ms)
{
	/* A touch is noted when the one before is older than this part. */
	return rec->touched_ms + ttl_ms + ttl_ms / 64;
}

bool
journal_stream_over(
    const struct journal_stream_rec *rec, int64_t ttl_ms, int64_t now_ms)
{
	return ttl_ms > 0 && now_ms >= journal_stream_end(rec, ttl_ms);
}

int
journal_stream_due(struct journal *j, struct journal_slot *slot, int64_t due_ms)
{
	struct journal_stream_rec *rec = &slot->rec;
	struct journal_key key, name;
	unsigned char id[8];
	int rc;

	if (rec->due_ms == due_ms)
		return JOURNAL_OK;
	journal_put64(id, rec->number);
	if (rec->due_ms != 0) {
		rc = journal_db_del(j, DB_EXPIRE,
		    journal_key_expire(
			&key, rec->due_ms, EXPIRE_STREAM, id, sizeof(id)));
		if (rc != JOURNAL_OK && rc != JOURNAL_ABSENT)
			return rc;
	}
	if (due_ms != 0) {
		rc = journal_db_put(j, DB_EXPIRE,
		    journal_key_expire(&key, due_ms, EXPIRE_STREAM, id, sizeof(id)),
		    journal_key_name(j, &name, slot_name(slot)), 0);
		if (rc != JOURNAL_OK)
			return rc;
	}
	rec->due_ms = due_ms;
	journal_slot_dirty(j, slot);
	return JOURNAL_OK;
}

int
journal_stream_drop(struct journal *j, struct journal_slot *slot)
{
	struct journal_key key;
	int rc;

	rc = journal_hist_drop(j, &slot->rec);
	if (rc == JOURNAL_OK)
		rc = journal_stream_due(j, slot, 0);
	if (rc == JOURNAL_OK)
		rc = journal_db_del(
		    j, DB_STREAMS, journal_key_name(j, &key, slot_name(slot)));
	/* One that was made in this transaction may not have been written. */
	if (rc != JOURNAL_OK && rc != JOURNAL_ABSENT)
		return rc;
	j->counts.streams--;
	slot->used = slot->dirty = false;
	return JOURNAL_OK;
}

/* The entry in expire must not stand later than what may be over by then. */
static int
due_before(struct journal *j, struct journal_slot *slot, int64_t due_ms)
{
	if (slot->rec.due_ms != 0 && slot->rec.due_ms <= due_ms)
		return JOURNAL_OK;
	return journal_stream_due(j, slot, due_ms);
}

static int
touch(struct journal *j, struct journal_slot *slot, const struct journal_rules *rules,
    int64_t now_ms)
{
	struct journal_stream_rec *rec = &slot->rec;

	rec->touched_ms = now_ms;
	rec->history_ttl_ms = rules->history_ttl_ms;
	rec->meta_ttl_ms = rules->meta_ttl_ms;
	journal_slot_dirty(j, slot);
	if (rules->meta_ttl_ms <= 0)
		return JOURNAL_OK;
	return due_before(j, slot, journal_stream_end(rec, rules->meta_ttl_ms));
}

static int
create(struct journal *j, struct journal_slot *slot, const struct journal_rules *rules,
    int64_t now_ms)
{
	struct journal_stream_rec *rec = &slot->rec;

	memset(rec, 0, sizeof(*rec));
	rec->number = ++j->counts.stream_last;
	for (unsigned i = 0; i < JOURNAL_EPOCH_LEN; i++)
		rec->epoch[i] = (char)('a' + base_rand_below(26));
	slot->used = true;
	j->counts.streams++;
	return touch(j, slot, rules, now_ms);
}

int
journal_stream(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, int64_t now_ms, struct journal_place *place_r)
{
	struct journal_slot *slot;
	bool created = false;
	int rc;

	base_assert(j->txn != NULL);
	rc = journal_slot(j, channel, &slot);
	if (rc == JOURNAL_OK &&
	    journal_stream_over(&slot->rec, rules->meta_ttl_ms, now_ms)) {
		rc = journal_stream_drop(j, slot);
		if (rc == JOURNAL_OK)
			rc = JOURNAL_ABSENT;
	}
	if (rc == JOURNAL_ABSENT) {
		created = true;
		rc = create(j, slot, rules, now_ms);
	} else if (rc == JOURNAL_OK && rules->meta_ttl_ms > 0 &&
	    now_ms - slot->rec.touched_ms > rules->meta_ttl_ms / 64) {
		rc = touch(j, slot, rules, now_ms);
	}
	if (rc != JOURNAL_OK)
		return rc;
	place_r->stream = slot->rec.number;
	memcpy(place_r->epoch, slot->rec.epoch, sizeof(place_r->epoch));
	place_r->offset = slot->rec.top;
	place_r->created = created;
	j->current = slot;
	return JOURNAL_OK;
}

/* ---- places ---- */

/* Bytes of history that one more publication of the stream of PLACE drops. */
static uint64_t
gain(struct journal *j, const struct journal_rules *rules,
    const struct journal_place *place)
{
	const struct journal_slot *slot = j->current;

	if (slot == NULL || !slot->used || slot->rec.number != place->stream)
		return 0;
	return journal_hist_gain(j, &slot->rec, rules);
}

int
journal_next(struct journal *j, const struct journal_rules *rules, size_t bytes,
    struct journal_place *place)
{
	const struct journal_counts *c = &j->counts;

	base_assert(j->txn != NULL);
	if (j->failed != JOURNAL_OK)
		return j->failed;
	if (rules->archive && c->spool_bytes + c->dead_bytes + bytes > j->spool_limit)
		return JOURNAL_FULL;
	if (rules->history_size > 0 && c->history_bytes + bytes > j->history_limit &&
	    c->history_bytes + bytes - gain(j, rules, place) > j->history_limit)
		return j->failed != JOURNAL_OK ? j->failed : JOURNAL_FULL;
	if (!journal_room_for(j, bytes, rules->archive))
		return JOURNAL_FULL;
	place->offset++;
	return JOURNAL_OK;
}

int
journal_put(struct journal *j, struct base_slice channel,
    const struct journal_rules *rules, const struct journal_place *place,
    struct base_slice json, const struct journal_record *rec, int64_t now_ms)
{
	struct journal_slot *slot;
	int rc;

	base_assert(j->txn != NULL);
	rc = journal_slot(j, channel, &slot);
	if (rc == JOURNAL_ABSENT)
		return journal_damaged(j, "the stream of a place is gone");
	if (rc != JOURNAL_OK)
		return rc;
	base_assert(
	    slot->rec.number == place->stream && slot->rec.top + 1 == place->offset);
	slot->rec.top = place->offset;
	if (rules->history_size > 0)
		rc = journal_hist_put(j, &slot->rec, rules, json, now_ms);
	else
		rc = journal_hist_drop(j, &slot->rec);
	if (rc == JOURNAL_OK)
		rc = touch(j, slot, rules, now_ms);
	if (rc == JOURNAL_OK && rules->history_size > 0 && rules->history_ttl_ms > 0)
		rc = due_before(j, slot, now_ms + rules->history_ttl_ms);
	if (rc == JOURNAL_OK && rules->archive)
		rc = journal_spool_put(j, channel, place, rec);
	return rc;
}
