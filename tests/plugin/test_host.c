/*
 * test_host: services, the life of a plugin, and what its failures give.
 */
#include "config.h"

#include "plug/plug_host.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base_log.h"
#include "plug/plug_batch.h"
#include "plug/plug_priv.h"
#include "store_run.h"

static void
open_run(struct store_run *run, const char *name, const char *options)
{
	struct base_buf why = {0};

	if (!run_open(run, name, options, &why))
		fail_msg("%.*s", (int)why.len, why.p);
}

static void
start_run(struct store_run *run, const char *name, const char *options)
{
	struct base_buf why = {0};

	open_run(run, name, options);
	if (!run_start(run, &why))
		fail_msg("%.*s", (int)why.len, why.p);
}

static void
end_run(struct store_run *run)
{
	struct base_buf why = {0};

	assert_true(run_stop(run, &why));
	assert_int_equal(run->wrong.len, 0);
	run_close(run);
}

static void
cannot_start(const char *name, const char *options, const char *want)
{
	struct store_run run;
	struct base_buf why = {0};

	open_run(&run, name, options);
	assert_false(run_start(&run, &why));
	base_buf_byte(&why, 0);
	assert_string_equal(why.p, want);
	base_buf_free(&why);
	run_close(&run);
}

static void
test_start_fails(void **state BASE_UNUSED)
{
	cannot_start("store_mem", "bug = init",
	    "store_mem: cannot be started: the memory is on holiday");
	cannot_start("store_mem", "bug = mute",
	    "store_mem: cannot be started: init failed with code -2");
	cannot_start("store_fail", "schedule = \"start -31 1\"",
	    "start: start fails as planned");
	cannot_start("store_fail", "schedule = \"migrate -13 1\"",
	    "migrate that only looks: migrate fails as planned");
}

static void
test_planned_failures(void **state BASE_UNUSED)
{
	struct run_record rec;
	struct store_run run;
	struct chatd_history ask = {.limit = 5};
	struct chatd_error err;

	start_run(&run, "store_fail",
	    "schedule = {\"write -1 2\", \"done -2 1\", \"history -3 1\", "
	    "\"ping 5 1\", \"reconf -31 1\"}");
	run_make(&rec, "planned", 1);
	assert_int_equal(run_write(&run, &rec, 1, NULL), CHATD_AGAIN);
	assert_int_equal(run_write(&run, &rec, 1, NULL), CHATD_AGAIN);
	assert_int_equal(run_write(&run, &rec, 1, NULL), CHATD_UNAVAIL);
	assert_int_equal(run_write(&run, &rec, 1, NULL), 0);
	assert_int_equal(
	    run_history(&run, "planned", "abcdefgh", &ask), CHATD_TIMEOUT);
	assert_int_equal(run_history(&run, "planned", "abcdefgh", &ask), 0);
	assert_int_equal(run.n_rows, 1);
	/* A code that there is not, from a plugin that is wrong. */
	assert_int_equal(run_ping(&run), CHATD_BUG);
	assert_int_equal(run_ping(&run), 0);
	assert_int_equal(plug_reconf(run.plug, run.conf, &err), CHATD_CONFIG);
	assert_string_equal(err.text, "reconf fails as planned");
	assert_int_equal(err.code, CHATD_CONFIG);
	run_drop(&rec, 1);
	end_run(&run);
}

static void
test_absent(void **state BASE_UNUSED)
{
	struct store_run run;
	struct chatd_error err;

	start_run(&run, "store_null", "");
	assert_int_equal(plug_migrate(run.plug, 0, &err), CHATD_NOTSUP);
	assert_string_equal(err.text, "store_null has no function migrate");
	assert_int_equal(plug_reconf(run.plug, run.conf, &err), CHATD_NOTSUP);
	assert_int_equal(run_ping(&run), CHATD_NOTSUP);
	plug_tick(run.plug, 1);
	plug_stats(run.plug, NULL);
	end_run(&run);
}

/* A batch of the plugin's lives on when its owner has let it go. */
static void
test_hold(void **state BASE_UNUSED)
{
	struct run_record recs[2];
	struct store_run run;
	uint64_t token;

	start_run(&run, "store_mem", "delay = 20ms");
	run_make(&recs[0], "hold", 1);
	run_make(&recs[1], "hold", 2);
	assert_int_equal(run_send(&run, recs, 2, &token), 0);
	run_drop(recs, 2);
	memset(recs, 'x', sizeof(recs));
	assert_int_equal(run.answers[token], 0);
	assert_true(run_until(&run, &run.answers[token], 5000));
	assert_int_equal(run.codes[token], 0);
	end_run(&run);
}

/* ---- posts ----------------------------------------------------------------------- */

#define POSTS 20000

static struct chatd_host *host;
static int posted, order_broken, again;

static void
on_post(void *arg)
{
	if ((uintptr_t)arg != (uintptr_t)posted)
		order_broken = 1;
	posted++;
}

static void *
post_many(void *arg BASE_UNUSED)
{
	uintptr_t i;

	for (i = 0; i < POSTS; i++)
		host->post(host, on_post, (void *)i);
	return NULL;
}

static void
on_post_again(void *arg)
{
	if (again++ < 3)
		host->post(host, on_post_again, arg);
}

static void
test_post(void **state BASE_UNUSED)
{
	struct store_run run;
	pthread_t thread;
	int never = 0, turns = 0;

	start_run(&run, "store_null", "");
	host = &run.plug->host;
	assert_int_equal(pthread_create(&thread, NULL, post_many, NULL), 0);
	while (posted < POSTS && turns++ < 1000)
		run_until(&run, &never, 10);
	pthread_join(thread, NULL);
	assert_int_equal(posted, POSTS);
	assert_int_equal(order_broken, 0);
	/* What is posted last runs before fini. */
	host->post(host, on_post_again, NULL);
	end_run(&run);
	assert_int_equal(again, 4);
}

/* ---- timers, clock, random ------------------------------------------------------- */

static int rang;

static void
on_timer(void *arg BASE_UNUSED)
{
	rang++;
}

static void
test_timers(void **state BASE_UNUSED)
{
	struct store_run run;
	struct chatd_timer *timer, *left;
	unsigned char a[16] = {0}, b[16] = {0};
	int64_t before;
	int never = 0;

	start_run(&run, "store_null", "");
	host = &run.plug->host;
	assert_string_equal(host->node, "node-1");
	assert_string_equal(host->version, PACKAGE_VERSION);
	assert_ptr_equal(host->base, run.base);
	assert_string_equal(host->state_dir, run.dir);
	timer = host->timer_new(host, on_timer, NULL);
	before = host->now(host);
	host->timer_set(timer, 10000);
	host->timer_set(timer, 30);
	assert_true(run_until(&run, &rang, 5000));
	assert_true(host->now(host) - before >= 25);
	run_until(&run, &never, 60);
	assert_int_equal(rang, 1);
	host->timer_set(timer, 20);
	host->timer_set(timer, -1);
	run_until(&run, &never, 60);
	assert_int_equal(rang, 1);
	host->timer_free(timer);
	left = host->timer_new(host, on_timer, NULL); /* taken back at the end */
	host->timer_set(left, 0);
	host->random(host, a, sizeof(a));
	host->random(host, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	end_run(&run);
	assert_int_equal(rang, 1);
}

/* ---- misuse, log ----------------------------------------------------------------- */

static void
ping_from_state(void *arg, enum chatd_state to BASE_UNUSED, const char *why BASE_UNUSED)
{
	struct store_run *run = arg;
	struct chatd_error err;

	(void)!plug_ping(run->plug, 1, &err);
}

/* An owner that calls the plugin from inside a service is stopped at once. */
static void
test_calls_from_services(void **state BASE_UNUSED)
{
	static const struct plug_owner bad = {.state = ping_from_state};
	struct store_run run;
	int status;
	pid_t pid;

	start_run(&run, "store_mem", "");
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		run.plug->place.owner = &bad;
		run.plug->host.state(&run.plug->host, CHATD_DEGRADED, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	end_run(&run);
}

static void
sleep_long(void *arg BASE_UNUSED)
{
	usleep(20000);
}

static void
test_log(void **state BASE_UNUSED)
{
	char path[] = "/tmp/chatd-plug-XXXXXX", err[128], text[4096] = "";
	struct store_run run;
	int never = 0, fd = mkstemp(path);

	assert_true(fd >= 0);
	start_run(&run, "store_null", "");
	host = &run.plug->host;
	assert_int_equal(
	    base_log_open(path, (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	chatd_log(host, CHATD_LOG_WARN, "told n=%d", 3);
	host->post(host, sleep_long, NULL);
	run_until(&run, &never, 50);
	assert_int_equal(
	    base_log_open("stderr", (uid_t)-1, (gid_t)-1, err, sizeof(err)), 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "plugin: store_null: told n=3\n"));
	assert_non_null(strstr(text, "store_null: a call took long call=post ms=2"));
	close(fd);
	unlink(path);
	end_run(&run);
}

static void
test_state(void **state BASE_UNUSED)
{
	struct store_run run;

	start_run(&run, "store_null", "");
	host = &run.plug->host;
	host->state(host, CHATD_CONNECTING, NULL);
	assert_int_equal(run.state, CHATD_CONNECTING);
	host->state(host, 77, NULL);
	assert_int_equal(run.state, CHATD_DEGRADED);
	host->ready(host);
	assert_int_equal(run.ready, 1);
	end_run(&run);
}

static void
test_classes(void **state BASE_UNUSED)
{
	assert_int_equal(chatd_err_class(0), CHATD_CLASS_OK);
	assert_int_equal(chatd_err_class(CHATD_AGAIN), CHATD_CLASS_RETRY);
	assert_int_equal(chatd_err_class(CHATD_TIMEOUT), CHATD_CLASS_RETRY);
	assert_int_equal(chatd_err_class(CHATD_DENIED), CHATD_CLASS_REJECT);
	assert_int_equal(chatd_err_class(CHATD_NOTSUP), CHATD_CLASS_ABSENT);
	assert_int_equal(chatd_err_class(CHATD_VERSION), CHATD_CLASS_BROKEN);
	assert_int_equal(chatd_err_class(-4711), CHATD_CLASS_BROKEN);
	assert_int_equal(chatd_err_class(1), CHATD_CLASS_BROKEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_start_fails),
	    cmocka_unit_test(test_planned_failures),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_hold),
	    cmocka_unit_test(test_post),
	    cmocka_unit_test(test_timers),
	    cmocka_unit_test(test_calls_from_services),
	    cmocka_unit_test(test_log),
	    cmocka_unit_test(test_state),
	    cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
