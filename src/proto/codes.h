/*
 * codes: the numbers of the client protocol, in one place.
 *
 * Error codes go into replies, disconnect codes into WebSocket close frames.
 * SDKs reconnect after 3000-3499 and 4000-4499 and give up after 3500-3999 and
 * 4500-4999.  A reason is never empty: an SDK would keep reconnecting.
 */
#ifndef PROTO_CODES_H
#define PROTO_CODES_H

#include "base/base_defs.h"

/* X(NAME, code, "message", temporary) */
#define PROTO_ERRORS(X)                                  \
	X(INTERNAL, 100, "internal server error", true)  \
	X(UNAUTHORIZED, 101, "unauthorized", false)      \
	X(UNKNOWN_CHANNEL, 102, "unknown channel", false) \
	X(PERMISSION_DENIED, 103, "permission denied", false) \
	X(METHOD_NOT_FOUND, 104, "method not found", false) \
	X(ALREADY_SUBSCRIBED, 105, "already subscribed", false) \
	X(LIMIT_EXCEEDED, 106, "limit exceeded", false)  \
	X(BAD_REQUEST, 107, "bad request", false)        \
	X(NOT_AVAILABLE, 108, "not available", false)    \
	X(TOKEN_EXPIRED, 109, "token expired", false)    \
	X(EXPIRED, 110, "expired", false)                \
	X(TOO_MANY_REQUESTS, 111, "too many requests", true) \
	X(UNRECOVERABLE, 112, "unrecoverable position", false)

/* X(NAME, code, "reason") */
#define PROTO_DISCONNECTS(X)                                \
	X(CONNECTION_CLOSED, 3000, "connection closed")     \
	X(SHUTDOWN, 3001, "shutdown")                       \
	X(INTERNAL, 3004, "internal server error")          \
	X(EXPIRED, 3005, "connection expired")              \
	X(SLOW, 3008, "slow")                               \
	X(INSUFFICIENT_STATE, 3010, "insufficient state")   \
	X(FORCE_RECONNECT, 3011, "force reconnect")         \
	X(NO_PONG, 3012, "no pong")                         \
	X(TOO_MANY_REQUESTS, 3013, "too many requests")     \
	X(INVALID_TOKEN, 3500, "invalid token")             \
	X(BAD_REQUEST, 3501, "bad request")                 \
	X(STALE, 3502, "stale")                             \
	X(FORCE_DISCONNECT, 3503, "force disconnect")       \
	X(CONNECTION_LIMIT, 3504, "connection limit")       \
	X(CHANNEL_LIMIT, 3505, "channel limit")             \
	X(PERMISSION_DENIED, 3507, "permission denied")     \
	X(NOT_AVAILABLE, 3508, "not available")

enum proto_error {
#define X(name, code, message, temporary) PROTO_ERROR_##name = code,
	PROTO_ERRORS(X)
#undef X
};

enum proto_disconnect {
#define X(name, code, reason) PROTO_DISCONNECT_##name = code,
	PROTO_DISCONNECTS(X)
#undef X
};

/* Texts of the tables; the code must be one of the table's. */
const char *proto_error_message(enum proto_error code);
const char *proto_disconnect_reason(enum proto_disconnect code);
/* True if a client may try the same again after a while. */
bool proto_error_temporary(enum proto_error code);

#endif
