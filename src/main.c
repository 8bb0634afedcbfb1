/*
 * chatd: see role/master.h; here are only the command line and its answers.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_fail.h"
#include "base/base_mem.h"
#include "base/base_proc.h"
#include "conf/conf_parse.h"
#include "role/master.h"

#define DEFAULT_CONF SYSCONFDIR "/chat.conf"

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: chatd [-fhtV] [-c FILE]\n"
	    "  -c FILE  configuration (default " DEFAULT_CONF ")\n"
	    "  -f       stay in the foreground\n"
	    "  -t       check the configuration and exit\n"
	    "  -V       show the version and those of libraries, and exit\n"
	    "  -h       show this help and exit\n"
	    "signals to the master process (run_dir/chatd.pid has its pid):\n");
#define X(name, text) fprintf(to, "  %-7s  %s\n", #name, text);
	MASTER_SIGNALS(X)
#undef X
}

static void
version(void)
{
	printf("chatd " PACKAGE_VERSION "\n");
	printf("built with " LIBRARY_VERSIONS "\n");
}

/*
 * PATH from the root, so that it means the same later.  Not with its links
 * resolved: a reload shall follow a link that was changed.  NULL with errno.
 */
static char *
absolute(const char *path)
{
	size_t size;
	char *cwd, *full;

	if (path[0] == '/')
		return base_strdup(path);
	cwd = getcwd(NULL, 0);
	if (cwd == NULL)
		return NULL;
	size = strlen(cwd) + strlen(path) + 2;
	full = base_malloc(size);
	snprintf(full, size, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
	free(cwd);
	return full;
}

static int
check(const char *path, const char *shown)
{
	struct base_buf errors = {0};
	struct conf *conf = conf_parse_file(path, &errors);
	bool ok = conf != NULL;

	if (ok)
		printf("%s: ok\n", shown);
	else
		fwrite(errors.p, 1, errors.len, stderr);
	base_buf_free(&errors);
	if (ok)
		conf_free(conf);
	return ok ? 0 : 1;
}

struct args {
	struct master_opts opts;
	const char *path;
	bool only_check;
};

/* -1: go on; else the exit code of what was answered here. */
static int
parse_args(int argc, char **argv, struct args *args)
{
	int c;

	while ((c = getopt(argc, argv, "c:fhtV")) != -1) {
		switch (c) {
		case 'c':
			args->path = optarg;
			break;
		case 'f':
			args->opts.foreground = true;
			break;
		case 't':
			args->only_check = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			version();
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "chatd: unexpected argument: %s\n", argv[optind]);
	usage(stderr);
	return 1;
}

int
main(int argc, char **argv)
{
	struct args args = {.path = DEFAULT_CONF};
	char *full;
	int r;

	base_proc_fds_init();
	base_proc_title_init(argc, &argv);
	base_fail_init();
	r = parse_args(argc, argv, &args);
	if (r >= 0)
		return r;
	full = absolute(args.path);
	if (full == NULL) {
		fprintf(stderr, "chatd: current directory: %s\n", strerror(errno));
		return 1;
	}
	args.opts.conf_path = full;
	r = args.only_check ? check(full, args.path) : master_run(&args.opts);
	free(full);
	return r;
}
