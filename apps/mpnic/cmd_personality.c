/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "app.h"
#include "mpn_personality.h"

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
	if (rc != -ENOENT || strchr(kind, '/') != NULL)
		return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
	(void)app_reason(rc);
	for (i = 0; used < sizeof(kinds) && app_value(NULL, "KIND", i, one, sizeof(one)); i++)
		used += (size_t)snprintf(
			kinds + used, sizeof(kinds) - used, "%s%s", i > 0 ? ", " : "", one);
	return shell_refuse(sh, kind, "no such kind of personality: expected %s", kinds);
}

static int
run_define(struct shell *sh, const struct shell_args *args)
{
	return app_for_each_nic(sh, args->word[0], define, (void *)(uintptr_t)(const void *)args);
}

/* ---- The steps of life ---- */

struct step {
	const char *name; /* of the personality */
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

static int
take_step(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct step *step = arg;
	struct mpn_personality *p = mpn_personality_find(nic, step->name);
	int rc;

	if (p == NULL)
		return shell_refuse(sh, step->name,
			"no such personality: see show personality all, personality define");
	rc = step->fn(p, step->options);
	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static int
run_step(struct shell *sh, const struct shell_args *args,
	int (*fn)(struct mpn_personality *p, const char *options))
{
	struct step step = {args->word[1], fn, args->n > 2 ? args->word[2] : NULL};

	return app_for_each_nic(sh, args->word[0], take_step, &step);
}

static int
run_load(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, mpn_personality_load_text);
}

static int
run_start(struct shell *sh, const struct shell_args *args)
{
	int rc = run_step(sh, args, start);

	/* Volumes that are there already are served on it, too. */
	return rc == 0 ? app_serve_nics(app_of(sh)) : rc;
}

static int
run_stop(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, stop);
}

static int
run_unload(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, unload);
}

static int
run_undefine(struct shell *sh, const struct shell_args *args)
{
	return run_step(sh, args, undefine);
}

static const struct shell_cmd cmds[] = {
	{"show personality [NIC|all] [json]", "the personalities of a NIC", run_show},
	{"personality define NIC|all KIND [NAME]",
		"give a NIC a personality, also by the path of its .so; its name: the kind",
		run_define},
	{"personality load NIC|all PERSONALITY [OPTIONS]",
		"get it ready; options of net: tap=NAME, ring=FRAMES", run_load},
	{"personality start NIC|all PERSONALITY", "let its frames through", run_start},
	{"personality stop NIC|all PERSONALITY", "end what it has accepted, let nothing through",
		run_stop},
	{"personality unload NIC|all PERSONALITY", "free what load has made", run_unload},
	{"personality undefine NIC|all PERSONALITY", "take it away", run_undefine},
};

const struct shell_section personality_section = {
	.name = "personality",
	.help = "the life of personalities: define, load, start, stop, unload, undefine",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
