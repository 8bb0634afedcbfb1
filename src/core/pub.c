/*
 * pub: see the header.
 */
#include "config.h"

#include "core/pub.h"

#include <string.h>

#include "base/base_time.h"
#include "proto/cmd_json.h"
#include "proto/ws_frame.h"

struct base_slice
pub_frame(struct sess_env *env, struct base_slice channel, struct base_slice data,
    const struct cmd_client_info *info)
{
	struct base_buf *b = &env->frame;
	uint8_t head[WS_HEAD_MAX];
	size_t n;

	b->len = 0;
	base_buf_room(b, WS_HEAD_MAX);
	b->len = WS_HEAD_MAX;
	cmd_json_pub(b, channel, data, info);
	/* The head's length depends on the text's: it ends where the text begins. */
	n = ws_frame_head(head, WS_FIN | WS_TEXT, b->len - WS_HEAD_MAX);
	memcpy(b->p + WS_HEAD_MAX - n, head, n);
	return (struct base_slice){b->p + WS_HEAD_MAX - n, b->len - WS_HEAD_MAX + n};
}

bool
pub_fits(
    const struct sess_env *env, struct base_slice channel, struct base_slice frame)
{
	return channel.len + frame.len <= ring_lane_max(env->lane);
}

void
pub_put(struct sess_env *env, struct base_slice channel, struct base_slice frame,
    uint64_t hash, uint64_t mask)
{
	struct ring_head head = {
	    .chan = hash, .mask = mask, .time = base_time_wall_ns(), .type = RING_DATA};
	struct iovec body = {(void *)(uintptr_t)frame.p, frame.len};

	ring_lane_put(env->lane, &head, channel, &body, 1);
	env->wake_mask |= mask;
}
