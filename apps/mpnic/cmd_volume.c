/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include "app.h"

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_server(sh, args, "volumes", ebd_server_print_volumes);
}

static int
serve_nic(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct app *app = app_of(sh);
	struct mpn_personality_info info;
	struct mpn_personality *p;
	unsigned i;
	int rc;

	for (i = 0; (p = mpn_personality_get(nic, i)) != NULL; i++) {
		mpn_personality_get_info(p, &info);
		if (strcmp(info.kind, APP_STORAGE) != 0 || info.state != MPN_PERS_STARTED)
			continue;
		rc = ebd_server_nic_add(app->server, nic);
		if (rc < 0 && rc != -EEXIST)
			return shell_fail(sh, rc, "%s", app_reason(rc));
	}
	return 0;
}

int
app_serve_nics(struct app *app)
{
	return app->server != NULL ? app_for_each_nic(&app->shell, "all", serve_nic, NULL) : 0;
}

static int
run_add(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);
	int rc;

	if (app->server == NULL) {
		app->server = ebd_server_create(&(struct ebd_server_conf){0});
		if (app->server == NULL)
			return shell_fail(sh, -errno, "%s", app_reason(-errno));
		rc = app_serve_nics(app);
		if (rc != 0)
			return rc;
	}
	rc = ebd_export_add(app->server, args->word[0], args->word[1]);
	if (rc == -EEXIST)
		return shell_refuse(sh, args->word[0], "there is a volume of this name");
	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static int
run_kinds(struct shell *sh, const struct shell_args *args)
{
	ebd_volume_help(sh->out);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{"show volume [VOLUME|all] [json]", "the volumes that are served", run_show},
	{"volume add NAME SPEC", "serve a volume on all NICs with a started storage personality",
		run_add},
	{"volume kinds", "what SPEC can be", run_kinds},
};

const struct shell_section volume_section = {
	.name = "volume",
	.help = "volumes that the storage personalities serve",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
