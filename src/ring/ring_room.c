/*
 * ring_room: see the header.
 *
 * Sources: proc(5) for /proc/meminfo, cgroups(7) for /proc/self/cgroup, and the
 * kernel's documentation of cgroup-v1/memory and cgroup-v2 for the files.
 */
#include "config.h"

#include "ring/ring_room.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Value of the line of FILE that starts with NAME and a separator; false: none. */
static bool
read_field(const char *file, const char *name, uint64_t *value_r)
{
	char line[256];
	size_t n = strlen(name);
	bool found = false;
	FILE *f = fopen(file, "re");

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, n) == 0 && strchr(": \t", line[n]) != NULL)
			found = sscanf(line + n, "%*[: \t]%" SCNu64, value_r) == 1;
	fclose(f);
	return found;
}

/* A file that holds one number; "max" is none. */
static bool
read_number(const char *dir, const char *file, uint64_t *value_r)
{
	char path[512];
	bool found;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) >= sizeof(path))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	found = fscanf(f, "%" SCNu64, value_r) == 1;
	fclose(f);
	return found;
}

/* What the group at DIR still allows; pages of files can be taken back. */
static bool
group_room(const char *dir, const char *limit_file, const char *usage_file,
    uint64_t *room_r)
{
	uint64_t limit, usage, part, files = 0;
	char path[512];
	size_t n;

	if (!read_number(dir, limit_file, &limit) ||
	    !read_number(dir, usage_file, &usage))
		return false;
	n = (size_t)snprintf(path, sizeof(path), "%s/memory.stat", dir);
	if (n < sizeof(path)) {
		if (read_field(path, "inactive_file", &part))
			files += part;
		if (read_field(path, "active_file", &part))
			files += part;
	}
	usage -= BASE_MIN(usage, files);
	*room_r = limit - BASE_MIN(limit, usage);
	return true;
}

/* Least room of the group at ROOT + PATH and the groups above it. */
static uint64_t
groups_room(const char *root, const char *path, const char *limit_file,
    const char *usage_file)
{
	uint64_t room, least = UINT64_MAX;
	size_t root_len = strlen(root);
	char dir[512];

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", root, path) >= sizeof(dir))
		return least;
	for (;;) {
		char *slash;

		if (group_room(dir, limit_file, usage_file, &room))
			least = BASE_MIN(least, room);
		slash = strrchr(dir, '/');
		if (slash == NULL || (size_t)(slash - dir) < root_len)
			return least;
		*slash = 0;
	}
}

/* Over all groups of this process; UINT64_MAX when none says anything. */
static uint64_t
own_groups_room(void)
{
	uint64_t least = UINT64_MAX, room;
	char line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (f == NULL)
		return least;
	while (fgets(line, sizeof(line), f) != NULL) {
		char *kinds, *path;

		line[strcspn(line, "\n")] = 0;
		kinds = strchr(line, ':');
		path = kinds == NULL ? NULL : strchr(kinds + 1, ':');
		if (path == NULL)
			continue;
		*path++ = 0;
		kinds++;
		if (*kinds == 0)
			room = groups_room("/sys/fs/cgroup", path, "memory.max",
			    "memory.current");
		else if (strcmp(kinds, "memory") == 0)
			room = groups_room("/sys/fs/cgroup/memory", path,
			    "memory.limit_in_bytes", "memory.usage_in_bytes");
		else
			continue;
		least = BASE_MIN(least, room);
	}
	fclose(f);
	return least;
}

int
ring_room_check(uint64_t bytes, char *err, size_t errlen)
{
	uint64_t kib, swap_kib = 0, room;

	if (read_field("/proc/meminfo", "MemAvailable", &kib)) {
		if (!read_field("/proc/meminfo", "SwapFree", &swap_kib))
			swap_kib = 0;
		if (bytes / 1024 > kib + swap_kib) {
			snprintf(err, errlen,
			    "the shared segment needs %" PRIu64
			    " MiB, this machine has %" PRIu64 " MiB available",
			    bytes >> 20, (kib + swap_kib) >> 10);
			return -1;
		}
	}
	room = own_groups_room();
	if (bytes > room) {
		snprintf(err, errlen,
		    "the shared segment needs %" PRIu64
		    " MiB, the limit of its control group leaves %" PRIu64 " MiB",
		    bytes >> 20, room >> 20);
		return -1;
	}
	return 0;
}
