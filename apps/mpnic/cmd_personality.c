/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "mpn_list.h"
#include "mpn_personality.h"

/* ---- What was typed, to be saved ---- */

struct note {
	struct mpn_list node;
	char nic[MPN_NAME_LEN];
	char name[MPN_NAME_LEN]; /* of the personality */
	char kind[PATH_MAX]; /* or where it comes from */
	char options[SHELL_LINE_LEN]; /* it was loaded with */
};

static struct mpn_list notes = {&notes, &notes};

static struct note *
find_note(const char *nic, const char *name)
{
	struct mpn_list *pos;

	mpn_list_for_each(pos, &notes) {
		struct note *n = mpn_list_entry(pos, struct note, node);

		if (strcmp(n->nic, nic) == 0 && strcmp(n->name, name) == 0)
			return n;
	}
	return NULL;
}

/* Also under another working directory its file is the same. */
static struct note *
make_note(const char *nic, const char *name, const char *kind)
{
	struct note *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	(void)snprintf(n->nic, sizeof(n->nic), "%s", nic);
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	if (strchr(kind, '/') == NULL || realpath(kind, n->kind) == NULL)
		(void)snprintf(n->kind, sizeof(n->kind), "%s", kind);
	mpn_list_add_tail(&notes, &n->node);
	return n;
}

static void
remove_note(struct note *n)
{
	if (n == NULL)
		return;
	mpn_list_del(&n->node);
	free(n);
}

void
app_forget_nic(const char *nic)
{
	struct mpn_list *pos, *tmp;

	mpn_list_for_each_safe(pos, tmp, &notes) {
		struct note *n = mpn_list_entry(pos, struct note, node);

		if (nic == NULL || strcmp(n->nic, nic) == 0)
			remove_note(n);
	}
}

static void
save_made(struct shell *sh, const char *nic, const struct mpn_personality_info *info)
{
	const struct note *n = find_note(nic, info->name);
	const char *options = n != NULL ? n->options : "";

	fprintf(sh->out, "personality define %s %s %s\n", nic, n != NULL ? n->kind : info->kind,
		info->name);
	app_save_limits(sh, nic, info);
	app_save_vlan(sh, nic, info);
	if (info->state != MPN_PERS_DEFINED)
		fprintf(sh->out, "personality load %s %s%s%s\n", nic, info->name,
			options[0] != '\0' ? " " : "", options);
}

void
app_save_started(struct shell *sh, const char *nic, const struct mpn_personality_info *info)
{
	if (info->state == MPN_PERS_STARTED)
		fprintf(sh->out, "personality start %s %s\n", nic, info->name);
}

static void
save(struct shell *sh)
{
	app_save_personalities(sh, save_made);
}

/* ---- show ---- */

static void
print_personality(struct mpn_out *o, const char *nic, struct mpn_personality *p)
{
	struct mpn_personality_info info;
	char type[8];
	unsigned i;

	mpn_personality_get_info(p, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", nic);
	mpn_out_str(o, "name", info.name);
	mpn_out_str(o, "kind", info.kind);
	mpn_out_str(o, "state", mpn_pers_state_name(info.state));
	mpn_out_array(o, "ethertypes");
	for (i = 0; i < info.nb_ethertypes; i++) {
		(void)snprintf(type, sizeof(type), "0x%04x", info.ethertypes[i]);
		mpn_out_str(o, NULL, type);
	}
	mpn_out_close(o);
	mpn_out_bool(o, "takes_rest", info.takes_rest);
	mpn_personality_print_vlan(p, o);
	mpn_personality_print_errors(p, o);
	mpn_out_object(o, "counters");
	if (info.state != MPN_PERS_DEFINED)
		mpn_personality_print(p, o);
	mpn_out_close(o);
	mpn_out_close(o);
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_personalities(sh, args, "personalities", print_personality);
}

/* ---- define ---- */

static int
note_defined(struct shell *sh, struct mpn_nic *nic, struct mpn_personality *p, const char *kind)
{
	struct mpn_personality_info info;
	struct mpn_nic_info nic_info;

	mpn_nic_get_info(nic, &nic_info);
	mpn_personality_get_info(p, &info);
	if (make_note(nic_info.name, info.name, kind) != NULL)
		return 0;
	(void)mpn_personality_undefine(p);
	return shell_fail(sh, -ENOMEM, "%s", strerror(ENOMEM));
}

/* None, or all. */
static int
check_undefined(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct shell_args *args = arg;
	const char *name = args->n > 2 ? args->word[2] : args->word[1];

	if (mpn_personality_find(nic, name) == NULL)
		return 0;
	return shell_refuse(sh, name, "there is a personality of this name");
}

static int
define(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct shell_args *args = arg;
	const char *kind = args->word[1];
	struct mpn_personality *p;
	char kinds[128] = "", one[MPN_NAME_LEN];
	size_t used = 0;
	unsigned i;
	int rc;

	rc = mpn_personality_define(nic, kind, args->n > 2 ? args->word[2] : NULL, &p);
	if (rc == 0)
		return note_defined(sh, nic, p, kind);
	if (rc != -ENOENT || strchr(kind, '/') != NULL)
		return shell_fail(sh, rc, "%s", app_reason(rc));
	(void)app_reason(rc);
	for (i = 0; used < sizeof(kinds) && app_value(NULL, "KIND", i, one, sizeof(one)); i++)
		used += (size_t)snprintf(
			kinds + used, sizeof(kinds) - used, "%s%s", i > 0 ? ", " : "", one);
	return shell_refuse(sh, kind, "no such kind of personality: expected %s", kinds);
}

static int
run_define(struct shell *sh, const struct shell_args *args)
{
	void *arg = (void *)(uintptr_t)(const void *)args;
	int rc = app_for_each_nic(sh, args->word[0], check_undefined, arg);

	return rc == 0 ? app_for_each_nic(sh, args->word[0], define, arg) : rc;
}

/* ---- The steps of life ---- */

struct step {
	const char *name; /* of the personality */
	const char *verb;
	enum mpn_pers_state from;
	int (*fn)(struct mpn_personality *p, const char *options);
	const char *options;
};

static int
start(struct mpn_personality *p, const char *options)
{
	return mpn_personality_start(p);
}

static int
stop(struct mpn_personality *p, const char *options)
{
	return mpn_personality_stop(p);
}

static int
unload(struct mpn_personality *p, const char *options)
{
	return mpn_personality_unload(p);
}

static int
undefine(struct mpn_personality *p, const char *options)
{
	return mpn_personality_undefine(p);
}

/* Of "all" none takes the step when one cannot. */
static int
check_step(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct step *step = arg;
	struct mpn_personality *p = mpn_personality_find(nic, step->name);

	if (p == NULL)
		return shell_refuse(sh, step->name,
			"no such personality: see show personality all, personality define");
	if (mpn_personality_state(p) != step->from)
		return shell_refuse(sh, step->name, "cannot %s: it is %s", step->verb,
			mpn_pers_state_name(mpn_personality_state(p)));
	return 0;
}

static int
take_step(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct step *step = arg;
	struct mpn_personality *p = mpn_personality_find(nic, step->name);
	struct mpn_nic_info info;
	struct note *n;
	int rc;

	mpn_nic_get_info(nic, &info);
	n = find_note(info.name, step->name);
	rc = step->fn(p, step->options);
	if (rc < 0)
		return shell_fail(sh, rc, "%s", app_reason(rc));
	if (step->fn == undefine)
		remove_note(n);
	else if (step->fn == mpn_personality_load_text && n != NULL)
		(void)snprintf(n->options, sizeof(n->options), "%s",
			step->options != NULL ? step->options : "");
	return 0;
}

static int
run_step(struct shell *sh, const struct shell_args *args, const char *verb,
	enum mpn_pers_state from, int (*fn)(struct mpn_personality *p, const char *options))
{
	struct step step = {args->word[1], verb, from, fn, args->n > 2 ? args->word[2] : NULL};
	int rc = app_for_each_nic(sh, args->word[0], check_step, &step);

	return rc == 0 ? app_for_each_nic(sh, args->word[0], take_step, &step) : rc;
}

static int
run_load(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, "load", MPN_PERS_DEFINED, mpn_personality_load_text);
}

static int
run_start(struct shell *sh, const struct shell_args *args)
{
	int rc = run_step(sh, args, "start", MPN_PERS_LOADED, start);

	/* Volumes that are there already are served on it, too. */
	return rc == 0 ? app_serve_nics(app_of(sh)) : rc;
}

static int
run_stop(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, "stop", MPN_PERS_STARTED, stop);
}

static int
run_unload(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, "unload", MPN_PERS_LOADED, unload);
}

static int
run_undefine(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, "undefine", MPN_PERS_DEFINED, undefine);
}

static const struct shell_cmd cmds[] = {
	{"show personality [NIC|all] [json]", "the personalities of a NIC", run_show},
	{"personality define NIC|all KIND [NAME]",
		"give a NIC a personality, also by the path of its .so; its name: the kind",
		run_define, "personality define net_ring0 net third"},
	{"personality load NIC|all PERSONALITY [OPTIONS]",
		"get it ready; options of net: tap=NAME, vhost=on|off|auto, ring=FRAMES; "
		"of remote: socket=PATH, type=0xNNNN, ring=FRAMES, hang=TIME|never",
		run_load, "personality load net_ring0 net ring=64"},
	{"personality start NIC|all PERSONALITY", "let its frames through", run_start,
		"personality start net_ring1 storage"},
	{"personality stop NIC|all PERSONALITY", "end what it has accepted, let nothing through",
		run_stop, "personality stop net_ring0 storage"},
	{"personality unload NIC|all PERSONALITY", "free what load has made", run_unload,
		"personality unload net_ring1 storage"},
	{"personality undefine NIC|all PERSONALITY", "take it away", run_undefine,
		"personality undefine net_ring0 net"},
};

const struct shell_section personality_section = {
	.name = "personality",
	.help = "the life of personalities: define, load, start, stop, unload, undefine",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
