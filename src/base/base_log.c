/*
 * base_log: see the header.
 */
#include "config.h"

#include "base/base_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct {
	int fd; /* -1: syslog */
	char *path; /* NULL: not a file */
	uid_t uid; /* whose the file shall be; -1: ours */
	gid_t gid;
	enum base_log_level level;
} target = {STDERR_FILENO, NULL, (uid_t)-1, (gid_t)-1, BASE_LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int syslog_levels[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
static const char *const subsystem_names[] = {
#define X(id, name) name,
    BASE_LOG_SUBSYSTEMS(X)
#undef X
};

bool
base_log_enabled(enum base_log_level level)
{
	return level <= target.level;
}

void
base_log_set_level(enum base_log_level level)
{
	target.level = level;
}

static size_t
line_head(char *line, size_t size, enum base_log_level level,
    enum base_log_subsystem sub)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, size - n, ".%03ldZ [%ld] %s %s: ",
	    ts.tv_nsec / 1000000, (long)getpid(), level_names[level],
	    subsystem_names[sub]);
	return n;
}

/* Bytes of the character of two bytes or more that begins at P; 0: none does. */
static size_t
long_character(const unsigned char *p)
{
	size_t n = *p >= 0xf0 && *p <= 0xf4 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;

	if (*p > 0xf4 || (*p == 0xc2 && p[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/*
 * Control characters in a value (a channel, an origin) must not forge a line or
 * steer a terminal: neither those of ASCII, nor 0x80 to 0x9f, raw or as UTF-8.
 */
static void
line_clean(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p != 0) {
		size_t n = *p >= 0x80 ? long_character(p) : *p >= 0x20 && *p != 0x7f;

		if (n == 0)
			*p++ = '?';
		else
			p += n;
	}
}

void
base_log(enum base_log_level level, enum base_log_subsystem sub, const char *fmt, ...)
{
	char line[BASE_LOG_LINE];
	size_t head = 0, n;
	va_list ap;
	int saved = errno, r;

	if (!base_log_enabled(level))
		return;
	if (target.fd >= 0)
		head = line_head(line, sizeof(line), level, sub);
	va_start(ap, fmt);
	errno = saved; /* for %m */
	r = vsnprintf(line + head, sizeof(line) - head - 1, fmt, ap);
	va_end(ap);
	n = head + (r < 0 ? 0 : BASE_MIN((size_t)r, sizeof(line) - head - 2));
	line[n] = 0;
	line_clean(line + head);
	if (target.fd < 0) {
		syslog(syslog_levels[level], "%s: %s", subsystem_names[sub], line);
	} else {
		line[n++] = '\n';
		/* A full disk must not stop the chat: the line is lost. */
		if (write(target.fd, line, n) < 0) {
		}
	}
	errno = saved;
}

/* Returns a descriptor, or -1 with errno. */
static int
open_file(const char *path, uid_t uid, gid_t gid)
{
	int fd, saved;

	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd >= 0 && uid != (uid_t)-1 && geteuid() == 0 && fchown(fd, uid, gid) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void
close_target(void)
{
	if (target.fd < 0)
		closelog();
	else if (target.fd != STDERR_FILENO)
		close(target.fd);
	free(target.path);
	target.path = NULL;
}

int
base_log_open(const char *name, uid_t uid, gid_t gid, char *err, size_t errlen)
{
	char *path;
	int fd;

	if (strcmp(name, "stderr") == 0) {
		close_target();
		target.fd = STDERR_FILENO;
		return 0;
	}
	if (strcmp(name, "syslog") == 0) {
		close_target();
		openlog("chatd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
		target.fd = -1;
		return 0;
	}
	fd = open_file(name, uid, gid);
	if (fd < 0) {
		snprintf(err, errlen, "%s: %s", name, strerror(errno));
		return -1;
	}
	path = strdup(name);
	if (path == NULL) {
		snprintf(err, errlen, "out of memory");
		close(fd);
		return -1;
	}
	close_target();
	target.path = path;
	target.fd = fd;
	target.uid = uid;
	target.gid = gid;
	return 0;
}

void
base_log_reopen(void)
{
	int fd;

	if (target.path == NULL)
		return;
	fd = open_file(target.path, target.uid, target.gid);
	if (fd < 0) {
		log_error(LOG_CORE, "cannot open the log again path=%s error=%s",
		    target.path, strerror(errno));
		return;
	}
	close(target.fd);
	target.fd = fd;
}
