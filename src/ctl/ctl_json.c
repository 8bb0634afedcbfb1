/*
 * ctl_json: see the header.
 */
#include "config.h"

#include "ctl/ctl_json.h"

#include <string.h>

#include "base/base_buf.h"

/* ---- walking ---- */

void
ctl_json_walk(struct ctl_json_walk *w, struct base_slice value)
{
	json_rd_init(&w->rd, value.p, value.len);
	w->first = true;
	w->good = json_rd_peek(&w->rd) == JSON_OBJECT ? json_rd_object(&w->rd)
						      : json_rd_array(&w->rd);
}

bool
ctl_json_element(struct ctl_json_walk *w, struct base_slice *value_r)
{
	return w->good && json_rd_element(&w->rd, &w->first) &&
	    json_rd_value(&w->rd, value_r) != JSON_BAD;
}

bool
ctl_json_member(
    struct ctl_json_walk *w, struct base_slice *key_r, struct base_slice *value_r)
{
	return w->good && json_rd_member(&w->rd, &w->first, key_r) &&
	    json_rd_value(&w->rd, value_r) != JSON_BAD;
}

/* ---- looking up ---- */

static bool
get_one(struct base_slice object, const char *name, size_t len,
    struct base_slice *value_r)
{
	struct ctl_json_walk w;
	struct base_slice key;

	if (object.len == 0 || object.p[0] != '{')
		return false;
	ctl_json_walk(&w, object);
	while (ctl_json_member(&w, &key, value_r))
		if (key.len == len && memcmp(key.p, name, len) == 0)
			return true;
	return false;
}

bool
ctl_json_get(struct base_slice object, const char *path, struct base_slice *value_r)
{
	size_t len;

	*value_r = object;
	for (; *path != 0; path += len + (path[len] == '.')) {
		len = strcspn(path, ".");
		if (!get_one(*value_r, path, len, value_r)) {
			*value_r = (struct base_slice){"", 0};
			return false;
		}
	}
	return true;
}

uint64_t
ctl_json_uint(struct base_slice object, const char *path)
{
	struct base_slice value;
	uint64_t n;

	if (!ctl_json_get(object, path, &value) || !json_uint(value, UINT64_MAX, &n))
		return 0;
	return n;
}

/* ---- showing ---- */

/* Controls, among them those of two bytes in UTF-8 (U+0080 to U+009F), could steer the
 * terminal. */
static void
add_visible(struct base_buf *out, struct base_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool pair = c == 0xc2 && i + 1 < text.len &&
		    (unsigned char)text.p[i + 1] < 0xa0;

		if (c < 0x20 || c == 0x7f || pair)
			base_buf_byte(out, c == '\n' || c == '\t' ? ' ' : '?');
		else
			base_buf_byte(out, (char)c);
		i += pair;
	}
}

void
ctl_json_show_raw(struct base_slice value, struct base_buf *out)
{
	add_visible(out, value);
}

void
ctl_json_show(struct base_slice value, struct base_buf *out)
{
	struct base_buf scratch = {0};

	if (value.len > 0 && value.p[0] == '"') {
		base_buf_room(&scratch, value.len);
		value = json_text(value, &scratch);
	}
	add_visible(out, value);
	base_buf_free(&scratch);
}

void
ctl_json_show_key(struct base_slice key, struct base_buf *out)
{
	/* Its quotes stand around it. */
	ctl_json_show((struct base_slice){key.p - 1, key.len + 2}, out);
}

void
ctl_json_text(struct base_slice object, const char *path, struct base_buf *out)
{
	struct base_slice value;

	if (ctl_json_get(object, path, &value))
		ctl_json_show(value, out);
}
