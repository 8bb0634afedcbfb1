/*
 * journal_tries: how often an environment was opened without having proven good.
 *
 * What a look at it does not see may still kill whoever uses it, again and again.  So
 * openings are counted in a file beside the data, which goes when one has lasted for a
 * while or has ended in good order.
 */
#include "config.h"

#include "journal/journal_priv.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool
path_of(const char *dir, char path[PATH_MAX])
{
	return (size_t)snprintf(path, PATH_MAX, "%s%s", dir, JOURNAL_TRIES) < PATH_MAX;
}

/* It is no loss if this fails: the look is less thorough then. */
static void
put(const char *dir, unsigned n)
{
	char path[PATH_MAX];
	int fd;

	if (!path_of(dir, path))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, JOURNAL_MODE);
	if (fd < 0)
		return;
	if (dprintf(fd, "%u\n", n) < 0)
		(void)unlink(path);
	close(fd);
}

unsigned
journal_tries_add(const char *dir)
{
	char path[PATH_MAX], text[16] = "";
	unsigned n = 0;
	int fd = path_of(dir, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			n = (unsigned)BASE_MIN(strtoul(text, NULL, 10), 1000);
		close(fd);
	}
	put(dir, n + 1);
	return n;
}

void
journal_tries_suspect(const char *dir)
{
	put(dir, JOURNAL_TRIES_MAX);
}

void
journal_tries_over(const char *dir)
{
	char path[PATH_MAX];

	if (path_of(dir, path))
		(void)unlink(path);
}
