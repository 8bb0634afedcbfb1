/*
 * pub: a publication of a plain channel: one frame, made once for all who get it, and
 * its way into our lane.
 */
#ifndef CORE_PUB_H
#define CORE_PUB_H

#include "core/sess.h"

/* The push as one WebSocket frame, in env->frame; INFO may be NULL. */
struct base_slice pub_frame(struct sess_env *env, struct base_slice channel,
    struct base_slice data, const struct cmd_client_info *info);

/* False: FRAME is too large for a record of the ring. */
bool pub_fits(const struct sess_env *env, struct base_slice channel,
    struct base_slice frame);

/*
 * Gives FRAME to the workers of MASK, which is not 0.  The caller has made room in our
 * own lane for it (sess_ops.make_room).
 */
void pub_put(struct sess_env *env, struct base_slice channel, struct base_slice frame,
    uint64_t hash, uint64_t mask);

#endif
