/*
 * conf_file: see the header.
 */
#include "config.h"

#include "conf/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base_mem.h"

static int
read_open(int fd, const char *path, struct base_buf *data, struct base_buf *why)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0) {
		base_buf_printf(why, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		base_buf_printf(why, "%s: not a regular file", path);
		return -1;
	}
	while (data->len <= CONF_FILE_MAX) {
		n = read(fd, base_buf_room(data, 65536), 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			base_buf_printf(why, "%s: %s", path, strerror(errno));
			return -1;
		}
		if (n == 0)
			return 0;
		data->len += (size_t)n;
	}
	base_buf_printf(why, "%s: larger than %d bytes", path, CONF_FILE_MAX);
	return -1;
}

int
conf_file_read(const char *path, char **data_r, size_t *len_r, struct base_buf *why)
{
	struct base_buf data = {0};
	int fd, r;

	/* Not to wait for the writer of a pipe that somebody put there. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		base_buf_printf(why, "%s: %s", path, strerror(errno));
		return -1;
	}
	r = read_open(fd, path, &data, why);
	close(fd);
	if (r == 0) {
		*data_r = base_memdup(data.p != NULL ? data.p : "", data.len);
		*len_r = data.len;
	}
	if (data.p != NULL)
		explicit_bzero(data.p, data.len); /* it may be a key */
	base_buf_free(&data);
	return r;
}

char *
conf_file_path(const char *path, const char *near)
{
	const char *slash = strrchr(near, '/');
	struct base_buf b = {0};

	if (path[0] != '/' && slash != NULL)
		base_buf_add(&b, near, (size_t)(slash + 1 - near));
	base_buf_add(&b, path, strlen(path) + 1);
	return b.p;
}
