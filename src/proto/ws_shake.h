/*
 * ws_shake: the WebSocket handshake (RFC 6455 section 4.2) and the negotiation of
 * permessage-deflate (RFC 7692 section 7.1).
 */
#ifndef PROTO_WS_SHAKE_H
#define PROTO_WS_SHAKE_H

#include "proto/http_parse.h"

/* What was agreed on.  Both sides always run without context takeover. */
struct ws_deflate_params {
	bool on;
	uint8_t server_bits; /* window of what we send: 9..15 */
	bool echo_server_bits; /* the offer named a window: the answer does too */
	uint8_t client_bits; /* window that the client keeps to; 15: not restricted */
};

/*
 * True if REQ is a proper WebSocket upgrade: GET without a body, HTTP/1.1, Upgrade,
 * Connection, version 13, a key of 16 bytes in base64.  Otherwise the answer is 400
 * with "Sec-WebSocket-Version: 13".
 */
bool ws_shake_check(const struct http_request *req);

/*
 * First acceptable offer of all Sec-WebSocket-Extensions headers; off when none.  An
 * offer with a parameter that is unknown, comes twice or has a bad value is declined
 * (RFC 7692 section 7.1), and so is server_max_window_bits=8, which zlib cannot do for
 * raw deflate.  A header that breaks the grammar ends the search.
 */
void ws_shake_deflate(const struct http_request *req, struct ws_deflate_params *out);

/*
 * Appends the 101 response to a REQ that ws_shake_check accepted.  SUBPROTOCOL: NULL
 * for none.  DEFLATE may be NULL.
 */
void ws_shake_reply(const struct http_request *req, const char *subprotocol,
    const struct ws_deflate_params *deflate, struct base_buf *out);

#endif
