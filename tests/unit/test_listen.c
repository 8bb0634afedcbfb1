/*
 * Accepting while another worker, which is dead or stuck, has fewer connections.
 */
#include "config.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/conn.h"
#include "net_util.h"

#define CROWD 300

static int
open_listener(struct sockaddr_in *sa)
{
	socklen_t len = sizeof(*sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*sa = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)sa, sizeof(*sa)), 0);
	assert_int_equal(listen(fd, 512), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
	return fd;
}

static int
dial(const struct sockaddr_in *sa)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)), 0);
	return fd;
}

/* True once one of the connections speaks TO. */
static bool
accepted(const struct sockaddr_in *to)
{
	BASE_LIST_FOREACH (it, &net_world.net.conns) {
		struct conn *c = BASE_CONTAINER(it, struct conn, all);
		struct sockaddr_in sa;
		socklen_t len = sizeof(sa);

		getsockname(event_get_fd(&c->ev), (struct sockaddr *)&sa, &len);
		if (sa.sin_port == to->sin_port)
			return true;
	}
	return false;
}

static void
a_crowd_at_one_listener_does_not_shut_out_another(void **state)
{
	struct sockaddr_in crowded, quiet;
	int fds[CROWD + 1], a = open_listener(&crowded), b = open_listener(&quiet);
	char err[128];

	(void)state;
	/* The other worker has no connection, and never will. */
	net_world_start(2, "");
	assert_int_equal(
	    net_listen(&net_world.net, a, &net_world.conf->listens[0], err, 128), 0);
	assert_int_equal(
	    net_listen(&net_world.net, b, &net_world.conf->listens[0], err, 128), 0);
	for (unsigned i = 0; i < CROWD; i++)
		fds[i] = dial(&crowded);
	fds[CROWD] = dial(&quiet);
	for (unsigned i = 0; i < 2000 && !accepted(&quiet); i++) {
		net_world_turn();
		usleep(500);
	}
	assert_true(accepted(&quiet));
	assert_in_range(net_world.net.n_conns, 1, CROWD - 1);
	/* Nor does anybody have to wait for the dead one for long. */
	for (unsigned i = 0; i < 2000 && net_world.net.n_conns <= CROWD; i++) {
		net_world_turn();
		usleep(500);
	}
	assert_int_equal(net_world.net.n_conns, CROWD + 1);
	for (unsigned i = 0; i <= CROWD; i++)
		close(fds[i]);
	net_world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_crowd_at_one_listener_does_not_shut_out_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
