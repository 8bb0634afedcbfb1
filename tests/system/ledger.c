/*
 * ledger: publishes and receives, and keeps a book of what it was told.
 *
 *   ledger --port PORT --book FILE [--run N] [--prefix TEXT] [--channels N]
 *          [--publishers N] [--rate N] [--window N] [--size N] [--keys] [--retry]
 *          [--count N] [--duration S] [--subscribers N] [--each N] [--recover]
 *          [--answer-timeout S] [--patience S]
 *
 * Publishers send numbered messages to the channels in turn, at RATE a second all
 * together (0: each as fast as it is answered), WINDOW of each on their way.  With
 * --keys each has an idempotency key, and with --retry what was refused or not
 * answered is sent again under that key until it is acknowledged.  Subscribers follow
 * EACH channels; with --recover they take up where they were when they come back.  A
 * connection that ends is made again.
 *
 * It ends after COUNT messages of each publisher, DURATION, or SIGTERM, when all has
 * been answered and nothing comes any more, at the latest PATIENCE later.  The book
 * has a line for each event, in the order in which they happened (TIME in
 * microseconds of CLOCK_MONOTONIC; publisher P, number N; connection; channel C):
 *
 *   H run prefix
 *   M time p n c conn key data   first sending; key 1: has one
 *   T time p n conn         sent again
 *   A time p n us           acknowledged, so long after it was due
 *   R time p n code         refused
 *   U time p n              no answer: the connection ended, or it took too long
 *   S time s c offset recovered was epoch    subscriber S was answered
 *   D time s c offset p n good    a publication came; good 1: as it was sent
 *   X time s c code         the server ended the subscription
 *   B time s                a subscriber's connection ended
 *   Z time                  the end
 *
 * Exit code 0, 1 when the server said what it must not, 2 for wrong use.  Its output
 * is one JSON object of counts.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "base/base_rand.h"
#include "ledger_wire.h"

#define WINDOW_MAX 256
#define QUIET_US 600000 /* without a publication: all have come */
#define TEMPORARY_US 20000 /* pause before what was refused is sent again */
#define AWAY_US 20000 /* pause before a new connection */
#define EPOCH_MAX 16

enum state { FREE, SENT, WAITS };

struct message { /* on its way */
	enum state state;
	uint64_t n, id; /* of the command */
	int64_t due, again;
};

struct follow { /* a subscriber's channel */
	unsigned channel;
	bool live, known;
	uint64_t offset;
	char epoch[EPOCH_MAX + 1];
};

struct conn {
	struct wire wire;
	unsigned serial; /* of this connection, over all */
	unsigned number; /* as publisher or as subscriber */
	bool publishes, ready;
	int64_t again; /* when to connect */
	uint64_t next_id;
	/* of a publisher */
	struct message *window;
	uint64_t next_n;
	int64_t due; /* of the next message */
	/* of a subscriber */
	struct follow *follows;
	int64_t late; /* by then all channels are to be there */
};

static struct {
	uint16_t port;
	const char *book_path, *prefix;
	uint64_t run, count;
	unsigned channels, publishers, subscribers, each, rate, window, size;
	double duration, patience, answer_timeout;
	bool keys, retry, recover;
} opts = {.prefix = "log:c",
    .channels = 10,
    .publishers = 1,
    .window = 1,
    .size = 64,
    .each = 1,
    .duration = 1e9,
    .patience = 20,
    .answer_timeout = 10,
    .run = 1};

static FILE *book;
static struct conn *conns;
static unsigned n_conns, serials;
static int epoll;
static int64_t now, last_news;
static bool ending, broken;
static uint64_t messages, acked, refused, unknown, again, delivered, recovered,
    unrecovered, resets;
static volatile sig_atomic_t stopped;

static int64_t
clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
wrong(const struct conn *c, const char *what, struct base_slice line)
{
	broken = true;
	fprintf(stderr, "ledger: %s %u: %s: %.*s\n",
	    c->publishes ? "publisher" : "subscriber", c->number, what, (int)line.len,
	    line.p);
}

/* ---- what is published ---- */

/* Pieces of JSON text that have to come through as they are. */
static const char *const fillers[] = {"abcdefgh", "\303\244\303\266 \346\274\242",
    "\\\"\\\\\\/", "\\u00e9\\ud83d\\ude00", "\360\237\230\200 ", "\\n\\t\\u0001",
    "  '';--", "%s%n$1"};

/* The data of message N of publisher P: other texts and spaces in each. */
static void
put_data(struct base_buf *out, uint64_t p, uint64_t n)
{
	size_t from = out->len, turn = (size_t)(p * 7 + n);
	const char *space = turn % 3 == 0 ? "" : turn % 3 == 1 ? " " : "\t ";

	base_buf_printf(out,
	    "{\"r\":%" PRIu64 ",%s\"p\":%" PRIu64 ",\"n\":%" PRIu64 "%s,\"x\":\"",
	    opts.run, space, p, n, space);
	while (out->len - from < opts.size)
		base_buf_str(
		    out, fillers[turn++ % (sizeof(fillers) / sizeof(fillers[0]))]);
	base_buf_str(out, "\"}");
}

static void
send_message(struct conn *c, struct message *m)
{
	static struct base_buf data, text;
	unsigned channel = (unsigned)((c->number + m->n) % opts.channels);

	data.len = text.len = 0;
	put_data(&data, c->number, m->n);
	m->id = ++c->next_id;
	if (m->state == FREE) {
		fprintf(book, "M %" PRId64 " %u %" PRIu64 " %u %u %d %.*s\n", now,
		    c->number, m->n, channel, c->serial, opts.keys, (int)data.len,
		    data.p);
		messages++;
	} else {
		fprintf(book, "T %" PRId64 " %u %" PRIu64 " %u\n", now, c->number, m->n,
		    c->serial);
		again++;
	}
	base_buf_printf(&text, "{\"id\":%" PRIu64 ",\"publish\":{\"channel\":\"%s%u\",",
	    m->id, opts.prefix, channel);
	if (opts.keys)
		base_buf_printf(&text,
		    "\"idempotency_key\":\"%" PRIu64 "-%u-%" PRIu64 "\",", opts.run,
		    c->number, m->n);
	base_buf_str(&text, "\"data\":");
	base_buf_add(&text, data.p, data.len);
	base_buf_str(&text, "}}");
	wire_text(&c->wire, text.p, text.len);
	m->state = SENT;
	m->again = now + (int64_t)(opts.answer_timeout * 1e6);
}

/* What is not acknowledged is sent again, or left as it is. */
static void
not_acked(struct message *m)
{
	m->state = opts.retry ? WAITS : FREE;
	m->again = now + TEMPORARY_US;
}

static void
on_published(struct conn *c, struct message *m, struct base_slice line)
{
	struct base_slice error = json_get(line, "error");

	if (error.len == 0 && json_get(line, "publish").len == 0) {
		wrong(c, "an answer to publish", line);
	} else if (error.len == 0) {
		fprintf(book, "A %" PRId64 " %u %" PRIu64 " %" PRId64 "\n", now,
		    c->number, m->n, now - m->due);
		acked++;
		m->state = FREE;
	} else {
		fprintf(book, "R %" PRId64 " %u %" PRIu64 " %" PRIu64 "\n", now,
		    c->number, m->n, json_number(json_get(error, "code")));
		refused++;
		not_acked(m);
	}
}

/* ---- what comes ---- */

static struct follow *
follow_of(struct conn *c, struct base_slice channel)
{
	size_t len = strlen(opts.prefix);
	unsigned number;

	if (channel.len <= len || memcmp(channel.p, opts.prefix, len) != 0)
		return NULL;
	number = (unsigned)json_number(
	    (struct base_slice){channel.p + len, channel.len - len});
	for (unsigned i = 0; i < opts.each; i++)
		if (c->follows[i].channel == number)
			return &c->follows[i];
	return NULL;
}

static void
on_publication(struct conn *c, struct follow *f, struct base_slice pub)
{
	static struct base_buf expected;
	struct base_slice data = json_get(pub, "data");
	uint64_t run = json_number(json_get(data, "r")),
		 p = json_number(json_get(data, "p")),
		 n = json_number(json_get(data, "n")),
		 offset = json_number(json_get(pub, "offset"));
	bool good = false;

	if (run == opts.run) {
		expected.len = 0;
		put_data(&expected, p, n);
		good = data.len == expected.len &&
		    memcmp(data.p, expected.p, data.len) == 0;
		fprintf(book,
		    "D %" PRId64 " %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n", now,
		    c->number, f->channel, offset, p, n, good);
	} else {
		/* Of an earlier run: it has its place, that is all. */
		fprintf(book, "D %" PRId64 " %u %u %" PRIu64 " -1 -1 1\n", now,
		    c->number, f->channel, offset);
	}
	f->offset = offset;
	delivered++;
	last_news = now;
}

static void
on_subscribed(struct conn *c, struct follow *f, struct base_slice line)
{
	struct base_slice result = json_get(line, "subscribe"), pubs, pub,
			  epoch = json_string(json_get(result, "epoch"));
	uint64_t offset = json_number(json_get(result, "offset"));
	bool was = json_is(json_get(result, "was_recovering"), "true"),
	     good = json_is(json_get(result, "recovered"), "true");

	if (result.len == 0 || epoch.len > EPOCH_MAX) {
		/* A temporary error: later again. */
		fprintf(book, "X %" PRId64 " %u %u %" PRIu64 "\n", now, c->number,
		    f->channel, json_number(json_get(json_get(line, "error"), "code")));
		wire_close(&c->wire);
		return;
	}
	fprintf(book, "S %" PRId64 " %u %u %" PRIu64 " %d %d %.*s\n", now, c->number,
	    f->channel, offset, good, was, epoch.len > 0 ? (int)epoch.len : 1,
	    epoch.len > 0 ? epoch.p : "-");
	recovered += was && good;
	unrecovered += was && !good;
	memcpy(f->epoch, epoch.p, epoch.len);
	f->epoch[epoch.len] = 0;
	f->offset = offset;
	f->live = f->known = true;
	last_news = now;
	pubs = json_get(result, "publications");
	while (json_next(&pubs, &pub))
		on_publication(c, f, pub);
}

static void
subscribe(struct conn *c, unsigned i)
{
	static struct base_buf text;
	struct follow *f = &c->follows[i];

	text.len = 0;
	f->live = false;
	/* The number of the command tells the channel. */
	base_buf_printf(&text, "{\"id\":%u,\"subscribe\":{\"channel\":\"%s%u\"", i + 2,
	    opts.prefix, f->channel);
	if (f->known && opts.recover)
		base_buf_printf(&text,
		    ",\"recover\":true,\"offset\":%" PRIu64 ",\"epoch\":\"%s\"",
		    f->offset, f->epoch);
	base_buf_str(&text, "}}");
	wire_text(&c->wire, text.p, text.len);
}

static void
on_push(struct conn *c, struct base_slice push, struct base_slice line)
{
	struct base_slice pub = json_get(push, "pub"),
			  ended = json_get(push, "unsubscribe");
	struct follow *f =
	    c->publishes ? NULL : follow_of(c, json_string(json_get(push, "channel")));

	if (f == NULL) {
		wrong(c, "a push that nobody asked for", line);
	} else if (pub.len > 0 && !f->live) {
		wrong(c, "a publication before the answer to subscribe", line);
	} else if (pub.len > 0) {
		on_publication(c, f, pub);
	} else if (ended.len > 0) {
		fprintf(book, "X %" PRId64 " %u %u %" PRIu64 "\n", now, c->number,
		    f->channel, json_number(json_get(ended, "code")));
		c->late = now + (int64_t)(opts.answer_timeout * 1e6);
		subscribe(c, (unsigned)(f - c->follows));
	}
}

static void
on_reply(struct conn *c, uint64_t id, struct base_slice line)
{
	if (id == 1) {
		if (json_get(line, "connect").len == 0)
			return wrong(c, "the answer to connect", line);
		c->ready = true;
		for (unsigned i = 0; !c->publishes && i < opts.each; i++)
			subscribe(c, i);
		return;
	}
	if (!c->publishes) {
		if (id - 2 >= opts.each)
			return wrong(c, "an answer to nothing", line);
		on_subscribed(c, &c->follows[id - 2], line);
		return;
	}
	for (unsigned i = 0; i < opts.window; i++)
		if (c->window[i].state == SENT && c->window[i].id == id)
			return on_published(c, &c->window[i], line);
	wrong(c, "an answer to nothing", line);
}

static void
on_line(void *arg, struct base_slice line)
{
	static const char hello[] = "{\"id\":1,\"connect\":{}}";
	struct conn *c = arg;
	struct base_slice push;

	if (line.p == NULL) { /* the handshake is over */
		wire_text(&c->wire, hello, sizeof(hello) - 1);
		c->next_id = 1;
		return;
	}
	if (json_is(line, "{}")) {
		wire_text(&c->wire, "{}", 2);
		return;
	}
	push = json_get(line, "push");
	if (push.len > 0)
		on_push(c, push, line);
	else
		on_reply(c, json_number(json_get(line, "id")), line);
}

/* ---- connections ---- */

static void
cut(struct conn *c)
{
	wire_close(&c->wire);
	c->again = now + AWAY_US + (int64_t)base_rand_below(AWAY_US);
	if (c->ready)
		resets++;
	c->ready = false;
	if (!c->publishes) {
		fprintf(book, "B %" PRId64 " %u\n", now, c->number);
		for (unsigned i = 0; i < opts.each; i++)
			c->follows[i].live = false;
		return;
	}
	for (unsigned i = 0; i < opts.window; i++) {
		struct message *m = &c->window[i];

		if (m->state != SENT)
			continue;
		fprintf(book, "U %" PRId64 " %u %" PRIu64 "\n", now, c->number, m->n);
		unknown++;
		not_acked(m);
	}
	if (c->due < now)
		c->due = now;
}

static void
watch(struct conn *c, bool fresh)
{
	bool want = wire_waits(&c->wire);
	struct epoll_event e = {
	    .events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};

	if (!fresh && want == c->wire.watching)
		return;
	c->wire.watching = want;
	epoll_ctl(epoll, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c->wire.fd, &e);
}

static void
dial(struct conn *c)
{
	if (wire_connect(&c->wire, opts.port) < 0) {
		c->again = now + AWAY_US;
		return;
	}
	c->serial = ++serials;
	c->late = now + (int64_t)(opts.answer_timeout * 1e6);
	watch(c, true);
}

static void
after(struct conn *c)
{
	if (c->wire.fd < 0 || wire_flush(&c->wire) < 0)
		cut(c);
	else
		watch(c, false);
}

static void
on_event(struct conn *c, uint32_t events)
{
	if (c->wire.fd < 0)
		return;
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 &&
	    wire_read(&c->wire, on_line, c) < 0) {
		cut(c);
		return;
	}
	after(c);
}

/* ---- the course of it ---- */

static bool
may_begin(const struct conn *c)
{
	return !ending && (opts.count == 0 || c->next_n < opts.count) &&
	    (opts.rate == 0 || c->due <= now);
}

static void
begin(struct conn *c, struct message *m)
{
	m->n = c->next_n++;
	m->due = opts.rate == 0 ? now : c->due;
	c->due += opts.rate == 0 ? 0 : (int64_t)opts.publishers * 1000000 / opts.rate;
	send_message(c, m);
}

static void
tend_publisher(struct conn *c)
{
	for (unsigned i = 0; i < opts.window; i++) {
		struct message *m = &c->window[i];

		if (m->state == SENT && m->again <= now) {
			cut(c);
			return;
		}
		if (m->state == WAITS && m->again <= now)
			send_message(c, m);
		else if (m->state == FREE && may_begin(c))
			begin(c, m);
	}
	after(c);
}

/* A publisher: all that it sent is answered.  A subscriber: it has all its channels. */
static bool
settled(const struct conn *c)
{
	for (unsigned k = 0; c->publishes && k < opts.window; k++)
		if (c->window[k].state != FREE)
			return false;
	for (unsigned k = 0; !c->publishes && k < opts.each; k++)
		if (!c->follows[k].live)
			return false;
	return true;
}

static void
tend(void)
{
	for (unsigned i = 0; i < n_conns; i++) {
		struct conn *c = &conns[i];

		if (c->wire.fd < 0 && c->again <= now)
			dial(c);
		else if (c->ready && c->publishes)
			tend_publisher(c);
		else if (c->wire.fd >= 0 && c->late <= now && !settled(c))
			cut(c);
	}
}

static bool
all_over(void)
{
	for (unsigned i = 0; i < n_conns; i++)
		if (!settled(&conns[i]))
			return false;
	return opts.subscribers == 0 || now - last_news > QUIET_US;
}

static bool
all_sent(void)
{
	for (unsigned i = 0; i < n_conns; i++)
		if (conns[i].publishes &&
		    (opts.count == 0 || conns[i].next_n < opts.count))
			return false;
	return true;
}

static void
turn(int timeout_ms)
{
	struct epoll_event events[512];
	int n = epoll_wait(epoll, events, 512, timeout_ms);

	now = clock_us();
	for (int i = 0; i < n; i++)
		on_event(events[i].data.ptr, events[i].events);
	tend();
}

static void
run(void)
{
	int64_t start = clock_us(), end;

	now = last_news = start;
	/* First all subscribers, so that they see it all. */
	while (!stopped && opts.subscribers > 0 && !all_over())
		turn(1);
	now = start = clock_us();
	for (unsigned i = 0; i < opts.publishers; i++) {
		struct conn *c = &conns[n_conns++];

		c->publishes = true;
		c->number = i;
		c->wire.fd = -1;
		c->window = base_realloc(NULL, opts.window, sizeof(*c->window));
		memset(c->window, 0, opts.window * sizeof(*c->window));
		c->due =
		    start + (opts.rate == 0 ? 0 : (int64_t)i * 1000000 / opts.rate);
	}
	while (!stopped && !all_sent() && now - start < (int64_t)(opts.duration * 1e6))
		turn(1);
	ending = true;
	end = now + (int64_t)(opts.patience * 1e6);
	last_news = now;
	while (now < end && !all_over())
		turn(1);
	fprintf(book, "Z %" PRId64 "\n", now);
}

static void
make_subscribers(void)
{
	n_conns = opts.subscribers;
	conns = base_realloc(NULL, n_conns + opts.publishers, sizeof(*conns));
	memset(conns, 0, (n_conns + opts.publishers) * sizeof(*conns));
	for (unsigned i = 0; i < n_conns; i++) {
		conns[i].number = i;
		conns[i].wire.fd = -1;
		conns[i].follows = base_realloc(NULL, opts.each, sizeof(struct follow));
		memset(conns[i].follows, 0, opts.each * sizeof(struct follow));
		for (unsigned k = 0; k < opts.each; k++)
			conns[i].follows[k].channel = (i + k) % opts.channels;
	}
}

static void
report(void)
{
	printf("{\"messages\": %" PRIu64 ", \"acked\": %" PRIu64
	       ", \"refused\": %" PRIu64 ", \"unknown\": %" PRIu64
	       ", \"again\": %" PRIu64 ", \"delivered\": %" PRIu64
	       ", \"recovered\": %" PRIu64 ", \"unrecovered\": %" PRIu64
	       ", \"resets\": %" PRIu64 ", \"over\": %s}\n",
	    messages, acked, refused, unknown, again, delivered, recovered, unrecovered,
	    resets, all_over() ? "true" : "false");
}

/* ---- options ---- */

static const struct option long_options[] = {{"port", 1, NULL, 'P'},
    {"book", 1, NULL, 'b'}, {"run", 1, NULL, 'r'}, {"prefix", 1, NULL, 'x'},
    {"channels", 1, NULL, 'c'}, {"publishers", 1, NULL, 'p'}, {"rate", 1, NULL, 'R'},
    {"window", 1, NULL, 'w'}, {"size", 1, NULL, 's'}, {"keys", 0, NULL, 'k'},
    {"retry", 0, NULL, 't'}, {"count", 1, NULL, 'n'}, {"duration", 1, NULL, 'd'},
    {"subscribers", 1, NULL, 'S'}, {"each", 1, NULL, 'e'}, {"recover", 0, NULL, 'v'},
    {"answer-timeout", 1, NULL, 'a'}, {"patience", 1, NULL, 'q'}, {NULL, 0, NULL, 0}};

static void
take_option(int option)
{
	unsigned number = optarg == NULL ? 0 : (unsigned)strtoul(optarg, NULL, 10);

	switch (option) {
	case 'P':
		opts.port = (uint16_t)number;
		break;
	case 'b':
		opts.book_path = optarg;
		break;
	case 'r':
		opts.run = number;
		break;
	case 'x':
		opts.prefix = optarg;
		break;
	case 'c':
		opts.channels = number;
		break;
	case 'p':
		opts.publishers = number;
		break;
	case 'R':
		opts.rate = number;
		break;
	case 'w':
		opts.window = number;
		break;
	case 's':
		opts.size = number;
		break;
	case 'k':
		opts.keys = true;
		break;
	case 't':
		opts.retry = true;
		break;
	case 'n':
		opts.count = number;
		break;
	case 'd':
		opts.duration = strtod(optarg, NULL);
		break;
	case 'S':
		opts.subscribers = number;
		break;
	case 'e':
		opts.each = number;
		break;
	case 'v':
		opts.recover = true;
		break;
	case 'a':
		opts.answer_timeout = strtod(optarg, NULL);
		break;
	case 'q':
		opts.patience = strtod(optarg, NULL);
		break;
	default:
		exit(2);
	}
}

static void
on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		take_option(option);
	if (opts.port == 0 || opts.book_path == NULL || opts.channels == 0 ||
	    opts.each > opts.channels || opts.window == 0 || opts.window > WINDOW_MAX ||
	    (opts.retry && !opts.keys)) {
		fprintf(stderr, "ledger: wrong options\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	book = fopen(opts.book_path, "w");
	if (epoll < 0 || book == NULL) {
		fprintf(stderr, "ledger: %s: %s\n", opts.book_path, strerror(errno));
		return 2;
	}
	setvbuf(book, NULL, _IOFBF, 1 << 20);
	fprintf(book, "H %" PRIu64 " %s\n", opts.run, opts.prefix);
	make_subscribers();
	run();
	if (fclose(book) != 0)
		return 2;
	report();
	return broken ? 1 : 0;
}
