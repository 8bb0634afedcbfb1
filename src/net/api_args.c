/*
 * api_args: what the body of a request says; see api.h.
 */
#include "config.h"

#include "net/api.h"
#include "proto/json_rd.h"
#include "proto/utf8.h"

static const struct api_member since_members[] = {
    {"offset", API_UINT, offsetof(struct api_args, offset), false},
    {"epoch", API_TEXT, offsetof(struct api_args, epoch), false},
};

struct reader {
	struct json_rd rd;
	struct base_buf *scratch;
	struct api_args *args;
};

static bool read_members(struct reader *r, const struct api_member *members, size_t n,
    uint32_t *seen_r);

/* The value at the cursor, which is of TYPE with SPAN as its bytes. */
static bool
store(struct reader *r, const struct api_member *m, enum json_type type,
    struct base_slice span)
{
	void *to = (char *)r->args + m->at;
	struct reader inner = *r;
	uint32_t seen;

	switch (m->type) {
	case API_TEXT:
		if (type != JSON_STRING)
			return false;
		*(struct base_slice *)to = json_text(span, r->scratch);
		return true;
	case API_RAW:
		*(struct base_slice *)to = span;
		return true;
	case API_INT:
		return type == JSON_NUMBER && json_int(span, INT64_MIN, INT64_MAX, to);
	case API_UINT:
		return type == JSON_NUMBER && json_uint(span, UINT64_MAX, to);
	case API_BOOL:
		*(bool *)to = type == JSON_TRUE;
		return type == JSON_TRUE || type == JSON_FALSE;
	case API_SINCE:
		*(bool *)to = true;
		json_rd_init(&inner.rd, span.p, span.len);
		return read_members(
		    &inner, since_members, BASE_COUNT(since_members), &seen);
	}
	return false;
}

static const struct api_member *
find(const struct api_member *members, size_t n, struct base_slice name)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(members[i].name) == name.len &&
		    memcmp(members[i].name, name.p, name.len) == 0)
			return &members[i];
	return NULL;
}

/* Members that are not known are passed over; null is an absent one, save where any
 * JSON may stand. */
static bool
read_members(struct reader *r, const struct api_member *members, size_t n,
    uint32_t *seen_r)
{
	char room[JSON_KEY_ROOM];
	const struct api_member *m;
	struct base_slice key, span;
	enum json_type type;
	bool first = true;

	*seen_r = 0;
	if (!json_rd_object(&r->rd))
		return false;
	while (json_rd_member(&r->rd, &first, &key)) {
		m = find(members, n, json_key(key, room));
		type = json_rd_value(&r->rd, &span);
		if (type == JSON_BAD)
			return false;
		if (m == NULL || (type == JSON_NULL && m->type != API_RAW))
			continue;
		if ((*seen_r & 1u << (m - members)) != 0 || !store(r, m, type, span))
			return false;
		*seen_r |= 1u << (m - members);
	}
	return json_rd_end(&r->rd);
}

/* There, and not an empty text. */
static bool
given(const struct api_member *m, const struct api_args *args)
{
	const struct base_slice *text = (const void *)((const char *)args + m->at);

	return (m->type != API_TEXT && m->type != API_RAW) || text->len > 0;
}

bool
api_args_read(const struct api_method *method, struct base_slice body,
    struct base_buf *scratch, struct api_args *args, bool *missing_r)
{
	struct reader r = {.scratch = scratch, .args = args};
	uint32_t seen;

	*args = (struct api_args){0};
	*missing_r = false;
	if (body.len == 0 || !utf8_valid(body.p, body.len))
		return false;
	/* Enough for all of its strings: none of them moves. */
	base_buf_room(scratch, body.len);
	json_rd_init(&r.rd, body.p, body.len);
	if (!read_members(&r, method->members, method->n_members, &seen))
		return false;
	for (size_t i = 0; i < method->n_members; i++) {
		const struct api_member *m = &method->members[i];

		if (m->needed && ((seen & 1u << i) == 0 || !given(m, args)))
			*missing_r = true;
	}
	return true;
}
