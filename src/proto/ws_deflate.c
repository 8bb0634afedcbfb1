/*
 * ws_deflate: see the header.  Section numbers are those of RFC 7692.
 */
#include "config.h"

#include "proto/ws_deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/base_assert.h"
#include "base/base_mem.h"
#include "proto/ws_frame.h"

#define BITS_MIN      9
#define BITS_MAX      15
#define MEM_LEVEL_MIN 3
#define FLUSH_LEN     4 /* 00 00 ff ff: what Z_SYNC_FLUSH ends with */
#define ROOM_MIN      256

struct ws_deflate {
	int level;
	bool inflating; /* the inflate stream exists */
	bool deflating[BITS_MAX + 1];
	z_stream inflate, deflate[BITS_MAX + 1]; /* by window bits */
	size_t bytes;
};

static const uint8_t flush_tail[FLUSH_LEN] = {0x00, 0x00, 0xff, 0xff};

/* zlib does not say how much it gives back, so each piece has its size before it. */
union piece {
	size_t size;
	max_align_t align;
};

static voidpf
piece_alloc(voidpf opaque, uInt items, uInt size)
{
	struct ws_deflate *d = opaque;
	size_t n = sizeof(union piece) + (size_t)items * size;
	union piece *piece = base_malloc(n);

	piece->size = n;
	d->bytes += n;
	return piece + 1;
}

static void
piece_free(voidpf opaque, voidpf address)
{
	struct ws_deflate *d = opaque;
	union piece *piece = (union piece *)address - 1;

	d->bytes -= piece->size;
	free(piece);
}

static z_stream
empty_stream(struct ws_deflate *d)
{
	return (z_stream){.zalloc = piece_alloc, .zfree = piece_free, .opaque = d};
}

struct ws_deflate *
ws_deflate_new(int level)
{
	struct ws_deflate *d = base_zalloc(sizeof(*d));

	d->level = level;
	return d;
}

static void
free_deflaters(struct ws_deflate *d)
{
	unsigned bits;

	for (bits = BITS_MIN; bits <= BITS_MAX; bits++) {
		if (d->deflating[bits])
			deflateEnd(&d->deflate[bits]);
		d->deflating[bits] = false;
	}
}

void
ws_deflate_free(struct ws_deflate *d)
{
	if (d == NULL)
		return;
	free_deflaters(d);
	if (d->inflating)
		inflateEnd(&d->inflate);
	base_assert(d->bytes == 0);
	free(d);
}

void
ws_deflate_set_level(struct ws_deflate *d, int level)
{
	if (level != d->level)
		free_deflaters(d);
	d->level = level;
}

size_t
ws_deflate_bytes(const struct ws_deflate *d)
{
	return d->bytes;
}

/*
 * zlib's hash table has 2^(level + 7) entries, and each time the window is full it goes
 * through all of them.  As many as the window is long is enough; with the default of
 * 2^15 a client that asks for the smallest window would make us four times slower.
 */
static int
mem_level(unsigned bits)
{
	return BASE_MAX((int)bits - 7, MEM_LEVEL_MIN);
}

static z_stream *
deflater(struct ws_deflate *d, unsigned bits)
{
	z_stream *z = &d->deflate[bits];
	int rc;

	if (d->deflating[bits]) {
		rc = deflateReset(z);
	} else {
		*z = empty_stream(d);
		rc = deflateInit2(z, d->level, Z_DEFLATED, -(int)bits,
		    mem_level(bits), Z_DEFAULT_STRATEGY);
		d->deflating[bits] = true;
	}
	base_assert(rc == Z_OK);
	return z;
}

void
ws_deflate_message(struct ws_deflate *d, unsigned bits, struct base_slice data,
    struct base_buf *out)
{
	z_stream *z;
	size_t room;

	base_assert(bits >= BITS_MIN && bits <= BITS_MAX && data.len <= UINT_MAX / 2);
	z = deflater(d, bits);
	z->next_in = (Bytef *)(uintptr_t)data.p;
	z->avail_in = (uInt)data.len;
	room = deflateBound(z, data.len) + 16;
	do {
		z->next_out = (Bytef *)base_buf_room(out, room);
		z->avail_out = (uInt)room;
		deflate(z, Z_SYNC_FLUSH); /* cannot fail; no progress is the end */
		out->len += room - z->avail_out;
		room = ROOM_MIN;
	} while (z->avail_out == 0);
	base_assert(z->avail_in == 0 && out->len >= FLUSH_LEN);
	out->len -= FLUSH_LEN; /* 7.2.1 */
}

static z_stream *
inflater(struct ws_deflate *d)
{
	z_stream *z = &d->inflate;
	int rc;

	if (d->inflating) {
		rc = inflateReset(z);
	} else {
		*z = empty_stream(d);
		rc = inflateInit2(z, -BITS_MAX);
		d->inflating = true;
	}
	base_assert(rc == Z_OK);
	return z;
}

/*
 * Inflates all of the N bytes at P.  OUT may get one byte more than MAX, which shows
 * that there is more.  *ENDED_R: the last block so far had BFINAL set.  Output may
 * wait in the stream for the next piece; then it does not stand at a block's end.
 */
static int
inflate_piece(z_stream *z, const void *p, size_t n, size_t max, struct base_buf *out,
    bool *ended_r)
{
	size_t room;
	int rc;

	z->next_in = (Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)n;
	do {
		room = BASE_MAX(out->cap - out->len, (size_t)ROOM_MIN);
		room = BASE_MIN(room, max - out->len + 1);
		z->next_out = (Bytef *)base_buf_room(out, room);
		z->avail_out = (uInt)room;
		rc = inflate(z, Z_SYNC_FLUSH);
		out->len += room - z->avail_out;
		if (out->len > max)
			return -WS_CODE_TOO_BIG;
		*ended_r = rc == Z_STREAM_END;
		if (*ended_r)
			rc = inflateReset(z);
		if (rc != Z_OK && rc != Z_BUF_ERROR)
			return -WS_CODE_DATA;
	} while (z->avail_in > 0);
	return 0;
}

/* zlib tells where it stands: between two blocks (128), and no bits left (0..63). */
static bool
at_block_end(const z_stream *z)
{
	return (z->data_type & 128) != 0 && (z->data_type & 63) == 0;
}

int
ws_inflate_message(struct ws_deflate *d, struct base_slice data, size_t max,
    struct base_buf *out)
{
	z_stream *z = inflater(d);
	bool ended;
	int rc;

	out->len = 0;
	max = BASE_MIN(max, (size_t)UINT_MAX / 2);
	if (data.len > UINT_MAX)
		return -WS_CODE_TOO_BIG;
	if (data.len == 0)
		return 0;
	rc = inflate_piece(z, data.p, data.len, max, out, &ended);
	if (rc != 0 || ended || at_block_end(z))
		return rc;
	rc = inflate_piece(z, flush_tail, FLUSH_LEN, max, out, &ended); /* 7.2.2 */
	if (rc == 0 && !at_block_end(z))
		rc = -WS_CODE_DATA;
	return rc;
}
