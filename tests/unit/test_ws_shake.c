/*
 * test_ws_shake: which requests are upgrades, and what of permessage-deflate is
 * agreed on.
 */
#include "config.h"

#include "proto/ws_shake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 6455 section 1.3 */
#define LINE "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
#define UP   "Upgrade: websocket\r\n"
#define CON  "Connection: Upgrade\r\n"
#define KEY_IS(text) "Sec-WebSocket-Key: " text "\r\n"
#define KEY  KEY_IS("dGhlIHNhbXBsZSBub25jZQ==")
#define VER  "Sec-WebSocket-Version: 13\r\n"
#define EXT  "Sec-WebSocket-Extensions: "
#define GOOD LINE UP CON KEY VER

static void
parse(const char *head, struct http_request *req)
{
	size_t n = strlen(head);

	if (http_parse_head(head, n, 8192, req) != (int)n)
		fail_msg("not a head: %s", head);
}

static void
upgrades(void **state)
{
	static const struct {
		const char *head;
		bool ok;
	} rows[] = {
	    {GOOD "\r\n", true},
	    {LINE "upgrade: WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n" KEY VER
		  "\r\n", true},
	    {LINE UP "Connection: keep-alive\r\nConnection: upgrade\r\n" KEY VER "\r\n",
		true},
	    {LINE "Upgrade: h2c, websocket\r\n" CON KEY VER "\r\n", true},
	    {LINE UP CON VER KEY_IS("AAAAAAAAAAAAAAAAAAAA+/==") "\r\n", true},
	    {GOOD "Content-Length: 0\r\n\r\n", true},
	    {GOOD "Content-Length: 1\r\n\r\n", false},
	    {"POST /chat HTTP/1.1\r\nHost: a\r\n" UP CON KEY VER "\r\n", false},
	    {"get /chat HTTP/1.1\r\nHost: a\r\n" UP CON KEY VER "\r\n", false},
	    {"HEAD /chat HTTP/1.1\r\nHost: a\r\n" UP CON KEY VER "\r\n", false},
	    {"GET /chat HTTP/1.0\r\nHost: a\r\n" UP CON KEY VER "\r\n", false},
	    {LINE CON KEY VER "\r\n", false},
	    {LINE UP KEY VER "\r\n", false},
	    {LINE UP CON VER "\r\n", false},
	    {LINE UP CON KEY "\r\n", false},
	    {LINE "Upgrade: websockets\r\n" CON KEY VER "\r\n", false},
	    {LINE UP "Connection: close\r\n" KEY VER "\r\n", false},
	    {LINE UP CON KEY "Sec-WebSocket-Version: 8\r\n\r\n", false},
	    {LINE UP CON KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n", false},
	    {LINE UP CON KEY "Sec-WebSocket-Version: 013\r\n\r\n", false},
	    {LINE UP CON KEY VER VER "\r\n", false},
	    {LINE UP CON KEY KEY VER "\r\n", false},
	    {LINE UP CON VER "Sec-WebSocket-Key:\r\n\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBsZSBub25jZQ=") "\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBsZSBub25jZ===") "\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBsZSBub25jZQAA") "\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBsZSBub25jZQA=") "\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBsZSB-b25jZQ==") "\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBs ZSBub25jZQ==") "\r\n", false},
	    {LINE UP CON VER KEY_IS("dGhlIHNhbXBsZSBub25jZSBub24=") "\r\n", false},
	};
	struct http_request req;
	unsigned i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		parse(rows[i].head, &req);
		if (ws_shake_check(&req) != rows[i].ok)
			fail_msg("row %u:\n%s", i, rows[i].head);
	}
}

static void
assert_reply(const char *head, const char *subprotocol,
    const struct ws_deflate_params *deflate, const char *expected)
{
	struct base_buf b = {0};
	struct http_request req;

	parse(head, &req);
	assert_true(ws_shake_check(&req));
	ws_shake_reply(&req, subprotocol, deflate, &b);
	base_buf_byte(&b, 0);
	assert_string_equal(b.p, expected);
	base_buf_free(&b);
}

#define REPLY                                \
	"HTTP/1.1 101 Switching Protocols\r\n" \
	"Upgrade: websocket\r\n"             \
	"Connection: Upgrade\r\n"            \
	"Sec-WebSocket-Accept: "
#define DEFLATE                                             \
	"Sec-WebSocket-Extensions: permessage-deflate; "    \
	"server_no_context_takeover; client_no_context_takeover"

static void
reply(void **state)
{
	struct ws_deflate_params off = {0}, on = {true, 15, false, 15};
	struct ws_deflate_params ten = {true, 10, true, 15};

	(void)state;
	assert_reply(GOOD "\r\n", NULL, NULL,
	    REPLY "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
	assert_reply(GOOD "\r\n", NULL, &off,
	    REPLY "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
	assert_reply(GOOD "\r\n", "centrifuge-json", NULL,
	    REPLY "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		  "Sec-WebSocket-Protocol: centrifuge-json\r\n\r\n");
	assert_reply(GOOD "\r\n", NULL, &on,
	    REPLY "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" DEFLATE "\r\n\r\n");
	assert_reply(GOOD "\r\n", "x", &ten,
	    REPLY "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		  "Sec-WebSocket-Protocol: x\r\n" DEFLATE
		  "; server_max_window_bits=10\r\n\r\n");
	/* Another key: the reused digest context starts afresh. */
	assert_reply(LINE UP CON VER KEY_IS("x3JJHMbDL1EzLkh9GBhXDw==") "\r\n",
	    NULL, NULL, REPLY "HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n");
}

#define PD "permessage-deflate"
#define SB "server_max_window_bits"
#define CB "client_max_window_bits"

static const struct offer_row {
	const char *extensions; /* "|" begins another header */
	struct ws_deflate_params expected;
} offers[] = {
    {PD, {true, 15, false, 15}},
    {PD "; " CB, {true, 15, false, 15}}, /* what browsers send */
    {"Permessage-Deflate;" CB "=10", {true, 15, false, 10}},
    {PD ";" CB "=8", {true, 15, false, 8}},
    {PD ";" SB "=10", {true, 10, true, 15}},
    {PD ";" SB "=9", {true, 9, true, 15}},
    {PD ";" SB "=15", {true, 15, true, 15}},
    {PD "; server_no_context_takeover; client_no_context_takeover",
	{true, 15, false, 15}},
    {PD ";SERVER_MAX_WINDOW_BITS=12 ; client_no_context_takeover\t;" CB "=9",
	{true, 12, true, 9}},
    {PD "; " SB "=\"10\"", {true, 10, true, 15}},
    {PD "; " SB " = 10", {true, 10, true, 15}},
    {", ," PD ",", {true, 15, false, 15}},
    {"x-webkit-deflate-frame, " PD, {true, 15, false, 15}},
    {"foo; bar=\"b\\az\"; baz, " PD ";" SB "=11", {true, 11, true, 15}},
    {"foo|" PD, {true, 15, false, 15}},
    {"|" PD, {true, 15, false, 15}},
    {PD ";" SB "=10, " PD, {true, 10, true, 15}}, /* the first */

    /* declined, the next is taken */
    {PD "; unknown, " PD ";" SB "=12", {true, 12, true, 15}},
    {PD ";" SB "=8, " PD, {true, 15, false, 15}},
    {PD ";" SB "=8|" PD ";" SB "=13", {true, 13, true, 15}},
    {PD ";" SB "=16, " PD ";" CB ", " PD ";" SB "=9", {true, 15, false, 15}},

    /* declined */
    {PD "; unknown", {false, 15, false, 15}},
    {PD "; unknown=1", {false, 15, false, 15}},
    {PD ";" SB, {false, 15, false, 15}},
    {PD ";" SB "=8", {false, 15, false, 15}},
    {PD ";" SB "=7", {false, 15, false, 15}},
    {PD ";" SB "=16", {false, 15, false, 15}},
    {PD ";" SB "=20", {false, 15, false, 15}},
    {PD ";" SB "=010", {false, 15, false, 15}},
    {PD ";" SB "=+9", {false, 15, false, 15}},
    {PD ";" SB "=1a", {false, 15, false, 15}},
    {PD ";" SB "=\"1\\0\"", {false, 15, false, 15}},
    {PD ";" SB "=10;" SB "=10", {false, 15, false, 15}},
    {PD ";" CB "=7", {false, 15, false, 15}},
    {PD ";" CB "=16", {false, 15, false, 15}},
    {PD ";" CB ";" CB, {false, 15, false, 15}},
    {PD ";client_no_context_takeover=1", {false, 15, false, 15}},
    {PD ";server_no_context_takeover=true", {false, 15, false, 15}},
    {PD ";server_no_context_takeover;server_no_context_takeover",
	{false, 15, false, 15}},
    {"permessage-deflat", {false, 15, false, 15}},
    {"permessage-deflate2", {false, 15, false, 15}},
    {"", {false, 15, false, 15}},
    {",", {false, 15, false, 15}},

    /* no grammar: nothing after it is believed */
    {PD ";", {false, 15, false, 15}},
    {PD ";;" CB, {false, 15, false, 15}},
    {PD "; " SB "=", {false, 15, false, 15}},
    {PD "; " SB "=\"10", {false, 15, false, 15}},
    {PD "; " SB "=\"\"", {false, 15, false, 15}},
    {PD "; " SB "=\"10\\", {false, 15, false, 15}},
    {PD "; " SB "=\"1 0\"", {false, 15, false, 15}},
    {PD "; =10", {false, 15, false, 15}},
    {PD " foo", {false, 15, false, 15}},
    {PD "=1", {false, 15, false, 15}},
    {";" PD, {false, 15, false, 15}},
    {"foo bar, " PD, {false, 15, false, 15}},
    {"foo;|" PD, {false, 15, false, 15}},
    {"\x80|" PD, {false, 15, false, 15}},
};

static void
negotiation(void **state)
{
	struct ws_deflate_params got;
	struct base_buf b = {0};
	struct http_request req;
	const char *p;
	unsigned i;

	(void)state;
	for (i = 0; i < BASE_COUNT(offers); i++) {
		b.len = 0;
		base_buf_str(&b, GOOD EXT);
		for (p = offers[i].extensions; *p != 0; p++)
			if (*p == '|')
				base_buf_str(&b, "\r\n" EXT);
			else
				base_buf_byte(&b, *p);
		base_buf_str(&b, "\r\n\r\n");
		base_buf_byte(&b, 0);
		parse(b.p, &req);
		ws_shake_deflate(&req, &got);
		if (got.on != offers[i].expected.on ||
		    got.server_bits != offers[i].expected.server_bits ||
		    got.echo_server_bits != offers[i].expected.echo_server_bits ||
		    got.client_bits != offers[i].expected.client_bits)
			fail_msg("'%s': on=%d server=%u echo=%d client=%u",
			    offers[i].extensions, got.on, got.server_bits,
			    got.echo_server_bits, got.client_bits);
	}
	base_buf_free(&b);
	parse(GOOD "\r\n", &req);
	ws_shake_deflate(&req, &got);
	assert_false(got.on);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(upgrades),
	    cmocka_unit_test(reply),
	    cmocka_unit_test(negotiation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
