/*
 * chatctl: see ctl.h.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base_proc.h"
#include "conf/conf_parse.h"
#include "ctl/ctl.h"
#include "plug/plug_load.h"

#define DEFAULT_CONF SYSCONFDIR "/chat.conf"

void
ctl_complain(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "chatctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}

struct conf *
ctl_conf(const struct ctl_args *args)
{
	struct base_buf errors = {0};
	struct conf *conf;

	conf = conf_parse_file(
	    args->conf != NULL ? args->conf : DEFAULT_CONF, &errors);
	if (conf == NULL)
		fwrite(errors.p, 1, errors.len, stderr);
	base_buf_free(&errors);
	return conf;
}

int
main(int argc, char **argv)
{
	struct ctl_args args;
	int code;

	base_proc_fds_init();
	if (!ctl_args_read(argc, argv, &args)) {
		fprintf(stderr, "usage: chatctl [options] COMMAND [arguments]; "
				"all of them: chatctl --help\n");
		return CTL_USAGE;
	}
	if (args.help != NULL) {
		ctl_args_usage();
		return CTL_OK;
	}
	if (args.version != NULL) {
		printf("chatctl " PACKAGE_VERSION "\n");
		return CTL_OK;
	}
	if (args.plugin_dir != NULL && !plug_load_set_dir(args.plugin_dir)) {
		ctl_complain("--plugin-dir: not in a program that runs with more "
			     "rights than its user");
		return CTL_USAGE;
	}
	code = args.command->run(&args);
	if (fflush(stdout) != 0 && code == CTL_OK)
		code = CTL_ERROR;
	return code;
}
