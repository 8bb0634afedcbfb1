/*
 * cmd_json: the JSON encoding of cmd.h.
 *
 * A message is one or more objects, one a line.  Unknown members are ignored, an
 * explicit null is an absent member, zero values are left out on output.
 */
#ifndef PROTO_CMD_JSON_H
#define PROTO_CMD_JSON_H

#include "proto/cmd.h"

/*
 * Cuts the next line off MSG into LINE: true while there is one.  One line feed at
 * the very end of a message ends its last line; any other empty line is given out
 * as an empty line (which then does not parse).
 */
bool cmd_json_line(struct base_slice *msg, struct base_slice *line);

/*
 * Parses one line.  SCRATCH (emptied first) holds decoded strings until the next
 * call.  False: malformed, to be answered by closing with 3501; also for an id
 * that is not an integer in 0..2^32-1, for members of a wrong type, and for bytes
 * that are not UTF-8.
 */
bool cmd_json_parse(struct base_slice line, struct base_buf *scratch, struct cmd *cmd)
    BASE_MUST_CHECK;

/*
 * Replies: ID is not 0 (a command without an id gets no reply).
 *
 * {"id":ID,"error":{"code":..,"message":..}}; "temporary":true where the table says.
 */
void cmd_json_error(struct base_buf *out, uint32_t id, enum proto_error code);
/* The same, temporary, with a text of its own, which is UTF-8. */
void cmd_json_error_text(struct base_buf *out, uint32_t id, enum proto_error code,
    struct base_slice text);
/* {"id":ID,"KIND":{}} */
void cmd_json_empty(struct base_buf *out, uint32_t id, enum cmd_kind kind);
void cmd_json_subscribe(struct base_buf *out, uint32_t id,
    const struct cmd_subscribe_result *result);
/* Has all its members, whatever their values. */
void cmd_json_history(struct base_buf *out, uint32_t id,
    const struct cmd_history_result *result);
/*
 * {"id":ID,"presence":{"presence":{..}}}: begin, then each client with INFO, its
 * object, FIRST being true once, then end.
 */
void cmd_json_presence_begin(struct base_buf *out, uint32_t id);
void cmd_json_presence_add(struct base_buf *out, bool first, struct base_slice client,
    struct base_slice info);
void cmd_json_presence_end(struct base_buf *out);
void cmd_json_presence_stats(struct base_buf *out, uint32_t id, uint64_t num_clients,
    uint64_t num_users);
void cmd_json_connect(struct base_buf *out, uint32_t id,
    const struct cmd_connect_result *result);
/* {"id":ID,"refresh":{"expires":true,"ttl":TTL}}; without members when !expires. */
void cmd_json_refresh(struct base_buf *out, uint32_t id, bool expires, uint32_t ttl);

/*
 * {"push":{"channel":..,"pub":{"data":..,"info":..}}}; INFO may be NULL.
 * The publication's data is passed on byte for byte (see json_wr_raw).
 */
void cmd_json_pub(struct base_buf *out, struct base_slice channel,
    struct base_slice data, const struct cmd_client_info *info);
/* {"user":..,"client":..,"conn_info":..,"chan_info":..} */
void cmd_json_info(struct base_buf *out, const struct cmd_client_info *info);
/* {"push":{"channel":..,"join":{"info":INFO}}}, or leave; INFO as of cmd_json_info. */
void cmd_json_presence(struct base_buf *out, struct base_slice channel, bool join,
    struct base_slice info);
/* {"push":{"channel":..,"unsubscribe":{"code":..,"reason":..}}} */
void cmd_json_unsubscribe(struct base_buf *out, struct base_slice channel,
    uint32_t code, const char *reason);

#endif
