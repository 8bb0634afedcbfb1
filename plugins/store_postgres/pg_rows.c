/*
 * pg_rows: messages in the binary forms of PostgreSQL's types.
 *
 * The same bytes stand in COPY's binary format and as elements of arrays.  Binary
 * because nothing has to be escaped, and it costs the server less: numbers, times and
 * ids are not parsed.
 *
 *	COPY:	PGCOPY\n\377\r\n\0 | flags 4 | extension 4 |
 *		rows: columns 2 | for each: length 4, bytes; NULL: -1 | -1 of 2 bytes
 *	array:	dimensions 4 | has NULLs 4 | type 4 | n 4 | first index 4 | elements
 */
#include "pg_store.h"

#include <string.h>

/* Microseconds from 1970 to 2000, where timestamptz counts from. */
#define EPOCH_2000 INT64_C(946684800000000)

#define NO_VALUE 0xffffffffu

enum column { ID, CHANNEL, EPOCH, OFFSET, TIME, USER, CLIENT, INFO, DATA, BYTES };

/* The type of an element, by pg_type.dat. */
static const uint32_t types[PG_N_COLUMNS] = {
    [ID] = 2950,
    [CHANNEL] = 25,
    [EPOCH] = 25,
    [OFFSET] = 20,
    [TIME] = 1184,
    [USER] = 25,
    [CLIENT] = 25,
    [INFO] = 114,
    [DATA] = 114,
    [BYTES] = 17,
};

const char pg_row_unnest[] =
    "unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], "
    "$6::text[], $7::text[], $8::json[], $9::json[], $10::bytea[])";

static bool
has_nul(struct chatd_bytes bytes)
{
	return bytes.len > 0 && memchr(bytes.p, 0, bytes.len) != NULL;
}

int
pg_row_check(const struct chatd_record *rec, const char **why_r)
{
	if (rec->offset > INT64_MAX) {
		*why_r = "its offset is no bigint";
		return CHATD_BADMSG;
	}
	if (has_nul(rec->channel) || has_nul(rec->epoch) || has_nul(rec->user) ||
	    has_nul(rec->client) || has_nul(rec->info) ||
	    ((rec->flags & CHATD_REC_BINARY) == 0 && has_nul(rec->data))) {
		*why_r = "a text has a NUL character, which the database cannot hold";
		return CHATD_BADMSG;
	}
	return 0;
}

static void
text(struct pg_buf *b, struct chatd_bytes bytes)
{
	pg_buf_u32(b, (uint32_t)bytes.len);
	pg_buf_add(b, bytes.p, bytes.len);
}

static void
text_or_null(struct pg_buf *b, struct chatd_bytes bytes, bool null)
{
	if (null)
		pg_buf_u32(b, NO_VALUE);
	else
		text(b, bytes);
}

void
pg_row_element(struct pg_buf *b, int column, const struct chatd_record *rec)
{
	bool binary = (rec->flags & CHATD_REC_BINARY) != 0;

	switch ((enum column)column) {
	case ID:
		pg_buf_u32(b, sizeof(rec->id));
		pg_buf_add(b, rec->id, sizeof(rec->id));
		return;
	case CHANNEL:
		text(b, rec->channel);
		return;
	case EPOCH:
		text(b, rec->epoch);
		return;
	case OFFSET:
		pg_buf_u32(b, 8);
		pg_buf_u64(b, rec->offset);
		return;
	case TIME:
		pg_buf_u32(b, 8);
		pg_buf_u64(b, (uint64_t)((int64_t)(rec->time / 1000) - EPOCH_2000));
		return;
	case USER:
		text(b, rec->user);
		return;
	case CLIENT:
		text(b, rec->client);
		return;
	case INFO:
		text_or_null(b, rec->info, rec->info.len == 0);
		return;
	case DATA:
		text_or_null(b, rec->data, binary || rec->data.len == 0);
		return;
	case BYTES:
		text_or_null(b, rec->data, !binary);
		return;
	}
}

void
pg_row_copy_begin(struct pg_buf *b)
{
	static const char head[] = "PGCOPY\n\377\r\n"; /* and its NUL */

	pg_buf_add(b, head, sizeof(head));
	pg_buf_u32(b, 0);
	pg_buf_u32(b, 0);
}

void
pg_row_copy(struct pg_buf *b, const struct chatd_record *rec)
{
	int i;

	pg_buf_u16(b, PG_N_COLUMNS);
	for (i = 0; i < PG_N_COLUMNS; i++)
		pg_row_element(b, i, rec);
}

void
pg_row_copy_end(struct pg_buf *b)
{
	pg_buf_u16(b, UINT16_MAX);
}

void
pg_row_array(struct pg_buf *b, int column, size_t n)
{
	pg_buf_u32(b, 1);
	pg_buf_u32(b, 1);
	pg_buf_u32(b, types[column]);
	pg_buf_u32(b, (uint32_t)n);
	pg_buf_u32(b, 1);
}
