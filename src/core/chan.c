/*
 * chan: see the header.
 */
#include "config.h"

#include "core/chan.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"

struct chan_table {
	size_t n;
	const struct conf_namespace **sorted; /* by title */
};

static int
compare(const void *a, const void *b)
{
	const struct conf_namespace *const *x = a, *const *y = b;

	return strcmp((*x)->title, (*y)->title);
}

struct chan_table *
chan_table_new(const struct conf *conf)
{
	struct chan_table *t = base_malloc(sizeof(*t));

	t->n = conf->n_namespaces;
	t->sorted = base_malloc(t->n * sizeof(*t->sorted));
	for (size_t i = 0; i < t->n; i++)
		t->sorted[i] = &conf->namespaces[i];
	if (t->n > 0)
		qsort(t->sorted, t->n, sizeof(*t->sorted), compare);
	return t;
}

void
chan_table_free(struct chan_table *t)
{
	if (t == NULL)
		return;
	free(t->sorted);
	free(t);
}

static struct base_slice
prefix(struct base_slice name)
{
	const char *colon;

	if (name.len > 0 && name.p[0] == '$') {
		name.p++;
		name.len--;
	}
	colon = memchr(name.p, ':', name.len);
	name.len = colon == NULL ? 0 : (size_t)(colon - name.p);
	return name;
}

static int
compare_title(struct base_slice want, const char *title)
{
	int r = strncmp(want.p, title, want.len);

	return r != 0 ? r : -(title[want.len] != 0);
}

const struct conf_namespace *
chan_namespace(const struct chan_table *t, struct base_slice name)
{
	struct base_slice want = prefix(name);
	size_t lo = 0, hi = t->n;

	if (memchr(want.p, 0, want.len) != NULL)
		return NULL;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int r = compare_title(want, t->sorted[mid]->title);

		if (r == 0)
			return t->sorted[mid];
		if (r < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

bool
chan_name_valid(struct base_slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.p[i] >= 0x80)
			return false;
	return true;
}

bool
chan_private(struct base_slice name)
{
	return name.len > 0 && name.p[0] == '$';
}

/* "a,b" after the last '#': is USER one of them?  Anonymous never is. */
static bool
user_listed(struct base_slice name, const char *hash, const char *user)
{
	const char *p = hash + 1, *end = name.p + name.len;
	size_t len = strlen(user);

	if (len == 0)
		return false;
	while (p <= end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma == NULL ? end : comma;

		if ((size_t)(stop - p) == len && memcmp(p, user, len) == 0)
			return true;
		if (comma == NULL)
			break;
		p = comma + 1;
	}
	return false;
}

static bool
may(enum conf_who who, const char *user, bool subscribed)
{
	switch (who) {
	case CONF_WHO_NOBODY:
		return false;
	case CONF_WHO_SUBSCRIBER:
		return subscribed;
	case CONF_WHO_AUTHENTICATED_SUBSCRIBER:
		return subscribed && *user != 0;
	case CONF_WHO_AUTHENTICATED:
		return *user != 0;
	case CONF_WHO_ANYONE:
		return true;
	}
	return false;
}

bool
chan_may_subscribe(
    const struct conf_namespace *ns, struct base_slice name, const char *user)
{
	const char *hash;

	if (chan_private(name))
		return false;
	if (ns->user_limited_channels) {
		hash = memrchr(name.p, '#', name.len);
		if (hash != NULL)
			return user_listed(name, hash, user);
	}
	return may(ns->subscribe, user, false);
}

bool
chan_may_publish(const struct conf_namespace *ns, const char *user, bool subscribed)
{
	return may(ns->publish, user, subscribed);
}

bool
chan_may_read(const struct conf_namespace *ns, const char *user, bool subscribed)
{
	return may(ns->history_for, user, subscribed);
}

bool
chan_may_see(const struct conf_namespace *ns, const char *user, bool subscribed)
{
	return may(ns->presence_for, user, subscribed);
}
