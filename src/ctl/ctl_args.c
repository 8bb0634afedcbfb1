/*
 * ctl_args: see the header.
 */
#include "config.h"

#include "ctl/ctl_args.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

#define LONG_BASE 256 /* of what getopt_long returns, above all letters */
#define LINE 78
#define INDENT 6

/* ---- the tables ---- */

static const struct ctl_command commands[] = {
#define X(fn, words, names, least, most, use, text) \
	{words, names, least, most, use, text, ctl_##fn},
    CTL_COMMANDS(X)
#undef X
};

struct opt {
	const char *name, *arg;
	int letter;
	unsigned use;
	const char *text;
	size_t at; /* in struct ctl_args */
};

static const struct opt opts[] = {
#define X(member, letter, name, arg, use, text) \
	{name, arg, letter, use, text, offsetof(struct ctl_args, member)},
    CTL_OPTIONS(X)
#undef X
};

/* ---- the summary ---- */

/* Fills lines with the words of TEXT. */
static void
print_text(const char *text)
{
	size_t column = 0, n;

	while (*text != 0) {
		n = strcspn(text, " ");
		if (column == 0)
			column = (size_t)printf("%*s", INDENT, "");
		else if (column + 1 + n > LINE)
			column = (size_t)printf("\n%*s", INDENT, "") - 1;
		else
			column += (size_t)printf(" ");
		column += (size_t)printf("%.*s", (int)n, text);
		text += n + strspn(text + n, " ");
	}
	printf("\n");
}

static void
print_options(unsigned use)
{
	for (size_t i = 0; i < BASE_COUNT(opts); i++) {
		const struct opt *o = &opts[i];

		if (o->use != use)
			continue;
		printf("    ");
		if (o->letter != 0)
			printf("-%c, ", o->letter);
		printf("--%s%s%s\n", o->name, o->arg != NULL ? " " : "",
		    o->arg != NULL ? o->arg : "");
		print_text(o->text);
	}
}

void
ctl_args_usage(void)
{
	printf("usage: chatctl [options] COMMAND [arguments]\n\ncommands:\n");
	for (size_t i = 0; i < BASE_COUNT(commands); i++) {
		const struct ctl_command *c = &commands[i];

		printf("  %s%s%s\n", c->words, c->args[0] != 0 ? " " : "", c->args);
		print_text(c->text);
		if (c->options != 0)
			print_options(c->options);
	}
	printf("\noptions:\n");
	print_options(CTL_FOR_ALL);
	printf("\nexit codes: 0 done; 1 answered with an error; 2 not understood; "
	       "3 nobody answers\n");
}

/* ---- reading ---- */

/* How many words of ARGV are those of the command; 0: it is another. */
static int
match(const struct ctl_command *c, int argc, char **argv)
{
	const char *words = c->words;
	int n = 0;

	while (*words != 0) {
		size_t len = strcspn(words, " ");

		if (n == argc || strlen(argv[n]) != len ||
		    memcmp(argv[n], words, len) != 0)
			return 0;
		words += len + (words[len] == ' ');
		n++;
	}
	return n;
}

static bool
find_command(int argc, char **argv, struct ctl_args *args)
{
	int best = 0;

	for (size_t i = 0; i < BASE_COUNT(commands); i++) {
		int n = match(&commands[i], argc, argv);

		if (n <= best)
			continue;
		best = n;
		args->command = &commands[i];
	}
	if (best == 0) {
		if (argc == 0)
			ctl_complain("a command is missing");
		else
			ctl_complain("there is no command %s", argv[0]);
		return false;
	}
	args->argv = argv + best;
	args->argc = argc - best;
	return true;
}

static const char **
value_of(struct ctl_args *args, const struct opt *o)
{
	return (void *)((char *)args + o->at);
}

static bool
check_use(struct ctl_args *args)
{
	const struct ctl_command *c = args->command;

	if (args->argc < c->least || args->argc > c->most) {
		ctl_complain("%s takes %s", c->words,
		    c->args[0] != 0 ? c->args : "no arguments");
		return false;
	}
	for (size_t i = 0; i < BASE_COUNT(opts); i++)
		if (*value_of(args, &opts[i]) != NULL &&
		    (opts[i].use & (c->options | CTL_FOR_ALL)) == 0) {
			ctl_complain("--%s is not for %s", opts[i].name, c->words);
			return false;
		}
	return true;
}

/* Number of the option that getopt_long found, or -1. */
static int
option_of(int c)
{
	if (c >= LONG_BASE)
		return c - LONG_BASE;
	for (size_t i = 0; i < BASE_COUNT(opts); i++)
		if (opts[i].letter == c)
			return (int)i;
	return -1;
}

static bool
read_options(int argc, char **argv, struct ctl_args *args)
{
	struct option longs[BASE_COUNT(opts) + 1] = {0};
	char shorts[2 * BASE_COUNT(opts) + 1], *s = shorts;
	int c, n;

	for (size_t i = 0; i < BASE_COUNT(opts); i++) {
		longs[i] = (struct option){opts[i].name,
		    opts[i].arg != NULL ? required_argument : no_argument, NULL,
		    LONG_BASE + (int)i};
		if (opts[i].letter != 0)
			*s++ = (char)opts[i].letter;
		if (opts[i].letter != 0 && opts[i].arg != NULL)
			*s++ = ':';
	}
	*s = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		n = option_of(c);
		if (n < 0)
			return false;
		*value_of(args, &opts[n]) = opts[n].arg != NULL ? optarg : "";
	}
	return true;
}

bool
ctl_args_read(int argc, char **argv, struct ctl_args *args)
{
	*args = (struct ctl_args){0};
	if (!read_options(argc, argv, args))
		return false;
	if (args->help != NULL || args->version != NULL)
		return true;
	return find_command(argc - optind, argv + optind, args) && check_use(args);
}
