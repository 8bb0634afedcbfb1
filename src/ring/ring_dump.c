/*
 * ring_dump: see the header.
 */
#include "config.h"

#include "ring/ring_dump.h"

#include <inttypes.h>

#include "ring/ring_copy.h"
#include "ring/ring_priv.h"

static const char *
type_name(uint16_t type)
{
	switch (type) {
	case 1:
		return "data";
	case 2:
		return "ctrl";
	case RING_PAD:
		return "pad";
	default:
		return "?";
	}
}

/*
 * Prints the record at POS, if one is there; returns where the next may be.
 * Nothing points to the oldest record, but each names its own position, so the
 * search goes line by line until one does.
 */
static uint64_t
dump_record(const struct ring_seg *seg, unsigned slot, uint64_t pos, uint64_t tail,
    FILE *out)
{
	const ring_word *data = ring_seg_data(seg, slot);
	uint64_t words[RING_WORDS], off = pos & (seg->geom.lane_size - 1), len;

	ring_copy_out(words, data + off / sizeof(*data), sizeof(words));
	len = ring_shape_len(words[RING_W_SHAPE]);
	if (words[RING_W_POS] != pos || len < RING_HEAD_BYTES || len > tail - pos)
		return pos + RING_ALIGN;
	fprintf(out, "  %" PRIu64 " %s len=%" PRIu64, pos,
	    type_name(ring_shape_type(words[RING_W_SHAPE])), len);
	if (ring_shape_type(words[RING_W_SHAPE]) != RING_PAD)
		fprintf(out,
		    " seq=%" PRIu64 " chan=%016" PRIx64 " mask=%" PRIx64
		    " offset=%" PRIu64 " name_len=%u origin=%u",
		    words[RING_W_SEQ], words[RING_W_CHAN], words[RING_W_MASK],
		    words[RING_W_OFFSET], (unsigned)(uint32_t)words[RING_W_NAME],
		    (unsigned)(uint16_t)(words[RING_W_NAME] >> 32));
	fputc('\n', out);
	return pos + BASE_ALIGN(len, RING_ALIGN);
}

void
ring_dump(const struct ring_seg *seg, bool records, FILE *out)
{
	const struct ring_seg_head *head = ring_seg_head(seg);
	uint64_t size = seg->geom.lane_size;

	fprintf(out,
	    "segment version=%" PRIu64 " bytes=%" PRIu64 " slots=%u lane_size=%" PRIu64
	    " buckets=%" PRIu64 " boot=%016" PRIx64 "\n",
	    head->version, head->bytes, seg->geom.slots, size, head->buckets,
	    head->boot_id);
	for (unsigned i = 0; i < seg->geom.slots; i++) {
		struct ring_lane_page *page = ring_seg_lane(seg, i);
		uint64_t tail = atomic_load(&page->tail);
		uint64_t intent = atomic_load(&page->intent);
		uint64_t pos = intent > size ? intent - size : 0;

		fprintf(out,
		    "lane %u tail=%" PRIu64 " intent=%" PRIu64 " seq=%" PRIu64
		    " epoch=%" PRIu64 " pid=%" PRIu64 " armed=%" PRIu64 "\n",
		    i, tail, intent, atomic_load(&page->seq), atomic_load(&page->epoch),
		    atomic_load(&page->pid), atomic_load(ring_seg_armed(seg, i)));
		pos = BASE_ALIGN(pos, RING_ALIGN);
		while (records && pos < tail && tail - pos <= size)
			pos = dump_record(seg, i, pos, tail, out);
	}
}
