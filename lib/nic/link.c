/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "link.h"
#include "link_side.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "vdev.h"

#define MIN_PAIRS 16 /* the virtio driver wants 32 descriptors at least */
#define VIRTIO_MAX_MTU 9600 /* virtio_user receives frames of at most 9728 bytes */

static const char *const no_keys[] = {NULL};
static const char *const virtio_keys[] = {"wait", "place", NULL};
static const char *const card_keys[] = {"place", "queues", NULL};
static const char *const tap_keys[] = {"queues", NULL};
static const char *const bond_keys[] = {"mode", NULL};
static const char *const remote_keys[] = {"wait", NULL};
static const char *const memif_keys[] = {"role", "wait", NULL};

static const struct link_kind link_kinds[] = {
	{
		.pub = {.name = "ring",
			.synopsis = "ring:NAME",
			.help = "two NICs of one process that name the same ring are joined",
			.point_to_point = true},
		.quirks = LINK_SOFT_MAC,
		.max_mtu = LINK_MAX_MTU,
		.nb_rxd = 256,
		.open = ring_open,
		.close = ring_close,
		.is_up = ring_is_up,
		.unsent = ring_unsent,
	},
	{
		.pub = {.name = "vhost",
			.synopsis = "vhost:PATH",
			.help = "serve one user at a time at the socket PATH",
			.point_to_point = true},
		.max_mtu = VIRTIO_MAX_MTU,
		.nb_rxd = 256,
		.keys = no_keys,
		.open = vhost_open,
		.close = side_close,
		.unplug = vhost_unplug,
		.replug = vhost_replug,
		.unsent = vhost_unsent,
	},
	{
		.pub = {.name = "virtio",
			.synopsis = "virtio:PATH[,wait=TIME][,place=PAIRS]",
			.help = "use what is served at the socket PATH; waits 5s for it; place: "
				"read data comes on a queue of its own",
			.point_to_point = true},
		.quirks = LINK_NO_MEMBER,
		.max_mtu = VIRTIO_MAX_MTU,
		.nb_rxd = 256,
		.nb_txd = 256,
		.keys = virtio_keys,
		.open = virtio_open,
		.close = side_close,
		.unplug = side_unplug,
		.replug = side_replug,
	},
	{
		.pub = {.name = "memif",
			.synopsis = "memif:PATH[,role=server|client][,wait=TIME]",
			.help = "shared memory between two processes, met at the socket PATH",
			.point_to_point = true},
		.quirks = LINK_NO_MEMBER,
		.keys = memif_keys,
		.open = memif_open,
		.close = side_close,
		.unplug = memif_unplug,
		.replug = side_replug,
		.is_up = memif_is_up,
		.stopped = memif_stopped,
		.pump = memif_pump,
	},
	{
		.pub = {.name = "tap",
			.synopsis = "tap:NAME[,queues=N]",
			.help = "make the kernel interface NAME and be its other end; queues: "
				"N personalities receive on queues of their own",
			.needs_root = true},
		.quirks = LINK_SOFT_MAC,
		.nb_rxd = 256,
		.keys = tap_keys,
		.open = tap_open,
	},
	{
		.pub = {.name = "af_packet",
			.synopsis = "af_packet:IFACE",
			.help = "share the kernel interface IFACE, on any kernel",
			.needs_root = true},
		.quirks = LINK_PROMISCUOUS,
		.keys = no_keys,
		.open = af_packet_open,
		.replug = af_packet_replug,
		.is_up = iface_is_up,
	},
	{
		.pub = {.name = "af_xdp",
			.synopsis = "af_xdp:IFACE",
			.help = "take queue 0 of the kernel interface IFACE",
			.needs_root = true},
		.quirks = LINK_PROMISCUOUS,
		.keys = no_keys,
		.open = af_xdp_open,
		.replug = af_xdp_replug,
		.is_up = iface_is_up,
	},
	{
		.pub = {.name = "pci",
			.synopsis = "pci:ADDR[,place=PAIRS][,queues=N]",
			.help = "a network card that DPDK drives, such as pci:0000:03:00.0; place: "
				"read data comes on a queue of its own; queues: N personalities "
				"receive on queues of their own, default: 2",
			.needs_root = true},
		.quirks = LINK_NEEDS_PCI | LINK_PROMISCUOUS | LINK_DEVARGS,
		.keys = card_keys,
		.open = pci_open,
		.replug = dev_replug,
	},
	{
		.pub = {.name = "bond",
			.synopsis = "bond:LINK+LINK[,mode=active-backup|802.3ad]",
			.help = "two links as one, the second for when the first is down; "
				"802.3ad: both, by LACP",
			.needs_root = true},
		.quirks = LINK_PROMISCUOUS | LINK_SOFT_MAC | LINK_DEVARGS | LINK_NO_MEMBER,
		.keys = bond_keys,
		.open = bond_open,
		.close = bond_close,
		.is_up = bond_is_up,
	},
	{
		.pub = {.name = "remote",
			.synopsis = "remote:PATH[,wait=TIME]",
			.help = "the NIC of another process, as its personality of the kind remote "
				"at "
				"the socket PATH gives it; waits 5s for it"},
		.quirks = LINK_SOFT_MAC | LINK_NO_MEMBER,
		.keys = remote_keys,
		.nb_rxd = 256,
		.open = remote_link_open,
		.close = remote_link_close,
		.is_up = remote_link_is_up,
		.unsent = remote_link_unsent,
		.pump = remote_link_pump,
	},
	{
		.pub = {.name = "dev",
			.synopsis = "dev:DEVARGS[,place=PAIRS][,queues=N]",
			.help = "any DPDK device: a port that is there, or made from DEVARGS; "
				"place, queues: as with pci, default: 0"},
		.quirks = LINK_PROMISCUOUS | LINK_DEVARGS,
		.keys = card_keys,
		.open = dev_open,
		.replug = dev_replug,
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

/* KEY=VALUE of the kind, in the len bytes at text? */
static bool
read_opt(const struct link_kind *kind, const char *text, size_t len, struct link_opt *opt)
{
	const char *eq = memchr(text, '=', len);
	size_t key = eq != NULL ? (size_t)(eq - text) : len;

	if (key == len || key >= sizeof(opt->key) || len - key > sizeof(opt->value))
		return false;
	(void)snprintf(opt->key, sizeof(opt->key), "%.*s", (int)key, text);
	(void)snprintf(opt->value, sizeof(opt->value), "%.*s", (int)(len - key - 1), eq + 1);
	return kind_has_key(kind, opt->key);
}

/* Options of ours may be anywhere behind the device among DPDK's, which stay as they are. */
static int
parse_devargs(const char *arg, struct link_spec *spec)
{
	struct link_opt opt;
	size_t used = 0, len;

	for (; *arg != '\0'; arg += len + (arg[len] == ',')) {
		len = strcspn(arg, ",");
		if (used > 0 && spec->nb_opts < LINK_MAX_OPTS &&
			read_opt(spec->kind, arg, len, &opt)) {
			spec->opts[spec->nb_opts++] = opt;
			continue;
		}
		if (used + len + 2 > sizeof(spec->arg))
			return -EINVAL;
		used += (size_t)snprintf(spec->arg + used, sizeof(spec->arg) - used, "%s%.*s",
			used > 0 ? "," : "", (int)len, arg);
	}
	return used > 0 ? 0 : -EINVAL;
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
	if (spec->kind->quirks & LINK_DEVARGS) {
		if (parse_devargs(arg, spec) < 0)
			return mpn_log_err(EINVAL, "nic", "link '%s': expected %s", text,
				spec->kind->pub.synopsis);
		return 0;
	}
	len = spec->kind->keys != NULL ? strcspn(arg, ",") : strlen(arg);
	if (len == 0 || len >= sizeof(spec->arg))
		return mpn_log_err(
			EINVAL, "nic", "link '%s': expected %s", text, spec->kind->pub.synopsis);
	memcpy(spec->arg, arg, len);
	return arg[len] == ',' ? parse_opts(arg + len + 1, spec) : 0;
}

uint16_t
link_usual_mtu(uint16_t max)
{
	return max >= 9000 ? 9000 : max >= 1500 ? 1500 : max;
}

bool
link_is_pci_address(const char *s)
{
	size_t len = strspn(s, "0123456789abcdefABCDEF:");

	return len >= 5 && s[len] == '.' && s[len + 1] >= '0' && s[len + 1] <= '7' &&
	       memchr(s, ':', len) != NULL;
}

const char *
link_pci_device(const struct link_spec *spec)
{
	if ((spec->kind->quirks & LINK_NEEDS_PCI) || link_is_pci_address(spec->arg))
		return spec->arg;
	/* In a bond: the first one that is; the EAL scans the bus for both. */
	return spec->kind->open == bond_open && strstr(spec->arg, "pci:") != NULL
		       ? strstr(spec->arg, "pci:") + strlen("pci:")
		       : NULL;
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

int
link_read_place(struct link *l, uint64_t max)
{
	const char *place = link_opt(&l->spec, "place", "0");
	uint64_t pairs;

	if (mpn_parse_u64(place, 0, max, &pairs) < 0 || (pairs > 0 && pairs < MIN_PAIRS))
		return mpn_log_err(EINVAL, "nic", "link '%s': place '%s': expected %d to %lu, or 0",
			l->spec.text, place, MIN_PAIRS, max);
	l->place = (uint16_t)pairs;
	return 0;
}

int
link_read_queues(struct link *l, const char *dflt)
{
	const char *queues = link_opt(&l->spec, "queues", dflt);
	uint64_t n;

	if (mpn_parse_u64(queues, 0, MPN_MAX_PERSONALITIES, &n) < 0)
		return mpn_log_err(EINVAL, "nic", "link '%s': queues '%s': expected 0 to %d",
			l->spec.text, queues, MPN_MAX_PERSONALITIES);
	l->queues = (uint8_t)n;
	return 0;
}

/* The driver's state may change on its own threads: have the NIC look. */
static int
note_link_change(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct link *l = arg;

	atomic_store_explicit(l->dirty, true, memory_order_release);
	return 0;
}

static int
note_removal(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct link *l = arg;

	atomic_store_explicit(&l->gone, true, memory_order_release);
	return note_link_change(port_id, type, arg, ret);
}

/* What drivers tell of. Those that do not are asked ten times a second all the same. */
static const struct {
	enum rte_eth_event_type type;
	rte_eth_dev_cb_fn fn;
} port_events[] = {
	{RTE_ETH_EVENT_INTR_LSC, note_link_change}, {RTE_ETH_EVENT_INTR_RMV, note_removal},
	{RTE_ETH_EVENT_DESTROY, note_removal}, /* somebody else has closed it */
};

/* The port is this link's alone, and tells when it changes. */
static int
claim_port(struct link *l)
{
	struct rte_eth_dev_owner owner = {.name = "mpnic"};

	if (rte_eth_dev_owner_new(&owner.id) < 0 || rte_eth_dev_owner_set(l->port_id, &owner) < 0)
		return mpn_log_err(
			EBUSY, "nic", "link '%s': the port belongs to another NIC", l->spec.text);
	l->owner_id = owner.id;
	atomic_store(&l->gone, false);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(port_events); i++)
		(void)rte_eth_dev_callback_register(
			l->port_id, port_events[i].type, port_events[i].fn, l);
	return 0;
}

static void
disclaim_port(struct link *l)
{
	/* Of a port that is no more, both are gone as well. */
	if (!rte_eth_dev_is_valid_port(l->port_id))
		return;
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(port_events); i++)
		(void)rte_eth_dev_callback_unregister(
			l->port_id, port_events[i].type, port_events[i].fn, l);
	(void)rte_eth_dev_owner_unset(l->port_id, l->owner_id);
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
	rc = claim_port(l);
	if (rc < 0) {
		/* It is another's: leave it alone. */
		l->port_id = RTE_MAX_ETHPORTS;
		link_close(l);
		return mpn_err_null(-rc);
	}
	return l;
}

bool
link_driver_is_up(const struct link *l)
{
	struct rte_eth_link state = {0};

	return rte_eth_link_get_nowait(l->port_id, &state) == 0 &&
	       state.link_status == RTE_ETH_LINK_UP;
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

	return rc < 0 ? rc : claim_port(l);
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
	int rc = vdev_plug(driver, args, l->dev_name, sizeof(l->dev_name), &l->port_id);

	if (rc == 0)
		l->plugged = true;
	return rc;
}

int
link_plug(struct link *l, const char *driver, const char *args)
{
	int rc = link_try_plug(l, driver, args);

	if (rc < 0 && l->spec.kind->pub.needs_root && geteuid() != 0)
		return mpn_log_err(
			EACCES, "nic", LINK_NEEDS_ROOT, l->spec.text, l->spec.kind->pub.name);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': cannot make %s with '%s': %s",
			l->spec.text, driver, args, strerror(-rc));
	return 0;
}

void
link_unplug(struct link *l)
{
	disclaim_port(l);
	/* A port we did not make stays, stopped, for whoever made it. */
	if (l->plugged)
		vdev_unplug(l->port_id);
	l->plugged = false;
	l->port_id = RTE_MAX_ETHPORTS;
}
