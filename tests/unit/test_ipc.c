/*
 * test_ipc: messages between processes, and a child that loses its master.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_time.h"
#include "ipc/ipc_child.h"
#include "ipc/ipc_msg.h"

static int fds[2];

static int
setup(void **state)
{
	(void)state;
	return ipc_pair(fds);
}

static int
teardown(void **state)
{
	(void)state;
	close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	return 0;
}

static int
count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_pair(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
	}
}

static void
test_order_and_values(void **state)
{
	struct ipc_msg msg;
	int fd;

	(void)state;
	assert_int_equal(ipc_recv(fds[1], &msg, &fd), 0);
	assert_int_equal(ipc_send(fds[0], IPC_READY, UINT64_MAX, -1), 0);
	assert_int_equal(ipc_send(fds[0], IPC_DRAIN, 7, -1), 0);
	assert_int_equal(ipc_recv(fds[1], &msg, &fd), 1);
	assert_int_equal(msg.type, IPC_READY);
	assert_int_equal(msg.reserved, 0);
	assert_true(msg.value == UINT64_MAX);
	assert_int_equal(fd, -1);
	assert_int_equal(ipc_recv(fds[1], &msg, &fd), 1);
	assert_int_equal(msg.type, IPC_DRAIN);
	assert_true(msg.value == 7);
	assert_int_equal(ipc_recv(fds[1], &msg, &fd), 0);
}

static void
test_descriptor_travels(void **state)
{
	int before = count_fds(), p[2], fd;
	struct ipc_msg msg;
	char c = 0;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(ipc_send(fds[0], IPC_CONF, 2, p[0]), 0);
	close(p[0]);
	assert_int_equal(ipc_recv(fds[1], &msg, &fd), 1);
	assert_int_equal(msg.type, IPC_CONF);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(fd);
	close(p[1]);
	assert_int_equal(count_fds(), before);
}

static void
test_reader_that_does_not_read(void **state)
{
	struct ipc_msg msg;
	int fd, n = 0, got = 0;

	(void)state;
	while (ipc_send(fds[0], IPC_CONF_DONE, (uint64_t)n, -1) == 0 && n < 1000000)
		n++;
	assert_true(n > 0 && n < 1000000);
	assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
	while (ipc_recv(fds[1], &msg, &fd) == 1)
		assert_true(msg.value == (uint64_t)got++);
	assert_int_equal(got, n);
}

static void
test_end_of_file(void **state)
{
	struct ipc_msg msg;
	int fd;

	(void)state;
	close(fds[1]);
	fds[1] = -1;
	errno = EINVAL;
	assert_int_equal(ipc_recv(fds[0], &msg, &fd), -1);
	assert_int_equal(errno, 0);
	/* And no SIGPIPE. */
	assert_int_equal(ipc_send(fds[0], IPC_READY, 0, -1), -1);
	assert_int_equal(errno, EPIPE);
}

/* A packet of LEN bytes with N descriptors. */
static void
send_raw(size_t len, int n)
{
	struct ipc_msg msg[2] = {{0}};
	struct iovec iov = {msg, len};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		for (int i = 0; i < n; i++)
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)) + (size_t)i * sizeof(int),
			    &fds[0], sizeof(int));
	}
	assert_int_equal(sendmsg(fds[0], &mh, 0), len);
}

static void
test_wrong_length_is_refused(void **state)
{
	static const size_t sizes[] = {1, sizeof(struct ipc_msg) - 1,
	    sizeof(struct ipc_msg) + 1, 2 * sizeof(struct ipc_msg)};
	int before = count_fds(), fd;
	struct ipc_msg msg;

	(void)state;
	for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
		send_raw(sizes[i], (int)(i % 2));
		assert_int_equal(ipc_recv(fds[1], &msg, &fd), -1);
		assert_int_equal(errno, EBADMSG);
		assert_int_equal(fd, -1);
	}
	assert_int_equal(count_fds(), before);
}

static void
test_too_many_descriptors_do_not_leak(void **state)
{
	int before = count_fds(), fd, r;
	struct ipc_msg msg;

	(void)state;
	for (int n = 2; n <= 4; n++) {
		send_raw(sizeof(msg), n);
		r = ipc_recv(fds[1], &msg, &fd);
		assert_true(r == -1 || fd >= 0);
		if (fd >= 0)
			close(fd);
		assert_int_equal(count_fds(), before);
	}
}

/* ---- ipc_child_begin ------------------------------------------------------ */

/* A child that is busy and reads nothing.  READY: written when it is set up. */
static void BASE_NORETURN
busy_child(pid_t master, int ready)
{
	ipc_child_begin(&(struct ipc_child_start){.comm = "chatd-test",
	    .title = "chatd: test",
	    .master = master,
	    .close_fds = fds,
	    .n_close_fds = 2});
	if (fcntl(fds[0], F_GETFD) >= 0 || fcntl(fds[1], F_GETFD) >= 0)
		_exit(1);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		usleep(1000);
}

static void
test_a_child_that_hangs_dies_after_its_master(void **state)
{
	struct pollfd pfd;
	int64_t killed;
	pid_t master;
	int ready[2];
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	master = fork();
	if (master == 0) {
		close(ready[0]);
		if (fork() == 0)
			busy_child(getppid(), ready[1]);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(kill(master, SIGKILL), 0);
	assert_int_equal(waitpid(master, NULL, 0), master);
	killed = base_time_ms();
	/* The pipe ends with the last process that holds it. */
	pfd = (struct pollfd){.fd = ready[0], .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, (IPC_ORPHAN_S + 3) * 1000), 1);
	assert_int_equal(read(ready[0], &c, 1), 0);
	/* Time enough for one that does not hang to say goodbye. */
	assert_true(base_time_ms() - killed > (IPC_ORPHAN_S - 2) * 1000);
	close(ready[0]);
}

static void
test_a_child_ignores_what_is_for_the_master(void **state)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGPIPE, SIGUSR1, SIGUSR2};
	int ready[2], status;
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0)
		busy_child(getppid(), ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	for (size_t i = 0; i < BASE_COUNT(ignored); i++)
		assert_int_equal(kill(child, ignored[i]), 0);
	usleep(20000);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	close(ready[0]);
	close(ready[1]);
}

static void
test_a_child_without_its_master_does_not_begin(void **state)
{
	int ready[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0)
		busy_child(getpid(), ready[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == IPC_EXIT_OK);
	close(ready[0]);
	close(ready[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_pair),
	    TEST(test_order_and_values),
	    TEST(test_descriptor_travels),
	    TEST(test_reader_that_does_not_read),
	    TEST(test_end_of_file),
	    TEST(test_wrong_length_is_refused),
	    TEST(test_too_many_descriptors_do_not_leak),
	    TEST(test_a_child_that_hangs_dies_after_its_master),
	    TEST(test_a_child_ignores_what_is_for_the_master),
	    TEST(test_a_child_without_its_master_does_not_begin),
	};

	return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
