/*
 * chatd: see role/master.h; here are only the command line and its answers.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_fail.h"
#include "base/base_mem.h"
#include "base/base_proc.h"
#include "conf/conf_dump.h"
#include "conf/conf_parse.h"
#include "plug/plug_store.h"
#include "role/master.h"

#define DEFAULT_CONF SYSCONFDIR "/chat.conf"

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: chatd [-fhtTV] [-c FILE] [--plugin-dir DIR]\n"
	    "  -c FILE  configuration (default " DEFAULT_CONF ")\n"
	    "  -f       stay in the foreground\n"
	    "  -t       check the configuration and exit\n"
	    "  -T       also show it with all defaults, without secrets\n"
	    "  -V       show the version and those of libraries, and exit\n"
	    "  -h       show this help and exit\n"
	    "  --plugin-dir DIR\n"
	    "           load plugins from there (default " PLUGINDIR ")\n"
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

struct args {
	struct master_opts opts;
	const char *path;
	bool only_check;
	bool dump;
};

/* What is in force, as -T shows it; false with lines in ERRORS. */
static bool
dump(const struct conf *conf, struct base_buf *text, struct base_buf *errors)
{
	struct plug_store store = {0};

	if (plug_store_used(conf) && !plug_store_open(conf, &store, errors))
		return false;
	conf_dump(conf, text);
	plug_store_dump(conf, &store, text);
	if (store.mod != NULL)
		plug_store_close(&store);
	return true;
}

/* PATH is absolute, the one in ARGS is as it was given. */
static int
check(const struct args *args, const char *path)
{
	struct base_buf errors = {0}, text = {0};
	struct conf *conf = conf_parse_file(path, &errors);

	if (conf == NULL || !plug_store_check(conf, &errors) ||
	    !dump(conf, &text, &errors)) {
		fwrite(errors.p, 1, errors.len, stderr);
		base_buf_free(&text);
		base_buf_free(&errors);
		conf_free(conf);
		return 1;
	}
	/* What -T shows is a configuration again. */
	printf("%s%s: ok\n", args->dump ? "# " : "", args->path);
	if (args->dump)
		fwrite(text.p, 1, text.len, stdout);
	base_buf_free(&text);
	base_buf_free(&errors);
	conf_free(conf);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* DIR is for good: children of the master load plugins too. */
static bool
set_plugin_dir(const char *dir)
{
	char *full = absolute(dir);
	bool good = full != NULL && plug_load_set_dir(full);

	if (full == NULL)
		fprintf(stderr, "chatd: current directory: %s\n", strerror(errno));
	else if (!good)
		fprintf(stderr, "chatd: --plugin-dir: not in a program that runs with "
				"more rights than its user\n");
	free(full);
	return good;
}

/* -1: go on; else the exit code of what was answered here. */
static int
parse_args(int argc, char **argv, struct args *args)
{
	static const struct option longs[] = {
	    {"plugin-dir", required_argument, NULL, 'P'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:fhtTV", longs, NULL)) != -1) {
		switch (c) {
		case 'P':
			if (!set_plugin_dir(optarg))
				return 1;
			break;
		case 'c':
			args->path = optarg;
			break;
		case 'f':
			args->opts.foreground = true;
			break;
		case 't':
			args->only_check = true;
			break;
		case 'T':
			args->only_check = args->dump = true;
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
	r = args.only_check ? check(&args, full) : master_run(&args.opts);
	free(full);
	return r;
}
