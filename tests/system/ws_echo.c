/*
 * ws_echo: our connection layer with an echo instead of sessions behind it, for a
 * conformance suite that wants its messages back.
 *
 *   ws_echo PORT [deflate]
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "conf/conf_parse.h"
#include "core/hub.h"
#include "net/conn.h"
#include "net/out.h"
#include "ring/ring_wake.h"

static void
echo_open(struct conn *c)
{
	(void)c;
}

static void
echo_message(struct conn *c, uint8_t opcode, struct base_slice msg)
{
	static struct base_buf packed;

	if (c->deflate_bits == 0) {
		out_frame(c, WS_FIN | opcode, msg.p, msg.len);
		return;
	}
	packed.len = 0;
	ws_deflate_message(net_deflate(c->net), c->deflate_bits, msg, &packed);
	out_frame(c, WS_FIN | WS_RSV1 | opcode, packed.p, packed.len);
}

static void
echo_closed(struct conn *c)
{
	(void)c;
}

static const struct net_app echo_app = {echo_open, echo_message, echo_closed};

static int
listen_on(int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 64) < 0) {
		perror("ws_echo");
		exit(1);
	}
	return fd;
}

static struct conf *
make_conf(int port, bool deflate)
{
	struct base_buf errors = {0};
	struct conf *conf;
	char text[512];

	/* The suite sends messages of 16 MiB, and has pauses of its own. */
	snprintf(text, sizeof(text),
	    "listen \"echo\" { address = \"127.0.0.1:%d\" }\n"
	    "allowed_origins = {\"*\"}\n"
	    "max_frame_size = \"16m\"\nmax_message_size = \"16m\"\n"
	    "ring_size = \"256m\"\nqueue_size = \"256m\"\nhistory_reply = \"16m\"\n"
	    "output_buffer = \"256m\"\noutput_total = \"1g\"\n"
	    "input_total = \"1g\"\nhandshake_timeout = \"60s\"\ncompression = %s\n",
	    port, deflate ? "on" : "off");
	conf = conf_parse_text(text, "ws_echo", &errors);
	if (conf == NULL) {
		fprintf(stderr, "%.*s", (int)errors.len, errors.p);
		exit(1);
	}
	return conf;
}

int
main(int argc, char **argv)
{
	const struct ring_geom geom = {.slots = 1,
	    .lanes = 1,
	    .lane_size = 65536,
	    .interest_buckets = 64,
	    .stat_size = 4096};
	int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
	struct sess_env env = {.n_workers = 1};
	struct ring_reader *reader;
	struct net net;
	char err[256];
	bool more = false;

	if (port <= 0 || port > 65535)
		return 2;
	env.conf = make_conf(port, argc > 2);
	if (ring_seg_create(&geom, &env.seg, err, sizeof(err)) < 0)
		return 1;
	env.stat = ring_seg_stats(env.seg, 0);
	env.hub = hub_new(ring_seg_key(env.seg), NULL);
	ring_reader_new(env.seg, &reader);
	net_init(&net, event_base_new(), &echo_app, &env,
	    fan_new(env.seg, 0, env.hub, reader, env.stat));
	if (net_listen(&net, listen_on(port), &env.conf->listens[0], err, sizeof(err)) <
	    0)
		return 1;
	for (;;) {
		const struct timeval tick = {0, EV_TICK_MS * 1000};

		event_base_loopexit(net.base, &tick);
		if (event_base_loop(
			net.base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0)) < 0)
			return 1;
		more = net_turn(&net);
	}
}
