/*
 * limit: the least that a server can do, to hold chatd against.
 *
 * It answers the upgrade and writes each frame of a publisher, encoded once, to all
 * members of the room, with a send() each.  No protocol, no timer, no queue: a member
 * whose socket does not take a frame is closed.  Requests are not checked.
 *
 * Members connect to /ROOM, publishers to /ROOM?pub, as chatbench --raw does.
 *
 *	-p PORT   listen on 127.0.0.1:PORT (9000)
 *	-w N      N processes, each with a socket of its own (SO_REUSEPORT); a frame
 *	          reaches the others as a datagram (1)
 *	-c        all frames found in one turn of the loop go to a member in one send()
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_buf.h"
#include "base/base_mem.h"
#include "proto/ws_frame.h"

#define CONNS_MAX     (1u << 17)
#define WORKERS_MAX   8
#define NAME_MAX_LEN  63
#define PAYLOAD_MAX   65535u
#define INPUT_MAX     (256u << 10)
#define EVENTS        256
#define ACCEPT_BURST  64
#define BACKLOG       4096

struct room {
	char name[NAME_MAX_LEN + 1];
	int *fds; /* members */
	uint32_t n, cap;
	struct base_buf out; /* -c: frames of this turn */
};

/* All that there is of a connection, beside its place in room.fds. */
struct peer {
	uint32_t room; /* index + 1; 0: not upgraded yet */
	int32_t slot; /* in room.fds; below 0: publisher ~slot */
};

static struct peer *peers; /* by descriptor; pages that nobody touches are free */
static uint32_t n_peers;
static struct room **rooms;
static uint32_t n_rooms;
static struct base_buf *publishers; /* a frame that is not complete yet */
static uint32_t n_publishers;
static uint32_t *dirty, n_dirty; /* -c: rooms with output */
static bool coalesce;
static int epfd;
static unsigned n_workers = 1, self;
static int inbox[WORKERS_MAX][2];
static char input_buf[INPUT_MAX];

static BASE_NORETURN void
fatal(const char *what)
{
	fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- rooms -------------------------------------------------------------- */

static uint32_t
find_room(const char *name, size_t len)
{
	struct room *r;

	len = BASE_MIN(len, (size_t)NAME_MAX_LEN);
	/* one after the other: at connect only */
	for (uint32_t i = 0; i < n_rooms; i++)
		if (strncmp(rooms[i]->name, name, len) == 0 &&
		    rooms[i]->name[len] == '\0')
			return i;
	rooms = base_realloc(rooms, n_rooms + 1, sizeof(*rooms));
	dirty = base_realloc(dirty, n_rooms + 1, sizeof(*dirty));
	r = base_zalloc(sizeof(*r));
	memcpy(r->name, name, len);
	rooms[n_rooms] = r;
	return n_rooms++;
}

static void
join(int fd, uint32_t room)
{
	struct room *r = rooms[room];

	if (r->n == r->cap) {
		r->cap = r->cap * 2 + 8;
		r->fds = base_realloc(r->fds, r->cap, sizeof(*r->fds));
	}
	peers[fd].slot = (int32_t)r->n;
	r->fds[r->n++] = fd;
}

static void
drop(int fd)
{
	struct peer *p = &peers[fd];

	if (p->room != 0 && p->slot >= 0) {
		struct room *r = rooms[p->room - 1];
		int last = r->fds[--r->n];

		r->fds[p->slot] = last;
		peers[last].slot = p->slot;
	} else if (p->room != 0) {
		base_buf_free(&publishers[~p->slot]);
	}
	p->room = 0;
	close(fd);
}

/* ---- fan-out ------------------------------------------------------------ */

static void
send_all(struct room *r, const char *p, size_t n)
{
	/* from the end: drop() moves the last one into the gap */
	for (uint32_t i = r->n; i-- > 0;)
		if (send(r->fds[i], p, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
			drop(r->fds[i]);
}

static void
broadcast(uint32_t room, const char *frame, size_t n)
{
	struct room *r = rooms[room];

	if (!coalesce) {
		send_all(r, frame, n);
		return;
	}
	if (r->out.len == 0)
		dirty[n_dirty++] = room;
	base_buf_add(&r->out, frame, n);
}

static void
flush_rooms(void)
{
	while (n_dirty > 0) {
		struct room *r = rooms[dirty[--n_dirty]];

		send_all(r, r->out.p, r->out.len);
		r->out.len = 0;
	}
}

/* One message: is encoded, goes to the other processes behind the room's name. */
static void
message(uint32_t room, uint8_t opcode, const uint8_t *mask, const uint8_t *p, size_t n)
{
	static char out[NAME_MAX_LEN + 1 + WS_HEAD_MAX + PAYLOAD_MAX];
	uint8_t *frame = (uint8_t *)out + NAME_MAX_LEN + 1;
	size_t head = ws_frame_head(frame, WS_FIN | opcode, n);

	for (size_t i = 0; i < n; i++)
		frame[head + i] = p[i] ^ mask[i & 3];
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == self)
			continue;
		memcpy(out, rooms[room]->name, NAME_MAX_LEN + 1);
		while (send(inbox[i][1], out, NAME_MAX_LEN + 1 + head + n, 0) < 0)
			if (errno != EINTR)
				fatal("send to a process");
	}
	broadcast(room, (char *)frame, head + n);
}

/* What the other processes broadcast. */
static void
read_inbox(void)
{
	const size_t name = NAME_MAX_LEN + 1;
	ssize_t n;

	while ((n = recv(inbox[self][0], input_buf, INPUT_MAX, MSG_DONTWAIT)) > 0)
		broadcast(find_room(input_buf, strlen(input_buf)), input_buf + name,
		    (size_t)n - name);
}

/* ---- input -------------------------------------------------------------- */

/* Takes the masked frame at P; returns its length, 0 if it is not whole, -1: end. */
static ssize_t
take_frame(uint32_t room, const uint8_t *p, size_t n)
{
	size_t len, head = 2;

	if (n < 4)
		return 0;
	len = p[1] & 127;
	if (len == 126) {
		len = (size_t)p[2] << 8 | p[3];
		head = 4;
	}
	if (len == 127 || (p[0] & 15) == WS_CLOSE)
		return -1;
	if (n < head + 4 + len)
		return 0;
	message(room, p[0] & 15, p + head, p + head + 4, len);
	return (ssize_t)(head + 4 + len);
}

static void
publisher_input(int fd, const char *p, size_t n)
{
	struct base_buf *in = &publishers[~peers[fd].slot];
	size_t used = 0;
	ssize_t took;

	base_buf_add(in, p, n);
	while ((took = take_frame(peers[fd].room - 1, (uint8_t *)in->p + used,
		    in->len - used)) > 0)
		used += (size_t)took;
	if (took < 0)
		drop(fd);
	else
		base_buf_drop(in, used);
}

/* The answer to a key, RFC 6455 section 4.2.2. */
static void
accept_key(const char *key, size_t len, char out[32])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	static EVP_MD_CTX *ctx;
	static EVP_MD *sha1; /* fetched once: that costs more than the digest */
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (ctx == NULL) {
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
		ctx = EVP_MD_CTX_new();
	}
	if (EVP_DigestInit_ex2(ctx, sha1, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, key, len) != 1 ||
	    EVP_DigestUpdate(ctx, guid, sizeof(guid) - 1) != 1 ||
	    EVP_DigestFinal_ex(ctx, digest, &n) != 1)
		fatal("SHA-1");
	EVP_EncodeBlock((uint8_t *)out, digest, (int)n);
}

/* A request that comes in two pieces is closed: none does on this machine. */
static void
upgrade(int fd, const char *p)
{
	static const char name[] = "\r\nSec-WebSocket-Key: ";
	const char *key = strcasestr(p, name), *path = p + strlen("GET /");
	char reply[192], accept[32];
	size_t len;
	int n;

	if (strncmp(p, "GET /", 5) != 0 || key == NULL ||
	    strstr(p, "\r\n\r\n") == NULL) {
		drop(fd);
		return;
	}
	key += sizeof(name) - 1;
	accept_key(key, BASE_MIN(strcspn(key, "\r"), (size_t)24), accept);
	len = strcspn(path, " ?");
	peers[fd].room = find_room(path, len) + 1;
	if (strncmp(path + len, "?pub", 4) == 0) {
		publishers =
		    base_realloc(publishers, n_publishers + 1, sizeof(*publishers));
		publishers[n_publishers] = (struct base_buf){0};
		peers[fd].slot = ~(int32_t)n_publishers++;
	} else {
		join(fd, peers[fd].room - 1);
	}
	n = snprintf(reply, sizeof(reply),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	if (send(fd, reply, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		drop(fd);
}

static void
input(int fd)
{
	ssize_t n = recv(fd, input_buf, INPUT_MAX - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(fd);
	} else if (peers[fd].room == 0) {
		input_buf[n] = '\0';
		upgrade(fd, input_buf);
	} else if (peers[fd].slot < 0) {
		publisher_input(fd, input_buf, (size_t)n);
	} else if ((input_buf[0] & 15) == WS_CLOSE) {
		drop(fd);
	}
}

/* ---- the loop ----------------------------------------------------------- */

static void
watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		fatal("epoll_ctl");
}

static void
take_connections(int listener)
{
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			fatal("accept4");
		if (fd < 0)
			return;
		if ((uint32_t)fd >= n_peers) {
			close(fd);
			return;
		}
		peers[fd] = (struct peer){0, 0};
		watch(fd);
	}
}

static int
listen_at(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	/* accepted ones inherit it */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		fatal("listen");
	return fd;
}

static void
serve(uint16_t port)
{
	struct epoll_event events[EVENTS];
	int listener = listen_at(port);

	epfd = epoll_create1(EPOLL_CLOEXEC);
	watch(listener);
	if (n_workers > 1)
		watch(inbox[self][0]);
	for (;;) {
		int n = epoll_wait(epfd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				take_connections(listener);
			else if (n_workers > 1 && fd == inbox[self][0])
				read_inbox();
			else
				input(fd);
		}
		if (coalesce)
			flush_rooms();
	}
}

static void
serve_in_processes(uint16_t port)
{
	for (unsigned i = 0; i < n_workers; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, inbox[i]) < 0)
			fatal("socketpair");
	for (self = 0; self < n_workers; self++) {
		switch (fork()) {
		case -1:
			fatal("fork");
		case 0:
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			serve(port);
			break;
		default:
			break;
		}
	}
	while (wait(NULL) > 0)
		continue;
}

static unsigned
number(const char *text, unsigned max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end != '\0' || v < 1 || v > max) {
		fprintf(stderr, "limit: %s: not within 1 to %u\n", text, max);
		exit(2);
	}
	return (unsigned)v;
}

int
main(int argc, char **argv)
{
	uint16_t port = 9000;
	struct rlimit rl;
	int c;

	while ((c = getopt(argc, argv, "p:w:c")) != -1) {
		if (c == 'p')
			port = (uint16_t)number(optarg, UINT16_MAX);
		else if (c == 'w')
			n_workers = number(optarg, WORKERS_MAX);
		else if (c == 'c')
			coalesce = true;
		else
			return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		fatal("getrlimit");
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	n_peers = (uint32_t)BASE_MIN(rl.rlim_cur, (rlim_t)CONNS_MAX);
	peers = base_zalloc(n_peers * sizeof(*peers));
	if (n_workers == 1)
		serve(port);
	serve_in_processes(port);
	return 0;
}
