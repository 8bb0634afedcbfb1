/*
 * json_wr: see the header.
 */
#include "config.h"

#include "proto/json_wr.h"

#include "proto/json_scan.h"

static void
add_escape(struct base_buf *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[0x20] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n',
	    ['\r'] = 'r', ['\t'] = 't'};
	char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	if (c >= 0x20 || letters[c] != 0) {
		text[1] = c >= 0x20 ? (char)c : letters[c];
		base_buf_add(out, text, 2);
	} else {
		base_buf_add(out, text, sizeof(text));
	}
}

void
json_wr_string(struct base_buf *out, struct base_slice text)
{
	const char *stop;
	uint64_t high = 0;
	size_t n;

	*base_buf_room(out, text.len + 2) = '"';
	out->len++;
	while (text.len > 0) {
		stop = json_scan_plain(text.p, text.p + text.len, &high);
		n = (size_t)(stop - text.p);
		base_buf_add(out, text.p, n);
		if (n < text.len)
			add_escape(out, (unsigned char)text.p[n++]);
		text.p += n;
		text.len -= n;
	}
	base_buf_byte(out, '"');
}

void
json_wr_uint(struct base_buf *out, uint64_t n)
{
	char text[20], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	base_buf_add(out, p, (size_t)(text + sizeof(text) - p));
}

void
json_wr_raw(struct base_buf *out, struct base_slice json)
{
	const char *feed;
	size_t n;

	while (json.len > 0) {
		feed = memchr(json.p, '\n', json.len);
		n = feed != NULL ? (size_t)(feed - json.p) : json.len;
		base_buf_add(out, json.p, n);
		n += feed != NULL;
		json.p += n;
		json.len -= n;
	}
}

void
json_wr_next(struct base_buf *out)
{
	char last = out->len > 0 ? out->p[out->len - 1] : '{';

	if (last != '{' && last != '[')
		base_buf_byte(out, ',');
}

void
json_wr_key(struct base_buf *out, const char *name)
{
	json_wr_next(out);
	base_buf_byte(out, '"');
	base_buf_str(out, name);
	base_buf_str(out, "\":");
}
