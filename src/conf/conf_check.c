/*
 * conf_check: see the header.
 */
#include "config.h"

#include "conf/conf_check.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "conf/conf_addr.h"
#include "conf/conf_error.h"
#include "conf/conf_pem.h"

struct check {
	const struct conf *conf;
	const struct conf_places *places;
	struct base_buf *errors;
};

/* Where option NAME of instance I stands; where its section does, if it does not. */
static struct conf_place
place_of(const struct check *c, enum conf_table_id id, size_t i, const char *name)
{
	const struct conf_table *tab = &conf_tables[id];
	const struct conf_opt *opt = conf_table_find(tab, name, strlen(name));
	const struct conf_section *section;
	struct conf_place place;

	base_assert(opt != NULL);
	place = c->places->at[id][i * tab->n + (size_t)(opt - tab->opts)];
	if (place.file != NULL)
		return place;
	if (id == CONF_TABLE_MAIN)
		return (struct conf_place){c->places->file, 1, false};
	section = conf_table_peek(c->conf, tab, i);
	return (struct conf_place){section->file, section->line, false};
}

static bool
main_is_good(const struct check *c, const char *name)
{
	return !place_of(c, CONF_TABLE_MAIN, 0, name).bad;
}

static bool
listen_is_good(const struct check *c, size_t i, const char *name)
{
	return !place_of(c, CONF_TABLE_LISTEN, i, name).bad;
}

#define FAIL(c, id, i, name, ...)                                                 \
	do {                                                                      \
		struct conf_place fail_place = place_of((c), (id), (i), (name));  \
		if (!fail_place.bad)                                              \
			conf_error((c)->errors, fail_place.file, fail_place.line, \
			    name ": " __VA_ARGS__);                               \
	} while (0)
#define FAIL_MAIN(c, name, ...)      FAIL(c, CONF_TABLE_MAIN, 0, name, __VA_ARGS__)
#define FAIL_LISTEN(c, i, name, ...) FAIL(c, CONF_TABLE_LISTEN, i, name, __VA_ARGS__)
#define FAIL_NAMESPACE(c, i, name, ...) \
	FAIL(c, CONF_TABLE_NAMESPACE, i, name, __VA_ARGS__)

static bool
is_power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Messages go through it, and none may take more than a small part of it. */
#define CHECK_SHARED(c, field)                                                         \
	do {                                                                           \
		const struct conf *shared_conf = (c)->conf;                            \
		uint64_t largest = shared_conf->max_message_size;                      \
                                                                                       \
		if (!is_power_of_two(shared_conf->field))                              \
			FAIL_MAIN(c, #field,                                           \
			    "must be a power of two, as 4m, 8m or 16m");               \
		else if (main_is_good(c, "max_message_size") &&                        \
		    shared_conf->field / 16 < largest)                                 \
			FAIL_MAIN(c, #field,                                           \
			    "must be at least 16 times max_message_size, which is "    \
			    "%llu bytes",                                              \
			    (unsigned long long)largest);                              \
	} while (0)

static void
check_sizes(const struct check *c)
{
	const struct conf *conf = c->conf;

	CHECK_SHARED(c, ring_size);
	CHECK_SHARED(c, queue_size);
	if (!is_power_of_two((uint64_t)conf->interest_buckets))
		FAIL_MAIN(c, "interest_buckets",
		    "must be a power of two, as 32768, 65536 or 131072");
	if (main_is_good(c, "output_buffer") &&
	    conf->output_total < conf->output_buffer)
		FAIL_MAIN(c, "output_total",
		    "must be at least output_buffer, which is %llu bytes",
		    (unsigned long long)conf->output_buffer);
	if (main_is_good(c, "max_message_size") &&
	    conf->history_reply < conf->max_message_size)
		FAIL_MAIN(c, "history_reply",
		    "must be at least max_message_size, which is %llu bytes",
		    (unsigned long long)conf->max_message_size);
	if (main_is_good(c, "max_message_size") &&
	    conf->input_total < conf->max_message_size)
		FAIL_MAIN(c, "input_total",
		    "must be at least max_message_size, which is %llu bytes",
		    (unsigned long long)conf->max_message_size);
	if (main_is_good(c, "publish_rate") && conf->publish_burst != 0 &&
	    conf->publish_rate == 0)
		FAIL_MAIN(c, "publish_burst", "has no meaning without publish_rate");
}

static void
check_times(const struct check *c)
{
	const struct conf *conf = c->conf;

	if (conf->ping_interval % 1000 != 0)
		FAIL_MAIN(c, "ping_interval",
		    "must be whole seconds: clients are told it in seconds");
	if (main_is_good(c, "ping_interval") &&
	    conf->pong_timeout >= conf->ping_interval)
		FAIL_MAIN(c, "pong_timeout",
		    "must be less than ping_interval, which is %lld ms",
		    (long long)conf->ping_interval);
}

static void
check_user(const struct check *c)
{
	const char *user = c->conf->user;

	if (user[0] == 0 || geteuid() != 0)
		return;
	errno = 0;
	if (getpwnam(user) == NULL)
		FAIL_MAIN(c, "user", "there is no user \"%s\"%s%s", user,
		    errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
}

/* A browser sends scheme, host and port: anything else would never match. */
static bool
origin_can_match(const char *origin)
{
	const char *host = strstr(origin, "://");

	if (strcmp(origin, "*") == 0 || strcmp(origin, "null") == 0)
		return true;
	return host != NULL && host != origin && host[3] != 0 &&
	    strpbrk(host + 3, "/?# ") == NULL;
}

static void
check_origins(const struct check *c)
{
	const struct conf_list *list = &c->conf->allowed_origins;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!origin_can_match(list->items[i]))
			FAIL_MAIN(c, "allowed_origins",
			    "\"%.200s\" matches no browser: must be as in "
			    "https://example.com or http://localhost:8000, without a path",
			    list->items[i]);
}

static void
check_tokens(const struct check *c)
{
	const struct conf_file *key = &c->conf->token_public_key;
	const char *wrong;

	if (key->data == NULL)
		return;
	wrong = conf_pem_public_key(key);
	if (wrong != NULL)
		FAIL_MAIN(c, "token_public_key", "%s %s", key->path, wrong);
}

static void
check_titles(const struct check *c, enum conf_table_id id)
{
	const struct conf_table *tab = &conf_tables[id];
	const struct conf_section *a, *b;
	size_t i, j;

	for (i = 0; i < conf_table_count(c->conf, tab); i++) {
		b = conf_table_peek(c->conf, tab, i);
		for (j = 0; j < i; j++) {
			a = conf_table_peek(c->conf, tab, j);
			if (strcmp(a->title, b->title) != 0)
				continue;
			conf_error(c->errors, b->file, b->line,
			    "%s \"%.200s\": this title is taken: first at %s:%d",
			    tab->section, b->title, a->file, a->line);
			break;
		}
	}
}

static void
check_address(const struct check *c, size_t i)
{
	const struct conf_listen *listen = &c->conf->listens[i];
	struct conf_addr mine, other;
	size_t j;

	if (listen->address[0] == 0) {
		FAIL_LISTEN(c, i, "address", "is missing, as in 0.0.0.0:8000");
		return;
	}
	if (conf_addr_parse(listen->address, &mine) < 0) {
		FAIL_LISTEN(c, i, "address",
		    "\"%.200s\" is not an IP address and port, as in 0.0.0.0:8000 or "
		    "[::1]:8000",
		    listen->address);
		return;
	}
	for (j = 0; j < i; j++) {
		if (conf_addr_parse(c->conf->listens[j].address, &other) == 0 &&
		    conf_addr_equal(&mine, &other)) {
			FAIL_LISTEN(c, i, "address", "%s is taken by listen \"%.200s\"",
			    listen->address, c->conf->listens[j].title);
			return;
		}
	}
}

static void
check_tls(const struct check *c, size_t i)
{
	const struct conf_listen *listen = &c->conf->listens[i];
	const struct conf_file *cert = &listen->tls_certificate,
			       *key = &listen->tls_key;
	const char *wrong;

	if ((cert->data == NULL && key->data == NULL) ||
	    !listen_is_good(c, i, "tls_certificate") ||
	    !listen_is_good(c, i, "tls_key"))
		return;
	if (key->data == NULL) {
		FAIL_LISTEN(c, i, "tls_certificate", "needs tls_key beside it");
		return;
	}
	if (cert->data == NULL) {
		FAIL_LISTEN(c, i, "tls_key", "needs tls_certificate beside it");
		return;
	}
	wrong = conf_pem_certificate(cert);
	if (wrong != NULL)
		FAIL_LISTEN(c, i, "tls_certificate", "%s %s", cert->path, wrong);
	wrong = conf_pem_key(key, cert);
	if (wrong != NULL)
		FAIL_LISTEN(c, i, "tls_key", "%s %s", key->path, wrong);
}

static void
check_listens(const struct check *c)
{
	size_t i;

	if (c->conf->n_listens == 0)
		conf_error(c->errors, c->places->file, 1,
		    "listen: there is none: at least one is needed, as in "
		    "listen \"public\" { address = \"0.0.0.0:8000\" }");
	for (i = 0; i < c->conf->n_listens; i++) {
		if (c->conf->listens[i].title[0] == 0)
			conf_error(c->errors, c->conf->listens[i].file,
			    c->conf->listens[i].line, "listen: its title is empty");
		check_address(c, i);
		check_tls(c, i);
	}
	check_titles(c, CONF_TABLE_LISTEN);
}

/* Names of at least two characters leave single ones for later meanings. */
static bool
namespace_title_is_good(const char *title)
{
	const char *p;

	if (title[0] == 0)
		return true;
	for (p = title; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			(*p >= '0' && *p <= '9') || *p == '-' || *p == '_'))
			return false;
	return p - title >= 2;
}

/* What needs something that this namespace does not have. */
static void
check_ordered(const struct check *c, size_t i)
{
	const struct conf_namespace *ns = &c->conf->namespaces[i];

	if (ns->history_size == 0 && ns->position != CONF_MODE_OFF)
		FAIL_NAMESPACE(c, i, "position", "needs history_size");
	if (ns->history_size == 0 && ns->recover != CONF_MODE_OFF)
		FAIL_NAMESPACE(c, i, "recover", "needs history_size");
	if (ns->recover == CONF_MODE_OFF && ns->cache_recovery)
		FAIL_NAMESPACE(c, i, "cache_recovery", "needs recover");
	if (ns->archive && strcmp(c->conf->store, "none") == 0)
		FAIL_NAMESPACE(c, i, "archive", "needs a store, which is \"none\"");
	if (ns->ack != CONF_ACK_AUTO && !conf_ordered(ns))
		FAIL_NAMESPACE(c, i, "ack", "needs history_size or archive");
	if (ns->history_meta_ttl < ns->history_ttl)
		FAIL_NAMESPACE(c, i, "history_meta_ttl",
		    "must be at least history_ttl, which is %lld ms",
		    (long long)ns->history_ttl);
}

static void
check_control(const struct check *c)
{
	const char *p;

	for (p = c->conf->control_mode; *p >= '0' && *p <= '7'; p++)
		;
	if (*p != 0)
		FAIL_MAIN(c, "control_mode", "must be octal digits, as 0600 or 0660");
}

static void
check_namespaces(const struct check *c)
{
	const struct conf_namespace *ns;
	size_t i;

	for (i = 0; i < c->conf->n_namespaces; i++) {
		ns = &c->conf->namespaces[i];
		if (!namespace_title_is_good(ns->title))
			conf_error(c->errors, ns->file, ns->line,
			    "namespace \"%.200s\": must be empty, or two or more letters, "
			    "digits, - or _",
			    ns->title);
		if (ns->subscribe == CONF_WHO_SUBSCRIBER ||
		    ns->subscribe == CONF_WHO_AUTHENTICATED_SUBSCRIBER)
			FAIL_NAMESPACE(c, i, "subscribe",
			    "must be nobody, authenticated or anyone: "
			    "who subscribes is not a subscriber yet");
		check_ordered(c, i);
	}
	check_titles(c, CONF_TABLE_NAMESPACE);
}

void
conf_check(
    const struct conf *conf, const struct conf_places *places, struct base_buf *errors)
{
	struct check c = {conf, places, errors};

	check_user(&c);
	check_origins(&c);
	check_tokens(&c);
	check_sizes(&c);
	check_times(&c);
	check_control(&c);
	check_listens(&c);
	check_namespaces(&c);
}
