/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * NICs come and go, and their ports start and stop.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "app.h"
#include "mpn_list.h"
#include "mpn_map.h"
#include "mpn_parse.h"

/* ---- What was typed, to be saved ---- */

struct known {
	struct mpn_list node;
	char name[MPN_NAME_LEN];
	char link[SHELL_WORD_LEN]; /* it was attached to; "": the program began with it */
	char options[SHELL_WORD_LEN];
	bool stopped;
	bool gone; /* detached; the program began with it */
};

static struct mpn_list known_list = {&known_list, &known_list};

static struct known *
find_known(const char *name)
{
	struct mpn_list *pos;

	mpn_list_for_each(pos, &known_list) {
		struct known *k = mpn_list_entry(pos, struct known, node);

		if (strcmp(k->name, name) == 0 && !k->gone)
			return k;
	}
	return NULL;
}

static struct known *
make_known(const char *name, const char *link, const char *options)
{
	struct known *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	(void)snprintf(k->name, sizeof(k->name), "%s", name);
	(void)snprintf(k->link, sizeof(k->link), "%s", link);
	(void)snprintf(k->options, sizeof(k->options), "%s", options);
	mpn_list_add_tail(&known_list, &k->node);
	return k;
}

int
app_know_nics(void)
{
	struct mpn_nic_info info;
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++) {
		mpn_nic_get_info(nic, &info);
		if (make_known(info.name, "", "") == NULL)
			return -ENOMEM;
	}
	return 0;
}

void
app_forget_links(void)
{
	struct mpn_list *pos, *tmp;

	mpn_list_for_each_safe(pos, tmp, &known_list) {
		free(mpn_list_entry(pos, struct known, node));
	}
}

static void
save(struct shell *sh)
{
	struct mpn_list *pos;

	/* The name of one that has gone may be another's now. */
	mpn_list_for_each(pos, &known_list) {
		const struct known *k = mpn_list_entry(pos, struct known, node);

		if (k->gone)
			fprintf(sh->out, "port detach %s\n", k->name);
	}
	mpn_list_for_each(pos, &known_list) {
		const struct known *k = mpn_list_entry(pos, struct known, node);

		if (k->link[0] != '\0')
			fprintf(sh->out, "port attach %s %s%s%s\n", k->link, k->name,
				k->options[0] != '\0' ? " " : "", k->options);
		if (k->stopped && !k->gone)
			fprintf(sh->out, "port stop %s\n", k->name);
	}
}

/* ---- attach, detach ---- */

/* What a NIC can be made with. */
static const struct {
	const char *name;
	uint64_t min, max;
	enum { MTU, RXD, TXD, FLOW, CAP, KEEP } what;
} nic_options[] = {
	{"mtu", 68, 65535 - 14, MTU},
	{"rxd", 8, 32768, RXD},
	{"txd", 8, 32768, TXD},
	{"flow", 8, 1 << 20, FLOW},
	{"cap", 1, 32768, CAP},
	{"keep", 1, 1 << 20, KEEP},
};

static void
set_option(struct mpn_nic_conf *conf, int what, uint64_t value)
{
	if (what == MTU)
		conf->mtu = (uint16_t)value;
	else if (what == RXD)
		conf->nb_rxd = (uint16_t)value;
	else if (what == TXD)
		conf->nb_txd = (uint16_t)value;
	else if (what == FLOW)
		conf->flow_len = (uint32_t)value;
	else if (what == CAP)
		conf->tx_cap = (uint32_t)value;
	else
		conf->nb_keep = (uint32_t)value;
}

static int
parse_options(struct shell *sh, const char *text, struct mpn_nic_conf *conf)
{
	char key[16], value[16];
	const char *cursor = text;
	uint64_t number = 0;
	unsigned i;
	int rc;

	while ((rc = mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value))) == 1) {
		for (i = 0; i < MPN_ARRAY_SIZE(nic_options); i++) {
			if (strcmp(nic_options[i].name, key) == 0)
				break;
		}
		if (i == MPN_ARRAY_SIZE(nic_options))
			break;
		if (mpn_parse_u64(value, nic_options[i].min, nic_options[i].max, &number) < 0)
			return shell_refuse(sh, text,
				"%s: expected a number from %" PRIu64 " to %" PRIu64, key,
				nic_options[i].min, nic_options[i].max);
		set_option(conf, (int)nic_options[i].what, number);
	}
	return rc == 0 ? 0
		       : shell_refuse(sh, text,
				 "expected mtu=, rxd=, txd=, flow=, cap= or keep=, "
				 "separated by ','");
}

static int
run_attach(struct shell *sh, const struct shell_args *args)
{
	const char *link = args->word[0], *name = args->word[1];
	const char *options = args->n > 2 ? args->word[2] : "";
	struct mpn_nic_conf conf = {
		.name = name, .link = link, .server = true, .background = app_of(sh)->background};
	struct mpn_nic *nic;
	int rc = app_check_name(sh, name, "=");

	if (rc < 0)
		return rc;
	if (app_find_nic(name) != NULL)
		return shell_refuse(sh, name, "there is a NIC of this name");
	if (mpn_link_kind_of(link) == NULL)
		return shell_refuse(
			sh, link, "expected a link such as vhost:ebd0.sock, see --link help");
	if (options[0] != '\0')
		rc = parse_options(sh, options, &conf);
	if (rc < 0)
		return rc;
	nic = mpn_nic_create(&conf);
	if (nic == NULL)
		return shell_fail(sh, -errno, "%s", app_reason(-errno));
	/* For the command, and as long as nothing is polled. */
	mpn_nic_hold(nic);
	if (!app_of(sh)->running)
		mpn_nic_hold(nic);
	rc = app_plan_map(nic);
	if (rc == 0 && make_known(name, link, options) != NULL)
		return 0;
	mpn_nic_destroy(nic);
	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : -ENOMEM;
}

static int
run_detach(struct shell *sh, const struct shell_args *args)
{
	const char *name = args->word[0];
	struct mpn_nic *nic = app_find_nic(name);
	struct known *k = find_known(name);

	if (nic == NULL)
		return app_refuse_nic(sh, name);
	if (app_serves(app_of(sh), nic))
		return shell_refuse(sh, name, "volumes are served on it");
	mpn_nic_destroy(nic);
	app_forget_nic(name);
	if (k != NULL && k->link[0] == '\0') {
		k->gone = true;
	} else if (k != NULL) {
		mpn_list_del(&k->node);
		free(k);
	}
	return 0;
}

/* ---- start, stop ---- */

static int
start(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_nic_info info;
	struct known *k;
	int rc = mpn_nic_start(nic);

	if (rc < 0)
		return shell_fail(sh, rc, "%s", app_reason(rc));
	mpn_nic_get_info(nic, &info);
	k = find_known(info.name);
	if (k != NULL)
		k->stopped = false;
	return 0;
}

static int
stop(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_nic_info info;
	struct known *k;

	mpn_nic_stop(nic);
	mpn_nic_get_info(nic, &info);
	k = find_known(info.name);
	if (k != NULL)
		k->stopped = true;
	return 0;
}

static void
read_stopped(struct mpn_nic *nic, const void *arg, void *old)
{
	struct mpn_nic_info info;
	const struct known *k;

	mpn_nic_get_info(nic, &info);
	k = find_known(info.name);
	*(bool *)old = k != NULL && k->stopped;
}

static void
restore_stopped(struct mpn_nic *nic, void *arg, const void *old)
{
	if (*(const bool *)old)
		(void)stop(NULL, nic, NULL);
}

static int
run_start(struct shell *sh, const struct shell_args *args)
{
	static const struct app_setter setter = {
		sizeof(bool), read_stopped, start, restore_stopped};

	return app_set_nics(sh, args->word[0], &setter, NULL);
}

static int
run_stop(struct shell *sh, const struct shell_args *args)
{
	return app_for_each_nic(sh, args->word[0], stop, NULL);
}

/* ---- The driver's counters ---- */

static void
print_values(struct mpn_out *o, uint16_t port, unsigned nb)
{
	struct rte_eth_xstat_name *names = calloc(nb, sizeof(*names));
	struct rte_eth_xstat *values = calloc(nb, sizeof(*values));
	int n = names != NULL && values != NULL ? rte_eth_xstats_get(port, values, nb) : 0;
	int i;

	if (n > 0 && (unsigned)n <= nb && rte_eth_xstats_get_names(port, names, nb) == (int)nb) {
		for (i = 0; i < n; i++)
			if (values[i].id < nb)
				mpn_out_u64(o, names[values[i].id].name, values[i].value);
	}
	free(names);
	free(values);
}

static int
print_xstats(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_out *o = arg;
	struct mpn_nic_info info;
	int nb;

	mpn_nic_get_info(nic, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", info.name);
	mpn_out_object(o, "counters");
	/* One whose peer has gone may be without a port. */
	nb = rte_eth_dev_is_valid_port(info.port_id)
		     ? rte_eth_xstats_get_names(info.port_id, NULL, 0)
		     : 0;
	if (nb > 0)
		print_values(o, info.port_id, (unsigned)nb);
	mpn_out_close(o);
	mpn_out_close(o);
	return 0;
}

static int
run_xstats(struct shell *sh, const struct shell_args *args)
{
	return app_show_nics(sh, args, "ports", print_xstats);
}

static const struct shell_cmd cmds[] = {
	{"port attach LINK NAME [OPTIONS]",
		"make a NIC on a link; options: mtu=, rxd=, txd=, flow=, cap=, keep=", run_attach,
		"port attach ring:extra extra mtu=1500,flow=256"},
	{"port detach NIC", "end its personalities, and close it", run_detach,
		"port detach net_ring1"},
	{"port start NIC|all", "let frames pass", run_start},
	{"port stop NIC|all", "as if its cable were pulled", run_stop, "port stop net_ring1"},
	{"show xstats [NIC|all] [json]", "what the driver of the port counts", run_xstats},
};

const struct shell_section link_section = {
	.name = "link",
	.help = "NICs on links",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
