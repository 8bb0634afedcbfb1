/*
 * ctl_args: the command line of chatctl.
 */
#ifndef CTL_CTL_ARGS_H
#define CTL_CTL_ARGS_H

#include "base/base_defs.h"
#include "conf/conf_set.h"
#include "ctl/ctl_cmds.h"

/* Exit codes. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_ERROR = 1, /* the answer is an error, or the work failed */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3, /* nobody answers */
};

struct ctl_args;

struct ctl_command {
	const char *words, *args;
	int least, most;
	unsigned options;
	const char *text;
	enum ctl_exit (*run)(const struct ctl_args *args);
};

struct ctl_args {
	const struct ctl_command *command;
	char **argv; /* its arguments */
	int argc;
	/* The options; NULL: not given.  Those without an argument are "". */
#define X(member, letter, name, arg, use, text) const char *member;
	CTL_OPTIONS(X)
#undef X
};

/* False: it cannot be understood, and why was said. */
bool ctl_args_read(int argc, char **argv, struct ctl_args *args) BASE_MUST_CHECK;

/* The summary. */
void ctl_args_usage(void);

#endif
