/*
 * ctl_client: a question to the daemon over its control socket, and the answer.
 */
#ifndef CTL_CTL_CLIENT_H
#define CTL_CTL_CLIENT_H

#include "base/base_buf.h"
#include "ctl/ctl.h"

struct ctl_answer {
	struct base_buf text; /* the whole body */
	struct base_slice result; /* the object in it; empty on an error */
};

/*
 * Posts the members BODY, without the braces, to PATH.  CTL_OK: there is a result.
 * Else what is wrong was said; after CTL_ERROR the text is there.  The caller frees
 * the text.
 */
enum ctl_exit ctl_ask(const struct ctl_args *args, const char *path,
    const struct base_buf *body, struct ctl_answer *answer) BASE_MUST_CHECK;

/* The same, for a command that is one question: with --json shows what came. */
enum ctl_exit ctl_ask_show(const struct ctl_args *args, const char *path,
    const struct base_buf *body, void (*show)(struct base_slice result));

#endif
