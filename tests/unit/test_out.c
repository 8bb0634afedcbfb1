/*
 * What clients get, and how: one write each a turn, in order; a slow client is cut
 * off once, where a frame may begin; what waits is counted, all of it.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "base/base_mem.h"
#include "base/base_rand.h"
#include "net/conn.h"
#include "net/out.h"
#include "net_util.h"

#define PEERS 4

/* The client's end of a connection. */
static struct peer {
	int fd;
	struct conn *conn;
	SSL *ssl;
	struct base_buf in;
} peers[PEERS];

static SSL_CTX *server_ctx, *client_ctx;

static void
stop(void)
{
	for (unsigned i = 0; i < PEERS; i++) {
		if (peers[i].conn == NULL)
			continue;
		SSL_free(peers[i].ssl);
		close(peers[i].fd);
		base_buf_free(&peers[i].in);
		peers[i] = (struct peer){0};
	}
	net_world_stop();
}

/* ---- clients ---- */

static void
attach_peer(unsigned i, SSL_CTX *ctx)
{
	const int small = 4096;
	int fds[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	peers[i] = (struct peer){.fd = fds[1]};
	peers[i].conn = conn_new(&net_world.net, fds[0], ctx, false);
	assert_non_null(peers[i].conn);
	peers[i].conn->serve = CONF_SERVE_CLIENT;
}

static void
send_bytes(unsigned i, const void *p, size_t n)
{
	ssize_t r = peers[i].ssl != NULL ? SSL_write(peers[i].ssl, p, (int)n)
					 : send(peers[i].fd, p, n, MSG_NOSIGNAL);

	assert_int_equal(r, (ssize_t)n);
}

/* CONN_DEAD when it is freed already. */
static unsigned
state_of(unsigned i)
{
	BASE_LIST_FOREACH (it, &net_world.net.conns)
		if (BASE_CONTAINER(it, struct conn, all) == peers[i].conn)
			return peers[i].conn->state;
	return CONN_DEAD;
}

/* A masked frame; a mask of zeros hides nothing. */
static void
send_text(unsigned i, const char *text)
{
	struct base_buf b = {0};
	uint8_t head[WS_HEAD_MAX];
	size_t n = ws_frame_head(head, WS_FIN | WS_TEXT, strlen(text));

	head[1] |= 0x80;
	base_buf_add(&b, head, n);
	base_buf_add(&b, "\0\0\0\0", 4);
	base_buf_str(&b, text);
	send_bytes(i, b.p, b.len);
	base_buf_free(&b);
}

/* Reads what there is; true at the end of the stream. */
static bool
receive(unsigned i)
{
	struct peer *p = &peers[i];
	ssize_t r;

	for (;;) {
		char *room = base_buf_room(&p->in, 65536);

		r = p->ssl != NULL ? SSL_read(p->ssl, room, 65536)
				   : recv(p->fd, room, 65536, 0);
		if (r <= 0)
			break;
		p->in.len += (size_t)r;
	}
	if (p->ssl != NULL)
		return SSL_get_error(p->ssl, (int)r) != SSL_ERROR_WANT_READ;
	return r == 0;
}

/* Reads little, so that some more goes out. */
static void
sip(unsigned i)
{
	struct peer *p = &peers[i];
	char *room = base_buf_room(&p->in, 4096);
	ssize_t r =
	    p->ssl != NULL ? SSL_read(p->ssl, room, 4096) : recv(p->fd, room, 4096, 0);

	if (r > 0)
		p->in.len += (size_t)r;
}

/* Takes the next frame: its payload, terminated, or NULL. */
static const char *
next_frame(unsigned i, uint8_t *first)
{
	static char text[1 << 17];
	struct base_buf *in = &peers[i].in;
	size_t len, head;

	if (in->len < 2)
		return NULL;
	head = (in->p[1] & 0x7f) == 126 ? 4 : (in->p[1] & 0x7f) == 127 ? 10 : 2;
	if (in->len < head || (len = ws_frame_sent_len((uint8_t *)in->p)) > in->len)
		return NULL;
	*first = (uint8_t)in->p[0];
	assert_true(len - head < sizeof(text));
	memcpy(text, in->p + head, len - head);
	text[len - head] = 0;
	base_buf_drop(in, len);
	return text;
}

static void
expect_text(unsigned i, const char *part)
{
	uint8_t first = 0;
	const char *text = next_frame(i, &first);

	if (text == NULL || strstr(text, part) == NULL)
		fail_msg("no frame with %s but %s", part, text == NULL ? "none" : text);
	assert_int_equal(first, WS_FIN | WS_TEXT);
}

#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate\r\n"
#define HANDSHAKE_OF(more)                       \
	"GET /connection/websocket HTTP/1.1\r\n" \
	"Host: a\r\n"                            \
	"Upgrade: websocket\r\n"                 \
	"Connection: Upgrade\r\n"                \
	"Sec-WebSocket-Version: 13\r\n"          \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define HANDSHAKE HANDSHAKE_OF("")

static void
skip_head(unsigned i)
{
	struct base_buf *in = &peers[i].in;
	char *end;

	base_buf_byte(in, 0);
	in->len--;
	end = strstr(in->p, "\r\n\r\n");
	assert_non_null(end);
	base_buf_drop(in, (size_t)(end + 4 - in->p));
}

/* Handshake, connect, and a subscription to each character of CHANNELS. */
static void
join(unsigned i, const char *channels)
{
	char text[128];
	unsigned id = 1;

	send_bytes(i, HANDSHAKE, strlen(HANDSHAKE));
	send_text(i, "{\"id\":1,\"connect\":{}}");
	for (; *channels != 0; channels++) {
		snprintf(text, sizeof(text),
		    "{\"id\":%u,\"subscribe\":{\"channel\":\"%c\"}}", ++id, *channels);
		send_text(i, text);
	}
	/* TLS gives a record at a time. */
	for (unsigned k = 0; k < 8; k++)
		net_world_turn();
	receive(i);
	skip_head(i);
	expect_text(i, "\"connect\"");
	while (id-- > 1)
		expect_text(i, "\"subscribe\"");
	assert_int_equal(peers[i].in.len, 0);
}

static void
publish(unsigned i, const char *channel, unsigned number, size_t size)
{
	struct base_buf b = {0};

	base_buf_printf(&b, "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":\"%u ",
	    number + 100, channel, number);
	memset(base_buf_room(&b, size), 'x', size);
	b.len += size;
	base_buf_add(&b, "\"}}", 4);
	send_text(i, b.p);
	base_buf_free(&b);
}

/* ---- tests ---- */

static void
all_of_a_turn_in_one_write_and_in_order(void **state)
{
	uint64_t sends;

	(void)state;
	net_world_start(1, "");
	for (unsigned i = 0; i < 3; i++) {
		attach_peer(i, NULL);
		join(i, "ab");
	}
	attach_peer(3, NULL);
	join(3, "");
	sends = stat_get(net_world.env.stat, sends);
	for (unsigned n = 0; n < 3; n++) {
		publish(3, "a", n, 10);
		publish(3, "b", n, 10);
	}
	send_text(0, "{\"id\":50,\"rpc\":{\"method\":\"x\"}}");
	net_world_turn();
	/* One for each of the subscribers, and one for the publisher's replies. */
	assert_int_equal(stat_get(net_world.env.stat, sends) - sends, 4);
	assert_int_equal(stat_get(net_world.env.stat, delivered), 18);
	for (unsigned i = 0; i < 3; i++) {
		char part[32];

		receive(i);
		if (i == 0)
			expect_text(i, "\"id\":50");
		for (unsigned k = 0; k < 6; k++) {
			snprintf(part, sizeof(part), "\"data\":\"%u ", k % 3);
			expect_text(i, part);
		}
		assert_int_equal(peers[i].in.len, 0);
	}
	receive(3);
	for (unsigned k = 0; k < 6; k++)
		expect_text(3, "\"publish\":{}");
	stop();
}

/* A reply that confirms a publication stands behind its push, and what follows it
 * too; but what is a subscriber's first word stands before all pushes. */
static void
late_frames_follow_the_pushes(void **state)
{
	char part[32];

	(void)state;
	net_world_start(1, "");
	for (unsigned i = 0; i < 2; i++) {
		attach_peer(i, NULL);
		join(i, "a");
	}
	/* Both take turns, so that what each gets does not lie together at first. */
	for (unsigned n = 0; n < 3; n++)
		for (unsigned i = 0; i < 2; i++) {
			if (n == 0)
				send_text(i, "{\"id\":50,\"rpc\":{\"method\":\"x\"}}");
			publish(i, "a", n, 10);
			send_text(i, "{\"id\":51,\"rpc\":{\"method\":\"x\"}}");
			event_base_loop(
			    net_world.net.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		}
	net_world_turn();
	for (unsigned i = 0; i < 2; i++) {
		receive(i);
		expect_text(i, "\"id\":50");
		for (unsigned k = 0; k < 6; k++) {
			snprintf(part, sizeof(part), "\"data\":\"%u ", k / 2);
			expect_text(i, part);
		}
		for (unsigned n = 0; n < 3; n++) {
			snprintf(part, sizeof(part), "\"id\":%u,\"publish\"", n + 100);
			expect_text(i, part);
			expect_text(i, "\"id\":51");
		}
		assert_int_equal(peers[i].in.len, 0);
	}
	/* The reply to subscribe takes those before it along. */
	publish(0, "b", 1, 10);
	send_text(0, "{\"id\":60,\"subscribe\":{\"channel\":\"b\"}}");
	send_text(0, "{\"id\":61,\"rpc\":{\"method\":\"x\"}}");
	publish(0, "b", 2, 10);
	send_text(0, "{\"id\":62,\"rpc\":{\"method\":\"x\"}}");
	net_world_turn();
	receive(0);
	expect_text(0, "\"id\":101,\"publish\"");
	expect_text(0, "\"id\":60,\"subscribe\"");
	expect_text(0, "\"id\":61");
	expect_text(0, "\"data\":\"2 ");
	expect_text(0, "\"id\":102,\"publish\"");
	expect_text(0, "\"id\":62");
	assert_int_equal(peers[0].in.len, 0);
	stop();
}

static void
late_frames_come_before_the_end(void **state)
{
	uint8_t first = 0;
	const char *text;

	(void)state;
	net_world_start(1, "");
	attach_peer(0, NULL);
	join(0, "a");
	publish(0, "a", 1, 10);
	send_text(0, "no command");
	net_world_turn();
	receive(0);
	expect_text(0, "\"id\":101,\"publish\"");
	text = next_frame(0, &first);
	assert_non_null(text);
	assert_int_equal(first, WS_FIN | WS_CLOSE);
	assert_int_equal((uint8_t)text[0] << 8 | (uint8_t)text[1], 3501);
	assert_int_equal(peers[0].in.len, 0);
	stop();
}

/* One that is told of its own publications and does not listen. */
static void
cuts_a_slow_publisher(void **state)
{
	uint8_t first = 0;
	unsigned pushes = 0, replies = 0;
	const char *text;

	(void)state;
	net_world_start(1, "output_buffer = 20000\n");
	attach_peer(0, NULL);
	join(0, "a");
	for (unsigned n = 0; n < 20000 && state_of(0) == CONN_WS; n++) {
		publish(0, "a", n, 100);
		net_world_turn();
	}
	assert_int_equal(state_of(0), CONN_CLOSING);
	for (unsigned k = 0; k < 1000; k++) {
		receive(0);
		net_world_turn();
	}
	while ((text = next_frame(0, &first)) != NULL && first == (WS_FIN | WS_TEXT)) {
		if (strstr(text, "\"push\"") != NULL)
			pushes++;
		else
			assert_true(pushes > replies++);
	}
	assert_true(replies > 0 && pushes - replies <= 1);
	assert_int_equal(first, WS_FIN | WS_CLOSE);
	assert_int_equal((uint8_t)text[0] << 8 | (uint8_t)text[1], 3008);
	assert_int_equal(peers[0].in.len, 0);
	stop();
}

/* All that comes is whole frames: numbered ones, then 3008, then the end. */
static unsigned
expect_cut(unsigned i)
{
	uint8_t first = 0;
	unsigned n = 0;
	char part[32];
	const char *text;

	for (unsigned k = 0; k < 1000; k++) {
		receive(i);
		net_world_turn();
	}
	while ((text = next_frame(i, &first)) != NULL && first == (WS_FIN | WS_TEXT)) {
		snprintf(part, sizeof(part), "\"data\":\"%u ", n++);
		if (strstr(text, part) == NULL)
			fail_msg("not %s: %.100s", part, text);
	}
	assert_int_equal(first, WS_FIN | WS_CLOSE);
	assert_non_null(text);
	assert_int_equal((uint8_t)text[0] << 8 | (uint8_t)text[1], 3008);
	assert_string_equal(text + 2, "slow");
	assert_int_equal(peers[i].in.len, 0);
	return n;
}

static void
cut_slow(const char *options, size_t size, SSL_CTX *ctx)
{
	unsigned n, sips = 0;

	net_world_start(1, options);
	attach_peer(0, ctx);
	if (ctx != NULL) {
		peers[0].ssl = SSL_new(client_ctx);
		SSL_set_fd(peers[0].ssl, peers[0].fd);
		for (unsigned k = 0; k < 100 && SSL_connect(peers[0].ssl) != 1; k++)
			net_world_turn();
	}
	join(0, "a");
	attach_peer(1, NULL);
	join(1, "");
	for (n = 0; n < 20000 && state_of(0) == CONN_WS; n++) {
		publish(1, "a", n, size);
		net_world_turn();
		receive(1);
		peers[1].in.len = 0;
		/* It takes some, so that what waits was begun in other places. */
		if (sips < 20 && out_waiting(peers[0].conn) > 6000) {
			sip(0);
			sips++;
		}
	}
	assert_int_equal(state_of(0), CONN_CLOSING);
	assert_int_equal(stat_get(net_world.env.stat, slow), 1);
	assert_int_equal(stat_get(net_world.env.stat, subscriptions), 0);
	/* What was not begun is gone, and nothing more comes. */
	assert_true(out_waiting(peers[0].conn) < 32768 + size);
	publish(1, "a", n, size);
	net_world_turn();
	assert_in_range(expect_cut(0), 1, n - 1);
	assert_int_equal(stat_get(net_world.env.stat, slow), 1);
	stop();
}

static void
slow_client_is_cut_between_frames(void **state)
{
	(void)state;
	/* Sizes that end in, at and beyond a socket's buffer; of all forms of head. */
	cut_slow("output_buffer = \"8k\"", 10, NULL);
	cut_slow("output_buffer = \"64k\"", 200, NULL);
	cut_slow("output_buffer = \"64k\"", 3000, NULL);
	cut_slow("output_buffer = \"128k\"\nmax_message_size = \"64k\"", 60000, NULL);
}

static void
slow_tls_client_is_cut_between_frames(void **state)
{
	(void)state;
	cut_slow("output_buffer = \"64k\"", 10, server_ctx);
	cut_slow("output_buffer = \"64k\"", 200, server_ctx);
	cut_slow("output_buffer = \"64k\"", 3000, server_ctx);
	cut_slow(
	    "output_buffer = \"128k\"\nmax_message_size = \"64k\"", 60000, server_ctx);
}

/* A block that all of them wait for is there once; the lists are not. */
static void
lists_of_what_waits_count(void **state)
{
	size_t kept;

	(void)state;
	net_world_start(1, "output_buffer = \"512k\"");
	for (unsigned i = 0; i < 3; i++) {
		attach_peer(i, NULL);
		join(i, "a");
	}
	attach_peer(3, NULL);
	join(3, "");
	for (unsigned n = 0; n < 400; n++) {
		publish(3, "a", n, 500);
		net_world_turn();
		receive(3);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_true(out_waiting(peers[i].conn) > 150000);
	kept = fan_kept_bytes(net_world.fan);
	assert_int_equal(stat_get(net_world.env.stat, output_bytes), kept);
	shutdown(peers[1].fd, SHUT_RDWR);
	shutdown(peers[2].fd, SHUT_RDWR);
	net_world_turn();
	assert_int_equal(net_world.net.n_conns, 2);
	/* Two lists of 256 pieces and more, of 16 bytes each. */
	assert_in_range(kept - fan_kept_bytes(net_world.fan), 2 * 256 * 16, 1 << 20);
	stop();
}

static void
requests_without_taking_answers_are_cut(void **state)
{
	static const char request[] = "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
	unsigned n;

	(void)state;
	net_world_start(1, "output_buffer = \"16k\"");
	attach_peer(0, NULL);
	for (n = 0; n < 4000 && net_world.net.n_conns > 0; n++) {
		if (send(peers[0].fd, request, strlen(request), MSG_NOSIGNAL) < 0)
			break;
		if (n % 50 == 0)
			net_world_turn();
	}
	net_world_turn();
	assert_int_equal(net_world.net.n_conns, 0);
	assert_true(n < 4000);
	stop();
}

/* As nc does: a direction that is closed says nothing about the other one. */
static void
answers_go_out_to_whoever_asks_no_more(void **state)
{
	static const char request[] = "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
	unsigned answers = 0;

	(void)state;
	net_world_start(1, "");
	attach_peer(0, NULL);
	for (unsigned n = 0; n < 100; n++)
		send_bytes(0, request, strlen(request));
	shutdown(peers[0].fd, SHUT_WR);
	net_world_turn();
	assert_true(out_waiting(peers[0].conn) > 0);
	for (unsigned k = 0; k < 1000 && net_world.net.n_conns > 0; k++) {
		net_world_turn();
		receive(0);
	}
	assert_int_equal(net_world.net.n_conns, 0);
	base_buf_byte(&peers[0].in, 0);
	for (const char *p = peers[0].in.p; (p = strstr(p, "404 page")) != NULL; p++)
		answers++;
	assert_int_equal(answers, 100);
	stop();
}

/* The queue begins with what is no frame: nothing may be taken for one. */
static void
slow_before_its_handshake_went_out(void **state)
{
	static const char request[] = "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";

	(void)state;
	net_world_start(1, "output_buffer = \"16k\"");
	attach_peer(0, NULL);
	for (unsigned n = 0; n < 200 && out_waiting(peers[0].conn) == 0; n++) {
		send_bytes(0, request, strlen(request));
		net_world_turn();
	}
	assert_true(out_waiting(peers[0].conn) > 0);
	send_bytes(0, HANDSHAKE, strlen(HANDSHAKE));
	send_text(0, "{\"id\":1,\"connect\":{}}");
	net_world_turn();
	assert_int_equal(state_of(0), CONN_WS);
	for (unsigned n = 0; n < 4000 && net_world.net.n_conns > 0; n++) {
		send_text(0, "{\"id\":9,\"rpc\":{\"method\":\"x\"}}");
		net_world_turn();
	}
	assert_int_equal(net_world.net.n_conns, 0);
	assert_int_equal(stat_get(net_world.env.stat, slow), 1);
	stop();
}

/* May fail: the connection may be closed already. */
static void
publish_blindly(unsigned i, unsigned number)
{
	const char channel = (char)('a' + base_rand_below(3));
	char text[512];
	size_t len = (size_t)snprintf(text + 8, sizeof(text) - 8,
	    "{\"id\":%u,\"publish\":{\"channel\":\"%c\",\"data\":\"%*u\"}}", number,
	    channel, 300, number);

	memcpy(text, "\x81\xfe\0\0\0\0\0\0", 8);
	text[2] = (char)(len >> 8);
	text[3] = (char)len;
	(void)!send(peers[i].fd, text, len + 8, MSG_NOSIGNAL);
}

static void
do_something(unsigned i, unsigned step)
{
	switch (base_rand_below(48)) {
	case 0 ... 3:
		receive(i);
		break;
	case 4 ... 7:
		net_world_turn();
		break;
	case 8:
		shutdown(peers[i].fd, SHUT_RDWR);
		break;
	case 9: /* no frame */
		(void)!send(peers[i].fd, "\xff", 1, MSG_NOSIGNAL);
		break;
	default:
		publish_blindly(i, step + 1);
	}
}

/* Some hundred bytes of a frame are thousands of commands: others wait for few. */
static void
little_is_inflated_in_a_turn(void **state)
{
	static const char command[] = "{\"id\":1,\"rpc\":{}}\n";
	const unsigned lines = 60000 / (sizeof(command) - 1), frames = 100;
	struct base_buf text = {0}, packed = {0}, all = {0};
	struct ws_deflate *d = ws_deflate_new(9);
	uint8_t head[WS_HEAD_MAX];
	uint64_t first;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < lines; i++)
		base_buf_str(&text, command);
	ws_deflate_message(d, 15, (struct base_slice){text.p, text.len}, &packed);
	n = ws_frame_head(head, WS_FIN | WS_RSV1 | WS_TEXT, packed.len);
	head[1] |= 0x80;
	for (unsigned i = 0; i < frames; i++) {
		base_buf_add(&all, head, n);
		base_buf_add(&all, "\0\0\0\0", 4);
		base_buf_add(&all, packed.p, packed.len);
	}
	net_world_start(1, "compression = on\noutput_buffer = \"128m\"");
	attach_peer(0, NULL);
	n = strlen(HANDSHAKE_OF(DEFLATE));
	send_bytes(0, HANDSHAKE_OF(DEFLATE), n);
	send_text(0, "{\"id\":1,\"connect\":{}}");
	net_world_turn();
	send_bytes(0, all.p, all.len);
	net_world_turn();
	first = stat_get(net_world.env.stat, commands) - 1;
	assert_in_range(first, lines, lines * frames / 2);
	for (unsigned k = 0; k < 100; k++)
		net_world_turn();
	assert_int_equal(
	    stat_get(net_world.env.stat, commands) - 1, (uint64_t)lines * frames);
	stop();
	base_buf_free(&text);
	base_buf_free(&packed);
	base_buf_free(&all);
	ws_deflate_free(d);
}

/* Each client dies or is cut at some point of a turn; all is given back. */
static void
any_order_of_ends(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		net_world_start(1, "output_buffer = \"8k\"\noutput_total = \"128k\"");
		for (unsigned i = 0; i < PEERS; i++) {
			attach_peer(i, NULL);
			join(i, "abc");
		}
		for (unsigned step = 0; step < 60; step++)
			do_something(base_rand_below(PEERS), step);
		net_world_turn();
		stop();
	}
}

/* ---- */

static EVP_PKEY *
make_cert(X509 **cert_r)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	*cert_r = x;
	return key;
}

static int
set_up(void **state)
{
	X509 *cert;
	EVP_PKEY *key = make_cert(&cert);

	(void)state;
	base_log_set_level(BASE_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN); /* as the worker does */
	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(server_ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	assert_int_equal(SSL_CTX_use_certificate(server_ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(late_frames_follow_the_pushes),
	    cmocka_unit_test(late_frames_come_before_the_end),
	    cmocka_unit_test(cuts_a_slow_publisher),
	    cmocka_unit_test(all_of_a_turn_in_one_write_and_in_order),
	    cmocka_unit_test(slow_client_is_cut_between_frames),
	    cmocka_unit_test(slow_tls_client_is_cut_between_frames),
	    cmocka_unit_test(lists_of_what_waits_count),
	    cmocka_unit_test(requests_without_taking_answers_are_cut),
	    cmocka_unit_test(answers_go_out_to_whoever_asks_no_more),
	    cmocka_unit_test(slow_before_its_handshake_went_out),
	    cmocka_unit_test(little_is_inflated_in_a_turn),
	    cmocka_unit_test(any_order_of_ends),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
