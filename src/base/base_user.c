/*
 * base_user: the part of base_proc.h that looks up a user and becomes it.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "base/base_proc.h"

int
base_proc_user_find(const char *name, struct base_proc_user *user, char *err,
    size_t errlen)
{
	struct passwd *pw;
	int n = 16;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL) {
		snprintf(err, errlen, "user \"%s\": %s", name,
		    errno != 0 ? strerror(errno) : "there is no such user");
		return -1;
	}
	user->name = base_strdup(name);
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	do {
		user->n_groups = n;
		user->groups =
		    base_realloc(user->groups, (size_t)n, sizeof(*user->groups));
		/* Says in N how many there are when they do not fit. */
	} while (getgrouplist(name, pw->pw_gid, user->groups, &n) < 0 &&
	    n > user->n_groups);
	user->n_groups = n;
	return 0;
}

void
base_proc_user_free(struct base_proc_user *user)
{
	free(user->name);
	free(user->groups);
	memset(user, 0, sizeof(*user));
}

int
base_proc_make_dir(const char *path, const struct base_proc_user *user)
{
	int error;

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : errno;
	if (user == NULL || user->name == NULL ||
	    chown(path, user->uid, user->gid) == 0)
		return 0;
	error = errno;
	rmdir(path);
	return error;
}

int
base_proc_user_become(const struct base_proc_user *user)
{
	if (setgroups((size_t)user->n_groups, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -1;
	/* There must be no way back. */
	if (user->uid != 0 && setresuid(0, 0, 0) == 0) {
		errno = EPERM;
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	/* A change of user forbids core dumps; a crash is worth one if they are on. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
