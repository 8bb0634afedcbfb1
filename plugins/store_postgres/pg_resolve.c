/*
 * pg_resolve: the addresses of the hosts in dsn, without waiting for them.
 *
 * libpq would look them up within the call that begins to connect.  So that is done
 * before, by the C library in a thread of its own (getaddrinfo_a(3)), and libpq gets
 * each address beside its name, which it keeps for certificates and passwords.
 *
 * Of several hosts libpq tries one after the other, but waits for one that does not
 * answer for ever.  So after each attempt that has taken too long the next begins with
 * another one.
 *
 * A look-up cannot be taken back.  One that is not wanted any more is left to itself,
 * with its memory, until it ends.
 */
#define _GNU_SOURCE /* getaddrinfo_a */
#include "pg_store.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* How soon it is looked again whether there is an answer, ms. */
#define LOOK_MS 10

/* Hosts that dsn may name, and addresses of all of them. */
#define HOSTS 16
#define ADDRESSES 32

struct pg_lookup {
	struct gaicb items[HOSTS];
	struct gaicb *list[HOSTS];
	struct addrinfo hints;
	size_t n;
	char *hosts, *ports; /* comma-separated, as in dsn; cut into pieces here */
	const char *port[HOSTS];
	bool asked[HOSTS]; /* a name: the others need no look-up */
};

static void
lookup_free(struct pg_lookup *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->items[i].ar_result != NULL)
			freeaddrinfo(l->items[i].ar_result);
	free(l->hosts);
	free(l->ports);
	free(l);
}

/* Cuts the next piece off a list; an empty list has one empty piece. */
static const char *
cut(char **list)
{
	return *list != NULL ? strsep(list, ",") : "";
}

/* An address, or the directory of a socket: the default too. */
static bool
needs_none(const char *host)
{
	struct in6_addr address;

	return host[0] == 0 || host[0] == '/' || host[0] == '@' ||
	    inet_pton(AF_INET, host, &address) == 1 ||
	    inet_pton(AF_INET6, host, &address) == 1;
}

static const char *
value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val != NULL ? options->val : "";
	return "";
}

/* The hosts; false: there is one, that needs no look-up, or it is libpq's affair. */
static bool
read_hosts(struct pg_lookup *l, const PQconninfoOption *options)
{
	char *hosts, *ports;
	bool any = false, one_port;

	if (value_of(options, "hostaddr")[0] != 0 ||
	    value_of(options, "service")[0] != 0)
		return false;
	l->hosts = hosts = strdup(value_of(options, "host"));
	l->ports = ports = strdup(value_of(options, "port"));
	if (hosts == NULL || ports == NULL)
		return false;
	one_port = strchr(ports, ',') == NULL;
	while (hosts != NULL && l->n < HOSTS) {
		l->items[l->n].ar_name = cut(&hosts);
		l->port[l->n] = one_port ? l->ports : cut(&ports);
		l->asked[l->n] = !needs_none(l->items[l->n].ar_name);
		any |= l->asked[l->n];
		l->n++;
	}
	return (any || l->n > 1) && hosts == NULL;
}

/* Begins to look up what has to be. */
static bool
begin(struct pg_lookup *l)
{
	int n = 0;
	size_t i;

	l->hints.ai_socktype = SOCK_STREAM;
	l->hints.ai_flags = AI_ADDRCONFIG;
	for (i = 0; i < l->n; i++) {
		if (!l->asked[i])
			continue;
		l->items[i].ar_request = &l->hints;
		l->list[n++] = &l->items[i];
	}
	return getaddrinfo_a(GAI_NOWAIT, l->list, n, NULL) == 0;
}

bool
pg_resolve_begin(struct pg_conn *c)
{
	PQconninfoOption *options = PQconninfoParse(c->store->conf->dsn, NULL);
	struct pg_lookup *l = calloc(1, sizeof(*l));
	bool begun = options != NULL && l != NULL && read_hosts(l, options) && begin(l);

	PQconninfoFree(options);
	if (begun) {
		c->lookup = l;
		c->store->host->timer_set(c->look, LOOK_MS);
	} else if (l != NULL) {
		lookup_free(l);
	}
	return begun;
}

static bool
in_progress(const struct pg_lookup *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->asked[i] &&
		    gai_error((struct gaicb *)(uintptr_t)&l->items[i]) ==
			EAI_INPROGRESS)
			return true;
	return false;
}

void
pg_resolve_cancel(struct pg_conn *c)
{
	struct pg_lookup *l = c->lookup;
	size_t i;

	if (l == NULL)
		return;
	c->lookup = NULL;
	c->store->host->timer_set(c->look, -1);
	for (i = 0; i < l->n; i++)
		if (l->asked[i])
			gai_cancel(&l->items[i]);
	if (!in_progress(l))
		lookup_free(l);
}

/* ---- the answer ------------------------------------------------------------------ */

struct address {
	const char *host, *port;
	char text[INET6_ADDRSTRLEN + 24]; /* with a scope; empty: as the host says */
};

/* All addresses of the host at I, behind N others; how many there are then. */
static size_t
add_addresses(struct pg_lookup *l, size_t i, struct address *to, size_t n)
{
	const struct addrinfo *a = l->items[i].ar_result;

	if (!l->asked[i] && n < ADDRESSES) {
		to[n++] = (struct address){l->items[i].ar_name, l->port[i], ""};
		return n;
	}
	for (; a != NULL && n < ADDRESSES; a = a->ai_next) {
		to[n] = (struct address){l->items[i].ar_name, l->port[i], ""};
		if (getnameinfo(a->ai_addr, a->ai_addrlen, to[n].text,
			sizeof(to[n].text), NULL, 0, NI_NUMERICHOST) == 0)
			n++;
	}
	return n;
}

static void
add(struct pg_buf *list, bool first, const char *text)
{
	if (!first)
		pg_buf_add(list, ",", 1);
	pg_buf_add(list, text, strlen(text));
}

/* The lists, from the address at FROM on, and around. */
static void
make_lists(struct pg_target *t, const struct address *found, size_t n, size_t from)
{
	const struct address *a;
	size_t i;

	for (i = 0; i < n; i++) {
		a = &found[(from + i) % n];
		add(&t->hosts, i == 0, a->host);
		add(&t->addresses, i == 0, a->text);
		add(&t->ports, i == 0, a->port);
	}
	/* Terminated. */
	pg_buf_add(&t->hosts, "", 1);
	pg_buf_add(&t->addresses, "", 1);
	pg_buf_add(&t->ports, "", 1);
	t->n = t->hosts.failed || t->addresses.failed || t->ports.failed ? 0 : n;
}

bool
pg_resolve_end(struct pg_conn *c, struct pg_target *t, char *why, size_t size)
{
	struct pg_lookup *l = c->lookup;
	struct address found[ADDRESSES];
	size_t i, n = 0;
	int r;

	if (in_progress(l)) {
		c->store->host->timer_set(c->look, LOOK_MS);
		return false;
	}
	snprintf(why, size, "out of memory");
	for (i = 0; i < l->n; i++) {
		r = l->asked[i] ? gai_error(&l->items[i]) : 0;
		if (r != 0)
			snprintf(why, size, "the host %s cannot be found: %s",
			    l->items[i].ar_name, gai_strerror(r));
		else
			n = add_addresses(l, i, found, n);
	}
	if (n > 0)
		make_lists(t, found, n, c->late);
	c->lookup = NULL;
	lookup_free(l);
	return true;
}

void
pg_target_free(struct pg_target *t)
{
	pg_buf_free(&t->hosts);
	pg_buf_free(&t->addresses);
	pg_buf_free(&t->ports);
}
