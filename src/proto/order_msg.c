/*
 * order_msg: bodies of queue records.
 *
 * Fixed part, in the machine's own order:
 *   0 kind, 4 flags, 8 code, 12 limit, 16 req, 24 offset, 32 number,
 *   40 length of each text, 32 bits each
 */
#include "config.h"

#include "proto/order_msg.h"

#include <string.h>

#include "base/base_assert.h"

#define X(name) +1
enum { TEXTS = 0 ORDER_TEXTS(X) };
#undef X

#define AT_LENGTHS 40
#define FIXED_LEN  (AT_LENGTHS + TEXTS * 4)

_Static_assert(FIXED_LEN <= ORDER_FIXED_MAX, "room for the fixed part");
_Static_assert(TEXTS + 1 <= ORDER_IOV, "pieces of a body");

struct fixed {
	uint32_t kind, flags;
	int32_t code, limit;
	uint64_t req, offset, number;
};

_Static_assert(sizeof(struct fixed) == AT_LENGTHS, "no gaps in the fixed part");

/* The texts of MSG, in their order. */
static void
list_texts(const struct order_msg *msg, const struct base_slice *texts[TEXTS])
{
	size_t n = 0;

#define X(name) texts[n++] = &msg->name;
	ORDER_TEXTS(X)
#undef X
}

static void
put_fixed(const struct order_msg *msg, const struct base_slice *const texts[TEXTS],
    char fixed[ORDER_FIXED_MAX])
{
	const struct fixed f = {(uint32_t)msg->kind, msg->flags, msg->code, msg->limit,
	    msg->req, msg->offset, msg->number};
	uint32_t len;

	memcpy(fixed, &f, sizeof(f));
	for (size_t i = 0; i < TEXTS; i++) {
		base_assert(texts[i]->len <= UINT32_MAX);
		len = (uint32_t)texts[i]->len;
		memcpy(fixed + AT_LENGTHS + i * sizeof(len), &len, sizeof(len));
	}
}

int
order_msg_pieces(const struct order_msg *msg, char fixed[ORDER_FIXED_MAX],
    struct iovec iov[ORDER_IOV], size_t *len_r)
{
	const struct base_slice *texts[TEXTS];
	size_t len = FIXED_LEN;
	int n = 0;

	list_texts(msg, texts);
	put_fixed(msg, texts, fixed);
	iov[n++] = (struct iovec){fixed, FIXED_LEN};
	for (size_t i = 0; i < TEXTS; i++) {
		if (texts[i]->len == 0)
			continue;
		iov[n++] =
		    (struct iovec){(void *)(uintptr_t)texts[i]->p, texts[i]->len};
		len += texts[i]->len;
	}
	*len_r = len;
	return n;
}

void
order_msg_encode(const struct order_msg *msg, struct base_buf *out)
{
	char fixed[ORDER_FIXED_MAX];
	struct iovec iov[ORDER_IOV];
	size_t len;
	int n = order_msg_pieces(msg, fixed, iov, &len);

	base_buf_room(out, len);
	for (int i = 0; i < n; i++)
		base_buf_add(out, iov[i].iov_base, iov[i].iov_len);
}

bool
order_msg_decode(
    struct base_slice channel, struct base_slice body, struct order_msg *msg_r)
{
	struct base_slice texts[TEXTS];
	struct fixed f;
	size_t at = FIXED_LEN, n = 0;
	uint32_t len;

	if (body.len < FIXED_LEN)
		return false;
	memcpy(&f, body.p, sizeof(f));
	if (f.kind <= ORDER_NONE || f.kind >= ORDER_KINDS_N)
		return false;
	for (size_t i = 0; i < TEXTS; i++) {
		memcpy(&len, body.p + AT_LENGTHS + i * sizeof(len), sizeof(len));
		if (len > body.len - at)
			return false;
		texts[i] = (struct base_slice){body.p + at, len};
		at += len;
	}
	if (at != body.len)
		return false;
	*msg_r = (struct order_msg){
	    .kind = (enum order_kind)f.kind,
	    .flags = f.flags,
	    .code = f.code,
	    .limit = f.limit,
	    .req = f.req,
	    .offset = f.offset,
	    .number = f.number,
	    .channel = channel,
	};
#define X(name) msg_r->name = texts[n++];
	ORDER_TEXTS(X)
#undef X
	return true;
}

const char *
order_kind_name(enum order_kind kind)
{
	static const char *const names[] = {
	    [ORDER_NONE] = "NONE",
#define X(name, text) [ORDER_##name] = #name,
	    ORDER_KINDS(X)
#undef X
	};

	base_assert((size_t)kind < BASE_COUNT(names));
	return names[kind];
}

/* ---- lists ---- */

/* Cuts N bytes off LIST into P; false: there are not as many. */
static bool
cut(struct base_slice *list, size_t n, const char **p)
{
	if (list->len < n)
		return false;
	*p = list->p;
	list->p += n;
	list->len -= n;
	return true;
}

void
order_pub_add(struct base_buf *list, const struct order_pub *pub)
{
	uint32_t len = (uint32_t)pub->json.len;

	base_assert(pub->json.len <= UINT32_MAX);
	base_buf_room(list, sizeof(pub->offset) + sizeof(len) + len);
	base_buf_add(list, &pub->offset, sizeof(pub->offset));
	base_buf_add(list, &len, sizeof(len));
	base_buf_add(list, pub->json.p, len);
}

int
order_pub_next(struct base_slice *list, struct order_pub *pub_r)
{
	const char *p;
	uint32_t len;

	if (list->len == 0)
		return 0;
	if (!cut(list, sizeof(pub_r->offset) + sizeof(len), &p))
		return -1;
	memcpy(&pub_r->offset, p, sizeof(pub_r->offset));
	memcpy(&len, p + sizeof(pub_r->offset), sizeof(len));
	if (!cut(list, len, &p))
		return -1;
	pub_r->json = (struct base_slice){p, len};
	return 1;
}

void
order_pair_add(struct base_buf *list, const struct order_pair *pair)
{
	const uint32_t len[2] = {(uint32_t)pair->name.len, (uint32_t)pair->value.len};

	base_assert(pair->name.len <= UINT32_MAX && pair->value.len <= UINT32_MAX);
	base_buf_room(list, sizeof(pair->number) + sizeof(len) + len[0] + len[1]);
	base_buf_add(list, &pair->number, sizeof(pair->number));
	base_buf_add(list, len, sizeof(len));
	base_buf_add(list, pair->name.p, len[0]);
	base_buf_add(list, pair->value.p, len[1]);
}

int
order_pair_next(struct base_slice *list, struct order_pair *pair_r)
{
	const char *p;
	uint32_t len[2];

	if (list->len == 0)
		return 0;
	if (!cut(list, sizeof(pair_r->number) + sizeof(len), &p))
		return -1;
	memcpy(&pair_r->number, p, sizeof(pair_r->number));
	memcpy(len, p + sizeof(pair_r->number), sizeof(len));
	if (!cut(list, (size_t)len[0] + len[1], &p))
		return -1;
	pair_r->name = (struct base_slice){p, len[0]};
	pair_r->value = (struct base_slice){p + len[0], len[1]};
	return 1;
}
