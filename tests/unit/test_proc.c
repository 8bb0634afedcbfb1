/*
 * test_proc: pid file, user, limits.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base_proc.h"

static char dir[64], path[96], err[256];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/chatd-test-proc-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/pid", dir);
	err[0] = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

/* Runs in a child, for the lock belongs to a process.  Returns its exit code. */
static int
in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static long want_pid;

static int
file_has_pid(void)
{
	char text[64] = "", want[64];
	FILE *f = fopen(path, "r");

	snprintf(want, sizeof(want), "%ld\n", want_pid);
	return f != NULL && fgets(text, sizeof(text), f) != NULL &&
		       strcmp(text, want) == 0 && fgetc(f) == EOF
		   ? 0
		   : 1;
}

/* Closing the file in the process that locks it would lose its lock. */
static void
assert_file_has(long pid)
{
	want_pid = pid;
	assert_int_equal(in_child(file_has_pid), 0);
}

/* 0: taken, 1: refused with the parent's pid in the text. */
static int
try_take(void)
{
	struct base_proc_pidfile pf = {.fd = -1};
	char want[64];

	if (base_proc_pidfile_take(&pf, path, err, sizeof(err)) == 0)
		return 0;
	snprintf(want, sizeof(want), "already running with pid %ld ", (long)getppid());
	return strstr(err, want) != NULL && strstr(err, path) != NULL ? 1 : 2;
}

static void
test_pidfile(void **state)
{
	struct base_proc_pidfile pf = {.fd = -1};
	struct stat st;

	(void)state;
	assert_int_equal(base_proc_pidfile_take(&pf, path, err, sizeof(err)), 0);
	assert_file_has(getpid());
	assert_int_equal(in_child(try_take), 1);
	assert_file_has(getpid());
	base_proc_pidfile_drop(&pf);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(pf.fd, -1);
	base_proc_pidfile_drop(&pf); /* once more does nothing */
	assert_int_equal(in_child(try_take), 0);
}

static void
test_pidfile_left_by_a_crash(void **state)
{
	struct base_proc_pidfile pf = {.fd = -1};
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	(void)state;
	/* Longer than what comes. */
	assert_int_equal(write(fd, "123456789012345\n", 16), 16);
	close(fd);
	assert_int_equal(base_proc_pidfile_take(&pf, path, err, sizeof(err)), 0);
	assert_file_has(getpid());
	base_proc_pidfile_drop(&pf);
}

static void
test_pidfile_that_cannot_be(void **state)
{
	struct base_proc_pidfile pf = {.fd = -1};

	(void)state;
	assert_int_equal(
	    base_proc_pidfile_take(&pf, "/nonexistent/pid", err, sizeof(err)), -1);
	assert_non_null(strstr(err, "/nonexistent/pid"));
	/* A link could point anywhere. */
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(base_proc_pidfile_take(&pf, path, err, sizeof(err)), -1);
	assert_int_equal(pf.fd, -1);
}

static void
test_pidfile_survives_a_fork(void **state)
{
	struct base_proc_pidfile pf = {.fd = -1};
	pid_t pid;

	(void)state;
	assert_int_equal(base_proc_pidfile_take(&pf, path, err, sizeof(err)), 0);
	pid = fork();
	if (pid == 0) {
		base_proc_pidfile_forked(&pf);
		_exit(pf.fd == -1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_file_has(getpid());
	assert_int_equal(in_child(try_take), 1);
	base_proc_pidfile_drop(&pf);
}

static void
test_user(void **state)
{
	struct base_proc_user user = {0};
	struct passwd *pw = getpwuid(0);
	bool found = false;

	(void)state;
	assert_int_equal(
	    base_proc_user_find("no-such-user-here", &user, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "no-such-user-here"));
	assert_non_null(pw);
	assert_int_equal(base_proc_user_find(pw->pw_name, &user, err, sizeof(err)), 0);
	assert_string_equal(user.name, "root");
	assert_int_equal(user.uid, 0);
	for (int i = 0; i < user.n_groups; i++)
		found = found || user.groups[i] == user.gid;
	assert_true(found);
	base_proc_user_free(&user);
	assert_null(user.name);
}

static int
become_nobody(void)
{
	struct base_proc_user user = {0};
	uid_t r, e, s;

	if (base_proc_user_find("nobody", &user, err, sizeof(err)) < 0)
		return 1;
	if (base_proc_user_become(&user) < 0)
		return 2;
	if (getresuid(&r, &e, &s) < 0)
		return 3;
	if (r != user.uid || e != user.uid || s != user.uid)
		return 3;
	if (getgroups(0, NULL) != user.n_groups)
		return 4;
	return setuid(0) == 0 || access("/etc/shadow", R_OK) == 0 ? 5 : 0;
}

static void
test_become(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(become_nobody), 0);
}

static int
raise_nofile(void)
{
	struct rlimit r = {64, 256};

	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return 1;
	if (base_proc_nofile(0, 100) != 256)
		return 2;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur != 256)
		return 3;
	/* More than the kernel gives to anybody: as much as there is. */
	return base_proc_nofile(0, UINT64_MAX / 2) >= 256 ? 0 : 4;
}

static void
test_nofile(void **state)
{
	(void)state;
	assert_int_equal(in_child(raise_nofile), 0);
}

static int
one_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		break;
	}
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return 2;
	return base_proc_cpus() == 1 ? 0 : 3;
}

static void
test_cpus(void **state)
{
	(void)state;
	assert_in_range(base_proc_cpus(), 1, sysconf(_SC_NPROCESSORS_CONF));
	assert_int_equal(in_child(one_cpu), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_pidfile),
	    TEST(test_pidfile_left_by_a_crash),
	    TEST(test_pidfile_that_cannot_be),
	    TEST(test_pidfile_survives_a_fork),
	    TEST(test_user),
	    TEST(test_become),
	    TEST(test_nofile),
	    TEST(test_cpus),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
