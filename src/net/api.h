/*
 * api: requests that are answered in JSON: the server API and the control socket.
 *
 * POST, a JSON object as the body, and back comes {"result":{..}} or
 * {"error":{"code":N,"message":".."}}, with status 200 for both.  What a method takes
 * stands in its table, so that reading and checking is one code for all.
 *
 * Some are answered by the broker.  Until then the call waits, and its connection
 * takes no other request; if the connection dies, the answer finds nobody.
 */
#ifndef NET_API_H
#define NET_API_H

#include "net/conn.h"

struct order_msg;

/* All that a body may say.  Slices hold while the method runs. */
struct api_args {
	struct base_slice channel, data, b64data, idempotency_key, pattern, epoch;
	uint64_t offset, number;
	int64_t limit;
	bool reverse, since, memory;
};

enum api_type {
	API_TEXT,
	API_RAW, /* any JSON */
	API_INT,
	API_UINT,
	API_BOOL,
	API_SINCE, /* {"offset":..,"epoch":..} */
};

struct api_member {
	const char *name;
	enum api_type type;
	size_t at; /* in struct api_args */
	bool needed; /* without it: error 107 */
};

struct api_call;

struct api_method {
	const char *path;
	unsigned serve; /* CONF_SERVE_*: listeners that have it */
	const struct api_member *members;
	size_t n_members;
	/* Answers at once, by api_result or api_error, or later, by what it asks. */
	void (*run)(struct api_call *call, const struct api_args *args);
};

/* A request that is being answered. */
struct api_call {
	struct conn *conn;
	const struct api_method *method;
	uint64_t req; /* what the broker was asked; 0: nothing */
	bool later; /* its method has returned */
};

/* The method at PATH of a listener that serves SERVE, or NULL. */
const struct api_method *api_find(struct base_slice path, unsigned serve);

/* Runs METHOD; C takes no request while c->http.call is set. */
void api_request(struct conn *c, const struct api_method *method,
    struct base_slice body);

/* The connection of CALL is gone. */
void api_drop(struct api_call *call);

/* ---- for the methods ---- */

/* Answers with the members of a result, and ends the call. */
void api_result(struct api_call *call, struct base_slice members);
/* TEXT empty: the code's own. */
void api_error(struct api_call *call, enum proto_error code, struct base_slice text);

/* What most methods do with an answer of the broker: an error is passed on, and
 * false says that the call is over. */
bool api_answered(struct api_call *call, const struct order_msg *answer);

/* Asks the broker; FN gets CALL, which an error may have ended before. */
void api_ask(struct api_call *call, struct order_msg *msg,
    void (*fn)(void *call, const struct order_msg *answer));

/* ---- api_args.c ---- */

/*
 * Reads BODY by the table of METHOD; SCRATCH holds what was decoded.  False: it is not
 * what it should be, which is for status 400.  *MISSING_R: a needed member is.
 */
bool api_args_read(const struct api_method *method, struct base_slice body,
    struct base_buf *scratch, struct api_args *args, bool *missing_r) BASE_MUST_CHECK;

/* ---- the methods, by who has them ---- */

extern const struct api_method api_order_methods[]; /* back ends and operators */
extern const size_t api_order_n_methods;
extern const struct api_method api_admin_methods[]; /* operators alone */
extern const size_t api_admin_n_methods;

#endif
