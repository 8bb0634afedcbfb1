/*
 * fail_calls: preloaded beside a store, makes the N-th call fail that the plugin or its
 * library makes for memory or to the network.  A test arms it from inside the process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void fail_calls_arm(unsigned long n);
unsigned long fail_calls_seen(void);

static unsigned long seen, at; /* at 0: none fails */

/* Where the code of the plugin and of its library is. */
static struct {
	uintptr_t from, to;
} objects[2];
static size_t n_objects;

static int
on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Phdr) * part;
	int i;

	(void)size;
	(void)arg;
	if (n_objects == sizeof(objects) / sizeof(objects[0]) ||
	    (strstr(info->dlpi_name, "store_postgres") == NULL &&
		strstr(info->dlpi_name, "libpq.so") == NULL))
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		part = &info->dlpi_phdr[i];
		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
			continue;
		objects[n_objects].from = info->dlpi_addr + part->p_vaddr;
		objects[n_objects].to = objects[n_objects].from + part->p_memsz;
		n_objects++;
		break;
	}
	return 0;
}

__attribute__((visibility("default"))) void
fail_calls_arm(unsigned long n)
{
	n_objects = 0;
	dl_iterate_phdr(on_object, NULL);
	at = n;
	seen = 0;
}

__attribute__((visibility("default"))) unsigned long
fail_calls_seen(void)
{
	return seen;
}

/* Whether this call, made from CALLER, is the one. */
static int
fails(const void *caller)
{
	uintptr_t p = (uintptr_t)caller;
	size_t i;

	for (i = 0; i < n_objects; i++)
		if (p >= objects[i].from && p < objects[i].to)
			return ++seen == at;
	return 0;
}

#define CALLER __builtin_return_address(0)

/* The function that is called when this is not. */
#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

#define FAILING(type, name, error, failure, params, ...)        \
	__attribute__((visibility("default"))) type name params \
	{                                                       \
		static __typeof__(&name) next;                  \
                                                                \
		if (next == NULL)                               \
			next = NEXT(name);                      \
		if (fails(CALLER)) {                            \
			errno = error;                          \
			return failure;                         \
		}                                               \
		return next(__VA_ARGS__);                       \
	}

/* glibc's own names of these are not interposed, so nothing here goes in circles. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

__attribute__((visibility("default"))) void *
malloc(size_t n)
{
	return at != 0 && fails(CALLER) ? NULL : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *
calloc(size_t n, size_t size)
{
	return at != 0 && fails(CALLER) ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *
realloc(void *p, size_t n)
{
	return at != 0 && fails(CALLER) ? NULL : __libc_realloc(p, n);
}

FAILING(char *, strdup, ENOMEM, NULL, (const char *s), s)
FAILING(int, socket, EMFILE, -1, (int domain, int type, int protocol), domain, type,
    protocol)
FAILING(int, connect, ECONNREFUSED, -1,
    (int fd, const struct sockaddr *to, socklen_t len), fd, to, len)
FAILING(int, setsockopt, EINVAL, -1,
    (int fd, int level, int name, const void *value, socklen_t len), fd, level, name,
    value, len)
FAILING(int, getsockopt, EIO, -1,
    (int fd, int level, int name, void *value, socklen_t *len), fd, level, name, value,
    len)
FAILING(int, getsockname, EIO, -1, (int fd, struct sockaddr *name, socklen_t *len), fd,
    name, len)
FAILING(ssize_t, send, ECONNRESET, -1, (int fd, const void *p, size_t n, int flags), fd,
    p, n, flags)
FAILING(ssize_t, recv, ECONNRESET, -1, (int fd, void *p, size_t n, int flags), fd, p, n,
    flags)
FAILING(int, poll, EIO, -1, (struct pollfd * fds, nfds_t n, int ms), fds, n, ms)
