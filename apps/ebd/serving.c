/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include "mpn_parse.h"
#include "serving.h"

void
serving_conf_init(struct ebd_server_conf *sc, const struct tool_conf *conf)
{
	memset(sc, 0, sizeof(*sc));
	sc->eal = conf->eal;
	sc->no_huge = conf->no_huge;
	sc->mtu = conf->mtu;
	sc->net = conf->net;
	sc->vlan = conf->vlan;
	sc->net_vlan = conf->net_vlan;
	sc->lcore = conf->lcore + 1;
	sc->idle = conf->idle;
	sc->ceiling = conf->ceiling;
	sc->background = tool_check_signals;
}

static int
export_volume(struct ebd_server *s, const struct tool_conf *conf, const char *text)
{
	const char *eq = strchr(text, '=');
	char name[EBD_NAME_LEN], what[EBD_NAME_LEN + 8];
	int rc;

	/* tool_set_volume() has checked the form. */
	(void)snprintf(name, sizeof(name), "%.*s", (int)(eq - text), text);
	rc = ebd_export_add(s, name, eq + 1);
	(void)snprintf(what, sizeof(what), "volume %s", name);
	return rc != 0 ? tool_report(conf, -rc, what, eq + 1) : TOOL_GO_ON;
}

static int
bring_up(struct ebd_server *s, const struct tool_conf *conf, const char *const *links,
	unsigned nb_links)
{
	unsigned i;
	int rc;

	for (i = 0; i < nb_links; i++) {
		rc = ebd_server_link_add(s, links[i]);
		if (rc != 0 && tool_interrupted())
			return tool_say_interrupted(conf);
		if (rc != 0)
			return tool_report(conf, -rc, "--link", links[i]);
	}
	for (i = 0; i < conf->nb_volumes; i++) {
		rc = export_volume(s, conf, conf->volumes[i]);
		if (rc != TOOL_GO_ON)
			return rc;
	}
	return TOOL_GO_ON;
}

struct ebd_server *
serving_start(const struct tool_conf *conf, const struct ebd_server_conf *sc,
	const char *const *links, unsigned nb_links, int *status)
{
	struct ebd_server *s = ebd_server_create(sc);

	if (s == NULL) {
		*status = errno == EINVAL ? tool_misuse(conf, "%s", tool_reason(errno))
					  : tool_fail(conf, "%s", tool_reason(errno));
		return NULL;
	}
	*status = bring_up(s, conf, links, nb_links);
	if (*status == TOOL_GO_ON)
		return s;
	ebd_server_destroy(s);
	return NULL;
}
