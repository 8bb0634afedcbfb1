/*
 * ledger_wire: see the header.
 */
#include "config.h"

#include "ledger_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define HEAD_MAX 4096

static const char handshake[] = "GET /connection/websocket HTTP/1.1\r\n"
				"Host: localhost\r\n"
				"Upgrade: websocket\r\n"
				"Connection: Upgrade\r\n"
				"Sec-WebSocket-Version: 13\r\n"
				"Sec-WebSocket-Key: bGVkZ2VyLWxlZGdlci1sZQ==\r\n\r\n";

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

int
wire_connect(struct wire *w, uint16_t port)
{
	/* Each connection from another address of many: ports are not used up. */
	static uint32_t turn;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in from = {.sin_family = AF_INET};
	int one = 1,
	    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 16);
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		errno != EINPROGRESS)) {
		close(fd);
		return -1;
	}
	w->fd = fd;
	w->open = false;
	w->watching = false;
	w->in.len = w->out.len = w->sent = 0;
	base_buf_str(&w->out, handshake);
	return 0;
}

void
wire_close(struct wire *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->open = false;
}

static void
put_frame(struct wire *w, unsigned opcode, const char *p, size_t len)
{
	static const unsigned char key[4] = {0x5a, 0x13, 0xc7, 0x2e};
	char *to;

	base_buf_byte(&w->out, (char)(0x80 | opcode));
	if (len < 126) {
		base_buf_byte(&w->out, (char)(0x80 | len));
	} else if (len < 65536) {
		base_buf_byte(&w->out, (char)(0x80 | 126));
		base_buf_byte(&w->out, (char)(len >> 8));
		base_buf_byte(&w->out, (char)len);
	} else {
		base_buf_byte(&w->out, (char)(0x80 | 127));
		for (int shift = 56; shift >= 0; shift -= 8)
			base_buf_byte(&w->out, (char)((uint64_t)len >> shift));
	}
	base_buf_add(&w->out, key, sizeof(key));
	to = base_buf_room(&w->out, len);
	for (size_t i = 0; i < len; i++)
		to[i] = (char)((unsigned char)p[i] ^ key[i % 4]);
	w->out.len += len;
}

void
wire_text(struct wire *w, const char *p, size_t len)
{
	put_frame(w, TEXT, p, len);
}

bool
wire_waits(const struct wire *w)
{
	return w->sent < w->out.len;
}

int
wire_flush(struct wire *w)
{
	while (wire_waits(w)) {
		ssize_t n =
		    send(w->fd, w->out.p + w->sent, w->out.len - w->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		w->sent += (size_t)n;
	}
	w->sent = w->out.len = 0;
	return 0;
}

/* ---- what the server sends ---- */

static int
handle(
    struct wire *w, unsigned opcode, struct base_slice body, wire_line_fn fn, void *arg)
{
	if (opcode == PING) {
		put_frame(w, PONG, body.p, body.len);
		return 0;
	}
	if (opcode == PONG)
		return 0;
	if (opcode != TEXT)
		return -1;
	while (body.len > 0 && w->fd >= 0) {
		const char *end = memchr(body.p, '\n', body.len);
		size_t len = end == NULL ? body.len : (size_t)(end - body.p);

		fn(arg, (struct base_slice){body.p, len});
		len += end != NULL;
		body.p += len;
		body.len -= len;
	}
	return 0;
}

/* The size of the frame at P and where its body begins; 0: not all of it is there. */
static size_t
frame_size(const unsigned char *p, size_t len, size_t *body_r)
{
	uint64_t size;

	if (len < 2)
		return 0;
	size = p[1];
	*body_r = 2;
	if (size == 126) {
		if (len < 4)
			return 0;
		size = (uint64_t)p[2] << 8 | p[3];
		*body_r = 4;
	} else if (size == 127) {
		if (len < 10)
			return 0;
		size = 0;
		for (int i = 2; i < 10; i++)
			size = size << 8 | p[i];
		*body_r = 10;
	}
	size += *body_r;
	return len < size ? 0 : (size_t)size;
}

static int
take_frames(struct wire *w, size_t from, wire_line_fn fn, void *arg)
{
	while (w->fd >= 0) {
		const unsigned char *p = (unsigned char *)w->in.p + from;
		size_t body = 0, size = frame_size(p, w->in.len - from, &body);

		if (size == 0)
			break;
		/* Whole messages alone, not masked, not compressed. */
		if ((p[0] & 0xf0) != 0x80 || (p[1] & 0x80) != 0)
			return -1;
		if (handle(w, p[0] & 15,
			(struct base_slice){w->in.p + from + body, size - body}, fn,
			arg) < 0)
			return -1;
		from += size;
	}
	if (w->fd < 0)
		return -1;
	base_buf_drop(&w->in, from);
	return 0;
}

static int
take(struct wire *w, wire_line_fn fn, void *arg)
{
	static const char good[] = "HTTP/1.1 101 ";
	size_t from = 0;

	if (!w->open) {
		const char *end = memmem(w->in.p, w->in.len, "\r\n\r\n", 4);

		if (end == NULL)
			return w->in.len < HEAD_MAX ? 0 : -1;
		if (memcmp(w->in.p, good, sizeof(good) - 1) != 0)
			return -1;
		from = (size_t)(end - w->in.p) + 4;
		w->open = true;
		fn(arg, (struct base_slice){NULL, 0});
	}
	return take_frames(w, from, fn, arg);
}

int
wire_read(struct wire *w, wire_line_fn fn, void *arg)
{
	for (;;) {
		ssize_t n = recv(w->fd, base_buf_room(&w->in, CHUNK), CHUNK, 0);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (n == 0)
			return -1;
		w->in.len += (size_t)n;
		if (take(w, fn, arg) < 0)
			return -1;
		if (n < CHUNK)
			return 0;
	}
}

/* ---- JSON ---- */

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == ',' || *p == ':'))
		p++;
	return p;
}

/* Behind the string that begins at P. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static const char *
skip_value(const char *p, const char *end)
{
	int depth = 0;

	do {
		if (p >= end)
			return end;
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[') {
			depth++;
		} else if (*p == '}' || *p == ']') {
			depth--;
		} else if (depth == 0) {
			while (p < end && strchr(",}] \t", *p) == NULL)
				p++;
			return p;
		}
		p++;
	} while (depth > 0);
	return p;
}

struct base_slice
json_get(struct base_slice object, const char *key)
{
	const char *p = object.p, *end = p + object.len;
	size_t len = strlen(key);

	if (object.len == 0 || *p != '{')
		return (struct base_slice){NULL, 0};
	p = skip_space(p + 1, end);
	while (p < end && *p == '"') {
		const char *name = p + 1, *value;
		bool found;

		p = skip_string(p, end);
		found = (size_t)(p - name) == len + 1 && memcmp(name, key, len) == 0;
		value = skip_space(p, end);
		p = skip_value(value, end);
		if (found)
			return (struct base_slice){value, (size_t)(p - value)};
		p = skip_space(p, end);
	}
	return (struct base_slice){NULL, 0};
}

bool
json_next(struct base_slice *array, struct base_slice *value_r)
{
	const char *p = array->p, *end = p + array->len, *from;

	if (array->len == 0)
		return false;
	from = skip_space(*p == '[' ? p + 1 : p, end);
	if (from >= end || *from == ']')
		return false;
	p = skip_value(from, end);
	*value_r = (struct base_slice){from, (size_t)(p - from)};
	/* What is left begins with a comma or with the closing bracket. */
	*array = (struct base_slice){p, (size_t)(end - p)};
	return true;
}

uint64_t
json_number(struct base_slice value)
{
	char text[24];

	if (value.len == 0 || value.len >= sizeof(text))
		return 0;
	memcpy(text, value.p, value.len);
	text[value.len] = 0;
	return strtoull(text, NULL, 10);
}

struct base_slice
json_string(struct base_slice value)
{
	if (value.len < 2 || *value.p != '"')
		return (struct base_slice){NULL, 0};
	return (struct base_slice){value.p + 1, value.len - 2};
}

bool
json_is(struct base_slice value, const char *text)
{
	return value.len == strlen(text) && memcmp(value.p, text, value.len) == 0;
}
