/* bench_opts: see bench_opts.h. */
#include "config.h"

#include "bench/bench_opts.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"

enum kind { FLAG, INT, REAL, TEXT, LIST };

#define ALL (LOAD | HOLD)
#define LOAD (MEMBERS | BENCH_PUBLISH)
#define MEMBERS (BENCH_RATE | BENCH_SATURATE)
#define HOLD (BENCH_IDLE | BENCH_CONNECT)

struct opt {
	const char *name;
	enum kind kind;
	size_t offset; /* in struct bench_opts */
	unsigned modes; /* in which it means something */
	double min, max; /* of a number; of a list: entries */
	const char *def; /* as on the command line; NULL: none */
	const char *arg;
	const char *text;
};

#define AT(member) offsetof(struct bench_opts, member)

static const struct opt opts[] = {
    {"url", LIST, AT(urls), ALL, 0, 64, "ws://127.0.0.1:8000/connection/websocket",
	"URL", "server, ws: or wss:; several share the connections"},
    {"allow-remote", FLAG, AT(allow_remote), ALL, 0, 0, NULL, NULL,
	"load servers that are not on this machine"},
    {"insecure", FLAG, AT(insecure), ALL, 0, 0, NULL, NULL,
	"do not verify the server's certificate"},
    {"ca", TEXT, AT(ca), ALL, 0, 0, NULL, "FILE",
	"certificates to verify with, instead of the system's"},
    {"header", LIST, AT(headers), ALL, 0, 16, NULL, "LINE",
	"header for the upgrade request, repeatable"},
    {"token", TEXT, AT(token), ALL, 0, 0, NULL, "JWT", "connect with this token"},
    {"token-secret", TEXT, AT(token_secret), ALL, 0, 0, NULL, "SECRET",
	"make each connection an HS256 token with a user of its own"},
    {"compression", FLAG, AT(compression), ALL, 0, 0, NULL, NULL,
	"offer permessage-deflate"},
    {"raw", FLAG, AT(raw), ALL, 0, 0, NULL, NULL,
	"no protocol: /ROOM sends what comes from publishers at /ROOM?pub"},

    {"rooms", INT, AT(rooms), ALL, 1, 1000000, "1", "N", "channels"},
    {"members", INT, AT(members), MEMBERS, 1, 1000000, "100", "N",
	"subscribers of each room"},
    {"publishers", INT, AT(publishers), LOAD, 1, 100000, "1", "N",
	"members of each room that publish"},
    {"outside", FLAG, AT(outside), MEMBERS, 0, 0, NULL, NULL,
	"publishers are connections of their own, without subscription"},
    {"rate", REAL, AT(rate), BENCH_RATE, 0.001, 1e6, "10", "R",
	"messages a second and publisher"},
    {"size", INT, AT(size), LOAD, BENCH_SIZE_MIN, BENCH_SIZE_MAX, "128", "BYTES",
	"size of a message's data"},
    {"window", INT, AT(window), BENCH_SATURATE | BENCH_PUBLISH, 1, 100000, "32", "N",
	"messages outstanding at a time; in mode publish, of each publisher"},
    {"connections", INT, AT(connections), HOLD, 1, 1000000, "1000", "N",
	"connections in all"},
    {"channel-prefix", TEXT, AT(channel_prefix), ALL, 0, 0, "bench", "TEXT",
	"rooms are channels TEXT0, TEXT1, ..."},
    {"churn", REAL, AT(churn), BENCH_RATE, 0, 1e5, "0", "R",
	"members a second that leave and come back"},
    {"reconnect", FLAG, AT(reconnect), BENCH_RATE | BENCH_IDLE, 0, 0, NULL, NULL,
	"connect again after a cut, with the back-off of the SDKs"},

    {"duration", REAL, AT(duration), LOAD | BENCH_IDLE, 0.1, 1e6, "10", "S",
	"seconds to measure"},
    {"warmup", REAL, AT(warmup), LOAD, 0, 1e5, "2", "S", "seconds of load before that"},
    {"drain", REAL, AT(drain), LOAD, 0.1, 1e5, "3", "S",
	"seconds to wait for what is still on its way"},
    {"settle", REAL, AT(settle), ALL, 0, 1e5, "1", "S",
	"seconds of rest after connecting"},
    {"timeout", REAL, AT(timeout), ALL, 0.1, 1e5, "60", "S",
	"seconds within which all have to be connected"},

    {"concurrency", INT, AT(concurrency), ALL, 1, 10000, "64", "N",
	"connections being opened at a time"},
    {"sources", INT, AT(sources), ALL, 1, 250, "16", "N",
	"source addresses 127.0.0.1 and up"},
    {"processes", INT, AT(processes), HOLD, 1, 64, "1", "N",
	"processes that share the connections"},
    {"prime", INT, AT(prime), HOLD, 0, 1000000, "0", "N",
	"connections opened before memory is first measured"},
    {"poll-us", INT, AT(poll_us), ALL, 0, 1000000, "0", "US",
	"look for input every US microseconds; 0: be woken by it"},
    {"pid", LIST, AT(pids), ALL, 1, 64, NULL, "PID",
	"root of a server's process tree to measure, repeatable"},
    {"seed", INT, AT(seed), ALL, 0, 4294967295.0, "1", "N", "of all that is random"},

    {"json", FLAG, AT(json), ALL, 0, 0, NULL, NULL, "report as JSON on stdout"},
    {"label", TEXT, AT(label), ALL, 0, 0, "", "TEXT", "name of the run in the report"},
    {"quiet", FLAG, AT(quiet), ALL, 0, 0, NULL, NULL, "no progress on stderr"},
    {"help", FLAG, AT(help), ALL, 0, 0, NULL, NULL, "print this"},
    {"version", FLAG, AT(version), ALL, 0, 0, NULL, NULL, "print the version"},
};

static const struct {
	enum bench_mode mode;
	const char *name, *text;
} modes[] = {
    {BENCH_RATE, "rate", "publish at a fixed rate and account for every delivery"},
    {BENCH_SATURATE, "saturate",
	"the same, as fast as deliveries come, --window messages ahead"},
    {BENCH_PUBLISH, "publish",
	"publish as fast as it is confirmed, --window messages ahead; no subscribers"},
    {BENCH_IDLE, "idle", "hold connections with one subscription each"},
    {BENCH_CONNECT, "connect", "open connections as fast as the server takes them"},
};

const char *
bench_mode_name(enum bench_mode mode)
{
	for (size_t i = 0; i < BASE_COUNT(modes); i++)
		if (modes[i].mode == mode)
			return modes[i].name;
	return "none";
}

static void
print_help(void)
{
	char left[64];

	printf("usage: chatbench MODE [options]\n\nModes:\n");
	for (size_t i = 0; i < BASE_COUNT(modes); i++)
		printf("  %-24s %s\n", modes[i].name, modes[i].text);
	printf("\nOptions (and their defaults):\n");
	for (size_t i = 0; i < BASE_COUNT(opts); i++) {
		const struct opt *o = &opts[i];

		snprintf(left, sizeof(left), "--%s%s%s", o->name,
		    o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
		printf("  %-24s %s", left, o->text);
		if (o->def != NULL && o->def[0] != '\0')
			printf(" (%s)", o->def);
		putchar('\n');
	}
}

static void
list_add(struct bench_list *l, const char *text)
{
	l->v = base_realloc(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = base_strdup(text);
}

/* Says what is wrong with the option and returns -1. */
static int
bad_option(const struct opt *o, const char *value, const char *why)
{
	fprintf(stderr, "chatbench: --%s %s: %s\n", o->name, value, why);
	return -1;
}

static int
set_number(const struct opt *o, void *to, const char *value)
{
	char *end, why[96];
	double v;

	errno = 0;
	v = strtod(value, &end);
	if (end == value || *end != '\0' || errno != 0 || !isfinite(v))
		return bad_option(o, value, "not a number");
	if (o->kind == INT && v != floor(v))
		return bad_option(o, value, "not a whole number");
	if (v < o->min || v > o->max) {
		snprintf(why, sizeof(why), "not within %.15g to %.15g", o->min, o->max);
		return bad_option(o, value, why);
	}
	if (o->kind == INT)
		*(int64_t *)to = (int64_t)v;
	else
		*(double *)to = v;
	return 0;
}

static int
set_option(const struct opt *o, struct bench_opts *b, const char *value)
{
	void *to = (char *)b + o->offset;
	struct bench_list *l;

	switch (o->kind) {
	case FLAG:
		*(bool *)to = true;
		return 0;
	case INT:
	case REAL:
		return set_number(o, to, value);
	case TEXT:
		free(*(char **)to);
		*(char **)to = base_strdup(value);
		return 0;
	case LIST:
		l = to;
		if (l->n >= (unsigned)o->max)
			return bad_option(o, value, "too many of them");
		list_add(l, value);
		return 0;
	}
	return -1;
}

static int
set_mode(struct bench_opts *o, const char *name)
{
	for (size_t i = 0; i < BASE_COUNT(modes); i++) {
		if (strcmp(modes[i].name, name) == 0) {
			o->mode = modes[i].mode;
			return 0;
		}
	}
	fprintf(stderr, "chatbench: %s: no such mode (rate, saturate, idle, connect)\n",
	    name);
	return -1;
}

/* Reads argv; GIVEN says which options came. */
static int
read_args(struct bench_opts *o, int argc, char **argv, bool given[BASE_COUNT(opts)])
{
	struct option longs[BASE_COUNT(opts) + 1];
	int at, c;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < BASE_COUNT(opts); i++) {
		longs[i].name = opts[i].name;
		longs[i].has_arg =
		    opts[i].kind == FLAG ? no_argument : required_argument;
	}
	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		if (c == '?')
			return -1;
		given[at] = true;
		if (set_option(&opts[at], o, optarg) < 0)
			return -1;
	}
	if (o->help || o->version)
		return 0;
	if (argc - optind != 1) {
		fprintf(stderr, "chatbench: one mode is needed: see --help\n");
		return -1;
	}
	return set_mode(o, argv[optind]);
}

/* Printable ASCII, which JSON need not escape unless it is among ALSO. */
static bool
is_visible(const char *s, const char *also)
{
	for (; *s != '\0'; s++)
		if ((*s <= ' ' || *s >= 127 ||
			(also == NULL && strchr("\"\\", *s) != NULL)) &&
		    (also == NULL || strchr(also, *s) == NULL))
			return false;
	return true;
}

/* Rules across options. */
static const char *
check_together(const struct bench_opts *o)
{
	bool load = (o->mode & LOAD) != 0;

	if (o->token != NULL && o->token_secret != NULL)
		return "--token and --token-secret exclude each other";
	if (o->raw && (o->token != NULL || o->token_secret != NULL))
		return "with --raw there are no tokens";
	if (o->raw && o->mode == BENCH_PUBLISH)
		return "with --raw nothing is confirmed";
	if (o->raw && load && !o->outside)
		return "--raw needs --outside: who subscribes cannot publish";
	if (strlen(o->channel_prefix) > 200)
		return "--channel-prefix is too long (200 bytes)";
	if (!is_visible(o->channel_prefix, NULL))
		return "--channel-prefix may only have visible ASCII without quotes or "
		       "backslashes";
	if (load && !o->outside && o->publishers > o->members)
		return "--publishers is larger than --members (or use --outside)";
	if (o->churn > 0 && !o->outside && o->publishers >= o->members)
		return "--churn needs members that do not publish";
	if (load && (double)o->rooms * (double)(o->members + o->publishers) > 2e6)
		return "--rooms times --members is too large (2000000)";
	if (o->token != NULL &&
	    (strlen(o->token) > 16384 || !is_visible(o->token, NULL)))
		return "--token is not a token";
	for (unsigned i = 0; i < o->headers.n; i++)
		if (strchr(o->headers.v[i], ':') == NULL ||
		    !is_visible(o->headers.v[i], " "))
			return "--header is not NAME: VALUE";
	if (!load && o->processes > o->connections)
		return "--processes is larger than --connections";
	return NULL;
}

static int
check(const struct bench_opts *o, const bool given[BASE_COUNT(opts)])
{
	const char *why;

	for (size_t i = 0; i < BASE_COUNT(opts); i++) {
		if (given[i] && (opts[i].modes & (unsigned)o->mode) == 0) {
			fprintf(stderr, "chatbench: --%s has no meaning in mode %s\n",
			    opts[i].name, bench_mode_name(o->mode));
			return -1;
		}
	}
	why = check_together(o);
	if (why != NULL) {
		fprintf(stderr, "chatbench: %s\n", why);
		return -1;
	}
	for (unsigned i = 0; i < o->pids.n; i++) {
		char *end;
		long pid = strtol(o->pids.v[i], &end, 10);

		if (*end != '\0' || pid < 1 || pid > INT32_MAX) {
			fprintf(stderr, "chatbench: --pid %s: not a process id\n",
			    o->pids.v[i]);
			return -1;
		}
	}
	return 0;
}

enum bench_opts_result
bench_opts_parse(struct bench_opts *o, int argc, char **argv)
{
	bool given[BASE_COUNT(opts)] = {false};

	memset(o, 0, sizeof(*o));
	for (size_t i = 0; i < BASE_COUNT(opts); i++)
		if (opts[i].def != NULL && opts[i].kind != LIST &&
		    set_option(&opts[i], o, opts[i].def) < 0)
			return BENCH_OPTS_BAD;
	if (read_args(o, argc, argv, given) < 0)
		return BENCH_OPTS_BAD;
	if (o->help) {
		print_help();
		return BENCH_OPTS_DONE;
	}
	if (o->version) {
		printf("chatbench " PACKAGE_VERSION "\n");
		return BENCH_OPTS_DONE;
	}
	for (size_t i = 0; i < BASE_COUNT(opts); i++)
		if (opts[i].kind == LIST && opts[i].def != NULL && !given[i])
			list_add((struct bench_list *)((char *)o + opts[i].offset),
			    opts[i].def);
	if (o->mode == BENCH_PUBLISH) {
		o->members = 0;
		o->outside = true;
	}
	return check(o, given) < 0 ? BENCH_OPTS_BAD : BENCH_OPTS_RUN;
}

void
bench_opts_free(struct bench_opts *o)
{
	for (size_t i = 0; i < BASE_COUNT(opts); i++) {
		void *at = (char *)o + opts[i].offset;

		if (opts[i].kind == TEXT)
			free(*(char **)at);
		if (opts[i].kind == LIST) {
			struct bench_list *l = at;

			for (unsigned k = 0; k < l->n; k++)
				free(l->v[k]);
			free(l->v);
		}
	}
	memset(o, 0, sizeof(*o));
}
