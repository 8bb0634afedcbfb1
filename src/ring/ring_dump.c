/*
 * ring_dump: see the header.
 */
#include "config.h"

#include "ring/ring_dump.h"

#include <inttypes.h>

#include "ring/ring_priv.h"
#include "ring/ring_queue.h"
#include "ring/ring_rec.h"

static const char *
type_name(uint16_t type)
{
	switch (type) {
	case RING_DATA:
		return "data";
	case RING_CTRL:
		return "ctrl";
	case RING_PAD:
		return "pad";
	default:
		return "?";
	}
}

/*
 * Prints the record at POS, if one is there; returns where the next may be.
 * Nothing points to the oldest record of a lane, but each names its own position,
 * so the search goes line by line until one does.
 */
static uint64_t
dump_record(const ring_word *data, uint64_t size, uint64_t pos, uint64_t tail,
    FILE *out)
{
	struct ring_peek p;

	ring_rec_peek(data, size, pos, &p);
	if (!ring_rec_believe(&p, pos, tail, size))
		return pos + RING_ALIGN;
	fprintf(out, "  %" PRIu64 " %s len=%u", pos, type_name(p.type),
	    (unsigned)p.len);
	if (p.type != RING_PAD) {
		struct ring_head head;

		ring_rec_show(&p, &head);
		fprintf(out,
		    " seq=%" PRIu64 " chan=%016" PRIx64 " mask=%" PRIx64
		    " offset=%" PRIu64 " name_len=%u origin=%u",
		    head.seq, head.chan, head.mask, head.offset,
		    (unsigned)head.name_len, (unsigned)head.origin);
	}
	fputc('\n', out);
	return pos + p.need;
}

/* Records that lie in DATA from POS to TAIL; nothing if no lane can be so. */
static void
dump_records(const ring_word *data, uint64_t size, uint64_t pos, uint64_t tail,
    FILE *out)
{
	pos = BASE_ALIGN(pos, RING_ALIGN);
	while (pos < tail && tail - pos <= size)
		pos = dump_record(data, size, pos, tail, out);
}

/* What SENDER of the queue of SLOT has sent, and how far the other side is. */
static void
dump_queue(const struct ring_seg *seg, unsigned slot, unsigned sender, bool records,
    FILE *out)
{
	const struct ring_queue_page *from = ring_seg_queue(seg, slot, sender);
	const struct ring_queue_page *to = ring_seg_queue(seg, slot, 1 - sender);
	uint64_t done = ring_get(&to->done), tail = ring_get(&from->tail);

	fprintf(out,
	    "queue %u %s done=%" PRIu64 " tail=%" PRIu64 " marks=%" PRIu64 ":%" PRIu64
	    ",%" PRIu64 ":%" PRIu64 " senders=%" PRIu64 " takers=%" PRIu64 "\n",
	    slot, sender == RING_QUEUE_CLIENT ? "request" : "reply", done, tail,
	    ring_get(&from->marks[0].end), ring_get(&from->marks[0].seq),
	    ring_get(&from->marks[1].end), ring_get(&from->marks[1].seq),
	    ring_get(&from->sender), ring_get(&to->taker));
	if (records)
		dump_records(ring_seg_queue_data(seg, slot, sender),
		    seg->geom.queue_size, done, tail, out);
}

static void
dump_lane(const struct ring_seg *seg, unsigned slot, bool records, FILE *out)
{
	const struct ring_lane_page *page = ring_seg_lane(seg, slot);
	uint64_t tail = ring_get(&page->tail), intent = ring_get(&page->intent);
	uint64_t size = seg->geom.lane_size;

	fprintf(out,
	    "lane %u tail=%" PRIu64 " intent=%" PRIu64 " seq=%" PRIu64
	    " epoch=%" PRIu64 " pid=%" PRIu64 " armed=%" PRIu64 "\n",
	    slot, tail, intent, ring_get(&page->seq), ring_get(&page->epoch),
	    ring_get(&page->pid), ring_get(ring_seg_armed(seg, slot)));
	if (records)
		dump_records(ring_seg_data(seg, slot), size,
		    intent > size ? intent - size : 0, tail, out);
}

void
ring_dump(const struct ring_seg *seg, bool records, FILE *out)
{
	const struct ring_seg_head *head = ring_seg_head(seg);

	fprintf(out,
	    "segment version=%" PRIu64 " bytes=%" PRIu64 " slots=%u lanes=%u"
	    " lane_size=%" PRIu64 " queue_size=%" PRIu64 " buckets=%" PRIu64
	    " boot=%016" PRIx64 "\n",
	    head->version, head->bytes, seg->geom.slots, seg->geom.lanes,
	    seg->geom.lane_size, head->queue_size, head->buckets, head->boot_id);
	for (unsigned i = 0; i < seg->geom.lanes; i++)
		dump_lane(seg, i, records, out);
	for (unsigned i = seg->geom.lanes; i < seg->geom.slots; i++)
		fprintf(out, "slot %u armed=%" PRIu64 "\n", i,
		    ring_get(ring_seg_armed(seg, i)));
	if (seg->geom.queue_size == 0)
		return;
	for (unsigned i = 0; i < seg->geom.slots; i++) {
		if (i == ring_seg_broker(seg))
			continue;
		dump_queue(seg, i, RING_QUEUE_CLIENT, records, out);
		dump_queue(seg, i, RING_QUEUE_BROKER, records, out);
	}
}
