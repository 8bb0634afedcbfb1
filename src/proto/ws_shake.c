/*
 * ws_shake: the answer to an upgrade.  Offers of extensions are in ws_offer.c.
 */
#include "config.h"

#include "proto/ws_shake.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/base_log.h"

#define WS_GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define KEY_LEN    24 /* 16 bytes in base64 */
#define SHA1_LEN   20
#define ACCEPT_LEN 28 /* SHA1_LEN bytes in base64 */

/*
 * Fetched once: a fetch costs more than the digest.  Digests are made one at a time
 * in a process with one thread.
 */
static EVP_MD *sha1;
static EVP_MD_CTX *sha1_ctx;

/* True if one of the headers NAME has TOKEN in its list. */
static bool
any_has_token(const struct http_request *req, const char *name, const char *token)
{
	unsigned i;

	for (i = 0; i < req->n_headers; i++)
		if (http_slice_is(req->headers[i].name, name) &&
		    http_has_token(req->headers[i].value, token))
			return true;
	return false;
}

static bool
is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Bits beyond the 16 bytes are not looked at: decoders differ, clients too. */
static bool
key_ok(struct base_slice key)
{
	unsigned i;

	if (key.len != KEY_LEN || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (i = 0; i < 22; i++)
		if (!is_base64(key.p[i]))
			return false;
	return true;
}

bool
ws_shake_check(const struct http_request *req)
{
	struct base_slice version, key;
	unsigned n_versions, n_keys;

	if (req->minor != 1 || req->content_length != 0 || req->method.len != 3 ||
	    memcmp(req->method.p, "GET", 3) != 0)
		return false;
	version = http_header(req, "Sec-WebSocket-Version", &n_versions);
	key = http_header(req, "Sec-WebSocket-Key", &n_keys);
	return n_versions == 1 && http_slice_is(version, "13") && n_keys == 1 &&
	    key_ok(key) && any_has_token(req, "Connection", "upgrade") &&
	    any_has_token(req, "Upgrade", "websocket");
}

/* RFC 6455 section 4.2.2, point 5.4; TEXT gets ACCEPT_LEN bytes and a terminator. */
static void
accept_text(struct base_slice key, uint8_t text[ACCEPT_LEN + 1])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (sha1_ctx == NULL) {
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
		sha1_ctx = EVP_MD_CTX_new();
	}
	if (EVP_DigestInit_ex2(sha1_ctx, sha1, NULL) != 1 ||
	    EVP_DigestUpdate(sha1_ctx, key.p, key.len) != 1 ||
	    EVP_DigestUpdate(sha1_ctx, WS_GUID, sizeof(WS_GUID) - 1) != 1 ||
	    EVP_DigestFinal_ex(sha1_ctx, digest, NULL) != 1) {
		/* No WebSocket without it; the next process may have a better one. */
		log_error(LOG_NET, "OpenSSL gives no SHA-1");
		abort();
	}
	EVP_EncodeBlock(text, digest, SHA1_LEN);
}

void
ws_shake_reply(const struct http_request *req, const char *subprotocol,
    const struct ws_deflate_params *deflate, struct base_buf *out)
{
	uint8_t text[ACCEPT_LEN + 1];

	accept_text(http_header(req, "Sec-WebSocket-Key", NULL), text);
	base_buf_str(out,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: ");
	base_buf_add(out, text, ACCEPT_LEN);
	base_buf_str(out, "\r\n");
	if (subprotocol != NULL) {
		base_buf_str(out, "Sec-WebSocket-Protocol: ");
		base_buf_str(out, subprotocol);
		base_buf_str(out, "\r\n");
	}
	if (deflate != NULL && deflate->on) {
		base_buf_str(out, "Sec-WebSocket-Extensions: permessage-deflate; "
				  "server_no_context_takeover; "
				  "client_no_context_takeover");
		if (deflate->echo_server_bits)
			base_buf_printf(out, "; server_max_window_bits=%u",
			    deflate->server_bits);
		base_buf_str(out, "\r\n");
	}
	base_buf_str(out, "\r\n");
}
