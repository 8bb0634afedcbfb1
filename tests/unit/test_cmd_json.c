/*
 * Commands, replies and pushes in JSON.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cmd_json.h"

#define TEXT(s)  {s, sizeof(s) - 1}
#define SLICE(s) ((struct base_slice)TEXT(s))

static struct base_buf scratch, out;

static int
teardown(void **state)
{
	(void)state;
	base_buf_free(&scratch);
	base_buf_free(&out);
	return 0;
}

/* In the texts of this file ' stands for ".  The copy lives until the next call. */
static const char *
quoted(const char *text)
{
	static char copy[1000];
	char *p;

	assert_true(snprintf(copy, sizeof(copy), "%s", text) < (int)sizeof(copy));
	for (p = copy; (p = strchr(p, '\'')) != NULL; p++)
		*p = '"';
	return copy;
}

#define assert_slice(slice, expected) check_slice(slice, expected, __LINE__)

static void
check_slice(struct base_slice got, const char *want, int line)
{
	want = quoted(want);
	if (got.len != strlen(want) || memcmp(got.p, want, got.len) != 0)
		fail_msg("line %d: got %.*s, want %s", line, (int)got.len, got.p, want);
}

/* Takes what stands in `out`, which has to be WANT. */
#define assert_out(want)                                                  \
	do {                                                              \
		check_slice((struct base_slice){out.p, out.len}, want, __LINE__); \
		out.len = 0;                                              \
	} while (0)

/* The line is given as a block of its exact size: a sanitizer sees a read outside. */
static bool
parse(const char *text, struct cmd *cmd)
{
	static char *copy;
	size_t n = strlen(text);

	free(copy);
	copy = malloc(n + 1);
	assert_non_null(copy);
	memcpy(copy + 1, quoted(text), n);
	return cmd_json_parse((struct base_slice){copy + 1, n}, &scratch, cmd);
}

static void
must_parse(const char *text, struct cmd *cmd)
{
	if (!parse(text, cmd))
		fail_msg("refused: %s", text);
}

static void
test_line(void **state)
{
	static const struct {
		struct base_slice msg;
		int lines;
		const char *line[4];
	} rows[] = {
		{TEXT(""), 0, {NULL}},
		{TEXT("a"), 1, {"a"}},
		{TEXT("a\n"), 1, {"a"}},
		{TEXT("a\nb"), 2, {"a", "b"}},
		{TEXT("a\nb\n"), 2, {"a", "b"}},
		{TEXT("\n"), 1, {""}},
		{TEXT("\n\n"), 2, {"", ""}},
		{TEXT("a\n\n"), 2, {"a", ""}},
		{TEXT("a\n\nb"), 3, {"a", "", "b"}},
		{TEXT("\na"), 2, {"", "a"}},
	};
	struct base_slice msg, line;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		msg = rows[i].msg;
		for (n = 0; cmd_json_line(&msg, &line); n++) {
			assert_true(n < rows[i].lines);
			assert_slice(line, rows[i].line[n]);
		}
		assert_int_equal(n, rows[i].lines);
	}
}

static void
test_kinds(void **state)
{
	static const struct {
		const char *text;
		enum cmd_kind kind;
		uint32_t id;
	} rows[] = {
		{"{}", CMD_NONE, 0},
		{" { } ", CMD_NONE, 0},
		{"{'id':0}", CMD_NONE, 0},
		{"{'id':5}", CMD_NONE, 5},
		{"{'id':null}", CMD_NONE, 0},
		{"{'id':5,'nosuch':{'a':[1]}}", CMD_NONE, 5},
		{"{'id':1,'connect':null}", CMD_NONE, 1},
		{"{'id':4294967295,'connect':{}}", CMD_CONNECT, UINT32_MAX},
		{"{'connect':{}}", CMD_CONNECT, 0},
		{"{'connect':{},'id':7}", CMD_CONNECT, 7},
		{"{'id':1,'connect':{},'unknown':{'a':1}}", CMD_CONNECT, 1},
		{"{'\\u0069d':3,'c\\u006fnnect':{}}", CMD_CONNECT, 3},
		{"{'id':1,'subscribe':{}}", CMD_SUBSCRIBE, 1},
		{"{'id':1,'unsubscribe':{}}", CMD_UNSUBSCRIBE, 1},
		{"{'id':1,'publish':{}}", CMD_PUBLISH, 1},
		{"{'id':1,'presence':{}}", CMD_PRESENCE, 1},
		{"{'id':1,'presence_stats':{}}", CMD_PRESENCE_STATS, 1},
		{"{'id':1,'history':{}}", CMD_HISTORY, 1},
		{"{'id':1,'ping':{}}", CMD_PING, 1},
		{"{'send':{'data':{}}}", CMD_SEND, 0},
		{"{'id':1,'rpc':{}}", CMD_RPC, 1},
		{"{'id':1,'refresh':{}}", CMD_REFRESH, 1},
		{"{'id':1,'sub_refresh':{}}", CMD_SUB_REFRESH, 1},
		/* The first in the protocol's order counts, wherever it stands. */
		{"{'id':2,'publish':{},'subscribe':{}}", CMD_SUBSCRIBE, 2},
		{"{'id':2,'subscribe':{},'publish':{}}", CMD_SUBSCRIBE, 2},
		{"{'send':{},'ping':null,'rpc':{},'id':9}", CMD_SEND, 9},
	};
	struct cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		must_parse(rows[i].text, &cmd);
		assert_int_equal(cmd.kind, rows[i].kind);
		assert_int_equal(cmd.id, rows[i].id);
	}
}

static void
test_refused(void **state)
{
	static const char *const rows[] = {
		"", " ", "garbage", "{'id':1", "[]", "null", "'x'", "1", "{}{}",
		"{} x",
		"{'id':1,}", "{,}", "{'id'}",
		"{'id':-1,'connect':{}}", "{'id':1.5,'connect':{}}",
		"{'id':1.0}", "{'id':1e0}", "{'id':4294967296,'connect':{}}",
		"{'id':99999999999999999999999}", "{'id':'1'}", "{'id':true}",
		"{'id':[]}", "{'id':{}}", "{'id':-0}", "{'id':01}",
		"{'id':1,'id':1}", "{'id':1,'\\u0069d':1}",
		"{'id':null,'id':1}",
		"{'connect':{},'connect':{}}", "{'connect':null,'connect':{}}",
		"{'connect':[]}", "{'connect':'x'}", "{'connect':1}",
		"{'connect':true}", "{'connect':nul}", "{'connect':{}",
		"{'ping':[]}", "{'ping':{'a':}}", "{'x':{'a':}}",
		"{'connect':{'token':1}}", "{'connect':{'token':{}}}",
		"{'connect':{'name':[]}}", "{'connect':{'version':false}}",
		"{'connect':{'subs':[]}}", "{'connect':{'subs':'a'}}",
		"{'connect':{'token':'a','token':'a'}}",
		"{'connect':{'token':'a','t\\u006fken':'a'}}",
		"{'subscribe':{'channel':5}}", "{'subscribe':{'recover':1}}",
		"{'subscribe':{'recover':'true'}}",
		"{'subscribe':{'offset':-1}}",
		"{'subscribe':{'offset':1.5}}",
		"{'subscribe':{'offset':'1'}}",
		"{'subscribe':{'offset':18446744073709551616}}",
		"{'subscribe':{'flag':9223372036854775808}}",
		"{'subscribe':{'type':2147483648}}",
		"{'subscribe':{'type':-2147483649}}", "{'subscribe':{'tf':[]}}",
		"{'subscribe':{'delta':true}}", "{'subscribe':{'epoch':1}}",
		"{'subscribe':{'positioned':{}}}",
		"{'subscribe':{'recoverable':0}}",
		"{'subscribe':{'join_leave':''}}",
		"{'publish':{'channel':'a','data':{'x':01}}}",
		"{'publish':{'channel':'a','data':}}",
		"{'publish':{'data':1,'data':2}}",
		"{'publish':{'removed':0}}",
		"{'publish':{'idempotency_key':1}}",
		"{'publish':{'idempotency_key':'a','idempotency_key':'a'}}",
		"{'publish':{'key':1}}", "{'publish':{'type':1.0}}",
		"{'history':{'since':[]}}",
		"{'history':{'since':{'offset':-1}}}",
		"{'history':{'since':{'epoch':1}}}",
		"{'history':{'limit':1e1}}",
		"{'history':{'since':{},'since':{}}}",
		"{'history':{'reverse':1}}",
		"{'history':{'since':{'offset':1,'offset':1}}}",
		"{'rpc':{'method':1}}", "{'refresh':{'token':1}}",
		"{'sub_refresh':{'type':'1'}}",
		"{'unsubscribe':{'channel':{}}}",
		/* A command that does not count has to be well-formed too. */
		"{'id':1,'connect':{},'publish':{'channel':1}}",
		"{'id':1,'publish':{'channel':1},'connect':{}}",
		"{'publish':{'channel':'\xc3'}}",
		"{'publish':{'data':'\xff'}}",
		"{'publish':{'channel':'\xed\xa0\x80'}}", "{'\xc0\x80':1}",
		"{'publish':{'channel':'\\ud800'}}",
		"{'publish':{'channel':'\x01'}}",
	};
	struct cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(rows); i++) {
		if (parse(rows[i], &cmd))
			fail_msg("accepted: %s", rows[i]);
	}
	/* A NUL is not an end. */
	assert_false(cmd_json_parse(SLICE("{\"id\":1}\0"), &scratch, &cmd));
	assert_false(cmd_json_parse(SLICE("{\"id\":1\0}"), &scratch, &cmd));
	assert_false(cmd_json_parse(SLICE("{\"id\":1}\0{}"), &scratch, &cmd));
}

static void
test_connect(void **state)
{
	struct cmd cmd;

	(void)state;
	must_parse("{'id':1,'connect':{'token':'a.b.c','data':{ 'a': 1 },"
		   "'name':'j\\u0073','version':'1.0','headers':{'x':'y'},"
		   "'subs':{'c':{'recover':true}},'flag':1}}",
	    &cmd);
	assert_slice(cmd.connect.token, "a.b.c");
	assert_slice(cmd.connect.data, "{ 'a': 1 }");
	assert_slice(cmd.connect.name, "js");
	assert_slice(cmd.connect.version, "1.0");
	assert_slice(cmd.connect.subs, "{'c':{'recover':true}}");
	must_parse("{'id':1,'connect':{'token':null,'data':null,'subs':null,"
		   "'name':''}}",
	    &cmd);
	assert_int_equal(cmd.connect.token.len, 0);
	assert_int_equal(cmd.connect.data.len, 0);
	assert_int_equal(cmd.connect.subs.len, 0);
	assert_int_equal(cmd.connect.name.len, 0);
	assert_int_equal(cmd.connect.version.len, 0);
}

static void
test_subscribe(void **state)
{
	struct cmd cmd;

	(void)state;
	must_parse("{'id':2,'subscribe':{'channel':'chat:\\u00e9','token':'t',"
		   "'recover':true,'epoch':'ep','offset':18446744073709551615,"
		   "'data':[1],'positioned':true,'recoverable':true,"
		   "'join_leave':true,'delta':'fossil','tf':{'op':'and'},"
		   "'flag':3,'type':-1}}",
	    &cmd);
	assert_slice(cmd.subscribe.channel, "chat:\xc3\xa9");
	assert_slice(cmd.subscribe.token, "t");
	assert_slice(cmd.subscribe.epoch, "ep");
	assert_slice(cmd.subscribe.delta, "fossil");
	assert_slice(cmd.subscribe.data, "[1]");
	assert_slice(cmd.subscribe.tf, "{'op':'and'}");
	assert_true(cmd.subscribe.offset == UINT64_MAX);
	assert_true(cmd.subscribe.flag == 3);
	assert_int_equal(cmd.subscribe.type, -1);
	assert_true(cmd.subscribe.recover && cmd.subscribe.positioned &&
	    cmd.subscribe.recoverable && cmd.subscribe.join_leave);
	/* Nothing is left of the command before. */
	must_parse("{'id':2,'subscribe':{'channel':'c','recover':false}}", &cmd);
	assert_slice(cmd.subscribe.channel, "c");
	assert_int_equal(cmd.subscribe.token.len, 0);
	assert_true(cmd.subscribe.offset == 0 && cmd.subscribe.flag == 0);
	assert_false(cmd.subscribe.recover || cmd.subscribe.positioned ||
	    cmd.subscribe.recoverable || cmd.subscribe.join_leave);
}

static void
test_publish(void **state)
{
	static const char *const values[] = {
		"null", "'s'", "[1, 2.50, '\\u00e9\\n']",
		"{'b':1,'a':2,'b':3}",
		"0", "-1.50e+007", "123456789012345678901234567890", "true", "false",
		"''",
		"{ 'x' : '\xc3\xa9' }",
	};
	char text[200];
	struct cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < BASE_COUNT(values); i++) {
		assert_true(snprintf(text, sizeof(text),
				"{'id':3,'publish':{'channel':'c','data': %s }}",
				values[i]) < (int)sizeof(text));
		must_parse(text, &cmd);
		assert_true(cmd.publish.has_data);
		assert_slice(cmd.publish.data, values[i]);
	}
	must_parse("{'id':51,'publish':{'channel':'c'}}", &cmd);
	assert_false(cmd.publish.has_data);
	assert_int_equal(cmd.publish.data.len, 0);
	must_parse("{'publish':{'type':1,'key':'k','removed':true}}", &cmd);
	assert_int_equal(cmd.publish.type, 1);
	assert_slice(cmd.publish.key, "k");
	assert_true(cmd.publish.removed);
	assert_int_equal(cmd.publish.channel.len, 0);
	assert_false(cmd.publish.has_key);
	must_parse("{'publish':{'channel':'c','idempotency_key':'a\\u0041'}}", &cmd);
	assert_true(cmd.publish.has_key);
	assert_slice(cmd.publish.idempotency_key, "aA");
	must_parse("{'publish':{'idempotency_key':''}}", &cmd);
	assert_true(cmd.publish.has_key);
	assert_int_equal(cmd.publish.idempotency_key.len, 0);
	must_parse("{'publish':{'idempotency_key':null}}", &cmd);
	assert_false(cmd.publish.has_key);
}

static void
test_others(void **state)
{
	struct cmd cmd;

	(void)state;
	must_parse("{'id':1,'history':{'channel':'h','limit':-1,'reverse':true,"
		   "'since':{'offset':7,'epoch':'e\\/p'}}}",
	    &cmd);
	assert_slice(cmd.history.channel, "h");
	assert_int_equal(cmd.history.limit, -1);
	assert_true(cmd.history.reverse && cmd.history.has_since);
	assert_true(cmd.history.since_offset == 7);
	assert_slice(cmd.history.since_epoch, "e/p");
	must_parse("{'id':1,'history':{'since':null}}", &cmd);
	assert_false(cmd.history.has_since);
	must_parse("{'id':1,'history':{'since':{}}}", &cmd);
	assert_true(cmd.history.has_since);
	must_parse("{'id':1,'rpc':{'method':'m','data':{'a':1}}}", &cmd);
	assert_slice(cmd.rpc.method, "m");
	assert_slice(cmd.rpc.data, "{'a':1}");
	must_parse("{'send':{'data':5}}", &cmd);
	assert_slice(cmd.rpc.data, "5");
	must_parse("{'id':1,'refresh':{'token':'t'}}", &cmd);
	assert_slice(cmd.refresh.token, "t");
	must_parse("{'id':1,'sub_refresh':{'channel':'c','token':'t',"
		   "'type':2,'track':[]}}",
	    &cmd);
	assert_slice(cmd.refresh.channel, "c");
	assert_slice(cmd.refresh.token, "t");
	assert_int_equal(cmd.refresh.type, 2);
	must_parse("{'id':1,'unsubscribe':{'channel':'u'}}", &cmd);
	assert_slice(cmd.channel.channel, "u");
	must_parse("{'id':1,'presence':{'channel':'p'}}", &cmd);
	assert_slice(cmd.channel.channel, "p");
	must_parse("{'id':1,'presence_stats':{'channel':'ps'}}", &cmd);
	assert_slice(cmd.channel.channel, "ps");
	/* The members of the command that counts. */
	must_parse("{'publish':{'channel':'late','data':1},'id':4,"
		   "'subscribe':{'channel':'\\u0065arly'}}",
	    &cmd);
	assert_int_equal(cmd.kind, CMD_SUBSCRIBE);
	assert_slice(cmd.subscribe.channel, "early");
	assert_int_equal(cmd.subscribe.data.len, 0);
}

/* All strings of a line are decoded at once, and stay where they are, also in a
 * buffer that was empty. */
static void
test_scratch(void **state)
{
	const char *home;
	struct cmd cmd;
	size_t cap;
	int i;

	(void)state;
	base_buf_free(&scratch);
	must_parse("{'id':1,'connect':{'token':'\\u0041\\u0042','name':"
		   "'\\ud83d\\ude00','version':'\\n\\n\\n\\n\\n\\n\\n\\n\\n"
		   "---------------------------------------------------------'}}",
	    &cmd);
	assert_slice(cmd.connect.token, "AB");
	assert_slice(cmd.connect.name, "\xf0\x9f\x98\x80");
	assert_slice(cmd.connect.version,
	    "\n\n\n\n\n\n\n\n\n"
	    "---------------------------------------------------------");
	home = scratch.p;
	cap = scratch.cap;
	for (i = 0; i < 1000; i++)
		must_parse("{'id':1,'connect':{'token':'\\u0041'}}", &cmd);
	assert_ptr_equal(scratch.p, home);
	assert_int_equal(scratch.cap, cap);
}

static void
test_replies(void **state)
{
	struct cmd_connect_result result = {
		.client = SLICE("8e9f"), .version = SLICE("0.1.0"),
		.expires = true, .ttl = 100, .ping = 25, .pong = true};

	(void)state;
	cmd_json_connect(&out, 1, &result);
	assert_out("{'id':1,'connect':{'client':'8e9f','version':'0.1.0',"
		   "'expires':true,'ttl':100,'ping':25,'pong':true}}");
	result = (struct cmd_connect_result){
		.client = SLICE("c"), .version = SLICE("v"), .pong = true};
	cmd_json_connect(&out, UINT32_MAX, &result);
	assert_out("{'id':4294967295,'connect':{'client':'c','version':'v'}}");
	result.data = SLICE("{\n\"a\": 1\n}");
	result.ping = 3;
	result.pong = false;
	cmd_json_connect(&out, 1, &result);
	assert_out("{'id':1,'connect':{'client':'c','version':'v',"
		   "'data':{'a': 1},'ping':3}}");
	cmd_json_refresh(&out, 2, true, 100);
	assert_out("{'id':2,'refresh':{'expires':true,'ttl':100}}");
	cmd_json_refresh(&out, 2, true, 0);
	assert_out("{'id':2,'refresh':{'expires':true}}");
	cmd_json_refresh(&out, 3, false, 100);
	assert_out("{'id':3,'refresh':{}}");
#define X(kind, member)                                    \
	cmd_json_empty(&out, 3, CMD_##kind);               \
	assert_out("{'id':3,'" member "':{}}");
	CMD_KINDS(X)
#undef X
}

static void
test_errors(void **state)
{
	(void)state;
	cmd_json_error(&out, 1, PROTO_ERROR_TOKEN_EXPIRED);
	assert_out("{'id':1,'error':{'code':109,'message':'token expired'}}");
	cmd_json_error(&out, 51, PROTO_ERROR_BAD_REQUEST);
	assert_out("{'id':51,'error':{'code':107,'message':'bad request'}}");
	cmd_json_error(&out, 9, PROTO_ERROR_INTERNAL);
	assert_out("{'id':9,'error':{'code':100,'message':'internal server error',"
		   "'temporary':true}}");
	cmd_json_error(&out, 9, PROTO_ERROR_TOO_MANY_REQUESTS);
	assert_out("{'id':9,'error':{'code':111,'message':'too many requests',"
		   "'temporary':true}}");
	assert_string_equal(proto_error_message(PROTO_ERROR_PERMISSION_DENIED),
	    "permission denied");
	assert_false(proto_error_temporary(PROTO_ERROR_PERMISSION_DENIED));
	assert_true(proto_error_temporary(PROTO_ERROR_INTERNAL));
	assert_string_equal(proto_disconnect_reason(PROTO_DISCONNECT_STALE), "stale");
	assert_string_equal(proto_disconnect_reason((enum proto_disconnect)3501),
	    "bad request");
}

/* Shows the strings of a list that ends with NULL. */
static bool
next_text(void *arg, struct base_slice *json_r)
{
	const char ***at = arg;

	if (**at == NULL)
		return false;
	*json_r = (struct base_slice){**at, strlen(**at)};
	++*at;
	return true;
}

static void
test_ordered(void **state)
{
	const char *pubs[] = {"{\"data\":1}", "{}", NULL}, **at = pubs;
	struct cmd_subscribe_result r = {.was_recovering = true};
	struct cmd_history_result h = {.epoch = SLICE("e"),
	    .publications = next_text,
	    .publications_arg = &at};

	(void)state;
	cmd_json_subscribe(&out, 2, &r);
	assert_out("{'id':2,'subscribe':{'was_recovering':true}}");
	r = (struct cmd_subscribe_result){0};
	cmd_json_subscribe(&out, 2, &r);
	assert_out("{'id':2,'subscribe':{}}");
	r = (struct cmd_subscribe_result){.positioned = true,
	    .recoverable = true,
	    .epoch = SLICE("abc"),
	    .offset = 5};
	cmd_json_subscribe(&out, 2, &r);
	assert_out("{'id':2,'subscribe':{'recoverable':true,'epoch':'abc','offset':5,"
		   "'positioned':true}}");
	r.recovered = r.was_recovering = true;
	r.offset = 0;
	r.publications = next_text;
	r.publications_arg = &at;
	cmd_json_subscribe(&out, 2, &r);
	assert_out("{'id':2,'subscribe':{'recoverable':true,'epoch':'abc',"
		   "'publications':[{'data':1},{}],'recovered':true,'positioned':true,"
		   "'was_recovering':true}}");
	at = pubs;
	cmd_json_history(&out, 3, &h);
	assert_out("{'id':3,'history':{'publications':[{'data':1},{}],'epoch':'e',"
		   "'offset':0}}");
	cmd_json_history(&out, 3, &h);
	assert_out("{'id':3,'history':{'publications':[],'epoch':'e','offset':0}}");
	cmd_json_presence_begin(&out, 4);
	cmd_json_presence_end(&out);
	assert_out("{'id':4,'presence':{'presence':{}}}");
	cmd_json_presence_begin(&out, 4);
	cmd_json_presence_add(&out, true, SLICE("a"), SLICE("{\"user\":\"\"}"));
	cmd_json_presence_add(&out, false, SLICE("b"), SLICE("{}"));
	cmd_json_presence_end(&out);
	assert_out("{'id':4,'presence':{'presence':{'a':{'user':''},'b':{}}}}");
	cmd_json_presence_stats(&out, 5, 0, 2);
	assert_out("{'id':5,'presence_stats':{'num_clients':0,'num_users':2}}");
	cmd_json_error_text(&out, 6, PROTO_ERROR_INTERNAL, SLICE("the disk is full"));
	assert_out("{'id':6,'error':{'code':100,'message':'the disk is full',"
		   "'temporary':true}}");
}

static void
test_pushes(void **state)
{
	struct cmd_client_info info = {.user = SLICE("u\"1"), .client = SLICE("c-1")};
	struct cmd_client_info nobody = {.client = SLICE("c")};

	(void)state;
	cmd_json_pub(&out, SLICE("c"), SLICE("{\"x\": 2.50}"), NULL);
	assert_out("{'push':{'channel':'c','pub':{'data':{'x': 2.50}}}}");
	cmd_json_pub(&out, SLICE("a\"b\\c\xc3\xa9"), SLICE("null"), &info);
	assert_out("{'push':{'channel':'a\\'b\\\\c\xc3\xa9','pub':{'data':null,"
		   "'info':{'user':'u\\'1','client':'c-1'}}}}");
	info.conn_info = SLICE("{\"name\":\n\"A\"}");
	info.chan_info = SLICE("[ 1 ]");
	cmd_json_pub(&out, SLICE("c"), SLICE("\n[\n1,\n2\n]\n"), &info);
	assert_out("{'push':{'channel':'c','pub':{'data':[1,2],'info':{"
		   "'user':'u\\'1','client':'c-1','conn_info':{'name':'A'},"
		   "'chan_info':[ 1 ]}}}}");
	cmd_json_pub(&out, SLICE("c"), SLICE("1"), &nobody);
	assert_out("{'push':{'channel':'c','pub':{'data':1,'info':{'user':'',"
		   "'client':'c'}}}}");
	cmd_json_unsubscribe(&out, SLICE("c"), 2000, "server unsubscribe");
	assert_out("{'push':{'channel':'c','unsubscribe':{'code':2000,"
		   "'reason':'server unsubscribe'}}}");
	cmd_json_info(&out, &nobody);
	assert_out("{'user':'','client':'c'}");
	cmd_json_presence(&out, SLICE("c"), true, SLICE("{\"user\":\"u\"}"));
	assert_out("{'push':{'channel':'c','join':{'info':{'user':'u'}}}}");
	cmd_json_presence(&out, SLICE("c"), false, SLICE("{}"));
	assert_out("{'push':{'channel':'c','leave':{'info':{}}}}");
	/* Output is appended. */
	base_buf_str(&out, "x");
	cmd_json_pub(&out, SLICE("c"), SLICE("1"), NULL);
	assert_out("x{'push':{'channel':'c','pub':{'data':1}}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_subscribe),
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_scratch),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_pushes),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
