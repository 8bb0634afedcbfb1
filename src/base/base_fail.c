/*
 * base_fail: see the header.
 */
#include "config.h"

#include "base/base_fail.h"

#ifdef ENABLE_FAILPOINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_assert.h"
#include "base/base_log.h"

enum action { KILL, STOP, FAIL, ONCE, EVERY };

#define MAX_POINTS 16

static struct point {
	char role[16]; /* empty: every process */
	unsigned long start; /* 0: each */
	char name[48];
	enum action action;
	unsigned long at, passes;
	bool active; /* in this process */
} points[MAX_POINTS];
static size_t n_points;

/* Cuts the role off; what is left. */
static const char *
parse_role(struct point *p, const char *text)
{
	const char *colon = strchr(text, ':');

	p->role[0] = 0;
	p->start = 0;
	p->active = colon == NULL;
	if (colon == NULL)
		return text;
	base_assert(sscanf(text, "%15[a-z].%lu", p->role, &p->start) >= 1);
	return colon + 1;
}

static void
parse_one(const char *s, size_t len)
{
	struct point *p = &points[n_points];
	char text[96], action[16] = "";
	int n;

	base_assert(n_points < MAX_POINTS && len < sizeof(text));
	memcpy(text, s, len);
	text[len] = 0;
	p->at = 1;
	p->passes = 0;
	n = sscanf(
	    parse_role(p, text), "%47[^=]=%15[a-z]@%lu", p->name, action, &p->at);
	base_assert(n >= 2 && p->at > 0);
	if (strcmp(action, "kill") == 0)
		p->action = KILL;
	else if (strcmp(action, "stop") == 0)
		p->action = STOP;
	else if (strcmp(action, "fail") == 0)
		p->action = FAIL;
	else if (strcmp(action, "once") == 0)
		p->action = ONCE;
	else if (strcmp(action, "every") == 0)
		p->action = EVERY;
	else
		base_assert(!"an action of CHATD_FAIL");
	n_points++;
}

void
base_fail_set(const char *spec)
{
	n_points = 0;
	while (spec != NULL && *spec != 0) {
		size_t len = strcspn(spec, ",");

		parse_one(spec, len);
		spec += len + (spec[len] == ',');
	}
}

void
base_fail_init(void)
{
	base_fail_set(getenv("CHATD_FAIL"));
}

void
base_fail_role(const char *role, unsigned long start)
{
	for (size_t i = 0; i < n_points; i++) {
		struct point *p = &points[i];

		if (p->role[0] != 0)
			p->active = strcmp(p->role, role) == 0 &&
			    (p->start == 0 || p->start == start);
	}
}

unsigned long
base_fail_passes(const char *name)
{
	for (size_t i = 0; i < n_points; i++)
		if (strcmp(points[i].name, name) == 0)
			return points[i].passes;
	return 0;
}

bool
base_fail_hit(const char *name)
{
	for (size_t i = 0; i < n_points; i++) {
		struct point *p = &points[i];

		if (!p->active || strcmp(p->name, name) != 0)
			continue;
		p->passes++;
		if (p->action == FAIL)
			return p->passes >= p->at;
		if (p->action == ONCE)
			return p->passes == p->at;
		if (p->action == EVERY)
			return p->passes % p->at == 0;
		if (p->passes == p->at)
			kill(getpid(), p->action == KILL ? SIGKILL : SIGSTOP);
	}
	return false;
}

#else

/* ISO C wants something in every file. */
typedef int base_fail_unused;

#endif
