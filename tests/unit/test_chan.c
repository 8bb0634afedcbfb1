/*
 * Channel names and what their namespace allows.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/chan.h"

static char t_none[] = "", t_chat[] = "chat", t_chatter[] = "chatter", t_lim[] = "lim",
	    t_a[] = "ab";
static struct conf_namespace namespaces[] = {
    {.title = t_none, .subscribe = CONF_WHO_ANYONE, .user_limited_channels = true},
    {.title = t_lim, .user_limited_channels = true},
    {.title = t_chatter, .subscribe = CONF_WHO_AUTHENTICATED},
    {.title = t_chat, .subscribe = CONF_WHO_ANYONE},
    {.title = t_a},
};
static struct conf conf = {.namespaces = namespaces, .n_namespaces = 5};

static struct base_slice
slice(const char *s)
{
	return (struct base_slice){s, strlen(s)};
}

static void
finds_namespaces(void **state)
{
	static const struct {
		const char *name, *title; /* NULL: unknown */
	} rows[] = {
	    {"x", ""},
	    {"", ""},
	    {":x", ""},
	    {"$x", ""},
	    {"$", ""},
	    {"chat:", "chat"},
	    {"chat:a:b", "chat"},
	    {"$chat:a", "chat"},
	    {"chatter:a", "chatter"},
	    {"chatt:a", NULL},
	    {"cha:a", NULL},
	    {"zz:a", NULL},
	    {"a:b:c", NULL},
	    {"ab:c", "ab"},
	    {"$$chat:a", NULL},
	    {"lim:#1", "lim"},
	};
	struct chan_table *t = chan_table_new(&conf);

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(rows); i++) {
		const struct conf_namespace *ns =
		    chan_namespace(t, slice(rows[i].name));

		if (rows[i].title == NULL)
			assert_null(ns);
		else
			assert_string_equal(ns->title, rows[i].title);
	}
	assert_null(chan_namespace(t, (struct base_slice){"chat\0:", 6}));
	chan_table_free(t);
}

static void
knows_who_may_subscribe(void **state)
{
	static const struct {
		const char *name, *user;
		bool may;
	} rows[] = {
	    {"x", "", true},
	    {"x", "u1", true},
	    {"$x", "u1", false},
	    {"#u1", "u1", true},
	    {"#u1", "", false},
	    {"#u2", "u1", false},
	    {"x#u2,u1", "u1", true},
	    {"x#y#u1", "u1", true},
	    {"x#u1#y", "u1", false},
	    {"x#", "", false},
	    {"x#,u1", "", false},
	    {"x#u1,", "u1", true},
	    {"x#u11", "u1", false},
	    {"lim:x", "u1", false},
	    {"lim:x#u1", "u1", true},
	    {"chatter:x", "", false},
	    {"chatter:x", "u1", true},
	    {"chat:x#u2", "u1", true},
	    {"ab:x", "u1", false},
	};
	struct chan_table *t = chan_table_new(&conf);

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(rows); i++) {
		struct base_slice name = slice(rows[i].name);

		if (chan_may_subscribe(chan_namespace(t, name), name, rows[i].user) !=
		    rows[i].may)
			fail_msg("%s for '%s'", rows[i].name, rows[i].user);
	}
	chan_table_free(t);
}

static void
knows_who_may_publish(void **state)
{
	static const struct {
		enum conf_who who;
		bool anonymous, anonymous_sub, user, user_sub;
	} rows[] = {
	    {CONF_WHO_NOBODY, false, false, false, false},
	    {CONF_WHO_SUBSCRIBER, false, true, false, true},
	    {CONF_WHO_AUTHENTICATED_SUBSCRIBER, false, false, false, true},
	    {CONF_WHO_AUTHENTICATED, false, false, true, true},
	    {CONF_WHO_ANYONE, true, true, true, true},
	};

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(rows); i++) {
		struct conf_namespace ns = {.publish = rows[i].who};

		assert_int_equal(chan_may_publish(&ns, "", false), rows[i].anonymous);
		assert_int_equal(
		    chan_may_publish(&ns, "", true), rows[i].anonymous_sub);
		assert_int_equal(chan_may_publish(&ns, "u", false), rows[i].user);
		assert_int_equal(chan_may_publish(&ns, "u", true), rows[i].user_sub);
	}
}

static void
wants_ascii(void **state)
{
	(void)state;
	assert_true(chan_name_valid(slice("a b\x7f~")));
	assert_false(chan_name_valid(slice("caf\xc3\xa9")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_namespaces),
	    cmocka_unit_test(knows_who_may_subscribe),
	    cmocka_unit_test(knows_who_may_publish),
	    cmocka_unit_test(wants_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
