/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "link.h"
#include "mpn_log.h"
#include "mpn_parse.h"

#define VIRTIO_MAX_MTU 9600 /* virtio_user receives frames of at most 9728 bytes */

static const char *const no_keys[] = {NULL};
static const char *const virtio_keys[] = {"wait", NULL};

static const struct link_kind link_kinds[] = {
	{
		.pub =
			{
				.name = "ring",
				.synopsis = "ring:NAME",
				.help = "two NICs of one process that name the same ring are "
					"joined",
				.point_to_point = true,
			},
		.quirks = LINK_SOFT_MAC,
		.max_mtu = LINK_MAX_MTU,
		.nb_rxd = 256,
		.open = ring_open,
		.close = ring_close,
		.is_up = ring_is_up,
	},
	{
		.pub =
			{
				.name = "vhost",
				.synopsis = "vhost:PATH",
				.help = "serve one user of the socket PATH at a time (net_vhost)",
				.point_to_point = true,
			},
		.max_mtu = VIRTIO_MAX_MTU,
		.keys = no_keys,
		.open = vhost_open,
		.close = vhost_close,
	},
	{
		.pub =
			{
				.name = "virtio",
				.synopsis = "virtio:PATH[,wait=TIME]",
				.help = "use what is served at the socket PATH; waits 5s for it "
					"(net_virtio_user)",
				.point_to_point = true,
			},
		.max_mtu = VIRTIO_MAX_MTU,
		.nb_rxd = 256,
		.nb_txd = 256,
		.keys = virtio_keys,
		.open = virtio_open,
		.close = virtio_close,
		.unplug = virtio_unplug,
		.replug = virtio_replug,
	},
};

const struct link_kind *
link_kind_at(unsigned n)
{
	return n < MPN_ARRAY_SIZE(link_kinds) ? &link_kinds[n] : NULL;
}

const struct mpn_link_kind *
mpn_link_kind(unsigned n)
{
	const struct link_kind *kind = link_kind_at(n);

	return kind != NULL ? &kind->pub : NULL;
}

static const struct link_kind *
find_kind(const char *text)
{
	size_t len = strcspn(text, ":");

	if (text[len] != ':')
		return NULL;
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(link_kinds); i++) {
		const char *name = link_kinds[i].pub.name;

		if (strlen(name) == len && memcmp(name, text, len) == 0)
			return &link_kinds[i];
	}
	return NULL;
}

const struct mpn_link_kind *
mpn_link_kind_of(const char *link)
{
	const struct link_kind *kind = link != NULL ? find_kind(link) : NULL;

	return kind != NULL ? &kind->pub : mpn_err_null(EINVAL);
}

/* "ring:NAME, vhost:PATH, ..." for the error line. */
static const char *
list_synopses(char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(link_kinds); i++) {
		const char *s = link_kinds[i].pub.synopsis;
		int n = snprintf(buf + used, size - used, "%s%.*s", i > 0 ? ", " : "",
			(int)strcspn(s, "["), s);

		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return buf;
}

static bool
kind_has_key(const struct link_kind *kind, const char *key)
{
	for (const char *const *k = kind->keys; k != NULL && *k != NULL; k++) {
		if (strcmp(*k, key) == 0)
			return true;
	}
	return false;
}

static int
parse_opts(const char *opts, struct link_spec *spec)
{
	const struct mpn_link_kind *pub = &spec->kind->pub;
	struct link_opt *opt;
	int rc;

	for (;;) {
		struct link_opt one;

		rc = mpn_parse_kv(&opts, one.key, sizeof(one.key), one.value, sizeof(one.value));
		if (rc == 0)
			return 0;
		if (rc < 0 || !kind_has_key(spec->kind, one.key))
			return mpn_log_err(EINVAL, "nic",
				"link '%s': '%s': no such option; expected %s", spec->text,
				rc < 0               ? opts
				: one.key[0] != '\0' ? one.key
						     : one.value,
				pub->synopsis);
		if (spec->nb_opts == LINK_MAX_OPTS)
			return mpn_log_err(
				EINVAL, "nic", "link '%s': too many options", spec->text);
		opt = &spec->opts[spec->nb_opts++];
		*opt = one;
	}
}

int
link_parse(const char *text, struct link_spec *spec)
{
	const char *arg;
	size_t len;
	char all[400];

	memset(spec, 0, sizeof(*spec));
	if (text == NULL || strlen(text) >= sizeof(spec->text))
		return mpn_log_err(EINVAL, "nic", "link: missing or longer than %zu characters",
			sizeof(spec->text) - 1);
	memcpy(spec->text, text, strlen(text) + 1);
	spec->kind = find_kind(text);
	if (spec->kind == NULL)
		return mpn_log_err(EINVAL, "nic", "link '%s': unknown kind; expected one of %s",
			text, list_synopses(all, sizeof(all)));
	arg = strchr(text, ':') + 1;
	len = spec->kind->keys != NULL ? strcspn(arg, ",") : strlen(arg);
	if (len == 0 || len >= sizeof(spec->arg))
		return mpn_log_err(
			EINVAL, "nic", "link '%s': expected %s", text, spec->kind->pub.synopsis);
	memcpy(spec->arg, arg, len);
	return arg[len] == ',' ? parse_opts(arg + len + 1, spec) : 0;
}

unsigned
link_quirks(const struct link_spec *spec)
{
	return spec->kind->quirks;
}

const char *
link_opt(const struct link_spec *spec, const char *key, const char *dflt)
{
	for (unsigned i = 0; i < spec->nb_opts; i++) {
		if (strcmp(spec->opts[i].key, key) == 0)
			return spec->opts[i].value;
	}
	return dflt;
}

/* The driver's state may change on its own threads: have the NIC look. */
static int
note_link_change(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct link *l = arg;

	atomic_store_explicit(l->dirty, true, memory_order_release);
	return 0;
}

/* Drivers without the event are asked ten times a second all the same. */
static void
watch_port(struct link *l)
{
	(void)rte_eth_dev_callback_register(
		l->port_id, RTE_ETH_EVENT_INTR_LSC, note_link_change, l);
}

struct link *
link_open(const struct link_spec *spec, const struct link_want *want, atomic_bool *dirty)
{
	struct link *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return mpn_err_null(ENOMEM);
	l->spec = *spec;
	l->want = *want;
	l->dirty = dirty;
	l->max_mtu = spec->kind->max_mtu;
	l->port_id = RTE_MAX_ETHPORTS;
	rc = spec->kind->open(l);
	if (rc < 0) {
		free(l);
		return mpn_err_null(-rc);
	}
	watch_port(l);
	return l;
}

void
link_lose(struct link *l)
{
	if (l->port_id == RTE_MAX_ETHPORTS)
		return;
	if (l->spec.kind->unplug != NULL)
		l->spec.kind->unplug(l);
	else
		link_unplug(l);
}

int
link_revive(struct link *l)
{
	int rc = l->spec.kind->replug(l);

	if (rc == 0)
		watch_port(l);
	return rc;
}

void
link_close(struct link *l)
{
	if (l == NULL)
		return;
	link_lose(l);
	if (l->spec.kind->close != NULL)
		l->spec.kind->close(l);
	free(l);
}

int
link_try_plug(struct link *l, const char *driver, const char *args)
{
	static atomic_uint next;
	int rc;

	(void)snprintf(
		l->dev_name, sizeof(l->dev_name), "%s_mpn%u", driver, atomic_fetch_add(&next, 1));
	rc = rte_eal_hotplug_add("vdev", l->dev_name, args);
	if (rc < 0)
		return rc;
	rc = rte_eth_dev_get_port_by_name(l->dev_name, &l->port_id);
	if (rc < 0) {
		(void)rte_eal_hotplug_remove("vdev", l->dev_name);
		return -ENODEV;
	}
	l->plugged = true;
	return 0;
}

int
link_plug(struct link *l, const char *driver, const char *args)
{
	int rc = link_try_plug(l, driver, args);

	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': cannot make %s with '%s': %s",
			l->spec.text, driver, args, strerror(-rc));
	return 0;
}

void
link_unplug(struct link *l)
{
	(void)rte_eth_dev_callback_unregister(
		l->port_id, RTE_ETH_EVENT_INTR_LSC, note_link_change, l);
	(void)rte_eth_dev_close(l->port_id);
	if (l->plugged)
		(void)rte_eal_hotplug_remove("vdev", l->dev_name);
	l->plugged = false;
	l->port_id = RTE_MAX_ETHPORTS;
}
