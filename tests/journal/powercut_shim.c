/*
 * powercut_shim: preloaded into a program, writes down in which order the bytes of
 * one file were given to the kernel, and when they were surely on the disk.
 *
 * With POWERCUT_FAIL = N in the environment the N-th call on the file that writes,
 * syncs or allocates fails: a write is cut short when N is even.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "powercut_log.h"

#define FDS 1024

/* REAL(pwrite)(...): the function that we stand before. */
#define REAL(name) ((__typeof__(&name))real(#name))

static enum { NOT, PLAIN, SYNC } watched[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static uint64_t n_recs;
static bool cut_short;

static void *
real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (p == NULL)
		abort();
	return p;
}

static void
put(const void *p, size_t n)
{
	if (REAL(write)(log_fd, p, n) != (ssize_t)n)
		abort();
}

/* Under the lock. */
static void
note(uint32_t kind, uint64_t off, uint64_t begun, const struct iovec *iov, int n)
{
	struct powercut_rec rec = {.kind = kind, .off = off, .begun = begun};

	if (log_fd < 0) {
		const char *path = getenv("POWERCUT_LOG");

		if (path == NULL)
			abort();
		log_fd =
		    REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (log_fd < 0)
			abort();
	}
	for (int i = 0; i < n; i++)
		rec.len += iov[i].iov_len;
	put(&rec, sizeof(rec));
	for (int i = 0; i < n; i++)
		put(iov[i].iov_base, iov[i].iov_len);
	n_recs++;
}

static int
kind_of(int fd)
{
	return fd >= 0 && fd < FDS ? watched[fd] : NOT;
}

/* Whether this call is the one to fail. */
static bool
fails(int fd)
{
	static unsigned long calls, at;
	const char *text;

	if (kind_of(fd) == NOT)
		return false;
	if (calls == 0) {
		text = getenv("POWERCUT_FAIL");
		at = text != NULL ? strtoul(text, NULL, 10) : 0;
		cut_short = at % 2 == 0;
	}
	return ++calls == at;
}

/* What a write that fails returns; REST writes the part of it that is written. */
#define FAILED(n, rest) (cut_short && (n) > 1 ? (rest) : (errno = ENOSPC, (ssize_t)-1))

void
powercut_mark(uint64_t n)
{
	pthread_mutex_lock(&lock);
	note(POWERCUT_MARK, n, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
}

/* ---- descriptors ---- */

static int
opened(int fd, const char *path, int flags)
{
	const char *file = getenv("POWERCUT_FILE");

	if (fd < 0)
		return fd;
	if (fd >= FDS)
		abort();
	watched[fd] = NOT;
	/* O_SYNC has the bit of O_DSYNC. */
	if (file != NULL && strcmp(path, file) == 0)
		watched[fd] = flags & O_DSYNC ? SYNC : PLAIN;
	return fd;
}

static mode_t
mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name)                                                         \
	int name(const char *path, int flags, ...)                         \
	{                                                                  \
		va_list ap;                                                \
		mode_t mode;                                               \
                                                                           \
		va_start(ap, flags);                                       \
		mode = mode_of(flags, ap);                                 \
		va_end(ap);                                                \
		return opened(REAL(name)(path, flags, mode), path, flags); \
	}
OPEN(open)
OPEN(open64)

int
close(int fd)
{
	if (fd >= 0 && fd < FDS)
		watched[fd] = NOT;
	return REAL(close)(fd);
}

#define FCNTL(name)                                                                    \
	int name(int fd, int cmd, ...)                                                 \
	{                                                                              \
		va_list ap;                                                            \
		void *arg;                                                             \
		int rc;                                                                \
                                                                                       \
		va_start(ap, cmd);                                                     \
		arg = va_arg(ap, void *);                                              \
		va_end(ap);                                                            \
		rc = REAL(name)(fd, cmd, arg);                                         \
		if ((cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) && rc >= 0 && rc < FDS) \
			watched[rc] = kind_of(fd);                                     \
		return rc;                                                             \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* ---- writes ---- */

static void
writing(int fd, off_t at, const struct iovec *iov, int n)
{
	pthread_mutex_lock(&lock);
	note(kind_of(fd) == SYNC ? POWERCUT_WRITE_SYNC : POWERCUT_WRITE, (uint64_t)at,
	    0, iov, n);
	pthread_mutex_unlock(&lock);
}

#define PWRITE(name, off_type)                                          \
	ssize_t name(int fd, const void *p, size_t n, off_type at)      \
	{                                                               \
		struct iovec iov = {(void *)p, n};                      \
                                                                        \
		if (fails(fd))                                          \
			return FAILED(n, REAL(name)(fd, p, n / 2, at)); \
		if (kind_of(fd) != NOT)                                 \
			writing(fd, at, &iov, 1);                       \
		return REAL(name)(fd, p, n, at);                        \
	}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, off_type)                                           \
	ssize_t name(int fd, const struct iovec *iov, int n, off_type at) \
	{                                                                 \
		if (fails(fd))                                            \
			return FAILED(n, REAL(name)(fd, iov, n / 2, at)); \
		if (kind_of(fd) != NOT)                                   \
			writing(fd, at, iov, n);                          \
		return REAL(name)(fd, iov, n, at);                        \
	}
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

ssize_t
write(int fd, const void *p, size_t n)
{
	struct iovec iov = {(void *)p, n};

	if (fails(fd))
		return FAILED(n, REAL(write)(fd, p, n / 2));
	if (kind_of(fd) != NOT)
		writing(fd, lseek(fd, 0, SEEK_CUR), &iov, 1);
	return REAL(write)(fd, p, n);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	if (fails(fd))
		return FAILED(n, REAL(writev)(fd, iov, n / 2));
	if (kind_of(fd) != NOT)
		writing(fd, lseek(fd, 0, SEEK_CUR), iov, n);
	return REAL(writev)(fd, iov, n);
}

/* ---- sizes ---- */

static void
sized(int fd, uint32_t kind, off_t size)
{
	if (kind_of(fd) == NOT)
		return;
	pthread_mutex_lock(&lock);
	note(kind, (uint64_t)size, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
}

#define FTRUNCATE(name, off_type)              \
	int name(int fd, off_type size)        \
	{                                      \
		sized(fd, POWERCUT_CUT, size); \
		return REAL(name)(fd, size);   \
	}
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define POSIX_FALLOCATE(name, off_type)             \
	int name(int fd, off_type at, off_type len) \
	{                                           \
		if (fails(fd))                      \
			return ENOSPC;              \
		sized(fd, POWERCUT_SIZE, at + len); \
		return REAL(name)(fd, at, len);     \
	}
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

/* ---- syncs ---- */

#define FSYNC(name)                                             \
	int name(int fd)                                        \
	{                                                       \
		uint64_t begun;                                 \
		int rc;                                         \
                                                                \
		if (kind_of(fd) == NOT)                         \
			return REAL(name)(fd);                  \
		if (fails(fd))                                  \
			return errno = EIO, -1;                 \
		pthread_mutex_lock(&lock);                      \
		begun = n_recs;                                 \
		pthread_mutex_unlock(&lock);                    \
		rc = REAL(name)(fd);                            \
		if (rc == 0) {                                  \
			pthread_mutex_lock(&lock);              \
			note(POWERCUT_SYNC, 0, begun, NULL, 0); \
			pthread_mutex_unlock(&lock);            \
		}                                               \
		return rc;                                      \
	}
FSYNC(fsync)
FSYNC(fdatasync)
