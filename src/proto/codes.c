/*
 * codes: see the header.
 */
#include "config.h"

#include "proto/codes.h"

#include "base/base_assert.h"

const char *
proto_error_message(enum proto_error code)
{
	const char *text = NULL;

	switch (code) {
#define X(name, number, message, temporary) \
	case PROTO_ERROR_##name:            \
		text = message;             \
		break;
		PROTO_ERRORS(X)
#undef X
	}
	base_assert(text != NULL);
	return text;
}

bool
proto_error_temporary(enum proto_error code)
{
	switch (code) {
#define X(name, number, message, temporary) \
	case PROTO_ERROR_##name:            \
		return temporary;
		PROTO_ERRORS(X)
#undef X
	}
	return false;
}

const char *
proto_disconnect_reason(enum proto_disconnect code)
{
	const char *text = NULL;

	switch (code) {
#define X(name, number, reason)       \
	case PROTO_DISCONNECT_##name: \
		text = reason;        \
		break;
		PROTO_DISCONNECTS(X)
#undef X
	}
	base_assert(text != NULL);
	return text;
}
