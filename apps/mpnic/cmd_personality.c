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

static const char *
defined_name(const struct shell_args *args)
{
	return args->n > 2 ? args->word[2] : args->word[1];
}

static int
check_undefined(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct shell_args *args = arg;
	const char *name = defined_name(args);

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

/* It is the last one. */
static void
take_back(struct mpn_nic *nic, void *arg, const void *old)
{
	struct mpn_personality_info info;
	struct mpn_nic_info nic_info;
	unsigned n = 0;

	while (mpn_personality_get(nic, n) != NULL)
		n++;
	mpn_nic_get_info(nic, &nic_info);
	mpn_personality_get_info(mpn_personality_get(nic, n - 1), &info);
	remove_note(find_note(nic_info.name, info.name));
	(void)mpn_personality_undefine(mpn_personality_get(nic, n - 1));
}

/* A map has to be able to name it. */
static int
check_name(struct shell *sh, const char *name)
{
	if (strcmp(name, "rx") == 0 || strcmp(name, "tx") == 0)
		return shell_refuse(sh, name, "expected a name: this is a stage of every NIC");
	return app_check_name(sh, name, ",=");
}

static int
run_define(struct shell *sh, const struct shell_args *args)
{
	static const struct app_setter setter = {.apply = define, .restore = take_back};
	void *arg = (void *)(uintptr_t)(const void *)args;
	int rc = args->n > 2 ? check_name(sh, args->word[2]) : 0;

	if (rc == 0)
		rc = app_for_each_nic(sh, args->word[0], check_undefined, arg);
	return rc == 0 ? app_set_nics(sh, args->word[0], &setter, arg) : rc;
}

/* ---- The steps of life ---- */

struct step {
	const char *name; /* of the personality */
	const char *verb;
	enum mpn_pers_state from;
	int (*fn)(struct mpn_personality *p, const char *options);
	int (*back)(struct mpn_personality *p, const char *options); /* NULL: cannot fail */
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

static struct note *
note_of(struct mpn_nic *nic, const char *name)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(nic, &info);
	return find_note(info.name, name);
}

/* Volumes that are there already are served on it, too. */
static int
serve(struct shell *sh, struct mpn_nic *nic, const char *name)
{
	int rc = app_serve_nics(app_of(sh));

	if (rc < 0)
		(void)mpn_personality_stop(mpn_personality_find(nic, name));
	return rc;
}

static int
take_step(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct step *step = arg;
	struct note *n = note_of(nic, step->name);
	int rc = step->fn(mpn_personality_find(nic, step->name), step->options);

	if (rc < 0)
		return shell_fail(sh, rc, "%s", app_reason(rc));
	if (step->fn == start)
		return serve(sh, nic, step->name);
	if (step->fn == undefine)
		remove_note(n);
	else if (step->fn == mpn_personality_load_text && n != NULL)
		(void)snprintf(n->options, sizeof(n->options), "%s",
			step->options != NULL ? step->options : "");
	return 0;
}

static void
step_back(struct mpn_nic *nic, void *arg, const void *old)
{
	const struct step *step = arg;

	if (step->back != NULL)
		(void)step->back(mpn_personality_find(nic, step->name), NULL);
}

static int
run_step(struct shell *sh, const struct shell_args *args, struct step step)
{
	static const struct app_setter setter = {.apply = take_step, .restore = step_back};
	int rc;

	step.name = args->word[1];
	step.options = args->n > 2 ? args->word[2] : NULL;
	rc = app_for_each_nic(sh, args->word[0], check_step, &step);
	return rc == 0 ? app_set_nics(sh, args->word[0], &setter, &step) : rc;
}

static int
run_load(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args,
		(struct step){.verb = "load",
			.from = MPN_PERS_DEFINED,
			.fn = mpn_personality_load_text,
			.back = unload});
}

static int
run_start(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args,
		(struct step){.verb = "start", .from = MPN_PERS_LOADED, .fn = start, .back = stop});
}

static int
run_stop(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args,
		(struct step){.verb = "stop", .from = MPN_PERS_STARTED, .fn = stop, .back = start});
}

static int
run_unload(struct shell *sh, const struct shell_args *args)
{
	return run_step(
		sh, args, (struct step){.verb = "unload", .from = MPN_PERS_LOADED, .fn = unload});
}

static int
run_undefine(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args,
		(struct step){.verb = "undefine", .from = MPN_PERS_DEFINED, .fn = undefine});
}

static const struct shell_cmd cmds[] = {
	{"show personality [NIC|all] [json]", "the personalities of a NIC", run_show},
	{"personality define NIC|all KIND [NAME]",
		"give a NIC a personality, also by the path of its .so; its name: the kind",
		run_define, "personality define net_ring0 net third"},
	{"personality load NIC|all PERSONALITY [OPTIONS]",
		"get it ready; options of net: tap=NAME, vhost=on|off|auto, "
		"offload=on|off|auto, ring=FRAMES; "
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
