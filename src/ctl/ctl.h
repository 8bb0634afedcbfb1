/*
 * ctl: chatctl, the operator's command line; see ctl_cmds.h for what it can do.
 *
 * Nearly all of it is a question to the control socket of the daemon and a table of
 * the answer.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "ctl/ctl_args.h"

/* Each command: run with its arguments checked by number; returns the exit code. */
#define X(fn, words, names, least, most, use, text) \
	enum ctl_exit ctl_##fn(const struct ctl_args *args);
CTL_COMMANDS(X)
#undef X

/* "chatctl: TEXT" on standard error. */
void ctl_complain(const char *fmt, ...) BASE_PRINTF(1, 2);

/* The configuration, or NULL after complaints.  The caller frees it. */
struct conf *ctl_conf(const struct ctl_args *args);

#endif
