/*
 * fuzz_deflate: compressed messages.  The first byte chooses a window and a limit.
 *
 * The rest is inflated as what a client sent: bounded, and the same as zlib does it in
 * one step.  Then it is deflated as a message of ours, and zlib and we read it back.
 */
#include "config.h"

#include <zlib.h>

#include "fuzz.h"
#include "proto/ws_deflate.h"
#include "proto/ws_frame.h"

#define OUT_MAX (1 << 13)

static char oracle_out[OUT_MAX + 1];

/*
 * zlib's reading of DATA and the bytes 00 00 ff ff, in one buffer: the length, -1 when
 * it is damaged, -2 when it does not fit OUT_MAX.  A message that breaks off within a
 * block is not an error to zlib: *OPEN_R.
 */
static long
oracle_inflate(const uint8_t *data, size_t size, unsigned bits, bool *open_r)
{
	static z_stream z;
	uint8_t *in = malloc(size + 4);
	int rc;

	FUZZ_CHECK(in != NULL);
	rc = z.state == NULL ? inflateInit2(&z, -15) : Z_OK;
	FUZZ_CHECK(rc == Z_OK && inflateReset2(&z, -(int)bits) == Z_OK);
	memcpy(in, data, size);
	memcpy(in + size, "\x00\x00\xff\xff", 4);
	z.next_in = in;
	z.avail_in = (uInt)size + 4;
	z.next_out = (Bytef *)oracle_out;
	z.avail_out = sizeof(oracle_out);
	do {
		rc = inflate(&z, Z_SYNC_FLUSH);
		if (rc == Z_STREAM_END)
			inflateReset(&z);
	} while (rc == Z_STREAM_END && z.avail_in > 0 && z.avail_out > 0);
	*open_r = (z.data_type & 128) == 0;
	free(in);
	if (rc == Z_DATA_ERROR)
		return -1;
	return z.avail_out == 0 ? -2 : (long)(sizeof(oracle_out) - z.avail_out);
}

static void
check_inflate(struct ws_deflate *d, const uint8_t *data, size_t size, size_t max)
{
	struct base_slice in = {(const char *)data, size};
	struct base_buf out = {0};
	bool open;
	long want = oracle_inflate(data, size, 15, &open);
	int rc = ws_inflate_message(d, in, max, &out);

	FUZZ_CHECK(rc == 0 || rc == -WS_CODE_DATA || rc == -WS_CODE_TOO_BIG);
	FUZZ_CHECK(out.cap <= 2 * (max + 1) + 512);
	if (rc == 0) {
		/* The four bytes that zlib saw after a whole last block do no harm. */
		FUZZ_CHECK(out.len <= max && want == (long)out.len);
		FUZZ_CHECK(out.len == 0 || memcmp(out.p, oracle_out, out.len) == 0);
	} else if (rc == -WS_CODE_TOO_BIG) {
		FUZZ_CHECK(out.len == max + 1);
		FUZZ_CHECK(memcmp(out.p, oracle_out, max + 1) == 0);
	} else {
		FUZZ_CHECK(want == -1 || open);
	}
	base_buf_free(&out);
}

static void
check_deflate(struct ws_deflate *d, const uint8_t *data, size_t size, unsigned bits)
{
	struct base_slice in = {(const char *)data, size};
	struct base_buf packed = {0}, out = {0};
	struct base_slice sent;
	bool open;

	ws_deflate_message(d, bits, in, &packed);
	FUZZ_CHECK(packed.len > 0 && packed.len <= size + size / 8 + 16);
	FUZZ_CHECK(oracle_inflate((uint8_t *)packed.p, packed.len, bits, &open) ==
	    (long)size);
	FUZZ_CHECK(!open && (size == 0 || memcmp(oracle_out, data, size) == 0));
	sent = (struct base_slice){packed.p, packed.len};
	FUZZ_CHECK(ws_inflate_message(d, sent, size, &out) == 0 && out.len == size);
	FUZZ_CHECK(size == 0 || memcmp(out.p, data, size) == 0);
	if (size > 0)
		FUZZ_CHECK(ws_inflate_message(d, sent, size - 1, &out) ==
		    -WS_CODE_TOO_BIG);
	base_buf_free(&packed);
	base_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t limits[] = {0, 5, 1000, OUT_MAX};
	static struct ws_deflate *d;
	static size_t most;

	if (size == 0)
		return 0;
	if (d == NULL)
		d = ws_deflate_new(6);
	check_inflate(d, data + 1, size - 1, limits[data[0] >> 3 & 3]);
	check_deflate(d, data + 1, size - 1, 9 + (data[0] & 7) % 7);
	most = BASE_MAX(most, ws_deflate_bytes(d));
	FUZZ_CHECK(most < 8u * (280u << 10)); /* seven windows and the inflater */
	return 0;
}
