/*
 * ctl_store: the schema of the database.
 *
 * No daemon is needed: the plugin is loaded here, by the user that would load it
 * there, so that files that it makes belong to the right one.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base_proc.h"
#include "conf/conf_file.h"
#include "ctl/ctl.h"
#include "plug/plug_store.h"

/* As the daemon's children would be. */
static bool
become_user(const struct conf *conf)
{
	struct base_proc_user user = {0};
	char err[256], *dir;
	bool good = false;
	int error;

	if (conf->user[0] == 0 || geteuid() != 0)
		return true;
	if (base_proc_user_find(conf->user, &user, err, sizeof(err)) < 0) {
		ctl_complain("%s", err);
		return false;
	}
	/* The directory that holds it may be root's alone. */
	dir = conf_file_path(conf->state_dir, conf->file);
	error = base_proc_make_dir(dir, &user);
	if (error != 0)
		ctl_complain("cannot make state_dir %s: %s", dir, strerror(error));
	else if (base_proc_user_become(&user) < 0)
		ctl_complain("cannot become user %s: %s", conf->user, strerror(errno));
	else
		good = true;
	free(dir);
	base_proc_user_free(&user);
	return good;
}

static void
show(const struct ctl_args *args, const struct conf *conf, bool ready)
{
	if (args->json != NULL)
		printf("{\"result\":{\"store\":\"%s\",\"ready\":%s}}\n", conf->store,
		    ready ? "true" : "false");
	else if (ready)
		printf("%s: the schema is there and up to date\n", conf->store);
}

static enum ctl_exit
visit(const struct ctl_args *args, unsigned flags)
{
	struct base_buf errors = {0};
	struct conf *conf = ctl_conf(args);
	enum ctl_exit code = CTL_ERROR;
	int r;

	if (conf == NULL)
		return CTL_ERROR;
	if (become_user(conf)) {
		r = plug_store_migrate(conf, flags, &errors);
		if (errors.len > 0)
			fwrite(errors.p, 1, errors.len, stderr);
		code = r == 0 ? CTL_OK : CTL_ERROR;
		if (r == 0 || r == CHATD_VERSION)
			show(args, conf, r == 0);
	}
	base_buf_free(&errors);
	conf_free(conf);
	return code;
}

enum ctl_exit
ctl_store_init(const struct ctl_args *args)
{
	return visit(args, 0);
}

enum ctl_exit
ctl_store_check(const struct ctl_args *args)
{
	return visit(args, CHATD_MIGRATE_CHECK);
}
