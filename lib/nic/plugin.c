/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpn_list.h"
#include "mpn_log.h"
#include "nic_internal.h"
#include "plugin.h"

struct plugin {
	struct mpn_list node;
	char path[PATH_MAX];
	void *handle;
	const struct mpn_personality_ops *ops;
	unsigned refs;
};

static pthread_mutex_t plugins_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mpn_list plugins = {&plugins, &plugins};

static struct plugin *
find_plugin(const char *path)
{
	struct mpn_list *pos;

	mpn_list_for_each(pos, &plugins) {
		struct plugin *pl = mpn_list_entry(pos, struct plugin, node);

		if (strcmp(pl->path, path) == 0)
			return pl;
	}
	return NULL;
}

/* By a signal that no crash is: nothing of the program's own runs at its end. */
static void
end_child(const void *handle)
{
	(void)handle;
	for (;;)
		(void)raise(SIGKILL);
}

/*
 * What a shared object does while it is opened is done in a child first: one that crashes must not take
 * the traffic of the others with it. @return 0, or the signal that ended it
 */
static int
try_in_child(const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return 0; /* no child: no opinion */
	if (pid == 0)
		end_child(dlopen(path, RTLD_NOW | RTLD_LOCAL));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 0;
	}
	return WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL ? WTERMSIG(status) : 0;
}

static int
check_ops(const struct plugin *pl)
{
	if (pl->ops == NULL)
		return mpn_log_err(ENOEXEC, "nic",
			"'%s' is no personality: it has no MPN_PERSONALITY_PLUGIN()", pl->path);
	if (pl->ops->abi != MPN_ABI_VERSION)
		return mpn_log_err(ENOEXEC, "nic", "'%s' has personality ABI %u, expected %u",
			pl->path, pl->ops->abi, MPN_ABI_VERSION);
	if (!personality_ops_complete(pl->ops))
		return mpn_log_err(EINVAL, "nic",
			"'%s': its name or one of its functions is missing", pl->path);
	if (personality_kind_exists(pl->ops->name))
		return mpn_log_err(EEXIST, "nic", "'%s': there is a kind '%s' already", pl->path,
			pl->ops->name);
	return 0;
}

static int
open_plugin(struct plugin *pl)
{
	const struct mpn_personality_ops *const *at;
	int sig, rc;

	if (access(pl->path, R_OK) < 0)
		return mpn_log_err(errno, "nic", "'%s': %s", pl->path, strerror(errno));
	sig = try_in_child(pl->path);
	if (sig != 0)
		return mpn_log_err(ENOEXEC, "nic", "'%s' crashes when it is opened: %s", pl->path,
			strsignal(sig));
	pl->handle = dlopen(pl->path, RTLD_NOW | RTLD_LOCAL);
	if (pl->handle == NULL)
		return mpn_log_err(ENOEXEC, "nic", "%s", dlerror());
	at = dlsym(pl->handle, MPN_PLUGIN_SYMBOL);
	pl->ops = at != NULL ? *at : NULL;
	rc = check_ops(pl);
	if (rc < 0)
		(void)dlclose(pl->handle);
	return rc;
}

static struct plugin *
make_plugin(const char *path)
{
	struct plugin *pl = calloc(1, sizeof(*pl));
	int rc;

	if (pl == NULL)
		return mpn_err_null(ENOMEM);
	memcpy(pl->path, path, strlen(path) + 1);
	rc = open_plugin(pl);
	if (rc < 0) {
		free(pl);
		return mpn_err_null(-rc);
	}
	mpn_list_add_tail(&plugins, &pl->node);
	return pl;
}

const struct mpn_personality_ops *
plugin_get(const char *path)
{
	const struct mpn_personality_ops *ops = NULL;
	char real[PATH_MAX];
	struct plugin *pl;

	if (realpath(path, real) == NULL) {
		(void)mpn_log_err(errno, "nic", "'%s': %s", path, strerror(errno));
		return NULL;
	}
	pthread_mutex_lock(&plugins_lock);
	pl = find_plugin(real);
	if (pl == NULL)
		pl = make_plugin(real);
	if (pl != NULL) {
		pl->refs++;
		ops = pl->ops;
	}
	pthread_mutex_unlock(&plugins_lock);
	return ops;
}

bool
plugin_has(const struct mpn_personality_ops *ops)
{
	struct mpn_list *pos;
	bool found = false;

	pthread_mutex_lock(&plugins_lock);
	mpn_list_for_each(pos, &plugins) {
		found |= mpn_list_entry(pos, struct plugin, node)->ops == ops;
	}
	pthread_mutex_unlock(&plugins_lock);
	return found;
}

void
plugin_put(const struct mpn_personality_ops *ops)
{
	struct mpn_list *pos;

	pthread_mutex_lock(&plugins_lock);
	mpn_list_for_each(pos, &plugins) {
		struct plugin *pl = mpn_list_entry(pos, struct plugin, node);

		if (pl->ops != ops)
			continue;
		if (--pl->refs == 0) {
			mpn_list_del(&pl->node);
			(void)dlclose(pl->handle);
			free(pl);
		}
		break;
	}
	pthread_mutex_unlock(&plugins_lock);
}
