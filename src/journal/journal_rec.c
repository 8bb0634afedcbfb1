/*
 * journal_rec: a publication as it lies in the spool.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <string.h>

size_t
journal_rec_len(struct base_slice channel, const struct journal_record *rec)
{
	return sizeof(struct journal_spool_rec) + channel.len + rec->user.len +
	    rec->client.len + rec->info.len + rec->data.len;
}

static unsigned char *
text_write(unsigned char *p, struct base_slice s)
{
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return p + s.len;
}

void
journal_rec_write(unsigned char *p, struct base_slice channel, const char *epoch,
    uint64_t offset, const struct journal_record *rec)
{
	struct journal_spool_rec head = {
	    .time_ns = rec->time_ns,
	    .offset = offset,
	    .channel = (uint32_t)channel.len,
	    .user = (uint32_t)rec->user.len,
	    .client = (uint32_t)rec->client.len,
	    .info = (uint32_t)rec->info.len,
	    .data = (uint32_t)rec->data.len,
	};

	memcpy(head.id, rec->id, sizeof(head.id));
	memcpy(head.epoch, epoch, sizeof(head.epoch));
	memcpy(p, &head, sizeof(head));
	p = text_write(p + sizeof(head), channel);
	p = text_write(p, rec->user);
	p = text_write(p, rec->client);
	p = text_write(p, rec->info);
	text_write(p, rec->data);
}

static struct base_slice
text_read(const char **p, uint32_t len)
{
	struct base_slice s = {*p, len};

	*p += len;
	return s;
}

bool
journal_rec_read(MDB_val val, uint64_t number, struct journal_spooled *rec_r)
{
	struct journal_spool_rec head;
	const char *p = val.mv_data;

	if (val.mv_size < sizeof(head))
		return false;
	memcpy(&head, p, sizeof(head));
	if ((uint64_t)head.channel + head.user + head.client + head.info + head.data !=
	    val.mv_size - sizeof(head))
		return false;
	p += sizeof(head);
	rec_r->number = number;
	rec_r->offset = head.offset;
	memcpy(rec_r->epoch, head.epoch, sizeof(head.epoch));
	memcpy(rec_r->rec.id, head.id, sizeof(head.id));
	rec_r->rec.time_ns = head.time_ns;
	rec_r->channel = text_read(&p, head.channel);
	rec_r->rec.user = text_read(&p, head.user);
	rec_r->rec.client = text_read(&p, head.client);
	rec_r->rec.info = text_read(&p, head.info);
	rec_r->rec.data = text_read(&p, head.data);
	return true;
}
