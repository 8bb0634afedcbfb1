/*
 * plug_batch: see the header.
 *
 *	block: struct block | n pointers | n records | bytes
 */
#include "config.h"

#include "plug/plug_batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

struct block {
	struct chatd_batch batch;
	atomic_uint refs;
};

/* The fields of a record that point to bytes. */
static const size_t bytes_at[] = {
    offsetof(struct chatd_record, channel),
    offsetof(struct chatd_record, epoch),
    offsetof(struct chatd_record, user),
    offsetof(struct chatd_record, client),
    offsetof(struct chatd_record, info),
    offsetof(struct chatd_record, data),
};

static struct chatd_bytes *
bytes_of(struct chatd_record *rec, size_t i)
{
	return (void *)((char *)rec + bytes_at[i]);
}

static size_t
bytes_in(const struct chatd_record *rec)
{
	return rec->channel.len + rec->epoch.len + rec->user.len + rec->client.len +
	    rec->info.len + rec->data.len;
}

/* Copies what REC points to, to AT; returns the end. */
static char *
move_bytes(struct chatd_record *rec, char *at)
{
	struct chatd_bytes *bytes;
	size_t i;

	for (i = 0; i < BASE_COUNT(bytes_at); i++) {
		bytes = bytes_of(rec, i);
		if (bytes->len > 0)
			memcpy(at, bytes->p, bytes->len);
		bytes->p = at;
		at += bytes->len;
	}
	return at;
}

struct chatd_batch *
plug_batch_new(const struct chatd_record *const *recs, size_t n, uint64_t token)
{
	const struct chatd_record **pointers;
	struct chatd_record *copies;
	struct block *block;
	size_t i, bytes = 0;
	char *at;

	base_assert(n > 0);
	for (i = 0; i < n; i++) {
		base_assert(recs[i]->size == sizeof(*copies));
		bytes += bytes_in(recs[i]);
	}
	block = base_malloc(
	    sizeof(*block) + n * (sizeof(*pointers) + sizeof(*copies)) + bytes);
	pointers = (void *)(block + 1);
	copies = (void *)(pointers + n);
	at = (char *)(copies + n);
	for (i = 0; i < n; i++) {
		copies[i] = *recs[i];
		at = move_bytes(&copies[i], at);
		pointers[i] = &copies[i];
	}
	block->batch = (struct chatd_batch){
	    .size = sizeof(block->batch), .token = token, .recs = pointers, .n = n};
	atomic_init(&block->refs, 1);
	return &block->batch;
}

/* Plugins see the batch as constant; the count beside it is not. */
static struct block *
block_of(const struct chatd_batch *batch)
{
	return BASE_CONTAINER((uintptr_t)batch, struct block, batch);
}

void
plug_batch_ref(const struct chatd_batch *batch)
{
	unsigned before = atomic_fetch_add_explicit(
	    &block_of(batch)->refs, 1, memory_order_relaxed);

	base_assert(before > 0);
}

void
plug_batch_unref(const struct chatd_batch *batch)
{
	struct block *block = block_of(batch);
	/* Whoever frees has to see what the others did with it before. */
	unsigned before = atomic_fetch_sub_explicit(
	    &block->refs, 1, memory_order_acq_rel);

	base_assert(before > 0);
	if (before == 1)
		free(block);
}
