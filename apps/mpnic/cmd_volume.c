/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "app.h"
#include "mpn_list.h"

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_server(sh, args, "volumes", ebd_server_print_volumes);
}

bool
app_serves(const struct app *app, const struct mpn_nic *nic)
{
	unsigned i;

	for (i = 0; i < app->nb_served && app->served[i] != nic; i++)
		;
	return i < app->nb_served;
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
		if (!app_serves(app, nic) && app->nb_served < APP_MAX_SERVED)
			app->served[app->nb_served++] = nic;
	}
	return 0;
}

int
app_serve_nics(struct app *app)
{
	return app->server != NULL ? app_for_each_nic(&app->shell, "all", serve_nic, NULL) : 0;
}

/* ---- What was typed, to be saved ---- */

struct served {
	struct mpn_list node;
	char name[EBD_NAME_LEN];
	bool read_only; /* made so */
	char spec[SHELL_LINE_LEN];
};

/* Who may use the volumes of a name. */
struct allowed {
	struct mpn_list node;
	char name[EBD_NAME_LEN];
	struct ebd_access who;
	char text[64]; /* "all": nobody */
};

static struct mpn_list volumes = {&volumes, &volumes};
static struct mpn_list access_list = {&access_list, &access_list};

static struct served *
find_served(const char *name)
{
	struct mpn_list *pos;

	mpn_list_for_each(pos, &volumes) {
		struct served *v = mpn_list_entry(pos, struct served, node);

		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

/* Forget one client of a list, or (who NULL) the whole list. */
static void
forget_allowed(const char *name, const struct ebd_access *who)
{
	struct mpn_list *pos, *tmp;

	mpn_list_for_each_safe(pos, tmp, &access_list) {
		struct allowed *a = mpn_list_entry(pos, struct allowed, node);

		if (strcmp(a->name, name) != 0 ||
			(who != NULL && memcmp(&a->who, who, sizeof(*who)) != 0))
			continue;
		mpn_list_del(&a->node);
		free(a);
	}
}

static struct allowed *
make_allowed(const char *name, const char *text, const struct ebd_access *who)
{
	struct allowed *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	(void)snprintf(a->name, sizeof(a->name), "%s", name);
	(void)snprintf(a->text, sizeof(a->text), "%s", text);
	a->who = *who;
	return a;
}

static bool
is_nobody(const struct allowed *a)
{
	return strcmp(a->text, "all") == 0;
}

/* Lists that begin empty come first: who is on them, after that. */
static void
keep_allowed(struct allowed *a, bool last)
{
	struct mpn_list *pos = access_list.next;

	while (!last && pos != &access_list && is_nobody(mpn_list_entry(pos, struct allowed, node)))
		pos = pos->next;
	mpn_list_insert(last ? &access_list : pos, &a->node);
}

static void
save(struct shell *sh)
{
	struct mpn_list *pos;

	mpn_list_for_each(pos, &access_list) {
		const struct allowed *a = mpn_list_entry(pos, struct allowed, node);

		fprintf(sh->out, "volume %s %s %s\n", is_nobody(a) ? "deny" : "allow", a->name,
			a->text);
	}
	mpn_list_for_each(pos, &volumes) {
		const struct served *v = mpn_list_entry(pos, struct served, node);

		fprintf(sh->out, "volume add %s %s\n", v->name, v->spec);
		if (v->read_only)
			fprintf(sh->out, "volume readonly %s\n", v->name);
	}
}

void
app_forget_volumes(void)
{
	struct mpn_list *pos, *tmp;

	mpn_list_for_each_safe(pos, tmp, &access_list) {
		free(mpn_list_entry(pos, struct allowed, node));
	}
	mpn_list_for_each_safe(pos, tmp, &volumes) {
		free(mpn_list_entry(pos, struct served, node));
	}
}

/* ---- Commands ---- */

/* While a volume's back end is waited for; a thread that only looks whether it has answered leaves its core to others. */
static int
poll_meanwhile(void *arg)
{
	struct app *app = arg;

	mpn_idler_round(&app->idler, app_poll_nics(app));
	return app->background(NULL);
}

static int
need_server(struct shell *sh)
{
	struct app *app = app_of(sh);
	int rc;

	if (app->server != NULL)
		return 0;
	app->server = ebd_server_create(&(struct ebd_server_conf){
		.background = poll_meanwhile, .background_arg = app, .idle = EBD_IDLE_SPIN});
	if (app->server == NULL)
		return shell_fail(sh, -errno, "%s", app_reason(-errno));
	rc = app_serve_nics(app);
	if (rc < 0) {
		ebd_server_destroy(app->server);
		app->server = NULL;
		app->nb_served = 0;
	}
	return rc;
}

static int
run_add(struct shell *sh, const struct shell_args *args)
{
	const char *name = args->word[0], *spec = args->word[1];
	struct served *v;
	int rc = app_check_name(sh, name, "=");

	if (rc == 0)
		rc = need_server(sh);
	if (rc != 0)
		return rc;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	rc = ebd_export_add(app_of(sh)->server, name, spec);
	if (rc < 0) {
		free(v);
		return rc == -EEXIST ? shell_refuse(sh, name, "there is a volume of this name")
				     : shell_fail(sh, rc, "%s", app_reason(rc));
	}
	(void)snprintf(v->name, sizeof(v->name), "%s", name);
	(void)snprintf(v->spec, sizeof(v->spec), "%s", spec);
	mpn_list_add_tail(&volumes, &v->node);
	return 0;
}

/* Something about a volume that there is. */
static int
change_volume(
	struct shell *sh, const char *name, int (*change)(struct ebd_server *s, const char *name))
{
	const char *volume;
	int rc;

	if (strcmp(name, "all") == 0)
		return shell_refuse(sh, name, "expected the name of one volume");
	rc = app_find_volume(sh, name, &volume);
	if (rc == 0)
		rc = change(app_of(sh)->server, name);
	return rc < 0 && sh->reason[0] == '\0' ? shell_fail(sh, rc, "%s", app_reason(rc)) : rc;
}

static int
run_remove(struct shell *sh, const struct shell_args *args)
{
	int rc = change_volume(sh, args->word[0], ebd_export_remove);
	struct served *v = rc == 0 ? find_served(args->word[0]) : NULL;

	if (v != NULL) {
		mpn_list_del(&v->node);
		free(v);
	}
	return rc;
}

static int
run_resize(struct shell *sh, const struct shell_args *args)
{
	return change_volume(sh, args->word[0], ebd_export_resize);
}

static int
run_readonly(struct shell *sh, const struct shell_args *args)
{
	int rc = change_volume(sh, args->word[0], ebd_export_set_readonly);
	struct served *v = rc == 0 ? find_served(args->word[0]) : NULL;

	if (v != NULL)
		v->read_only = true;
	return rc;
}

/* The client of a line: NULL for "all". */
static int
parse_client(struct shell *sh, const char *word, struct ebd_access *who, bool *all)
{
	*all = strcmp(word, "all") == 0;
	memset(who, 0, sizeof(*who));
	if (*all || access_parse(word, who) == 0)
		return 0;
	return shell_refuse(sh, word, "expected a UUID, a MAC, UUID@MAC or all");
}

static int
change_access(struct shell *sh, const struct shell_args *args, bool allow)
{
	const char *name = args->word[0], *word = args->word[1];
	struct allowed *a = NULL;
	static const struct ebd_access nobody;
	struct ebd_access who;
	bool all;
	int rc = parse_client(sh, word, &who, &all);

	if (rc == 0)
		rc = need_server(sh);
	if (rc != 0)
		return rc;
	/* A list that is empty is not the same as none. */
	if (!allow || !all) {
		a = make_allowed(name, allow ? word : "all", allow ? &who : &nobody);
		if (a == NULL)
			return -ENOMEM;
	}
	rc = (allow ? ebd_export_allow : ebd_export_deny)(
		app_of(sh)->server, name, all ? NULL : &who);
	if (rc < 0) {
		free(a);
		return rc == -ENOENT ? shell_refuse(sh, word, "it is not on the list of %s", name)
				     : shell_fail(sh, rc, "%s", app_reason(rc));
	}
	forget_allowed(name, all ? NULL : &who);
	if (!allow)
		forget_allowed(name, &nobody);
	if (a != NULL)
		keep_allowed(a, allow);
	return 0;
}

static int
run_allow(struct shell *sh, const struct shell_args *args)
{
	return change_access(sh, args, true);
}

static int
run_deny(struct shell *sh, const struct shell_args *args)
{
	return change_access(sh, args, false);
}

/* A line of the library's help: what a SPEC is like, without blanks, and what it is. */
static void
print_kind(struct mpn_out *o, char *line)
{
	char *spec = line + strspn(line, " "), *help = spec + strcspn(spec, " ");

	if (*help != '\0')
		*help++ = '\0';
	mpn_out_object(o, NULL);
	mpn_out_str(o, "spec", spec);
	mpn_out_str(o, "help", help + strspn(help, " "));
	mpn_out_close(o);
}

static int
run_kinds(struct shell *sh, const struct shell_args *args)
{
	char *text = NULL, *line, *rest;
	struct mpn_out o;
	size_t len;
	FILE *f;

	if (!app_wants_json(args)) {
		ebd_volume_help(sh->out);
		return 0;
	}
	f = open_memstream(&text, &len);
	if (f == NULL)
		return -errno;
	ebd_volume_help(f);
	if (fclose(f) != 0) {
		free(text);
		return -ENOMEM;
	}
	app_show_begin(&o, sh, args);
	mpn_out_array(&o, "kinds");
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0')
			print_kind(&o, line);
	}
	mpn_out_close(&o);
	free(text);
	return mpn_out_end(&o);
}

static const struct shell_cmd cmds[] = {
	{"show volume [VOLUME|all] [json]", "the volumes that are served", run_show},
	{"volume add NAME SPEC", "serve a volume on all NICs with a started storage personality",
		run_add, "volume add two error:rate=0.01:mem:8M"},
	{"volume remove VOLUME", "serve it no more: its sessions end", run_remove,
		"volume remove one"},
	{"volume resize VOLUME", "look at its size again; clients are told", run_resize},
	{"volume readonly VOLUME", "make it read-only for good; clients are told", run_readonly,
		"volume readonly one"},
	{"volume allow NAME CLIENT|all",
		"only UUID, MAC or UUID@MAC of the list may use it; all: everybody", run_allow,
		"volume allow one 02:00:00:00:00:01"},
	{"volume deny NAME CLIENT|all", "take a client from the list; all: everybody", run_deny,
		"volume deny one all"},
	{"volume kinds [json]", "what SPEC can be", run_kinds},
};

const struct shell_section volume_section = {
	.name = "volume",
	.help = "volumes that the storage personalities serve",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
