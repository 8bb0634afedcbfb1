/* bench_proc: see bench_proc.h. */
#include "config.h"

#include "bench/bench_proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base_mem.h"

#define NSEC 1000000000u

static uint64_t
tick_ns(void)
{
	return NSEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* CPU time with the clock's resolution: /proc counts in ticks of 10 ms. */
static bool
exact_cpu(int pid, uint64_t *ns_r)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0)
		return false;
	*ns_r = (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
	return true;
}

/* Reads a whole small file; false if it is not there. */
static bool
read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* proc_pid_stat(5); the name may contain anything, so its end is the last ')'. */
static bool
read_process(int pid, struct bench_process *p)
{
	unsigned long utime, stime, cutime, cstime;
	char path[64], buf[1024], *open_at, *close_at;
	uint64_t own;
	int ppid;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_file(path, buf, sizeof(buf)))
		return false;
	open_at = strchr(buf, '(');
	close_at = strrchr(buf, ')');
	if (open_at == NULL || close_at == NULL || close_at < open_at)
		return false;
	if (sscanf(close_at + 2,
		"%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &ppid,
		&utime, &stime, &cutime, &cstime) != 5)
		return false;
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	p->ppid = ppid;
	snprintf(p->name, sizeof(p->name), "%.*s", (int)(close_at - open_at - 1),
	    open_at + 1);
	if (!exact_cpu(pid, &own))
		own = (utime + stime) * tick_ns();
	p->cpu_ns = own + (cutime + cstime) * tick_ns();
	p->user_ns = (utime + cutime) * tick_ns();
	p->system_ns = (stime + cstime) * tick_ns();
	return true;
}

static void
add_up(struct bench_tree *t)
{
	t->cpu_ns = t->user_ns = t->system_ns = 0;
	for (unsigned i = 0; i < t->n; i++) {
		t->cpu_ns += t->v[i].cpu_ns;
		t->user_ns += t->v[i].user_ns;
		t->system_ns += t->v[i].system_ns;
	}
}

/* All processes of the machine. */
static unsigned
read_all(struct bench_process **out)
{
	DIR *d = opendir("/proc");
	unsigned n = 0, cap = 0;
	struct dirent *de;

	*out = NULL;
	if (d == NULL)
		return 0;
	while ((de = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		if (n == cap) {
			cap = cap * 2 + 128;
			*out = base_realloc(*out, cap, sizeof(**out));
		}
		if (read_process((int)strtol(de->d_name, NULL, 10), &(*out)[n]))
			n++;
	}
	closedir(d);
	return n;
}

static bool
is_root(int pid, const struct bench_list *roots)
{
	for (unsigned i = 0; i < roots->n; i++)
		if (strtol(roots->v[i], NULL, 10) == pid)
			return true;
	return false;
}

/* Moves to the front what descends from the roots; returns how many. */
static unsigned
select_tree(struct bench_process *v, unsigned n, const struct bench_list *roots)
{
	unsigned in = 0;
	bool grew = true;

	while (grew) {
		grew = false;
		for (unsigned i = in; i < n; i++) {
			struct bench_process p = v[i];
			bool take = is_root(p.pid, roots);

			for (unsigned k = 0; k < in && !take; k++)
				take = v[k].pid == p.ppid;
			if (!take)
				continue;
			v[i] = v[in];
			v[in++] = p;
			grew = true;
		}
	}
	return in;
}

void
bench_tree_scan(struct bench_tree *t, const struct bench_list *roots)
{
	bench_tree_free(t);
	if (roots->n == 0)
		return;
	t->n = read_all(&t->v);
	t->n = select_tree(t->v, t->n, roots);
	add_up(t);
}

void
bench_tree_refresh(struct bench_tree *t)
{
	for (unsigned i = 0; i < t->n; i++)
		read_process(t->v[i].pid, &t->v[i]);
	add_up(t);
}

void
bench_tree_free(struct bench_tree *t)
{
	free(t->v);
	memset(t, 0, sizeof(*t));
}

/* The number in kB after the first line that begins with KEY. */
static uint64_t
kilobytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at != NULL ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

uint64_t
bench_tree_pss(const struct bench_tree *t)
{
	char path[64], buf[4096];
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", t->v[i].pid);
		if (read_file(path, buf, sizeof(buf)))
			sum += kilobytes(buf, "\nPss:");
	}
	return sum;
}

void
bench_machine_read(struct bench_machine *m)
{
	uint64_t v[8] = {0}, pages = 0;
	char buf[8192];
	const char *mem;

	memset(m, 0, sizeof(*m));
	if (read_file("/proc/stat", buf, sizeof(buf)) &&
	    sscanf(buf,
		"cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		" %" SCNu64 " %" SCNu64 " %" SCNu64,
		&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 8) {
		m->busy_ns = (v[0] + v[1] + v[2] + v[5] + v[6]) * tick_ns();
		m->stolen_ns = v[7] * tick_ns();
	}
	if (read_file("/proc/meminfo", buf, sizeof(buf)))
		m->kernel_bytes = kilobytes(buf, "\nSlab:");
	if (read_file("/proc/net/sockstat", buf, sizeof(buf))) {
		mem = strstr(buf, "TCP:");
		mem = mem != NULL ? strstr(mem, " mem ") : NULL;
		if (mem != NULL)
			pages = strtoull(mem + 5, NULL, 10);
		m->kernel_bytes += pages * (uint64_t)sysconf(_SC_PAGESIZE);
	}
}

uint64_t
bench_own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}
