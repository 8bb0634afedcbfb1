/*
 * broker_book: see the header.
 */
#include "config.h"

#include "broker_book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 20000
#define FIRST_REQ 1000

static const char *const channels[] = {
    "hist:b1", "spool:b2", "arch:b3", "quick:b4", "plain:b5"};

#define PLAIN (BASE_COUNT(channels) - 1)

static struct sent {
	unsigned channel;
	unsigned key; /* 0: none */
	unsigned answers, pushes;
	int32_t code;
	uint64_t offset; /* as answered */
	uint64_t pushed; /* offset of its push */
} book[MANY];

static unsigned n_sent;
static uint64_t last_push[BASE_COUNT(channels)];

void
book_begin(void)
{
	n_sent = 0;
	memset(last_push, 0, sizeof(last_push));
	for (unsigned i = 0; i < BASE_COUNT(channels); i++)
		util_interest(channels[i]);
}

static bool
send_one(unsigned i)
{
	struct sent *s = &book[i];
	char data[32], key[32];
	struct order_msg msg = {
	    .kind = ORDER_PUBLISH, .req = FIRST_REQ + i, .user = UTIL_S("u")};

	*s = (struct sent){.channel = i % BASE_COUNT(channels)};
	/* Plain ones always have a key; each third key comes again. */
	if (s->channel == PLAIN || i % 4 == 0)
		s->key = i % 3 == 0 && i >= 60 ? i - 60 + 1 : i + 1;
	msg.channel = (struct base_slice){
	    channels[s->channel], strlen(channels[s->channel])};
	msg.data = (struct base_slice){
	    data, (size_t)snprintf(data, sizeof(data), "{\"n\":%u}", i)};
	if (s->key != 0)
		msg.key = (struct base_slice){
		    key, (size_t)snprintf(key, sizeof(key), "k%u", s->key)};
	return util_try(i / 3 % UTIL_WORKERS, &msg);
}

unsigned
book_send(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		assert_true(n_sent < MANY);
		if (!send_one(n_sent))
			break;
		n_sent++;
	}
	return i;
}

static void
read_answer(const struct order_msg *msg)
{
	struct sent *s;

	assert_in_range(msg->req, FIRST_REQ, FIRST_REQ + n_sent - 1);
	s = &book[msg->req - FIRST_REQ];
	if (s->answers++ == 0) {
		s->code = msg->code;
		s->offset = msg->offset;
	}
	assert_int_equal(s->code, msg->code);
	assert_true(s->offset == msg->offset);
	assert_true((msg->code == 0 && s->channel != PLAIN) == (msg->offset > 0));
}

static void
read_push(const struct ring_head *head, struct base_slice text)
{
	const char *at = memmem(text.p, text.len, "{\"n\":", 5);
	unsigned i;
	struct sent *s;

	assert_non_null(at);
	i = (unsigned)strtoul(at + 5, NULL, 10);
	assert_true(i < n_sent);
	s = &book[i];
	s->pushes++;
	if (s->channel == PLAIN)
		return;
	s->pushed = head->offset;
	/* In order, and nothing left out. */
	assert_true(head->offset == last_push[s->channel] + 1);
	last_push[s->channel] = head->offset;
}

void
book_read(void)
{
	struct base_slice name, text;
	struct ring_head head;
	struct order_msg msg;

	for (unsigned slot = 0; slot < UTIL_WORKERS; slot++)
		while (util_next(slot, &msg))
			if (msg.kind == ORDER_PUBLISHED)
				read_answer(&msg);
	while (util_pushed(&head, &name, &text))
		if (head.type == RING_DATA)
			read_push(&head, text);
	while (util_next(UTIL_ARCHIVER, &msg))
		;
}

/* The first one that was acknowledged with the same key, or itself. */
static const struct sent *
first_of(const struct sent *s)
{
	for (unsigned i = 0; i < n_sent; i++)
		if (s->key != 0 && book[i].key == s->key &&
		    book[i].channel == s->channel && book[i].pushes > 0)
			return &book[i];
	return s;
}

static void
check_one(unsigned i, struct book_rules rules)
{
	const struct sent *s = &book[i], *first = first_of(s);

	if (s->answers == 0 || (!rules.crashed && s->answers > 1))
		fail_msg("%u has %u answers", i, s->answers);
	if (s->code != 0) {
		assert_true(rules.refused);
		assert_int_equal(s->code, PROTO_ERROR_INTERNAL);
		assert_int_equal(s->pushes, 0);
		return;
	}
	if (s->pushes != (first == s))
		fail_msg("%u has %u pushes, its first has %u", i, s->pushes,
		    first->pushes);
	if (s->channel != PLAIN && s->offset != first->pushed)
		fail_msg("%u was answered %llu and pushed %llu", i,
		    (unsigned long long)s->offset, (unsigned long long)first->pushed);
}

void
book_check(struct book_rules rules)
{
	for (unsigned i = 0; i < 100; i++) {
		util_turns();
		book_read();
	}
	for (unsigned i = 0; i < n_sent; i++)
		check_one(i, rules);
	for (unsigned i = 0; i < PLAIN; i++) {
		const struct order_msg msg = {.kind = ORDER_FOLLOW,
		    .req = 1,
		    .channel = {channels[i], strlen(channels[i])}};

		assert_true(util_ask(&msg, ORDER_FOLLOWED).number == last_push[i]);
	}
}

unsigned
book_done(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_sent; i++)
		n += book[i].answers > 0 && book[i].code == 0;
	return n;
}
