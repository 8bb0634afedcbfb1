/*
 * mutator: sends mutated input to a chatd on this machine, over many connections.
 *
 *   mutator --port PORT [--count N] [--first N] [--seed N] [--connections N]
 *           [--token JWT]
 *
 * Behind each case (mutate.h) goes a good ping with the case's number.  So each
 * case has an outcome: the pong comes (alive); the server ends the connection
 * (closed); or neither, as when half a frame swallowed the ping (silent), and then
 * the mutator ends its side and the server has to follow.  Whatever the server
 * sends is checked for its form.
 *
 * It exits with 0 when all cases had an outcome, and prints how many had which; with
 * 1, and the number of the case, when the server refused a good handshake, sent a
 * broken frame, or held on to a connection; with 2 when it was used wrongly.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "base/base_time.h"
#include "mutate.h"

#define QUIET_MS 10   /* without an answer: the ping was swallowed */
#define HANG_MS 20000 /* in which the server has to end a connection */
#define SOURCES 32    /* 127.0.0.1 and up: each has some 28,000 ports */
#define HEAD_MAX 1024 /* of the answer to a good handshake */

enum outcome { ALIVE, CLOSED, SILENT, OUTCOMES };

/* Walks over what the server sends. */
struct walk {
	struct base_buf head; /* of the HTTP answer, or of the frame */
	uint64_t skip;        /* bytes of the payload that are still to come */
	bool open;            /* the HTTP answer is over */
	bool pong;            /* the payload is that of a pong */
	uint64_t number;      /* the last eight bytes of that */
};

struct slot {
	int fd;                 /* -1: not connected */
	unsigned serial;        /* of the connection */
	bool deflate, watching; /* for room to write */
	bool busy, http;
	bool told, ending; /* by a close frame; our side is over */
	uint64_t number;   /* case under way */
	int64_t due;
	struct base_buf out;
	size_t sent, split; /* the first write ends at SPLIT */
	struct walk in;
};

static struct {
	struct mutate mutate;
	uint16_t port;
	uint64_t first, count, next, done;
	unsigned n_slots;
	struct slot *slots;
	int epoll;
	int64_t now;
	unsigned opened;
	uint64_t bytes, kinds[MUTATE_KINDS], outcomes[OUTCOMES];
} run = {.count = 1000, .n_slots = 64};

static void BASE_NORETURN BASE_PRINTF(2, 3)
    fail(const struct slot *s, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "mutator: case %" PRIu64 ": ", s->number);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- what the server sends ---- */

/* How long the head of the frame is, as far as its first two bytes say it. */
static size_t
head_size(const struct base_buf *head)
{
	unsigned code = head->len < 2 ? 0 : head->p[1] & 127;

	return code == 126 ? 4 : code == 127 ? 10 : 2;
}

static void
check_head(const struct slot *s)
{
	const uint8_t *p = (const uint8_t *)s->in.head.p;
	unsigned opcode = p[0] & 15, rsv = p[0] & 0x70;

	if ((p[1] & 0x80) != 0 || (rsv != 0 && (rsv != 0x40 || !s->deflate)) ||
	    (opcode > 2 && (opcode < 8 || opcode > 10)) ||
	    (opcode >= 8 && ((p[0] & 0x80) == 0 || rsv != 0 || p[1] > 125)))
		fail(s, "the server sent a broken frame: %02x %02x", p[0], p[1]);
}

static void finish(struct slot *s, enum outcome outcome);
static void end_side(struct slot *s);

/* The head of a frame is complete. */
static void
on_head(struct slot *s)
{
	const uint8_t *p = (const uint8_t *)s->in.head.p;
	unsigned opcode = p[0] & 15;
	uint64_t len = 0;

	check_head(s);
	for (size_t i = 2; i < s->in.head.len; i++)
		len = len << 8 | p[i];
	s->in.skip = s->in.head.len == 2 ? p[1] & 127u : len;
	s->in.pong = opcode == 10;
	s->in.number = 0;
	s->in.head.len = 0;
	if (opcode == 8) {
		s->told = true;
		end_side(s);
	}
}

static size_t
walk_answer(struct slot *s, const char *p, size_t n)
{
	static const char expected[] = "HTTP/1.1 101 ", end[] = "\r\n\r\n";
	struct base_buf *head = &s->in.head;

	for (size_t i = 0; i < n; i++) {
		bool whole;

		base_buf_byte(head, p[i]);
		whole = head->len >= 4 && memcmp(head->p + head->len - 4, end, 4) == 0;
		if (!whole && head->len < HEAD_MAX)
			continue;
		if (!whole || memcmp(head->p, expected, sizeof(expected) - 1) != 0)
			fail(s, "a good handshake was answered with: %.*s",
			    (int)BASE_MIN(head->len, 60), head->p);
		s->in.open = true;
		head->len = 0;
		return i + 1;
	}
	return n;
}

static size_t
walk_payload(struct slot *s, const char *p, size_t n)
{
	size_t take = BASE_MIN(n, s->in.skip);

	for (size_t i = 0; s->in.pong && i < take; i++)
		s->in.number = s->in.number << 8 | (uint8_t)p[i];
	s->in.skip -= take;
	return take;
}

static size_t
walk_head(struct slot *s, const char *p)
{
	base_buf_byte(&s->in.head, *p);
	if (s->in.head.len >= 2 && s->in.head.len == head_size(&s->in.head))
		on_head(s);
	return 1;
}

static void
walk(struct slot *s, const char *p, size_t n)
{
	unsigned serial = s->serial;

	while (n > 0 && s->serial == serial && s->fd >= 0) {
		size_t used;

		if (!s->in.open)
			used = walk_answer(s, p, n);
		else if (s->in.skip > 0)
			used = walk_payload(s, p, n);
		else
			used = walk_head(s, p);
		p += used;
		n -= used;
		if (s->in.pong && s->in.skip == 0 && s->in.head.len == 0) {
			s->in.pong = false;
			if (s->busy && !s->ending && s->in.number == s->number)
				finish(s, ALIVE);
		}
	}
}

/* ---- connections ---- */

static void
watch(struct slot *s, int op, bool writing)
{
	struct epoll_event ev = {
	    .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = s};

	s->watching = writing;
	if (epoll_ctl(run.epoll, op, s->fd, &ev) < 0)
		fail(s, "epoll_ctl: %s", strerror(errno));
}

static void
disconnect(struct slot *s, bool reset)
{
	const struct linger now = {.l_onoff = 1};

	if (s->fd < 0)
		return;
	if (reset)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(s->fd);
	s->fd = -1;
	base_buf_free(&s->in.head);
	s->in = (struct walk){0};
}

static void
connect_slot(struct slot *s)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
			       .sin_port = htons(run.port),
			       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   from = {.sin_family = AF_INET};
	int one = 1;

	s->serial = ++run.opened;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + s->serial % SOURCES);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		fail(s, "socket: %s", strerror(errno));
	setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(s->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		fail(s, "bind: %s", strerror(errno));
	if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
	    errno != EINPROGRESS)
		fail(s, "connect: %s", strerror(errno));
	watch(s, EPOLL_CTL_ADD, true);
}

/* Our side is over; the server is to end its own. */
static void
end_side(struct slot *s)
{
	if (s->ending || s->fd < 0)
		return;
	s->ending = true;
	s->due = run.now + HANG_MS;
	shutdown(s->fd, SHUT_WR);
}

/* ---- cases ---- */

static void
begin(struct slot *s)
{
	struct base_buf bytes = {0};
	enum mutate_kind kind;

	if (run.next == run.first + run.count)
		return;
	s->number = run.next++;
	kind = mutate_case(&run.mutate, s->number, &bytes);
	run.kinds[kind]++;
	s->http = kind == MUTATE_HTTP;
	if (s->http || s->number % 16 == 0)
		disconnect(s, s->number % 3 == 0);
	s->out.len = s->sent = 0;
	if (s->fd < 0) {
		connect_slot(s);
		s->deflate = s->number % 2 == 0;
		s->in.open = s->http; /* any answer is as good as another */
		if (!s->http)
			mutate_handshake(&s->out, s->deflate);
		/* Without it, what comes is for a client that did not connect. */
		if (!s->http && s->number % 8 != 1)
			mutate_login(&s->out);
	} else if (!s->watching) {
		watch(s, EPOLL_CTL_MOD, true);
	}
	s->split = s->out.len + (s->number % 4 == 0 ? s->number % (bytes.len + 1) : 0);
	base_buf_add(&s->out, bytes.p, bytes.len);
	base_buf_free(&bytes);
	if (!s->http)
		mutate_ping(&s->out, s->number);
	s->busy = true;
	s->told = s->ending = false;
	s->due = run.now + QUIET_MS;
}

static void
finish(struct slot *s, enum outcome outcome)
{
	run.outcomes[outcome]++;
	run.done++;
	run.bytes += s->sent;
	s->busy = false;
	if (outcome != ALIVE)
		disconnect(s, false);
	begin(s);
}

static void
on_end(struct slot *s)
{
	if (s->busy)
		finish(s, s->ending && !s->told ? SILENT : CLOSED);
	else
		disconnect(s, false);
}

/* ---- events ---- */

static void
on_writable(struct slot *s)
{
	while (s->sent < s->out.len) {
		size_t end = s->sent < s->split ? s->split : s->out.len;
		ssize_t n =
		    send(s->fd, s->out.p + s->sent, end - s->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			s->due = run.now + QUIET_MS;
			return;
		}
		if (n < 0)
			break; /* reading tells */
		s->sent += (size_t)n;
	}
	watch(s, EPOLL_CTL_MOD, false);
	s->due = run.now + QUIET_MS;
}

static void
on_readable(struct slot *s)
{
	static char buf[64 << 10];
	ssize_t n = recv(s->fd, buf, sizeof(buf), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 && errno == ECONNREFUSED)
		fail(s, "connect: %s", strerror(errno));
	if (n <= 0)
		on_end(s);
	else if (!s->http)
		walk(s, buf, (size_t)n);
}

static void
on_time(struct slot *s)
{
	if (!s->busy || run.now < s->due)
		return;
	if (s->ending)
		fail(s, "the server does not end the connection");
	if (s->sent < s->out.len && run.now < s->due + HANG_MS)
		return; /* the server does not read on yet */
	end_side(s);
}

static void
loop(void)
{
	struct epoll_event events[64];
	int64_t looked = 0;

	while (run.done < run.count) {
		int n = epoll_wait(run.epoll, events, BASE_COUNT(events), QUIET_MS / 2);

		run.now = base_time_ms();
		for (int i = 0; i < n; i++) {
			struct slot *s = events[i].data.ptr;

			/* Each event is looked at with the connection that it is of. */
			if (s->fd >= 0 && (events[i].events & EPOLLOUT) != 0 &&
			    !s->ending)
				on_writable(s);
			if (s->fd >= 0 && (events[i].events & ~(unsigned)EPOLLOUT) != 0)
				on_readable(s);
		}
		for (unsigned i = 0; run.now != looked && i < run.n_slots; i++)
			on_time(&run.slots[i]);
		looked = run.now;
	}
}

/* ---- start ---- */

static uint64_t
number(const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != 0 || n > max) {
		fprintf(
		    stderr, "mutator: not a number up to %" PRIu64 ": %s\n", max, text);
		exit(2);
	}
	return n;
}

static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {{"port", 1, NULL, 'p'},
	    {"count", 1, NULL, 'n'}, {"first", 1, NULL, 'f'}, {"seed", 1, NULL, 's'},
	    {"connections", 1, NULL, 'c'}, {"token", 1, NULL, 't'}, {0}};
	int c;

	run.mutate.token = "";
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			run.port = (uint16_t)number(optarg, UINT16_MAX);
			break;
		case 'n':
			run.count = number(optarg, UINT32_MAX);
			break;
		case 'f':
			run.first = number(optarg, UINT32_MAX);
			break;
		case 's':
			run.mutate.seed = number(optarg, UINT16_MAX);
			break;
		case 'c':
			run.n_slots = (unsigned)number(optarg, 10000);
			break;
		case 't':
			run.mutate.token = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (run.port == 0 || run.n_slots == 0 || optind != argc) {
		fprintf(stderr,
		    "usage: mutator --port PORT [--count N] [--first N] "
		    "[--seed N] [--connections N] [--token JWT]\n");
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	read_options(argc, argv);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run.epoll < 0)
		return 2;
	run.next = run.first;
	run.now = base_time_ms();
	run.slots = base_zalloc(run.n_slots * sizeof(*run.slots));
	for (unsigned i = 0; i < run.n_slots; i++) {
		run.slots[i].fd = -1;
		begin(&run.slots[i]);
	}
	loop();
	printf("{\"cases\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"commands\":%" PRIu64
	       ",\"http\":%" PRIu64 ",\"alive\":%" PRIu64 ",\"closed\":%" PRIu64
	       ",\"silent\":%" PRIu64 ",\"connections\":%u,\"bytes\":%" PRIu64 "}\n",
	    run.done, run.kinds[MUTATE_FRAMES], run.kinds[MUTATE_COMMANDS],
	    run.kinds[MUTATE_HTTP], run.outcomes[ALIVE], run.outcomes[CLOSED],
	    run.outcomes[SILENT], run.opened, run.bytes);
	for (unsigned i = 0; i < run.n_slots; i++) {
		disconnect(&run.slots[i], false);
		base_buf_free(&run.slots[i].out);
	}
	free(run.slots);
	close(run.epoll);
	return 0;
}
